//! The evidence of a fit's own accuracy: tail indices, differences of designs, profiles of nodes, and what the prior holds.

use laplace::{LatentGaussianModel, Moment};

use crate::engine::PointEvaluation;
use crate::skewed::{SkewedGaussian, normal_quantile};

/// Draws, at equally spaced probabilities, that a tail index is read from.
const DRAWS: usize = 400;

/// Relative variance of importance weights below which their tail carries nothing, whatever its shape.
const LEAST_SPREAD: f64 = 0.02;

/// A node's marginal given `θ` at the centre against the likelihood itself.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeCheck {
    /// The node of `x`.
    pub node: usize,
    /// Pareto shape of the importance weights; −∞ where they hardly differ.
    pub tail_index: f64,
    /// Their mean less the marginal's, in its standard deviations.
    pub mean: f64,
    /// Their standard deviation over the marginal's, less one.
    pub sd: f64,
}

/// What scaling prior and likelihood by powers near one does to a hyperparameter's posterior: change of the mean in posterior standard
/// deviations and of the log standard deviation, together, for each unit of the power's logarithm (Kallioinen et al. 2024).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// Of the prior of the hyperparameters.
    pub prior: f64,
    /// Of the likelihood, the latent field integrated out.
    pub likelihood: f64,
}

impl Sensitivity {
    /// The prior's share.
    pub fn prior_share(&self) -> f64 {
        let total = self.prior + self.likelihood;
        if total > 0.0 { self.prior / total } else { 0.0 }
    }
}

/// How far two designs over the hyperparameters agree: means in standard deviations and relative standard deviations, the largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DesignDifference {
    /// The hyperparameter that differs most.
    pub hyperparameter: usize,
    /// The difference.
    pub value: f64,
}

/// The evidence of one fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks {
    /// Pareto shape of the importance weights along each direction of the design, against a Gaussian twice as wide in variance; `None`
    /// where too little of the direction is known.
    pub design_tail_indices: Vec<Option<f64>>,
    /// Between the design and what its marginals were read from; `None` where there is one rule only.
    pub design_difference: Option<DesignDifference>,
    /// The largest slope of the log-density at the mode, in standardised coordinates.
    pub gradient: f64,
    /// Nodes at the centre of the design: coefficients, the most skewed, and some between.
    pub nodes: Vec<NodeCheck>,
    /// The most skewed node at the centre and its skewness.
    pub skewness: (usize, f64),
    /// Effective number of parameters for each observation.
    pub parameters_per_observation: f64,
    /// What interpolating the third-order sums between points of the design leaves; `None` where they are complete everywhere or not used.
    pub interpolation: Option<Interpolation>,
    /// One for each hyperparameter.
    pub sensitivities: Vec<Sensitivity>,
}

/// Interpolated third-order sums beside complete ones, at the point of a design of the largest weight times squared distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interpolation {
    /// Error of the second-order term of `log p̃(y|θ)`, in nats.
    pub second_order: f64,
    /// The largest error of a node's mean, in standard deviations, and of its relative standard deviation, whichever is larger.
    pub node: f64,
    /// Whose it is.
    pub culprit: usize,
}

