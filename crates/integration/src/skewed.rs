//! A univariate density with given mean, standard deviation and skewness: the shifted lognormal.
//!
//! `x = mean + sd (exp(s z − s²/2) − 1)/√(exp(s²) − 1)`, `z ~ N(0, 1)`, mirrored for negative skewness; its skewness is
//! `(e^{s²} + 2)√(e^{s²} − 1)`, which may take any value. Density, distribution and quantiles are closed forms. Its excess kurtosis
//! for small skewness `γ` is `(16/9)γ²`, close to the `2γ²` of a log-gamma density (what a Poisson or Gaussian variance
//! likelihood makes of a flat prior), where the skew-normal's is far smaller and its skewness bounded by 0.995.

use std::f64::consts::{PI, SQRT_2};

use gmrf::elementary::{cubic_root_in_place, ln_1p_in_place};
use laplace::Moment;

/// Below this `s` the map is linear to rounding.
const GAUSSIAN: f64 = 1e-7;
/// The heaviest skewness used; beyond it the moments come from outside the expansion's range.
const GREATEST_SKEWNESS: f64 = 4.0;

/// `½ log 2π`.
pub(crate) const LN_ROOT_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// The shifted lognormal with given first three moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkewedGaussian {
    mean: f64,
    sd: f64,
    /// `s` with the sign of the skewness.
    shape: f64,
    /// `√(exp(s²) − 1)`.
    spread: f64,
}

impl SkewedGaussian {
    /// From mean, standard deviation (not negative) and skewness; a skewness beyond ±4 is taken as ±4.
    pub fn new(mean: f64, sd: f64, skewness: f64) -> Self {
        let skewness = bounded(skewness);
        let (mut spread, mut log) = ([skewness.abs()], [0.0]);
        shapes(&mut spread, &mut log);
        Self::with((mean, sd, skewness), (spread[0], log[0]))
    }

    /// From moments, `√(exp(s²) − 1)` and `s²`.
    fn with((mean, sd, skewness): (f64, f64, f64), (spread, square): (f64, f64)) -> Self {
        Self { mean, sd, shape: square.sqrt().copysign(skewness), spread }
    }

    /// Its mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Its standard deviation.
    pub fn sd(&self) -> f64 {
        self.sd
    }

    /// The value at standard normal `z`: quantiles are `at(Φ⁻¹(p))`.
    pub fn at(&self, z: f64) -> f64 {
        let s = self.shape.abs();
        if s < GAUSSIAN {
            return self.mean + self.sd * z;
        }
        let sign = self.shape.signum();
        self.mean + self.sd * sign * (s * sign * z - 0.5 * s * s).exp_m1() / self.spread
    }

    /// `at(z)` from `exp` of [`exponent_at`](Self::exponent_at), for many values at once: to `1e-16` standard deviations over `s`.
    pub(crate) fn at_exponential(&self, exponential: f64, z: f64) -> f64 {
        let moved = self.shape.signum() * (exponential - 1.0) / self.spread;
        self.mean + self.sd * if self.shape.abs() < GAUSSIAN { z } else { moved }
    }

    /// What [`at_exponential`](Self::at_exponential) wants the exponential of.
    pub(crate) fn exponent_at(&self, z: f64) -> f64 {
        self.shape * (z - 0.5 * self.shape)
    }

    /// Logarithm of the density at `at(0)` but for the normal's constant: see [`ln_pdf_at`](Self::ln_pdf_at).
    pub(crate) fn ln_scale(&self) -> f64 {
        let s = self.shape.abs();
        if s < GAUSSIAN { -self.sd.ln() } else { (self.spread / (self.sd * s)).ln() + 0.5 * s * s }
    }

    /// Logarithm of the density at `at(z)` from [`ln_scale`](Self::ln_scale): no transcendental function.
    pub(crate) fn ln_pdf_at(&self, z: f64, ln_scale: f64) -> f64 {
        ln_scale - LN_ROOT_TWO_PI - z * (0.5 * z + self.shape)
    }

