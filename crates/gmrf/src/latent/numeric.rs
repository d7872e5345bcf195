//! `log |VᵀQV|` from a factor, for models without a closed form.

use super::{LatentModel, LogDeterminant};
use crate::error::GmrfError;

pub(super) fn log_determinant<M: LatentModel + ?Sized>(model: &M, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
    let _ = (model, theta);
    Err(GmrfError::InvalidModel { model: "numeric", reason: String::new() })
}
