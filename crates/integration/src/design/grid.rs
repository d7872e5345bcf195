//! A lattice in `z`, explored outwards from the mode until the log-density has dropped.
//!
//! A thinned exploration evaluates every second point, those whose indices have an even sum, and predicts the others from values and
//! slopes of their neighbours; where the two disagree, or the predictions among each other, it goes on to evaluate them all.

use std::collections::{BTreeMap, BTreeSet};

use super::DesignPoint;
use super::thinning::{self, Predicted};

/// Spacing and extent of the lattice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridOptions {
    /// Spacing in standardised coordinates. The trapezoid rule converges faster than any power of the spacing: at 1 its
    /// error for a Gaussian is 5e-9. Default 1; half of that for a single hyperparameter, whose marginal the grid also carries.
    pub step: f64,
    /// The lattice ends where the log-density has dropped by this much below its greatest value. Default 8: beyond lie 0.1 % of a
    /// Gaussian's second moment in one dimension, 0.3 % in two, 0.7 % in three.
    pub drop: f64,
    /// Greatest number of points; a heavy tail is cut there, and `truncated` says so.
    pub most_points: usize,
    /// Whether every second point is predicted from its neighbours where that is as good as evaluating it. Default true. The
    /// trapezoid rule on the points that remain errs by 2e-4 for a Gaussian in two dimensions, less in one and in three.
    pub thinned: bool,
}

impl GridOptions {
    /// The defaults for a number of hyperparameters.
    pub fn for_dimension(dimension: usize) -> Self {
        let step = if dimension <= 1 { 0.5 } else { 1.0 };
        Self { step, drop: 8.0, most_points: 5000, thinned: true }
    }
}

/// A squared slope below this multiple of the drop belongs to a tail heavier than a Gaussian's, whose multiple is 2.
const HEAVY: f64 = 1.5;
/// How far below the drop the tangent must lie there for a point to be passed over.
const HEAVY_MARGIN: f64 = 1.0;
/// Furthest lattice index from the mode.
const FURTHEST: i32 = 60;

/// What an evaluation tells the exploration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GridValue {
    /// Laplace's log-density.
    pub(crate) value: f64,
    /// Its gradient in `z`.
    pub(crate) slope: Vec<f64>,
    /// The second-order term.
    pub(crate) correction: f64,
}

/// The state of an exploration: asks for batches of points, is told their values.
#[derive(Debug, Clone)]
pub(crate) struct GridExploration {
    dimension: usize,
    options: GridOptions,
    /// Whether the second-order terms weigh the points.
    corrected: bool,
    thinned: bool,
    /// The points seen, in the order of their indices: `None` where the evaluation failed.
    values: BTreeMap<Vec<i32>, Option<GridValue>>,
    pending: Vec<Vec<i32>>,
    predicted: Vec<Predicted>,
    greatest: f64,
    truncated: bool,
}

impl GridExploration {
    /// Starts at the mode.
    pub(crate) fn new(dimension: usize, options: GridOptions, corrected: bool) -> Self {
        Self {
            dimension,
            options,
            corrected,
            thinned: options.thinned,
            values: BTreeMap::new(),
            pending: vec![vec![0; dimension]],
            predicted: Vec::new(),
            greatest: f64::NEG_INFINITY,
            truncated: false,
        }
    }

    /// The points to evaluate next, in standardised coordinates; empty when the exploration is complete.
    pub(crate) fn next_batch(&self) -> Vec<Vec<f64>> {
        self.pending.iter().map(|index| self.coordinates(index)).collect()
    }

    /// Records the last batch, `None` where a point could not be evaluated.
    pub(crate) fn record(&mut self, values: Vec<Option<GridValue>>) {
        for (index, value) in std::mem::take(&mut self.pending).into_iter().zip(values) {
            if let Some(value) = &value {
                self.greatest = self.greatest.max(self.total(value));
            }
            self.values.insert(index, value);
        }
        self.expand();
        if self.pending.is_empty() && self.thinned {
            self.predicted = thinning::predict(&self.values, self.dimension, self.options.step);
            if self.truncated || !thinning::agree(&self.values, &self.predicted, self.options.step, self.corrected) {
                self.thinned = false;
                self.predicted.clear();
                self.expand();
            }
        }
    }

