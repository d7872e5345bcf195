//! Densities of nodes and linear predictors by Laplace's method: corrections of the Gaussian's log-density at standardised values, interpolated by a spline.

use std::sync::Arc;

use laplace::{Approximation, Held, LaplaceError, LatentGaussianModel, Moment, Moments, Workspace};

use crate::evaluated::Evaluated;
use crate::executor::map;
use crate::exploration::{Exploration, NEGLIGIBLE_WEIGHT};
use crate::marginal::{Marginal, Table};
use crate::requested::{Requested, Source};
use crate::spline::CubicSpline;

/// Where something is held, in the Gaussian's standard deviations; the correction is 0 at 0. A skewed density may be twice as wide as its
/// Gaussian on one side, and fall off within half a standard deviation on the other.
pub(crate) const VALUES: [f64; 12] = [-4.5, -3.2, -2.2, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.2, 3.2, 4.5];
/// Log-densities further below that at the mode count as so far below: nothing of the mass is there, and a spline through what plunges to
/// thousands would swing.
const FLOOR: f64 = 15.0;
/// Half the width, in the same units, over which a density is integrated, and the spacing: the trapezoid rule has no error but rounding
/// there, and the log-density is a parabola and a line beyond the outermost values.
const HALF_WIDTH: f64 = 9.0;
const SPACING: f64 = 0.1;
/// Cells of a marginal's table in the standard deviation of its narrowest part, and most of them.
const CELLS: f64 = 25.0;
const MOST_CELLS: f64 = 2000.0;
/// Marginals that a task builds.
const CHUNK: usize = 64;

/// The densities of some nodes and linear predictors at one `θ`.
#[derive(Debug, Clone)]
pub struct Profiles {
    requested: Arc<Requested>,
    /// One after the other what is held, at [`VALUES`]; NaN for a linear predictor that could not be held there.
    logs: Vec<f64>,
    /// Mean and standard deviation of each one's Gaussian.
    gaussians: Vec<(f64, f64)>,
}

impl Profiles {
    pub(crate) fn compute(
        model: &LatentGaussianModel,
        approximation: &Approximation,
        workspace: &mut Workspace,
        requested: Arc<Requested>,
    ) -> Result<Self, LaplaceError> {
        let mut logs = Vec::with_capacity(requested.count() * VALUES.len());
        for (held, determinant) in requested.held() {
            let profiles = approximation.conditional_profiles(model, workspace, &held, (&VALUES, determinant))?;
            for (held, profile) in held.iter().zip(profiles) {
                match (held, profile) {
                    // its moments are those of the expansion then, as a node's are not: nothing would be left of what was asked for
                    (Held::Predictor(_), Err(LaplaceError::NoMode { .. })) => logs.extend([f64::NAN; VALUES.len()]),
                    (_, profile) => logs.extend(profile?),
                }
            }
        }
        for (log, t) in logs.iter_mut().zip(VALUES.iter().cycle()) {
            let floor = 0.5 * t * t - FLOOR;
            *log = if *log < floor { floor } else { *log };
        }
        Ok(Self { requested, logs, gaussians: Vec::new() })
    }

    /// The weighted sum of the log-densities of several points.
    pub(crate) fn interpolated(parts: &[&Self], weights: &[f64]) -> Option<Self> {
        let first = parts.first()?;
        let mut logs = vec![0.0; first.logs.len()];
        for (part, weight) in parts.iter().zip(weights) {
            logs.iter_mut().zip(&part.logs).for_each(|(log, value)| *log += weight * value);
        }
        Some(Self { requested: first.requested.clone(), logs, gaussians: Vec::new() })
    }

    /// Reads the Gaussians off the workspace in which `approximation` was evaluated last.
    pub(crate) fn place(&mut self, approximation: &Approximation, workspace: &Workspace) -> Result<(), LaplaceError> {
        let variances = workspace.node_variances()?;
        let node = |&node: &usize| (approximation.mode[node], variances[node].max(0.0).sqrt());
        self.gaussians = self.requested.nodes.iter().map(node).collect();
        let rows = self.requested.predictors.iter().flat_map(|predictors| &predictors.rows);
        self.gaussians
            .extend(rows.map(|&row| workspace.predictor(row)).map(|(mean, variance)| (mean, variance.sqrt())));
        Ok(())
    }