    /// The standard normal `z` of `x`, and `log dz/dx`; `None` beyond the end of the support.
    fn standardise(&self, x: f64) -> Option<(f64, f64)> {
        let u = (x - self.mean) / self.sd;
        let s = self.shape.abs();
        if s < GAUSSIAN {
            return Some((u, -self.sd.ln()));
        }
        let sign = self.shape.signum();
        let inner = sign * u * self.spread;
        if inner <= -1.0 {
            return None;
        }
        let log = inner.ln_1p();
        Some((sign * (log + 0.5 * s * s) / s, (self.spread / (self.sd * s)).ln() - log))
    }

    /// Logarithm of the density.
    pub fn ln_pdf(&self, x: f64) -> f64 {
        match self.standardise(x) {
            Some((z, log_slope)) => -0.5 * z * z - 0.5 * (2.0 * PI).ln() + log_slope,
            None => f64::NEG_INFINITY,
        }
    }

    /// Density.
    pub fn pdf(&self, x: f64) -> f64 {
        self.ln_pdf(x).exp()
    }

    /// Distribution function.
    pub fn cdf(&self, x: f64) -> f64 {
        match self.standardise(x) {
            Some((z, _)) => 0.5 * libm::erfc(-z / SQRT_2),
            None => f64::from(u8::from(self.shape < 0.0)),
        }
    }

    /// Quantile of `p` in (0, 1).
    pub fn quantile(&self, p: f64) -> f64 {
        self.at(normal_quantile(p))
    }
}

/// A skewness that is used.
fn bounded(skewness: f64) -> f64 {
    if skewness == 0.0 || !skewness.is_finite() {
        return 0.0;
    }
    skewness.clamp(-GREATEST_SKEWNESS, GREATEST_SKEWNESS)
}

/// `√(e^{s²} − 1)`, the root of `t³ + 3t = |γ|`, over the absolute values of skewness, and `s²`.
fn shapes(spreads: &mut [f64], squares: &mut [f64]) {
    cubic_root_in_place(spreads);
    squares.iter_mut().zip(&*spreads).for_each(|(square, t)| *square = t * t);
    ln_1p_in_place(squares);
}

/// Many of them at once, with room for what they are made of.
#[derive(Debug, Default)]
pub(crate) struct SkewedGaussians {
    skewness: Vec<f64>,
    spreads: Vec<f64>,
    squares: Vec<f64>,
}

impl SkewedGaussians {
    /// Those with the given moments, in order.
    pub(crate) fn of<'a>(
        &'a mut self,
        moments: impl Iterator<Item = &'a Moment> + Clone + 'a,
    ) -> impl Iterator<Item = SkewedGaussian> + 'a {
        self.skewness.clear();
        self.skewness.extend(moments.clone().map(|moment| bounded(moment.skewness)));
        self.spreads.clear();
        self.spreads.extend(self.skewness.iter().map(|skewness| skewness.abs()));
        self.squares.resize(self.spreads.len(), 0.0);
        shapes(&mut self.spreads, &mut self.squares);
        let shapes = self.spreads.iter().copied().zip(self.squares.iter().copied());
        moments.zip(&self.skewness).zip(shapes).map(|((moment, skewness), shape)| {
            SkewedGaussian::with((moment.mean, moment.variance.sqrt(), *skewness), shape)
        })
    }
}

/// `Φ⁻¹(p)` by Newton's iteration with Halley's correction from a rational start; ±∞ at the ends, NaN outside.
pub fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return if p == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    if p > 0.5 {
        return -lower_quantile(1.0 - p);
    }
    lower_quantile(p)
}

