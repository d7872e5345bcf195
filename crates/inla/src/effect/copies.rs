//! An effect that enters the predictor a second time: `f(j, copy = i, scaling = normal(1, 10))`.
//!
//! The rows of the copy are placed together with those of its source, below them in one table, so that levels are those of both.

use gmrf::{Hyperparameter, HyperparameterBlock, Transform};

use super::{Context, Options, Outside, PlacedEffect, effect_name, place, read_options};
use crate::error::InlaError;
use crate::formula::EffectCall;
use crate::nearest::{check_keys, nearest};
use crate::setting::HyperDefault;
use crate::table::Table;

/// Options of a copy.
const OPTIONS: [&str; 7] = ["copy", "name", "scaling", "fixed", "weights", "replicate", "group"];

/// What multiplies a copy.
#[derive(Debug, Clone)]
pub(crate) enum Factor {
    Fixed(f64),
    Free(HyperparameterBlock),
}

/// A second appearance of an effect.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) name: String,
    pub(crate) factor: Factor,
    nodes: Vec<Option<usize>>,
    columns: Vec<Vec<f64>>,
}

impl Copied {
    /// The nodes of a row with their weights, but for the factor.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        super::nodes_of_row(&self.nodes, &self.columns, row)
    }
}

/// Places every effect of a formula, copies with their sources.
pub(crate) fn place_all(
    calls: &[EffectCall],
    table: &Table,
    context: &Context<'_>,
) -> Result<Vec<PlacedEffect>, InlaError> {
    let options = calls.iter().map(|call| read_options(call, context)).collect::<Result<Vec<_>, _>>()?;
    let copied = options.iter().map(|options| options.text("copy")).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = calls.iter().map(effect_name).collect();
    for (k, source) in copied.iter().enumerate() {
        let Some(source) = source else { continue };
        let Some(found) = names.iter().position(|name| name == source) else {
            let near = nearest(source, names.iter().map(String::as_str)).map(str::to_owned);
            return Err(InlaError::UnknownName { kind: "effect", name: source.clone(), nearest: near, known: names });
        };
        if copied[found].is_some() {
            return Err(options[k].refuse("copy", "that is a copy itself: name the effect that it copies"));
        }
    }
    let mut placed = Vec::new();
    for k in (0..calls.len()).filter(|&k| copied[k].is_none()) {
        let of = |&c: &usize| copied[c].as_ref() == Some(&names[k]);
        let copies: Vec<&Options<'_>> = (0..calls.len()).filter(of).map(|c| &options[c]).collect();
        let copies = copies.into_iter().zip((0..calls.len()).filter(of).map(|c| &calls[c])).collect::<Vec<_>>();
        placed.push(match copies.as_slice() {
            [] => place(&calls[k], table, context)?,
            copies => place_with_copies((&calls[k], &options[k]), copies, table, context)?,
        });
    }
    Ok(placed)
}

/// A source with its copies; what is wrong with one copy alone is said of that one.
fn place_with_copies(
    source: (&EffectCall, &Options<'_>),
    copies: &[(&Options<'_>, &EffectCall)],
    table: &Table,
    context: &Context<'_>,
) -> Result<PlacedEffect, InlaError> {
    stacked(source, copies, table, context).or_else(|error| {
        stacked(source, &[], table, context)?;
        for &copy in copies {
            if let Err(error) = stacked(source, &[copy], table, context) {
                return match error {
                    InlaError::InvalidOption { ref place, .. } if *place == copy.0.place => Err(error),
                    other => Err(copy.0.refuse("copy", other.to_string())),
                };
            }
        }
        Err(error)
    })
}

fn stacked(
    (call, options): (&EffectCall, &Options<'_>),
    copies: &[(&Options<'_>, &EffectCall)],
    table: &Table,
    context: &Context<'_>,
) -> Result<PlacedEffect, InlaError> {
    let mut all = table.clone();
    for (own, copy) in copies {
        check_keys(&own.place, own.values.keys().map(String::as_str), &OPTIONS)?;
        let mut replaced = vec![(call.column.clone(), copy.column.clone())];
        for option in ["replicate", "group"] {
            match (options.text(option)?, own.text(option)?) {
                (Some(column), Some(other)) => replaced.push((column, other)),
                (None, Some(_)) => return Err(own.refuse(option, "the effect that it copies has none")),
                _ => {}
            }
        }
        all = all.below(table, &replaced).map_err(|error| own.refuse("copy", error.to_string()))?;
    }
    let (bare, others) = without_weights(call, options, context.outside);
    let mut placed = place(&bare, &all, &Context { outside: &others, ..*context })?;
    let rows = table.rows();
    let nodes = std::mem::take(&mut placed.nodes);
    let columns = std::mem::take(&mut placed.columns);
    let part = |k: usize| -> (Vec<Option<usize>>, Vec<Vec<f64>>) {
        let range = k * rows..(k + 1) * rows;
        (nodes[range.clone()].to_vec(), columns.iter().map(|column| column[range.clone()].to_vec()).collect())
    };
    if placed.slopes.as_ref().is_some_and(|slopes| slopes.wanted) && !copies.is_empty() {
        return Err(options.refuse("derivative", "an effect with copies has several: leave it out"));
    }
    placed.slopes = None;
    (placed.nodes, placed.columns) = part(0);
    multiply(&mut placed.columns, call, options, table)?;
    for (k, (own, copy)) in copies.iter().enumerate() {
        let (nodes, mut columns) = part(k + 1);
        multiply(&mut columns, copy, own, table)?;
        if nodes.iter().all(Option::is_none) {
            return Err(own.refuse("copy", format!("every value of column {:?} is missing", copy.column)));
        }
        placed.copies.push(Copied { name: own.name.clone(), factor: factor(own)?, nodes, columns });
    }
    Ok(placed)
}

/// The source without its weights: they are those of its own rows only.
fn without_weights(call: &EffectCall, options: &Options<'_>, outside: &Outside) -> (EffectCall, Outside) {
    let kept = |option: &str| option.replace('.', "_").to_lowercase() != "weights";
    let mut call = EffectCall { weights: None, ..call.clone() };
    call.options.retain(|(option, _)| kept(option));
    let own = outside.get(&options.name).map(|own| {
        let own = own.iter().filter(|(option, _)| kept(option));
        (options.name.clone(), own.map(|(option, text)| (option.clone(), text.clone())).collect())
    });
    (call, own.into_iter().collect())
}

fn multiply(
    columns: &mut [Vec<f64>],
    call: &EffectCall,
    options: &Options<'_>,
    table: &Table,
) -> Result<(), InlaError> {
    let Some(name) = call.weights.clone().or(options.text("weights")?) else { return Ok(()) };
    let weights = table.complete_numeric(&name)?;
    columns.iter_mut().for_each(|column| column.iter_mut().zip(weights).for_each(|(c, w)| *c *= w));
    Ok(())
}

/// One by default; estimated where a prior is given, or with `fixed = false`.
fn factor(options: &Options<'_>) -> Result<Factor, InlaError> {
    let fixed = options.boolean("fixed", !options.values.contains_key("scaling"))?;
    let parameter = Hyperparameter::new("scaling", Transform::Identity, 1.0);
    let block = options.block(HyperDefault::new(parameter, "normal", &[1.0, 10.0]))?;
    let parameter = &block.parameters[0];
    Ok(if fixed || parameter.fixed { Factor::Fixed(parameter.initial) } else { Factor::Free(block) })
}
