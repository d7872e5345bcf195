//! Derivatives of a log-density from its formula alone: truncated Taylor series in `η` with first derivatives in the
//! hyperparameters.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use gmrf::special::polygammas;

/// A number that a log-density is computed in: `f64` for its value, a [`Jet`] for its derivatives.
pub trait Real:
    Copy
    + Debug
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
    /// A constant.
    fn constant(value: f64) -> Self;

    /// Its value.
    fn value(&self) -> f64;

    /// `f` of it, from `f, f′, f″, f‴, f⁗` at its value.
    fn compose(self, derivatives: impl FnOnce(f64) -> [f64; 5]) -> Self;

    /// `e^x`.
    fn exp(self) -> Self {
        self.compose(|x| [x.exp(); 5])
    }

    /// `log x`.
    fn ln(self) -> Self {
        self.compose(|x| {
            let r = 1.0 / x;
            [x.ln(), r, -r * r, 2.0 * r.powi(3), -6.0 * r.powi(4)]
        })
    }

    /// `log(1 + x)`.
    fn ln_1p(self) -> Self {
        self.compose(|x| {
            let r = 1.0 / (1.0 + x);
            [x.ln_1p(), r, -r * r, 2.0 * r.powi(3), -6.0 * r.powi(4)]
        })
    }

    /// `log(1 + e^x)`, which neither overflows nor cancels.
    fn ln_1p_exp(self) -> Self {
        self.compose(|x| {
            let decay = (-x.abs()).exp();
            let (large, small) = (1.0 / (1.0 + decay), decay / (1.0 + decay));
            let (p, q) = if x >= 0.0 { (large, small) } else { (small, large) };
            let v = p * q;
            [x.max(0.0) + decay.ln_1p(), p, v, v * (q - p), v * (1.0 - 6.0 * v)]
        })
    }

    /// `log(1 − e^{−x})` for `x > 0`.
    fn ln_1m_exp_neg(self) -> Self {
        self.compose(|x| {
            let value = if x < 0.7 { (-(-x).exp_m1()).ln() } else { (-(-x).exp()).ln_1p() };
            // r = 1/(e^x − 1), r′ = −r(1 + r)
            let r = 1.0 / x.exp_m1();
            let second = -r * (1.0 + r);
            [value, r, second, -second * (1.0 + 2.0 * r), second * (1.0 + 6.0 * r + 6.0 * r * r)]
        })
    }

    /// `1/x`.
    fn recip(self) -> Self {
        self.compose(|x| {
            let r = 1.0 / x;
            [r, -r * r, 2.0 * r.powi(3), -6.0 * r.powi(4), 24.0 * r.powi(5)]
        })
    }

    /// `x²`.
    fn square(self) -> Self {
        self * self
    }

    /// `log Γ(x)` for `x > 0`.
    fn ln_gamma(self) -> Self {
        self.compose(|x| {
            let [first, second, third, fourth] = polygammas(x);
            [libm::lgamma(x), first, second, third, fourth]
        })
    }
}

impl Real for f64 {
    fn constant(value: f64) -> Self {
        value
    }

    fn value(&self) -> f64 {
        *self
    }

    fn compose(self, derivatives: impl FnOnce(f64) -> [f64; 5]) -> Self {
        derivatives(self)[0]
    }

    fn exp(self) -> Self {
        f64::exp(self)
    }

    fn ln(self) -> Self {
        f64::ln(self)
    }

    fn ln_1p(self) -> Self {
        f64::ln_1p(self)
    }

    fn ln_gamma(self) -> Self {
        libm::lgamma(self)
    }
}

/// Hyperparameters that a family of jets can have.
pub const MOST_HYPERPARAMETERS: usize = 3;

/// Taylor coefficients in `η` up to the fourth, and up to the second those of the derivative in each hyperparameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jet {
    /// `f⁽ᵏ⁾/k!`.
    series: [f64; 5],
    /// `∂f⁽ᵏ⁾/∂θⱼ/k!`.
    slopes: [[f64; 3]; MOST_HYPERPARAMETERS],
}

