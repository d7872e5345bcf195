//! What can go wrong between a table, a formula and a model, and what to do about it.

use std::fmt;

use thiserror::Error;

use crate::formula::FormulaError;

/// Where a row stands in the data as the user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line of the file, counted from 1, the header included.
    Line(u64),
    /// A row of a table that was not read from a file, counted from 1.
    Row(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// Errors of the crate: each names what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum InlaError {
    /// What is wrong with one outcome among several.
    #[error("outcome {level:?}: {source}")]
    Outcome {
        /// The outcome.
        level: String,
        /// The error.
        source: Box<InlaError>,
    },
    /// A file cannot be opened or read.
    #[error("cannot read {path}: {reason}")]
    UnreadableFile {
        /// The file.
        path: String,
        /// The reason that the system gives.
        reason: String,
    },
    /// The text of a data file is not a table.
    #[error("data, line {line}: {reason}")]
    MalformedData {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A table without rows.
    #[error("the data has no rows: at least one row is needed below the header")]
    NoRows,
    /// A column whose length differs from the others'.
    #[error("column {column:?} has {found} rows, the columns before it have {expected}")]
    ColumnLength {
        /// The column.
        column: String,
        /// The length of the columns before it.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A column name that is empty or taken.
    #[error("column name {name:?}: {reason}")]
    InvalidColumnName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A column that the table does not have.
    #[error("the data has no column {name:?}{}", did_you_mean(.nearest, .known))]
    UnknownColumn {
        /// The name asked for.
        name: String,
        /// The nearest name of a column.
        nearest: Option<String>,
        /// The names of all columns.
        known: Vec<String>,
    },
    /// Text where a number is needed.
    #[error("column {column:?}, {place}: {text:?} is not a number")]
    NotANumber {
        /// The column.
        column: String,
        /// The first row with such a text.
        place: Place,
        /// The text.
        text: String,
    },
    /// A value that is infinite, or a function of columns that is not finite.
    #[error("{what}, {place}: the value is {value}; it must be finite")]
    NotFinite {
        /// The column or expression.
        what: String,
        /// The row.
        place: Place,
        /// The value.
        value: f64,
    },
    /// A missing value where none may be.
    #[error(
        "column {column:?}, {place}: the value is missing; only the response and the columns of f() may be missing"
    )]
    MissingValue {
        /// The column.
        column: String,
        /// The row.
        place: Place,
    },
    /// The formula cannot be read.
    #[error(transparent)]
    Formula(#[from] FormulaError),
    /// An option that is not known where it stands.
    #[error("{place} has no option {option:?}{}", did_you_mean(.nearest, .known))]
    UnknownOption {
        /// Where: a section of a model file or an effect.
        place: String,
        /// The option.
        option: String,
        /// The nearest known option.
        nearest: Option<String>,
        /// All known options.
        known: Vec<String>,
    },
    /// A family, link, latent model or prior that is not known.
    #[error("there is no {kind} {name:?}{}", did_you_mean(.nearest, .known))]
    UnknownName {
        /// What kind of thing it names.
        kind: &'static str,
        /// The name.
        name: String,
        /// The nearest known name.
        nearest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// An option whose value cannot be used.
    #[error("{place}: {option} = {value}: {reason}")]
    InvalidOption {
        /// Where: a section of a model file or an effect.
        place: String,
        /// The option.
        option: String,
        /// Its value as it was written.
        value: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A description of a model that contradicts itself.
    #[error("{0}")]
    InvalidModel(String),
    /// A factor that distinguishes nothing.
    #[error("factor {factor:?} has the single level {level:?}: remove it from the formula")]
    SingleLevel {
        /// The factor.
        factor: String,
        /// Its level.
        level: String,
    },
    /// A design of fixed effects too large to be held densely.
    #[error(
        "the fixed effects need {columns} columns for {rows} rows: write factors of many levels as f(name, model = iid)"
    )]
    DesignTooLarge {
        /// The number of columns.
        columns: usize,
        /// The number of rows.
        rows: usize,
    },
    /// An observation that the family cannot have produced.
    #[error("{family}, {place}: {reason}")]
    InvalidObservation {
        /// The family.
        family: &'static str,
        /// The row.
        place: Place,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The engine refused the model or failed on it.
    #[error(transparent)]
    Engine(#[from] integration::IntegrationError),
    /// A value that is not among the nodes or locations of an effect.
    #[error("effect {effect:?}, column {column:?}, {place}: {value} is not one of {known}")]
    UnknownLevel {
        /// The effect.
        effect: String,
        /// Its column.
        column: String,
        /// The row.
        place: Place,
        /// The value as it is written in the data.
        value: String,
        /// What is known: `the node numbers 1 to 100`.
        known: String,
    },
}

impl InlaError {
    /// An error of the Laplace approximation.
    pub(crate) fn engine(error: laplace::LaplaceError) -> Self {
        Self::Engine(error.into())
    }

    /// An error of a numerical kernel.
    pub(crate) fn kernel(error: gmrf::GmrfError) -> Self {
        Self::Engine(error.into())
    }

    /// An error about an observation, with its line.
    pub(crate) fn observation(error: laplace::LaplaceError, table: &crate::table::Table) -> Self {
        match error {
            laplace::LaplaceError::InvalidObservation { family, row, reason } => {
                Self::InvalidObservation { family, place: table.place(row), reason }
            }
            other => Self::engine(other),
        }
    }
}

/// The end of a message about an unknown name: the nearest one, or a few of the known ones.
fn did_you_mean(nearest: &Option<String>, known: &[String]) -> String {
    const SHOWN: usize = 40;
    if known.is_empty() {
        return String::new();
    }
    let mut list = known.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if known.len() > SHOWN {
        list.push_str(", …");
    }
    match nearest {
        Some(name) => format!("; did you mean {name:?}? Known: {list}"),
        None => format!("; known: {list}"),
    }
}
