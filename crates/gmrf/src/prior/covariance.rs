//! Joint priors of the parameters of a covariance matrix, on the scale of [`CovarianceScale`].

use std::f64::consts::{LN_2, PI};

use super::{Prior, invalid, positive, probability};
use crate::error::GmrfError;
use crate::latent::CovarianceScale;

/// `Σ⁻¹ ~ Wishart(r, R⁻¹)` of order `p` in Bartlett's coordinates: `a_jj² ~ χ²` with `r − j + 1` degrees of freedom (`j` from
/// 1), `a_ij ~ N(0, 1)`, all independent (Bartlett 1933). `R` is that of the scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishart {
    degrees: f64,
    scale: CovarianceScale,
    constant: f64,
}

impl Wishart {
    /// With `degrees = r > p − 1`; `E Σ⁻¹ = r R⁻¹`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`].
    pub fn new(degrees: f64, scale: CovarianceScale) -> Result<Self, GmrfError> {
        let p = scale.order() as f64;
        if !(degrees.is_finite() && degrees > p - 1.0) {
            let reason = format!("{degrees} degrees of freedom; of {p} coefficients they must exceed {}", p - 1.0);
            return Err(invalid("wishart", reason));
        }
        let gammas = (0..scale.order()).map(|j| libm::lgamma(0.5 * (degrees - j as f64))).sum::<f64>();
        let normals = 0.25 * p * (p - 1.0) * (2.0 * PI).ln();
        // χ² of a² as a density of log a: 2 a^k e^{−a²/2} / (2^{k/2} Γ(k/2)), k = r − j + 1
        let powers = (0..scale.order()).map(|j| 0.5 * (degrees - j as f64) * LN_2).sum::<f64>();
        Ok(Self { degrees, scale, constant: p * LN_2 - gammas - normals - powers })
    }
}

impl Prior for Wishart {
    fn dimension(&self) -> usize {
        self.scale.parameters()
    }

    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let p = self.scale.order();
        let mut total = self.constant;
        gradient.fill(0.0);
        for (k, &(i, j)) in self.scale.places().iter().enumerate() {
            let a = self.scale.entry(theta, k);
            total -= 0.5 * a * a;
            if i == j {
                // the entries of its row and column are scaled by √a each
                let power = self.degrees - j as f64 + 0.5 * (p as f64 - 1.0);
                total += power * theta[j];
                gradient[j] += power - a * a;
            } else {
                gradient[i] -= 0.5 * a * a;
                gradient[j] -= 0.5 * a * a;
                gradient[k] = -a * (0.5 * (theta[i] + theta[j])).exp();
            }
        }
        if total.is_nan() { f64::NEG_INFINITY } else { total }
    }

    fn description(&self) -> String {
        format!("wishart({}, R)", self.degrees)
    }
}

/// The correlation matrix has the density `∝ |R|^{η−1}` (Lewandowski, Kurowicka and Joe 2009), each standard deviation the
/// penalised-complexity prior with `P(σ > u) = α`, independently.
#[derive(Debug, Clone, PartialEq)]
pub struct LkjPc {
    eta: f64,
    /// `u` and `α`.
    tail: (f64, f64),
    rate: f64,
    scale: CovarianceScale,
    constant: f64,
}

impl LkjPc {
    /// With `eta > 0` (1: uniform over correlation matrices), and `u`, `alpha` of the standard deviations.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`].
    pub fn new(eta: f64, u: f64, alpha: f64, scale: CovarianceScale) -> Result<Self, GmrfError> {
        positive("lkj", "eta", eta)?;
        let rate = -probability("lkj", "alpha", alpha)?.ln() / positive("lkj", "u", u)?;
        let order = scale.order();
        let p = order as f64;
        let volume = |k: usize| {
            let k = k as f64;
            0.5 * k * PI.ln() + libm::lgamma(eta + 0.5 * (p - 1.0 - k)) - libm::lgamma(eta + 0.5 * (p - 1.0))
        };
        let log_volume: f64 = (1..order).map(volume).sum();
        Ok(Self { eta, tail: (u, alpha), rate, constant: p * (rate.ln() - LN_2) - log_volume, scale })
    }
}