    /// Puts the moments of the densities into the place of the expansion's.
    pub(crate) fn refine(&self, moments: &mut Moments) {
        let found = (0..self.requested.count()).map(|k| self.density(k).map(|density| density.moment()));
        let found: Vec<Option<Moment>> = found.collect();
        for (&node, moment) in self.requested.nodes.iter().zip(&found) {
            moments.nodes[node] = moment.unwrap_or(moments.nodes[node]);
        }
        let Some(predictors) = &self.requested.predictors else { return };
        for (own, source) in moments.predictors.iter_mut().zip(&predictors.sources) {
            if let Some((source, moment)) = source.and_then(|source| Some((source, found[source.held]?))) {
                *own = source.moment(moment);
            }
        }
    }

    fn logs(&self, k: usize) -> &[f64] {
        &self.logs[k * VALUES.len()..(k + 1) * VALUES.len()]
    }

    /// Whether what is held as the `k`th could not be.
    fn is_missing(&self, k: usize) -> bool {
        self.logs(k)[0].is_nan()
    }

    /// The density of what is held as the `k`th; none where it is fixed or missing.
    fn density(&self, k: usize) -> Option<Density> {
        let (mean, sd) = self.gaussians[k];
        (sd > 0.0 && !self.is_missing(k)).then(|| Density::new((mean, sd), self.logs(k)))
    }
}

/// The Gaussian with its log-density corrected by a spline.
struct Density {
    mean: f64,
    sd: f64,
    correction: CubicSpline,
    log_integral: f64,
}

impl Density {
    fn new((mean, sd): (f64, f64), logs: &[f64]) -> Self {
        let zero = VALUES.partition_point(|t| *t < 0.0);
        // from the middle outwards to the first value at the floor
        let floored = |k: &usize| logs[*k] - 0.5 * VALUES[*k] * VALUES[*k] <= -FLOOR;
        let first = (0..zero).rev().find(floored).unwrap_or(0);
        let last = (zero..VALUES.len()).find(floored).unwrap_or(VALUES.len() - 1);
        let (mut knots, mut values) = (VALUES[first..=last].to_vec(), logs[first..=last].to_vec());
        knots.insert(zero - first, 0.0);
        values.insert(zero - first, 0.0);
        let mut density = Self { mean, sd, correction: CubicSpline::new(knots, values), log_integral: 0.0 };
        density.log_integral = (density.sums().0[0] * SPACING * sd).ln() + density.sums().1;
        density
    }

    /// `log` of the density at the standardised value, but for a constant.
    fn log_at(&self, t: f64) -> f64 {
        self.correction.at(t) - 0.5 * t * t
    }

    /// `Σ tᵏ e^(log − greatest)` for `k = 0 … 3` over a fine grid, and `greatest`.
    fn sums(&self) -> ([f64; 4], f64) {
        let count = (2.0 * HALF_WIDTH / SPACING).round() as usize;
        let points = (0..=count).map(|k| SPACING * k as f64 - HALF_WIDTH).map(|t| (t, self.log_at(t)));
        let points: Vec<(f64, f64)> = points.collect();
        let greatest = points.iter().fold(f64::NEG_INFINITY, |a, (_, log)| a.max(*log));
        let mut sums = [0.0; 4];
        for (t, log) in points {
            let weight = (log - greatest).exp();
            sums.iter_mut().zip([1.0, t, t * t, t * t * t]).for_each(|(sum, power)| *sum += weight * power);
        }
        (sums, greatest)
    }

    fn moment(&self) -> Moment {
        let [total, first, second, third] = self.sums().0;
        let (m, m2, m3) = (first / total, second / total, third / total);
        let variance = m2 - m * m;
        let cumulant = m3 - 3.0 * m * variance - m * m * m;
        Moment {
            mean: self.mean + self.sd * m,
            variance: self.sd * self.sd * variance,
            skewness: cumulant / (variance * variance.sqrt()),
        }
    }

    fn ln_pdf(&self, x: f64) -> f64 {
        self.log_at((x - self.mean) / self.sd) - self.log_integral
    }
}

