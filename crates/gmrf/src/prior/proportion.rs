//! Priors of a bounded quantity, and improper ones.

use super::{Prior, invalid, positive};
use crate::error::GmrfError;
use crate::hyperparameter::Transform;

/// `Beta(a, b)` of the share of its interval that the reported value has reached: `logitbeta` on (0, 1), `betacorrelation` on
/// (−1, 1), `uniform` with `a = b = 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct BetaOn {
    name: &'static str,
    a: f64,
    b: f64,
    constant: f64,
}

impl BetaOn {
    /// From the two shapes; `name` is what the description calls it.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] unless both are positive and `θ` is the logit of a share of an interval.
    pub fn new(name: &'static str, a: f64, b: f64, transform: Transform) -> Result<Self, GmrfError> {
        let (a, b) = (positive(name, "a", a)?, positive(name, "b", b)?);
        match transform {
            Transform::Logistic | Transform::Correlation | Transform::Interval { .. } => {}
            _ => return Err(invalid(name, "the hyperparameter is not bounded on both sides; use another prior")),
        }
        Ok(Self { name, a, b, constant: libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) })
    }
}

impl Prior for BetaOn {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        // p^a (1 − p)^b with p = 1/(1 + e^{−θ}), whatever the interval
        let t = theta[0];
        let log_p = t.min(0.0) - (-t.abs()).exp().ln_1p();
        let log_q = log_p - t;
        gradient[0] = self.a * log_q.exp() - self.b * log_p.exp();
        self.constant + self.a * log_p + self.b * log_q
    }

    fn description(&self) -> String {
        format!("{}({}, {})", self.name, self.a, self.b)
    }
}

/// `π(θ) ∝ exp(slope θ)`: flat in `θ`, in `exp θ` or in `exp(−θ)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Improper {
    name: &'static str,
    slope: f64,
}

impl Improper {
    /// `flat`: flat in `θ`.
    pub const FLAT: Self = Self { name: "flat", slope: 0.0 };
    /// `logflat`: flat in `exp θ`.
    pub const LOG_FLAT: Self = Self { name: "logflat", slope: 1.0 };
    /// `logiflat`: flat in `exp(−θ)`.
    pub const LOG_IFLAT: Self = Self { name: "logiflat", slope: -1.0 };
}

impl Prior for Improper {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        gradient[0] = self.slope;
        self.slope * theta[0]
    }

    fn is_proper(&self) -> bool {
        false
    }

    fn description(&self) -> String {
        self.name.to_owned()
    }
}
