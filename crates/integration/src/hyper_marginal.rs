//! Posterior marginals of the hyperparameters, from evaluations of the corrected log-density.

use std::sync::Arc;

use crate::hessian::Reparametrisation;
use crate::marginal::{Marginal, Table};
use crate::spline::{CubicSpline, ShortSpline};

/// Points of a tabulated marginal.
const TABLE: usize = 801;
/// Lines of constant `θ_j` that a plane is integrated along.
const LINES: u32 = 96;
/// Where the tails of a table end: `exp(−25)` of the greatest density.
const TABLE_DROP: f64 = 25.0;

/// The log-density on a lattice in `z`: indices and values relative to the greatest.
#[derive(Debug, Clone)]
pub(crate) struct Lattice {
    pub(crate) step: f64,
    pub(crate) greatest: f64,
    pub(crate) points: Vec<(Vec<i32>, f64)>,
}

/// One hyperparameter: a spline through the lattice, its tails continued linearly.
pub(crate) fn of_line(map: &Reparametrisation, lattice: &Lattice) -> Marginal {
    let z: Vec<f64> = lattice.points.iter().map(|(index, _)| lattice.step * f64::from(index[0])).collect();
    let log: Vec<f64> = lattice.points.iter().map(|(_, value)| *value).collect();
    let axis = Axis::new(z, log);
    let (low, high) = axis.extent();
    let grid: Vec<f64> = (0..TABLE).map(|k| low + (high - low) * k as f64 / (TABLE - 1) as f64).collect();
    let log: Vec<f64> = grid.iter().map(|&z| axis.at(z)).collect();
    tabulate(grid.iter().map(|&z| map.theta(&[z])[0]).collect(), log)
}

fn tabulate(mut x: Vec<f64>, mut log: Vec<f64>) -> Marginal {
    if x.first() > x.last() {
        x.reverse();
        log.reverse();
    }
    Marginal::Tabulated(Arc::new(Table::new(x, &log)))
}

/// A log-density along one axis: `−½z²` plus a spline of the rest; beyond the ends the spline is linear and its slope such
/// that the density falls.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    rest: CubicSpline,
    low: Tail,
    high: Tail,
    greatest: f64,
}

/// How a log-density goes on beyond an end: with the slope that it has there, which falls at least like `exp(−|z|/4)`.
#[derive(Debug, Clone, Copy)]
struct Tail {
    end: f64,
    value: f64,
    slope: f64,
}

impl Tail {
    /// Beyond `end`, from which `inward` leads into the density of which `rest` is what `−½z²` leaves.
    fn new(rest: impl Fn(f64) -> f64, end: f64, inward: f64) -> Self {
        let log = |z: f64| rest(z) - 0.5 * z * z;
        let value = log(end);
        Self { end, value, slope: ((value - log(end + inward)) / inward.abs()).min(-LEAST_TAIL) }
    }

    fn at(&self, z: f64) -> f64 {
        self.value + self.slope * (z - self.end).abs()
    }
}

/// Step by which the slope at an end is found.
const INWARD: f64 = 1e-3;

/// An evaluation on an axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knot {
    pub(crate) z: f64,
    /// Laplace's log-density and its derivative in `z`.
    pub(crate) value: f64,
    pub(crate) slope: f64,
    /// The second-order term.
    pub(crate) correction: f64,
}

impl Axis {
    /// Through knots of increasing `z`, `with` their corrections or without, and half-way between them through the cubics of
    /// their values and slopes; relative to the greatest knot.
    pub(crate) fn through(knots: &[Knot], with: bool) -> Self {
        let total = |knot: &Knot| knot.value + if with { knot.correction } else { 0.0 };
        let mut points: Vec<(f64, f64)> = knots.iter().map(|knot| (knot.z, total(knot))).collect();
        let middle = |pair: &[Knot]| {
            let (a, b) = (&pair[0], &pair[1]);
            let bulge = 0.125 * (b.z - a.z) * (a.slope - b.slope);
            (0.5 * (a.z + b.z), 0.5 * (total(a) + total(b)) + bulge)
        };
        points.extend(knots.windows(2).map(middle));
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let greatest = knots.iter().map(total).fold(f64::NEG_INFINITY, f64::max);
        Self::new(points.iter().map(|point| point.0).collect(), points.iter().map(|point| point.1 - greatest).collect())
    }

