//! `log|R + dI|` as a function of `log d`, by Chebyshev interpolation between factorisations.
//!
//! With `u = log d` the function is `Σ log(λ_i + e^u)`: its singularities lie at `Im u = ±π`, so that on a panel of half-width 2
//! the interpolant's coefficients fall like `(π/2 + √(1 + π²/4))⁻ᵏ = 3.43⁻ᵏ`, whatever the graph. The nodes are
//! the extrema of the Chebyshev polynomials: a finer grid holds those of a coarser one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::cholesky::{CholeskyFactor, Parallelism, SymbolicFactor};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::pattern::SparsityPattern;

/// Width of a panel in `log d`.
const WIDTH: f64 = 4.0;
/// Intervals of the finest grid: the first coefficient left out is `2/33 · 3.43⁻³³ = 1e-19` for each eigenvalue.
const INTERVALS: usize = 32;
/// Intervals of the coarsest grid; each finer one holds the nodes of the one before.
const COARSEST: usize = 8;
/// A grid is enough where its two last coefficients are below this for each eigenvalue: the next ones are smaller by their decay.
const NEGLIGIBLE: f64 = 1e-10;
/// Factors of fewer operations than this are not worth another thread.
const SMALL: f64 = 1e5;
/// Factors of more bytes than this are computed one after the other on all threads, not one a thread.
const LARGE: usize = 1 << 28;

/// The coefficients of one panel, `None` where `R + dI` cannot be factored.
type Panel = Option<Arc<[f64]>>;

/// The determinants of one `R` shifted, tabulated where they are asked for.
#[derive(Debug, Clone)]
pub(super) struct ShiftedDeterminant {
    values: Vec<f64>,
    symbolic: Arc<SymbolicFactor>,
    /// Panel `k` covers `[kW, (k+1)W)`. What it holds depends on `k` alone, never on who asked first.
    panels: Arc<Mutex<BTreeMap<i64, Panel>>>,
}

impl ShiftedDeterminant {
    /// Of `R`, given by `values` on `pattern`. Cost: one analysis.
    pub(super) fn new(pattern: &Arc<SparsityPattern>, values: Vec<f64>) -> Result<Self, GmrfError> {
        let symbolic = SymbolicFactor::analyze(pattern, &LinearConstraints::none(pattern.order()))?;
        Ok(Self { values, symbolic, panels: Arc::default() })
    }

    pub(super) fn symbolic(&self) -> &Arc<SymbolicFactor> {
        &self.symbolic
    }