fn lower_quantile(p: f64) -> f64 {
    // Hastings' rational approximation (Abramowitz and Stegun 26.2.23), error below 4.5e-4
    let t = (-2.0 * p.ln()).sqrt();
    let mut z = -(t
        - (2.515_517 + t * (0.802_853 + t * 0.010_328)) / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308))));
    for _ in 0..3 {
        // relative error of Φ, so that the far tail is as exact as the middle
        let log_density = -0.5 * z * z - 0.5 * (2.0 * PI).ln();
        let ratio = (0.5 * libm::erfc(-z / SQRT_2) - p) / log_density.exp();
        let step = ratio / (1.0 + 0.5 * z * ratio);
        if !step.is_finite() {
            break;
        }
        z -= step;
        // the error is cubed
        if step.abs() < 1e-5 {
            break;
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_density_at_a_standard_normal_is_that_at_its_value() {
        for skewness in [-1.3, 0.0, 1e-9, 0.4] {
            let density = SkewedGaussian::new(0.3, 1.7, skewness);
            for z in [-3.0, -0.5, 0.0, 2.0] {
                let (fast, slow) = (density.ln_pdf_at(z, density.ln_scale()), density.ln_pdf(density.at(z)));
                // rounding of the logarithms; the linear map of a skewness of 1e-9 is off by as much
                assert!((fast - slow).abs() < 1e-8, "{skewness} {z}: {fast} {slow}");
            }
        }
    }

    #[test]
    fn values_come_from_exponentials_too() {
        for skewness in [-1.3, 0.0, 1e-9, 1e-5, 0.4] {
            let density = SkewedGaussian::new(0.3, 1.7, skewness);
            for z in [-3.0, -0.5, 0.0, 2.0] {
                let value = density.at_exponential(density.exponent_at(z).exp(), z);
                assert!((value - density.at(z)).abs() < 1e-10, "{skewness} {z}: {value}");
            }
        }
    }

    fn moments(density: &SkewedGaussian) -> (f64, f64, f64) {
        let step = 2e-3;
        let points: Vec<(f64, f64)> =
            (-5000..=5000).map(|k| f64::from(k) * step).map(|z| (density.at(z), (-0.5 * z * z).exp())).collect();
        let total: f64 = points.iter().map(|p| p.1).sum();
        let mean = points.iter().map(|(x, w)| x * w).sum::<f64>() / total;
        let central = |power| points.iter().map(|(x, w)| (x - mean).powi(power) * w).sum::<f64>() / total;
        (mean, central(2).sqrt(), central(3) / central(2).powf(1.5))
    }

    #[test]
    fn it_has_the_moments_that_it_was_made_with() {
        for skewness in [-2.0, -0.5, -1e-2, 0.0, 1e-5, 0.3, 1.5] {
            let (mean, sd, found) = moments(&SkewedGaussian::new(1.5, 0.4, skewness));
            assert!((mean - 1.5).abs() < 1e-9 && (sd - 0.4).abs() < 1e-8, "{skewness}: {mean} {sd}");
            assert!((found - skewness).abs() < 1e-6, "{skewness}: {found}");
        }
    }

    #[test]
    fn many_at_once_are_those_one_by_one() {
        let moment = |k: i32| laplace::Moment { mean: f64::from(k), variance: 2.0, skewness: 0.3 * f64::from(k - 20) };
        let moments: Vec<laplace::Moment> = (0..43).map(moment).collect();
        let mut several = SkewedGaussians::default();
        for (found, moment) in several.of(moments.iter()).zip(&moments) {
            assert_eq!(found, SkewedGaussian::new(moment.mean, moment.variance.sqrt(), moment.skewness));
        }
    }

    #[test]
    fn density_distribution_and_quantiles_agree() {
        for skewness in [-1.2, -1e-4, 0.0, 0.7] {
            let density = SkewedGaussian::new(-1.0, 2.0, skewness);
            for p in [1e-6, 0.025, 0.3, 0.5, 0.975, 1.0 - 1e-6] {
                let x = density.quantile(p);
                assert!((density.cdf(x) - p).abs() < 1e-12);
                let h = 1e-4;
                let slope = (density.cdf(x + h) - density.cdf(x - h)) / (2.0 * h);
                assert!((slope - density.pdf(x)).abs() < 1e-7, "{skewness} {p}");
            }
        }
        let bounded = SkewedGaussian::new(0.0, 1.0, 2.0);
        assert_eq!((bounded.cdf(-10.0), bounded.pdf(-10.0)), (0.0, 0.0));
        assert_eq!(SkewedGaussian::new(0.0, 1.0, -2.0).cdf(10.0), 1.0);
    }

    #[test]
    fn normal_quantiles_invert_the_distribution_down_to_the_far_tail() {
        for p in [1e-300, 1e-20, 1e-5, 0.01, 0.3, 0.5] {
            let z = normal_quantile(p);
            let back = 0.5 * libm::erfc(-z / SQRT_2);
            // a rounding of z moves the tail probability by |z|² roundings
            assert!((back / p - 1.0).abs() < 1e-12 * (1.0 + z * z), "{p}: {back}");
        }
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-14);
        assert!(normal_quantile(1.5).is_nan());
    }
}
