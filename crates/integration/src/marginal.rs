//! Posterior marginals: mixtures over the design, tabulated densities, and monotone transformations of both.

use std::sync::Arc;

use gmrf::Transform;
use laplace::Link;

use crate::skewed::{SkewedGaussian, normal_quantile};

/// Nodes of the quadrature for moments of transformed marginals.
const MOMENT_NODES: usize = 201;
/// Relative accuracy of quantiles, in standard deviations.
const QUANTILE_TOLERANCE: f64 = 1e-8;

/// What people ask of a marginal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
    /// 2.5 % quantile.
    pub q0_025: f64,
    /// Median.
    pub q0_5: f64,
    /// 97.5 % quantile.
    pub q0_975: f64,
    /// The point of greatest density.
    pub mode: f64,
}

/// A strictly monotone map of a marginal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Map {
    /// From the internal scale of a hyperparameter to a reported one.
    Hyperparameter(Transform),
    /// From the linear predictor to the fitted value.
    InverseLink(Link),
    /// `shift + scale x`, the scale not zero.
    Affine {
        /// What multiplies.
        scale: f64,
        /// What is added.
        shift: f64,
    },
}

impl Map {
    fn is_identity(&self) -> bool {
        let identities = [
            Self::Hyperparameter(Transform::Identity),
            Self::InverseLink(Link::Identity),
            Self::Affine { scale: 1.0, shift: 0.0 },
        ];
        identities.contains(self)
    }

    fn apply(&self, x: f64) -> f64 {
        match self {
            Self::Hyperparameter(transform) => transform.apply(x),
            Self::InverseLink(link) => link.inverse(x),
            Self::Affine { scale, shift } => shift + scale * x,
        }
    }

    fn derivative(&self, x: f64) -> f64 {
        match self {
            Self::Hyperparameter(transform) => transform.derivative(x),
            Self::InverseLink(link) => link.derivative(x),
            Self::Affine { scale, .. } => *scale,
        }
    }
}

/// A posterior marginal density of one scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Marginal {
    /// `Σ w_k` of conditional densities, weights summing to one.
    Mixture(Vec<(f64, SkewedGaussian)>),
    /// A tabulated density.
    Tabulated(Arc<Table>),
    /// A monotone map of another marginal.
    Mapped(Box<Marginal>, Map),
}

/// A density at increasing abscissae with its distribution function.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    x: Vec<f64>,
    density: Vec<f64>,
    cumulative: Vec<f64>,
}

