//! Anderson's acceleration of a fixed-point iteration (Anderson 1965; Walker and Ni 2011, type II).

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// Differences that are remembered.
const MEMORY: usize = 6;
/// Ridge on the normal equations, relative to their trace: differences grow collinear near the fixed point.
const RIDGE: f64 = 1e-10;

/// What the last iterations have told.
#[derive(Debug, Default)]
pub(super) struct Acceleration {
    /// Changes of the point and of its residual, oldest first.
    changes: Vec<[Vec<f64>; 2]>,
    last: Option<[Vec<f64>; 2]>,
}

impl Acceleration {
    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        self.changes.clear();
        self.last = None;
    }

    /// The next point from `point` and its `residual` (what the plain iteration would add); inner products weigh with `weights`.
    pub(super) fn next(&mut self, point: &[f64], residual: &[f64], weights: &[f64]) -> Vec<f64> {
        if let Some([last_point, last_residual]) = self.last.take() {
            if self.changes.len() == MEMORY {
                self.changes.remove(0);
            }
            let change = |now: &[f64], before: &[f64]| now.iter().zip(before).map(|(a, b)| a - b).collect();
            self.changes.push([change(point, &last_point), change(residual, &last_residual)]);
        }
        self.last = Some([point.to_vec(), residual.to_vec()]);
        let mut next: Vec<f64> = point.iter().zip(residual).map(|(s, f)| s + f).collect();
        for (gamma, [moved, changed]) in self.coefficients(residual, weights).into_iter().zip(&self.changes) {
            for ((next, s), f) in next.iter_mut().zip(moved).zip(changed) {
                *next -= gamma * (s + f);
            }
        }
        next
    }

    /// The combination of changes that takes most of the residual away.
    fn coefficients(&self, residual: &[f64], weights: &[f64]) -> Vec<f64> {
        let k = self.changes.len();
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).zip(weights).map(|((a, b), w)| w * w * a * b).sum() };
        let mut gram = Mat::from_fn(k, k, |i, j| dot(&self.changes[i][1], &self.changes[j][1]));
        let trace: f64 = (0..k).map(|i| gram[(i, i)]).sum();
        (0..k).for_each(|i| gram[(i, i)] += RIDGE * trace);
        let right = Mat::from_fn(k, 1, |i, _| dot(&self.changes[i][1], residual));
        match gram.llt(Side::Lower) {
            Ok(factor) if k > 0 => {
                let solved = factor.solve(&right);
                (0..k).map(|i| solved[(i, 0)]).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_iteration_ends_after_as_many_steps_as_it_has_dimensions() {
        // s ← s + (b − As), A with eigenvalues between 0.02 and 0.8: the plain iteration takes 700 steps to 1e-6
        let diagonal = [0.02, 0.1, 0.3, 0.8];
        let mut point = vec![0.0; 4];
        let mut acceleration = Acceleration::default();
        for _ in 0..7 {
            let residual: Vec<f64> = point.iter().zip(diagonal).map(|(s, a)| 1.0 - a * s).collect();
            point = acceleration.next(&point, &residual, &[1.0; 4]);
        }
        for (s, a) in point.iter().zip(diagonal) {
            assert!((s * a - 1.0).abs() < 1e-5, "{point:?}");
        }
    }
}
