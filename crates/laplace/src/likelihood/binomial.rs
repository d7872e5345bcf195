//! `y ~ Binomial(n, p)`, `g(p) = η`.
//!
//! `ℓ = log C(n, y) + y log p(η) + (n − y) log(1 − p(η))`; each link supplies both logarithms with four derivatives.

use std::f64::consts::{PI, SQRT_2};
use std::ops::Range;

use gmrf::HyperparameterBlock;

use super::incomplete::incomplete_beta;
use super::logistic::Rows;
use super::{Derivatives, Likelihood, Order, PIECE, data};
use crate::error::LaplaceError;
use crate::link::Link;

/// Successes among trials.
#[derive(Debug)]
pub struct Binomial {
    successes: Vec<f64>,
    trials: Vec<f64>,
    /// `log C(n, y)`.
    constant: Vec<f64>,
    link: Link,
}

impl Binomial {
    /// The links it allows.
    pub const LINKS: [Link; 6] = [Link::Logit, Link::Probit, Link::Cloglog, Link::Loglog, Link::Log, Link::Identity];

    /// From successes (NaN is missing), trials (`None`: 1) and the link.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`] for a count that is negative, fractional or above its trials.
    pub fn new(successes: &[f64], trials: Option<&[f64]>, link: Link) -> Result<Self, LaplaceError> {
        let link = Link::from_name("binomial", link.name(), &Self::LINKS)?;
        let successes = data::responses("binomial", successes, data::count)?;
        let ones = vec![1.0; successes.len()];
        let trials = data::positive("binomial", "trials", &successes, trials.unwrap_or(&ones))?;
        for (row, (&y, &n)) in successes.iter().zip(&trials).enumerate().filter(|(_, (y, _))| !y.is_nan()) {
            let reason = match data::count(n) {
                Err(_) => format!("the number of trials is {n}; trials are whole numbers"),
                Ok(()) if y > n => format!("{y} successes in {n} trials; check the trials"),
                Ok(()) => continue,
            };
            return Err(LaplaceError::InvalidObservation { family: "binomial", row, reason });
        }
        let choose = |n: f64, y: f64| libm::lgamma(n + 1.0) - libm::lgamma(y + 1.0) - libm::lgamma(n - y + 1.0);
        let constant = successes.iter().zip(&trials);
        let constant = constant.map(|(&y, &n)| if y.is_nan() { 0.0 } else { choose(n, y) }).collect();
        Ok(Self { successes, trials, constant, link })
    }
}

impl Likelihood for Binomial {
    fn family(&self) -> &'static str {
        "binomial"
    }

    fn len(&self) -> usize {
        self.successes.len()
    }

    fn link(&self) -> Link {
        self.link
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &[]
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.successes[row].is_nan()
    }

    fn evaluate(
        &self,
        _theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        if self.link == Link::Logit {
            for start in (0..rows.len()).step_by(PIECE) {
                let end = rows.len().min(start + PIECE);
                let own = rows.start + start..rows.start + end;
                let (y, n, constant) = (&self.successes[own.clone()], &self.trials[own.clone()], &self.constant[own]);
                Rows { y, n, constant, eta: &eta[start..end] }.evaluate(order, (start, &mut *out));
            }
            return Ok(());
        }
        for (k, i) in rows.enumerate() {
            let (y, n) = (self.successes[i], self.trials[i]);
            let mut d = [0.0; 5];
            if !y.is_nan() {
                d[0] = self.constant[i];
                // a factor of zero must not meet the infinite logarithm beside it
                if y > 0.0 {
                    add_scaled(&mut d, y, log_probability(self.link, eta[k]));
                }
                if n > y {
                    add_scaled(&mut d, n - y, log_complement(self.link, eta[k]));
                }
            }
            if !d[0].is_finite() {
                d = [f64::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0];
            }
            super::store(&d, k, order, out);
        }
        Ok(())
    }

    fn cumulative(&self, _theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let (y, n) = (self.successes[row], self.trials[row]);
        if y.is_nan() {
            return None;
        }
        if y >= n {
            return Some(1.0);
        }
        // P(Y ≤ y) = I_{1−p}(n − y, y + 1)
        let (a, b) = (n - y, y + 1.0);
        let p = self.link.inverse(eta).clamp(0.0, 1.0);
        if p.is_nan() {
            return Some(p);
        }
        if n <= FEW_TRIALS {
            return Some(probability_up_to(y, n, p));
        }
        Some(incomplete_beta(1.0 - p, a, b))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        let p = (self.successes[row] + 0.5) / (self.trials[row] + 1.0);
        self.is_observed(row).then(|| self.link.apply(p))
    }
}

