//! Formulas in Wilkinson notation with `f()`, as R users write them.
//!
//! ```
//! use inla::Formula;
//! let formula = Formula::parse("deaths ~ log(income) * region + offset(o) + f(county, model = besag)")?;
//! assert_eq!(
//!     formula.to_string(),
//!     "deaths ~ 1 + log(income) + region + log(income):region + offset(o) + f(county, model = besag)"
//! );
//! # Ok::<(), inla::formula::FormulaError>(())
//! ```
//!
//! Terms are joined by `+`, taken out by `-`, and combined: `a:b` is an interaction, `a*b` is `a + b + a:b`, `a/b` is
//! `a + a:b`, `(a + b + c)^2` all interactions of up to two. `0`, or `-1`, leaves out the intercept. `(1 + x | group)` are
//! random coefficients with their covariance matrix, `(1 + x || group)` independent ones, `(1 | group)` an iid effect.

mod algebra;
mod arguments;
mod arithmetic;
mod coefficients;
mod expression;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use expression::{Expression, Function, Operator};
pub(crate) use value::number_text;
pub use value::{Argument, Value};

/// Formulas and option values longer than this many bytes are refused: nobody wrote them.
const LONGEST_TEXT: usize = 1 << 20;

/// What is wrong with a formula, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("formula, column {}: {message}{}", .column, .excerpt)]
pub struct FormulaError {
    /// What is wrong and what to do.
    pub message: String,
    /// The bytes of the text that are meant.
    pub span: Range<usize>,
    /// The column of the first character that is meant, from 1.
    pub column: usize,
    /// Two more lines: the text around that place, and marks below it.
    pub excerpt: String,
}

impl FormulaError {
    pub(crate) fn new(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        const AROUND: usize = 60;
        let before = text[..span.start].chars().count();
        let marked = text[span.clone()].chars().count().clamp(1, AROUND);
        let skipped = before.saturating_sub(AROUND);
        let shown: String = text
            .chars()
            .skip(skipped)
            .take(before - skipped + marked + AROUND)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let excerpt = format!("\n  {shown}\n  {}{}", " ".repeat(before - skipped), "^".repeat(marked));
        Self { message: message.into(), span, column: before + 1, excerpt }
    }
}

/// One factor of a term of the fixed effects.
#[derive(Debug, Clone, PartialEq)]
pub enum Variable {
    /// A column: as it is if it is numeric, by its levels if it is text.
    Column(String),
    /// A column by its levels even if it is numeric, with the name of the function: `factor` or `as.factor`.
    Factor {
        /// The function as it was written.
        function: String,
        /// The column.
        column: String,
    },
    /// A function of numeric columns.
    Computed(Expression),
}

/// A fixed effect, or the interaction of several, in the order in which the formula first names them.
pub type Term = Vec<Variable>;

/// One `f(column, …)`.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectCall {
    /// The column whose values are the effect's nodes.
    pub column: String,
    /// The column that multiplies the effect.
    pub weights: Option<String>,
    /// The named arguments in order, `model` and `name` among them.
    pub options: Vec<(String, Value)>,
}

/// A formula, its algebra carried out.
///
/// Terms stand in R's order: by the number of variables, then as written. Displays as a formula that parses to the same
/// value, and serialises as that text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Formula {
    /// The response.
    pub response: Expression,
    /// Whether there is an intercept.
    pub intercept: bool,
    /// The other fixed effects.
    pub terms: Vec<Term>,
    /// What is added to the linear predictor as it is.
    pub offsets: Vec<Expression>,
    /// The random effects.
    pub effects: Vec<EffectCall>,
}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// [`FormulaError`] with the place. Nesting deeper than 64 and more than 10 000 terms are refused.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        parser::parse_formula(text)
    }

    /// A formula with an intercept and nothing else.
    pub fn intercept_only(response: Expression) -> Self {
        Self { response, intercept: true, terms: Vec::new(), offsets: Vec::new(), effects: Vec::new() }
    }
}

impl TryFrom<String> for Formula {
    type Error = FormulaError;

    fn try_from(text: String) -> Result<Self, FormulaError> {
        Self::parse(&text)
    }
}

impl From<Formula> for String {
    fn from(formula: Formula) -> Self {
        formula.to_string()
    }
}

/// A name as it stands in a formula: in backticks unless it is plain.
pub(crate) struct QuotedName<'a>(pub &'a str);

impl fmt::Display for QuotedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if lexer::is_plain_name(self.0) && !value::is_keyword(self.0) {
            return f.write_str(self.0);
        }
        write!(f, "`{}`", self.0.replace('\\', "\\\\").replace('`', "\\`"))
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => write!(f, "{}", QuotedName(name)),
            Self::Factor { function, column } => write!(f, "{function}({})", QuotedName(column)),
            Self::Computed(expression) => write!(f, "{expression}"),
        }
    }
}

impl fmt::Display for EffectCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f({}", QuotedName(&self.column))?;
        if let Some(weights) = &self.weights {
            write!(f, ", {}", QuotedName(weights))?;
        }
        for (name, value) in &self.options {
            write!(f, ", {} = {value}", QuotedName(name))?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ~ {}", self.response, u8::from(self.intercept))?;
        for term in &self.terms {
            let variables: Vec<String> = term.iter().map(ToString::to_string).collect();
            write!(f, " + {}", variables.join(":"))?;
        }
        for offset in &self.offsets {
            write!(f, " + offset({offset})")?;
        }
        for effect in &self.effects {
            write!(f, " + {effect}")?;
        }
        Ok(())
    }
}
