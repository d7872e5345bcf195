//! Tables from comma-separated text.

use std::io::Read;
use std::path::Path;

use super::{Column, Table, TextColumn, is_finite_number, is_missing};
use crate::error::InlaError;

/// The byte order mark with which some programs begin a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Table {
    /// Reads a table from a file of comma-separated values, see [`from_csv_reader`](Self::from_csv_reader).
    ///
    /// # Errors
    /// [`InlaError::UnreadableFile`], and those of [`from_csv_reader`](Self::from_csv_reader).
    pub fn from_csv_path(path: impl AsRef<Path>) -> Result<Self, InlaError> {
        let path = path.as_ref();
        let unreadable = |error: std::io::Error| InlaError::UnreadableFile {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        if path.is_dir() {
            return Err(unreadable(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is a directory")));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Self::from_csv_bytes(&bytes)
    }

    /// Reads a table from comma-separated values: a header row, then one row a line; fields may be quoted.
    ///
    /// An empty field, `NA` and `NaN` are missing, blanks around a field and empty lines are ignored. A column is numeric
    /// if all its other fields are finite numbers, else text. The whole input is held in memory while it is read.
    ///
    /// # Errors
    /// [`InlaError::MalformedData`] with the line: a row with too many or too few fields, text that is not UTF-8, a header
    /// whose names are empty or repeated, an infinite number. [`InlaError::NoRows`] without rows below the header.
    /// [`InlaError::UnreadableFile`] if the reader fails.
    pub fn from_csv_reader(mut reader: impl Read) -> Result<Self, InlaError> {
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| InlaError::UnreadableFile { path: "the data".to_owned(), reason: error.to_string() })?;
        Self::from_csv_bytes(&bytes)
    }

    fn from_csv_bytes(bytes: &[u8]) -> Result<Self, InlaError> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let mut records = records(bytes)?.into_iter();
        let Some((header_line, header)) = records.next() else {
            return Err(InlaError::MalformedData {
                line: 1,
                reason: "the file is empty; a header row is needed".into(),
            });
        };
        check_header(header_line, &header)?;
        let rows: Vec<(u64, Vec<String>)> = records.collect();
        if rows.is_empty() {
            return Err(InlaError::NoRows);
        }
        for (line, fields) in &rows {
            if fields.len() != header.len() {
                let reason = format!("{} fields where the header has {}", fields.len(), header.len());
                return Err(InlaError::MalformedData { line: *line, reason });
            }
        }
        let lines = Some(rows.iter().map(|(line, _)| *line).collect());
        let mut table = Self { names: header.clone(), lines, ..Self::default() };
        for (index, name) in header.iter().enumerate() {
            table.columns.push(read_column(name, index, &rows)?);
        }
        Ok(table)
    }
}

/// All records with the lines on which they begin, fields trimmed.
fn records(bytes: &[u8]) -> Result<Vec<(u64, Vec<String>)>, InlaError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    let mut all = Vec::new();
    let (mut line, mut counted) = (1, 0);
    loop {
        let more = reader.read_byte_record(&mut record);
        // The reader's own line numbers count empty lines and "\r\n" differently from an editor.
        let reported = record.position().map_or(0, |p| usize::try_from(p.byte()).unwrap_or(usize::MAX));
        let blank = bytes.iter().skip(reported).take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let start = reported.saturating_add(blank).min(bytes.len());
        if start > counted {
            line += bytes[counted..start].iter().filter(|&&b| b == b'\n').count() as u64;
            counted = start;
        }
        match more {
            Ok(true) => {}
            Ok(false) => return Ok(all),
            Err(error) => return Err(InlaError::MalformedData { line, reason: error.to_string() }),
        }
        let mut fields = Vec::with_capacity(record.len());
        for (index, field) in record.iter().enumerate() {
            let text = std::str::from_utf8(field).map_err(|_| InlaError::MalformedData {
                line,
                reason: format!("field {} is not UTF-8 text: save the file as UTF-8", index + 1),
            })?;
            fields.push(text.trim().to_owned());
        }
        // A line of blanks alone is an empty line to everybody but the format.
        if fields.len() > 1 || fields.iter().any(|f| !f.is_empty()) {
            all.push((line, fields));
        }
    }
}

fn check_header(line: u64, header: &[String]) -> Result<(), InlaError> {
    let mut seen = std::collections::HashSet::new();
    for (index, name) in header.iter().enumerate() {
        let reason = if name.is_empty() {
            format!("the header has no name for column {}", index + 1)
        } else if !seen.insert(name) {
            format!("the header has two columns {name:?}: rename one")
        } else {
            continue;
        };
        return Err(InlaError::MalformedData { line, reason });
    }
    Ok(())
}

