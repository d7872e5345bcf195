//! The data: named columns of numbers or of text, all of one length.

mod csv;

use std::collections::HashMap;

use crate::error::{InlaError, Place};
use crate::nearest::nearest;

/// A column of text: its levels in order of appearance and the level of each row.
#[derive(Debug, Clone, PartialEq)]
pub struct TextColumn {
    levels: Vec<String>,
    codes: Vec<Option<usize>>,
    first_non_number: Option<usize>,
    numbers: usize,
}

impl TextColumn {
    /// Codes `values` by their order of appearance; `None`, an empty text, `NA` and `NaN` are missing.
    fn new<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut column = Self { levels: Vec::new(), codes: Vec::new(), first_non_number: None, numbers: 0 };
        let mut known: HashMap<&'a str, usize> = HashMap::new();
        for (row, value) in values.enumerate() {
            let code = (!is_missing(value)).then(|| {
                *known.entry(value).or_insert_with(|| {
                    column.levels.push(value.to_owned());
                    column.levels.len() - 1
                })
            });
            match code.map(|_| is_finite_number(value)) {
                Some(true) => column.numbers += 1,
                Some(false) => column.first_non_number = column.first_non_number.or(Some(row)),
                None => {}
            }
            column.codes.push(code);
        }
        column
    }

    /// The distinct texts in order of appearance.
    pub fn levels(&self) -> &[String] {
        &self.levels
    }

    /// Whether at least half of the texts that are not missing are numbers, but not all.
    ///
    /// Such a column is rather a column of numbers with mistakes in it, and is not taken for a factor unless it is asked for.
    pub fn is_mostly_numeric(&self) -> bool {
        let present = self.codes.iter().flatten().count();
        self.first_non_number.is_some() && 2 * self.numbers >= present
    }

    /// The index of each row's level, `None` where it is missing.
    pub fn codes(&self) -> &[Option<usize>] {
        &self.codes
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Finite numbers; NaN is missing.
    Numeric(Vec<f64>),
    /// Texts.
    Text(TextColumn),
}

impl Column {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numeric(values) => values.len(),
            Self::Text(text) => text.codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What stands in `row`, as it is named in results; `None` if it is missing or there is no such row.
    pub fn label(&self, row: usize) -> Option<String> {
        match self {
            Self::Numeric(values) => values.get(row).filter(|v| !v.is_nan()).map(|&v| number_label(v)),
            Self::Text(text) => (*text.codes.get(row)?).map(|code| text.levels[code].clone()),
        }
    }
}

/// A number as a level of an effect: `3` rather than `3.0`, and `0` for both zeros.
pub fn number_label(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { crate::formula::number_text(value) }
}

/// Named columns of one length.
///
/// ```
/// let table = inla::Table::new()
///     .with_numeric("y", &[1.0, 0.0, 3.0])?
///     .with_text("herd", &["a", "b", "a"])?;
/// assert_eq!(table.rows(), 3);
/// # Ok::<(), inla::InlaError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    lines: Option<Vec<u64>>,
    /// The row of the user's table that stands in each row, where they differ.
    origin: Option<Vec<usize>>,
}

impl Table {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of numbers; NaN is missing.
    ///
    /// # Errors
    /// [`InlaError::InvalidColumnName`] if the name is empty or taken, [`InlaError::ColumnLength`], [`InlaError::NoRows`], and
    /// [`InlaError::NotFinite`] for an infinite value.
    pub fn with_numeric(self, name: &str, values: &[f64]) -> Result<Self, InlaError> {
        if let Some(row) = values.iter().position(|v| v.is_infinite()) {
            let what = format!("column {name:?}");
            return Err(InlaError::NotFinite { what, place: self.place(row), value: values[row] });
        }
        self.with_column(name, Column::Numeric(values.to_vec()))
    }

    /// Adds a column of text, whose levels stand in order of appearance; an empty text, `NA` and `NaN` are missing.
    ///
    /// # Errors
    /// As [`with_numeric`](Self::with_numeric), but for the values.
    pub fn with_text<S: AsRef<str>>(self, name: &str, values: &[S]) -> Result<Self, InlaError> {
        let column = TextColumn::new(values.iter().map(AsRef::as_ref));
        self.with_column(name, Column::Text(column))
    }

