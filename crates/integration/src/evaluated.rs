//! An evaluated design: points, their weights, and on a grid the lattice that they thin.

use crate::design::{DesignPoint, Predicted};
use crate::engine::PointEvaluation;
use crate::hyper_marginal::Lattice;

/// What a grid knows beyond its points.
pub(crate) struct Grid {
    pub(crate) step: f64,
    /// Lattice index of every point of the design.
    pub(crate) indices: Vec<Vec<i32>>,
    /// The points of the lattice that were not evaluated.
    pub(crate) predicted: Vec<Predicted>,
}

impl Grid {
    /// Weights of every second point where all were evaluated: of those with an even sum of indices, as a thinned grid has them.
    pub(crate) fn half(&self, weights: &[f64]) -> Option<Vec<f64>> {
        let is_even = |index: &Vec<i32>| index.iter().sum::<i32>() % 2 == 0;
        if !self.predicted.is_empty() || self.indices.iter().all(is_even) {
            return None;
        }
        let half = self.indices.iter().zip(weights).map(|(index, w)| if is_even(index) { *w } else { 0.0 });
        let total: f64 = half.clone().sum();
        (total > 0.0).then(|| half.map(|w| w / total).collect())
    }
}

/// An evaluated design.
#[derive(Default)]
pub(crate) struct Evaluated {
    pub(crate) design: Vec<DesignPoint>,
    pub(crate) points: Vec<PointEvaluation>,
    pub(crate) grid: Option<Grid>,
}

impl Evaluated {
    /// Quadrature weight times density of each point, `with` the second-order term or without.
    pub(crate) fn log_weights(&self, with: bool) -> Vec<f64> {
        self.design
            .iter()
            .zip(&self.points)
            .map(|(design, point)| design.log_weight + log_density(point, with))
            .collect()
    }

    /// `log ∫ p̃ dz`: on a thinned grid over all points of its lattice.
    pub(crate) fn log_integral(&self, with: bool) -> f64 {
        match self.lattice(with) {
            Some(lattice) => {
                let logs: Vec<f64> = lattice.points.iter().map(|(_, value)| *value).collect();
                let p = self.design.first().map_or(0, |point| point.z.len());
                lattice.greatest + p as f64 * lattice.step.ln() + log_sum(&logs)
            }
            None => log_sum(&self.log_weights(with)),
        }
    }

    /// The lattice of a grid, predicted points included, in lattice order; `None` for other designs.
    pub(crate) fn lattice(&self, with: bool) -> Option<Lattice> {
        let grid = self.grid.as_ref()?;
        let evaluated = grid.indices.iter().zip(&self.points).map(|(index, point)| (index, log_density(point, with)));
        let predicted = grid.predicted.iter().map(|p| (&p.index, p.value + if with { p.correction } else { 0.0 }));
        let mut points: Vec<(Vec<i32>, f64)> =
            evaluated.chain(predicted).map(|(i, value)| (i.clone(), value)).collect();
        points.sort_by(|a, b| a.0.cmp(&b.0));
        let greatest = points.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        points.iter_mut().for_each(|(_, value)| *value -= greatest);
        Some(Lattice { step: grid.step, greatest, points })
    }
}

fn log_density(point: &PointEvaluation, with: bool) -> f64 {
    point.approximation.log_posterior + if with { point.moments.second_order.total() } else { 0.0 }
}

/// `log Σ exp`.
pub(crate) fn log_sum(values: &[f64]) -> f64 {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    greatest + values.iter().map(|v| (v - greatest).exp()).sum::<f64>().ln()
}

/// How many independent draws those of weights that sum to one are worth.
pub(crate) fn effective(weights: &[f64]) -> f64 {
    1.0 / weights.iter().map(|w| w * w).sum::<f64>()
}

/// Weights that sum to one.
pub(crate) fn normalised(log_weights: &[f64]) -> Vec<f64> {
    let total = log_sum(log_weights);
    log_weights.iter().map(|w| (w - total).exp()).collect()
}
