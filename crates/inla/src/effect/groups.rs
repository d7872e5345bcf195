//! What couples the copies of an effect that `group = column` makes.

use std::sync::Arc;

use gmrf::latent::{ArealOptions, Besag, Coupled, GroupModel, Grouped, RandomWalkOrder};
use gmrf::{Hyperparameter, HyperparameterBlock, LatentModel, Transform};

use super::{Options, coefficients};
use crate::error::InlaError;
use crate::formula::Value;
use crate::nearest::check_name;
use crate::setting::HyperDefault;

/// The models between groups; the first is the default.
const MODELS: [&str; 7] = ["exchangeable", "iid", "ar1", "rw1", "rw2", "besag", "unstructured"];

/// The effect with one copy for each label of its groups.
pub(super) fn grouped(
    field: Arc<dyn LatentModel>,
    labels: &[String],
    options: &Options<'_>,
) -> Result<Arc<dyn LatentModel>, InlaError> {
    if !is_unstructured(options) {
        let model = group_model(labels.len(), options)?;
        return Ok(Arc::new(options.located(Grouped::new(field, model))?));
    }
    if let Some(option) = ["group_rho", "group_graph"].into_iter().find(|o| options.values.contains_key(*o)) {
        return Err(options.refuse(option, "an unstructured group has a covariance matrix: covariance = …"));
    }
    let between = coefficients::covariance_between(labels, &vec![options.spread; labels.len()], options)?;
    Ok(Arc::new(options.located(Coupled::new(between, field))?))
}

/// Refuses options of a covariance matrix where none is, and a matrix between fields whose own scale is not one precision.
pub(super) fn check(model: &str, options: &Options<'_>) -> Result<(), InlaError> {
    if is_unstructured(options) && ["iidkd", "bym"].contains(&model) {
        let reason = format!("{model} has scales of its own; take bym2, or another field of one precision");
        return Err(options.refuse("group_model", reason));
    }
    if model != "iidkd" && !is_unstructured(options) && options.values.contains_key("covariance") {
        return Err(options.refuse("covariance", "it needs group = column and group_model = unstructured"));
    }
    Ok(())
}

/// Whether a covariance matrix between the groups holds the scale, so that the field itself has none.
pub(super) fn is_unstructured(options: &Options<'_>) -> bool {
    matches!(options.values.get("group_model"), Some(Value::Name(name) | Value::Text(name)) if name == "unstructured")
}

/// A precision that is held at one.
pub(super) fn unit_precision(options: &Options<'_>) -> Result<HyperparameterBlock, InlaError> {
    let unit = Hyperparameter { fixed: true, ..Hyperparameter::log_precision("precision", 0.0) };
    HyperDefault::new(unit, "flat", &[]).block(&options.place, None, &|_, _| None)
}

fn group_model(levels: usize, options: &Options<'_>) -> Result<GroupModel, InlaError> {
    let name = options.text("group_model")?.unwrap_or_else(|| "exchangeable".to_owned());
    check_name("group model", &name, &MODELS)?;
    let rho = |transform, initial, precision: f64| {
        let parameter = Hyperparameter::new("group_rho", transform, initial);
        options.block(HyperDefault::new(parameter, "normal", &[0.0, precision]))
    };
    let made = match name.as_str() {
        "iid" => GroupModel::iid(levels),
        "exchangeable" => GroupModel::exchangeable(levels, rho(Transform::Exchangeable { size: levels }, 1.0, 0.2)?),
        "ar1" => GroupModel::ar1(levels, rho(Transform::Correlation, 2.0, 0.15)?),
        "rw1" => GroupModel::random_walk(RandomWalkOrder::One, levels, false),
        "rw2" => GroupModel::random_walk(RandomWalkOrder::Two, levels, false),
        _ => besag_group(levels, options)?,
    };
    options.located(made)
}

/// A scaled besag structure between the levels of a group.
fn besag_group(levels: usize, options: &Options<'_>) -> Result<Result<GroupModel, gmrf::GmrfError>, InlaError> {
    let graph = options.graph("group_graph")?;
    if graph.order() != levels {
        let reason = format!("the graph has {} nodes, the group {levels} levels", graph.order());
        return Err(options.refuse("group_graph", reason));
    }
    let block = unit_precision(options)?;
    let scaled = ArealOptions { scale_model: true, sum_to_zero: true };
    let besag = options.located(Besag::new(&graph, scaled, block))?;
    let mut values = vec![0.0; besag.pattern().nnz()];
    options.located(besag.fill_precision(&[0.0], &mut values))?;
    Ok(GroupModel::structured(besag.pattern(), &values, besag.constraints()))
}
