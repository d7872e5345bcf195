//! Arithmetic on columns: `log(x)`, `I(x^2)`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FormulaError, QuotedName, number_text, parser};
use crate::error::InlaError;
use crate::table::Table;

/// A function of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The natural logarithm.
    Log,
    /// The exponential.
    Exp,
    /// The square root.
    Sqrt,
    /// The absolute value.
    Abs,
    /// `I()`: the argument itself, read as arithmetic and not as terms.
    Identity,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 5] = [Self::Log, Self::Exp, Self::Sqrt, Self::Abs, Self::Identity];

    /// The name in a formula.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Exp => "exp",
            Self::Sqrt => "sqrt",
            Self::Abs => "abs",
            Self::Identity => "I",
        }
    }

    /// The function of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }

    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Log => value.ln(),
            Self::Exp => value.exp(),
            Self::Sqrt => value.sqrt(),
            Self::Abs => value.abs(),
            Self::Identity => value,
        }
    }
}

/// An arithmetic operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `^`
    Power,
}

impl Operator {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => " + ",
            Self::Subtract => " - ",
            Self::Multiply => " * ",
            Self::Divide => "/",
            Self::Power => "^",
        }
    }

    fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Power => left.powf(right),
        }
    }

    /// How tightly it binds; the minus sign of one argument stands between `Divide` and `Power`, as in R.
    fn precedence(self) -> u8 {
        match self {
            Self::Add | Self::Subtract => 1,
            Self::Multiply | Self::Divide => 2,
            Self::Power => 4,
        }
    }
}

/// How tightly the minus sign of one argument binds.
const NEGATION_PRECEDENCE: u8 = 3;

/// Arithmetic on numeric columns. Displays and serialises as R would write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Expression {
    /// A number that is not negative.
    Number(f64),
    /// A column.
    Column(String),
    /// Minus the argument.
    Negative(Box<Expression>),
    /// Two arguments joined by an operator.
    Binary {
        /// The operator.
        operator: Operator,
        /// Its left argument.
        left: Box<Expression>,
        /// Its right argument.
        right: Box<Expression>,
    },
    /// A function of an argument.
    Call {
        /// The function.
        function: Function,
        /// Its argument.
        argument: Box<Expression>,
    },
}

impl Expression {
    /// Reads an expression such as `log(x + 1)`.
    ///
    /// # Errors
    /// [`FormulaError`] with the place.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        parser::parse_expression(text)
    }

    /// The columns that it names, in order, repeated as they are.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::Column(name) => vec![name],
            Self::Negative(argument) | Self::Call { argument, .. } => argument.columns(),
            Self::Binary { left, right, .. } => {
                let mut names = left.columns();
                names.extend(right.columns());
                names
            }
        }
    }

    /// Its value in every row; NaN where a column that it names is missing.
    ///
    /// # Errors
    /// [`InlaError::UnknownColumn`], [`InlaError::NotANumber`], and [`InlaError::NotFinite`] with the first row in which it
    /// has no finite value although nothing is missing.
    pub fn evaluate(&self, table: &Table) -> Result<Vec<f64>, InlaError> {
        let values = self.values(table)?;
        let mut columns = Vec::new();
        for name in self.columns() {
            columns.push(table.numeric(name)?);
        }
        for (row, &value) in values.iter().enumerate() {
            if !value.is_finite() && !columns.iter().any(|column| column[row].is_nan()) {
                return Err(InlaError::NotFinite { what: self.to_string(), place: table.place(row), value });
            }
        }
        // A missing column may not matter to the arithmetic (x^0); it is missing nevertheless.
        let missing = |row: usize| columns.iter().any(|column| column[row].is_nan());
        Ok(values.into_iter().enumerate().map(|(row, v)| if missing(row) { f64::NAN } else { v }).collect())
    }

    /// As [`evaluate`](Self::evaluate), with no missing value.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and [`InlaError::MissingValue`].
    pub fn evaluate_complete(&self, table: &Table) -> Result<Vec<f64>, InlaError> {
        for name in self.columns() {
            table.complete_numeric(name)?;
        }
        self.evaluate(table)
    }

    fn values(&self, table: &Table) -> Result<Vec<f64>, InlaError> {
        Ok(match self {
            Self::Number(value) => vec![*value; table.rows()],
            Self::Column(name) => table.numeric(name)?.to_vec(),
            Self::Negative(argument) => map(argument.values(table)?, |v| -v),
            Self::Call { function, argument } => map(argument.values(table)?, |v| function.apply(v)),
            Self::Binary { operator, left, right } => {
                // The left side first: chains nest to the left, and this way hold two vectors however long they are.
                let mut values = left.values(table)?;
                values.iter_mut().zip(right.values(table)?).for_each(|(l, r)| *l = operator.apply(*l, r));
                values
            }
        })
    }

    fn precedence(&self) -> u8 {
        match self {
            Self::Negative(_) => NEGATION_PRECEDENCE,
            Self::Binary { operator, .. } => operator.precedence(),
            _ => u8::MAX,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, parenthesised: bool) -> fmt::Result {
        if parenthesised { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

fn map(mut values: Vec<f64>, function: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter_mut().for_each(|v| *v = function(*v));
    values
}

impl TryFrom<String> for Expression {
    type Error = FormulaError;

    fn try_from(text: String) -> Result<Self, FormulaError> {
        Self::parse(&text)
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.to_string()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => f.write_str(&number_text(*value)),
            Self::Column(name) => write!(f, "{}", QuotedName(name)),
            Self::Call { function, argument } => write!(f, "{}({argument})", function.name()),
            Self::Negative(argument) => {
                f.write_str("-")?;
                argument.write(f, argument.precedence() < NEGATION_PRECEDENCE)
            }
            Self::Binary { operator, left, right } => {
                let own = operator.precedence();
                // Powers associate to the right, everything else to the left.
                let power = *operator == Operator::Power;
                let (left_needs, right_needs) = if power { (own + 1, NEGATION_PRECEDENCE) } else { (own, own + 1) };
                left.write(f, left.precedence() < left_needs)?;
                f.write_str(operator.symbol())?;
                right.write(f, right.precedence() < right_needs)
            }
        }
    }
}
