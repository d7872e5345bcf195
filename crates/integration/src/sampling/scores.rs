//! Coordinates in which the density along every axis is the standard normal one.

use crate::hyper_marginal::Axis;
use crate::marginal::Table;
use crate::skewed::{LN_ROOT_TWO_PI, normal_quantile};

/// Points of an axis' table.
const TABLE: usize = 401;

/// The densities along the axes.
pub(crate) struct NormalScores {
    /// Those whose slopes are taken off a log-density's.
    axes: Vec<Axis>,
    /// Those that scores stand for.
    tables: Vec<Table>,
    /// Where their scores are.
    points: Vec<Points>,
}

/// Scores between which points are cubic, and how far they are tabulated.
const STEP: f64 = 0.0625;
const FURTHEST: f64 = 7.0;

/// The points that equally spaced scores stand for, with the slopes there.
struct Points(Vec<(f64, f64)>);

impl Points {
    fn new(table: &Table) -> Self {
        let count = (2.0 * FURTHEST / STEP) as usize;
        let node = |k: usize| {
            let u = STEP * k as f64 - FURTHEST;
            let z = exact_point(table, u);
            (z, STEP * (-0.5 * u * u - LN_ROOT_TWO_PI).exp() / table.pdf(z))
        };
        Self((0..=count).map(node).collect())
    }

    /// The cubic of values and slopes; `None` beyond the table or where an axis gives no density.
    fn at(&self, u: f64) -> Option<f64> {
        let place = (u + FURTHEST) / STEP;
        if !(0.0..(self.0.len() - 1) as f64).contains(&place) {
            return None;
        }
        let k = place as usize;
        let (t, (a, m), (b, n)) = (place - k as f64, self.0[k], self.0[k + 1]);
        let z = a + t * (m + t * ((3.0 * (b - a) - 2.0 * m - n) + t * (2.0 * (a - b) + m + n)));
        z.is_finite().then_some(z)
    }
}

fn exact_point(table: &Table, u: f64) -> f64 {
    table.quantile(0.5 * libm::erfc(-u * 0.5f64.sqrt()))
}

/// A log-density relative to the standard normal one at a point, in normal scores and but for a constant.
pub(crate) struct Scored {
    pub(crate) u: Vec<f64>,
    pub(crate) value: f64,
    pub(crate) slope: Vec<f64>,
}

impl NormalScores {
    /// Scores of the densities `of`, for what lies beyond the `axes` without the second-order terms.
    pub(crate) fn new<'a>(of: impl Iterator<Item = &'a Axis>, axes: &[(Axis, Axis)]) -> Self {
        let tables: Vec<Table> = of.map(table).collect();
        let points = tables.iter().map(Points::new).collect();
        Self { axes: axes.iter().map(|(_, plain)| plain.clone()).collect(), tables, points }
    }

    /// Scores of axes without the second-order terms.
    pub(crate) fn plain(axes: &[(Axis, Axis)]) -> Self {
        Self::new(axes.iter().map(|(_, plain)| plain), axes)
    }

    /// The point with scores `u`.
    pub(crate) fn point(&self, u: &[f64]) -> Vec<f64> {
        let tabulated =
            |(k, u): (usize, &f64)| self.points[k].at(*u).unwrap_or_else(|| exact_point(&self.tables[k], *u));
        u.iter().enumerate().map(tabulated).collect()
    }

    /// The scores of a point; `None` where an axis gives it no density.
    pub(crate) fn scores(&self, z: &[f64]) -> Option<Vec<f64>> {
        let score = |(z, table): (&f64, &Table)| Some(normal_quantile(table.cdf(*z))).filter(|u| u.is_finite());
        z.iter().zip(&self.tables).map(score).collect()
    }

    /// The log-density of the axes stretched by a factor.
    pub(crate) fn ln_pdf(&self, z: &[f64], stretch: f64) -> f64 {
        z.iter().zip(&self.tables).map(|(z, table)| (table.pdf(z / stretch) / stretch).ln()).sum()
    }

    /// Value and slope of a log-density at `z` in its scores; `None` where an axis gives it no density.
    pub(crate) fn scored(&self, z: &[f64], value: f64, slope: &[f64]) -> Option<Scored> {
        const AWAY: f64 = 1e-4;
        let u = self.scores(z)?;
        let at = |k: usize| -> f64 {
            let (axis, z) = (&self.axes[k], z[k]);
            let stretch = (-0.5 * u[k] * u[k] - LN_ROOT_TWO_PI).exp() / self.tables[k].pdf(z);
            let fall = (axis.at(z + AWAY) - axis.at(z - AWAY)) / (2.0 * AWAY);
            (slope[k] - fall) * stretch
        };
        let slope: Vec<f64> = (0..z.len()).map(at).collect();
        let value = value - self.ln_pdf(z, 1.0);
        (value.is_finite() && slope.iter().all(|v| v.is_finite())).then_some(Scored { u, value, slope })
    }
}

fn table(axis: &Axis) -> Table {
    let (low, high) = axis.extent();
    let grid: Vec<f64> = (0..TABLE).map(|k| low + (high - low) * k as f64 / (TABLE - 1) as f64).collect();
    let log: Vec<f64> = grid.iter().map(|&z| axis.at(z)).collect();
    Table::new(grid, &log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_scores_are_each_others_inverse() {
        let z: Vec<f64> = (-16..=16).map(|k| 0.5 * f64::from(k)).collect();
        // log-gamma of shape 4, skewed, and a tail like an exponential
        let log_gamma = |z: f64| 4.0 * (0.5 * z - (0.5 * z).exp());
        let heavy = |z: f64| if z > 0.0 { -0.5 * z } else { -z * z };
        let axis = |log: &dyn Fn(f64) -> f64| Axis::new(z.clone(), z.iter().map(|&z| log(z)).collect());
        let axes = [axis(&log_gamma), axis(&heavy)].map(|axis| (axis.clone(), axis));
        let scores = NormalScores::plain(&axes);
        for k in -80..=80 {
            let u = 0.1 * f64::from(k);
            let Some(found) = scores.scores(&scores.point(&[u, u])) else { continue };
            // the density of a table is linear between its points, which bends the map by some millionths
            assert!(found.iter().all(|own| (own - u).abs() < 1e-4 || u.abs() > 4.5), "{u}: {found:?}");
        }
        let (inside, outside) = (scores.point(&[0.3, -1.2]), scores.point(&[9.0, -9.0]));
        assert!(inside.iter().chain(&outside).all(|z| z.is_finite()));
        assert!(outside[0] > inside[0] && outside[1] < inside[1]);
    }
}
