//! From the options of a description to those of the exploration.

use integration::design::GridOptions;
use integration::{ExploreOptions, NutsOptions, Rung, Strategy};

use crate::assemble::Assembled;
use crate::error::InlaError;
use crate::fit::part_name;
use crate::nearest::check_name;
use crate::specification::FitOptions;

/// The names of the designs.
const STRATEGIES: [&str; 7] = ["auto", "eb", "grid", "ccd", "gauss-hermite", "importance", "nuts"];
/// The names of the variational families.
const VARIATIONAL: [&str; 2] = ["mean", "mean+variance"];

fn refuse(option: &str, value: impl ToString, reason: &str) -> InlaError {
    InlaError::InvalidOption {
        place: "fit".to_owned(),
        option: option.to_owned(),
        value: value.to_string(),
        reason: reason.to_owned(),
    }
}

/// The exploration that a fit asks for; nodes are named once the model is assembled, by [`laplace_nodes`].
pub(crate) fn explore_options(fit: &FitOptions) -> Result<ExploreOptions, InlaError> {
    check_name("integration", &fit.integration, &STRATEGIES)?;
    let rung = rung(fit)?;
    let step = fit.grid_step.unwrap_or(1.0);
    if !(0.05..=2.0).contains(&step) {
        return Err(refuse("grid_step", step, "it must lie between 0.05 and 2"));
    }
    if !(1.0..=50.0).contains(&fit.grid_drop) {
        return Err(refuse("grid_drop", fit.grid_drop, "it must lie between 1 and 50"));
    }
    let grid = match fit.grid_step {
        None if fit.grid_drop == GridOptions::for_dimension(1).drop => None,
        given => {
            Some(GridOptions { step, drop: fit.grid_drop, thinned: given.is_none(), ..GridOptions::for_dimension(2) })
        }
    };
    let strategy = match fit.integration.as_str() {
        "eb" => Strategy::EmpiricalBayes,
        "grid" => Strategy::Grid(grid),
        // a spacing of one's own asks for a grid
        "auto" if grid.is_some() => Strategy::Grid(grid),
        "ccd" => Strategy::CentralComposite,
        "gauss-hermite" => Strategy::GaussHermite(fit.nodes),
        "importance" => Strategy::Importance,
        "nuts" => Strategy::Nuts(NutsOptions { chains: fit.chains, tuning: fit.tuning, draws: fit.draws }),
        _ => Strategy::Automatic,
    };
    Ok(ExploreOptions {
        strategy,
        rung,
        criteria: fit.criteria,
        certificate: fit.certificate,
        laplace_predictors: fit.laplace_predictors,
        ..ExploreOptions::default()
    })
}

/// The rung by name; what does not belong to it is refused.
fn rung(fit: &FitOptions) -> Result<Option<Rung>, InlaError> {
    let rungs: Vec<&str> = std::iter::once("auto").chain(Rung::ALL.map(Rung::name)).collect();
    check_name("approximation", &fit.approximation, &rungs)?;
    let rung = Rung::from_name(&fit.approximation);
    if !fit.laplace_nodes.is_empty() && rung != Some(Rung::Laplace) {
        let names = fit.laplace_nodes.join(", ");
        return Err(refuse("laplace_nodes", names, "it belongs to approximation = \"laplace\""));
    }
    if let Some(wanted) = fit.laplace_predictors.filter(|_| rung != Some(Rung::Laplace)) {
        return Err(refuse("laplace_predictors", wanted, "it belongs to approximation = \"laplace\""));
    }
    let Some(family) = &fit.variational else { return Ok(rung) };
    check_name("variational", family, &VARIATIONAL)?;
    match (rung, family.as_str()) {
        (Some(Rung::Variational | Rung::VariationalMeanVariance), "mean+variance") => {
            Ok(Some(Rung::VariationalMeanVariance))
        }
        (Some(Rung::Variational), _) => Ok(rung),
        _ => Err(refuse("variational", family, "it belongs to approximation = \"variational\"")),
    }
}

/// The nodes of the coefficients, effects and parts of effects that `names` names; `None` for none, which asks for all.
pub(crate) fn laplace_nodes(names: &[String], assembled: &Assembled) -> Result<Option<Vec<usize>>, InlaError> {
    if names.is_empty() {
        return Ok(None);
    }
    let mut known: Vec<(String, usize)> = assembled.fixed.iter().cloned().zip(0..).collect();
    let mut start = assembled.fixed.len();
    for effect in &assembled.effects {
        for (node, (part, _)) in (start..).zip(&effect.labels) {
            known.push((effect.name.clone(), node));
            if part.is_some() {
                known.push((part_name(&effect.name, part.as_deref()), node));
            }
        }
        start += effect.labels.len();
    }
    let mut all: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    for name in names {
        check_name("node of laplace_nodes", name, &all)?;
    }
    Ok(Some(known.iter().filter(|(name, _)| names.contains(name)).map(|(_, node)| *node).collect()))
}
