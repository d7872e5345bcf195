//! Penalised complexity priors of the shapes of likelihoods: the size of a negative binomial, the exponent of a Weibull.

use super::{Prior, positive};
use crate::error::GmrfError;
use crate::special::{polygamma, polygammas};

/// `pc.mgamma(λ)` for `θ = log n`: the base model of a gamma mixture `Gamma(n, n)` is the constant one, at distance
/// `d = √(2(log n − ψ(n)))`, which is exponential with rate `λ`.
#[derive(Debug, Clone, PartialEq)]
pub struct PcGammaMixture {
    rate: f64,
}

impl PcGammaMixture {
    /// From the rate.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] unless it is positive.
    pub fn new(rate: f64) -> Result<Self, GmrfError> {
        Ok(Self { rate: positive("pc.mgamma", "the rate", rate)? })
    }
}

/// Beyond this size `log n − ψ(n)` loses digits, and its expansion `1/(2n) + 1/(12n²) − 1/(120n⁴)` is exact to rounding.
const LARGE: f64 = 1e3;

/// `log n − ψ(n)`, its derivative in `n` and its second.
fn mixture(n: f64) -> [f64; 3] {
    if n > LARGE {
        let r = 1.0 / n;
        let value = r * (0.5 + r * (1.0 / 12.0 - r * r / 120.0));
        let first = -r * r * (0.5 + r * (1.0 / 6.0 - r * r / 30.0));
        let second = r * r * r * (1.0 + r * (0.5 - r * r / 6.0));
        return [value, first, second];
    }
    let psi = polygammas(n);
    [n.ln() - psi[0], 1.0 / n - psi[1], -1.0 / (n * n) - psi[2]]
}

impl Prior for PcGammaMixture {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let n = theta[0].exp().clamp(1e-100, 1e100);
        let [k, k1, k2] = mixture(n);
        let d = (2.0 * k).sqrt();
        // dd/dθ = n k′/d
        gradient[0] = -self.rate * n * k1 / d + 1.0 + n * k2 / k1 - n * k1 / (d * d);
        self.rate.ln() - self.rate * d + (-n * k1).ln() - d.ln()
    }

    fn description(&self) -> String {
        format!("pc.mgamma({})", self.rate)
    }
}

/// `pc.alphaw(λ)` for `θ = log α`: the base model of a Weibull distribution is the exponential one, at distance `d = √(2K)`,
/// `K = Γ(1 + 1/α) + log α + γ/α − γ − 1`; exponential with rate `λ`, either side with the same mass.
#[derive(Debug, Clone, PartialEq)]
pub struct PcWeibull {
    rate: f64,
}

/// Nearer to `α = 1` the distance is expanded: `K` there is a difference of nearly equal numbers.
const NEAR: f64 = 1e-3;

impl PcWeibull {
    /// From the rate.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] unless it is positive.
    pub fn new(rate: f64) -> Result<Self, GmrfError> {
        Ok(Self { rate: positive("pc.alphaw", "the rate", rate)? })
    }
}

/// `|d|`, and `log |dd/dα|` with its derivative in `α`.
fn weibull(alpha: f64) -> [f64; 3] {
    let euler = -polygamma(0, 1.0);
    let h = alpha - 1.0;
    if h.abs() < NEAR {
        let [_, _, second, third, fourth] = divergence(1.0, euler);
        // K = c₂h² + c₃h³ + c₄h⁴, d = √(2c₂) h (1 + e₁h + e₂h²)
        let (c2, c3, c4) = (second / 2.0, third / 6.0, fourth / 24.0);
        let e1 = 0.5 * c3 / c2;
        let e2 = 0.5 * c4 / c2 - 0.5 * e1 * e1;
        let slope = 1.0 + h * (2.0 * e1 + 3.0 * e2 * h);
        let distance = second.sqrt() * h.abs() * (1.0 + h * (e1 + e2 * h));
        return [distance, 0.5 * second.ln() + slope.ln(), (2.0 * e1 + 6.0 * e2 * h) / slope];
    }
    let [k, k1, k2, ..] = divergence(alpha, euler);
    let d = (2.0 * k).sqrt();
    [d, (k1.abs() / d).ln(), k2 / k1 - k1 / (d * d)]
}

