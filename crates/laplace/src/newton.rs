//! The mode of the latent field given the hyperparameters: a damped Newton iteration that cannot diverge.

use crate::error::LaplaceError;
use crate::likelihood::Order;
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;
use gmrf::GmrfError;

/// When the search for the mode stops.
///
/// Steps that contract well are taken again on the same factor of `H`: they cost a solve. The last factor is fresh, at the mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewtonOptions {
    /// When half the Newton decrement `½ gᵀΣg` (units of log-density) falls below `tolerance`, that step is taken,
    /// `H` is factored once more at its end, and `x*` accepted: `log|H|` is linear in the error of `x*`, and the last
    /// step squares it. Steps on an older factor go on until they have reached the square of it.
    pub tolerance: f64,
    /// Newton steps before giving up.
    pub max_iterations: usize,
    /// Whether a factor near the mode stays: `log|H|` follows to first order, within 1e-3 nats, and covariances and gradients are those
    /// there, within a hundredth of themselves. Right where values and moments are wanted, not differences of gradients. Default false.
    pub keeps_factor: bool,
}

impl Default for NewtonOptions {
    fn default() -> Self {
        Self { tolerance: 1e-8, max_iterations: 100, keeps_factor: false }
    }
}

/// Armijo's share of the predicted increase that a step must reach.
const SUFFICIENT_INCREASE: f64 = 1e-4;
/// Shortest step tried before the search gives up.
const SHORTEST_STEP: f64 = 1e-10;
/// A factor is kept if so many further steps on it are predicted to reach the mode; more cost what a fresh one does.
const MOST_STALE_STEPS: f64 = 3.0;

/// A factor may stay where half the sum of squared relative changes of the curvatures, and the largest of them, are below these. With
/// `vᵢwᵢ ≤ 1` the first bounds the diagonal part `½Σ(vᵢ dwᵢ)²` of what `log|H|` has to second order, the second the change of a variance.
const NEAR: (f64, f64) = (1e-3, 1e-2);

/// What a search for the mode took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NewtonCounts {
    pub(crate) steps: usize,
    pub(crate) factorisations: usize,
}

/// What the steps on one factor have told so far.
#[derive(Default)]
struct Contraction {
    /// Newton decrement of the last step on this factor, and how much that one contracted.
    last: Option<(f64, f64)>,
}

impl Contraction {
    /// Whether a step of decrement `slope` should be taken on a fresh factor instead.
    fn is_slow(&self, slope: f64, tolerance: f64) -> bool {
        let Some((last, ratio)) = self.last else { return false };
        // a Newton step halves the error that its successors on the same factor leave: their decrements contract four times less
        let ratio = (slope / last).max(ratio) * if ratio == 0.0 { 4.0 } else { 1.0 };
        let target = tolerance * tolerance;
        slope > target && (ratio >= 0.5 || (target / slope).ln() / ratio.ln() > MOST_STALE_STEPS)
    }

    /// Whether the step of decrement `slope` ends the search.
    fn is_last(&self, slope: f64, tolerance: f64) -> bool {
        match self.last {
            None => 0.5 * slope < tolerance,
            Some((last, _)) => 0.5 * slope * (slope / last).min(1.0) < tolerance * tolerance,
        }
    }

    fn record(&mut self, slope: f64) {
        self.last = Some((slope, self.last.map_or(0.0, |(last, _)| slope / last)));
    }
}

impl Workspace {
    /// `ℓ` summed over all rows at `eta_trial` if `trial`, else at `eta`; derivatives up to `order` stay in the buffers.
    pub(crate) fn log_likelihood(
        &mut self,
        model: &LatentGaussianModel,
        theta: &[Vec<f64>],
        order: Order,
        trial: bool,
    ) -> Result<f64, LaplaceError> {
        let eta = if trial { &self.eta_trial } else { &self.eta };
        let mut total = 0.0;
        for (k, observations) in model.observations().iter().enumerate() {
            let rows = model.observation_rows(k);
            let out = &mut self.derivatives[k];
            observations.likelihood.evaluate(&theta[k], 0..rows.len(), &eta[rows.clone()], order, out)?;
            total += out.value[..rows.len()].iter().sum::<f64>();
            if order >= Order::Second {
                self.first[rows.clone()].copy_from_slice(&out.first[..rows.len()]);
                self.second[rows.clone()].copy_from_slice(&out.second[..rows.len()]);
            }
            if order >= Order::Fourth {
                self.third[rows.clone()].copy_from_slice(&out.third[..rows.len()]);
                self.fourth[rows.clone()].copy_from_slice(&out.fourth[..rows.len()]);
            }
        }
        Ok(total)
    }