    /// From increasing `z` and the log-densities there.
    pub(crate) fn new(z: Vec<f64>, log: Vec<f64>) -> Self {
        let (low, high) = (z[0], z[z.len() - 1]);
        let greatest = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let rest = log.iter().zip(&z).map(|(l, z)| l + 0.5 * z * z).collect();
        let rest = CubicSpline::new(z, rest);
        let (low, high) = (Tail::new(|z| rest.at(z), low, INWARD), Tail::new(|z| rest.at(z), high, -INWARD));
        Self { rest, low, high, greatest }
    }

    pub(crate) fn at(&self, z: f64) -> f64 {
        match z {
            _ if z < self.low.end => self.low.at(z),
            _ if z > self.high.end => self.high.at(z),
            _ => self.rest.at(z) - 0.5 * z * z,
        }
    }

    /// Where the density has fallen by [`TABLE_DROP`].
    pub(crate) fn extent(&self) -> (f64, f64) {
        let (mut low, mut high) = (self.low.end, self.high.end);
        while self.at(low) > self.greatest - TABLE_DROP {
            low -= 0.5;
        }
        while self.at(high) > self.greatest - TABLE_DROP {
            high += 0.5;
        }
        (low, high)
    }
}

/// Two hyperparameters: a tensor spline through the lattice, integrated along lines of constant `θ_j`.
pub(crate) fn of_plane(map: &Reparametrisation, lattice: &Lattice, j: usize) -> Marginal {
    let surface = Surface::new(lattice);
    let loading = map.loading(j);
    let length = loading.iter().map(|a| a * a).sum::<f64>().sqrt();
    let along = [loading[0] / length, loading[1] / length];
    // along the gradient of θ_j by t standard deviations, across it by u
    let extent = |direction: [f64; 2]| {
        let reach = |sign: f64| {
            let corners = surface.corners();
            corners.iter().map(|c| sign * (c[0] * direction[0] + c[1] * direction[1])).fold(0.0, f64::max) + 4.0
        };
        (-reach(-1.0), reach(1.0))
    };
    let across = [-along[1], along[0]];
    let ((t_low, t_high), (u_low, u_high)) = (extent(along), extent(across));
    // the surface is smooth on the scale of the lattice, whose spacing the trapezoid rule halves
    let du = 0.5 * lattice.step;
    let steps = ((u_high - u_low) / du) as usize;
    let grid: Vec<f64> = (0..=LINES).map(|k| t_low + (t_high - t_low) * f64::from(k) / f64::from(LINES)).collect();
    let log: Vec<f64> = grid
        .iter()
        .map(|&t| {
            let values = (0..=steps)
                .map(|k| u_low + du * k as f64)
                .map(|u| surface.at(t * along[0] + u * across[0], t * along[1] + u * across[1]));
            values.map(f64::exp).sum::<f64>().max(f64::MIN_POSITIVE).ln()
        })
        .collect();
    let spline = CubicSpline::new(grid.clone(), log);
    let fine: Vec<f64> = (0..TABLE).map(|k| t_low + (t_high - t_low) * k as f64 / (TABLE - 1) as f64).collect();
    let log = fine.iter().map(|&t| spline.at(t)).collect();
    tabulate(fine.iter().map(|t| map.mode[j] + length * t).collect(), log)
}

/// Least fall of the log-density from one lattice point that was not evaluated to the next one out.
const LEAST_FALL: f64 = 0.5;

/// Lowest value of such a point: far below what the drop leaves out.
const DEEPEST_CORNER: f64 = -24.0;

/// The rectangle with its missing corners: they lie beyond the drop, and continue the falls of their inner neighbours.
fn filled(
    mut known: std::collections::BTreeMap<(i32, i32), f64>,
    (a0, a1): (i32, i32),
    (b0, b1): (i32, i32),
) -> std::collections::BTreeMap<(i32, i32), f64> {
    let mut cells: Vec<(i32, i32)> = (a0..=a1).flat_map(|a| (b0..=b1).map(move |b| (a, b))).collect();
    cells.sort_by_key(|(a, b)| (a.abs() + b.abs(), *a, *b));
    for (a, b) in cells {
        if known.contains_key(&(a, b)) {
            continue;
        }
        let inward = [(a.signum(), 0), (0, b.signum())];
        let candidates = inward.iter().filter(|step| **step != (0, 0)).filter_map(|&(da, db)| {
            let nearest = *known.get(&(a - da, b - db))?;
            let next = known.get(&(a - 2 * da, b - 2 * db)).copied().unwrap_or(nearest);
            Some(nearest + (nearest - next).min(-LEAST_FALL))
        });
        let (sum, count) = candidates.fold((0.0, 0.0), |(sum, count), c| (sum + c, count + 1.0));
        // a deeper corner would make the spline ring where the density still counts
        known.insert((a, b), if count > 0.0 { (sum / count).max(DEEPEST_CORNER) } else { DEEPEST_CORNER });
    }
    known
}

