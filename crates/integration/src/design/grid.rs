//! A lattice in `z`, explored outwards from the mode until the log-density has dropped.

use std::collections::BTreeMap;

use super::DesignPoint;

/// Spacing and extent of the lattice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridOptions {
    /// Spacing in standardised coordinates. The trapezoid rule converges faster than any power of the spacing: at 1 its
    /// error for a Gaussian is 5e-9. Default 1; half of that for a single hyperparameter, whose marginal the grid also carries.
    pub step: f64,
    /// The lattice ends where the log-density has dropped by this much below its greatest value. Default 8: 4e-4 of a
    /// Gaussian's second moment lies beyond.
    pub drop: f64,
    /// Greatest number of points; a heavy tail is cut there, and `truncated` says so.
    pub most_points: usize,
}

impl GridOptions {
    /// The defaults for a number of hyperparameters.
    pub fn for_dimension(dimension: usize) -> Self {
        let step = if dimension <= 1 { 0.5 } else { 1.0 };
        Self { step, drop: 8.0, most_points: 5000 }
    }
}

/// Furthest lattice index from the mode.
const FURTHEST: i32 = 60;

/// The state of an exploration: asks for batches of points, is told their values.
#[derive(Debug, Clone)]
pub struct GridExploration {
    dimension: usize,
    options: GridOptions,
    /// Log-densities of the points seen, in the order of their indices: `None` where the evaluation failed.
    values: BTreeMap<Vec<i32>, Option<f64>>,
    pending: Vec<Vec<i32>>,
    greatest: f64,
    truncated: bool,
}

impl GridExploration {
    /// Starts at the mode.
    pub fn new(dimension: usize, options: GridOptions) -> Self {
        Self {
            dimension,
            options,
            values: BTreeMap::new(),
            pending: vec![vec![0; dimension]],
            greatest: f64::NEG_INFINITY,
            truncated: false,
        }
    }

    /// The points to evaluate next, in standardised coordinates; empty when the exploration is complete.
    pub fn next_batch(&self) -> Vec<Vec<f64>> {
        self.pending.iter().map(|index| self.coordinates(index)).collect()
    }

    /// Records the log-densities of the last batch, `None` where a point could not be evaluated.
    pub fn record(&mut self, values: &[Option<f64>]) {
        for (index, &value) in std::mem::take(&mut self.pending).into_iter().zip(values) {
            if let Some(value) = value {
                self.greatest = self.greatest.max(value);
            }
            self.values.insert(index, value);
        }
        let mut next = std::collections::BTreeSet::new();
        for (index, value) in &self.values {
            if value.is_none_or(|value| value < self.greatest - self.options.drop) {
                continue;
            }
            for k in 0..self.dimension {
                for step in [-1, 1] {
                    let mut neighbour = index.clone();
                    neighbour[k] += step;
                    if !self.values.contains_key(&neighbour) {
                        if neighbour[k].abs() > FURTHEST {
                            self.truncated = true;
                        } else {
                            next.insert(neighbour);
                        }
                    }
                }
            }
        }
        let room = self.options.most_points.saturating_sub(self.values.len());
        self.truncated |= next.len() > room;
        self.pending = next.into_iter().take(room).collect();
    }

    /// Whether the lattice was cut before the log-density had dropped everywhere.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// The spacing.
    pub fn step(&self) -> f64 {
        self.options.step
    }

    /// Lattice indices, design points and recorded values of all points that were evaluated, in lattice order.
    pub fn points(&self) -> Vec<(Vec<i32>, DesignPoint, f64)> {
        let log_weight = self.dimension as f64 * self.options.step.ln();
        self.values
            .iter()
            .filter_map(|(index, value)| {
                let point = DesignPoint { z: self.coordinates(index), log_weight };
                value.map(|value| (index.clone(), point, value))
            })
            .collect()
    }

    fn coordinates(&self, index: &[i32]) -> Vec<f64> {
        index.iter().map(|&i| f64::from(i) * self.options.step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::tests::assert_standard;

    fn explore(dimension: usize, density: impl Fn(&[f64]) -> Option<f64>) -> GridExploration {
        let mut grid = GridExploration::new(dimension, GridOptions::for_dimension(dimension));
        loop {
            let batch = grid.next_batch();
            if batch.is_empty() {
                return grid;
            }
            grid.record(&batch.iter().map(|z| density(z)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_default_grid_reproduces_a_gaussian_to_one_in_a_thousand() {
        for dimension in 1..=3 {
            let grid = explore(dimension, |z| Some(-0.5 * z.iter().map(|z| z * z).sum::<f64>()));
            let points: Vec<_> = grid.points().into_iter().map(|(_, point, _)| point).collect();
            assert_standard(&points, 1e-3);
            assert!(!grid.truncated());
        }
    }

    #[test]
    fn a_flat_density_and_failing_points_end_the_exploration() {
        let flat = explore(2, |_| Some(0.0));
        assert!(flat.truncated() && flat.points().len() <= 5000);
        let failing = explore(2, |z| (z[0] < 2.5).then(|| -0.5 * (z[0] * z[0] + z[1] * z[1])));
        assert!(failing.points().iter().all(|(_, point, _)| point.z[0] < 2.5));
    }

    #[test]
    fn a_long_tail_is_followed() {
        let grid = explore(1, |z| Some(if z[0] > 0.0 { -0.5 * z[0] } else { -z[0] * z[0] }));
        let furthest = grid.points().iter().map(|(_, p, _)| p.z[0]).fold(0.0, f64::max);
        assert!(furthest >= 16.0);
    }
}
