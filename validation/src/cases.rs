//! The cases: data, model and the names under which the reference knows each scalar.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use inla::{Fit, ModelSpecification, Resources, Source, Table};
use inla_cli::ModelFile;

use crate::distribution::{Distribution, read_draws, read_quantiles};
use crate::hierarchical::HIERARCHICAL;

/// Any error, for a person.
pub type Failure = Box<dyn std::error::Error>;

/// A case that can be fitted and compared.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What its differences are held against.
    pub bars: Bars,
    /// The folder of the reference.
    pub reference: PathBuf,
    /// The reference's `log p(y)`, where it is known.
    pub log_evidence: Option<f64>,
    table: Table,
    specification: ModelSpecification,
    directory: PathBuf,
    /// From the reference's names to the engine's.
    rename: fn(&str) -> Option<String>,
}

/// The largest differences that are no miss, beyond the Monte Carlo error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bars {
    /// Of means, in posterior standard deviations.
    pub mean: f64,
    /// Of the ratio of standard deviations from one.
    pub sd: f64,
    /// Of Kolmogorov's distance.
    pub distance: f64,
    /// Of the evidence, in nats.
    pub evidence: Option<f64>,
}

impl Bars {
    /// Of every case but one.
    pub const USUAL: Self = Self { mean: 0.02, sd: 0.02, distance: 0.02, evidence: None };
    /// Bernoulli data in small clusters with a standard deviation of four.
    pub const TOENAIL: Self = Self { mean: 0.1, sd: 0.05, distance: 0.03, evidence: Some(0.5) };
}

/// A scalar of the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The reference's name.
    pub name: String,
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation.
    pub sd: f64,
    /// Its 2.5 %, 50 % and 97.5 % quantiles.
    pub quantiles: [f64; 3],
    /// These and the quartiles where they were kept, by level.
    pub levels: Vec<(f64, f64)>,
    /// Monte Carlo standard errors of mean and standard deviation.
    pub errors: [f64; 2],
    /// Effective number of draws, the lesser of bulk and tails.
    pub effective: f64,
}

