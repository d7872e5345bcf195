//! Derivatives of a log-density from its formula alone: truncated Taylor series in `η` with first derivatives in the
//! hyperparameters.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use gmrf::special::polygammas;

/// A number that a log-density is computed in: `f64` for its value, a [`Taylor`] series for its derivatives.
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

/// Hyperparameters that a family of log-densities can have.
pub const MOST_HYPERPARAMETERS: usize = 3;

/// The first `N` Taylor coefficients in `η`, and up to the second those of the derivative in each of `P` hyperparameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taylor<const N: usize, const P: usize> {
    /// `f⁽ᵏ⁾/k!`.
    series: [f64; N],
    /// `∂f⁽ᵏ⁾/∂θⱼ/k!`.
    slopes: [[f64; 3]; P],
}

impl<const N: usize, const P: usize> Taylor<N, P> {
    /// The linear predictor.
    pub fn predictor(eta: f64) -> Self {
        let mut jet = Self::constant(eta);
        jet.series[1] = 1.0;
        jet
    }

    /// Hyperparameter `j`, a constant if it is not among the `P`.
    pub fn hyperparameter(j: usize, theta: f64) -> Self {
        let mut jet = Self::constant(theta);
        if let Some(slopes) = jet.slopes.get_mut(j) {
            slopes[0] = 1.0;
        }
        jet
    }

    /// `f, f′, f″, f‴, f⁗` in `η`, those beyond the series zero.
    pub fn derivatives(&self) -> [f64; 5] {
        const FACTORIALS: [f64; 5] = [1.0, 1.0, 2.0, 6.0, 24.0];
        let mut out = [0.0; 5];
        for ((out, s), factorial) in out.iter_mut().zip(&self.series).zip(FACTORIALS) {
            *out = factorial * s;
        }
        out
    }

    /// `∂f/∂θⱼ, ∂f′/∂θⱼ, ∂f″/∂θⱼ`.
    pub fn slopes(&self, j: usize) -> [f64; 3] {
        let s = &self.slopes[j];
        [s[0], s[1], 2.0 * s[2]]
    }

    /// Whether all of it is finite.
    pub fn is_finite(&self) -> bool {
        self.series.iter().chain(self.slopes.iter().flatten()).all(|s| s.is_finite())
    }

    #[inline(always)]
    fn zip(mut self, other: Self, of: impl Fn(f64, f64) -> f64) -> Self {
        for k in 0..N {
            self.series[k] = of(self.series[k], other.series[k]);
        }
        for j in 0..P {
            for k in 0..3 {
                self.slopes[j][k] = of(self.slopes[j][k], other.slopes[j][k]);
            }
        }
        self
    }

    #[inline(always)]
    fn map(self, of: impl Fn(f64) -> f64) -> Self {
        self.zip(self, |a, _| of(a))
    }
}

/// Product of two series, as far as both go; loops, since closures in arrays are calls.
#[inline(always)]
fn product<const N: usize>(a: &[f64; N], b: &[f64; N]) -> [f64; N] {
    let mut out = [0.0; N];
    for k in 0..N {
        for i in 0..=k {
            out[k] += a[i] * b[k - i];
        }
    }
    out
}

/// The first three coefficients.
#[inline(always)]
fn head<const N: usize>(series: &[f64; N]) -> [f64; 3] {
    [series[0], series[1], series[2]]
}

impl<const N: usize, const P: usize> Mul for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let (mut left, mut right) = (self, other);
        for j in 0..P {
            left.slopes[j] = product(&self.slopes[j], &head(&other.series));
            right.slopes[j] = product(&head(&self.series), &other.slopes[j]);
        }
        Self { series: product(&self.series, &other.series), ..left.zip(right, |a, b| a + b) }
    }
}

impl<const N: usize, const P: usize> Add for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl<const N: usize, const P: usize> Sub for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl<const N: usize, const P: usize> Neg for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|a| -a)
    }
}

impl<const N: usize, const P: usize> Div for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Mul::mul(self, other.recip())
    }
}

impl<const N: usize, const P: usize> Add<f64> for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn add(mut self, other: f64) -> Self {
        self.series[0] += other;
        self
    }
}

impl<const N: usize, const P: usize> Sub<f64> for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: f64) -> Self {
        self + (-other)
    }
}

impl<const N: usize, const P: usize> Mul<f64> for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: f64) -> Self {
        self.map(|a| a * other)
    }
}

impl<const N: usize, const P: usize> Div<f64> for Taylor<N, P> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: f64) -> Self {
        self.map(|a| a / other)
    }
}

impl<const N: usize, const P: usize> Real for Taylor<N, P> {
    #[inline(always)]
    fn constant(value: f64) -> Self {
        let mut series = [0.0; N];
        series[0] = value;
        Self { series, slopes: [[0.0; 3]; P] }
    }

    fn value(&self) -> f64 {
        self.series[0]
    }

    #[inline(always)]
    fn compose(self, derivatives: impl FnOnce(f64) -> [f64; 5]) -> Self {
        let f = derivatives(self.series[0]);
        let mut moved = self.series;
        moved[0] = 0.0;
        let second = product(&moved, &moved);
        let third = product(&second, &moved);
        let fourth = product(&third, &moved);
        let mut series = [0.0; N];
        series[0] = f[0];
        for k in 1..N {
            series[k] = f[1] * moved[k];
            // the powers start with as many zeros
            if k > 1 {
                series[k] += f[2] / 2.0 * second[k];
            }
            if k > 2 {
                series[k] += f[3] / 6.0 * third[k];
            }
            if k > 3 {
                series[k] += f[4] / 24.0 * fourth[k];
            }
        }
        // the series of f′ to second order
        let outer = [f[1], f[2] * moved[1], f[2] * moved[2] + f[3] / 2.0 * second[2]];
        let mut slopes = [[0.0; 3]; P];
        for j in 0..P {
            slopes[j] = product(&outer, &self.slopes[j]);
        }
        Self { series, slopes }
    }
}
