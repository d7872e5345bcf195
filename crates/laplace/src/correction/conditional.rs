//! The Laplace approximation of the density of a node or a linear predictor given `θ` (Rue, Martino and Chopin 2009, section 3.2): it is held at
//! a value, everything else goes to its mode.
//!
//! What is held is `s = aᵀx`: `a = e_j` for a node, the row `a_i` of the design for a predictor, whose offset only shifts it. Laplace's method
//! for `p(s|θ, y) ∝ ∫ p(x, y|θ) δ(aᵀx − s) dx` around `x*(s)`, the mode on `aᵀx = s`, leaves the Gaussian integral
//! `∫ exp(−½uᵀH_s u) δ(aᵀu) du`, which is the integral without `δ` times the density at 0 of `aᵀu ~ N(0, aᵀH_s⁻¹a)`:
//! `log p̃(s|θ, y) = log p(x*(s), y|θ) − ½ log|VᵀH_sV| − ½ log aᵀΣ_s a` but for a constant: one factor of `H` on the pattern of the model, whatever
//! is held and whatever the constraints. `|H_s| aᵀH_s⁻¹a` is the same with `H_s + κ aaᵀ` for `H_s`, which is positive definite for large `κ` where
//! `H_s` need not be. The cheap update keeps the covariance of the mode: `log|I + S ΔW| ≈ Σ log(1 + S_ii ΔW_i)`, `S` that of the predictors given
//! what is held (Wood 2020 updates the factor instead). It is exact to first order in the change of the weights, and beyond for rows that are
//! uncorrelated given it.

use gmrf::{CholeskyFactor, GmrfError};

use crate::approximation::{Approximation, OwnerThetas};
use crate::design::Design;
use crate::error::LaplaceError;
use crate::likelihood::Order;
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// What is held at a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A node of `x`.
    Node(usize),
    /// The linear predictor of a row of the design.
    Predictor(usize),
}

impl Held {
    /// The nodes and coefficients of `a`.
    fn entries<'a>(&'a self, design: &'a Design) -> (&'a [usize], &'a [f64]) {
        match self {
            Self::Node(node) => (std::slice::from_ref(node), &[1.0]),
            Self::Predictor(row) => design.row(*row),
        }
    }
}

/// How the determinant of the others' precision is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Determinant {
    /// By a factor at every value.
    Exact,
    /// From the covariance at the mode.
    Updated,
}

/// The search for the others' mode ends with the step whose decrement `gᵀΣg` is below this: `log|H|` is linear in the error of the mode, which
/// is then of some 1e-6 standard deviations.
const TOLERANCE: f64 = 1e-10;
/// A step on an older factor must leave less than this share of the decrement, else a fresh one is cheaper.
const CONTRACTION: f64 = 0.1;
/// Steps for each value before giving up.
const MOST_STEPS: usize = 60;
/// Attempts at legs of the way to a value, failed ones included.
const MOST_LEGS: usize = 20;
/// `κ` in units of the precision of what is held, tried in this order.
const STIFFENINGS: [f64; 4] = [0.0, 1.0, 100.0, 1e4];
/// A variance below this share of what it would be if all nodes of the row were one is what rounding leaves where constraints fix a predictor.
const FIXED: f64 = 1e-13;
/// A row moves with what is held alone where less than this share of its variance is left.
const ALONE: f64 = 1e-9;

/// What stands at the mode while something is held away from it.
#[derive(Debug)]
pub(crate) struct Conditional {
    x: Vec<f64>,
    eta: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    objective: f64,
    /// Of `H` at a value.
    factor: CholeskyFactor,
    /// `Σa` at the mode, and by the factor of the steps.
    column: Vec<f64>,
    current: Vec<f64>,
    /// `AΣa/σ`, `σ² = aᵀΣa`.
    loadings: Vec<f64>,
    /// Where a leg began.
    last: Vec<f64>,
}

impl Conditional {
    fn new(model: &LatentGaussianModel) -> Self {
        let (n, m) = (model.nodes(), model.rows());
        Self {
            x: vec![0.0; n],
            eta: vec![0.0; m],
            first: vec![0.0; m],
            second: vec![0.0; m],
            objective: 0.0,
            factor: CholeskyFactor::new(model.symbolic().clone()),
            column: vec![0.0; n],
            current: vec![0.0; n],
            loadings: vec![0.0; m],
            last: vec![0.0; n],
        }
    }
}

/// What is held, on its way.
struct Walk<'a> {
    model: &'a LatentGaussianModel,
    theta: &'a [f64],
    observations: &'a [Vec<f64>],
    held: Held,
    /// The nodes and coefficients of `a`.
    entries: (&'a [usize], &'a [f64]),
    sd: f64,
    /// Whether steps use the factor at a value instead of that at the mode.
    fresh: bool,
}

