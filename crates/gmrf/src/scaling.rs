//! Normalising constants and scaling of intrinsic structure matrices (Sørbye and Rue 2014), exact: no ε is added.

use std::sync::Arc;

use crate::cholesky::{CholeskyFactor, SymbolicFactor};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::pattern::SparsityPattern;
use crate::selected_inverse::SelectedInverse;

/// What an intrinsic model needs to know of its structure matrix `R`, once.
#[derive(Debug, Clone, PartialEq)]
pub struct StructureConstants {
    /// `log |R|*`, the logarithm of the product of the nonzero eigenvalues.
    pub log_determinant: f64,
    /// The rank of `R`: its order less the dimension of its null space.
    pub rank: usize,
    /// `σ²_GV`, the geometric mean of the [`variances`](Self::variances): `σ²_GV R` is the scaled structure matrix.
    /// Zero if a variance is.
    pub geometric_mean_variance: f64,
    /// `diag(R⁻)` of the generalised inverse, length `n`.
    pub variances: Vec<f64>,
}

/// The constants of the structure matrix with the given `values`, whose null space is spanned by the rows of
/// `null_space`.
///
/// The null space enters the factor as homogeneous constraints, so that it factors `R` on the complement; variances
/// are read off the selected inverse. Cost one factorisation. Right-hand sides of `null_space` are ignored.
///
/// Relative error of a variance of rw2, measured against integrated noise with its trend removed: 4e-11 with 100 nodes,
/// 2e-10 with 300, 3e-9 with 1000; absolute error of its `log |R|*`: 1e-9 with 1000.
///
/// # Errors
/// [`GmrfError::LengthMismatch`]; [`GmrfError::NotPositiveDefinite`] if the null space of `R` is larger,
/// [`GmrfError::InvalidModel`] if `R` does not annihilate the rows of `null_space`.
pub fn structure_constants(
    pattern: &Arc<SparsityPattern>,
    values: &[f64],
    null_space: &LinearConstraints,
) -> Result<StructureConstants, GmrfError> {
    expect_length("structure matrix", pattern.nnz(), values.len())?;
    expect_length("null space", pattern.order(), null_space.order())?;
    expect_annihilated(pattern, values, null_space)?;
    let symbolic = SymbolicFactor::analyze(pattern, &null_space.homogeneous())?;
    let mut factor = CholeskyFactor::new(symbolic.clone());
    factor.refactor(values)?;
    let mut inverse = SelectedInverse::new(&symbolic);
    inverse.compute(&factor)?;
    let mut variances = vec![0.0; pattern.order()];
    inverse.fill_variances(&mut variances)?;
    // a node that the constraints pin has variance 0 up to rounding of either sign
    variances.iter_mut().for_each(|v| *v = v.max(0.0));
    let mean_log = variances.iter().map(|v| v.ln()).sum::<f64>() / variances.len() as f64;
    Ok(StructureConstants {
        log_determinant: factor.log_determinant(),
        rank: pattern.order() - null_space.len(),
        geometric_mean_variance: mean_log.exp(),
        variances,
    })
}

/// Largest `|R v|ᵢ / Σⱼ |Rᵢⱼ vⱼ|` that rounding explains: entries of `R` and `v` are themselves rounded results.
const ANNIHILATION: f64 = 1e-9;

/// Checks `R v = 0` for every row `v`, against the sizes of the terms of the sums.
pub(crate) fn expect_annihilated(
    pattern: &SparsityPattern,
    values: &[f64],
    null_space: &LinearConstraints,
) -> Result<(), GmrfError> {
    let n = pattern.order();
    let sizes: Vec<f64> = values.iter().map(|v| v.abs()).collect();
    let (mut v, mut v_sizes) = (vec![0.0; n], vec![0.0; n]);
    let (mut product, mut bound) = (vec![0.0; n], vec![0.0; n]);
    for row in 0..null_space.len() {
        let (columns, coefficients) = null_space.row(row);
        v.fill(0.0);
        v_sizes.fill(0.0);
        for (&i, &c) in columns.iter().zip(coefficients) {
            v[i] += c;
            v_sizes[i] += c.abs();
        }
        pattern.multiply(values, &v, &mut product)?;
        pattern.multiply(&sizes, &v_sizes, &mut bound)?;
        let largest = bound.iter().copied().fold(0.0, f64::max);
        if let Some(node) = (0..n).find(|&i| product[i].abs() > ANNIHILATION * largest) {
            return Err(GmrfError::InvalidModel {
                model: "structure matrix",
                reason: format!(
                    "row {row} of the null space is not annihilated at node {node}: the product is {}; \
                     remove the row or correct the matrix",
                    product[node]
                ),
            });
        }
    }
    Ok(())
}
