//! `log |VᵀQV|` from a factor, for models without a closed form.

use super::{LatentModel, LogDeterminant, hyperparameter_count};
use crate::cholesky::{CholeskyFactor, SymbolicFactor};
use crate::error::GmrfError;
use crate::selected_inverse::SelectedInverse;

/// One factor of `Q` under its constraints and its free null space, one selected inverse for the gradient
/// `½ tr(Σ ∂Q)·2`. The null space enters as constraints: `Q` vanishes on it, so that the determinant over the rest is
/// the same.
pub(super) fn log_determinant<M: LatentModel + ?Sized>(model: &M, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
    let pattern = model.pattern();
    let mut fixed = model.constraints().clone();
    fixed.append_block(model.null_space(), 0)?;
    let symbolic = SymbolicFactor::analyze(pattern, &fixed.homogeneous())?;
    let mut values = vec![0.0; pattern.nnz()];
    model.fill_precision(theta, &mut values)?;
    let mut factor = CholeskyFactor::new(symbolic.clone());
    factor.refactor(&values)?;
    let mut inverse = SelectedInverse::new(&symbolic);
    inverse.compute(&factor)?;
    let gradient = (0..hyperparameter_count(model.hyperparameters()))
        .map(|j| {
            model.fill_precision_derivative(theta, j, &mut values)?;
            Ok(pattern.trace_of_product(inverse.values(), &values))
        })
        .collect::<Result<_, GmrfError>>()?;
    Ok(LogDeterminant { value: factor.log_determinant(), gradient, rank: pattern.order() - fixed.len() })
}
