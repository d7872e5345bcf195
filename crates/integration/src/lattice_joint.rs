//! The joint density of the hyperparameters that a lattice knows.
//!
//! Draws of the density that the axes and all gradients stand for are weighed by what the lattice says beyond it: a smooth function,
//! linear between the points of the lattice.

use std::collections::BTreeMap;

use crate::evaluated::normalised;
use crate::exploration::Exploration;
use crate::hyper_marginal::Lattice;
use crate::joint::Joint;
use crate::sampling::cubic::{Cubic, Scratch};
use crate::sampling::scores::NormalScores;

/// Nats by which the lattice may correct a draw: where it says more, the density has long ended.
const MOST_CORRECTED: f64 = 3.0;

impl Exploration<'_> {
    /// Draws of the density that `scores` and the gradients seen stand for, weighed by the lattice.
    pub(crate) fn joint_of_lattice(&self, scores: &NormalScores, lattice: &Lattice) -> Joint {
        let (cubic, draws) = self.coupled_draws(scores);
        let residual = Residual::new(lattice, &cubic, scores);
        let mut room = Room::default();
        let logs: Vec<f64> =
            draws.zs.iter().zip(&draws.weights).map(|(z, w)| w.ln() + residual.at(z, &mut room)).collect();
        draws.joint(normalised(&logs))
    }
}

/// What the log-density on a lattice is beyond another one, and what is between its points.
struct Residual<'a> {
    step: f64,
    known: BTreeMap<&'a [i32], f64>,
}

/// Room for a cell of the lattice.
#[derive(Default)]
struct Room {
    index: Vec<i32>,
    /// Share of the step beyond the lower end, and of which coordinate.
    shares: Vec<(f64, usize)>,
}

impl<'a> Residual<'a> {
    fn new(lattice: &'a Lattice, cubic: &Cubic, scores: &NormalScores) -> Self {
        let mut scratch = Scratch::default();
        let mut beyond = |(index, value): &'a (Vec<i32>, f64)| {
            let z: Vec<f64> = index.iter().map(|&i| lattice.step * f64::from(i)).collect();
            let other = cubic.at(&scores.scores(&z)?, &mut scratch) + scores.ln_pdf(&z, 1.0);
            Some((index.as_slice(), *value, value - other)).filter(|(.., beyond)| beyond.is_finite())
        };
        let all: Vec<(&[i32], f64, f64)> = lattice.points.iter().filter_map(&mut beyond).collect();
        // from where the density is greatest: a constant says nothing
        let top = all.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0.0, |(_, _, beyond)| *beyond);
        let bounded = |beyond: f64| (beyond - top).clamp(-MOST_CORRECTED, MOST_CORRECTED);
        Self { step: lattice.step, known: all.into_iter().map(|(i, _, beyond)| (i, bounded(beyond))).collect() }
    }

    /// Linear over the simplex of the lattice that holds `z` (Kuhn's: from its lower corner one coordinate after the other, those of the
    /// largest shares first), without the corners that are not known.
    fn at(&self, z: &[f64], room: &mut Room) -> f64 {
        let Room { index, shares } = room;
        index.clear();
        shares.clear();
        for (k, z) in z.iter().enumerate() {
            let place = (z / self.step).clamp(-1e6, 1e6);
            index.push(place.floor() as i32);
            shares.push((place - place.floor(), k));
        }
        shares.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let (mut sum, mut total) = (0.0, 0.0);
        for corner in 0..=shares.len() {
            let before = if corner == 0 { 1.0 } else { shares[corner - 1].0 };
            let weight = before - shares.get(corner).map_or(0.0, |next| next.0);
            if let Some(value) = self.known.get(index.as_slice()) {
                sum += weight * value;
                total += weight;
            }
            if let Some((_, k)) = shares.get(corner) {
                index[*k] += 1;
            }
        }
        if total > 0.0 { sum / total } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_is_met_between_the_points_and_continued_flat_beyond_the_known_ones() {
        let plane = |z: &[f64]| 0.3 * z[0] - 0.2 * z[1] + 0.1 * z[2];
        let range = || -2..=2;
        let indices: Vec<Vec<i32>> =
            range().flat_map(|a| range().flat_map(move |b| range().map(move |c| vec![a, b, c]))).collect();
        let at = |index: &[i32]| plane(&index.iter().map(|&i| 0.5 * f64::from(i)).collect::<Vec<f64>>());
        let residual = Residual { step: 0.5, known: indices.iter().map(|i| (i.as_slice(), at(i))).collect() };
        let mut room = Room::default();
        for z in [[0.1, 0.2, 0.3], [-0.9, 0.45, 0.0], [0.99, -0.99, 0.5], [1.0, -1.0, 1.0]] {
            assert!((residual.at(&z, &mut room) - plane(&z)).abs() < 1e-12, "{z:?}");
        }
        // beyond the last points the corners that are known speak alone
        assert!((residual.at(&[1.2, 0.0, 0.0], &mut room) - plane(&[1.0, 0.0, 0.0])).abs() < 1e-12);
        assert_eq!(residual.at(&[9.0, 9.0, 9.0], &mut room), 0.0);
        assert_eq!(residual.at(&[f64::MAX, 0.0, 0.0], &mut room), 0.0);
    }
}
