//! `log|R + dI|` as a function of `log d`, by interpolation between factorisations, `R` the Laplacian of a graph.
//!
//! With `u = log d` the function is `Σ log(λ_i + e^u)`: its singularities lie at `Im u = ±π`, so that on a panel of half-width 2
//! the terms of an interpolant fall like `(π/2 + √(1 + π²/4))⁻ᵏ = 3.43⁻ᵏ`, whatever the graph. The nodes are Leja's among the extrema of a
//! Chebyshev polynomial, each the one farthest from those before: there may be as many as it takes, and Newton's form is stable.
//!
//! Below twice the least eigenvalue that is not zero, `λ`, one panel reaches down to `d = 0`: without the zero eigenvalues' `log d` the
//! function is analytic in `d > −λ`, and the terms of an interpolant in `d` fall like `(2 + √3)⁻ᵏ`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::connectivity::connectivity;
use crate::cholesky::{CholeskyFactor, Parallelism, SymbolicFactor};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::pattern::SparsityPattern;

/// Width of a panel in `log d`; its coordinate runs from −2 to 2, where products of distances to the nodes stay near one.
const WIDTH: f64 = 4.0;
/// Intervals between the extrema, the most nodes of a panel less one: the first term left out is about `3.43⁻³³ = 2e-18` for each eigenvalue.
const INTERVALS: usize = 32;
/// Nodes that every panel has, and how many more it takes at a time.
const FEWEST: usize = 8;
const MORE: usize = 2;
/// There are enough nodes where the two last terms are below this for each eigenvalue: the next ones are smaller by their decay.
const NEGLIGIBLE: f64 = 1e-10;
/// Where a panel in `log d` ends and the one in `d` may begin.
const LOW: f64 = -WIDTH;
/// Shift of the factor that the least eigenvalue is estimated with: below that of any graph whose field is worth fitting, above rounding.
const SHIFT: f64 = 1e-6;
/// The least `d` that is factored for the panel in `d`, as a share of its greatest: below it the polynomial is continued.
const LEAST: f64 = 1e-3;
/// Factors of fewer operations than this are not worth another thread.
const SMALL: f64 = 1e5;
/// Factors of more bytes than this are computed one after the other on all threads, not one a thread.
const LARGE: usize = 1 << 28;

/// The interpolant of one panel, `None` where `R + dI` cannot be factored.
type Panel = Option<Arc<Newton>>;

/// What is known so far. It depends on where it is, never on who asked first.
#[derive(Debug, Default)]
struct Known {
    /// Panel `k` covers `[kW, (k+1)W)`, the least of all what lies below the bottom.
    panels: BTreeMap<i64, Panel>,
    /// `log` of the greatest `d` of the panel in `d`, once it was asked for.
    bottom: Option<f64>,
    /// The determinants by the bits of `u`: `None` where one is being computed, NaN where there is none.
    determinants: BTreeMap<u64, Option<f64>>,
}

/// Where an interpolant holds.
#[derive(Debug, Clone, Copy)]
enum Region {
    /// In `log d`, by its number.
    Panel(f64),
    /// In `d`, from zero to the exponential of this.
    Bottom(f64),
}

impl Region {
    fn key(self) -> i64 {
        match self {
            Self::Panel(index) => index as i64,
            Self::Bottom(_) => i64::MIN,
        }
    }

    /// `log d` at a coordinate between −2 and 2.
    fn place(self, x: f64) -> f64 {
        let share = 0.25 * (2.0 + x);
        match self {
            Self::Panel(index) => WIDTH * (index + share),
            Self::Bottom(top) => top + (LEAST + (1.0 - LEAST) * share).ln(),
        }
    }

    /// The coordinate of `u = log d`, and its derivative in `u`.
    fn coordinate(self, u: f64) -> (f64, f64) {
        match self {
            Self::Panel(index) => (4.0 * (u / WIDTH - index) - 2.0, 4.0 / WIDTH),
            Self::Bottom(top) => {
                let slope = 4.0 / (1.0 - LEAST);
                let share = (u - top).exp();
                (slope * (share - LEAST) - 2.0, slope * share)
            }
        }
    }
}

