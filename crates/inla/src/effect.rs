//! From `f(column, model = …)` and its options to a latent model on the data's levels.

use std::collections::BTreeMap;
use std::sync::Arc;

use gmrf::latent::{
    Ar1, ArealOptions, Besag, BesagProper, Bym, Bym2, Constrained, Iid, RandomWalk, RandomWalkOptions, RandomWalkOrder,
    Replicated,
};
use gmrf::{Graph, Hyperparameter, HyperparameterBlock, LatentModel, LinearConstraints, Prior, Transform};

use crate::error::InlaError;
use crate::fit::Resources;
use crate::formula::EffectCall;
use crate::formula::Value;
use crate::level::LevelIndex;
use crate::nearest::{check_keys, check_name};
use crate::setting::{HyperDefault, HyperSetting, SpecialPrior};
use crate::table::Table;

mod coefficients;
mod copies;
mod generic;
mod groups;
mod placement;
mod splines;

pub(crate) use copies::{Copied, Factor, place_all};
use placement::{Placement, Slopes};

/// The names of the latent models.
pub const MODELS: [&str; 12] =
    ["iid", "iidkd", "bs", "rw1", "rw2", "ar1", "besag", "besagproper", "besagproper2", "bym", "bym2", "generic0"];

/// Options that every effect has.
const COMMON: [&str; 12] = [
    "model",
    "name",
    "weights",
    "replicate",
    "group",
    "group_model",
    "group_rho",
    "group_graph",
    "covariance",
    "values",
    "extraconstr",
    "extraconstr_e",
];

/// A random effect placed on the data.
#[derive(Debug)]
pub(crate) struct PlacedEffect {
    pub(crate) name: String,
    pub(crate) model: Arc<dyn LatentModel>,
    /// The first node of each row, `None` where the effect is absent.
    nodes: Vec<Option<usize>>,
    /// What multiplies the first node of each row, the one behind it, and so on.
    columns: Vec<Vec<f64>>,
    /// `(part, level)` of each node: `(None, "3")`, `(Some("structured"), "3;replicate=2")`, `(Some("slope"), "3")`.
    pub(crate) labels: Vec<(Option<String>, String)>,
    /// Whether its parts are coefficients of columns.
    pub(crate) coefficients: bool,
    /// How a curve changes along its column.
    pub(crate) slopes: Option<Slopes>,
    /// Where it enters the predictor again.
    pub(crate) copies: Vec<Copied>,
}

impl PlacedEffect {
    /// The nodes of a row with their weights.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        nodes_of_row(&self.nodes, &self.columns, row)
    }

    /// The nodes of a row with the derivatives of their weights along `column`; nothing for other effects.
    pub(crate) fn slope_row<'a>(&'a self, column: &str, row: usize) -> impl Iterator<Item = (usize, f64)> + 'a {
        let own = self.slopes.as_ref().filter(|slopes| slopes.column == column);
        own.into_iter().flat_map(move |slopes| nodes_of_row(&self.nodes, &slopes.columns, row))
    }
}

fn nodes_of_row<'a>(
    nodes: &[Option<usize>],
    columns: &'a [Vec<f64>],
    row: usize,
) -> impl Iterator<Item = (usize, f64)> + 'a {
    let columns = nodes[row].map(|first| columns.iter().enumerate().map(move |(k, c)| (first + k, c[row])));
    columns.into_iter().flatten()
}

/// The options of one effect.
struct Options<'a> {
    place: String,
    values: BTreeMap<String, Value>,
    resources: &'a Resources,
    name: String,
    spread: f64,
}

/// Options of effects that stand outside the formula, as text, by the effect's name.
type Outside = BTreeMap<String, BTreeMap<String, String>>;

/// What the effects of a model are placed by, beside the data.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) outside: &'a Outside,
    pub(crate) resources: &'a Resources,
    /// The variance that an effect could have on the scale of the predictor: where searches start.
    pub(crate) spread: f64,
}