impl Exploration<'_> {
    /// The rows whose linear predictors could not be held at every value at a point of weight: they have the moments of the expansion there.
    pub(crate) fn unheld_predictors(&self, evaluated: &Evaluated, weights: &[f64]) -> Vec<usize> {
        let kept = of_weight(evaluated, weights).unwrap_or_default();
        let requested = kept.first().map(|(_, profiles)| &profiles.requested);
        let Some(predictors) = requested.and_then(|requested| requested.predictors.as_ref()) else { return Vec::new() };
        let missing = |source: &Source| kept.iter().any(|(_, profiles)| profiles.is_missing(source.held));
        let sources = predictors.sources.iter().enumerate();
        sources.filter(|(_, source)| source.as_ref().is_some_and(missing)).map(|(row, _)| row).collect()
    }

    /// Marginals of nodes and linear predictors: mixtures by moments, tables of those whose densities are known.
    pub(crate) fn field_marginals(&self, evaluated: &Evaluated, weights: &[f64]) -> (Vec<Marginal>, Vec<Marginal>) {
        let mut nodes = self.mixtures(evaluated, weights, |point| &point.moments.nodes);
        let mut predictors = self.mixtures(evaluated, weights, |point| &point.moments.predictors);
        let kept = of_weight(evaluated, weights).unwrap_or_default();
        let Some(requested) = kept.first().map(|(_, profiles)| &profiles.requested) else { return (nodes, predictors) };
        let tables = self.tables(&kept, requested.count());
        for (&node, table) in requested.nodes.iter().zip(&tables) {
            if let Some(table) = table {
                nodes[node] = Marginal::Tabulated(table.clone());
            }
        }
        let sources = requested.predictors.iter().flat_map(|predictors| &predictors.sources);
        for (own, source) in predictors.iter_mut().zip(sources) {
            if let Some((source, table)) = source.and_then(|source| Some((source, tables[source.held].clone()?))) {
                *own = Marginal::Tabulated(table).mapped(source.map());
            }
        }
        (nodes, predictors)
    }

    /// The mixtures of the densities of everything that was held.
    fn tables(&self, parts: &[(f64, &Profiles)], count: usize) -> Vec<Option<Arc<Table>>> {
        let chunk = |c: usize| {
            let own = c * CHUNK..count.min((c + 1) * CHUNK);
            own.map(|k| mixture(parts, k).map(Arc::new)).collect::<Vec<_>>()
        };
        map(self.executor, count.div_ceil(CHUNK), chunk).into_iter().flatten().collect()
    }
}

/// The densities at the points of weight, where every one has them.
fn of_weight<'e>(evaluated: &'e Evaluated, weights: &[f64]) -> Option<Vec<(f64, &'e Profiles)>> {
    let kept = weights.iter().copied().zip(&evaluated.points).filter(|(weight, _)| *weight > NEGLIGIBLE_WEIGHT);
    kept.map(|(weight, point)| Some((weight, point.profiles.as_ref()?))).collect()
}

/// The mixture of the densities of what is held as the `k`th; none where it is fixed or missing at a point.
fn mixture(parts: &[(f64, &Profiles)], k: usize) -> Option<Table> {
    let densities: Option<Vec<(f64, Density)>> =
        parts.iter().map(|(weight, profiles)| Some((weight.ln(), profiles.density(k)?))).collect();
    let densities = densities?;
    let ends = densities.iter().map(|(_, d)| (d.mean - HALF_WIDTH * d.sd, d.mean + HALF_WIDTH * d.sd));
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (low, high)| (a.min(low), b.max(high)));
    let narrowest = densities.iter().fold(f64::INFINITY, |a, (_, density)| a.min(density.sd));
    let cells = (CELLS * (high - low) / narrowest).min(MOST_CELLS).ceil();
    let x: Vec<f64> = (0..=cells as usize).map(|i| low + (high - low) * i as f64 / cells).collect();
    let log = |x: &f64| densities.iter().map(|(log, density)| (log + density.ln_pdf(*x)).exp()).sum::<f64>().ln();
    let logs: Vec<f64> = x.iter().map(log).collect();
    Some(Table::new(x, &logs))
}
