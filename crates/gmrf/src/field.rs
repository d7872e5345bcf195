//! A Gaussian Markov random field with given mean and precision: density, moments, samples.

use std::f64::consts::PI;
use std::sync::Arc;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::cholesky::{CholeskyFactor, SymbolicFactor};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::pattern::SparsityPattern;
use crate::selected_inverse::SelectedInverse;

/// `x ~ N(μ, Q⁻¹)` conditioned on `C x = e`; `Q` may be singular as long as it is positive definite on `ker C`.
#[derive(Debug)]
pub struct Gmrf {
    factor: CholeskyFactor,
    values: Vec<f64>,
    /// Of the conditioned field.
    mean: Vec<f64>,
}

impl Gmrf {
    /// Factors the precision with `values` on `pattern`. `mean` is `μ`, of the field before conditioning, length `n`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`], [`GmrfError::NotFinite`], [`GmrfError::NotPositiveDefinite`].
    pub fn new(
        pattern: &Arc<SparsityPattern>,
        values: Vec<f64>,
        mean: &[f64],
        constraints: &LinearConstraints,
    ) -> Result<Self, GmrfError> {
        expect_length("mean", pattern.order(), mean.len())?;
        if let Some(index) = mean.iter().position(|m| !m.is_finite()) {
            return Err(GmrfError::NotFinite { what: "mean", index, value: mean[index] });
        }
        let mut factor = CholeskyFactor::new(SymbolicFactor::analyze(pattern, constraints)?);
        factor.refactor(&values)?;
        let mut conditioned = vec![0.0; mean.len()];
        pattern.multiply(&values, mean, &mut conditioned)?;
        let mut work = vec![0.0; factor.work_length()];
        factor.conditional_mean_in_place(&mut conditioned, &mut work)?;
        let mean = if constraints.is_empty() { mean.to_vec() } else { conditioned };
        Ok(Self { factor, values, mean })
    }

    /// The factor of the precision.
    pub fn factor(&self) -> &CholeskyFactor {
        &self.factor
    }

    /// The mean given the constraints, length `n`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The marginal variances given the constraints, length `n`, by a selected inverse.
    ///
    /// # Errors
    /// None for a field that was made.
    pub fn variances(&self) -> Result<Vec<f64>, GmrfError> {
        let mut inverse = SelectedInverse::new(self.factor.symbolic());
        inverse.compute(&self.factor)?;
        let mut variances = vec![0.0; self.mean.len()];
        inverse.fill_variances(&mut variances)?;
        Ok(variances)
    }

    /// `log π(x | C x = e)`, a density on the constrained space in orthonormal coordinates, at an `x` that obeys the
    /// constraints.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn log_density(&self, x: &[f64]) -> Result<f64, GmrfError> {
        let symbolic = self.factor.symbolic();
        expect_length("x", self.mean.len(), x.len())?;
        let deviation: Vec<f64> = x.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        let rank = (x.len() - symbolic.constraints().len()) as f64;
        let quadratic = symbolic.pattern().quadratic_form(&self.values, &deviation)?;
        Ok(0.5 * (self.factor.log_determinant() - rank * (2.0 * PI).ln() - quadratic))
    }

    /// A draw of the conditioned field, length `n`.
    ///
    /// # Errors
    /// None for a field that was made.
    pub fn sample<R: Rng + ?Sized>(&self, random: &mut R) -> Result<Vec<f64>, GmrfError> {
        let mut draw: Vec<f64> = (0..self.mean.len()).map(|_| StandardNormal.sample(random)).collect();
        let mut work = vec![0.0; self.factor.work_length()];
        self.factor.sample_in_place(&mut draw, &mut work)?;
        for (x, m) in draw.iter_mut().zip(&self.mean) {
            *x += m;
        }
        Ok(draw)
    }
}
