//! The points of a lattice between its even ones: predicted from values and slopes, and whether the predictions can be trusted.

use std::collections::{BTreeMap, BTreeSet};

use super::grid::GridValue;

/// A point that was not evaluated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Predicted {
    pub(crate) index: Vec<i32>,
    /// Laplace's log-density.
    pub(crate) value: f64,
    /// The second-order term.
    pub(crate) correction: f64,
    /// How far independent predictions of the value lie apart.
    spread: f64,
}

/// How far the logarithm of the integral may lie from that of the even points alone.
const INTEGRAL: f64 = 0.02;
/// How far each mean may, in standard deviations.
const MEAN: f64 = 0.03;
/// How far each second moment may, relative to a variance.
const VARIANCE: f64 = 0.05;
/// How far the predictions may lie apart, on average over the density.
const SPREAD: f64 = 0.04;
/// In one dimension the cubic through four values errs nine times as much as that through two values and slopes, with the other sign:
/// so much of their distance is the error of the latter.
const SHARE_OF_LINE: f64 = 0.1;

type Values = BTreeMap<Vec<i32>, Option<GridValue>>;

fn moved(index: &[i32], k: usize, by: i32) -> Vec<i32> {
    let mut index = index.to_vec();
    index[k] += by;
    index
}

/// The neighbours of all evaluated points that were not evaluated, in lattice order.
pub(crate) fn predict(values: &Values, dimension: usize, step: f64) -> Vec<Predicted> {
    let known = values.iter().filter(|(_, value)| value.is_some());
    let around =
        |index: &Vec<i32>| (0..dimension).flat_map(|k| [-1, 1].map(|by| moved(index, k, by))).collect::<Vec<_>>();
    let between: BTreeSet<Vec<i32>> = known.flat_map(|(index, _)| around(index)).collect();
    let absent = between.into_iter().filter(|index| !values.contains_key(index));
    absent.map(|index| predicted(values, index, step)).collect()
}

fn predicted(values: &Values, index: Vec<i32>, step: f64) -> Predicted {
    let at = |k: usize, by: i32| values.get(&moved(&index, k, by)).and_then(Option::as_ref);
    let (mut estimates, mut outer, mut corrections) = (Vec::new(), Vec::new(), Vec::new());
    for k in 0..index.len() {
        match (at(k, -1), at(k, 1)) {
            (Some(low), Some(high)) => {
                // the cubic through both values and slopes, half-way
                let hermite = 0.5 * (low.value + high.value) + 0.25 * step * (low.slope[k] - high.slope[k]);
                estimates.push(hermite);
                if let (1, Some(far_low), Some(far_high)) = (index.len(), at(k, -3), at(k, 3)) {
                    let values = (9.0 * (low.value + high.value) - far_low.value - far_high.value) / 16.0;
                    estimates.push(hermite + SHARE_OF_LINE * (values - hermite));
                }
            }
            // the parabola of unit curvature through value and slope
            (Some(low), None) => outer.push(low.value + step * low.slope[k] - 0.5 * step * step),
            (None, Some(high)) => outer.push(high.value - step * high.slope[k] - 0.5 * step * step),
            (None, None) => {}
        }
        corrections.extend([-1, 1].into_iter().filter_map(|by| at(k, by)).map(|value| value.correction));
    }
    let estimates = if estimates.is_empty() { outer } else { estimates };
    let (low, high) = estimates.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &e| (l.min(e), h.max(e)));
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len().max(1) as f64;
    let value = if index.len() == 1 { estimates[0] } else { mean(&estimates) };
    Predicted { value, correction: mean(&corrections), spread: high - low, index }
}

/// Whether the even points alone integrate like all points, and the predictions agree among each other.
pub(crate) fn agree(values: &Values, predicted: &[Predicted], step: f64, corrected: bool) -> bool {
    let share = f64::from(u8::from(corrected));
    let even = values.iter().filter_map(|(index, value)| Some((index, value.as_ref()?)));
    let even: Vec<(&Vec<i32>, f64)> = even.map(|(index, v)| (index, v.value + share * v.correction)).collect();
    let odd = predicted.iter().map(|point| (&point.index, point.value + share * point.correction));
    let all: Vec<(&Vec<i32>, f64)> = even.iter().copied().chain(odd).collect();
    let greatest = all.iter().fold(f64::NEG_INFINITY, |greatest, point| greatest.max(point.1));
    let (sparse, full) = (moments(&even, step, greatest), moments(&all, step, greatest));
    let weight = |point: &Predicted| (point.value + share * point.correction - greatest).exp();
    // half of the points, and of the integral, are predicted
    let spread = predicted.iter().map(|point| weight(point) * point.spread).sum::<f64>() / full.0;
    let close = |a: &[f64], b: &[f64], tolerance: f64| a.iter().zip(b).all(|(a, b)| (a - b).abs() < tolerance);
    (2.0 * sparse.0 / full.0).ln().abs() < INTEGRAL
        && spread < SPREAD
        && close(&sparse.1, &full.1, MEAN)
        && close(&sparse.2, &full.2, VARIANCE)
}

/// Sum, means and second moments of `z` under the weights of some points.
fn moments(points: &[(&Vec<i32>, f64)], step: f64, greatest: f64) -> (f64, Vec<f64>, Vec<f64>) {
    let p = points.first().map_or(0, |(index, _)| index.len());
    let (mut total, mut mean, mut second) = (0.0, vec![0.0; p], vec![0.0; p * (p + 1) / 2]);
    for (index, value) in points {
        let weight = (value - greatest).exp();
        let z: Vec<f64> = index.iter().map(|&i| step * f64::from(i)).collect();
        total += weight;
        mean.iter_mut().zip(&z).for_each(|(mean, z)| *mean += weight * z);
        let pairs = (0..p).flat_map(|a| (0..=a).map(move |b| (a, b)));
        second.iter_mut().zip(pairs).for_each(|(second, (a, b))| *second += weight * z[a] * z[b]);
    }
    mean.iter_mut().chain(&mut second).for_each(|sum| *sum /= total);
    (total, mean, second)
}
