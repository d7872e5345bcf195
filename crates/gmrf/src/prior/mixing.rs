//! The penalised-complexity prior of the mixing parameter `φ` of bym2 (Riebler et al. 2016), on `θ = logit φ`.
//!
//! With `γ_i⁻¹` the eigenvalues of the scaled generalised inverse `R*⁻` (zero on the null space),
//! `d(φ)² = Σ [φ(γ_i⁻¹ − 1) − log(1 + φ(γ_i⁻¹ − 1))]`, `π(φ) = λ e^{−λd} |d′(φ)|`, `P(φ < u) = α`. For large graphs the logarithms
//! come from one sparse factor: `Σ log(1 + φ(γ⁻¹ − 1)) = n log(1−φ) + log|R* + φ/(1−φ) I| − k log(φ/(1−φ)) − log|R*|*`.

use super::{Prior, invalid, probability};
use crate::error::GmrfError;

/// What the prior needs to know of the structured part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixingConstants {
    /// The number of nodes.
    pub nodes: usize,
    /// The dimension `k` of the null space of `R*`.
    pub rank_deficiency: usize,
    /// `tr R*⁻`.
    pub trace: f64,
    /// `log|R*|*`.
    pub log_determinant: f64,
}

/// Ends and spacing of the table in `logit φ`; beyond it the asymptotes of `d` take over.
const TABLE_END: f64 = 12.0;
const TABLE_STEP: f64 = 0.25;

/// `pc(u, alpha)` of bym2.
#[derive(Debug, Clone)]
pub struct PcMixing {
    u: f64,
    alpha: f64,
    rate: f64,
    /// `log(1 − e^{−λ d(1)})` where `d(1)` is finite.
    log_truncation: f64,
    /// `log d` at the table's points, and its derivatives in `logit φ`.
    log_distance: Vec<f64>,
    slope: Vec<f64>,
}

impl PcMixing {
    /// From the constants and a function that gives `log|R* + cI|` at each of some hundred values `c > 0`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] unless `u` and `alpha` lie between 0 and 1; errors of the factor.
    pub fn new(
        constants: &MixingConstants,
        log_determinants: impl Fn(&[f64]) -> Result<Vec<f64>, GmrfError>,
        u: f64,
        alpha: f64,
    ) -> Result<Self, GmrfError> {
        let (u, alpha) = (probability("pc", "u", u)?, probability("pc", "alpha", alpha)?);
        let points = (2.0 * TABLE_END / TABLE_STEP).round() as usize + 1;
        let thetas: Vec<f64> = (0..points).map(|i| -TABLE_END + TABLE_STEP * i as f64).collect();
        let found = log_determinants(&thetas.iter().map(|theta| theta.exp()).collect::<Vec<f64>>())?;
        let mut log_distance = Vec::with_capacity(points);
        for (theta, found) in thetas.into_iter().zip(found) {
            let d2 = squared_distance(constants, found, theta);
            if d2.is_nan() || d2 <= 0.0 {
                let reason = "the structured part cannot be told from noise: every region is an island".to_owned();
                return Err(invalid("pc", reason));
            }
            log_distance.push(0.5 * d2.ln());
        }
        let slope = slopes(&log_distance);
        let mut prior = Self { u, alpha, rate: 1.0, log_truncation: 0.0, log_distance, slope };
        let at_u = prior.log_distance_at(u.ln() - (-u).ln_1p()).0.exp();
        prior.rate = -(-alpha).ln_1p() / at_u;
        if constants.rank_deficiency == 0 {
            prior.truncate(at_u, alpha)?;
        }
        Ok(prior)
    }