impl Options<'_> {
    fn refuse(&self, option: &str, reason: impl Into<String>) -> InlaError {
        let value = self.values.get(option).map_or_else(String::new, ToString::to_string);
        InlaError::InvalidOption { place: self.place.clone(), option: option.to_owned(), value, reason: reason.into() }
    }

    fn boolean(&self, option: &str, default: bool) -> Result<bool, InlaError> {
        match self.values.get(option) {
            None => Ok(default),
            Some(Value::Boolean(value)) => Ok(*value),
            Some(_) => Err(self.refuse(option, "write true or false")),
        }
    }

    fn text(&self, option: &str) -> Result<Option<String>, InlaError> {
        match self.values.get(option) {
            None => Ok(None),
            Some(Value::Name(text) | Value::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.refuse(option, "write a name")),
        }
    }

    fn numbers(&self, option: &str) -> Result<Option<Vec<f64>>, InlaError> {
        let Some(value) = self.values.get(option) else { return Ok(None) };
        let items = match value {
            Value::List(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        items
            .iter()
            .map(|item| match item {
                Value::Number(number) => Ok(*number),
                _ => Err(self.refuse(option, "write numbers: c(1, 2, 3)")),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    fn block(&self, default: HyperDefault) -> Result<HyperparameterBlock, InlaError> {
        self.block_with(default, &|_, _| None)
    }

    fn block_with(&self, default: HyperDefault, special: &SpecialPrior<'_>) -> Result<HyperparameterBlock, InlaError> {
        let option = default.parameter.name.clone();
        let value = self.values.get(&option);
        let setting = value.map(|value| HyperSetting::read(&self.place, &option, value)).transpose()?;
        default.block(&self.place, setting.as_ref(), special)
    }

    fn precision(
        &self,
        initial: f64,
        prior: &'static str,
        arguments: &[f64],
    ) -> Result<HyperparameterBlock, InlaError> {
        if groups::is_unstructured(self) {
            return match self.values.contains_key("precision") {
                true => Err(self.refuse("precision", "the covariance matrix between the groups holds the scale")),
                false => groups::unit_precision(self),
            };
        }
        self.block(HyperDefault::new(Hyperparameter::log_precision("precision", initial), prior, arguments))
    }

    fn graph(&self, option: &str) -> Result<Graph, InlaError> {
        if let Some(graph) = self.resources.graphs.get(&self.name) {
            return Ok(graph.clone());
        }
        let Some(path) = self.text(option)? else {
            return Err(self.refuse(option, "this model needs a graph: graph = \"file\""));
        };
        let text = self.resources.read(&path)?;
        Graph::parse_inla(&text).map_err(|error| self.refuse(option, error.to_string()))
    }

    /// Errors of a lower crate, with the effect's name.
    fn located<T>(&self, result: Result<T, gmrf::GmrfError>) -> Result<T, InlaError> {
        result.map_err(|error| InlaError::InvalidModel(format!("{}: {error}", self.place)))
    }
}

/// What the models call their options beside the common ones.
fn own_options(model: &str) -> &'static [&'static str] {
    match model {
        "iidkd" => &["coefficients"],
        "bs" => &[
            "precision",
            "k",
            "degree",
            "knots",
            "spacing",
            "range",
            "penalty",
            "derivative",
            "diagonal",
            "scale_model",
            "constr",
        ],
        "rw1" | "rw2" => &["precision", "cyclic", "scale_model", "constr"],
        "ar1" => &["precision", "rho"],
        "besag" => &["precision", "graph", "scale_model", "constr"],
        "besagproper" => &["precision", "diagonal", "graph"],
        "besagproper2" => &["precision", "lambda", "graph"],
        "bym" => &["precision_unstructured", "precision_structured", "graph", "scale_model", "constr"],
        "bym2" => &["precision", "phi", "graph"],
        "generic0" => &["precision", "cmatrix", "null_space", "constr"],
        _ => &["precision"],
    }
}

/// The model that an effect's options describe, its nodes found in the data.
fn place(call: &EffectCall, table: &Table, context: &Context<'_>) -> Result<PlacedEffect, InlaError> {
    let options = read_options(call, context)?;
    let model = options.text("model")?.unwrap_or_else(|| "iid".to_owned());
    check_name("latent model", &model, &MODELS)?;
    let known: Vec<&str> = COMMON.iter().chain(own_options(&model)).copied().collect();
    check_keys(&options.place, options.values.keys().map(String::as_str), &known)?;
    groups::check(&model, &options)?;
    if model == "iidkd" {
        let (inner, index, coefficients) = coefficients::model(&options, &call.column, table)?;
        let placement = Placement::of_coefficients(index, coefficients);
        return arrange(extend(inner, &options)?, placement, &options, call, table);
    }
    if model == "bs" {
        let (inner, placement) = splines::model(&options, &call.column, table)?;
        return arrange(extend(inner, &options)?, placement, &options, call, table);
    }
    let (inner, index) = base_model(&model, &options, call, table)?;
    let placement = Placement::of_levels(index, inner.as_ref());
    arrange(extend(inner, &options)?, placement, &options, call, table)
}

/// The name under which an effect is known.
pub(crate) fn effect_name(call: &EffectCall) -> String {
    let named = call.options.iter().find(|(option, _)| option == "name").map(|(_, value)| value);
    match named {
        Some(Value::Name(name) | Value::Text(name)) => name.clone(),
        _ => call.column.clone(),
    }
}

fn read_options<'a>(call: &EffectCall, context: &Context<'a>) -> Result<Options<'a>, InlaError> {
    let name = effect_name(call);
    let place = format!("effect {name:?}");
    let canonical = |option: &str| option.replace('.', "_").to_lowercase();
    let mut values = BTreeMap::new();
    for (option, value) in &call.options {
        values.insert(canonical(option), value.clone());
    }
    if let Some(more) = context.outside.get(&name) {
        for (option, text) in more {
            let option = canonical(option);
            let value = Value::parse(text).unwrap_or_else(|_| Value::Text(text.clone()));
            if values.insert(option.clone(), value).is_some() {
                let reason = "it is given both in the formula and outside; keep one".to_owned();
                return Err(InlaError::InvalidOption { place, option, value: text.clone(), reason });
            }
        }
    }
    Ok(Options { place, values, resources: context.resources, name, spread: context.spread })
}

fn base_model(
    model: &str,
    options: &Options<'_>,
    call: &EffectCall,
    table: &Table,
) -> Result<(Arc<dyn LatentModel>, LevelIndex), InlaError> {
    match model {
        "rw1" | "rw2" | "ar1" => ordered_model(model, options, call, table),
        "besag" | "besagproper" | "besagproper2" | "bym" | "bym2" => areal_model(model, options, call, table),
        "generic0" => generic::model(options, call, table),
        _ => {
            let index = LevelIndex::unordered(&options.name, table, &call.column)?;
            let precision = options.precision(4.0, "loggamma", &[1.0, 5e-5])?;
            Ok((Arc::new(options.located(Iid::new(index.len(), None, precision))?), index))
        }
    }
}

fn ordered_model(
    model: &str,
    options: &Options<'_>,
    call: &EffectCall,
    table: &Table,
) -> Result<(Arc<dyn LatentModel>, LevelIndex), InlaError> {
    let values = options.numbers("values")?;
    let index = LevelIndex::ordered(&options.name, table, &call.column, values.as_deref())?;
    let precision = options.precision(4.0, "loggamma", &[1.0, 5e-5])?;
    if model == "ar1" {
        let rho = Hyperparameter::new("rho", Transform::Correlation, 2.0);
        let rho = options.block(HyperDefault::new(rho, "normal", &[0.0, 0.15]))?;
        return Ok((Arc::new(options.located(Ar1::new(index.len(), precision, rho))?), index));
    }
    let order = if model == "rw1" { RandomWalkOrder::One } else { RandomWalkOrder::Two };
    let walk = RandomWalkOptions {
        cyclic: options.boolean("cyclic", false)?,
        scale_model: options.boolean("scale_model", false)?,
        sum_to_zero: options.boolean("constr", true)?,
    };
    let locations = index.locations.clone().unwrap_or_default();
    let regular = equally_spaced(&locations);
    if walk.cyclic && !regular {
        return Err(
            options.refuse("cyclic", "a cyclic walk needs equally spaced values; name them all by values = c(…)")
        );
    }
    // equal spacing is one unit, whatever it is: the precision is that of the step
    let made = if regular {
        RandomWalk::regular(order, index.len(), walk, precision)
    } else {
        RandomWalk::at(order, &locations, walk, precision)
    };
    Ok((Arc::new(options.located(made)?), index))
}

fn equally_spaced(locations: &[f64]) -> bool {
    let step = locations.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(1.0);
    locations.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() <= 1e-9 * step.abs())
}

