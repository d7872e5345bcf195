//! Random coefficients: `f(group, model = iidkd, coefficients = "1 + x")`, or `(1 + x | group)`.

use std::sync::Arc;

use gmrf::latent::{CovarianceScale, IidKd, LARGEST_COVARIANCE, Replicated};
use gmrf::prior::{LkjPc, Wishart};
use gmrf::{LatentModel, Prior};

use super::Options;
use crate::design_matrix::FixedDesign;
use crate::error::InlaError;
use crate::formula::{Expression, Formula, Value};
use crate::level::LevelIndex;
use crate::table::Table;

/// The columns whose coefficients vary from group to group.
#[derive(Debug)]
pub(super) struct Coefficients {
    pub(super) names: Vec<String>,
    pub(super) columns: Vec<Vec<f64>>,
}

/// Of the default prior `Wishart(p + 1, 10⁴ I)`: every standard deviation has the default prior of an iid effect, every
/// correlation is uniform.
const DEFAULT_RATE: f64 = 1e-4;
/// The model of `groups` groups, its columns from the data.
pub(super) fn model(
    options: &Options<'_>,
    column: &str,
    table: &Table,
) -> Result<(Arc<dyn LatentModel>, LevelIndex, Coefficients), InlaError> {
    let index = LevelIndex::unordered(&options.name, table, column)?;
    let coefficients = columns(options, table)?;
    let p = coefficients.names.len();
    if !(1..=LARGEST_COVARIANCE).contains(&p) {
        let reason = format!("{p} columns; a covariance matrix has 1 to {LARGEST_COVARIANCE}");
        return Err(options.refuse("coefficients", reason));
    }
    // the search starts where each column explains what there is: its prior has a mode of its own at variances near nothing
    let size = |column: &Vec<f64>| column.iter().map(|x| x * x).sum::<f64>() / column.len() as f64;
    let variances = coefficients.columns.iter().map(|column| options.spread / size(column)).collect::<Vec<f64>>();
    let one = covariance_between(&coefficients.names, &variances, options)?;
    let model = options.located(Replicated::new(Arc::new(one), index.len()))?;
    Ok((Arc::new(model), index, coefficients))
}

/// Effects called `names` with the covariance matrix that the options describe; where they are silent its search starts at `variances`.
pub(super) fn covariance_between(
    names: &[String],
    variances: &[f64],
    options: &Options<'_>,
) -> Result<IidKd, InlaError> {
    let p = names.len();
    if !(1..=LARGEST_COVARIANCE).contains(&p) {
        let reason = format!("there are {p} groups or columns; a covariance matrix has 1 to {LARGEST_COVARIANCE}");
        return Err(options.refuse("covariance", reason));
    }
    let (scale, prior, start, fixed) = covariance(options, variances)?;
    options.located(IidKd::new(names, scale, prior, &start, fixed))
}