/// A factor and the values that it is made of.
type Room = (CholeskyFactor, Vec<f64>);

/// The determinants of one `R` shifted, tabulated where they are asked for.
#[derive(Debug, Clone)]
pub(super) struct ShiftedDeterminant {
    values: Vec<f64>,
    /// Each has one eigenvalue zero.
    components: Arc<[Vec<usize>]>,
    symbolic: Arc<SymbolicFactor>,
    known: Arc<Mutex<Known>>,
}

impl ShiftedDeterminant {
    /// Of `R`, given by `values` on `pattern`, with the components of its graph. Cost: one analysis.
    pub(super) fn new(
        pattern: &Arc<SparsityPattern>,
        values: Vec<f64>,
        components: Vec<Vec<usize>>,
    ) -> Result<Self, GmrfError> {
        let symbolic = SymbolicFactor::analyze(pattern, &LinearConstraints::none(pattern.order()))?;
        Ok(Self { values, components: components.into(), symbolic, known: Arc::default() })
    }

    pub(super) fn symbolic(&self) -> &Arc<SymbolicFactor> {
        &self.symbolic
    }

    /// `log|R + e^u I|` and its derivative in `u`; `None` where the panel around `u` reaches singular matrices. Cost: 8 to 33
    /// factorisations when a panel is first met, 18 in its middle, on the threads of the caller's pool, and one with six solves for the
    /// place of the panel in `d`; none afterwards.
    pub(super) fn at(&self, u: f64) -> Result<Option<(f64, f64)>, GmrfError> {
        let region = self.region(u)?;
        let known = self.lock().panels.get(&region.key()).cloned();
        let panel = match known {
            Some(panel) => panel,
            None => {
                // not under the lock: a thread that waits here may be asked to help with another's panel
                let panel = self.panel(region)?;
                self.lock().panels.insert(region.key(), panel.clone());
                panel
            }
        };
        let (coordinate, slope) = region.coordinate(u);
        let zeros = self.zeros(region);
        Ok(panel.map(|newton| newton.at(coordinate)).map(|(f, df)| (f + zeros * u, df * slope + zeros)))
    }

    /// The panel that `u` lies in.
    fn region(&self, u: f64) -> Result<Region, GmrfError> {
        if u < LOW {
            let known = self.lock().bottom;
            let bottom = match known {
                Some(bottom) => bottom,
                None => {
                    let mut room = self.room();
                    // this one alone, not several side by side
                    room.0.set_parallelism(Parallelism::Tree);
                    let factored = self.factor(SHIFT, &mut room)?;
                    let gap = if factored { connectivity((&room.0, SHIFT), &self.components)? } else { None };
                    let bottom = gap.map_or(f64::NEG_INFINITY, |gap| (2.0 * gap).ln());
                    self.lock().bottom = Some(bottom);
                    bottom
                }
            };
            if u < bottom {
                return Ok(Region::Bottom(bottom));
            }
        }
        Ok(Region::Panel((u / WIDTH).floor()))
    }

