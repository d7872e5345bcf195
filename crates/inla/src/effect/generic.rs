//! Effects whose structure is a matrix of the user's.

use std::collections::BTreeMap;
use std::sync::Arc;

use gmrf::latent::{Generic0, GenericNullSpace};
use gmrf::{LatentModel, SparsityPattern};

use super::Options;
use crate::error::InlaError;
use crate::formula::EffectCall;
use crate::level::LevelIndex;
use crate::table::Table;

/// `cmatrix = "file"`: lines `i j value` of a symmetric matrix, nodes from 1.
pub(super) fn model(
    options: &Options<'_>,
    call: &EffectCall,
    table: &Table,
) -> Result<(Arc<dyn LatentModel>, LevelIndex), InlaError> {
    let Some(path) = options.text("cmatrix")? else {
        return Err(options.refuse("cmatrix", "generic0 needs its matrix: cmatrix = \"file\" of lines i j value"));
    };
    let text = options.resources.read(&path)?;
    let mut entries: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    for (line, content) in text.lines().enumerate().filter(|(_, content)| !content.trim().is_empty()) {
        let words: Vec<&str> = content.split_whitespace().collect();
        let bad = || options.refuse("cmatrix", format!("line {}: write i j value", line + 1));
        let [i, j, value] = words[..] else { return Err(bad()) };
        let node = |word: &str| word.parse::<usize>().ok().filter(|&i| (1..=100_000_000).contains(&i)).ok_or_else(bad);
        let (i, j) = (node(i)? - 1, node(j)? - 1);
        let value = value.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(bad)?;
        if entries.insert((i.max(j), i.min(j)), value).is_some_and(|other| other != value) {
            let reason = format!("line {}: entries ({}, {}) and its mirror differ", line + 1, i + 1, j + 1);
            return Err(options.refuse("cmatrix", reason));
        }
    }
    let order = entries.keys().map(|&(i, _)| i + 1).max().unwrap_or(0);
    let pattern = Arc::new(options.located(SparsityPattern::from_entries(order, entries.keys().copied()))?);
    let values: Vec<f64> = pattern.entries().map(|key| entries.get(&key).copied().unwrap_or(0.0)).collect();
    let null_space = match options.text("null_space")?.as_deref() {
        None | Some("none") => GenericNullSpace::None,
        Some("constant") => GenericNullSpace::Constant,
        Some(_) => return Err(options.refuse("null_space", "write none or constant")),
    };
    let index = LevelIndex::graph(&options.name, table, &call.column, order, None)?;
    let precision = options.precision(4.0, "loggamma", &[1.0, 5e-5])?;
    let constrained = options.boolean("constr", false)?;
    let made = options.located(Generic0::new(&pattern, &values, &null_space, constrained, precision))?;
    Ok((Arc::new(made), index))
}
