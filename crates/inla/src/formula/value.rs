//! Values of options in `f()`.

use std::fmt;

use super::{FormulaError, QuotedName, parser};

/// The value of an option: `iid`, `0.5`, `"nc.graph"`, `TRUE`, `c(1, 2)`, `pc.prec(1, 0.01, initial = 4)`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A name.
    Name(String),
    /// A finite number.
    Number(f64),
    /// A text in quotes.
    Text(String),
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// `c(…)`.
    List(Vec<Value>),
    /// A name with arguments.
    Call {
        /// The name.
        name: String,
        /// The arguments.
        arguments: Vec<Argument>,
    },
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// What stands before `=`.
    pub name: Option<String>,
    /// The value.
    pub value: Value,
}

impl Value {
    /// Reads a value by itself, such as `pc.prec(1, 0.01)`.
    ///
    /// # Errors
    /// [`FormulaError`] with the place.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        parser::parse_value(text)
    }
}

/// Names that stand for a boolean unless they are in backticks.
pub(super) fn keyword(name: &str) -> Option<bool> {
    match name {
        "TRUE" | "true" => Some(true),
        "FALSE" | "false" => Some(false),
        _ => None,
    }
}

/// Whether a name must be quoted to be one.
pub(super) fn is_keyword(name: &str) -> bool {
    keyword(name).is_some()
}

/// A number as short as it can be without losing a bit: `3`, `0.01`, `1e-7`.
pub(crate) fn number_text(value: f64) -> String {
    const LONGEST: usize = 17;
    let plain = value.to_string();
    if plain.len() <= LONGEST {
        return plain;
    }
    let scientific = format!("{value:e}");
    if scientific.len() < plain.len() { scientific } else { plain }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |items: Vec<String>| items.join(", ");
        match self {
            Self::Name(name) => write!(f, "{}", QuotedName(name)),
            Self::Number(value) => f.write_str(&number_text(*value)),
            Self::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Boolean(value) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
            Self::List(values) => write!(f, "c({})", join(values.iter().map(ToString::to_string).collect())),
            Self::Call { name, arguments } => {
                write!(f, "{}({})", QuotedName(name), join(arguments.iter().map(ToString::to_string).collect()))
            }
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} = {}", QuotedName(name), self.value),
            None => write!(f, "{}", self.value),
        }
    }
}