/// Trials up to which probabilities are summed: cheaper than a continued fraction, and none underflows that counts.
const FEW_TRIALS: f64 = 64.0;

/// `P(Y ≤ y)`, `y < n`, from the end that is nearer to `y`.
fn probability_up_to(y: f64, n: f64, p: f64) -> f64 {
    let below = 2.0 * y <= n;
    let (p, terms) = if below { (p, y) } else { (1.0 - p, n - y - 1.0) };
    if p >= 1.0 {
        return if below { 0.0 } else { 1.0 };
    }
    let odds = p / (1.0 - p);
    let mut term = (1.0 - p).powi(n as i32);
    let mut sum = term;
    for k in 0..terms as u32 {
        let k = f64::from(k);
        term *= odds * (n - k) / (k + 1.0);
        sum += term;
    }
    let sum = sum.min(1.0);
    if below { sum } else { 1.0 - sum }
}

fn add_scaled(d: &mut [f64; 5], factor: f64, other: [f64; 5]) {
    for (d, o) in d.iter_mut().zip(other) {
        *d += factor * o;
    }
}

/// Alternating signs: derivatives of `f(−η)` from those of `f`.
fn mirrored([value, d1, d2, d3, d4]: [f64; 5]) -> [f64; 5] {
    [value, -d1, d2, -d3, d4]
}

/// `log p(η)` and four derivatives.
fn log_probability(link: Link, eta: f64) -> [f64; 5] {
    match link {
        Link::Logit => logistic(1.0, 1.0, eta),
        Link::Probit => log_normal_cdf(eta),
        Link::Cloglog => log_one_minus_exp_minus(eta),
        Link::Loglog => mirrored(minus_exp(-eta)),
        Link::Log if eta <= 0.0 => [eta, 1.0, 0.0, 0.0, 0.0],
        Link::Log => [f64::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0],
        Link::Identity if eta > 0.0 && eta <= 1.0 => {
            let r = 1.0 / eta;
            [eta.ln(), r, -r * r, 2.0 * r * r * r, -6.0 * (r * r) * (r * r)]
        }
        Link::Identity => [f64::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0],
    }
}

/// `log(1 − p(η))` and four derivatives.
fn log_complement(link: Link, eta: f64) -> [f64; 5] {
    match link {
        Link::Logit | Link::Probit => mirrored(log_probability(link, -eta)),
        Link::Cloglog => minus_exp(eta),
        Link::Loglog => mirrored(log_one_minus_exp_minus(-eta)),
        Link::Log if eta < 0.0 => {
            // odds o = p/(1 − p), o′ = o(1 + o)
            let odds = 1.0 / (-eta).exp_m1();
            let slope = odds * (1.0 + odds);
            let fourth = slope * (1.0 + 6.0 * odds + 6.0 * odds * odds);
            [(-eta.exp()).ln_1p(), -odds, -slope, -slope * (1.0 + 2.0 * odds), -fourth]
        }
        Link::Log => [f64::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0],
        Link::Identity => mirrored(log_probability(Link::Identity, 1.0 - eta)),
    }
}

