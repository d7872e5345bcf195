//! The columns of the fixed effects, as R's `model.matrix` makes and names them.
//!
//! A numeric variable is one column. A factor has treatment contrasts, its first level being the reference, where the model
//! holds the margin that the other levels are compared with; else a column for each level. The margin of a variable in a term
//! is the term without it; it is held by an earlier term that contains it, and that of a main effect always is. Without an
//! intercept, the first factor of the first term that has one gets a column for each level. That is R's rule, its consequences
//! in incomplete models included: `y ~ a:b` has a column for every combination beside the intercept.

mod collinear;

pub use collinear::{Dependence, collinear_columns};

use crate::error::InlaError;
use crate::formula::{Expression, Formula, Term, Variable};
use crate::table::{Column, Table};

/// The name of the intercept.
pub const INTERCEPT: &str = "(Intercept)";

/// The largest number of values that the dense columns may have together: 4 GiB.
const MOST_VALUES: usize = 1 << 29;

/// The fixed effects of a formula on a table: `η = Σⱼ columnⱼ βⱼ + offset + …`.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedDesign {
    /// The names of the coefficients: `(Intercept)`, `x`, `treatmentB`, `x:treatmentB`.
    pub names: Vec<String>,
    /// One column for each name, with one value for each row of the table.
    pub columns: Vec<Vec<f64>>,
    /// The sum of the formula's offsets, with one value for each row.
    pub offset: Vec<f64>,
}

impl FixedDesign {
    /// The columns of `formula` on `table`.
    ///
    /// # Errors
    /// [`InlaError::UnknownColumn`], [`InlaError::NotANumber`] for text in arithmetic, [`InlaError::MissingValue`],
    /// [`InlaError::NotFinite`], [`InlaError::SingleLevel`], [`InlaError::DesignTooLarge`], [`InlaError::NoRows`].
    pub fn new(formula: &Formula, table: &Table) -> Result<Self, InlaError> {
        if table.rows() == 0 {
            return Err(InlaError::NoRows);
        }
        let mut design = Self { names: Vec::new(), columns: Vec::new(), offset: vec![0.0; table.rows()] };
        if formula.intercept {
            design.push(INTERCEPT.to_owned(), vec![1.0; table.rows()]);
        }
        let full = full_coding(formula, table)?;
        for (term, full) in formula.terms.iter().zip(&full) {
            design.push_term(term, full, table)?;
        }
        for offset in &formula.offsets {
            let values = offset.evaluate_complete(table)?;
            design.offset.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        Ok(design)
    }

    fn push(&mut self, name: String, column: Vec<f64>) {
        self.names.push(name);
        self.columns.push(column);
    }

    /// The columns of one term: all combinations of those of its variables, the first variable's running fastest.
    fn push_term(&mut self, term: &Term, full: &[bool], table: &Table) -> Result<(), InlaError> {
        let mut blocks = Vec::with_capacity(term.len());
        let mut count = 1_usize;
        for (variable, &full) in term.iter().zip(full) {
            let block = Block::new(variable, full, table)?;
            count = count.saturating_mul(block.names.len());
            blocks.push(block);
        }
        let columns = self.columns.len().saturating_add(count);
        if columns.saturating_mul(table.rows()) > MOST_VALUES {
            return Err(InlaError::DesignTooLarge { columns, rows: table.rows() });
        }
        for combination in 0..count {
            let mut rest = combination;
            let mut names = Vec::with_capacity(blocks.len());
            let mut column = vec![1.0; table.rows()];
            for block in &blocks {
                let index = rest % block.names.len();
                rest /= block.names.len();
                names.push(block.names[index].as_str());
                block.multiply(index, &mut column);
            }
            self.push(names.join(":"), column);
        }
        Ok(())
    }
}

/// The columns of one variable.
struct Block {
    names: Vec<String>,
    values: BlockValues,
}

enum BlockValues {
    Numeric(Vec<f64>),
    /// The level of each row and the level of the first column: 1 with contrasts, else 0.
    Levels {
        codes: Vec<usize>,
        first: usize,
    },
}

impl Block {
    fn new(variable: &Variable, full: bool, table: &Table) -> Result<Self, InlaError> {
        let name = display_name(variable);
        if !is_factor(variable, table)? {
            let values = match variable {
                Variable::Column(column) => table.complete_numeric(column)?.to_vec(),
                Variable::Computed(expression) => expression.evaluate_complete(table)?,
                Variable::Factor { column, .. } => table.complete_numeric(column)?.to_vec(),
            };
            return Ok(Self { names: vec![name], values: BlockValues::Numeric(values) });
        }
        let column = match variable {
            Variable::Column(column) | Variable::Factor { column, .. } => column,
            Variable::Computed(_) => return Err(InlaError::InvalidModel(format!("{name} is not a factor"))),
        };
        let (levels, codes) = table.factor(column)?;
        let mut complete = Vec::with_capacity(codes.len());
        for (row, code) in codes.into_iter().enumerate() {
            let missing = || InlaError::MissingValue { column: column.clone(), place: table.place(row) };
            complete.push(code.ok_or_else(missing)?);
        }
        let first = usize::from(!full);
        if levels.len() <= first {
            let level = levels.first().cloned().unwrap_or_default();
            return Err(InlaError::SingleLevel { factor: name, level });
        }
        let names = levels[first..].iter().map(|level| format!("{name}{level}")).collect();
        Ok(Self { names, values: BlockValues::Levels { codes: complete, first } })
    }