fn read_column(name: &str, index: usize, rows: &[(u64, Vec<String>)]) -> Result<Column, InlaError> {
    let mut values = Vec::with_capacity(rows.len());
    let mut infinite = None;
    for (line, fields) in rows {
        let field = fields[index].as_str();
        if is_missing(field) {
            values.push(f64::NAN);
        } else if is_finite_number(field) {
            values.push(field.parse().unwrap_or(f64::NAN));
        } else if field.parse::<f64>().is_ok_and(f64::is_infinite) {
            infinite = infinite.or(Some((*line, field)));
        } else {
            return Ok(Column::Text(TextColumn::new(rows.iter().map(|(_, fields)| fields[index].as_str()))));
        }
    }
    match infinite {
        Some((line, field)) => {
            Err(InlaError::MalformedData { line, reason: format!("column {name:?}: {field} is not finite") })
        }
        None => Ok(Column::Numeric(values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Table, InlaError> {
        Table::from_csv_reader(text.as_bytes())
    }

    #[test]
    fn numbers_text_and_missing_fields_are_told_apart() {
        let table = read("\u{feff}y, g ,\"x,1\"\r\n1,a,.5\r\n\r\nNA,\"b \"\"c\"\"\",\r\n-2e1,,+3\r\n").unwrap();
        assert_eq!(table.names(), ["y", "g", "x,1"]);
        assert_eq!(table.rows(), 3);
        let y = table.numeric("y").unwrap();
        assert!(y[0] == 1.0 && y[1].is_nan() && y[2] == -20.0);
        assert_eq!(table.factor("g").unwrap(), (vec!["a".into(), "b \"c\"".into()], vec![Some(0), Some(1), None]));
        assert!(table.numeric("x,1").unwrap()[1].is_nan());
        let places: Vec<Place> = (0..3).map(|row| table.place(row)).collect();
        assert_eq!(places, [Place::Line(2), Place::Line(4), Place::Line(5)]);
    }

    #[test]
    fn lines_are_those_of_the_file_behind_quoted_line_breaks() {
        let table = read("a,b\n1,\"two\nlines\"\n\n\n2,x\n3,y").unwrap();
        assert_eq!([table.place(0), table.place(1), table.place(2)], [Place::Line(2), Place::Line(6), Place::Line(7)]);
    }

    #[test]
    fn text_in_a_numeric_column_is_named_with_its_line() {
        let table = read("x,y\n1,2\n2,2\nabc,3\n4,4\n").unwrap();
        assert_eq!(table.numeric("x").unwrap_err().to_string(), "column \"x\", line 4: \"abc\" is not a number");
        assert_eq!(table.factor("x").unwrap().0, ["1", "2", "abc", "4"]);
    }

    #[test]
    fn malformed_files_are_refused_with_the_line() {
        let cases: &[(&str, &str)] = &[
            ("", "data, line 1: the file is empty; a header row is needed"),
            ("a,b\n", "the data has no rows: at least one row is needed below the header"),
            ("a,b\n1,2\n3\n", "data, line 3: 1 fields where the header has 2"),
            ("a,b\n1,2\n3,4,5\n", "data, line 3: 3 fields where the header has 2"),
            ("a,a\n1,2\n", "data, line 1: the header has two columns \"a\": rename one"),
            ("a,\n1,2\n", "data, line 1: the header has no name for column 2"),
            ("a,b\n1,2\n3,inf\n", "data, line 3: column \"b\": inf is not finite"),
            ("a,b\n1,2\n3,1e999\n", "data, line 3: column \"b\": 1e999 is not finite"),
        ];
        for (text, message) in cases {
            assert_eq!(read(text).unwrap_err().to_string(), *message, "{text:?}");
        }
        let error = Table::from_csv_reader(&b"a,b\n1,2\n1,\xff\xfe\n"[..]).unwrap_err();
        assert_eq!(error.to_string(), "data, line 3: field 2 is not UTF-8 text: save the file as UTF-8");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Table::from_csv_path("no/such/file.csv").unwrap_err();
        assert!(error.to_string().starts_with("cannot read no/such/file.csv: "));
        assert!(matches!(Table::from_csv_path("/"), Err(InlaError::UnreadableFile { .. })));
    }

    #[test]
    fn infinity_as_a_word_among_words_is_text() {
        assert_eq!(read("a\nInf\nb\n").unwrap().factor("a").unwrap().0, ["Inf", "b"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Table::from_csv_reader(&bytes[..]);
        }

        #[test]
        fn a_written_table_is_read_back(values in proptest::collection::vec(-1e6_f64..1e6, 1..20)) {
            let text = values.iter().fold("x\n".to_owned(), |text, v| format!("{text}{v}\n"));
            let table = read(&text).unwrap();
            prop_assert_eq!(table.numeric("x").unwrap(), &values[..]);
        }

        #[test]
        fn table_like_text_reads_or_fails_with_an_error(text in "[a,\"\r\n 1.N\u{e9}-]{0,60}") {
            if let Ok(table) = read(&text) {
                prop_assert!(table.rows() > 0 && !table.names().is_empty());
            }
        }
    }
}