impl Table {
    /// Normalises `exp(log_density)` on a fine, increasing grid by the trapezoid rule; values that are not finite count as zero.
    pub fn new(x: Vec<f64>, log_density: &[f64]) -> Self {
        let greatest = log_density.iter().copied().filter(|l| l.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        let mut density: Vec<f64> =
            log_density.iter().map(|l| if l.is_finite() { (l - greatest).exp() } else { 0.0 }).collect();
        let mut cumulative = vec![0.0; x.len()];
        for i in 1..x.len() {
            cumulative[i] = cumulative[i - 1] + 0.5 * (density[i] + density[i - 1]) * (x[i] - x[i - 1]);
        }
        let total = cumulative.last().copied().unwrap_or(0.0);
        if total > 0.0 {
            density.iter_mut().chain(&mut cumulative).for_each(|v| *v /= total);
        }
        Self { x, density, cumulative }
    }

    /// The same shape with another mean and standard deviation.
    pub(crate) fn moved(&self, mean: f64, sd: f64) -> Self {
        let own_mean = self.moment(|x| x);
        let own_sd = self.moment(|x| (x - own_mean) * (x - own_mean)).sqrt();
        let ratio = sd / own_sd;
        if !(mean.is_finite() && ratio.is_normal()) {
            return self.clone();
        }
        Self {
            x: self.x.iter().map(|x| mean + ratio * (x - own_mean)).collect(),
            density: self.density.iter().map(|d| d / ratio).collect(),
            cumulative: self.cumulative.clone(),
        }
    }

    /// The density with other probabilities of its cells, which `tilt` gives from nodes and their own; `None` where it gives none.
    pub(crate) fn tilted(&self, tilt: impl FnOnce(&[f64], &[f64]) -> Option<Vec<f64>>) -> Option<Self> {
        let n = self.x.len();
        let width = |i: usize| 0.5 * (self.x[(i + 1).min(n - 1)] - self.x[i.saturating_sub(1)]);
        // a node without probability has none under any tilt
        let nodes: Vec<usize> = (0..n).filter(|&i| self.density[i] * width(i) > 1e-300).collect();
        let x: Vec<f64> = nodes.iter().map(|&i| self.x[i]).collect();
        let masses: Vec<f64> = nodes.iter().map(|&i| self.density[i] * width(i)).collect();
        let log: Vec<f64> = tilt(&x, &masses)?.iter().zip(&nodes).map(|(mass, &i)| (mass / width(i)).ln()).collect();
        Some(Self::new(x, &log))
    }

    fn interval(&self, x: f64) -> usize {
        self.x.partition_point(|&knot| knot <= x).clamp(1, self.x.len() - 1) - 1
    }

    pub(crate) fn pdf(&self, x: f64) -> f64 {
        if x < self.x[0] || x > self.x[self.x.len() - 1] {
            return 0.0;
        }
        let i = self.interval(x);
        let share = (x - self.x[i]) / (self.x[i + 1] - self.x[i]);
        self.density[i] + share * (self.density[i + 1] - self.density[i])
    }

    pub(crate) fn cdf(&self, x: f64) -> f64 {
        if x <= self.x[0] {
            return 0.0;
        }
        if x >= self.x[self.x.len() - 1] {
            return 1.0;
        }
        let i = self.interval(x);
        self.cumulative[i] + 0.5 * (self.density[i] + self.pdf(x)) * (x - self.x[i])
    }

    pub(crate) fn quantile(&self, p: f64) -> f64 {
        let i = self.cumulative.partition_point(|&c| c <= p).clamp(1, self.x.len() - 1) - 1;
        let (h, rest) = (self.x[i + 1] - self.x[i], p - self.cumulative[i]);
        let (d, slope) = (self.density[i], (self.density[i + 1] - self.density[i]) / h);
        // ½ slope t² + d t = rest
        let root = (d * d + 2.0 * slope * rest).max(0.0).sqrt();
        let t = if d + root > 0.0 { 2.0 * rest / (d + root) } else { 0.0 };
        self.x[i] + t.clamp(0.0, h)
    }

    fn moment(&self, f: impl Fn(f64) -> f64) -> f64 {
        let mut total = 0.0;
        for i in 1..self.x.len() {
            let (a, b) = (self.density[i - 1] * f(self.x[i - 1]), self.density[i] * f(self.x[i]));
            total += 0.5 * (a + b) * (self.x[i] - self.x[i - 1]);
        }
        total
    }
}

impl Marginal {
    /// The marginal of a map of this scalar.
    pub fn mapped(self, map: Map) -> Self {
        if map.is_identity() { self } else { Self::Mapped(Box::new(self), map) }
    }

    /// Density at `x`.
    pub fn pdf(&self, x: f64) -> f64 {
        match self {
            Self::Mixture(parts) => parts.iter().map(|(w, part)| w * part.pdf(x)).sum(),
            Self::Tabulated(table) => table.pdf(x),
            // the inverse of the map is found through the distribution function of the base
            Self::Mapped(base, map) => base.preimage(map, x).map_or(0.0, |t| base.pdf(t) / map.derivative(t).abs()),
        }
    }

    /// Distribution function at `x`.
    pub fn cdf(&self, x: f64) -> f64 {
        match self {
            Self::Mixture(parts) => parts.iter().map(|(w, part)| w * part.cdf(x)).sum(),
            Self::Tabulated(table) => table.cdf(x),
            Self::Mapped(base, map) => {
                let (low, high) = base.support();
                let rising = map.apply(high) >= map.apply(low);
                match base.preimage(map, x) {
                    Some(t) => {
                        if rising {
                            base.cdf(t)
                        } else {
                            1.0 - base.cdf(t)
                        }
                    }
                    None => f64::from(u8::from(x > map.apply(0.5 * (low + high)))),
                }
            }
        }
    }

