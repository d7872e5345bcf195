//! Likelihoods: one file a family.
//!
//! Conventions: `ℓ(η)` is the log-density of one observation, all normalising constants included, and `ℓ′, ℓ″, ℓ‴, ℓ⁗` are its
//! derivatives in the linear predictor `η` (offset included, log exposure not). A missing response has `ℓ ≡ 0`.

use std::fmt::Debug;
use std::ops::Range;

use gmrf::HyperparameterBlock;

use crate::error::LaplaceError;
use crate::link::Link;

/// How much of the derivatives a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// `ℓ` alone: a line search.
    Value,
    /// `ℓ, ℓ′, ℓ″`: a Newton step.
    Second,
    /// `ℓ … ℓ⁗` and the derivatives in the hyperparameters: gradients and corrections.
    Fourth,
}

/// Derivatives in one hyperparameter `θⱼ`, each of the length of the rows asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThetaDerivatives {
    /// `∂ℓ/∂θⱼ`.
    pub value: Vec<f64>,
    /// `∂ℓ′/∂θⱼ`.
    pub first: Vec<f64>,
    /// `∂ℓ″/∂θⱼ`.
    pub second: Vec<f64>,
}

/// `ℓ` and its derivatives for a range of rows; every vector has the length of the range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Derivatives {
    /// `ℓ`.
    pub value: Vec<f64>,
    /// `ℓ′`.
    pub first: Vec<f64>,
    /// `ℓ″`.
    pub second: Vec<f64>,
    /// `ℓ‴`.
    pub third: Vec<f64>,
    /// `ℓ⁗`.
    pub fourth: Vec<f64>,
    /// Derivatives in the hyperparameters, one element each, fixed ones included.
    pub theta: Vec<ThetaDerivatives>,
}

impl Derivatives {
    /// Zeroed room for `rows` observations and `hyperparameters` hyperparameters.
    pub fn zeros(rows: usize, hyperparameters: usize) -> Self {
        let zeros = vec![0.0; rows];
        Self {
            value: zeros.clone(),
            first: zeros.clone(),
            second: zeros.clone(),
            third: zeros.clone(),
            fourth: zeros.clone(),
            theta: vec![
                ThetaDerivatives { value: zeros.clone(), first: zeros.clone(), second: zeros };
                hyperparameters
            ],
        }
    }
}

/// What [`Likelihood::over_gaussian`] knows of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianIntegrals {
    /// `E e^ℓ`.
    pub density: f64,
    /// `E ℓ`.
    pub log_density: f64,
    /// `E ℓ²`.
    pub log_density_squared: f64,
}

/// A block of observations, conditionally independent given their linear predictors.
pub trait Likelihood: Send + Sync + Debug {
    /// The name of the family: `poisson`, …
    fn family(&self) -> &'static str;

    /// The number of observations, missing ones included.
    fn len(&self) -> usize;

    /// Whether there is no observation.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The link between the linear predictor and the fitted value.
    fn link(&self) -> Link;

    /// Blocks of hyperparameters, each with one joint prior.
    fn hyperparameters(&self) -> &[HyperparameterBlock];

    /// Whether the response of `row` is present.
    fn is_observed(&self, row: usize) -> bool;

    /// Whether `ℓ‴` vanishes identically: then the Laplace approximation is exact.
    fn is_gaussian(&self) -> bool {
        false
    }

    /// `ℓ` and its derivatives for `rows` at `eta` (length of `rows`), up to `order`, into the first `rows.len()`
    /// elements of the vectors of `out`. Elements beyond the order asked for are left as they are.
    ///
    /// `theta` holds all hyperparameters of the family, fixed ones included, on the internal scale. A value that overflows
    /// becomes `−∞` in `ℓ`, never NaN.
    ///
    /// # Errors
    /// [`LaplaceError::NotFinite`] where the hyperparameters themselves make the density undefined.
    fn evaluate(
        &self,
        theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError>;

    /// Whether greater predictors go with greater responses; `None`: neither, as with a variance.
    fn response_grows(&self) -> Option<bool> {
        Some(true)
    }

    /// `P(Y ≤ y_row | η, θ)`, for probability integral transforms; `None` for a missing response and where it is not known.
    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64>;

    /// Integrals of `row`'s density over `η ~ N(mean, variance)` where they have closed forms; `None` leaves them to quadrature.
    fn over_gaussian(&self, _theta: &[f64], _row: usize, _mean: f64, _variance: f64) -> Option<GaussianIntegrals> {
        None
    }

    /// `E P(Y ≤ y_row | η, θ)` over `η ~ N(mean, variance)` where it has a closed form; `None` leaves it to quadrature.
    fn cumulative_over_gaussian(&self, _theta: &[f64], _row: usize, _mean: f64, _variance: f64) -> Option<f64> {
        None
    }

    /// A starting value of `η` for each row (`None`: zero), near the mode of `ℓ`, finite.
    fn initial_predictor(&self, row: usize) -> Option<f64>;
}

mod beta;
mod binomial;
mod data;
mod from_density;
mod gamma;
mod gaussian;
mod incomplete;
pub mod jet;
mod logistic;
mod negative_binomial;
mod poisson;
mod stochastic_volatility;
mod student_t;
mod survival;
mod unobserved;
mod weighted;

pub use beta::Beta;
pub use binomial::Binomial;
pub use from_density::{FromDensity, LogDensity, MOST_COMMON};
pub use gamma::Gamma;
pub use gaussian::Gaussian;
pub use jet::Real;
pub use negative_binomial::NegativeBinomial;
pub use poisson::Poisson;
pub use stochastic_volatility::StochasticVolatility;
pub use student_t::StudentT;
pub use survival::{Censoring, Survival};
pub use unobserved::Unobserved;
pub use weighted::Weighted;

/// The names of the families.
pub const FAMILIES: [&str; 10] =
    ["gaussian", "t", "poisson", "nbinomial", "binomial", "gamma", "beta", "exponential", "weibull", "stochvol"];

/// Rows whose exponentials are taken together: they stay in the nearest cache.
const PIECE: usize = 256;

/// Writes `[ℓ, ℓ′, ℓ″, ℓ‴, ℓ⁗]` of one row up to `order`.
fn store(d: &[f64; 5], k: usize, order: Order, out: &mut Derivatives) {
    out.value[k] = d[0];
    if order >= Order::Second {
        (out.first[k], out.second[k]) = (d[1], d[2]);
    }
    if order >= Order::Fourth {
        (out.third[k], out.fourth[k]) = (d[3], d[4]);
    }
}
