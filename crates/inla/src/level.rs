//! From the values of an effect's column to the nodes of the effect.

use std::collections::HashMap;

use crate::error::InlaError;
use crate::table::{Column, Table, distinct_sorted, number_label, position_sorted};

/// The node of every row, and what the nodes are called.
///
/// A row whose value is missing has no node: the effect does not enter its linear predictor.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelIndex {
    /// The names of the nodes as results give them.
    pub labels: Vec<String>,
    /// The node of each row of the table, from 0.
    pub nodes: Vec<Option<usize>>,
    /// Where the nodes stand, strictly ascending, if the effect is ordered.
    pub locations: Option<Vec<f64>>,
}

impl LevelIndex {
    /// The nodes of an effect without order: the levels of a text in order of appearance, of numbers ascending.
    ///
    /// # Errors
    /// [`InlaError::UnknownColumn`]; [`InlaError::InvalidModel`] if every value is missing.
    pub fn unordered(effect: &str, table: &Table, column: &str) -> Result<Self, InlaError> {
        let (labels, nodes) = table.factor(column)?;
        Self { labels, nodes, locations: None }.checked(effect, column)
    }

    /// The nodes of an effect without order whose labels are given, some of them perhaps without a row.
    ///
    /// # Errors
    /// As [`unordered`](Self::unordered), [`InlaError::UnknownLevel`] for a value that is not among `labels`, and
    /// [`InlaError::InvalidModel`] for repeated labels.
    pub fn labelled(effect: &str, table: &Table, column: &str, labels: &[String]) -> Result<Self, InlaError> {
        let mut index = HashMap::new();
        for (node, label) in labels.iter().enumerate() {
            if index.insert(label.as_str(), node).is_some() {
                return Err(InlaError::InvalidModel(format!("effect {effect:?} has the level {label:?} twice")));
            }
        }
        let (levels, codes) = table.factor(column)?;
        let known: Vec<Option<usize>> = levels.iter().map(|level| index.get(level.as_str()).copied()).collect();
        let known_text = || match labels {
            [] => "no levels".to_owned(),
            [only] => format!("the level {only}"),
            [first, .., last] => format!("the {} levels {first} … {last}", labels.len()),
        };
        let mut nodes = Vec::with_capacity(codes.len());
        for (row, code) in codes.into_iter().enumerate() {
            match code.map(|code| known[code]) {
                Some(None) => return Err(unknown_level(effect, table, column, row, known_text())),
                node => nodes.push(node.flatten()),
            }
        }
        Self { labels: labels.to_vec(), nodes, locations: None }.checked(effect, column)
    }

    /// The nodes of an effect in order: the distinct numbers of the column, or `values` if they are given.
    ///
    /// # Errors
    /// [`InlaError::UnknownColumn`], [`InlaError::NotANumber`]; with `values`, [`InlaError::UnknownLevel`] for a number that is
    /// not among them; [`InlaError::InvalidModel`] if they are not finite and distinct, or if every value is missing.
    pub fn ordered(effect: &str, table: &Table, column: &str, values: Option<&[f64]>) -> Result<Self, InlaError> {
        let numbers = table.numeric(column)?;
        let locations = distinct_sorted(values.unwrap_or(numbers));
        if values.is_some_and(|values| values.len() != locations.len() || values.iter().any(|v| !v.is_finite())) {
            return Err(InlaError::InvalidModel(format!("effect {effect:?}: values must be finite and distinct")));
        }
        let mut nodes = Vec::with_capacity(numbers.len());
        for (row, &number) in numbers.iter().enumerate() {
            let node = position_sorted(&locations, number);
            if node.is_none() && !number.is_nan() {
                let known = format!("the {} values given for the effect", locations.len());
                return Err(unknown_level(effect, table, column, row, known));
            }
            nodes.push(node);
        }
        let labels = locations.iter().map(|&v| number_label(v)).collect();
        Self { labels, nodes, locations: Some(locations) }.checked(effect, column)
    }

