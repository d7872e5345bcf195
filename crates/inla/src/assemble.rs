//! From a description and a table to a latent Gaussian model, with the names that results carry.

use std::sync::Arc;

use gmrf::LatentModel;
use gmrf::latent::{FixedEffects, JointPrecision};
use laplace::likelihood::Unobserved;
use laplace::{Design, Effect, LatentGaussianModel, Link, Observations, ScaledEntry, Scaling};

use crate::design_matrix::{FixedDesign, INTERCEPT, collinear_columns, response};
use crate::effect::{Context, Factor, PlacedEffect, effect_name, place_all};
use crate::error::InlaError;
use crate::fit::Resources;
use crate::nearest::nearest;
use crate::outcomes::{Likelihoods, likelihoods};
use crate::specification::{ModelSpecification, Source};
use crate::table::Table;

/// What the fixed effects are called in errors.
const FIXED: &str = "fixed effects";

/// A model with the names of its parts.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) model: LatentGaussianModel,
    /// Names of the coefficients: the first nodes.
    pub(crate) fixed: Vec<String>,
    /// Prior standard deviation of each coefficient, infinite if flat.
    pub(crate) fixed_prior_sd: Vec<f64>,
    pub(crate) effects: Vec<PlacedEffect>,
    /// Rows behind those of the table: coefficients of single groups, fixed and random part together, by effect and label.
    pub(crate) totals: Vec<(String, String)>,
    /// Rows behind those: derivatives of the curves along a column, by column and row of the table.
    pub(crate) slopes: Vec<(String, usize)>,
    /// The link of every row of the table.
    pub(crate) links: Vec<Link>,
    /// The row of the table that stands at each row of the engine.
    pub(crate) order: Vec<usize>,
    pub(crate) family: String,
}

/// Joins a description with its data.
pub(crate) fn assemble(
    specification: &ModelSpecification,
    table: &Table,
    resources: &Resources,
) -> Result<Assembled, InlaError> {
    if table.rows() == 0 {
        return Err(InlaError::NoRows);
    }
    let formula = &specification.formula;
    let y = response(&formula.response, table)?;
    if y.iter().all(|y| y.is_nan()) {
        let reason = format!("every value of the response {} is missing", formula.response);
        return Err(InlaError::InvalidModel(reason));
    }
    let Likelihoods { mut observations, links, order, family } = likelihoods(specification, table, &y)?;
    let fixed = FixedDesign::new(formula, table)?;
    check_names(specification)?;
    let context = Context { outside: &specification.effects, resources, spread: spread(&links, &y) };
    let effects = place_all(&formula.effects, table, &context)?;
    let mut parts = Vec::new();
    let mut fixed_prior_sd = Vec::new();
    if !fixed.names.is_empty() {
        let (model, sds) = fixed_effects(specification, &fixed)?;
        parts.push(Effect { name: FIXED.to_owned(), model });
        fixed_prior_sd = sds;
    }
    parts.extend(effects.iter().map(|e| Effect { name: e.name.clone(), model: e.model.clone() }));
    check_outcomes(&observations, &effects)?;
    let mut design = design(specification, (table, &order), &fixed, &effects)?;
    let totals = push_totals(&mut design, &fixed, &effects)?;
    let slopes = push_slopes(&mut design, fixed.names.len(), &effects)?;
    if totals.len() + slopes.len() > 0 {
        let likelihood = Arc::new(Unobserved::new(totals.len() + slopes.len()));
        observations.push(Observations { name: "coefficients".to_owned(), likelihood });
    }
    let model = LatentGaussianModel::new_like(parts, observations, design, resources.analysis.as_ref())
        .map_err(InlaError::engine)?;
    Ok(Assembled { model, fixed: fixed.names, fixed_prior_sd, effects, totals, slopes, links, order, family })
}

/// The variance of the responses where the predictor has their units, else one.
fn spread(links: &[Link], y: &[f64]) -> f64 {
    if links.iter().any(|link| *link != Link::Identity) {
        return 1.0;
    }
    let observed: Vec<f64> = y.iter().copied().filter(|y| y.is_finite()).collect();
    let mean = observed.iter().sum::<f64>() / observed.len() as f64;
    let variance = observed.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / observed.len() as f64;
    if variance.is_normal() { variance } else { 1.0 }
}

/// Every name of an effect is its own, and every section of options has its effect.
fn check_names(specification: &ModelSpecification) -> Result<(), InlaError> {
    let names: Vec<String> = specification.formula.effects.iter().map(effect_name).collect();
    for (k, name) in names.iter().enumerate() {
        if names[..k].contains(name) {
            let reason = format!("two effects are called {name:?}: give one of them a name = \"…\"");
            return Err(InlaError::InvalidModel(reason));
        }
    }
    if let Some(name) = specification.effects.keys().find(|name| !names.contains(name)) {
        let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
        return Err(InlaError::UnknownName { kind: "effect", name: name.clone(), nearest: near, known: names });
    }
    Ok(())
}

