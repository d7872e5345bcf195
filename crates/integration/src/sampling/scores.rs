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
        Self { axes: axes.iter().map(|(_, plain)| plain.clone()).collect(), tables: of.map(table).collect() }
    }

    /// Scores of axes without the second-order terms.
    pub(crate) fn plain(axes: &[(Axis, Axis)]) -> Self {
        Self::new(axes.iter().map(|(_, plain)| plain), axes)
    }

    /// The point with scores `u`.
    pub(crate) fn point(&self, u: &[f64]) -> Vec<f64> {
        let quantile = |(u, table): (&f64, &Table)| table.quantile(0.5 * libm::erfc(-u * 0.5f64.sqrt()));
        u.iter().zip(&self.tables).map(quantile).collect()
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
        const STEP: f64 = 1e-4;
        let u = self.scores(z)?;
        let at = |k: usize| -> f64 {
            let (axis, z) = (&self.axes[k], z[k]);
            let stretch = (-0.5 * u[k] * u[k] - LN_ROOT_TWO_PI).exp() / self.tables[k].pdf(z);
            let fall = (axis.at(z + STEP) - axis.at(z - STEP)) / (2.0 * STEP);
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