impl Walk<'_> {
    fn failure(&self, iterations: usize, t: f64, reason: &str) -> LaplaceError {
        let held = match self.held {
            Held::Node(node) => format!("node {node} of x, of effect {},", self.model.effect_of_node(node)),
            Held::Predictor(row) => format!("linear predictor {row}"),
        };
        let reason = format!("{held} is held {t:+.1} standard deviations away: {reason}");
        LaplaceError::NoMode { theta: self.theta.to_vec(), iterations, reason }
    }

    /// `a`.
    fn fill(&self, out: &mut [f64]) {
        out.fill(0.0);
        self.entries.0.iter().zip(self.entries.1).for_each(|(&j, a)| out[j] = *a);
    }

    /// `aᵀx`.
    fn product(&self, x: &[f64]) -> f64 {
        self.entries.0.iter().zip(self.entries.1).map(|(&j, a)| a * x[j]).sum()
    }
}

impl Approximation {
    /// For everything that is `held`, `log` of its Laplace approximation over the Gaussian's density at standardised values `ts` (ascending), but
    /// for a constant such that it is 0 at 0, from the workspace in which this approximation was evaluated last and as which it is left. It is
    /// `−∞` where the likelihood gives what is held no density, and 0 throughout where constraints fix it.
    ///
    /// Cost for each and for each value: some steps (a solve and an evaluation of the likelihood each), and for exact determinants one factor
    /// or two.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`] if the workspace belongs to another model; for each that is held [`LaplaceError::NoMode`], which names it
    /// and the value.
    pub fn conditional_profiles(
        &self,
        model: &LatentGaussianModel,
        workspace: &mut Workspace,
        held: &[Held],
        (ts, determinant): (&[f64], Determinant),
    ) -> Result<Vec<Result<Vec<f64>, LaplaceError>>, LaplaceError> {
        crate::model::expect_length("workspace", model.nodes(), workspace.x.len())?;
        if model.is_gaussian() {
            return Ok(vec![Ok(vec![0.0; ts.len()]); held.len()]);
        }
        let owners = OwnerThetas::new(model, &self.theta);
        let mut kept = workspace.conditional.take().unwrap_or_else(|| Box::new(Conditional::new(model)));
        kept.x.copy_from_slice(&workspace.x);
        kept.eta.copy_from_slice(&workspace.eta);
        kept.first.copy_from_slice(&workspace.first);
        kept.second.copy_from_slice(&workspace.second);
        let log_density = workspace.log_likelihood(model, &owners.observations, Order::Value, false)?;
        kept.objective = log_density - 0.5 * workspace.prior_quadratic(model, false)?;
        let design = workspace.design.clone();
        let result = held
            .iter()
            .map(|held| {
                let (theta, observations) = (self.theta.as_slice(), owners.observations.as_slice());
                let entries = held.entries(&design);
                let walk = Walk { model, theta, observations, held: *held, entries, sd: 0.0, fresh: false };
                workspace.profile_of(walk, &mut kept, (ts, determinant))
            })
            .collect();
        workspace.restore(&kept);
        workspace.prior_quadratic(model, false)?;
        workspace.conditional = Some(kept);
        Ok(result)
    }
}

impl Workspace {
    /// The mode and the Gaussian's variance of the linear predictor of a row, 0 where constraints fix it, of the approximation that was
    /// evaluated last.
    pub fn predictor(&self, row: usize) -> (f64, f64) {
        let variance = self.predictor_variance[row];
        (self.eta[row], if self.is_fixed(self.design.row(row), variance) { 0.0 } else { variance })
    }

    /// Whether a variance `aᵀΣa` is rounding against `(Σ|a_j|σ_j)²`.
    fn is_fixed(&self, (nodes, values): (&[usize], &[f64]), variance: f64) -> bool {
        let sd = |&node: &usize| self.inverse.entry(node, node).map_or(0.0, |variance| variance.max(0.0).sqrt());
        let greatest: f64 = nodes.iter().zip(values).map(|(node, a)| a.abs() * sd(node)).sum();
        variance <= FIXED * greatest * greatest
    }

    fn restore(&mut self, kept: &Conditional) {
        self.x.copy_from_slice(&kept.x);
        self.eta.copy_from_slice(&kept.eta);
        self.first.copy_from_slice(&kept.first);
        self.second.copy_from_slice(&kept.second);
    }

