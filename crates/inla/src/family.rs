//! The likelihood of a description: its family, the columns it reads, its hyperparameters and their defaults.

use std::sync::Arc;

use gmrf::{Hyperparameter, HyperparameterBlock, Transform};
use laplace::likelihood::{
    Beta, Binomial, Censoring, FAMILIES, Gamma, Gaussian, NegativeBinomial, Poisson, StochasticVolatility, StudentT,
    Survival, Weighted,
};
use laplace::{LaplaceError, Likelihood, Link};

use crate::error::InlaError;
use crate::formula::Value;
use crate::nearest::{check_keys, check_name};
use crate::setting::{HyperDefault, HyperSetting};
use crate::specification::{ModelSpecification, Source};
use crate::table::Table;

/// What the likelihood is called in errors.
const PLACE: &str = "the likelihood";
/// The families that are times to an event.
const SURVIVAL: [&str; 2] = ["exponential", "weibull"];

/// The values of a source; rows without a response may lack them.
pub(crate) fn values(source: &Source, table: &Table, y: &[f64]) -> Result<Vec<f64>, InlaError> {
    let column = raw_values(source, table)?;
    if let (Source::Column(name), Some(row)) = (source, (0..y.len()).find(|&i| column[i].is_nan() && !y[i].is_nan())) {
        return Err(InlaError::MissingValue { column: name.clone(), place: table.place(row) });
    }
    Ok(column.into_iter().map(|v| if v.is_nan() { 1.0 } else { v }).collect())
}

/// The values of a source as they stand.
fn raw_values(source: &Source, table: &Table) -> Result<Vec<f64>, InlaError> {
    match source {
        Source::Number(value) => Ok(vec![*value; table.rows()]),
        Source::Column(name) => Ok(table.numeric(name)?.to_vec()),
    }
}

/// The columns that families read beside the response.
struct Columns {
    trials: Option<Vec<f64>>,
    exposure: Option<Vec<f64>>,
    scale: Option<Vec<f64>>,
    truncation: Option<Vec<f64>>,
    censoring: Option<Vec<Censoring>>,
}

impl Columns {
    fn read(specification: &ModelSpecification, table: &Table, y: &[f64]) -> Result<Self, InlaError> {
        let family = specification.family.as_str();
        let optional = |source: &Option<Source>| source.as_ref().map(|s| values(s, table, y)).transpose();
        let survival = SURVIVAL.contains(&family);
        let unused = [
            ("trials", specification.trials.is_some() && family != "binomial"),
            ("exposure", specification.exposure.is_some() && !["poisson", "nbinomial"].contains(&family)),
            ("scale", specification.scale.is_some() && !["gaussian", "t", "gamma", "beta"].contains(&family)),
            ("event", specification.event.is_some() && !survival),
            ("time2", specification.time2.is_some() && !survival),
            ("truncation", specification.truncation.is_some() && !survival),
        ];
        if let Some((option, _)) = unused.iter().find(|(_, unused)| *unused) {
            let reason = format!("family {family:?} has no {option}: remove it or change the family");
            return Err(InlaError::InvalidModel(reason));
        }
        Ok(Self {
            trials: optional(&specification.trials)?,
            exposure: optional(&specification.exposure)?,
            scale: optional(&specification.scale)?,
            truncation: optional(&specification.truncation)?,
            censoring: censoring(specification, table, y)?,
        })
    }
}

/// What is known of every time.
fn censoring(
    specification: &ModelSpecification,
    table: &Table,
    y: &[f64],
) -> Result<Option<Vec<Censoring>>, InlaError> {
    let Some(event) = &specification.event else { return Ok(None) };
    let codes = values(event, table, y)?;
    let upper = specification.time2.as_ref().map(|source| raw_values(source, table)).transpose()?;
    let read = |row: usize| {
        if y[row].is_nan() {
            return Ok(Censoring::Event);
        }
        let upper = upper.as_ref().map(|upper| upper[row]).filter(|upper| !upper.is_nan());
        Censoring::from_code(codes[row], upper).map_err(|reason| {
            let error = LaplaceError::InvalidObservation { family: "survival", row, reason };
            InlaError::observation(error, table)
        })
    };
    (0..y.len()).map(read).collect::<Result<Vec<_>, _>>().map(Some)
}

/// Reads the settings of a family's hyperparameters.
struct Settings<'a>(&'a ModelSpecification);