    fn total(&self, value: &GridValue) -> f64 {
        value.value + if self.corrected { value.correction } else { 0.0 }
    }

    /// The neighbours of the points inside, but for those that the tangent already puts outside: where the density is
    /// log-concave they lie below it. In a tail that falls more slowly than a Gaussian's the tangent must lie well outside.
    fn expand(&mut self) {
        let floor = self.greatest - self.options.drop;
        let moves = moves(self.dimension, self.thinned);
        let mut next = BTreeSet::new();
        for (index, value) in &self.values {
            let Some(value) = value else { continue };
            let here = self.total(value);
            if here < floor {
                continue;
            }
            // a Gaussian's squared slope is twice its drop
            let heavy = value.slope.iter().map(|g| g * g).sum::<f64>() < HEAVY * (self.greatest - here);
            let floor = if heavy { floor - HEAVY_MARGIN } else { floor };
            for step in &moves {
                let rise: f64 = step.iter().zip(&value.slope).map(|(&s, g)| f64::from(s) * self.options.step * g).sum();
                let neighbour: Vec<i32> = index.iter().zip(step).map(|(i, s)| i + s).collect();
                if here + rise < floor || self.values.contains_key(&neighbour) {
                    continue;
                }
                if neighbour.iter().any(|i| i.abs() > FURTHEST) {
                    self.truncated = true;
                } else {
                    next.insert(neighbour);
                }
            }
        }
        let room = self.options.most_points.saturating_sub(self.values.len());
        self.truncated |= next.len() > room;
        self.pending = next.into_iter().take(room).collect();
    }

    /// Whether the lattice was cut before the log-density had dropped everywhere.
    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    /// The points of the lattice between those that were evaluated, if it was thinned.
    pub(crate) fn predicted(&self) -> &[Predicted] {
        &self.predicted
    }

    /// Lattice indices and design points of all evaluations that succeeded, in lattice order.
    pub(crate) fn points(&self) -> Vec<(Vec<i32>, DesignPoint)> {
        let share = if self.thinned && self.dimension > 0 { 2.0_f64.ln() } else { 0.0 };
        let log_weight = self.dimension as f64 * self.options.step.ln() + share;
        let known = self.values.iter().filter(|(_, value)| value.is_some());
        known.map(|(index, _)| (index.clone(), DesignPoint { z: self.coordinates(index), log_weight })).collect()
    }

    fn coordinates(&self, index: &[i32]) -> Vec<f64> {
        index.iter().map(|&i| f64::from(i) * self.options.step).collect()
    }
}

