//! The form `Q(θ) = Σₖ cₖ(θ) Sₖ` with fixed structure matrices `Sₖ`, shared by nearly every latent model.

use std::sync::Arc;

use crate::error::{GmrfError, expect_length};
use crate::hyperparameter::HyperparameterBlock;
use crate::pattern::SparsityPattern;

/// `Σₖ cₖ Sₖ` on one pattern.
///
/// The derivative in `θⱼ` is the same sum with `∂cₖ/∂θⱼ` for the coefficients, so that [`fill`](Self::fill) serves both.
#[derive(Debug, Clone, PartialEq)]
pub struct StructuredPrecision {
    pattern: Arc<SparsityPattern>,
    structures: Vec<Vec<f64>>,
}

impl StructuredPrecision {
    /// The sum of `structures`, each of length `nnz` in pattern order.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`], [`GmrfError::NotFinite`].
    pub fn new(pattern: Arc<SparsityPattern>, structures: Vec<Vec<f64>>) -> Result<Self, GmrfError> {
        for structure in &structures {
            expect_length("structure matrix", pattern.nnz(), structure.len())?;
            if let Some(index) = structure.iter().position(|v| !v.is_finite()) {
                return Err(GmrfError::NotFinite { what: "structure matrix", index, value: structure[index] });
            }
        }
        Ok(Self { pattern, structures })
    }

    /// The sum of structure matrices given by entries `(i, j, value)`; repeats are added, either triangle will do, and
    /// an entry off the diagonal is given once for both its places. Cost `O(e log e)` for `e` entries.
    ///
    /// # Errors
    /// [`GmrfError::IndexOutOfRange`], [`GmrfError::NotFinite`].
    pub fn from_entries(order: usize, structures: &[Vec<(usize, usize, f64)>]) -> Result<Self, GmrfError> {
        let entries = structures.iter().flatten().map(|&(i, j, _)| (i, j));
        let pattern = Arc::new(SparsityPattern::from_entries(order, entries)?);
        let mut all = Vec::with_capacity(structures.len());
        for structure in structures {
            let mut values = vec![0.0; pattern.nnz()];
            for &(i, j, value) in structure {
                values[pattern.position(i, j).expect("the pattern was made of these entries")] += value;
            }
            all.push(values);
        }
        Self::new(pattern, all)
    }

    /// The common pattern, of order `n`.
    pub fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }

    /// The values of `Sₖ`, pattern order.
    pub fn structure(&self, k: usize) -> &[f64] {
        &self.structures[k]
    }

    /// `Σₖ cₖ Sₖ` into `values` (length `nnz`, pattern order).
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`]; [`GmrfError::HyperparameterOutOfRange`], with the model and the `θ` that are
    /// handed in for the message, if a coefficient is not finite.
    pub fn fill(
        &self,
        model: &'static str,
        theta: &[f64],
        coefficients: &[f64],
        values: &mut [f64],
    ) -> Result<(), GmrfError> {
        expect_length("precision values", self.pattern.nnz(), values.len())?;
        expect_length("coefficients", self.structures.len(), coefficients.len())?;
        values.fill(0.0);
        for (&c, structure) in coefficients.iter().zip(&self.structures) {
            for (value, &s) in values.iter_mut().zip(structure) {
                *value += c * s;
            }
        }
        // a sum of finite coefficients may still overflow
        if coefficients.iter().chain(values.iter()).all(|v| v.is_finite()) {
            Ok(())
        } else {
            Err(GmrfError::HyperparameterOutOfRange { model, theta: theta.to_vec() })
        }
    }

    /// `tr(Σ Sₖ)` for every `k`, from the entries of `Σ` on the pattern. Cost `O(nnz)` for each structure matrix.
    pub fn traces(&self, covariance: &[f64]) -> Vec<f64> {
        self.structures.iter().map(|s| self.pattern.trace_of_product(covariance, s)).collect()
    }
}

/// Checks that a block has one hyperparameter and a prior of one dimension.
pub(crate) fn expect_single(model: &'static str, block: &HyperparameterBlock) -> Result<(), GmrfError> {
    if block.parameters.len() == 1 && block.prior.dimension() == 1 {
        return Ok(());
    }
    Err(GmrfError::InvalidModel {
        model,
        reason: format!(
            "a block has {} hyperparameters and a prior of dimension {}; give one block, of one hyperparameter, for each",
            block.parameters.len(),
            block.prior.dimension()
        ),
    })
}

/// Checks the length of `θ` and the index of a derivative.
pub(crate) fn expect_theta(theta: &[f64], count: usize, j: Option<usize>) -> Result<(), GmrfError> {
    expect_length("theta", count, theta.len())?;
    match j {
        Some(index) if index >= count => {
            Err(GmrfError::IndexOutOfRange { what: "hyperparameter", index, length: count })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_structures_agrees_with_its_terms_and_traces() {
        let identity = (0..3).map(|i| (i, i, 1.0)).collect();
        let walk = vec![(0, 0, 1.0), (1, 1, 1.0), (1, 1, 1.0), (2, 2, 1.0), (0, 1, -1.0), (2, 1, -1.0)];
        let form = StructuredPrecision::from_entries(3, &[identity, walk]).unwrap();
        let mut values = vec![0.0; form.pattern().nnz()];
        form.fill("test", &[], &[2.0, 3.0], &mut values).unwrap();
        assert_eq!(values, [5.0, -3.0, 8.0, -3.0, 5.0]);
        assert_eq!(form.traces(&[1.0, 0.5, 1.0, 0.5, 1.0]), [3.0, 2.0]);
    }

    #[test]
    fn coefficients_and_sums_that_overflow_are_typed_errors() {
        let form = StructuredPrecision::from_entries(1, &[vec![(0, 0, 3.0)]]).unwrap();
        for c in [f64::INFINITY, f64::NAN, 1e308] {
            let error = form.fill("test", &[710.0], &[c], &mut [0.0]).unwrap_err();
            assert_eq!(error, GmrfError::HyperparameterOutOfRange { model: "test", theta: vec![710.0] });
        }
    }
}
