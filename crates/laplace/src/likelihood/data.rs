//! Checks that the families share: one error for one bad observation, naming its row.

use crate::error::LaplaceError;

/// Reads responses: NaN is missing.
pub(super) fn responses(
    family: &'static str,
    y: &[f64],
    accept: impl Fn(f64) -> Result<(), String>,
) -> Result<Vec<f64>, LaplaceError> {
    for (row, &value) in y.iter().enumerate().filter(|(_, y)| !y.is_nan()) {
        let checked = if value.is_finite() { accept(value) } else { Err(format!("the response is {value}")) };
        checked.map_err(|reason| LaplaceError::InvalidObservation { family, row, reason })?;
    }
    Ok(y.to_vec())
}

/// Reads one positive number for each response that is present.
pub(super) fn positive(
    family: &'static str,
    what: &'static str,
    y: &[f64],
    values: &[f64],
) -> Result<Vec<f64>, LaplaceError> {
    crate::model::expect_length(what, y.len(), values.len())?;
    for (row, (&value, y)) in values.iter().zip(y).enumerate() {
        let usable = value > 0.0 && value.is_finite();
        if !(y.is_nan() || usable) {
            let reason = format!("{what} is {value}; it must be positive and finite");
            return Err(LaplaceError::InvalidObservation { family, row, reason });
        }
    }
    Ok(values.to_vec())
}

/// A positive response.
pub(super) fn positive_response(value: f64) -> Result<(), String> {
    if value > 0.0 { Ok(()) } else { Err(format!("the response is {value}; it must be positive")) }
}

/// A count: a whole number from 0 to 2⁵³.
pub(super) fn count(value: f64) -> Result<(), String> {
    if value < 0.0 {
        Err(format!("the count is {value}; counts cannot be negative"))
    } else if value.fract() != 0.0 || value > 9.0e15 {
        Err(format!("the count is {value}; counts are whole numbers"))
    } else {
        Ok(())
    }
}