    fn multiply(&self, index: usize, column: &mut [f64]) {
        match &self.values {
            BlockValues::Numeric(values) => column.iter_mut().zip(values).for_each(|(c, v)| *c *= v),
            BlockValues::Levels { codes, first } => {
                column.iter_mut().zip(codes).filter(|(_, code)| **code != index + first).for_each(|(c, _)| *c = 0.0);
            }
        }
    }
}

/// The name of a variable in those of the coefficients, without backticks.
fn display_name(variable: &Variable) -> String {
    match variable {
        Variable::Column(name) => name.clone(),
        Variable::Factor { function, column } => format!("{function}({column})"),
        Variable::Computed(expression) => expression.to_string(),
    }
}

fn is_factor(variable: &Variable, table: &Table) -> Result<bool, InlaError> {
    Ok(match variable {
        Variable::Computed(_) => false,
        Variable::Factor { column, .. } => {
            table.column(column)?;
            true
        }
        // A column of numbers with a few words among them is a mistake in the data and not a factor.
        Variable::Column(name) => match table.column(name)? {
            Column::Numeric(_) => false,
            Column::Text(text) if text.is_mostly_numeric() => table.numeric(name).map(|_| false)?,
            Column::Text(_) => true,
        },
    })
}

/// Whether each variable of each term has a column for every level rather than contrasts.
fn full_coding(formula: &Formula, table: &Table) -> Result<Vec<Vec<bool>>, InlaError> {
    let mut adjust_first = !formula.intercept;
    let mut all = Vec::with_capacity(formula.terms.len());
    for (index, term) in formula.terms.iter().enumerate() {
        let mut full = Vec::with_capacity(term.len());
        for variable in term {
            let held = |earlier: &Term| term.iter().all(|other| other == variable || earlier.contains(other));
            let mut every_level = term.len() > 1 && !formula.terms[..index].iter().any(held);
            if adjust_first && is_factor(variable, table)? {
                every_level = true;
                adjust_first = false;
            }
            full.push(every_level);
        }
        all.push(full);
    }
    Ok(all)
}

/// The response: its value in every row, NaN where it is missing.
///
/// # Errors
/// As [`Expression::evaluate`].
pub fn response(expression: &Expression, table: &Table) -> Result<Vec<f64>, InlaError> {
    expression.evaluate(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new()
            .with_numeric("y", &[1.0; 6])
            .and_then(|t| t.with_numeric("x", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
            .and_then(|t| t.with_numeric("n", &[2.0, 1.0, 2.0, 1.0, 3.0, 3.0]))
            .and_then(|t| t.with_text("a", &["p", "q", "p", "q", "p", "q"]))
            .and_then(|t| t.with_text("b", &["u", "u", "v", "v", "w", "w"]))
            .unwrap()
    }

    fn names(formula: &str) -> String {
        FixedDesign::new(&Formula::parse(formula).unwrap(), &table()).unwrap().names.join(" ")
    }

    #[test]
    fn factors_are_coded_and_named_as_r_does() {
        let cases = [
            ("y ~ x", "(Intercept) x"),
            ("y ~ a + b", "(Intercept) aq bv bw"),
            ("y ~ 0 + a + b", "ap aq bv bw"),
            ("y ~ 0 + x + b", "x bu bv bw"),
            ("y ~ a*b", "(Intercept) aq bv bw aq:bv aq:bw"),
            ("y ~ x*a", "(Intercept) x aq x:aq"),
            ("y ~ a + a:x", "(Intercept) aq ap:x aq:x"),
            ("y ~ x:a", "(Intercept) x:ap x:aq"),
            ("y ~ x + x:a", "(Intercept) x x:aq"),
            ("y ~ a:b", "(Intercept) ap:bu aq:bu ap:bv aq:bv ap:bw aq:bw"),
            ("y ~ a + a:b", "(Intercept) aq ap:bv aq:bv ap:bw aq:bw"),
            ("y ~ b + a:b", "(Intercept) bv bw bu:aq bv:aq bw:aq"),
            ("y ~ 0 + a:b", "ap:bu aq:bu ap:bv aq:bv ap:bw aq:bw"),
            ("y ~ 0 + a*b", "ap aq bv bw aq:bv aq:bw"),
            ("y ~ factor(n) + log(x) + I(x^2)", "(Intercept) factor(n)2 factor(n)3 log(x) I(x^2)"),
            ("y ~ x:n", "(Intercept) x:n"),
        ];
        for (formula, expected) in cases {
            assert_eq!(names(formula), expected, "{formula}");
        }
    }

    #[test]
    fn columns_hold_products_and_indicators() {
        let formula = Formula::parse("y ~ x*a + I(x*n) + offset(x) + offset(log(n))").unwrap();
        let design = FixedDesign::new(&formula, &table()).unwrap();
        assert_eq!(design.names, ["(Intercept)", "x", "aq", "I(x * n)", "x:aq"]);
        assert_eq!(design.columns[2], [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(design.columns[3], [2.0, 2.0, 6.0, 4.0, 15.0, 18.0]);
        assert_eq!(design.columns[4], [0.0, 2.0, 0.0, 4.0, 0.0, 6.0]);
        assert_eq!(design.offset[1], 2.0);
        assert_eq!(design.offset[5], 6.0 + 3.0_f64.ln());
    }

    #[test]
    fn the_columns_of_a_saturated_interaction_tell_every_cell_apart() {
        for formula in ["y ~ a*b", "y ~ a + a:b", "y ~ b + a:b", "y ~ 0 + a:b", "y ~ 0 + a*b"] {
            let design = FixedDesign::new(&Formula::parse(formula).unwrap(), &table()).unwrap();
            assert_eq!(design.columns.len(), 6, "{formula}");
            assert!(collinear_columns(&design.columns).is_empty(), "{formula}");
        }
    }

    #[test]
    fn covariates_that_cannot_be_used_are_named_with_their_row() {
        let table = Table::from_csv_reader(&b"y,x,z,g,k\n1,2,1,a,1\n2,,0,,2\n3,1,2,b,x\n4,4,3,b,4\n"[..]).unwrap();
        let cases = [
            ("y ~ x", "column \"x\", line 3: the value is missing"),
            ("y ~ g", "column \"g\", line 3: the value is missing"),
            ("y ~ offset(x)", "column \"x\", line 3: the value is missing"),
            ("y ~ log(z)", "log(z), line 3: the value is -inf"),
            ("y ~ k", "column \"k\", line 4: \"x\" is not a number"),
            ("y ~ log(g)", "column \"g\", line 2: \"a\" is not a number"),
            ("y ~ zz", "no column \"zz\"; did you mean \"z\"?"),
        ];
        for (formula, message) in cases {
            let error = FixedDesign::new(&Formula::parse(formula).unwrap(), &table).unwrap_err().to_string();
            assert!(error.contains(message), "{formula}: {error}");
        }
        let table = Table::new().with_text("g", &["a", "a"]).unwrap();
        let error = FixedDesign::new(&Formula::parse("g ~ g").unwrap(), &table).unwrap_err();
        assert_eq!(error.to_string(), "factor \"g\" has the single level \"a\": remove it from the formula");
        assert_eq!(FixedDesign::new(&Formula::parse("y ~ 1").unwrap(), &Table::new()), Err(InlaError::NoRows));
    }

    #[test]
    fn factors_of_too_many_levels_are_refused_before_memory_is_taken() {
        let values: Vec<f64> = (0..40_000).map(f64::from).collect();
        let table = Table::new().with_numeric("x", &values).unwrap();
        let formula = Formula::parse("x ~ factor(x)").unwrap();
        let error = FixedDesign::new(&formula, &table).unwrap_err();
        assert!(matches!(error, InlaError::DesignTooLarge { columns: 40_000, rows: 40_000 }), "{error}");
    }

    #[test]
    fn a_missing_response_is_missing() {
        let table = Table::new().with_numeric("y", &[f64::NAN, 1.0]).unwrap();
        let values = response(&Expression::parse("log(y)").unwrap(), &table).unwrap();
        assert!(values[0].is_nan() && values[1] == 0.0);
    }
}