    /// Quantile of `p` in (0, 1).
    pub fn quantile(&self, p: f64) -> f64 {
        match self {
            Self::Mixture(parts) => mixture_quantile(parts, p),
            Self::Tabulated(table) => table.quantile(p),
            Self::Mapped(base, map) => {
                let (low, high) = base.support();
                let p = if map.apply(high) >= map.apply(low) { p } else { 1.0 - p };
                map.apply(base.quantile(p))
            }
        }
    }

    /// Mean.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Mixture(parts) => parts.iter().map(|(w, part)| w * part.mean()).sum(),
            _ => self.moment(|x| x),
        }
    }

    /// Standard deviation.
    pub fn sd(&self) -> f64 {
        let mean = self.mean();
        match self {
            Self::Mixture(parts) => {
                let second = |part: &SkewedGaussian| part.sd().powi(2) + (part.mean() - mean).powi(2);
                parts.iter().map(|(w, part)| w * second(part)).sum::<f64>().sqrt()
            }
            _ => self.moment(|x| (x - mean) * (x - mean)).sqrt(),
        }
    }

    /// Whether half of the moment of that order comes from beyond the outermost 10⁻⁴ of the mass.
    fn tail_decides(&self, power: i32) -> bool {
        let Self::Mapped(base, map) = self else { return false };
        if matches!(map, Map::Affine { .. }) {
            return base.tail_decides(power);
        }
        let ends = (base.quantile(1e-4), base.quantile(1.0 - 1e-4));
        let term = |x: f64| map.apply(x).abs().powi(power);
        let inside = base.moment_dyn(&|x| if x >= ends.0 && x <= ends.1 { term(x) } else { 0.0 });
        inside < 0.5 * base.moment_dyn(&term)
    }

    /// The point of greatest density.
    pub fn mode(&self) -> f64 {
        match self {
            Self::Mixture(parts) if parts.len() == 1 && parts[0].1.sd() == 0.0 => parts[0].1.mean(),
            Self::Mapped(base, map @ Map::Affine { .. }) => map.apply(base.mode()),
            Self::Mapped(base, map) => {
                let density = |t: f64| base.pdf(t).ln() - map.derivative(t).abs().ln();
                map.apply(greatest(&density, base.quantile(5e-4), base.quantile(1.0 - 5e-4)))
            }
            _ => greatest(&|x: f64| self.pdf(x).ln(), self.quantile(0.01), self.quantile(0.99)),
        }
    }

    /// Mean, standard deviation, quantiles and mode; a mean or a standard deviation that the far tail alone decides is NaN: of a
    /// precision under a prior that allows zero variance it does not exist.
    pub fn summary(&self) -> Summary {
        let decided = |power: i32, value: f64| if self.tail_decides(power) { f64::NAN } else { value };
        Summary {
            mean: decided(1, self.mean()),
            sd: decided(2, self.sd()),
            q0_025: self.quantile(0.025),
            q0_5: self.quantile(0.5),
            q0_975: self.quantile(0.975),
            mode: self.mode(),
        }
    }

    /// `points ≥ 2` abscissae between the 0.001 and 0.999 quantiles with the density there.
    pub fn density_table(&self, points: usize) -> Vec<(f64, f64)> {
        let (low, high) = (self.quantile(1e-3), self.quantile(1.0 - 1e-3));
        let step = (high - low) / (points.max(2) - 1) as f64;
        (0..points.max(2)).map(|i| low + step * i as f64).map(|x| (x, self.pdf(x))).collect()
    }

    /// `E f(x)`.
    pub fn moment(&self, f: impl Fn(f64) -> f64) -> f64 {
        match self {
            Self::Mixture(parts) => {
                // quadrature in the standard normal of each part
                let step = 16.0 / (MOMENT_NODES - 1) as f64;
                let nodes = (0..MOMENT_NODES).map(|k| -8.0 + step * k as f64);
                let (mut total, mut mass) = (0.0, 0.0);
                for z in nodes {
                    let phi = (-0.5 * z * z).exp();
                    mass += phi;
                    total += phi * parts.iter().map(|(w, part)| w * f(part.at(z))).sum::<f64>();
                }
                total / mass
            }
            Self::Tabulated(table) => table.moment(f),
            Self::Mapped(base, map) => base.moment_dyn(&|x| f(map.apply(x))),
        }
    }

    fn moment_dyn(&self, f: &dyn Fn(f64) -> f64) -> f64 {
        self.moment(f)
    }

    /// An interval that holds all but about 1e-12 of the mass.
    fn support(&self) -> (f64, f64) {
        match self {
            Self::Tabulated(table) => (table.x[0], table.x[table.x.len() - 1]),
            Self::Mixture(parts) => {
                let ends = parts.iter().map(|(_, part)| (part.at(-7.0), part.at(7.0)));
                ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (low, high)| (a.min(low), b.max(high)))
            }
            Self::Mapped(base, map) => {
                let (low, high) = base.support();
                let (a, b) = (map.apply(low), map.apply(high));
                (a.min(b), a.max(b))
            }
        }
    }

    /// `t` with `map(t) = x`: of an affine map at once, of others in the support by bisection.
    fn preimage(&self, map: &Map, x: f64) -> Option<f64> {
        if let Map::Affine { scale, shift } = map {
            return Some((x - shift) / scale);
        }
        let (mut low, mut high) = self.support();
        let rising = map.apply(high) >= map.apply(low);
        let below = |t: f64| (map.apply(t) < x) == rising;
        if !below(low) || below(high) {
            return None;
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if below(middle) {
                low = middle
            } else {
                high = middle
            }
            if high - low <= 1e-15 * (1.0 + high.abs()) {
                break;
            }
        }
        Some(0.5 * (low + high))
    }
}