fn areal_model(
    model: &str,
    options: &Options<'_>,
    call: &EffectCall,
    table: &Table,
) -> Result<(Arc<dyn LatentModel>, LevelIndex), InlaError> {
    let graph = options.graph("graph")?;
    let index = LevelIndex::graph(&options.name, table, &call.column, graph.order(), None)?;
    let areal = ArealOptions {
        scale_model: options.boolean("scale_model", false)?,
        sum_to_zero: options.boolean("constr", true)?,
    };
    let made: Arc<dyn LatentModel> = match model {
        "besag" => {
            let precision = options.precision(4.0, "loggamma", &[1.0, 5e-5])?;
            Arc::new(options.located(Besag::new(&graph, areal, precision))?)
        }
        "besagproper" => {
            let precision = options.precision(2.0, "loggamma", &[1.0, 5e-4])?;
            let diagonal = Hyperparameter::new("diagonal", Transform::Exp, 1.0);
            let diagonal = options.block(HyperDefault::new(diagonal, "loggamma", &[1.0, 1.0]))?;
            Arc::new(options.located(BesagProper::new(&graph, precision, diagonal))?)
        }
        "besagproper2" => {
            let precision = options.precision(2.0, "loggamma", &[1.0, 5e-4])?;
            let lambda = Hyperparameter::new("lambda", Transform::Logistic, 3.0);
            let lambda = options.block(HyperDefault::new(lambda, "gaussian", &[0.0, 0.45]))?;
            Arc::new(options.located(BesagProper::leroux(&graph, precision, lambda))?)
        }
        "bym" => {
            let precision = |name| {
                let parameter = Hyperparameter::log_precision(name, 4.0);
                options.block(HyperDefault::new(parameter, "loggamma", &[1.0, 5e-4]))
            };
            let (v, u) = (precision("precision_unstructured")?, precision("precision_structured")?);
            Arc::new(options.located(Bym::new(&graph, areal, v, u))?)
        }
        _ => {
            let precision = options.precision(4.0, "pc.prec", &[1.0, 0.01])?;
            let phi = HyperDefault::new(Hyperparameter::new("phi", Transform::Logistic, -3.0), "pc", &[0.5, 0.5]);
            let special = |name: &str, arguments: &[f64]| match (name, arguments) {
                ("pc", &[u, alpha]) => {
                    Some(Bym2::mixing_prior(&graph, u, alpha).map(|prior| Arc::new(prior) as Arc<dyn Prior>))
                }
                _ => None,
            };
            let phi = options.block_with(phi, &special)?;
            Arc::new(options.located(Bym2::new(&graph, precision, phi))?)
        }
    };
    Ok((made, index))
}