    /// `log|R + e^u I|` and its derivative in `u`; `None` where the panel around `u` reaches singular matrices. Cost: 9, 17 or 33
    /// factorisations when a panel is first met, on the threads of the caller's pool; none afterwards.
    pub(super) fn at(&self, u: f64) -> Result<Option<(f64, f64)>, GmrfError> {
        let index = (u / WIDTH).floor();
        let known = self.lock().get(&(index as i64)).cloned();
        let panel = match known {
            Some(panel) => panel,
            None => {
                // not under the lock: a thread that waits here may be asked to help with another's panel
                let panel = self.panel(index)?;
                self.lock().insert(index as i64, panel.clone());
                panel
            }
        };
        Ok(panel.map(|coefficients| clenshaw(&coefficients, u, index)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, Panel>> {
        self.panels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn panel(&self, index: f64) -> Result<Panel, GmrfError> {
        let negligible = NEGLIGIBLE * self.symbolic.pattern().order() as f64;
        let mut found = [f64::NAN; INTERVALS + 1];
        let mut intervals = COARSEST;
        loop {
            let stride = INTERVALS / intervals;
            let wanted: Vec<usize> = (0..=INTERVALS).step_by(stride).filter(|&k| found[k].is_nan()).collect();
            let Some(values) = self.determinants(index, &wanted)? else { return Ok(None) };
            wanted.iter().zip(values).for_each(|(&k, value)| found[k] = value);
            let coefficients = coefficients(&found.iter().step_by(stride).copied().collect::<Vec<f64>>());
            if intervals == INTERVALS || coefficients[intervals - 1..].iter().all(|c| c.abs() < negligible) {
                return Ok(Some(coefficients.into()));
            }
            intervals *= 2;
        }
    }

    /// The determinants at some Chebyshev nodes of a panel; `None` if one cannot be factored.
    fn determinants(&self, index: f64, nodes: &[usize]) -> Result<Option<Vec<f64>>, GmrfError> {
        let large = self.symbolic.memory().0 > LARGE;
        let state = || {
            let mut factor = CholeskyFactor::new(self.symbolic.clone());
            factor.set_parallelism(if large { Parallelism::Tree } else { Parallelism::Sequential });
            (factor, self.values.clone())
        };
        let determinant = |(factor, shifted): &mut (CholeskyFactor, Vec<f64>), k: usize| {
            let u = WIDTH * (index + 0.5 * (1.0 + angle(k, INTERVALS).cos()));
            let pattern = self.symbolic.pattern();
            shifted.copy_from_slice(&self.values);
            (0..pattern.order()).for_each(|j| shifted[pattern.column_start(j)] += u.exp());
            factor.refactor(shifted).map(|()| factor.log_determinant())
        };
        let some = |nodes: &[usize]| {
            let mut state = state();
            nodes.iter().map(|&k| determinant(&mut state, k)).collect::<Result<Vec<f64>, GmrfError>>()
        };
        let found = if large || self.symbolic.operations() < SMALL {
            some(nodes)
        } else {
            // one factor for each thread
            let share = nodes.len().div_ceil(rayon::current_num_threads());
            let parts: Result<Vec<Vec<f64>>, GmrfError> = nodes.par_chunks(share).map(some).collect();
            parts.map(|parts| parts.concat())
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(GmrfError::NotPositiveDefinite { .. } | GmrfError::NotFinite { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The Chebyshev coefficients of values at [`angle`]s, both ends included.
fn coefficients(found: &[f64]) -> Vec<f64> {
    let last = found.len() - 1;
    // the first and the last node and order count half
    let share = |k: usize| if k == 0 || k == last { 0.5 } else { 1.0 };
    let coefficient = |order: usize| {
        let terms = found.iter().enumerate();
        let terms = terms.map(|(k, value)| share(k) * value * angle(k * order % (2 * last), last).cos());
        terms.sum::<f64>() * share(order) * 2.0 / last as f64
    };
    (0..=last).map(coefficient).collect()
}

/// The angle of Chebyshev node `k` among the ends of so many intervals.
fn angle(k: usize, intervals: usize) -> f64 {
    std::f64::consts::PI * k as f64 / intervals as f64
}

/// Value and derivative in `u` of the Chebyshev series of panel `index`.
fn clenshaw(coefficients: &[f64], u: f64, index: f64) -> (f64, f64) {
    let x = 2.0 * (u / WIDTH - index) - 1.0;
    let (mut b1, mut b2, mut d1, mut d2) = (0.0, 0.0, 0.0, 0.0);
    for &c in coefficients[1..].iter().rev() {
        (d1, d2) = (2.0 * b1 + 2.0 * x * d1 - d2, d1);
        (b1, b2) = (c + 2.0 * x * b1 - b2, b1);
    }
    (coefficients[0] + x * b1 - b2, (b1 + x * d1 - d2) * 2.0 / WIDTH)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // what fails in a helper fails the test
    use super::*;

    #[test]
    fn a_path_has_the_determinants_of_its_eigenvalues() {
        let n = 60;
        let pattern = Arc::new(SparsityPattern::from_entries(n, (1..n).map(|i| (i, i - 1))).unwrap());
        let end = |i: usize| i == 0 || i == n - 1;
        let value = |(i, j)| if i != j { -1.0 } else { 2.0 - f64::from(u8::from(end(i))) };
        let values = pattern.entries().map(value).collect();
        let table = ShiftedDeterminant::new(&pattern, values).unwrap();
        for u in [-9.3_f64, -4.0, -0.2, 0.0, 1.7, 5.9] {
            let eigenvalue = |k: usize| 4.0 * (0.5 * std::f64::consts::PI * k as f64 / n as f64).sin().powi(2);
            let expected: f64 = (0..n).map(|k| (eigenvalue(k) + u.exp()).ln()).sum();
            let slope: f64 = (0..n).map(|k| u.exp() / (eigenvalue(k) + u.exp())).sum();
            let (value, derivative) = table.at(u).unwrap().unwrap();
            // 60 eigenvalues times 1e-10, and times the order in the derivative
            assert!((value - expected).abs() < 6e-9, "{u}: {value} {expected}");
            assert!((derivative - slope).abs() < 1e-7, "{u}: {derivative} {slope}");
        }
        // beyond the reach of a factor
        assert!(table.at(-45.0).unwrap().is_none());
    }
}