    fn profile_of(
        &mut self,
        mut walk: Walk<'_>,
        kept: &mut Conditional,
        (ts, determinant): (&[f64], Determinant),
    ) -> Result<Vec<f64>, LaplaceError> {
        let mut logs = vec![0.0; ts.len()];
        walk.fill(&mut kept.column);
        self.factor.solve_in_place(&mut kept.column, &mut self.solve)?;
        let variance = walk.product(&kept.column);
        if self.is_fixed(walk.entries, variance) {
            return Ok(logs);
        }
        walk.sd = variance.sqrt();
        self.design.multiply(&kept.column, &mut kept.loadings);
        kept.loadings.iter_mut().for_each(|loading| *loading /= walk.sd);
        let zero = ts.partition_point(|&t| t <= 0.0);
        let (below, above) = ((0..zero).rev().collect::<Vec<_>>(), (zero..ts.len()).collect::<Vec<_>>());
        for side in [below, above] {
            self.restore(kept);
            kept.current.copy_from_slice(&kept.column);
            walk.fresh = false;
            let (mut at, mut ended) = (0.0, false);
            for k in side.into_iter().filter(|&k| ts[k] != 0.0) {
                let ratio = match ended {
                    true => f64::NEG_INFINITY,
                    false => self.log_ratio(&mut walk, kept, (at, ts[k]), determinant)?,
                };
                logs[k] = 0.5 * ts[k] * ts[k] + ratio;
                (at, ended) = (ts[k], ratio == f64::NEG_INFINITY);
            }
        }
        Ok(logs)
    }

    /// `log` of the density at `t` over that at the mode, from the others' mode at the value `at`.
    fn log_ratio(
        &mut self,
        walk: &mut Walk<'_>,
        kept: &mut Conditional,
        (at, t): (f64, f64),
        determinant: Determinant,
    ) -> Result<f64, LaplaceError> {
        let objective = self.carry(walk, kept, (at, t))?;
        if objective == f64::NEG_INFINITY {
            return Ok(objective);
        }
        let objective = objective - kept.objective;
        let updated = match determinant {
            Determinant::Exact => None,
            Determinant::Updated => self.updated_log_determinant(kept),
        };
        if let Some(change) = updated {
            return Ok(objective - 0.5 * change);
        }
        if !self.factor_at(walk, kept, false)? {
            return Err(walk.failure(0, t, "the precision of the others is not positive definite"));
        }
        let determinant = kept.factor.log_determinant() + walk.product(&kept.current).ln();
        Ok(objective - 0.5 * (determinant - self.factor.log_determinant() - 2.0 * walk.sd.ln()))
    }

    /// Takes `x` from the others' mode at the value `at` to that at `t` and returns the objective there, `−∞` where what is held has no density.
    /// Where a link bounds other predictors the way is cut into legs: each ends inside the bounds, at a mode.
    fn carry(&mut self, walk: &mut Walk<'_>, kept: &mut Conditional, (at, t): (f64, f64)) -> Result<f64, LaplaceError> {
        let (mut from, mut to) = (at, t);
        for _ in 0..MOST_LEGS {
            kept.last.copy_from_slice(&self.x);
            // along the tangent at the mode, bent so as to pass through the last value
            let bend = if from == 0.0 { 0.0 } else { (to / from).powi(2) };
            for ((x, mode), column) in self.x.iter_mut().zip(&kept.x).zip(&kept.column) {
                let slope = column / walk.sd;
                *x = mode + to * slope + bend * (*x - mode - from * slope);
            }
            self.set_eta();
            let mut objective = self.log_likelihood(walk.model, walk.observations, Order::Second, false)?;
            objective -= 0.5 * self.prior_quadratic(walk.model, false)?;
            if objective.is_finite() {
                objective = self.find_conditional_mode(walk, kept, (to, objective))?;
                if to == t {
                    return Ok(objective);
                }
                (from, to) = (to, t);
            } else if self.is_impossible(kept) {
                return Ok(f64::NEG_INFINITY);
            } else {
                self.x.copy_from_slice(&kept.last);
                to = 0.5 * (from + to);
            }
        }
        Err(walk.failure(MOST_LEGS, t, "the log-density is not finite on the way there"))
    }

    /// Whether a row that moves with what is held alone, as a predictor's own does, has no density.
    fn is_impossible(&self, kept: &Conditional) -> bool {
        let values = self.derivatives.iter().flat_map(|block| &block.value);
        let alone = self.predictor_variance.iter().zip(&kept.loadings).map(|(v, s)| v - s * s <= ALONE * v);
        values.zip(alone).any(|(value, alone)| alone && !value.is_finite())
    }