/// Adds the user's own constraints.
fn extend(inner: Arc<dyn LatentModel>, options: &Options<'_>) -> Result<Arc<dyn LatentModel>, InlaError> {
    let Some(value) = options.values.get("extraconstr") else { return Ok(inner) };
    let order = inner.pattern().order();
    let usage = format!("write one list of {order} coefficients for each constraint: c(c(…), c(…))");
    let Value::List(rows) = value else { return Err(options.refuse("extraconstr", usage)) };
    let rows = if rows.iter().all(|row| matches!(row, Value::Number(_))) { vec![value] } else { rows.iter().collect() };
    let sides = options.numbers("extraconstr_e")?.unwrap_or_else(|| vec![0.0; rows.len()]);
    if sides.len() != rows.len() {
        return Err(options.refuse("extraconstr_e", format!("{} numbers are needed", rows.len())));
    }
    let mut extra = LinearConstraints::none(order);
    for (row, side) in rows.iter().zip(sides) {
        let Value::List(items) = row else { return Err(options.refuse("extraconstr", usage)) };
        let numbers: Vec<f64> =
            items.iter().filter_map(|item| if let Value::Number(v) = item { Some(*v) } else { None }).collect();
        if numbers.len() != order || items.len() != order {
            return Err(options.refuse("extraconstr", usage));
        }
        let entries: Vec<(usize, f64)> = numbers.into_iter().enumerate().collect();
        options.located(extra.push(&entries, side))?;
    }
    Ok(Arc::new(options.located(Constrained::new(inner, &extra))?))
}

