//! The cases with correlated coefficients: their priors stand in a file of their own.

use std::path::Path;

use inla::{JointPrior, ModelSpecification};
use serde_json::Value;

use crate::cases::Failure;

/// A case: folder, data, formula, family, effect, keys of the prior's mean, matrix and degrees of freedom, names.
pub(crate) struct Hierarchical {
    pub(crate) name: &'static str,
    pub(crate) data: &'static str,
    formula: &'static str,
    family: &'static str,
    effect: &'static str,
    coefficients: &'static [&'static str],
    matrix: &'static str,
    degrees: f64,
    pub(crate) rename: fn(&str) -> Option<String>,
}

const SCHOOLS: [&str; 2] = ["(Intercept)", "ses_centred"];
const TUMOR: [&str; 5] = ["(Intercept)", "x", "I(x^2)", "I(x^3)", "I(x^4)"];

pub(crate) const HIERARCHICAL: [Hierarchical; 2] = [
    Hierarchical {
        name: "schools",
        data: "nelsSES.csv",
        formula: "stu_mathscore ~ ses_centred + (ses_centred | school)",
        family: "gaussian",
        effect: "school",
        coefficients: &SCHOOLS,
        matrix: "L0",
        degrees: 4.0,
        rename: schools,
    },
    Hierarchical {
        name: "tumor",
        data: "tumorLocation_long.csv",
        formula: "y ~ x + I(x^2) + I(x^3) + I(x^4) + (x + I(x^2) + I(x^3) + I(x^4) | mouse)",
        family: "poisson",
        effect: "mouse",
        coefficients: &TUMOR,
        matrix: "S0",
        degrees: 7.0,
        rename: tumor,
    },
];

impl Hierarchical {
    /// The model with the priors of `prior.json` in `directory`.
    pub(crate) fn specification(&self, directory: &Path) -> Result<ModelSpecification, Failure> {
        let prior: Value = serde_json::from_str(&std::fs::read_to_string(directory.join("prior.json"))?)?;
        let matrix: Vec<Vec<f64>> = serde_json::from_value(prior[self.matrix].clone())?;
        let mean: Vec<f64> = serde_json::from_value(prior["mu0"].clone())?;
        let p = matrix.len();
        let below = (0..p).flat_map(|j| (j + 1..p).map(move |i| (i, j)));
        let entries = (0..p).map(|j| (j, j)).chain(below).map(|(i, j)| matrix[i][j].to_string());
        let covariance = format!("wishart({}, {})", self.degrees, entries.collect::<Vec<_>>().join(", "));
        let mut specification = ModelSpecification::new(self.formula, self.family)?;
        let options = [("covariance".to_owned(), covariance)];
        specification.effects.insert(self.effect.to_owned(), options.into_iter().collect());
        let names = self.coefficients.iter().map(|name| (*name).to_owned()).collect();
        specification.fixed.joint.push(JointPrior { names, mean, covariance: matrix });
        if let Some(variance) = prior["s20"].as_f64() {
            let precision = format!("loggamma(0.5, {})", 0.5 * variance);
            specification.likelihood.insert("precision".to_owned(), precision);
        }
        Ok(specification)
    }
}

/// The stem of `name[i]` and the numbers inside.
fn indexed(name: &str) -> Option<(&str, Vec<usize>)> {
    let (stem, inside) = name.strip_suffix(']')?.split_once('[')?;
    Some((stem, inside.split(',').map(|word| word.parse().ok()).collect::<Option<_>>()?))
}

fn schools(name: &str) -> Option<String> {
    let own = |k: usize| SCHOOLS[k];
    if let Some((stem, index)) = indexed(name) {
        return Some(match stem {
            "u_intercept" => format!("random.school:{}.{}", own(0), index[0]),
            "u_slope" => format!("random.school:{}.{}", own(1), index[0]),
            "beta_intercept" => format!("coefficients.school.{} {}", index[0], own(0)),
            "beta_slope" => format!("coefficients.school.{} {}", index[0], own(1)),
            _ => return None,
        });
    }
    Some(match name {
        "theta_intercept" => format!("fixed.{}", own(0)),
        "theta_slope" => format!("fixed.{}", own(1)),
        "log_tau_e" => "hyper_internal.likelihood.precision".to_owned(),
        "sd1" => format!("hyper.school.sd[{}]", own(0)),
        "sd2" => format!("hyper.school.sd[{}]", own(1)),
        "rho" => format!("hyper.school.rho[{},{}]", own(0), own(1)),
        "Sigma11" => format!("hyper.school.variance[{}]", own(0)),
        "Sigma22" => format!("hyper.school.variance[{}]", own(1)),
        "Sigma12" => format!("hyper.school.covariance[{},{}]", own(0), own(1)),
        _ => return None,
    })
}

/// `(i, j)` of place `at` (from 1) of a lower triangle by rows, with its diagonal or without.
fn place(at: usize, diagonal: bool) -> Option<(usize, usize)> {
    (0..TUMOR.len()).flat_map(|i| (0..i + usize::from(diagonal)).map(move |j| (i, j))).nth(at.checked_sub(1)?)
}

fn tumor(name: &str) -> Option<String> {
    let (stem, index) = indexed(name)?;
    Some(match (stem, index.as_slice()) {
        ("theta", [k]) => format!("fixed.{}", TUMOR.get(k - 1)?),
        ("sd", [k]) => format!("hyper.mouse.sd[{}]", TUMOR.get(k - 1)?),
        ("rho_lower", [at]) => {
            let (i, j) = place(*at, false)?;
            format!("hyper.mouse.rho[{},{}]", TUMOR[j], TUMOR[i])
        }
        ("Sigma", [at]) => match place(*at, true)? {
            (i, j) if i == j => format!("hyper.mouse.variance[{}]", TUMOR[i]),
            (i, j) => format!("hyper.mouse.covariance[{},{}]", TUMOR[j], TUMOR[i]),
        },
        ("u", [mouse, k]) => format!("random.mouse:{}.{mouse}", TUMOR.get(k - 1)?),
        ("beta", [mouse, k]) => format!("coefficients.mouse.{mouse} {}", TUMOR.get(k - 1)?),
        _ => return None,
    })
}