/// Hyperparameters of outcomes and of effects are told apart by their names.
fn check_outcomes(observations: &[Observations], effects: &[PlacedEffect]) -> Result<(), InlaError> {
    let of_copies = effects.iter().flat_map(|effect| effect.copies.iter().map(|copy| &copy.name));
    let mut names = effects.iter().map(|effect| &effect.name).chain(of_copies);
    match names.find(|name| observations.iter().any(|o| o.name == **name)) {
        None => Ok(()),
        Some(name) => {
            let reason = format!("an outcome and an effect are both called {name:?}: give the effect a name = \"…\"");
            Err(InlaError::InvalidModel(reason))
        }
    }
}

/// The prior of the coefficients, and its standard deviations.
fn fixed_effects(
    specification: &ModelSpecification,
    design: &FixedDesign,
) -> Result<(Arc<dyn LatentModel>, Vec<f64>), InlaError> {
    let priors = &specification.fixed;
    let names = &design.names;
    let position = |name: &String| {
        names.iter().position(|known| known == name).ok_or_else(|| InlaError::UnknownName {
            kind: "coefficient",
            name: name.clone(),
            nearest: nearest(name, names.iter().map(String::as_str)).map(str::to_owned),
            known: names.clone(),
        })
    };
    let mut means = vec![0.0; names.len()];
    let common = |name: &String| if name == INTERCEPT { priors.intercept_precision } else { priors.precision };
    let mut precisions: Vec<f64> = names.iter().map(common).collect();
    for (name, prior) in &priors.coefficients {
        let k = position(name)?;
        means[k] = prior.mean.unwrap_or(0.0);
        precisions[k] = prior.precision.unwrap_or(precisions[k]);
    }
    let mut sds: Vec<f64> = precisions.iter().map(|p| p.sqrt().recip()).collect();
    let mut joint = Vec::new();
    for block in &priors.joint {
        let nodes = block.names.iter().map(position).collect::<Result<Vec<_>, _>>()?;
        let precision = inverse(&block.covariance, nodes.len())?;
        if block.mean.len() != nodes.len() {
            let reason = format!("a joint prior of {} coefficients has {} means", nodes.len(), block.mean.len());
            return Err(InlaError::InvalidModel(reason));
        }
        for (i, &node) in nodes.iter().enumerate() {
            (means[node], precisions[node]) = (block.mean[i], precision[i][i]);
            sds[node] = block.covariance[i][i].sqrt();
        }
        joint.push(JointPrecision { nodes, precision });
    }
    refuse_collinear(design, &precisions)?;
    let model = FixedEffects::new(&means, &precisions, &joint)
        .map_err(|error| InlaError::InvalidModel(format!("prior of the fixed effects: {error}")))?;
    Ok((Arc::new(model), sds))
}

/// Columns with flat priors must be linearly independent; what they depend on is named.
fn refuse_collinear(design: &FixedDesign, precisions: &[f64]) -> Result<(), InlaError> {
    let flat: Vec<usize> = (0..precisions.len()).filter(|&k| precisions[k] == 0.0).collect();
    let columns: Vec<Vec<f64>> = flat.iter().map(|&k| design.columns[k].clone()).collect();
    let Some(dependence) = collinear_columns(&columns).into_iter().next() else { return Ok(()) };
    let name = |k: usize| format!("{:?}", design.names[flat[k]]);
    let others: Vec<String> = dependence.on.iter().map(|&k| name(k)).collect();
    let on = if others.is_empty() { "zero".to_owned() } else { format!("determined by {}", others.join(", ")) };
    let column = name(dependence.column);
    let reason = format!("column {column} is {on}, and its prior is flat: remove it or give it a prior precision");
    Err(InlaError::InvalidModel(reason))
}

/// The inverse of a small symmetric positive definite matrix, by Cholesky.
fn inverse(covariance: &[Vec<f64>], order: usize) -> Result<Vec<Vec<f64>>, InlaError> {
    let refuse = |reason: &str| InlaError::InvalidModel(format!("covariance of a joint prior: {reason}"));
    if covariance.len() != order || covariance.iter().any(|row| row.len() != order) {
        return Err(refuse("it must have one row and one column for each name"));
    }
    let symmetric = |i: usize, j: usize| (covariance[i][j] - covariance[j][i]).abs() <= 1e-12 * covariance[i][i].abs();
    if (0..order).any(|i| (0..i).any(|j| !symmetric(i, j))) {
        return Err(refuse("it is not symmetric"));
    }
    let entries = (0..order).flat_map(|i| (0..i).map(move |j| (i, j)));
    let pattern = Arc::new(gmrf::SparsityPattern::from_entries(order, entries).map_err(InlaError::kernel)?);
    let values: Vec<f64> = pattern.entries().map(|(i, j)| covariance[i][j]).collect();
    let none = gmrf::LinearConstraints::none(order);
    let symbolic = gmrf::SymbolicFactor::analyze(&pattern, &none).map_err(InlaError::kernel)?;
    let mut factor = gmrf::CholeskyFactor::new(symbolic);
    factor.refactor(&values).map_err(|_| refuse("it is not positive definite"))?;
    let mut work = vec![0.0; factor.work_length()];
    (0..order)
        .map(|j| {
            let mut column = vec![0.0; order];
            column[j] = 1.0;
            factor.solve_in_place(&mut column, &mut work).map_err(InlaError::kernel)?;
            Ok(column)
        })
        .collect()
}