impl Prior for LkjPc {
    fn dimension(&self) -> usize {
        self.scale.parameters()
    }

    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let order = self.scale.order();
        let p = order as f64;
        let mut sigma = vec![0.0; order * order];
        self.scale.fill_covariance(theta, &mut sigma);
        let variances: Vec<f64> = (0..order).map(|j| sigma[j * order + j]).collect();
        let (log_jacobian, slope) = self.scale.log_jacobian(theta);
        let log_determinant = self.scale.log_determinant(theta);
        // |R| = |Σ|/Π σ², |∂Σ/∂(σ, R)| = 2^p Π σ^p, |∂Σ/∂Σ⁻¹| = |Σ|^{p+1}
        let power = -(2.0 * (self.eta - 1.0) + p);
        let determinant_power = -(self.eta - 1.0) - (p + 1.0);
        let mut total = self.constant + log_jacobian + determinant_power * log_determinant;
        total += variances.iter().map(|v| 0.5 * power * v.ln() - self.rate * v.sqrt()).sum::<f64>();
        gradient.fill(0.0);
        for (g, s) in gradient.iter_mut().zip(slope) {
            *g = s + 2.0 * determinant_power;
        }
        let mut derivative = vec![0.0; order * order];
        for (k, g) in gradient.iter_mut().enumerate() {
            self.scale.fill_precision_derivative(theta, k, &mut derivative);
            for j in 0..order {
                let row = &sigma[j * order..(j + 1) * order];
                let form = |a: usize| row.iter().zip(&derivative[a * order..]).map(|(s, d)| s * d).sum::<f64>();
                let change: f64 = -(0..order).map(|a| row[a] * form(a)).sum::<f64>() / variances[j];
                *g += change * 0.5 * (power - self.rate * variances[j].sqrt());
            }
        }
        if total.is_nan() || gradient.iter().any(|g| !g.is_finite()) {
            gradient.fill(0.0);
            return f64::NEG_INFINITY;
        }
        total
    }

    fn description(&self) -> String {
        format!("lkj({}, {}, {})", self.eta, self.tail.0, self.tail.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_gradient(prior: &dyn Prior, theta: &[f64]) {
        let mut gradient = vec![0.0; theta.len()];
        prior.log_density(theta, &mut gradient);
        for k in 0..theta.len() {
            let at = |step: f64| {
                let mut moved = theta.to_vec();
                moved[k] += step;
                prior.log_density(&moved, &mut vec![0.0; theta.len()])
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (difference - gradient[k]).abs() < 1e-6 * (1.0 + difference.abs()),
                "{k}: {difference} {gradient:?}"
            );
        }
    }

    /// `∫ π(θ) dθ` of three parameters by the trapezoid rule.
    fn integral(prior: &dyn Prior, low: [f64; 3], high: [f64; 3], steps: usize) -> f64 {
        let at = |k: usize, i: usize| low[k] + (high[k] - low[k]) * i as f64 / steps as f64;
        let cell: f64 = (0..3).map(|k| (high[k] - low[k]) / steps as f64).product();
        let mut total = 0.0;
        for a in 0..=steps {
            for b in 0..=steps {
                for c in 0..=steps {
                    total += prior.log_density(&[at(0, a), at(1, b), at(2, c)], &mut [0.0; 3]).exp();
                }
            }
        }
        total * cell
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let theta = [0.3, -0.2, 0.8, 0.7, -0.4, 1.1];
        let rate = [vec![3.0, 0.4, -0.2], vec![0.4, 0.5, 0.1], vec![-0.2, 0.1, 0.3]];
        let scale = CovarianceScale::of_rate(&rate).unwrap();
        check_gradient(&Wishart::new(4.5, scale.clone()).unwrap(), &theta);
        check_gradient(&LkjPc::new(2.0, 1.0, 0.05, scale).unwrap(), &theta);
    }

    #[test]
    fn a_wishart_integrates_to_one_with_every_constant() {
        let scale = CovarianceScale::of_rate(&[vec![2.0, 0.5], vec![0.5, 1.0]]).unwrap();
        let wishart = Wishart::new(4.0, scale).unwrap();
        // beyond these ends lies less than 1e-4 of the mass, and the trapezoid rule converges geometrically
        let total = integral(&wishart, [-4.0, -4.0, -12.0], [2.5, 2.5, 12.0], 120);
        assert!((total - 1.0).abs() < 1e-3, "{total}");
    }

    #[test]
    fn lkj_is_the_density_of_standard_deviations_and_correlations_carried_over() {
        // η = 1, p = 3: uniform on the correlation matrices, whose volume is π²/2
        let scale = CovarianceScale::of_rate(&[vec![2.0, 0.5, 0.1], vec![0.5, 1.0, 0.0], vec![0.1, 0.0, 0.7]]).unwrap();
        let prior = LkjPc::new(1.0, 1.5, 0.05, scale.clone()).unwrap();
        let theta = [0.3, -0.2, 0.4, 0.7, -0.4, 0.5];
        let reported = |theta: &[f64]| {
            let mut sigma = [0.0; 9];
            scale.fill_covariance(theta, &mut sigma);
            let sd = [0, 4, 8].map(|k| f64::sqrt(sigma[k]));
            [sd[0], sd[1], sd[2], sigma[3] / sd[0] / sd[1], sigma[6] / sd[0] / sd[2], sigma[7] / sd[1] / sd[2]]
        };
        let column = |k: usize| {
            let moved = |step: f64| {
                let mut theta = theta;
                theta[k] += step;
                reported(&theta)
            };
            let (above, below) = (moved(1e-5), moved(-1e-5));
            std::array::from_fn::<f64, 6, _>(|i| (above[i] - below[i]) / 2e-5)
        };
        let columns: Vec<[f64; 6]> = (0..6).map(column).collect();
        let jacobian = faer::Mat::from_fn(6, 6, |i, k| columns[k][i]).determinant().abs();
        let rate = -0.05f64.ln() / 1.5;
        let sds: f64 = reported(&theta)[..3].iter().map(|sd| rate.ln() - rate * sd).sum();
        let expected = sds - (PI * PI / 2.0).ln() + jacobian.ln();
        let found = prior.log_density(&theta, &mut [0.0; 6]);
        // central differences of step 1e-5 are exact to 1e-9
        assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        // p = 2, η = 2: ∫ (1 − ρ²) dρ = 4/3, against the uniform's 2
        let scale = CovarianceScale::standard(2).unwrap();
        let at =
            |eta: f64| LkjPc::new(eta, 1.0, 0.1, scale.clone()).unwrap().log_density(&[0.2, 0.4, 0.9], &mut [0.0; 3]);
        let mut sigma = [0.0; 4];
        scale.fill_covariance(&[0.2, 0.4, 0.9], &mut sigma);
        let determinant = 1.0 - sigma[1] * sigma[1] / sigma[0] / sigma[3];
        assert!((at(2.0) - at(1.0) - (determinant * 1.5).ln()).abs() < 1e-12);
    }

    #[test]
    fn a_wishart_of_order_one_is_a_gamma_of_the_precision() {
        // Wishart(r, 1/R) of order one: τ ~ Gamma(r/2, R/2)
        let scale = CovarianceScale::of_rate(&[vec![3.0]]).unwrap();
        let wishart = Wishart::new(5.0, scale).unwrap();
        let gamma = crate::prior::LogGamma::new(2.5, 1.5).unwrap();
        for log_tau in [-2.0, 0.1, 1.5f64] {
            // τ = a²/R: θ = ½(log τ + log R), dθ = ½ d log τ
            let theta = 0.5 * (log_tau + 3.0f64.ln());
            let own = wishart.log_density(&[theta], &mut [0.0]) - LN_2;
            assert!((own - gamma.log_density(&[log_tau], &mut [0.0])).abs() < 1e-12);
        }
    }

    #[test]
    fn arguments_out_of_range_are_refused() {
        let scale = CovarianceScale::standard(3).unwrap();
        assert!(Wishart::new(2.0, scale.clone()).is_err() && Wishart::new(f64::NAN, scale.clone()).is_err());
        assert!(LkjPc::new(0.0, 1.0, 0.1, scale.clone()).is_err() && LkjPc::new(1.0, 1.0, 1.0, scale).is_err());
    }
}