    fn with_column(mut self, name: &str, column: Column) -> Result<Self, InlaError> {
        let invalid = |reason| InlaError::InvalidColumnName { name: name.to_owned(), reason };
        if name.trim().is_empty() {
            return Err(invalid("a column needs a name"));
        }
        if self.names.iter().any(|known| known == name) {
            return Err(invalid("two columns have this name"));
        }
        if column.is_empty() {
            return Err(InlaError::NoRows);
        }
        if !self.columns.is_empty() && column.len() != self.rows() {
            let column_name = name.to_owned();
            return Err(InlaError::ColumnLength { column: column_name, expected: self.rows(), found: column.len() });
        }
        self.names.push(name.to_owned());
        self.columns.push(column);
        Ok(self)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// The names of the columns in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Where `row` (from 0) stands in the data as the user sees it.
    pub fn place(&self, row: usize) -> Place {
        let row = self.origin.as_ref().and_then(|origin| origin.get(row).copied()).unwrap_or(row);
        match &self.lines {
            Some(lines) if row < lines.len() => Place::Line(lines[row]),
            _ => Place::Row(row + 1),
        }
    }

    /// This table with the rows of `other` below, a table of the same columns in which some stand for others: of `(name, source)` the
    /// rows below have under `name` what `other` has under `source`.
    pub(crate) fn below(&self, other: &Self, replaced: &[(String, String)]) -> Result<Self, InlaError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, above) in self.names.iter().zip(&self.columns) {
            let source = replaced.iter().find(|(known, _)| known == name).map_or(name, |(_, source)| source);
            columns.push(match (above, other.column(source)?) {
                (Column::Numeric(above), Column::Numeric(below)) => Column::Numeric([above.as_slice(), below].concat()),
                (Column::Text(above), Column::Text(below)) => {
                    let texts = |text: &TextColumn| -> Vec<String> {
                        text.codes
                            .iter()
                            .map(|code| code.map_or_else(String::new, |c| text.levels[c].clone()))
                            .collect()
                    };
                    let all = [texts(above), texts(below)].concat();
                    Column::Text(TextColumn::new(all.iter().map(String::as_str)))
                }
                _ => {
                    let reason = format!("column {name:?} and column {source:?} are not both numbers or both texts");
                    return Err(InlaError::InvalidModel(reason));
                }
            });
        }
        let origin = (0..self.rows() + other.rows()).map(|row| row % other.rows()).collect();
        Ok(Self { names: self.names.clone(), columns, lines: self.lines.clone(), origin: Some(origin) })
    }

    /// Some of the rows; errors name the places that they had.
    pub(crate) fn rows_of(&self, rows: &[usize]) -> Self {
        let column = |column: &Column| match column {
            Column::Numeric(values) => Column::Numeric(rows.iter().map(|&row| values[row]).collect()),
            Column::Text(text) => {
                let texts = rows.iter().map(|&row| text.codes[row].map_or("", |code| text.levels[code].as_str()));
                Column::Text(TextColumn::new(texts))
            }
        };
        Self {
            names: self.names.clone(),
            columns: self.columns.iter().map(column).collect(),
            lines: self.lines.clone(),
            origin: Some(rows.to_vec()),
        }
    }

    /// Whether there is a column of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// The column `name`.
    ///
    /// # Errors
    /// [`InlaError::UnknownColumn`] with the nearest name.
    pub fn column(&self, name: &str) -> Result<&Column, InlaError> {
        match self.names.iter().position(|known| known == name) {
            Some(index) => Ok(&self.columns[index]),
            None => Err(InlaError::UnknownColumn {
                name: name.to_owned(),
                nearest: nearest(name, self.names.iter().map(String::as_str)).map(str::to_owned),
                known: self.names.clone(),
            }),
        }
    }

    /// The numbers of column `name`; NaN is missing.
    ///
    /// # Errors
    /// [`InlaError::UnknownColumn`], and [`InlaError::NotANumber`] with the first text of a column that has some.
    pub fn numeric(&self, name: &str) -> Result<&[f64], InlaError> {
        match self.column(name)? {
            Column::Numeric(values) => Ok(values),
            Column::Text(text) => {
                let row = text.first_non_number.or_else(|| text.codes.iter().position(Option::is_some)).unwrap_or(0);
                let value = text.codes[row].map(|code| text.levels[code].clone()).unwrap_or_default();
                Err(InlaError::NotANumber { column: name.to_owned(), place: self.place(row), text: value })
            }
        }
    }

    /// The numbers of column `name`, none of which may be missing.
    ///
    /// # Errors
    /// As [`numeric`](Self::numeric), and [`InlaError::MissingValue`] with the first missing row.
    pub fn complete_numeric(&self, name: &str) -> Result<&[f64], InlaError> {
        let values = self.numeric(name)?;
        match values.iter().position(|v| v.is_nan()) {
            Some(row) => Err(InlaError::MissingValue { column: name.to_owned(), place: self.place(row) }),
            None => Ok(values),
        }
    }

    /// Column `name` as a factor: labels of the levels and the level of each row, `None` where it is missing.
    ///
    /// Levels of text stand in order of appearance, those of numbers in ascending order.
    ///
    /// # Errors
    /// [`InlaError::UnknownColumn`].
    pub fn factor(&self, name: &str) -> Result<(Vec<String>, Vec<Option<usize>>), InlaError> {
        Ok(match self.column(name)? {
            Column::Text(text) => (text.levels.clone(), text.codes.clone()),
            Column::Numeric(values) => {
                let distinct = distinct_sorted(values);
                let codes = values.iter().map(|&v| position_sorted(&distinct, v)).collect();
                (distinct.iter().map(|&v| number_label(v)).collect(), codes)
            }
        })
    }
}