/// `K` and its first four derivatives in `α`.
fn divergence(alpha: f64, euler: f64) -> [f64; 5] {
    // in s = 1/α: G(s) = Γ(1 + s) − log s + γs − γ − 1
    let s = 1.0 / alpha;
    let psi = polygammas(1.0 + s);
    let gamma = libm::tgamma(1.0 + s);
    let g1 = psi[0];
    let g2 = psi[0] * psi[0] + psi[1];
    let g3 = psi[0].powi(3) + 3.0 * psi[0] * psi[1] + psi[2];
    let g4 = psi[0].powi(4) + 6.0 * psi[0].powi(2) * psi[1] + 4.0 * psi[0] * psi[2] + 3.0 * psi[1].powi(2) + psi[3];
    let d1 = gamma * g1 - 1.0 / s + euler;
    let d2 = gamma * g2 + 1.0 / (s * s);
    let d3 = gamma * g3 - 2.0 / s.powi(3);
    let d4 = gamma * g4 + 6.0 / s.powi(4);
    // s′ = −s², s″ = 2s³, s‴ = −6s⁴, s⁗ = 24s⁵
    let (s1, s2, s3, s4) = (-s * s, 2.0 * s.powi(3), -6.0 * s.powi(4), 24.0 * s.powi(5));
    [
        gamma - s.ln() + euler * s - euler - 1.0,
        d1 * s1,
        d2 * s1 * s1 + d1 * s2,
        d3 * s1.powi(3) + 3.0 * d2 * s1 * s2 + d1 * s3,
        d4 * s1.powi(4) + 6.0 * d3 * s1 * s1 * s2 + d2 * (3.0 * s2 * s2 + 4.0 * s1 * s3) + d1 * s4,
    ]
}

impl Prior for PcWeibull {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        // beyond, Γ(1 + 1/α) overflows
        let alpha = theta[0].clamp(-4.5, 200.0).exp();
        let [d, log_slope, curvature] = weibull(alpha);
        let side = if alpha >= 1.0 { 1.0 } else { -1.0 };
        gradient[0] = alpha * (-self.rate * side * log_slope.exp() + curvature) + 1.0;
        (0.5 * self.rate).ln() - self.rate * d + log_slope + alpha.ln()
    }

    fn description(&self) -> String {
        format!("pc.alphaw({})", self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prior: &dyn Prior, range: (f64, f64), kink: f64) {
        let (mut total, mut gradient) = (0.0, [0.0]);
        let steps = 200_000;
        let h = (range.1 - range.0) / f64::from(steps);
        for k in 0..=steps {
            total += h * prior.log_density(&[range.0 + f64::from(k) * h], &mut gradient).exp();
        }
        // the trapezoid rule at a kink, and the tails beyond the range
        assert!((total - 1.0).abs() < 2e-3, "{}: {total}", prior.description());
        for theta in [-2.5, -0.8, -0.02, -0.0005, 0.0005, 0.01, 0.5, 3.0, 9.0] {
            let step = 1e-5;
            if f64::abs(theta - kink) < step {
                continue;
            }
            let mut none = [0.0];
            let slope = prior.log_density(&[theta + step], &mut none) - prior.log_density(&[theta - step], &mut none);
            prior.log_density(&[theta], &mut gradient);
            let tolerance = 1e-6 * (1.0 + gradient[0].abs());
            assert!((gradient[0] - slope / (2.0 * step)).abs() < tolerance, "{} at {theta}", prior.description());
        }
    }

    #[test]
    fn densities_integrate_to_one_and_slopes_are_theirs() {
        check(&PcGammaMixture::new(7.0).unwrap(), (-6.0, 40.0), f64::INFINITY);
        check(&PcGammaMixture::new(1.0).unwrap(), (-12.0, 40.0), f64::INFINITY);
        check(&PcWeibull::new(5.0).unwrap(), (-3.0, 40.0), 0.0);
    }

    #[test]
    fn expansions_meet_the_closed_forms() {
        let (below, above) = (mixture(LARGE), mixture(LARGE * (1.0 + 1e-12)));
        // log n − ψ(n) loses three digits there
        assert!(below.iter().zip(above).all(|(a, b)| (a / b - 1.0).abs() < 1e-6), "{below:?} {above:?}");
        for side in [-1.0, 1.0] {
            // the expansion drops a term of NEAR² in the curvature
            let (inside, outside) = (weibull(1.0 + side * NEAR * 0.999_999), weibull(1.0 + side * NEAR * 1.000_001));
            assert!(inside.iter().zip(outside).all(|(a, b)| (a - b).abs() < 3e-5), "{inside:?} {outside:?}");
        }
    }
}