/// The shortest vectors of the lattice, or of its points of even sum.
fn moves(dimension: usize, thinned: bool) -> Vec<Vec<i32>> {
    let unit = |k: usize, s: i32| (0..dimension).map(|i| if i == k { s } else { 0 }).collect::<Vec<i32>>();
    if !thinned || dimension == 1 {
        let length = if thinned { 2 } else { 1 };
        return (0..dimension).flat_map(|k| [unit(k, -length), unit(k, length)]).collect();
    }
    let pairs = (0..dimension).flat_map(|a| (0..a).map(move |b| (a, b)));
    let signs = [(-1, -1), (-1, 1), (1, -1), (1, 1)];
    let both = |(a, b): (usize, usize)| {
        signs.map(|(s, t)| unit(a, s).iter().zip(unit(b, t)).map(|(x, y)| x + y).collect::<Vec<i32>>())
    };
    pairs.flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // what fails in a helper fails the test
    use super::*;
    use crate::design::tests::assert_standard;

    fn explore(options: GridOptions, dimension: usize, density: impl Fn(&[f64]) -> Option<f64>) -> GridExploration {
        let mut grid = GridExploration::new(dimension, options, false);
        let slope = |z: &[f64], k: usize| {
            let at = |h: f64| {
                let mut moved = z.to_vec();
                moved[k] += h;
                density(&moved).unwrap_or(f64::NEG_INFINITY)
            };
            (at(1e-5) - at(-1e-5)) / 2e-5
        };
        let value = |z: &Vec<f64>| {
            let slope = (0..dimension).map(|k| slope(z, k)).collect();
            Some(GridValue { value: density(z)?, slope, correction: 0.0 })
        };
        loop {
            let batch = grid.next_batch();
            if batch.is_empty() {
                return grid;
            }
            grid.record(batch.iter().map(value).collect());
        }
    }

    fn defaults(dimension: usize) -> GridOptions {
        GridOptions::for_dimension(dimension)
    }

    fn gaussian(z: &[f64]) -> Option<f64> {
        Some(-0.5 * z.iter().map(|z| z * z).sum::<f64>())
    }

    #[test]
    fn the_default_grid_reproduces_a_gaussian_to_a_few_in_a_thousand() {
        for dimension in 1..=3 {
            let mut full = 0;
            for thinned in [false, true] {
                let grid = explore(GridOptions { thinned, ..defaults(dimension) }, dimension, gaussian);
                let points: Vec<_> = grid.points().into_iter().map(|(_, point)| point).collect();
                // so much of the second moment lies beyond the drop: P(χ²_{p+2} > 16); the thinned rule adds 2e-4 times (2π)²/2
                let beyond = [1.2e-3, 3.1e-3, 6.9e-3][dimension - 1];
                assert_standard(&points, beyond + if thinned { 4e-3 } else { 0.0 });
                assert!(!grid.truncated());
                // half of them, and what lies on the rim
                assert!(!thinned || points.len() <= 2 * full / 3, "{dimension}: {} of {full}", points.len());
                full = points.len();
            }
        }
    }

    #[test]
    fn the_points_between_are_predicted_to_the_fourth_derivative() {
        // a log-gamma density of shape 16, skewness −1/4: its fourth derivative is 1/16
        let log_gamma = |z: f64| 16.0 * (0.25 * z - (0.25 * z).exp());
        let grid = explore(defaults(2), 2, |z| Some(log_gamma(z[0]) + log_gamma(-z[1])));
        let predicted = grid.predicted();
        assert!(predicted.len() > 30);
        for point in predicted.iter().filter(|p| p.index.iter().all(|i| i.abs() <= 2)) {
            let exact = log_gamma(f64::from(point.index[0])) + log_gamma(-f64::from(point.index[1]));
            // 2⁴/384 times the fourth derivative, at most e^{1/2}/16 here
            assert!((point.value - exact).abs() < 16.0 / 384.0 / 16.0 * 1.7, "{point:?} {exact}");
        }
    }

    #[test]
    fn a_bent_density_is_evaluated_at_every_point() {
        let bent = |z: &[f64]| Some(-0.5 * z[0] * z[0] - 0.5 * (z[1] - 0.4 * z[0] * z[0]).powi(2));
        let thinned = explore(defaults(2), 2, bent);
        assert!(thinned.predicted().is_empty());
        let full = explore(GridOptions { thinned: false, ..defaults(2) }, 2, bent);
        let indices = |grid: &GridExploration| grid.points().into_iter().map(|(index, _)| index).collect::<Vec<_>>();
        // the exploration by diagonals meets a few points more
        assert!(indices(&full).iter().all(|index| indices(&thinned).contains(index)));
    }

    #[test]
    fn a_flat_density_and_failing_points_end_the_exploration() {
        let flat = explore(defaults(2), 2, |_| Some(0.0));
        assert!(flat.truncated() && flat.points().len() <= 5000);
        let failing = explore(defaults(2), 2, |z| if z[0] < 2.5 { gaussian(z) } else { None });
        assert!(failing.points().iter().all(|(_, point)| point.z[0] < 2.5));
    }

    #[test]
    fn a_long_tail_is_followed() {
        let grid = explore(defaults(1), 1, |z| Some(if z[0] > 0.0 { -0.5 * z[0] } else { -z[0] * z[0] }));
        let furthest = grid.points().iter().map(|(_, p)| p.z[0]).fold(0.0, f64::max);
        assert!(furthest >= 15.0);
    }
}