impl Jet {
    /// The linear predictor.
    pub fn predictor(eta: f64) -> Self {
        let mut jet = Self::constant(eta);
        jet.series[1] = 1.0;
        jet
    }

    /// Hyperparameter `j`.
    pub fn hyperparameter(j: usize, theta: f64) -> Self {
        let mut jet = Self::constant(theta);
        jet.slopes[j][0] = 1.0;
        jet
    }

    /// `f, f′, f″, f‴, f⁗` in `η`.
    pub fn derivatives(&self) -> [f64; 5] {
        let s = &self.series;
        [s[0], s[1], 2.0 * s[2], 6.0 * s[3], 24.0 * s[4]]
    }

    /// `∂f/∂θⱼ, ∂f′/∂θⱼ, ∂f″/∂θⱼ`.
    pub fn slopes(&self, j: usize) -> [f64; 3] {
        let s = &self.slopes[j];
        [s[0], s[1], 2.0 * s[2]]
    }

    fn zip(self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            series: std::array::from_fn(|k| of(self.series[k], other.series[k])),
            slopes: std::array::from_fn(|j| std::array::from_fn(|k| of(self.slopes[j][k], other.slopes[j][k]))),
        }
    }

    fn map(self, of: impl Fn(f64) -> f64) -> Self {
        self.zip(self, |a, _| of(a))
    }
}

/// Product of two series up to the order of the result.
fn product<const N: usize>(a: &[f64], b: &[f64]) -> [f64; N] {
    std::array::from_fn(|k| (0..=k).map(|i| a[i] * b[k - i]).sum())
}

impl Mul for Jet {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let slope = |j: usize| {
            let (left, right): ([f64; 3], [f64; 3]) =
                (product(&self.slopes[j], &other.series), product(&self.series, &other.slopes[j]));
            std::array::from_fn(|k| left[k] + right[k])
        };
        Self { series: product(&self.series, &other.series), slopes: std::array::from_fn(slope) }
    }
}

impl Add for Jet {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for Jet {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl Neg for Jet {
    type Output = Self;
    fn neg(self) -> Self {
        self.map(|a| -a)
    }
}

impl Div for Jet {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        Mul::mul(self, other.recip())
    }
}

impl Add<f64> for Jet {
    type Output = Self;
    fn add(mut self, other: f64) -> Self {
        self.series[0] += other;
        self
    }
}

impl Sub<f64> for Jet {
    type Output = Self;
    fn sub(self, other: f64) -> Self {
        self + (-other)
    }
}

impl Mul<f64> for Jet {
    type Output = Self;
    fn mul(self, other: f64) -> Self {
        self.map(|a| a * other)
    }
}

impl Div<f64> for Jet {
    type Output = Self;
    fn div(self, other: f64) -> Self {
        self.map(|a| a / other)
    }
}

impl Real for Jet {
    fn constant(value: f64) -> Self {
        Self { series: [value, 0.0, 0.0, 0.0, 0.0], slopes: [[0.0; 3]; MOST_HYPERPARAMETERS] }
    }

    fn value(&self) -> f64 {
        self.series[0]
    }

    fn compose(self, derivatives: impl FnOnce(f64) -> [f64; 5]) -> Self {
        let f = derivatives(self.series[0]);
        let mut moved = self.series;
        moved[0] = 0.0;
        let second: [f64; 5] = product(&moved, &moved);
        let third: [f64; 5] = product(&second, &moved);
        let fourth: [f64; 5] = product(&third, &moved);
        let series: [f64; 5] = std::array::from_fn(|k| {
            let constant = if k == 0 { f[0] } else { 0.0 };
            constant + f[1] * moved[k] + f[2] / 2.0 * second[k] + f[3] / 6.0 * third[k] + f[4] / 24.0 * fourth[k]
        });
        // the series of f′ to second order
        let outer: [f64; 3] = std::array::from_fn(|k| {
            let constant = if k == 0 { f[1] } else { 0.0 };
            constant + f[2] * moved[k] + f[3] / 2.0 * second[k]
        });
        Self { series, slopes: std::array::from_fn(|j| product(&outer, &self.slopes[j])) }
    }
}