    /// How many times `u` itself is taken out of what is interpolated.
    fn zeros(&self, region: Region) -> f64 {
        match region {
            Region::Panel(_) => 0.0,
            Region::Bottom(_) => self.components.len() as f64,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn panel(&self, region: Region) -> Result<Panel, GmrfError> {
        let negligible = NEGLIGIBLE * self.symbolic.pattern().order() as f64;
        let (nodes, zeros) = (leja(), self.zeros(region));
        let us: Vec<f64> = nodes.iter().map(|&x| region.place(x)).collect();
        let (mut count, rooms) = (FEWEST, Mutex::default());
        loop {
            count = count.min(nodes.len());
            let values = self.determinants(&us[..count], &rooms)?;
            if values.iter().any(|value| value.is_nan()) {
                return Ok(None);
            }
            let values = values.into_iter().zip(&us).map(|(value, u)| value - zeros * u).collect();
            let newton = Newton::through(&nodes[..count], values);
            if count == nodes.len() || newton.sizes(&nodes)[count - 2..].iter().all(|&size| size < negligible) {
                return Ok(Some(Arc::new(newton)));
            }
            count += MORE;
        }
    }

    /// The determinants at some `u`, NaN where there is none; factors are made in `rooms`, more of which are added as threads need them.
    fn determinants(&self, us: &[f64], rooms: &Mutex<Vec<Room>>) -> Result<Vec<f64>, GmrfError> {
        let alone = self.is_large() || self.symbolic.operations() < SMALL;
        let threads = if alone { 1 } else { rayon::current_num_threads().min(us.len()) };
        if threads > 1 {
            (0..threads).into_par_iter().with_max_len(1).try_for_each(|_| self.work(us, rooms))?;
        } else {
            self.work(us, rooms)?;
        }
        // what another caller is at work on: it may be below this one on the same thread, so that waiting might never end
        for &u in us {
            if self.lock().determinants.get(&u.to_bits()).copied().flatten().is_none() {
                self.compute(u, rooms)?;
            }
        }
        let known = self.lock();
        Ok(us.iter().filter_map(|u| known.determinants.get(&u.to_bits()).copied().flatten()).collect())
    }

    /// Computes what nobody has begun.
    fn work(&self, us: &[f64], rooms: &Mutex<Vec<Room>>) -> Result<(), GmrfError> {
        let next = || {
            let mut known = self.lock();
            let u = us.iter().copied().find(|u| !known.determinants.contains_key(&u.to_bits()))?;
            known.determinants.insert(u.to_bits(), None);
            Some(u)
        };
        while let Some(u) = next() {
            self.compute(u, rooms)?;
        }
        Ok(())
    }

    /// The determinant of `R + e^u I`, factored in a room that is free, or in a new one.
    fn compute(&self, u: f64, rooms: &Mutex<Vec<Room>>) -> Result<(), GmrfError> {
        let free = || rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = free().pop();
        let mut room = room.unwrap_or_else(|| self.room());
        let value = if self.factor(u.exp(), &mut room)? { room.0.log_determinant() } else { f64::NAN };
        self.lock().determinants.insert(u.to_bits(), Some(value));
        free().push(room);
        Ok(())
    }

    fn room(&self) -> Room {
        let mut factor = CholeskyFactor::new(self.symbolic.clone());
        factor.set_parallelism(if self.is_large() { Parallelism::Tree } else { Parallelism::Sequential });
        (factor, self.values.clone())
    }

    fn is_large(&self) -> bool {
        self.symbolic.memory().0 > LARGE
    }

    /// Factors `R + dI`; whether it can be.
    fn factor(&self, d: f64, (factor, shifted): &mut Room) -> Result<bool, GmrfError> {
        let pattern = self.symbolic.pattern();
        shifted.copy_from_slice(&self.values);
        (0..pattern.order()).for_each(|j| shifted[pattern.column_start(j)] += d);
        match factor.refactor(shifted) {
            Ok(()) => Ok(true),
            Err(GmrfError::NotPositiveDefinite { .. } | GmrfError::NotFinite { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Leja's order of the Chebyshev extrema on `[−2, 2]`, the ends first: neighbouring panels share them.
fn leja() -> Vec<f64> {
    let node = |k: usize| 2.0 * (std::f64::consts::PI * k as f64 / INTERVALS as f64).cos();
    let mut rest: Vec<f64> = (1..INTERVALS).map(node).collect();
    let mut nodes = vec![2.0, -2.0];
    while !rest.is_empty() {
        let distance = |x: f64| nodes.iter().map(|node| (x - node).abs()).product::<f64>();
        // the first of several as far
        let farthest =
            (1..rest.len()).fold(0, |best, k| if distance(rest[k]) > distance(rest[best]) { k } else { best });
        nodes.push(rest.remove(farthest));
    }
    nodes
}

/// An interpolating polynomial in Newton's form.
#[derive(Debug)]
struct Newton {
    nodes: Vec<f64>,
    /// Divided differences.
    differences: Vec<f64>,
}

impl Newton {
    fn through(nodes: &[f64], mut values: Vec<f64>) -> Self {
        for order in 1..nodes.len() {
            for k in (order..nodes.len()).rev() {
                values[k] = (values[k] - values[k - 1]) / (nodes[k] - nodes[k - order]);
            }
        }
        Self { nodes: nodes.to_vec(), differences: values }
    }

    /// The greatest absolute value of every term at `points`.
    fn sizes(&self, points: &[f64]) -> Vec<f64> {
        let mut products = vec![1.0; points.len()];
        let mut sizes = Vec::with_capacity(self.nodes.len());
        for (node, difference) in self.nodes.iter().zip(&self.differences) {
            sizes.push(products.iter().fold(0.0_f64, |most, product| most.max((difference * product).abs())));
            products.iter_mut().zip(points).for_each(|(product, x)| *product *= x - node);
        }
        sizes
    }

    /// Value and derivative.
    fn at(&self, x: f64) -> (f64, f64) {
        let (mut value, mut slope) = (0.0, 0.0);
        for (node, difference) in self.nodes.iter().zip(&self.differences).rev() {
            slope = slope * (x - node) + value;
            value = value * (x - node) + difference;
        }
        (value, slope)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // what fails in a helper fails the test
    use super::*;

    /// Two paths: the eigenvalues, and the determinants by them.
    #[test]
    fn paths_have_the_determinants_of_their_eigenvalues() {
        let (n, long) = (60, 45);
        let ends = [0, long - 1, long, n - 1];
        let joined = |i: &usize| *i != long;
        let pattern = Arc::new(SparsityPattern::from_entries(n, (1..n).filter(joined).map(|i| (i, i - 1))).unwrap());
        let value = |(i, j)| if i != j { -1.0 } else { 2.0 - f64::from(u8::from(ends.contains(&i))) };
        let values = pattern.entries().map(value).collect();
        let table = ShiftedDeterminant::new(&pattern, values, vec![(0..long).collect(), (long..n).collect()]).unwrap();
        let path =
            |n: usize| (0..n).map(move |k| 4.0 * (0.5 * std::f64::consts::PI * k as f64 / n as f64).sin().powi(2));
        let eigenvalues: Vec<f64> = path(long).chain(path(n - long)).collect();
        // 2λ = e^−4.6 here: panels in log d down to there, then the one in d
        for u in [-45.0_f64, -20.0, -9.3, -5.0, -4.7, -4.5, -4.0, -0.2, 0.0, 1.7, 5.9] {
            let expected: f64 = eigenvalues.iter().map(|eigenvalue| (eigenvalue + u.exp()).ln()).sum();
            let slope: f64 = eigenvalues.iter().map(|eigenvalue| u.exp() / (eigenvalue + u.exp())).sum();
            let (value, derivative) = table.at(u).unwrap().unwrap();
            // 60 eigenvalues times 1e-10, and times the order in the derivative
            assert!((value - expected).abs() < 6e-9, "{u}: {value} {expected}");
            assert!((derivative - slope).abs() < 1e-7, "{u}: {derivative} {slope}");
        }
        assert!(table.lock().panels.contains_key(&i64::MIN));
    }

    #[test]
    fn nodes_without_neighbours_have_the_shift_alone() {
        let pattern = Arc::new(SparsityPattern::diagonal(3));
        let table = ShiftedDeterminant::new(&pattern, vec![0.0; 3], vec![vec![0], vec![1], vec![2]]).unwrap();
        let (value, slope) = table.at(-6.0).unwrap().unwrap();
        assert!((value + 18.0).abs() < 1e-9 && (slope - 3.0).abs() < 1e-9);
    }
}