/// How far a log-density may rise above the corners of a cell, in squared spacings: a quarter in the middle of a Gaussian's.
const MOST_BULGE: f64 = 0.5;
/// Least fall of a log-density beyond the lattice, for each standard deviation.
const LEAST_TAIL: f64 = 0.25;

/// Rows that a spline across them runs through.
const WINDOW: usize = 6;

/// A log-density on a rectangle of the lattice, relative to its greatest value.
struct Surface {
    rows: Vec<Axis>,
    first: Vec<f64>,
    ends: [(f64, f64); 2],
    /// The values row by row, and how many there are in a row.
    values: Vec<f64>,
    width: usize,
    step: f64,
}

impl Surface {
    fn new(lattice: &Lattice) -> Self {
        let range = |k: usize| {
            let indices = lattice.points.iter().map(|(index, _)| index[k]);
            (indices.clone().min().unwrap_or(0), indices.max().unwrap_or(0))
        };
        let ((a0, a1), (b0, b1)) = (range(0), range(1));
        let known: std::collections::BTreeMap<(i32, i32), f64> =
            lattice.points.iter().map(|(index, value)| ((index[0], index[1]), *value)).collect();
        let known = filled(known, (a0, a1), (b0, b1));
        let value = |a: i32, b: i32| known.get(&(a, b)).copied().unwrap_or(DEEPEST_CORNER);
        let second: Vec<f64> = (b0..=b1).map(|b| lattice.step * f64::from(b)).collect();
        let values: Vec<f64> =
            (a0..=a1).flat_map(|a| (b0..=b1).map(move |b| (a, b))).map(|(a, b)| value(a, b)).collect();
        let rows = values.chunks(second.len()).map(|row| Axis::new(second.clone(), row.to_vec())).collect();
        let first: Vec<f64> = (a0..=a1).map(|a| lattice.step * f64::from(a)).collect();
        let ends = [(first[0], first[first.len() - 1]), (second[0], second[second.len() - 1])];
        Self { rows, first, ends, width: second.len(), step: lattice.step, values }
    }

    fn corners(&self) -> [[f64; 2]; 4] {
        let [(a, b), (c, d)] = self.ends;
        [[a, c], [a, d], [b, c], [b, d]]
    }

    /// No more than its neighbours allow: where the lattice is bent, splines through what lies beyond its drop may rise.
    fn at(&self, z0: f64, z1: f64) -> f64 {
        self.spline_at(z0, z1).min(self.bound(z0, z1))
    }

    /// The greatest corner of the cell and what a density may rise between them; beyond the rectangle of its nearest side, less a fall.
    fn bound(&self, z0: f64, z1: f64) -> f64 {
        let place = |z: f64, (low, high): (f64, f64), count: usize| {
            let beyond = (low - z).max(z - high).max(0.0);
            let lower = ((z - low) / self.step).floor().clamp(0.0, (count - 1) as f64) as usize;
            (lower, (lower + 1).min(count - 1), beyond)
        };
        let (a, b, beyond) = place(z0, self.ends[0], self.rows.len());
        let (c, d, further) = place(z1, self.ends[1], self.width);
        let corner = |row: usize, column: usize| self.values[row * self.width + column];
        let greatest = corner(a, c).max(corner(a, d)).max(corner(b, c)).max(corner(b, d));
        greatest + MOST_BULGE * self.step * self.step - LEAST_TAIL * (beyond + further)
    }

    /// A spline across a few neighbouring rows: local, so that a value costs the same on any lattice.
    fn spline_at(&self, z0: f64, z1: f64) -> f64 {
        let n = self.rows.len();
        let i = match n {
            0..4 => 0,
            _ => self.first.partition_point(|&x| x <= z0).clamp(3, n - 1).min(n - 2).max(3) - 3,
        };
        let window = i..(i + WINDOW).min(n);
        let (x, mut rest) = (&self.first[window.clone()], [0.0; WINDOW]);
        for ((rest, row), x) in rest.iter_mut().zip(&self.rows[window]).zip(x) {
            *rest = row.at(z1) + 0.5 * x * x;
        }
        let spline = ShortSpline::<WINDOW>::new(x, &rest[..x.len()]);
        let (low, high) = (x[0], x[x.len() - 1]);
        match z0 {
            _ if z0 < low => Tail::new(|z| spline.at(z), low, INWARD).at(z0),
            _ if z0 > high => Tail::new(|z| spline.at(z), high, -INWARD).at(z0),
            _ => spline.at(z0) - 0.5 * z0 * z0,
        }
    }
}