impl Case {
    /// Fits the case by a rung of the approximation ladder, `auto` or its name, or with its hyperparameters sampled: `nuts`.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn fit(&self, approximation: &str) -> Result<Fit, Failure> {
        let resources = Resources { directory: Some(self.directory.clone()), ..Resources::default() };
        let mut specification = self.specification.clone();
        match approximation {
            "nuts" => approximation.clone_into(&mut specification.fit.integration),
            rung => rung.clone_into(&mut specification.fit.approximation),
        }
        Ok(Fit::new(&specification, &self.table, &resources)?)
    }

    /// The reference's distribution of each of its scalars; empty where it was not kept.
    ///
    /// # Errors
    /// A broken file.
    pub fn distributions(&self) -> Result<HashMap<String, Distribution>, Failure> {
        let (draws, quantiles) = (self.reference.join("draws.npz"), self.reference.join("distribution.csv"));
        if draws.exists() {
            return read_draws(&draws);
        }
        if !quantiles.exists() {
            return Ok(HashMap::new());
        }
        let rows = self.scalars()?;
        let moments = rows.iter().map(|row| (row.name.clone(), (row.mean, row.sd))).collect();
        read_quantiles(&quantiles, &moments)
    }

    /// The reference's summaries.
    ///
    /// # Errors
    /// A broken file.
    pub fn scalars(&self) -> Result<Vec<Scalar>, Failure> {
        let mut reader = csv::Reader::from_path(self.reference.join("summary.csv"))?;
        let headers = reader.headers()?.clone();
        let at = |name: &str| headers.iter().position(|h| h == name);
        let column = |name: &str| at(name).ok_or_else(|| format!("{}: no column {name}", self.name));
        let columns = ["mean", "sd", "q0.025", "q0.5", "q0.975", "mcse_mean", "ess_bulk", "ess_tail"].map(column);
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            let mut values = [0.0; 8];
            for (value, column) in values.iter_mut().zip(&columns) {
                *value = record[column.clone()?].parse()?;
            }
            let [mean, sd, low, median, high, monte_carlo, bulk, tail] = values;
            // √(1/2n), a normal distribution's, where the reference does not say
            let of_sd = at("mcse_sd").map_or(Ok(sd / f64::sqrt(2.0 * bulk)), |column| record[column].parse())?;
            let (name, quantiles, errors) = (record[0].to_owned(), [low, median, high], [monte_carlo, of_sd]);
            let mut levels = vec![(0.025, low), (0.5, median), (0.975, high)];
            for (level, column) in [(0.25, "q0.25"), (0.75, "q0.75")] {
                if let Some(column) = at(column) {
                    levels.push((level, record[column].parse()?));
                }
            }
            rows.push(Scalar { name, mean, sd, quantiles, levels, errors, effective: bulk.min(tail) });
        }
        Ok(rows)
    }

    /// Seconds that the reference's sampler takes until its worst scalar has the Monte Carlo error of `accuracy` posterior standard
    /// deviations, at the pace at which it ran: its time over its least effective number of draws, warm-up included, times `accuracy⁻²`.
    pub fn sampler_seconds(&self, accuracy: f64) -> Option<f64> {
        let text = std::fs::read_to_string(self.reference.join("sampler.json")).ok()?;
        let report: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(report["seconds"].as_f64()? / report["min_ess_bulk"].as_f64()? / (accuracy * accuracy))
    }

    /// The engine's name of a scalar of the reference; `None` for those that are functions of others.
    pub fn engine_name(&self, reference: &str) -> Option<String> {
        (self.rename)(reference)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `key` of a JSON file of numbers.
fn evidence(path: &Path) -> Option<f64> {
    let value: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    let object = value.as_object()?;
    let keys = ["log_marginal_likelihood", "log_p_y", "log_evidence", "value", "mean"];
    keys.iter().find_map(|key| object.get(*key)?.as_f64())
}

/// The cases of the repository.
///
/// # Errors
/// A file that is missing or broken.
pub fn own_cases() -> Result<Vec<Case>, Failure> {
    let reference = root().join("validation/reference");
    let mut cases = Vec::new();
    for record in csv::Reader::from_path(reference.join("cases.csv"))?.records() {
        let record = record?;
        let file = ModelFile::read(&root().join(&record[1]))?;
        let folder = reference.join(&record[0]);
        cases.push(Case {
            name: record[0].to_owned(),
            bars: Bars::USUAL,
            log_evidence: evidence(&folder.join("evidence.json")),
            reference: folder,
            table: Table::from_csv_path(&file.data)?,
            specification: file.specification,
            directory: file.directory,
            rename: |name| (!name.starts_with("fitted")).then(|| name.to_owned()),
        });
    }
    Ok(cases)
}

/// The name before `[` and the index inside.
fn indexed(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix(']')?.split_once('[')
}

fn common(name: &str, effects: &[(&str, &str)]) -> Option<String> {
    let (stem, index) = indexed(name)?;
    effects.iter().find(|(reference, _)| *reference == stem).map(|(_, effect)| format!("random.{effect}.{index}"))
}

fn seeds(name: &str) -> Option<String> {
    Some(match name {
        "beta_intercept" => "fixed.(Intercept)".to_owned(),
        "beta_x1" => "fixed.x1".to_owned(),
        "beta_x2" => "fixed.x2".to_owned(),
        "beta_x1x2" => "fixed.x1:x2".to_owned(),
        "log_tau" => "hyper_internal.plate.precision".to_owned(),
        _ => return common(name, &[("u", "plate")]),
    })
}

fn epil(name: &str) -> Option<String> {
    Some(match name {
        "beta_0" => "fixed.(Intercept)".to_owned(),
        "log_tau_Ind" => "hyper_internal.Ind.precision".to_owned(),
        "log_tau_rand" => "hyper_internal.rand.precision".to_owned(),
        _ if name.starts_with("beta_") => name.replace("beta_", "fixed."),
        _ => return common(name, &[("u_Ind", "Ind"), ("v_rand", "rand")]),
    })
}

fn tokyo(name: &str) -> Option<String> {
    if name == "log_tau" { Some("hyper_internal.time.precision".to_owned()) } else { common(name, &[("x", "time")]) }
}

fn scotland(name: &str) -> Option<String> {
    Some(match name {
        "beta_intercept" => "fixed.(Intercept)".to_owned(),
        "beta_X10" => "fixed.I(X/10)".to_owned(),
        "log_tau" | "log_tau_besag" => "hyper_internal.Region.precision".to_owned(),
        "log_tau_iid" => "hyper_internal.iid.precision".to_owned(),
        "logit_phi" => "hyper_internal.Region.phi".to_owned(),
        _ => {
            let effects = [("b", "Region"), ("ustar", "Region:structured"), ("u_besag", "Region"), ("v_iid", "iid")];
            return common(name, &effects);
        }
    })
}

fn toenail(name: &str) -> Option<String> {
    Some(match name {
        "beta_intercept" => "fixed.(Intercept)".to_owned(),
        "log_tau" => "hyper_internal.id.precision".to_owned(),
        _ if name.starts_with("beta_") => name.replace("beta_", "fixed."),
        _ => return common(name, &[("u", "id")]),
    })
}

/// A case of the shared folder: name, data, formula, family, trials or exposure, names.
type Shared =
    (&'static str, &'static str, &'static str, &'static str, Option<&'static str>, fn(&str) -> Option<String>);

const GAMMA: &str = "precision = loggamma(1, 0.01)";

const SHARED: [Shared; 6] = [
    ("seeds", "Seeds.csv", "r ~ x1 + x2 + x1:x2 + f(plate, model = iid, GAMMA)", "binomial", Some("n"), seeds),
    (
        "epil",
        "Epil_centred_design.csv",
        "y ~ CTrt + ClBase4 + CV4 + ClAge + CBT + f(Ind, model = iid, GAMMA) + f(rand, model = iid, GAMMA)",
        "poisson",
        None,
        epil,
    ),
    (
        "tokyo",
        "Tokyo.csv",
        "y ~ 0 + f(time, model = rw2, cyclic = TRUE, constr = FALSE, precision = loggamma(1, 0.0001))",
        "binomial",
        Some("n"),
        tokyo,
    ),
    (
        "scotland_bym2",
        "Scotland.csv",
        "Counts ~ I(X / 10) + f(Region, model = bym2, graph = \"GRAPH\", precision = pc.prec(1, 0.01), phi = logitbeta(1, 1))",
        "poisson",
        Some("E"),
        scotland,
    ),
    (
        "scotland_besag_iid",
        "Scotland.csv",
        "Counts ~ I(X / 10) + f(Region, model = besag, graph = \"GRAPH\", GAMMA) + f(Region, model = iid, name = \"iid\", GAMMA)",
        "poisson",
        Some("E"),
        scotland,
    ),
    (
        "toenail",
        "toenail_design.csv",
        "y ~ trt + time + trt_time + f(id, model = iid, GAMMA)",
        "binomial",
        None,
        toenail,
    ),
];
/// The cases beside the checkout; empty where the folder is absent.
///
/// # Errors
/// A file that is broken.
pub fn shared_cases() -> Result<Vec<Case>, Failure> {
    let folder = root().join("../shared/validation/cases");
    let graph = "scotland_inla_demodata.graph";
    let mut found = Vec::new();
    for (name, data, formula, family, size, rename) in SHARED {
        let directory = folder.join(name);
        if !directory.exists() {
            continue;
        }
        let formula = formula.replace("GAMMA", GAMMA).replace("GRAPH", graph);
        let mut specification = ModelSpecification::new(&formula, family)?;
        let size = size.map(|column| Source::Column(column.to_owned()));
        match family {
            "binomial" => specification.trials = size,
            _ => specification.exposure = size,
        }
        specification.fixed.intercept_precision = 0.001;
        found.push(Case {
            name: name.to_owned(),
            bars: if name == "toenail" { Bars::TOENAIL } else { Bars::USUAL },
            reference: directory.clone(),
            log_evidence: evidence(&directory.join("log_marginal_likelihood.json")),
            table: Table::from_csv_path(directory.join(data))?,
            specification,
            directory,
            rename,
        });
    }
    for case in &HIERARCHICAL {
        let directory = folder.join(case.name);
        if directory.exists() {
            found.push(Case {
                name: case.name.to_owned(),
                bars: Bars::USUAL,
                reference: directory.clone(),
                log_evidence: evidence(&directory.join("log_marginal_likelihood.json")),
                table: Table::from_csv_path(directory.join(case.data))?,
                specification: case.specification(&directory)?,
                directory,
                rename: case.rename,
            });
        }
    }
    Ok(found)
}