/// Pareto shape `k̂` of the largest importance weights (Vehtari et al. 2024), the generalised Pareto fit by Zhang and Stephens (2009);
/// −∞ where the weights are equal.
pub fn pareto_shape(log_weights: &[f64]) -> f64 {
    let mut sorted = log_weights.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    let tail = (0.2 * count as f64).min(3.0 * (count as f64).sqrt()) as usize;
    if tail < 5 || !sorted[count - 1].is_finite() {
        return f64::INFINITY;
    }
    let greatest = sorted[count - 1];
    let cut = (sorted[count - tail - 1] - greatest).exp();
    let excess: Vec<f64> = sorted[count - tail..].iter().map(|log| (log - greatest).exp() - cut).collect();
    if excess[tail - 1] < 1e-12 {
        return f64::NEG_INFINITY;
    }
    // a profile posterior of the scale over a grid that the data place
    let n = tail as f64;
    let grid = 30 + n.sqrt() as usize;
    let quartile = excess[(n / 4.0 + 0.5) as usize - 1].max(1e-300);
    let largest = excess[tail - 1];
    let shape = |b: f64| excess.iter().map(|x| (-b * x).ln_1p()).sum::<f64>() / n;
    let thetas: Vec<f64> =
        (1..=grid).map(|j| 1.0 / largest + (1.0 - (grid as f64 / (j as f64 - 0.5)).sqrt()) / 3.0 / quartile).collect();
    let profiles: Vec<f64> = thetas
        .iter()
        .map(|&b| {
            let k = shape(b);
            n * ((-b / k).ln() - k - 1.0)
        })
        .collect();
    let best = profiles.iter().copied().filter(|l| l.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = profiles.iter().map(|l| if l.is_finite() { (l - best).exp() } else { 0.0 }).collect();
    let total: f64 = weights.iter().sum();
    let b = thetas.iter().zip(&weights).map(|(t, w)| t * w).sum::<f64>() / total;
    // a weak prior at one half, worth ten draws
    (shape(b) * n + 10.0 * 0.5) / (n + 10.0)
}

/// How far a mean and a standard deviation are from others: in these standard deviations, or of itself, whichever is larger.
pub(crate) fn departure((mean, sd): (f64, f64), (other, scale): (f64, f64)) -> f64 {
    ((mean - other) / scale).abs().max((sd / scale - 1.0).abs())
}

/// Standard normal values at equally spaced probabilities.
pub(crate) fn normal_draws() -> Vec<f64> {
    (0..DRAWS).map(|k| normal_quantile((k as f64 + 0.5) / DRAWS as f64)).collect()
}

/// The tail index of a log-density in standardised coordinates against a Gaussian of variance two.
pub(crate) fn direction_tail_index(draws: &[f64], log_density: impl Fn(f64) -> f64) -> f64 {
    let weight = |z: f64| {
        let wide = z * std::f64::consts::SQRT_2;
        log_density(wide) + 0.5 * z * z
    };
    pareto_shape(&draws.iter().map(|&z| weight(z)).collect::<Vec<_>>())
}

impl NodeCheck {
    /// From `log` of the density over the Gaussian's at standardised values `ts`, equally spaced; `gaussian` holds the Gaussian's mean
    /// and standard deviation, `moment` what the marginal has, `normal` standard normal values at equally spaced probabilities.
    pub(crate) fn new(
        node: usize,
        (ts, logs): (&[f64], &[f64]),
        gaussian: (f64, f64),
        moment: &Moment,
        normal: &[f64],
    ) -> Self {
        let own = SkewedGaussian::new(moment.mean, moment.variance.sqrt(), moment.skewness);
        let at = |x: f64| {
            let t = (x - gaussian.0) / gaussian.1;
            interpolated(ts, logs, t) - 0.5 * t * t - own.ln_pdf(x)
        };
        let draws: Vec<f64> = normal.iter().map(|&z| own.at(z)).collect();
        let weights: Vec<f64> = draws.iter().map(|&x| at(x)).collect();
        let greatest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = weights.iter().map(|w| (w - greatest).exp()).collect();
        let total: f64 = shares.iter().sum();
        let moment_of = |f: &dyn Fn(f64) -> f64| {
            let weighted = draws.iter().zip(&shares).map(|(&x, w)| w * f(x)).sum::<f64>() / total;
            // the draws themselves miss a little of each tail: what the marginal loses so is taken off
            let plain = draws.iter().map(|&x| f(x)).sum::<f64>() / draws.len() as f64;
            (weighted, plain)
        };
        let (mean, plain_mean) = moment_of(&|x| x);
        let (square, plain_square) = moment_of(&|x| (x - moment.mean).powi(2));
        let (variance, plain) =
            (square - (mean - moment.mean).powi(2), plain_square - (plain_mean - moment.mean).powi(2));
        let sd = moment.variance.sqrt();
        let mean_share = total / shares.len() as f64;
        let spread = shares.iter().map(|s| (s / mean_share - 1.0).powi(2)).sum::<f64>() / shares.len() as f64;
        Self {
            node,
            tail_index: if spread > LEAST_SPREAD { pareto_shape(&weights) } else { f64::NEG_INFINITY },
            mean: (mean - plain_mean) / sd,
            sd: (variance / plain).sqrt() - 1.0,
        }
    }
}

/// Linear in between, and continued beyond.
fn interpolated(ts: &[f64], logs: &[f64], t: f64) -> f64 {
    let step = ts[1] - ts[0];
    let k = (((t - ts[0]) / step).floor().max(0.0) as usize).min(ts.len() - 2);
    // a parabola through three points: the log-ratio is smooth
    let m = k.clamp(1, ts.len() - 2);
    let u = (t - ts[m]) / step;
    logs[m] + 0.5 * u * (logs[m + 1] - logs[m - 1]) + 0.5 * u * u * (logs[m + 1] - 2.0 * logs[m] + logs[m - 1])
}

/// The nodes that are checked: those of small effects, such as coefficients, the most skewed, and some equally spaced.
pub(crate) fn checked_nodes(model: &LatentGaussianModel, moments: &[Moment]) -> Vec<usize> {
    const MOST_SKEWED: usize = 4;
    const BETWEEN: usize = 2;
    const COEFFICIENTS: usize = 8;
    let small = (0..model.effects().len()).map(|k| model.effect_nodes(k)).filter(|nodes| nodes.len() <= COEFFICIENTS);
    let mut order: Vec<usize> = (0..moments.len()).collect();
    order.sort_by(|&a, &b| moments[b].skewness.abs().total_cmp(&moments[a].skewness.abs()).then(a.cmp(&b)));
    let mut nodes: Vec<usize> = small.flatten().take(COEFFICIENTS).collect();
    nodes.extend(order.iter().take(MOST_SKEWED));
    nodes.extend((0..BETWEEN).map(|k| (2 * k + 1) * moments.len() / (2 * BETWEEN)));
    nodes.retain(|&node| node < moments.len() && moments[node].variance > 0.0);
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// Power-scaling sensitivities from the weighted points of a design.
pub(crate) fn sensitivities(
    model: &LatentGaussianModel,
    points: &[PointEvaluation],
    weights: &[f64],
) -> Vec<Sensitivity> {
    let p = model.free_count();
    let mut gradient = vec![0.0; p];
    let priors: Vec<f64> =
        points.iter().map(|point| model.log_prior(&point.approximation.theta, &mut gradient)).collect();
    let likelihoods: Vec<f64> = points.iter().map(|point| point.approximation.log_likelihood).collect();
    let mean = |values: &dyn Fn(usize) -> f64| -> f64 {
        weights.iter().enumerate().filter(|(_, w)| **w > 0.0).map(|(k, w)| w * values(k)).sum()
    };
    let covariance = |a: &dyn Fn(usize) -> f64, b: &[f64]| {
        let (first, second) = (mean(a), mean(&|k| b[k]));
        mean(&|k| (a(k) - first) * (b[k] - second))
    };
    (0..p)
        .map(|j| {
            let theta = |k: usize| points[k].approximation.theta[j];
            let centre = mean(&theta);
            let variance = mean(&|k| (theta(k) - centre).powi(2)).max(f64::MIN_POSITIVE);
            let of = |log: &[f64]| {
                let location = covariance(&theta, log) / variance.sqrt();
                let scale = covariance(&|k| (theta(k) - centre).powi(2), log) / (2.0 * variance);
                location.hypot(scale)
            };
            Sensitivity { prior: of(&priors), likelihood: of(&likelihoods) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pareto_shape_of_known_tails_is_found() {
        // weights u^{−k} of uniform u have shape k exactly
        for k in [0.1, 0.5, 0.9] {
            let logs: Vec<f64> = (0..4000).map(|i| -k * ((f64::from(i) + 0.5) / 4000.0).ln()).collect();
            assert!((pareto_shape(&logs) - k).abs() < 0.1, "{k}: {}", pareto_shape(&logs));
        }
        assert_eq!(pareto_shape(&[0.0; 1000]), f64::NEG_INFINITY);
        // a Gaussian against a wider one has bounded weights; against a narrower one of a third of the variance, k = 2/3
        assert!(direction_tail_index(&normal_draws(), |z| -0.5 * z * z) < 0.1);
        assert!(direction_tail_index(&normal_draws(), |z| -0.5 * z * z / 6.0) > 0.5);
    }

    #[test]
    fn a_marginal_that_is_right_passes_and_one_that_is_not_is_measured() {
        let ts: Vec<f64> = (0..13).map(|k| f64::from(k) / 1.5 - 4.0).collect();
        // the true density has mean 0.4 and variance 0.9² in standardised units
        let logs: Vec<f64> = ts.iter().map(|t| 0.5 * t * t - 0.5 * ((t - 0.4) / 0.9).powi(2)).collect();
        let right = Moment { mean: 1.0 + 2.0 * 0.4, variance: (2.0_f64 * 0.9).powi(2), skewness: 0.0 };
        let check = NodeCheck::new(3, (&ts, &logs), (1.0, 2.0), &right, &normal_draws());
        assert!(check.mean.abs() < 1e-6 && check.sd.abs() < 1e-6 && check.tail_index < 0.1, "{check:?}");
        let wrong = Moment { mean: 1.0, variance: 4.0, skewness: 0.0 };
        let check = NodeCheck::new(3, (&ts, &logs), (1.0, 2.0), &wrong, &normal_draws());
        assert!((check.mean - 0.4).abs() < 0.01 && (check.sd + 0.1).abs() < 0.01, "{check:?}");
    }
}