    /// `Σ log(1 + (v_i − s_i²)(W_i(t) − W_i))`; `None` where the change is beyond it.
    fn updated_log_determinant(&self, kept: &Conditional) -> Option<f64> {
        let rows = self.predictor_variance.iter().zip(&kept.loadings).zip(&self.second).zip(&kept.second);
        let terms = rows.map(|(((v, s), now), then)| 1.0 + (v - s * s).max(0.0) * (then - now));
        let mut total = 0.0;
        for term in terms {
            if term <= 0.0 {
                return None;
            }
            total += term.ln();
        }
        Some(total)
    }

    /// The mode of the others from where `x` is and the objective `Σℓ − ½(x−μ)ᵀQ(x−μ)` has this value; returns the objective there.
    fn find_conditional_mode(
        &mut self,
        walk: &mut Walk<'_>,
        kept: &mut Conditional,
        (t, mut objective): (f64, f64),
    ) -> Result<f64, LaplaceError> {
        let (model, observations) = (walk.model, walk.observations);
        let value = |workspace: &mut Self| workspace.log_likelihood(model, observations, Order::Second, true);
        let mut last = f64::INFINITY;
        for steps in 0..MOST_STEPS {
            let mut slope = self.conditional_step(walk, kept)?;
            if slope > TOLERANCE && slope > CONTRACTION * last {
                if !self.factor_at(walk, kept, true)? {
                    return Err(walk.failure(steps, t, "the precision of the others is not positive definite"));
                }
                slope = self.conditional_step(walk, kept)?;
            }
            if !slope.is_finite() {
                return Err(walk.failure(steps, t, "the Newton step is not finite"));
            }
            objective = match self.line_search(model, value, (objective, slope))? {
                Some(value) => value,
                None => return Err(walk.failure(steps, t, "no step increases the log-density")),
            };
            if slope < TOLERANCE {
                return Ok(objective);
            }
            last = slope;
        }
        Err(walk.failure(MOST_STEPS, t, "the iteration limit was reached"))
    }

    /// The Newton step that leaves what is held where it is; returns its decrement.
    fn conditional_step(&mut self, walk: &Walk<'_>, kept: &Conditional) -> Result<f64, LaplaceError> {
        for (g, q) in self.gradient.iter_mut().zip(&self.node_buffer) {
            *g = -q;
        }
        self.design.add_transposed(&self.first, &mut self.row_sums, &mut self.gradient);
        self.step.copy_from_slice(&self.gradient);
        let factor = if walk.fresh { &kept.factor } else { &self.factor };
        factor.solve_in_place(&mut self.step, &mut self.solve)?;
        let share = walk.product(&self.step) / walk.product(&kept.current);
        self.step.iter_mut().zip(&kept.current).for_each(|(step, column)| *step -= share * column);
        if let [node] = walk.entries.0 {
            self.step[*node] = 0.0;
        }
        Ok(self.step.iter().zip(&self.gradient).map(|(d, g)| d * g).sum())
    }

    /// Factors `H + κ aaᵀ` at the curvatures at hand, with the least `κ` of the list for which it is positive definite and its column of
    /// the covariance; at last, for a step only, with the negative curvatures dropped. `false` where nothing helps.
    fn factor_at(
        &mut self,
        walk: &mut Walk<'_>,
        kept: &mut Conditional,
        for_a_step: bool,
    ) -> Result<bool, LaplaceError> {
        let exact = STIFFENINGS.map(|stiffening| (stiffening / (walk.sd * walk.sd), false));
        let clipped = for_a_step.then_some((0.0, true));
        for (stiffening, clip) in exact.into_iter().chain(clipped) {
            self.fill_posterior(walk.model, clip);
            self.stiffen(walk, stiffening);
            match kept.factor.refactor(&self.posterior) {
                Err(GmrfError::NotPositiveDefinite { .. }) => continue,
                other => other?,
            }
            walk.fill(&mut kept.current);
            kept.factor.solve_in_place(&mut kept.current, &mut self.solve)?;
            walk.fresh = true;
            return Ok(true);
        }
        Ok(false)
    }

    /// Adds `κ aaᵀ` to `H`.
    fn stiffen(&mut self, walk: &Walk<'_>, stiffening: f64) {
        let model = walk.model;
        match walk.held {
            Held::Node(node) => self.posterior[model.symbolic().pattern().column_start(node)] += stiffening,
            Held::Predictor(row) => {
                let (kind, values) = (self.design.kind(row), walk.entries.1);
                let mut slots = model.pair_slots.of_kind(&self.design, kind).iter();
                for (a, value) in values.iter().enumerate() {
                    for (b, &slot) in values[..=a].iter().zip(&mut slots) {
                        self.posterior[slot] += stiffening * value * b;
                    }
                }
            }
        }
    }
}