    /// `d(1)` is finite: `λ` solves `(1 − e^{−λ d(u)})/(1 − e^{−λ d(1)}) = α`.
    fn truncate(&mut self, at_u: f64, alpha: f64) -> Result<(), GmrfError> {
        let at_one = self.log_distance_at(40.0).0.exp();
        let share = |rate: f64| (-rate * at_u).exp_m1() / (-rate * at_one).exp_m1();
        if alpha <= at_u / at_one {
            let reason = format!("alpha is {alpha}; for this graph and u it must exceed {:.4}", at_u / at_one);
            return Err(invalid("pc", reason));
        }
        let (mut low, mut high) = (1e-12, 1.0);
        while share(high) < alpha && high < 1e12 {
            high *= 2.0;
        }
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if share(middle) < alpha { low = middle } else { high = middle }
        }
        self.rate = 0.5 * (low + high);
        self.log_truncation = (-(-self.rate * at_one).exp_m1()).ln();
        Ok(())
    }

    /// `log d`, its first and second derivative in `logit φ`: cubic Hermite pieces; outside, `d ∝ φ` below and constant slope of
    /// `log d` continued with decay above.
    fn log_distance_at(&self, theta: f64) -> (f64, f64, f64) {
        let last = self.slope.len() - 1;
        if theta <= -TABLE_END {
            return (self.log_distance[0] + self.slope[0] * (theta + TABLE_END), self.slope[0], 0.0);
        }
        if theta >= TABLE_END {
            // d² is linear in θ where a null space lets it grow, constant otherwise
            let (value, slope) = (2.0 * self.log_distance[last], 2.0 * self.slope[last]);
            let growth = 1.0 + slope * (theta - TABLE_END);
            let first = 0.5 * slope / growth;
            return (0.5 * (value + growth.ln()), first, -2.0 * first * first);
        }
        let cell = ((theta + TABLE_END) / TABLE_STEP).floor().min((last - 1) as f64);
        let (i, h) = (cell as usize, TABLE_STEP);
        let t = (theta + TABLE_END) / h - cell;
        let (y0, y1, m0, m1) =
            (self.log_distance[i], self.log_distance[i + 1], h * self.slope[i], h * self.slope[i + 1]);
        let (a, b) = (2.0 * (y0 - y1) + m0 + m1, 3.0 * (y1 - y0) - 2.0 * m0 - m1);
        let value = y0 + t * (m0 + t * (b + t * a));
        let first = (m0 + t * (2.0 * b + 3.0 * t * a)) / h;
        (value, first, (2.0 * b + 6.0 * t * a) / (h * h))
    }
}

/// `d(φ)²` at `θ = logit φ` from `log|R* + cI|` at `c = e^θ`.
fn squared_distance(constants: &MixingConstants, log_det: f64, theta: f64) -> f64 {
    let (n, k) = (constants.nodes as f64, constants.rank_deficiency as f64);
    let phi = 1.0 / (1.0 + (-theta).exp());
    // Σ log(1 + φ(γ⁻¹ − 1))
    let logs = -n * theta.exp().ln_1p() + log_det - k * theta - constants.log_determinant;
    phi * (constants.trace - n) - logs
}

/// Derivatives of a function tabulated with spacing [`TABLE_STEP`], by differences of fourth order: their error is below that of the
/// pieces between.
fn slopes(values: &[f64]) -> Vec<f64> {
    const CENTRAL: [f64; 5] = [1.0, -8.0, 0.0, 8.0, -1.0];
    const FIRST: [f64; 5] = [-25.0, 48.0, -36.0, 16.0, -3.0];
    const SECOND: [f64; 5] = [-3.0, -10.0, 18.0, -6.0, 1.0];
    let last = values.len() - 1;
    let sum = |weights: &[f64; 5], at: &dyn Fn(usize) -> f64| -> f64 {
        weights.iter().enumerate().map(|(k, w)| w * at(k)).sum::<f64>() / (12.0 * TABLE_STEP)
    };
    let slope = |i: usize| match i {
        0 => sum(&FIRST, &|k| values[k]),
        1 => sum(&SECOND, &|k| values[k]),
        _ if i == last => -sum(&FIRST, &|k| values[last - k]),
        _ if i == last - 1 => -sum(&SECOND, &|k| values[last - k]),
        _ => sum(&CENTRAL, &|k| values[i + k - 2]),
    };
    (0..values.len()).map(slope).collect()
}

impl Prior for PcMixing {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let (log_d, slope, curvature) = self.log_distance_at(theta[0]);
        let distance = log_d.exp();
        // log of λ e^{−λd} dd/dθ, dd/dθ = d · slope
        let slope = slope.max(1e-300);
        gradient[0] = (1.0 - self.rate * distance) * slope + curvature / slope;
        self.rate.ln() - self.rate * distance + log_d + slope.ln() - self.log_truncation
    }

    fn description(&self) -> String {
        format!("pc({}, {})", self.u, self.alpha)
    }
}