/// Three or more hyperparameters: the axes' densities taken as independent, the marginal of `θ_j = θ*_j + Σ_k a_k z_k` by
/// numerical convolution.
pub(crate) fn of_axes(map: &Reparametrisation, axes: &[Axis], j: usize) -> Marginal {
    const CELLS: usize = 400;
    let loading = map.loading(j);
    let parts: Vec<(f64, &Axis)> = loading.iter().copied().zip(axes).filter(|(a, _)| a.abs() > 1e-12).collect();
    let extents: Vec<(f64, f64)> = parts
        .iter()
        .map(|(a, axis)| {
            let (low, high) = axis.extent();
            ((a * low).min(a * high), (a * low).max(a * high))
        })
        .collect();
    // the width of the sum is far below the sum of the widths; tails beyond twelve standard deviations are dropped
    let width: f64 = extents.iter().map(|(low, high)| (high - low) * (high - low)).sum::<f64>().sqrt();
    let cell = width / CELLS as f64;
    let mut density = vec![1.0];
    let mut start = 0.0;
    for ((a, axis), (low, high)) in parts.iter().zip(&extents) {
        let cells = ((high - low) / cell).ceil().max(2.0) as usize;
        let kernel: Vec<f64> =
            (0..=cells).map(|k| (axis.at((low + cell * k as f64) / a) - axis.greatest).exp()).collect();
        let mut next = vec![0.0; density.len() + cells];
        for (i, d) in density.iter().enumerate().filter(|(_, d)| **d > 0.0) {
            for (k, value) in kernel.iter().enumerate() {
                next[i + k] += d * value;
            }
        }
        let total: f64 = next.iter().sum();
        next.iter_mut().for_each(|d| *d /= total);
        (density, start) = (next, start + low);
    }
    let x = (0..density.len()).map(|k| map.mode[j] + start + cell * k as f64).collect();
    let log = density.iter().map(|d| d.max(f64::MIN_POSITIVE).ln()).collect();
    tabulate(x, log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(p: usize) -> Reparametrisation {
        let unit = |i: usize, j: usize| f64::from(u8::from(i == j));
        let matrix: Vec<Vec<f64>> = (0..p).map(|i| (0..p).map(|j| unit(i, j)).collect()).collect();
        Reparametrisation {
            mode: vec![0.0; p],
            hessian: matrix.clone(),
            vectors: matrix,
            scales: vec![1.0; p],
            replaced: Vec::new(),
        }
    }

    #[test]
    fn a_log_gamma_density_on_the_default_line_has_its_exact_quantiles() {
        // θ = log τ, τ ~ Gamma(2, 1), standardised at its mode log 2 with sd 1/√2: strongly skewed
        let mut map = identity(1);
        (map.mode[0], map.scales[0]) = (2.0_f64.ln(), 0.5_f64.sqrt());
        let log = |theta: f64| 2.0 * theta - theta.exp();
        let greatest = log(map.mode[0]);
        // the default grid: until the log-density has dropped by 8
        let points = (-15..=7).map(|k| (vec![k], log(map.theta(&[0.5 * f64::from(k)])[0]) - greatest)).collect();
        let marginal = of_line(&map, &Lattice { step: 0.5, greatest: 0.0, points });
        // E θ = ψ(2), Var θ = ψ′(2)
        assert!((marginal.mean() - 0.422_784_335).abs() < 2e-4, "{}", marginal.mean());
        assert!((marginal.sd() - 0.644_934_066_8_f64.sqrt()).abs() < 5e-4, "{}", marginal.sd());
        // median of Gamma(2): 1.678347
        assert!((marginal.quantile(0.5) - 1.678_347_f64.ln()).abs() < 5e-4);
    }

    fn plane(map: &Reparametrisation, log: impl Fn(&[f64]) -> f64) -> Lattice {
        let mut points = Vec::new();
        for a in -9..=9 {
            for b in -9..=9 {
                let value = log(&map.theta(&[f64::from(a), f64::from(b)]));
                if value > -12.0 {
                    points.push((vec![a, b], value));
                }
            }
        }
        Lattice { step: 1.0, greatest: 0.0, points }
    }

    #[test]
    fn a_rotated_gaussian_plane_has_gaussian_marginals() {
        let mut map = identity(2);
        let (c, s) = (0.6, 0.8);
        (map.vectors, map.scales, map.mode) = (vec![vec![c, -s], vec![s, c]], vec![0.5, 2.0], vec![1.0, -1.0]);
        let inverse = |t: &[f64]| {
            let d = [t[0] - 1.0, t[1] + 1.0];
            [(c * d[0] + s * d[1]) / 0.5, (-s * d[0] + c * d[1]) / 2.0]
        };
        let lattice = plane(&map, |t| {
            let z = inverse(t);
            -0.5 * (z[0] * z[0] + z[1] * z[1])
        });
        let variance = [c * c * 0.25 + s * s * 4.0, s * s * 0.25 + c * c * 4.0];
        for j in 0..2 {
            let marginal = of_plane(&map, &lattice, j);
            assert!((marginal.mean() - map.mode[j]).abs() < 2e-3 * variance[j].sqrt());
            assert!((marginal.sd() / variance[j].sqrt() - 1.0).abs() < 2e-3, "{}", marginal.sd());
        }
    }

    #[test]
    fn a_bent_plane_has_the_marginals_of_brute_force() {
        let map = identity(2);
        let log = |t: &[f64]| -0.5 * t[0] * t[0] - 0.5 * (t[1] - 0.15 * t[0] * t[0]).powi(2) - 0.02 * t[1].powi(4);
        let lattice = plane(&map, log);
        let step = 0.02;
        for j in 0..2 {
            let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
            for a in -450..=450 {
                for b in -450..=450 {
                    let t = [step * f64::from(a), step * f64::from(b)];
                    let w = log(&t).exp();
                    total += w;
                    first += w * t[j];
                    second += w * t[j] * t[j];
                }
            }
            let (mean, sd) = (first / total, (second / total - (first / total).powi(2)).sqrt());
            let marginal = of_plane(&map, &lattice, j);
            // interpolation of a quartic on a lattice of one standard deviation
            assert!((marginal.mean() - mean).abs() < 0.01 * sd, "{j}: {} {mean}", marginal.mean());
            assert!((marginal.sd() / sd - 1.0).abs() < 0.01, "{j}: {} {sd}", marginal.sd());
        }
    }

    #[test]
    fn an_axis_through_values_and_slopes_has_the_moments_of_its_density() {
        // log-gamma of shape 16, skewness −1/4
        let log = |z: f64| 16.0 * (0.25 * z - (0.25 * z).exp());
        let slope = |z: f64| 4.0 * (1.0 - (0.25 * z).exp());
        let knot = |z: f64| Knot { z, value: log(z), slope: slope(z), correction: 0.1 };
        let axis = Axis::through(&[-4.0, -2.0, 0.0, 2.0, 4.0].map(knot), true);
        let marginal = of_axes(&identity(1), &[axis], 0);
        // 4 (ψ(16) − log 16) and 4 √ψ′(16)
        assert!((marginal.mean() + 0.126_302).abs() < 3e-3, "{}", marginal.mean());
        assert!((marginal.sd() - 1.015_825).abs() < 3e-3, "{}", marginal.sd());
    }

    #[test]
    fn independent_axes_convolve_to_the_exact_moments() {
        let mut map = identity(3);
        map.vectors[0] = vec![0.5, -0.5, 0.7];
        let z: Vec<f64> = (-16..=16).map(|k| 0.5 * f64::from(k)).collect();
        let split = |z: f64| if z > 0.0 { -0.5 * (z / 1.3_f64).powi(2) } else { -0.5 * (z / 0.7_f64).powi(2) };
        let skew = Axis::new(z.clone(), z.iter().map(|&z| split(z)).collect());
        let normal = Axis::new(z.clone(), z.iter().map(|z| -0.5 * z * z).collect());
        let marginal = of_axes(&map, &[skew, normal.clone(), normal], 0);
        let split_mean = 0.6 * (2.0 / std::f64::consts::PI).sqrt();
        // E z² of the split normal: (1.3³ + 0.7³)/(1.3 + 0.7)
        let split_variance = (1.3_f64.powi(3) + 0.7_f64.powi(3)) / 2.0 - split_mean * split_mean;
        assert!((marginal.mean() - 0.5 * split_mean).abs() < 5e-3, "{}", marginal.mean());
        let variance = 0.25 * split_variance + 0.25 + 0.49;
        // the kink of the split normal is smoothed by the spline
        assert!((marginal.sd() - variance.sqrt()).abs() < 5e-3, "{}", marginal.sd());
    }
}