fn mixture_quantile(parts: &[(f64, SkewedGaussian)], p: f64) -> f64 {
    if let [(_, part)] = parts {
        return part.quantile(p);
    }
    let z = normal_quantile(p);
    let ends = parts.iter().map(|(_, part)| part.at(z));
    let (mut low, mut high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), q| (a.min(q), b.max(q)));
    let mut x: f64 = parts.iter().map(|(w, part)| w * part.at(z)).sum();
    let sd = parts.iter().map(|(w, part)| w * part.sd()).sum::<f64>();
    for _ in 0..60 {
        if high - low <= QUANTILE_TOLERANCE * sd {
            break;
        }
        let (mut cdf, mut pdf) = (0.0, 0.0);
        for (w, part) in parts {
            cdf += w * part.cdf(x);
            pdf += w * part.pdf(x);
        }
        if cdf < p {
            low = x
        } else {
            high = x
        }
        let newton = x + (p - cdf) / pdf;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - x).abs() <= QUANTILE_TOLERANCE * sd {
            return next;
        }
        x = next;
    }
    x
}

/// The maximiser of a function on `[low, high]`: a scan, then parabolas through three points.
fn greatest(f: &dyn Fn(f64) -> f64, low: f64, high: f64) -> f64 {
    const SCAN: usize = 16;
    if high.is_nan() || high <= low {
        return low;
    }
    let mut step = (high - low) / SCAN as f64;
    let at = |k: usize| low + step * k as f64;
    let best = (0..=SCAN).max_by(|&a, &b| f(at(a)).total_cmp(&f(at(b)))).unwrap_or(0);
    let mut x = at(best);
    for _ in 0..4 {
        let (left, middle, right) = (f((x - step).max(low)), f(x), f((x + step).min(high)));
        let curvature = left - 2.0 * middle + right;
        if curvature < 0.0 {
            x = (x + (0.5 * step * (left - right) / curvature).clamp(-step, step)).clamp(low, high);
        }
        step *= 0.25;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixture() -> Marginal {
        Marginal::Mixture(vec![
            (0.2, SkewedGaussian::new(-1.0, 0.5, 0.4)),
            (0.5, SkewedGaussian::new(0.3, 0.8, -0.3)),
            (0.3, SkewedGaussian::new(1.0, 1.1, 0.0)),
        ])
    }

    fn log_gamma_table(shape: f64) -> Marginal {
        let x: Vec<f64> = (0..=4000).map(|k| -12.0 + 0.004 * f64::from(k)).collect();
        let log: Vec<f64> = x.iter().map(|x| shape * x - x.exp()).collect();
        Marginal::Tabulated(Arc::new(Table::new(x, &log)))
    }

    #[test]
    fn quantiles_invert_the_distribution_for_every_kind() {
        let log = Map::Hyperparameter(Transform::Exp);
        let sd = Map::Hyperparameter(Transform::InverseSqrtExp);
        for marginal in [mixture(), mixture().mapped(log), log_gamma_table(3.0).mapped(sd), log_gamma_table(2.0)] {
            for p in [0.001, 0.025, 0.5, 0.9, 0.999] {
                let q = marginal.quantile(p);
                assert!((marginal.cdf(q) - p).abs() < 1e-7, "{p}: {q} {}", marginal.cdf(q));
            }
        }
    }

    #[test]
    fn moments_agree_with_the_density() {
        let marginal = mixture();
        let step = 1e-3;
        let grid: Vec<f64> = (-9000..=9000).map(|k| f64::from(k) * step).collect();
        let mean: f64 = grid.iter().map(|x| x * marginal.pdf(*x) * step).sum();
        let second: f64 = grid.iter().map(|x| x * x * marginal.pdf(*x) * step).sum();
        assert!((marginal.mean() - mean).abs() < 1e-6);
        assert!((marginal.sd() - (second - mean * mean).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn a_precision_with_a_gamma_posterior_has_its_closed_form_moments() {
        // τ ~ Gamma(3, 1): mean 3, variance 3, mode 2; σ = τ^{-1/2}: mean Γ(2.5)/Γ(3)
        let theta = log_gamma_table(3.0);
        let precision = theta.clone().mapped(Map::Hyperparameter(Transform::Exp)).summary();
        assert!((precision.mean - 3.0).abs() < 1e-5 && (precision.sd - 3.0_f64.sqrt()).abs() < 1e-5);
        assert!((precision.mode - 2.0).abs() < 2e-3, "{}", precision.mode);
        let sd = theta.mapped(Map::Hyperparameter(Transform::InverseSqrtExp));
        assert!((sd.mean() - libm::tgamma(2.5) / libm::tgamma(3.0)).abs() < 1e-5);
        // the median maps through: median of Gamma(3) is 2.674060
        assert!((sd.quantile(0.5) - 2.674_060_313_8_f64.powf(-0.5)).abs() < 1e-6);
    }

    #[test]
    fn moments_that_do_not_exist_are_not_given() {
        let log = Map::Hyperparameter(Transform::Exp);
        let precision = |shape: f64| {
            // the density of a log precision with a tail like τ^(−shape)
            let x: Vec<f64> = (0..=8000).map(|k| -10.0 + 0.01 * f64::from(k)).collect();
            let log_density: Vec<f64> = x.iter().map(|x| -shape * x - (-x).exp()).collect();
            Marginal::Tabulated(Arc::new(Table::new(x, &log_density))).mapped(log).summary()
        };
        let (none, mean, both) = (precision(0.5), precision(1.6), precision(4.0));
        assert!(none.mean.is_nan() && none.sd.is_nan() && none.q0_975.is_finite());
        assert!(mean.mean.is_finite() && mean.sd.is_nan());
        assert!(both.mean.is_finite() && both.sd.is_finite());
    }

    #[test]
    fn the_density_of_a_mapped_marginal_integrates_to_one() {
        let marginal = mixture().mapped(Map::InverseLink(Link::Log));
        let table = marginal.density_table(4001);
        let step = table[1].0 - table[0].0;
        let total: f64 = table.iter().map(|(_, d)| d * step).sum();
        // 0.002 of the mass lies beyond the ends of the table
        assert!((total - 0.998).abs() < 2e-3, "{total}");
    }
}
