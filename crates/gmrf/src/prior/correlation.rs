//! Penalised-complexity priors of a correlation `ρ = tanh(θ/2)` (Sørbye and Rue 2017), base models `ρ = 0` and `ρ = 1`.

use super::{Prior, invalid, probability};
use crate::error::GmrfError;

/// `log(1 + e^x)` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `log(1 − ρ)`, `log(1 + ρ)` at `θ`.
fn log_ends(theta: f64) -> (f64, f64) {
    let ln_2 = std::f64::consts::LN_2;
    (ln_2 - softplus(theta), ln_2 - softplus(-theta))
}

/// `pc.cor0(u, alpha)`: `√(−log(1 − ρ²)) ~ Exponential(λ)`, `P(|ρ| > u) = alpha`.
///
/// `π(ρ) = ½ λ e^{−λμ} |ρ|/(μ(1 − ρ²))`, `μ = √(−log(1 − ρ²))`; on `θ` the factor `(1 − ρ²)/2`.
#[derive(Debug, Clone, PartialEq)]
pub struct PcCorrelation0 {
    u: f64,
    alpha: f64,
    rate: f64,
}

impl PcCorrelation0 {
    /// From `u` and `alpha`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] unless both lie between 0 and 1.
    pub fn new(u: f64, alpha: f64) -> Result<Self, GmrfError> {
        let (u, alpha) = (probability("pc.cor0", "u", u)?, probability("pc.cor0", "alpha", alpha)?);
        Ok(Self { u, alpha, rate: -alpha.ln() / (-(-u * u).ln_1p()).sqrt() })
    }
}

impl Prior for PcCorrelation0 {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let rho = (0.5 * theta[0]).tanh();
        // μ² = −log(1 − ρ²) = ρ²(1 + series)
        let r2 = rho * rho;
        let series = r2 * (0.5 + r2 * (1.0 / 3.0 + 0.25 * r2));
        let square = if r2 < 1e-4 {
            r2 * (1.0 + series)
        } else if r2 < 0.8 {
            -(-r2).ln_1p()
        } else {
            let (minus, plus) = log_ends(theta[0]);
            -(minus + plus)
        };
        let distance = square.sqrt();
        // log(|ρ|/μ) and its derivative in θ; near zero by the series, where the closed form cancels
        let (ratio, slope_of_ratio) = if r2 < 1e-4 {
            let slope = rho * (1.0 + r2 * (4.0 / 3.0 + 1.5 * r2));
            (-0.5 * series.ln_1p(), -0.25 * slope * (1.0 - r2) / (1.0 + series))
        } else {
            ((rho.abs() / distance).ln(), 0.5 * (1.0 - r2) / rho - 0.5 * rho / square)
        };
        let slope = if distance < 1e-12 { 0.0 } else { 0.5 * rho / distance };
        gradient[0] = -self.rate * slope + slope_of_ratio;
        (0.25 * self.rate).ln() - self.rate * distance + ratio
    }

    fn description(&self) -> String {
        format!("pc.cor0({}, {})", self.u, self.alpha)
    }
}

/// `pc.cor1(u, alpha)`: `√(1 − ρ)` is exponential, truncated to `√2`; `P(ρ > u) = alpha`.
///
/// `λ` solves `(1 − e^{−λ√(1−u)})/(1 − e^{−λ√2}) = alpha`, which needs `alpha > √((1 − u)/2)`.
#[derive(Debug, Clone, PartialEq)]
pub struct PcCorrelation1 {
    u: f64,
    alpha: f64,
    rate: f64,
}

impl PcCorrelation1 {
    /// From `u` in (−1, 1) and `alpha`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] names the least possible `alpha`.
    pub fn new(u: f64, alpha: f64) -> Result<Self, GmrfError> {
        probability("pc.cor1", "alpha", alpha)?;
        if !(u > -1.0 && u < 1.0) {
            return Err(invalid("pc.cor1", format!("u is {u}; it must lie between -1 and 1")));
        }
        let least = (0.5 * (1.0 - u)).sqrt();
        if alpha <= least {
            return Err(invalid("pc.cor1", format!("alpha is {alpha}; with u = {u} it must exceed {least:.4}")));
        }
        let share = |rate: f64| (-rate * (1.0 - u).sqrt()).exp_m1() / (-rate * std::f64::consts::SQRT_2).exp_m1();
        let (mut low, mut high) = (1e-12, 1.0);
        while share(high) < alpha && high < 1e12 {
            high *= 2.0;
        }
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if share(middle) < alpha { low = middle } else { high = middle }
        }
        Ok(Self { u, alpha, rate: 0.5 * (low + high) })
    }
}

impl Prior for PcCorrelation1 {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let (minus, plus) = log_ends(theta[0]);
        let distance = (0.5 * minus).exp();
        let rho = (0.5 * theta[0]).tanh();
        // dρ/dθ = (1 − ρ)(1 + ρ)/2
        let normaliser = self.rate.ln() - (-(-self.rate * std::f64::consts::SQRT_2).exp_m1()).ln();
        gradient[0] = 0.25 * self.rate * distance * (1.0 + rho) - 0.25 * (1.0 + rho) + 0.5 * (1.0 - rho);
        normaliser - self.rate * distance - 2.0 * std::f64::consts::LN_2 + 0.5 * minus + plus
    }

    fn description(&self) -> String {
        format!("pc.cor1({}, {})", self.u, self.alpha)
    }
}