/// The distinct values without NaN in ascending order; `-0` is `0`.
pub(crate) fn distinct_sorted(values: &[f64]) -> Vec<f64> {
    let mut distinct: Vec<f64> = values.iter().filter(|v| !v.is_nan()).map(|v| v + 0.0).collect();
    distinct.sort_unstable_by(f64::total_cmp);
    distinct.dedup();
    distinct
}

/// Where `value` stands among ascending `sorted` values; `None` for NaN and for a value that is not there.
pub(crate) fn position_sorted(sorted: &[f64], value: f64) -> Option<usize> {
    sorted.binary_search_by(|probe| probe.total_cmp(&(value + 0.0))).ok()
}

fn is_missing(field: &str) -> bool {
    matches!(field, "" | "NA" | "NaN")
}

fn is_finite_number(field: &str) -> bool {
    field.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_from_slices_keeps_levels_in_order_of_appearance() {
        let table = Table::new().with_numeric("y", &[1.0, f64::NAN, 3.0, 4.0]).unwrap();
        let table = table.with_text("g", &["b", "a", "NA", "b"]).unwrap();
        let (levels, codes) = table.factor("g").unwrap();
        assert_eq!(levels, ["b", "a"]);
        assert_eq!(codes, [Some(0), Some(1), None, Some(0)]);
        assert_eq!(table.place(1).to_string(), "row 2");
        assert!(table.numeric("y").unwrap()[1].is_nan());
        assert_eq!(table.column("g").unwrap().label(2), None);
    }

    #[test]
    fn numbers_as_a_factor_are_sorted_and_named_without_decimals() {
        let table = Table::new().with_numeric("x", &[10.0, 2.0, -0.0, 0.0, f64::NAN, 0.5]).unwrap();
        let (levels, codes) = table.factor("x").unwrap();
        assert_eq!(levels, ["0", "0.5", "2", "10"]);
        assert_eq!(codes, [Some(3), Some(2), Some(0), Some(0), None, Some(1)]);
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        let table = Table::new().with_numeric("y", &[1.0, 2.0]).unwrap();
        assert!(matches!(table.clone().with_numeric("x", &[1.0]), Err(InlaError::ColumnLength { found: 1, .. })));
        assert!(matches!(table.clone().with_numeric("y", &[1.0, 2.0]), Err(InlaError::InvalidColumnName { .. })));
        assert!(matches!(table.clone().with_numeric(" ", &[1.0, 2.0]), Err(InlaError::InvalidColumnName { .. })));
        let error = table.clone().with_numeric("x", &[1.0, f64::INFINITY]).unwrap_err();
        assert_eq!(error.to_string(), "column \"x\", row 2: the value is inf; it must be finite");
        assert_eq!(Table::new().with_numeric("y", &[]), Err(InlaError::NoRows));
        assert_eq!(Table::new().with_text::<&str>("y", &[]), Err(InlaError::NoRows));
    }

    #[test]
    fn an_unknown_column_names_the_nearest() {
        let table = Table::new().with_numeric("treatment", &[1.0]).unwrap().with_text("herd", &["a"]).unwrap();
        let text = table.column("treatmnet").unwrap_err().to_string();
        assert!(text.contains("no column \"treatmnet\"; did you mean \"treatment\"?"), "{text}");
        let text = table.numeric("herd").unwrap_err().to_string();
        assert_eq!(text, "column \"herd\", row 1: \"a\" is not a number");
    }

    #[test]
    fn a_missing_value_is_named_where_none_may_be() {
        let table = Table::new().with_numeric("x", &[1.0, f64::NAN]).unwrap();
        assert_eq!(
            table.complete_numeric("x"),
            Err(InlaError::MissingValue { column: "x".to_owned(), place: Place::Row(2) })
        );
    }
}
