//! `log |VᵀQV|` from a factor, for models without a closed form.

use std::sync::Arc;

use super::{LatentModel, LogDeterminant, hyperparameter_count};
use crate::cholesky::{CholeskyFactor, SymbolicFactor};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::pattern::SparsityPattern;
use crate::selected_inverse::SelectedInverse;

/// One factor of `Q` under its constraints and its free null space, one selected inverse for the gradient
/// `½ tr(Σ ∂Q)·2`. The null space enters as constraints: `Q` vanishes on it, so that the determinant over the rest is
/// the same.
pub(super) fn log_determinant<M: LatentModel + ?Sized>(model: &M, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
    let symbolic = analysis(model.pattern(), model.constraints(), model.null_space())?;
    analysed_log_determinant(model, theta, &symbolic)
}

/// The analysis that [`analysed_log_determinant`] needs: of the pattern under constraints and null space.
pub(super) fn analysis(
    pattern: &Arc<SparsityPattern>,
    constraints: &LinearConstraints,
    null_space: &LinearConstraints,
) -> Result<Arc<SymbolicFactor>, GmrfError> {
    let mut fixed = constraints.clone();
    fixed.append_block(null_space, 0)?;
    SymbolicFactor::analyze(pattern, &fixed.homogeneous())
}

/// [`log_determinant`] with an analysis made once.
pub(super) fn analysed_log_determinant<M: LatentModel + ?Sized>(
    model: &M,
    theta: &[f64],
    symbolic: &Arc<SymbolicFactor>,
) -> Result<LogDeterminant, GmrfError> {
    let pattern = model.pattern();
    let mut values = vec![0.0; pattern.nnz()];
    model.fill_precision(theta, &mut values)?;
    let mut factor = CholeskyFactor::new(symbolic.clone());
    factor.refactor(&values)?;
    let mut inverse = SelectedInverse::new(symbolic);
    inverse.compute(&factor)?;
    let gradient = (0..hyperparameter_count(model.hyperparameters()))
        .map(|j| {
            model.fill_precision_derivative(theta, j, &mut values)?;
            Ok(pattern.trace_of_product(inverse.values(), &values))
        })
        .collect::<Result<_, GmrfError>>()?;
    Ok(LogDeterminant {
        value: factor.log_determinant(),
        gradient,
        rank: pattern.order() - symbolic.constraints().len(),
    })
}

/// `min (x−μ)ᵀQ(x−μ)` over `C x = e`, and its gradient in `θ`: what a proper prior's density on the constrained space gains when
/// its mean does not obey the constraints. `None` if the mean is zero and the constraints homogeneous.
///
/// # Errors
/// As [`LatentModel::log_determinant`].
pub fn constrained_mean_shift<M: LatentModel + ?Sized>(
    model: &M,
    theta: &[f64],
) -> Result<Option<(f64, Vec<f64>)>, GmrfError> {
    let (pattern, constraints) = (model.pattern(), model.constraints());
    let n = pattern.order();
    let mut mean = vec![0.0; n];
    let has_mean = model.fill_mean(theta, &mut mean);
    if constraints.is_empty() || (!has_mean && constraints.right_hand_side().iter().all(|&e| e == 0.0)) {
        return Ok(None);
    }
    let mut fixed = constraints.clone();
    fixed.append_block(model.null_space(), 0)?;
    let mut factor = CholeskyFactor::new(SymbolicFactor::analyze(pattern, &fixed)?);
    let (mut values, mut x, mut product) = (vec![0.0; pattern.nnz()], vec![0.0; n], vec![0.0; n]);
    model.fill_precision(theta, &mut values)?;
    factor.refactor(&values)?;
    pattern.multiply(&values, &mean, &mut x)?;
    let mut work = vec![0.0; factor.work_length()];
    factor.conditional_mean_in_place(&mut x, &mut work)?;
    for (x, m) in x.iter_mut().zip(&mean) {
        *x -= m;
    }
    pattern.multiply(&values, &x, &mut product)?;
    let value = x.iter().zip(&product).map(|(x, q)| x * q).sum();
    let gradient = (0..hyperparameter_count(model.hyperparameters()))
        .map(|j| {
            model.fill_precision_derivative(theta, j, &mut values)?;
            // the minimum moves with Q and μ only through their explicit parts
            let mut slope = pattern.quadratic_form(&values, &x)?;
            if model.fill_mean_derivative(theta, j, &mut mean) {
                slope -= 2.0 * mean.iter().zip(&product).map(|(m, q)| m * q).sum::<f64>();
            }
            Ok(slope)
        })
        .collect::<Result<_, GmrfError>>()?;
    Ok(Some((value, gradient)))
}