fn columns(options: &Options<'_>, table: &Table) -> Result<Coefficients, InlaError> {
    let usage = "name the columns whose coefficients vary: coefficients = \"1 + x\", or write (1 + x | group)";
    let text = match options.values.get("coefficients") {
        Some(Value::Text(text) | Value::Name(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(options.refuse("coefficients", usage)),
    };
    let formula = Formula::parse(&format!("y ~ {text}"))
        .map_err(|error| options.refuse("coefficients", format!("{usage}: {}", error.message)))?;
    if !formula.effects.is_empty() || !formula.offsets.is_empty() {
        return Err(options.refuse("coefficients", usage));
    }
    let response = Expression::Number(0.0);
    let FixedDesign { names, columns, .. } = FixedDesign::new(&Formula { response, ..formula }, table)?;
    if let Some(k) = columns.iter().position(|column| column.iter().all(|&v| v == 0.0)) {
        return Err(options.refuse("coefficients", format!("the column {:?} is zero in every row", names[k])));
    }
    Ok(Coefficients { names, columns })
}

type Covariance = (CovarianceScale, Arc<dyn Prior>, Vec<f64>, bool);

/// `wishart(r, R)`, `lkj(eta, u, alpha)` or `fixed(Σ)`; matrices by their diagonal, then below it column by column.
fn covariance(options: &Options<'_>, variances: &[f64]) -> Result<Covariance, InlaError> {
    let p = variances.len();
    let usage = "write wishart(r), wishart(r, R…), lkj(eta, u, alpha) or fixed(S…); a matrix is its diagonal, then the \
                 entries below it column by column";
    let refuse = |reason: &str| options.refuse("covariance", reason);
    let (name, numbers) = match options.values.get("covariance") {
        None => ("wishart".to_owned(), Vec::new()),
        Some(Value::Name(name)) => (name.clone(), Vec::new()),
        Some(Value::Call { name, arguments }) => {
            let mut numbers = Vec::new();
            for argument in arguments {
                match &argument.value {
                    Value::Number(number) => numbers.push(*number),
                    Value::List(items) => {
                        for item in items {
                            let Value::Number(number) = item else { return Err(refuse(usage)) };
                            numbers.push(*number);
                        }
                    }
                    _ => return Err(refuse(usage)),
                }
            }
            (name.clone(), numbers)
        }
        Some(_) => return Err(refuse(usage)),
    };
    let entries = p * (p + 1) / 2;
    match (name.as_str(), numbers.as_slice()) {
        ("wishart", []) => wishart(options, p as f64 + 1.0, &diagonal(p, DEFAULT_RATE), Some(variances)),
        ("wishart", [degrees]) => wishart(options, *degrees, &diagonal(p, 1.0), None),
        ("wishart", [degrees, rate @ ..]) if rate.len() == entries => {
            wishart(options, *degrees, &symmetric(p, rate), None)
        }
        ("lkj", [eta, u, alpha]) => {
            let variance = (u / -alpha.ln()).powi(2);
            let start = diagonal(p, if variance.is_finite() && variance > 0.0 { variance } else { 1.0 });
            let scale = options.located(CovarianceScale::of_rate(&start))?;
            let prior = LkjPc::new(*eta, *u, *alpha, scale.clone()).map_err(|error| refuse(&error.to_string()))?;
            Ok((scale, Arc::new(prior), start.concat(), false))
        }
        ("fixed", sigma) if sigma.len() == entries => {
            let sigma = symmetric(p, sigma);
            let scale = options.located(CovarianceScale::of_rate(&sigma))?;
            let prior = options.located(Wishart::new(p as f64, scale.clone()))?;
            Ok((scale, Arc::new(prior), sigma.concat(), true))
        }
        ("wishart" | "fixed", _) => {
            Err(refuse(&format!("{usage}; of {p} coefficients it has {entries} entries, {} are given", numbers.len())))
        }
        _ => Err(refuse(usage)),
    }
}

fn wishart(
    options: &Options<'_>,
    degrees: f64,
    rate: &[Vec<f64>],
    start: Option<&[f64]>,
) -> Result<Covariance, InlaError> {
    let scale = options.located(CovarianceScale::of_rate(rate))?;
    let prior =
        Wishart::new(degrees, scale.clone()).map_err(|error| options.refuse("covariance", error.to_string()))?;
    // the prior's mean of the precision matrix, unless its scale says nothing
    let start = match start {
        Some(variances) => {
            let place = |k: usize| if k % (variances.len() + 1) == 0 { variances[k / variances.len()] } else { 0.0 };
            (0..variances.len().pow(2)).map(place).collect()
        }
        None => rate.concat().iter().map(|r| r / degrees).collect(),
    };
    Ok((scale, Arc::new(prior), start, false))
}

fn diagonal(p: usize, value: f64) -> Vec<Vec<f64>> {
    (0..p).map(|i| (0..p).map(|j| if i == j { value } else { 0.0 }).collect()).collect()
}

/// From the diagonal and the entries below it, column by column.
fn symmetric(p: usize, entries: &[f64]) -> Vec<Vec<f64>> {
    let mut matrix = diagonal(p, 0.0);
    let below = (0..p).flat_map(|j| (j + 1..p).map(move |i| (i, j)));
    for ((i, j), &value) in (0..p).map(|j| (j, j)).chain(below).zip(entries) {
        (matrix[i][j], matrix[j][i]) = (value, value);
    }
    matrix
}