/// One row for every random coefficient that has a fixed part: their sum.
fn push_totals(
    design: &mut Design,
    fixed: &FixedDesign,
    effects: &[PlacedEffect],
) -> Result<Vec<(String, String)>, InlaError> {
    let mut totals = Vec::new();
    let mut start = fixed.names.len();
    for effect in effects {
        for (node, (part, label)) in effect.labels.iter().enumerate().filter(|_| effect.coefficients) {
            let own = fixed.names.iter().position(|name| Some(name) == part.as_ref());
            if let (Some(k), Some(part)) = (own, part) {
                design.push_row(&[(k, 1.0), (start + node, 1.0)], 0.0).map_err(InlaError::engine)?;
                totals.push((effect.name.clone(), format!("{label} {part}")));
            }
        }
        start += effect.labels.len();
    }
    Ok(totals)
}

/// One row for every row of the table in which there is a curve along a column whose derivative is asked for.
fn push_slopes(design: &mut Design, fixed: usize, effects: &[PlacedEffect]) -> Result<Vec<(String, usize)>, InlaError> {
    let wanted = effects.iter().filter_map(|effect| effect.slopes.as_ref().filter(|slopes| slopes.wanted));
    let mut columns: Vec<&String> = wanted.map(|slopes| &slopes.column).collect();
    columns.sort();
    columns.dedup();
    let mut all = Vec::new();
    for column in columns {
        let rows = effects.iter().filter_map(|effect| effect.slopes.as_ref()?.columns.first()).map(Vec::len).max();
        for row in 0..rows.unwrap_or(0) {
            let (mut entries, mut start) = (Vec::new(), fixed);
            for effect in effects {
                entries.extend(effect.slope_row(column, row).map(|(node, slope)| (start + node, slope)));
                start += effect.labels.len();
            }
            if !entries.is_empty() {
                design.push_row(&entries, 0.0).map_err(InlaError::engine)?;
                all.push((column.clone(), row));
            }
        }
    }
    Ok(all)
}

/// The estimated factors of copies, in the order of the effects and of their copies.
fn scalings(effects: &[PlacedEffect]) -> Vec<Scaling> {
    let copies = effects.iter().flat_map(|effect| &effect.copies);
    let free = copies.filter_map(|copy| match &copy.factor {
        Factor::Fixed(_) => None,
        Factor::Free(block) => Some(Scaling { name: copy.name.clone(), block: block.clone() }),
    });
    free.collect()
}

fn design(
    specification: &ModelSpecification,
    (table, order): (&Table, &[usize]),
    fixed: &FixedDesign,
    effects: &[PlacedEffect],
) -> Result<Design, InlaError> {
    let mut starts = Vec::with_capacity(effects.len());
    let mut nodes = fixed.names.len();
    for effect in effects {
        starts.push(nodes);
        nodes += effect.model.pattern().order();
    }
    let offset = match &specification.offset {
        None => vec![0.0; table.rows()],
        Some(Source::Number(value)) => vec![*value; table.rows()],
        Some(Source::Column(name)) => table.complete_numeric(name)?.to_vec(),
    };
    let mut design = Design::with_scalings(nodes, scalings(effects));
    let (mut row, mut scaled) = (Vec::new(), Vec::new());
    for &i in order {
        row.clear();
        scaled.clear();
        let mut scaling = 0;
        row.extend(fixed.columns.iter().enumerate().map(|(k, column)| (k, column[i])));
        for (effect, start) in effects.iter().zip(&starts) {
            row.extend(effect.row(i).map(|(node, weight)| (start + node, weight)));
            for copy in &effect.copies {
                let entries = copy.row(i).map(|(node, weight)| (start + node, weight));
                match copy.factor {
                    Factor::Fixed(factor) => row.extend(entries.map(|(node, weight)| (node, factor * weight))),
                    Factor::Free(_) => {
                        scaled.extend(entries.map(|(node, coefficient)| ScaledEntry { node, coefficient, scaling }));
                        scaling += 1;
                    }
                }
            }
        }
        design.push_scaled_row(&row, &scaled, fixed.offset[i] + offset[i]).map_err(InlaError::engine)?;
    }
    Ok(design)
}