    /// The nodes of an effect on a graph of `size` nodes: by their numbers from 1, or by `labels` if the graph has some.
    ///
    /// # Errors
    /// [`InlaError::UnknownLevel`] for a value that names no node, [`InlaError::NotANumber`] for text where the graph has no
    /// labels, and those of [`labelled`](Self::labelled).
    pub fn graph(
        effect: &str,
        table: &Table,
        column: &str,
        size: usize,
        labels: Option<&[String]>,
    ) -> Result<Self, InlaError> {
        if let Some(labels) = labels {
            return Self::labelled(effect, table, column, labels);
        }
        let mut nodes = Vec::with_capacity(table.rows());
        for (row, &number) in table.numeric(column)?.iter().enumerate() {
            if number.is_nan() {
                nodes.push(None);
            } else if number.fract() == 0.0 && number >= 1.0 && number <= size as f64 {
                nodes.push(Some(number as usize - 1));
            } else {
                let known = format!("the graph's node numbers 1 to {size}");
                return Err(unknown_level(effect, table, column, row, known));
            }
        }
        let labels = (1..=size).map(|node| node.to_string()).collect();
        Self { labels, nodes, locations: None }.checked(effect, column)
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no node; the constructors make none without.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn checked(self, effect: &str, column: &str) -> Result<Self, InlaError> {
        if self.nodes.iter().any(Option::is_some) {
            return Ok(self);
        }
        Err(InlaError::InvalidModel(format!("effect {effect:?}: every value of column {column:?} is missing")))
    }
}

fn unknown_level(effect: &str, table: &Table, column: &str, row: usize, known: String) -> InlaError {
    InlaError::UnknownLevel {
        effect: effect.to_owned(),
        column: column.to_owned(),
        place: table.place(row),
        value: table.column(column).ok().and_then(|column: &Column| column.label(row)).unwrap_or_default(),
        known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new()
            .with_numeric("t", &[2.5, 1.0, f64::NAN, 10.0, 1.0])
            .and_then(|t| t.with_numeric("node", &[1.0, 3.0, 3.0, f64::NAN, 2.0]))
            .and_then(|t| t.with_text("g", &["b", "a", "", "b", "c"]))
            .unwrap()
    }

    #[test]
    fn text_levels_stand_by_appearance_and_numbers_ascending() {
        let index = LevelIndex::unordered("g", &table(), "g").unwrap();
        assert_eq!(index.labels, ["b", "a", "c"]);
        assert_eq!(index.nodes, [Some(0), Some(1), None, Some(0), Some(2)]);
        let index = LevelIndex::unordered("t", &table(), "t").unwrap();
        assert_eq!((index.labels.join(" "), index.nodes[3], index.locations), ("1 2.5 10".to_owned(), Some(2), None));
    }

    #[test]
    fn ordered_effects_have_locations() {
        let index = LevelIndex::ordered("t", &table(), "t", None).unwrap();
        assert_eq!(index.locations.as_deref(), Some(&[1.0, 2.5, 10.0][..]));
        assert_eq!(index.nodes, [Some(1), Some(0), None, Some(2), Some(0)]);
        let index = LevelIndex::ordered("t", &table(), "t", Some(&[10.0, 5.0, 2.5, 1.0])).unwrap();
        assert_eq!((index.len(), index.nodes[3]), (4, Some(3)));
        let error = LevelIndex::ordered("t", &table(), "t", Some(&[1.0, 10.0])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "effect \"t\", column \"t\", row 1: 2.5 is not one of the 2 values given for the effect"
        );
        assert!(LevelIndex::ordered("t", &table(), "t", Some(&[1.0, 1.0, 2.5, 10.0])).is_err());
        assert!(LevelIndex::ordered("t", &table(), "t", Some(&[1.0, f64::NAN])).is_err());
        assert!(matches!(LevelIndex::ordered("g", &table(), "g", None), Err(InlaError::NotANumber { .. })));
    }

    #[test]
    fn graph_nodes_are_numbers_from_one_or_labels() {
        let index = LevelIndex::graph("u", &table(), "node", 4, None).unwrap();
        assert_eq!(index.nodes, [Some(0), Some(2), Some(2), None, Some(1)]);
        assert_eq!(index.labels, ["1", "2", "3", "4"]);
        let error = LevelIndex::graph("u", &table(), "node", 2, None).unwrap_err().to_string();
        assert_eq!(error, "effect \"u\", column \"node\", row 2: 3 is not one of the graph's node numbers 1 to 2");
        assert!(LevelIndex::graph("u", &table(), "t", 20, None).is_err());
        let labels = ["a", "b", "c", "d"].map(str::to_owned);
        let index = LevelIndex::graph("u", &table(), "g", 4, Some(&labels)).unwrap();
        assert_eq!(index.nodes, [Some(1), Some(0), None, Some(1), Some(2)]);
        let error = LevelIndex::graph("u", &table(), "g", 2, Some(&labels[..2])).unwrap_err().to_string();
        assert_eq!(error, "effect \"u\", column \"g\", row 5: c is not one of the 2 levels a … b");
        assert!(matches!(LevelIndex::graph("u", &table(), "g", 4, None), Err(InlaError::NotANumber { .. })));
    }

    #[test]
    fn an_effect_that_is_missing_everywhere_is_refused() {
        let table = Table::new().with_numeric("x", &[f64::NAN]).unwrap();
        assert!(LevelIndex::unordered("x", &table, "x").is_err());
        assert!(LevelIndex::ordered("x", &table, "x", Some(&[1.0])).is_err());
        assert!(LevelIndex::labelled("x", &table, "x", &["a".to_owned(), "a".to_owned()]).is_err());
    }
}