    /// `(x−μ)ᵀQ(x−μ)` at `trial` or at `x`, and `Q(x−μ)` into `node_buffer`.
    pub(crate) fn prior_quadratic(&mut self, model: &LatentGaussianModel, trial: bool) -> Result<f64, LaplaceError> {
        let x = if trial { &self.trial } else { &self.x };
        for ((r, x), mean) in self.deviation.iter_mut().zip(x).zip(&self.mean) {
            *r = x - mean;
        }
        for (k, effect) in model.effects().iter().enumerate() {
            let nodes = model.effect_nodes(k);
            let out = &mut self.node_buffer[nodes.clone()];
            effect.model.pattern().multiply(&self.precision[k], &self.deviation[nodes], out)?;
        }
        Ok(self.deviation.iter().zip(&self.node_buffer).map(|(r, q)| r * q).sum())
    }

    /// Sum, and sum of squares, of what the rounding error of the quadratic form is in proportion to, at the deviation and the product at
    /// hand.
    fn rounding_terms(&self, model: &LatentGaussianModel) -> (f64, f64) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for (k, effect) in model.effects().iter().enumerate() {
            let nodes = model.effect_nodes(k);
            let at = (&self.deviation[nodes.clone()], &self.node_buffer[nodes]);
            effect.model.pattern().rounding_terms(&self.precision[k], at, |term| {
                sum += term;
                squares += term * term;
            });
        }
        (sum, squares)
    }

    /// Rounding error of the objective: of its sum, and of a quadratic form whose terms cancel where precisions are large.
    pub(crate) fn rounding(&self, model: &LatentGaussianModel, objective: f64) -> f64 {
        1e-12 * (1.0 + objective.abs()) + 8.0 * f64::EPSILON * self.rounding_terms(model).0
    }

    /// Rounding error of the quadratic form as it comes about, errors of either sign side by side.
    pub(crate) fn typical_rounding(&self, model: &LatentGaussianModel) -> f64 {
        4.0 * f64::EPSILON * self.rounding_terms(model).1.sqrt()
    }

    /// `H = Q + AᵀWA` from `−ℓ″` in `second`; negative curvatures are dropped if `clip`.
    pub(crate) fn fill_posterior(&mut self, model: &LatentGaussianModel, clip: bool) {
        self.posterior.fill(0.0);
        for (slots, values) in model.precision_slots.iter().zip(&self.precision) {
            for (&slot, value) in slots.iter().zip(values) {
                self.posterior[slot] += value;
            }
        }
        for (weight, second) in self.row_buffer.iter_mut().zip(&self.second) {
            *weight = if clip { (-second).max(0.0) } else { -second };
        }
        let weights = self.design.sums(&self.row_buffer, &mut self.row_sums);
        self.design.add_squares(&model.pair_slots, weights, &mut self.run_room, &mut self.posterior);
    }

    /// Factors `H`; where it is not positive definite, with the negative curvatures dropped.
    pub(crate) fn factor_posterior(&mut self, model: &LatentGaussianModel, theta: &[f64]) -> Result<(), LaplaceError> {
        self.clipped = false;
        self.fill_posterior(model, false);
        let error = match self.factor.refactor(&self.posterior) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let clipped = self.second.iter().any(|&c| c > 0.0);
        if clipped {
            self.fill_posterior(model, true);
            if self.factor.refactor(&self.posterior).is_ok() {
                self.clipped = true;
                return Ok(());
            }
        }
        Err(match error {
            GmrfError::NotPositiveDefinite { node, .. } => {
                LaplaceError::Singular { effects: model.effect_of_node(node).to_owned(), theta: theta.to_vec() }
            }
            GmrfError::NotFinite { .. } => {
                LaplaceError::NotFinite { what: "the posterior precision".to_owned(), theta: theta.to_vec() }
            }
            other => other.into(),
        })
    }

    /// A feasible starting point: the mode of the model linearised at a predictor near the data, or `start`.
    pub(crate) fn start(
        &mut self,
        model: &LatentGaussianModel,
        theta: (&[f64], &[Vec<f64>]),
        start: Option<&[f64]>,
    ) -> Result<(), LaplaceError> {
        if let Some(start) = start {
            self.x.copy_from_slice(start);
            self.set_eta();
            return Ok(());
        }
        for k in 0..model.observations().len() {
            let likelihood = &model.observations()[k].likelihood;
            for (row, i) in model.observation_rows(k).enumerate() {
                self.eta[i] = likelihood.initial_predictor(row).unwrap_or(0.0);
            }
        }
        self.log_likelihood(model, theta.1, Order::Second, false)?;
        self.factor_posterior(model, theta.0)?;
        // Aᵀ(ℓ′ + W(η⁰ − o)) + Qμ
        for i in 0..model.rows() {
            let weight = (-self.second[i]).max(0.0);
            self.row_buffer[i] = self.first[i] + weight * (self.eta[i] - self.design.offset()[i]);
        }
        for (k, effect) in model.effects().iter().enumerate() {
            let nodes = model.effect_nodes(k);
            effect.model.pattern().multiply(&self.precision[k], &self.mean[nodes.clone()], &mut self.x[nodes])?;
        }
        self.design.add_transposed(&self.row_buffer, &mut self.row_sums, &mut self.x);
        self.factor.conditional_mean_in_place(&mut self.x, &mut self.solve)?;
        self.set_eta();
        Ok(())
    }

    pub(crate) fn set_eta(&mut self) {
        self.design.multiply(&self.x, &mut self.eta);
        for (eta, offset) in self.eta.iter_mut().zip(self.design.offset()) {
            *eta += offset;
        }
    }

    /// The mode `x*` into `x`, `η*` into `eta`, derivatives and the factor of `H` at the mode.
    ///
    /// `theta` holds the free hyperparameters and those of each block of observations.
    pub(crate) fn find_mode(
        &mut self,
        model: &LatentGaussianModel,
        theta: (&[f64], &[Vec<f64>]),
        start: Option<&[f64]>,
        options: &NewtonOptions,
    ) -> Result<NewtonCounts, LaplaceError> {
        let mut counts = NewtonCounts::default();
        self.factored_nearby = false;
        let failure = |steps, reason: &str| LaplaceError::NoMode {
            theta: theta.0.to_vec(),
            iterations: steps,
            reason: reason.to_owned(),
        };
        let mut objective = self.begin(model, theta, start, &mut counts)?;
        if !objective.is_finite() {
            let reason =
                "the log-density at the starting point is not finite; check offsets, exposures and extreme values";
            return Err(failure(0, reason));
        }
        let mut contraction: Option<Contraction> = None;
        while counts.steps < options.max_iterations {
            let mut kept = match contraction.take() {
                Some(kept) => kept,
                None => {
                    self.factor_posterior(model, theta.0)?;
                    counts.factorisations += 1;
                    if options.keeps_factor {
                        self.factored.copy_from_slice(&self.second);
                    }
                    Contraction::default()
                }
            };
            let slope = self.newton_step()?;
            if !slope.is_finite() {
                return Err(failure(counts.steps, "the Newton step is not finite"));
            }
            if kept.is_slow(slope, options.tolerance) {
                continue;
            }
            counts.steps += 1;
            let last = kept.is_last(slope, options.tolerance);
            if model.is_gaussian() {
                // a quadratic is climbed in one step, and its curvature is the same everywhere
                self.x.iter_mut().zip(&self.step).for_each(|(x, d)| *x += d);
                self.set_eta();
                return Ok(counts);
            }
            let value = |workspace: &mut Self| workspace.log_likelihood(model, theta.1, Order::Second, true);
            objective = match self.line_search(model, value, (objective, slope))? {
                Some(value) => value,
                None => return Err(failure(counts.steps, "no step increases the log-density")),
            };
            if last && options.keeps_factor && self.is_near_factor() {
                self.factored_nearby = true;
                return Ok(counts);
            }
            if last {
                self.factor_posterior(model, theta.0)?;
                counts.factorisations += 1;
                return Ok(counts);
            }
            kept.record(slope);
            contraction = Some(kept);
        }
        Err(failure(options.max_iterations, "the iteration limit was reached"))
    }

    /// Whether the curvatures have hardly changed since the factor was made.
    fn is_near_factor(&self) -> bool {
        let change = |(factored, second): (&f64, &f64)| ((factored - second) / factored).powi(2);
        let moved = self.factored.iter().zip(&self.second).filter(|(factored, second)| factored != second);
        let (sum, most) = moved.map(change).fold((0.0, 0.0_f64), |(sum, most), c| (sum + c, most.max(c)));
        !self.clipped && 0.5 * sum < NEAR.0 && most < NEAR.1 * NEAR.1
    }

    /// Sets out from `start`, or from a cold start where there is none or it has no density; returns the objective there.
    fn begin(
        &mut self,
        model: &LatentGaussianModel,
        theta: (&[f64], &[Vec<f64>]),
        start: Option<&[f64]>,
        counts: &mut NewtonCounts,
    ) -> Result<f64, LaplaceError> {
        self.start(model, theta, start)?;
        let mut log_likelihood = self.log_likelihood(model, theta.1, Order::Second, false)?;
        if start.is_some() && !log_likelihood.is_finite() {
            self.start(model, theta, None)?;
            log_likelihood = self.log_likelihood(model, theta.1, Order::Second, false)?;
            counts.factorisations += 1;
        }
        counts.factorisations += usize::from(start.is_none());
        Ok(log_likelihood - 0.5 * self.prior_quadratic(model, false)?)
    }

    /// The step `Σ g` on the current factor, `g = Aᵀℓ′ − Q(x − μ)`; returns its decrement `gᵀΣg`.
    pub(crate) fn newton_step(&mut self) -> Result<f64, LaplaceError> {
        for (g, q) in self.gradient.iter_mut().zip(&self.node_buffer) {
            *g = -q;
        }
        self.design.add_transposed(&self.first, &mut self.row_sums, &mut self.gradient);
        self.step.copy_from_slice(&self.gradient);
        self.factor.solve_in_place(&mut self.step, &mut self.solve)?;
        Ok(self.step.iter().zip(&self.gradient).map(|(d, g)| d * g).sum())
    }

    /// Moves `x` and `eta` along `step` to a point of sufficient increase; returns the objective there, whose part of the data
    /// `log_likelihood` has at `eta_trial`.
    pub(crate) fn line_search(
        &mut self,
        model: &LatentGaussianModel,
        log_likelihood: impl Fn(&mut Self) -> Result<f64, LaplaceError>,
        (objective, slope): (f64, f64),
    ) -> Result<Option<f64>, LaplaceError> {
        self.design.multiply(&self.step, &mut self.eta_step);
        let rounding = self.rounding(model, objective);
        let mut length = 1.0;
        while length > SHORTEST_STEP {
            for ((trial, x), d) in self.trial.iter_mut().zip(&self.x).zip(&self.step) {
                *trial = x + length * d;
            }
            for ((trial, eta), d) in self.eta_trial.iter_mut().zip(&self.eta).zip(&self.eta_step) {
                *trial = eta + length * d;
            }
            let value = log_likelihood(self)? - 0.5 * self.prior_quadratic(model, true)?;
            if value >= objective + SUFFICIENT_INCREASE * length * slope - rounding {
                std::mem::swap(&mut self.x, &mut self.trial);
                std::mem::swap(&mut self.eta, &mut self.eta_trial);
                return Ok(Some(value));
            }
            length *= if value.is_finite() { 0.5 } else { 0.1 };
        }
        Ok(None)
    }
}