/// Groups, replicates, weights and labels.
fn arrange(
    inner: Arc<dyn LatentModel>,
    placement: Placement,
    options: &Options<'_>,
    call: &EffectCall,
    table: &Table,
) -> Result<PlacedEffect, InlaError> {
    let mut model = inner.clone();
    let copies = |option: &str| -> Result<Option<LevelIndex>, InlaError> {
        let column = options.text(option)?;
        column.map(|column| LevelIndex::unordered(&options.name, table, &column)).transpose()
    };
    let (group, replicate) = (copies("group")?, copies("replicate")?);
    if let Some(group) = &group {
        model = groups::grouped(model, &group.labels, options)?;
    } else if options.values.keys().any(|option| option.starts_with("group_")) {
        return Err(options.refuse("group", "options of the group need group = column"));
    }
    let within_replicate = model.pattern().order();
    if let Some(replicate) = &replicate {
        model = Arc::new(options.located(Replicated::new(model, replicate.len()))?);
    }
    let stride = inner.pattern().order();
    let node = |row: usize| {
        let within = placement.nodes[row]?;
        let g = group.as_ref().map_or(Some(0), |g| g.nodes[row])?;
        let r = replicate.as_ref().map_or(Some(0), |r| r.nodes[row])?;
        Some(within + g * stride + r * within_replicate)
    };
    let nodes = (0..table.rows()).map(node).collect();
    let weight_column = call.weights.clone().or(options.text("weights")?);
    let weights = weight_column.map(|column| table.complete_numeric(&column).map(<[f64]>::to_vec)).transpose()?;
    let mut labels = Vec::with_capacity(model.pattern().order());
    for r in 0..replicate.as_ref().map_or(1, LevelIndex::len) {
        for g in 0..group.as_ref().map_or(1, LevelIndex::len) {
            let of = |copies: &Option<LevelIndex>, what: &str, k: usize| {
                copies.as_ref().map_or_else(String::new, |copies| format!(";{what}={}", copies.labels[k]))
            };
            let behind = of(&replicate, "replicate", r) + &of(&group, "group", g);
            labels.extend(placement.labels.iter().map(|(part, label)| (part.clone(), format!("{label}{behind}"))));
        }
    }
    let (mut columns, mut slopes) = (placement.columns, placement.slopes);
    if let Some(weights) = weights {
        let all = columns.iter_mut().chain(slopes.iter_mut().flat_map(|slopes| &mut slopes.columns));
        all.for_each(|column| column.iter_mut().zip(&weights).for_each(|(c, w)| *c *= w));
    }
    Ok(PlacedEffect {
        name: options.name.clone(),
        model,
        nodes,
        columns,
        labels,
        coefficients: placement.coefficients,
        slopes,
        copies: Vec::new(),
    })
}