/// `y log p + (n − y) log(1 − p)` under the logit link, one exponential and one logarithm for both.
fn logistic(y: f64, n: f64, eta: f64) -> [f64; 5] {
    let decay = (-eta.abs()).exp();
    let (large, small) = (1.0 / (1.0 + decay), decay / (1.0 + decay));
    let (p, q) = if eta >= 0.0 { (large, small) } else { (small, large) };
    let v = p * q;
    let value = y * eta.min(0.0) - (n - y) * eta.max(0.0) - n * decay.ln_1p();
    [value, y * q - (n - y) * p, -n * v, -n * v * (q - p), -n * v * (1.0 - 6.0 * v)]
}

/// `−e^η`, its own derivatives.
fn minus_exp(eta: f64) -> [f64; 5] {
    [-eta.exp(); 5]
}

/// `log(1 − exp(−u))`, `u = e^η`: with `r = u/(e^u − 1)` and `k = 1 − u − r`, `r′ = r k`.
fn log_one_minus_exp_minus(eta: f64) -> [f64; 5] {
    let u = eta.exp();
    if u > 700.0 {
        return [0.0; 5];
    }
    let r = if u < 1e-300 { 1.0 } else { u / u.exp_m1() };
    // below 1e-2 the series of k avoids the cancellation of 1 − u − r
    let k =
        if u < 1e-2 { u * (-0.5 + u * (-1.0 / 12.0 + u * u * (1.0 / 720.0 - u * u / 30_240.0))) } else { 1.0 - u - r };
    let r1 = r * k;
    let k1 = -u - r1;
    let r2 = r1 * k + r * k1;
    let k2 = -u - r2;
    let r3 = r2 * k + 2.0 * r1 * k1 + r * k2;
    let value = match u {
        u if u < 1e-300 => eta,
        u if u < 0.7 => (-(-u).exp_m1()).ln(),
        u => (-(-u).exp()).ln_1p(),
    };
    [value, r, r1, r2, r3]
}

/// `log Φ(η)`: with `h = φ/Φ` and `s = η + h`, `h′ = −h s`.
fn log_normal_cdf(eta: f64) -> [f64; 5] {
    /// Beyond this `s` loses digits, and the continued fraction needs a few hundred terms at most.
    const TAIL: f64 = -2.0;
    let log_density = -0.5 * eta * eta - 0.5 * (2.0 * PI).ln();
    if eta < TAIL {
        return log_normal_tail(-eta, log_density);
    }
    let cdf = 0.5 * libm::erfc(-eta / SQRT_2);
    let value = if eta > 0.0 { (-0.5 * libm::erfc(eta / SQRT_2)).ln_1p() } else { cdf.ln() };
    let h = (log_density - value).exp();
    let s = eta + h;
    let (h1, s1) = (-h * s, 1.0 - h * s);
    let q = s * s + h * s - 1.0;
    let q1 = 2.0 * s * s1 + h1 * s + h * s1;
    [value, h, -h * s, h * q, h1 * q + h * q1]
}

/// `log Φ(−x)` by Laplace's continued fraction of the hazard `h = x + r₁`, `r_k = k/(x + r_{k+1})`.
///
/// Since `r_k′ = r_k (r_k − r_{k+1})`, every derivative is a product of the `r_k` and their differences, which keep all digits.
fn log_normal_tail(x: f64, log_density: f64) -> [f64; 5] {
    // the error of K terms falls like exp(−2x√K); the later r_k start further down
    let terms = 16 + (600.0 / (x * x)) as u32;
    let mut r = [0.0; 5];
    for k in (1..=terms).rev() {
        r.copy_within(0..4, 1);
        r[0] = f64::from(k) / (x + r[1]);
    }
    let [s, t, u, v, _] = r;
    let h = x + s;
    // h′ = h s, h″ = h q, h‴ = h (s q + q′)
    let q = s * s * t * (u - t);
    let slope = q * (2.0 * (s - t) + t - u) + s * s * t * (u * (u - v) - t * (t - u));
    mirrored([log_density - h.ln(), -h, -h * s, -h * q, -h * (s * q + slope)])
}
