//! `y ~ Gamma(shape sφ, mean e^η)`, variance `μ²/(sφ)`, `θ = log φ`.
//!
//! With `a = sφ` and `r = y e^{−η}`: `ℓ = a(log a − η + log y − r) − log y − log Γ(a)`, `ℓ′ = a(r − 1)`, `ℓ″ = −ar`, `ℓ‴ = ar`,
//! `ℓ⁗ = −ar`; `∂ℓ/∂θ = a(log a + 1 − ψ(a) − η + log y − r)`, `∂ℓ′/∂θ = ℓ′`, `∂ℓ″/∂θ = ℓ″`.

use std::ops::Range;

use gmrf::HyperparameterBlock;
use gmrf::elementary::exp_in_place;
use gmrf::special::polygamma;

use super::incomplete::incomplete_gamma;
use super::{Derivatives, Likelihood, Order, PIECE, data};
use crate::error::LaplaceError;
use crate::link::Link;

/// Positive responses with a constant coefficient of variation.
#[derive(Debug)]
pub struct Gamma {
    y: Vec<f64>,
    log_y: Vec<f64>,
    scale: Vec<f64>,
    blocks: Vec<HyperparameterBlock>,
}

/// What depends on the shape alone: the shape, `log a`, `log Γ(a)` and, where they are wanted, `ψ(a)`.
#[derive(Clone, Copy)]
struct Shape {
    scale: f64,
    a: f64,
    ln: f64,
    ln_gamma: f64,
    digamma: f64,
}

impl Shape {
    fn new(scale: f64, theta: f64, order: Order) -> Self {
        let ln = theta + scale.ln();
        let a = ln.exp();
        let digamma = if order >= Order::Fourth { polygamma(0, a) } else { 0.0 };
        Self { scale, a, ln, ln_gamma: libm::lgamma(a), digamma }
    }
}

impl Gamma {
    /// From positive responses (NaN is missing), scales `s > 0` (`None`: 1) and the block of `log φ`.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::LengthMismatch`].
    pub fn likelihood(y: &[f64], scale: Option<&[f64]>, precision: HyperparameterBlock) -> Result<Self, LaplaceError> {
        let y = data::responses("gamma", y, data::positive_response)?;
        let ones = vec![1.0; y.len()];
        let scale = data::positive("gamma", "scale", &y, scale.unwrap_or(&ones))?;
        let log_y = y.iter().map(|y| y.ln()).collect();
        Ok(Self { y, log_y, scale, blocks: vec![precision] })
    }
}

impl Likelihood for Gamma {
    fn family(&self) -> &'static str {
        "gamma"
    }

    fn len(&self) -> usize {
        self.y.len()
    }

    fn link(&self) -> Link {
        Link::Log
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.blocks
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.y[row].is_nan()
    }

    fn evaluate(
        &self,
        theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        let mut ratios = [0.0; PIECE];
        let mut shape = Shape::new(1.0, theta[0], order);
        for start in (0..rows.len()).step_by(PIECE) {
            let end = rows.len().min(start + PIECE);
            let ratios = &mut ratios[..end - start];
            ratios.iter_mut().zip(&eta[start..end]).for_each(|(r, eta)| *r = -eta);
            exp_in_place(ratios);
            for (k, r) in (start..end).zip(ratios) {
                let row = rows.start + k;
                let (y, scale) = (self.y[row], self.scale[row]);
                if scale != shape.scale && !y.is_nan() {
                    shape = Shape::new(scale, theta[0], order);
                }
                let Shape { a, ln, ln_gamma, digamma, .. } = shape;
                let r = y * *r;
                let inside = self.log_y[row] - eta[k] - r;
                let value = a * (ln + inside) - self.log_y[row] - ln_gamma;
                let slope = a * (ln + 1.0 - digamma + inside);
                let known = value.is_finite() && slope.is_finite() && (a * r).is_finite();
                let present = if known { value } else { f64::NEG_INFINITY };
                let ar = if known { a * r } else { 0.0 };
                out.value[k] = if y.is_nan() { 0.0 } else { present };
                if order >= Order::Second {
                    out.first[k] = if known { a * (r - 1.0) } else { 0.0 };
                    out.second[k] = -ar;
                }
                if order >= Order::Fourth {
                    (out.third[k], out.fourth[k]) = (ar, -ar);
                    let of_theta = &mut out.theta[0];
                    of_theta.value[k] = if known { slope } else { 0.0 };
                    (of_theta.first[k], of_theta.second[k]) = (out.first[k], out.second[k]);
                }
            }
        }
        Ok(())
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let shape = self.scale[row] * theta[0].exp();
        let x = shape * self.y[row] * (-eta).exp();
        self.is_observed(row).then(|| incomplete_gamma(x, shape))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        self.is_observed(row).then(|| self.log_y[row])
    }
}