impl Settings<'_> {
    fn block(&self, default: HyperDefault) -> Result<HyperparameterBlock, InlaError> {
        let name = default.parameter.name.clone();
        let setting = match self.0.likelihood.get(&name) {
            None => None,
            Some(text) => Some(HyperSetting::read(PLACE, &name, &Value::parse(text)?)?),
        };
        default.block(PLACE, setting.as_ref(), &|_, _| None)
    }

    /// A precision whose search starts at `initial`, internal scale.
    fn precision(&self, initial: f64, rate: f64) -> Result<HyperparameterBlock, InlaError> {
        let parameter = Hyperparameter::log_precision("precision", initial);
        self.block(HyperDefault::new(parameter, "loggamma", &[1.0, rate]))
    }

    fn positive(
        &self,
        name: &str,
        initial: f64,
        prior: &'static str,
        arguments: &[f64],
    ) -> Result<HyperparameterBlock, InlaError> {
        let parameter = Hyperparameter::new(name, Transform::Exp, initial);
        self.block(HyperDefault::new(parameter, prior, arguments))
    }

    /// Degrees of freedom above two. Gamma(2, 0.1) is the prior of Juárez and Steel (2010).
    fn freedom(&self) -> Result<HyperparameterBlock, InlaError> {
        let parameter = Hyperparameter::new("dof", Transform::Above { low: 2.0 }, 2.0);
        self.block(HyperDefault::new(parameter, "loggamma", &[2.0, 0.1]))
    }
}

/// The options of a family's hyperparameters.
fn hyperparameters(family: &str) -> &'static [&'static str] {
    match family {
        "gaussian" | "gamma" | "beta" => &["precision"],
        "t" => &["precision", "dof"],
        "nbinomial" => &["size"],
        "weibull" => &["alpha"],
        _ => &[],
    }
}

/// The links that a family allows, the default first.
fn links(family: &str) -> &'static [Link] {
    match family {
        "gaussian" | "t" => &[Link::Identity],
        "poisson" => &Poisson::LINKS,
        "binomial" => &Binomial::LINKS,
        "beta" => &[Link::Logit],
        _ => &[Link::Log],
    }
}

/// The family, weights included, and its link.
pub(crate) fn likelihood(
    specification: &ModelSpecification,
    table: &Table,
    y: &[f64],
) -> Result<(Arc<dyn Likelihood>, Link), InlaError> {
    let family = specification.family.as_str();
    check_name("family", family, &FAMILIES)?;
    let name = FAMILIES.into_iter().find(|name| *name == family).unwrap_or("gaussian");
    let columns = Columns::read(specification, table, y)?;
    check_keys(PLACE, specification.likelihood.keys().map(String::as_str), hyperparameters(family))?;
    let link = match specification.link.as_deref() {
        None | Some("default") => links(family)[0],
        Some(link) => Link::from_name(name, link, links(family)).map_err(InlaError::engine)?,
    };
    let located = |error: LaplaceError| InlaError::observation(error, table);
    let made = made(specification, &columns, (y, link))?.map_err(located)?;
    match &specification.weights {
        None => Ok((made, link)),
        Some(source) => {
            let weights = values(source, table, y)?;
            Ok((Arc::new(Weighted::new(made, &weights).map_err(located)?), link))
        }
    }
}

fn shared<L: Likelihood + 'static>(made: Result<L, LaplaceError>) -> Result<Arc<dyn Likelihood>, LaplaceError> {
    made.map(|likelihood| Arc::new(likelihood) as Arc<dyn Likelihood>)
}

/// The likelihood without weights: an error of the settings outside, of an observation inside.
fn made(
    specification: &ModelSpecification,
    columns: &Columns,
    (y, link): (&[f64], Link),
) -> Result<Result<Arc<dyn Likelihood>, LaplaceError>, InlaError> {
    let settings = Settings(specification);
    let (exposure, scale) = (columns.exposure.as_deref(), columns.scale.as_deref());
    let survival = |shape: Option<HyperparameterBlock>| {
        shared(Survival::likelihood(y, columns.censoring.as_deref(), columns.truncation.as_deref(), shape))
    };
    Ok(match specification.family.as_str() {
        "gaussian" => shared(Gaussian::new(y, scale, settings.precision(log_precision(y), 5e-5)?)),
        "t" => {
            let precision = settings.precision(log_precision(y), 5e-5)?;
            shared(StudentT::likelihood(y, scale, precision, settings.freedom()?))
        }
        "poisson" => shared(Poisson::new(y, exposure, link)),
        "nbinomial" => {
            let size = settings.positive("size", 10.0_f64.ln(), "pc.mgamma", &[7.0])?;
            shared(NegativeBinomial::likelihood(y, exposure, size))
        }
        "gamma" => shared(Gamma::likelihood(y, scale, settings.precision(0.0, 0.01)?)),
        "beta" => shared(Beta::likelihood(y, scale, settings.precision(10.0_f64.ln(), 0.1)?)),
        "exponential" => survival(None),
        "weibull" => survival(Some(settings.positive("alpha", 0.1, "pc.alphaw", &[5.0])?)),
        "stochvol" => shared(StochasticVolatility::likelihood(y)),
        _ => shared(Binomial::new(y, columns.trials.as_deref(), link)),
    })
}

/// Where the search for `log τ` starts: the precision of the data about their mean.
fn log_precision(y: &[f64]) -> f64 {
    let observed: Vec<f64> = y.iter().copied().filter(|y| y.is_finite()).collect();
    let mean = observed.iter().sum::<f64>() / observed.len() as f64;
    let variance = observed.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / observed.len() as f64;
    if variance > 0.0 { -variance.ln() } else { 4.0 }
}
