//! The exploration in progress: evaluates the design, weighs it, reads marginals off it.

use std::f64::consts::PI;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::choice::{chosen, is_sampled, needs_axes};
use crate::criteria::Criteria;
use crate::design::{reach, rounded_scale};
use crate::engine::{Engine, PointEvaluation};
use crate::error::IntegrationError;
use crate::evaluated::{Evaluated, normalised};
use crate::executor::{Executor, map};
use crate::hessian::Reparametrisation;
use crate::hyper_marginal::{Axis, Knot};
use crate::marginal::Marginal;
use crate::merging::Merging;
use crate::mode::Mode;
use crate::posterior::{Diagnostics, Evidence, ExploreOptions, IntegrationPoint, Posterior, Strategy, Timing};
use crate::requested::Requested;
use crate::rung::Chosen;
use crate::sampling::{ImportanceReport, SamplingReport, ThetaDraws};
use crate::skeleton::Skeleton;
use crate::skewed::SkewedGaussians;
use crate::start::Start;
use crate::theta_marginals::ThetaMarginals;

/// Design points of less posterior weight than this carry no moments: together they are below the accuracy of any rule.
pub(crate) const NEGLIGIBLE_WEIGHT: f64 = 1e-7;
/// The design is moved when the weighted mean lies further than this from its centre, in standard deviations.
const FURTHEST_CENTRE: f64 = 0.5;
/// Where the axes are evaluated that the marginals of three and more hyperparameters are read from, beside the centre, in multiples of
/// their [`reach`]; half-way between them cubics through values and slopes are read.
const AXIS_POINTS: [f64; 4] = [-2.0, -1.0, 1.0, 2.0];

/// Marginals that a task builds.
const CHUNK: usize = 512;

/// The exploration in progress.
pub(crate) struct Exploration<'a> {
    pub(crate) engine: Engine<'a>,
    pub(crate) executor: &'a dyn Executor,
    pub(crate) options: ExploreOptions,
    pub(crate) map: Reparametrisation,
    pub(crate) start: Start,
    /// Where it can be evaluated and is worth it, what lies between its points is interpolated.
    pub(crate) skeleton: Option<Skeleton>,
    /// Where gradients were met since the axes were last evaluated.
    pub(crate) seen: Vec<Seen>,
    /// The evaluations on the axes: what is evaluated next takes those that it meets again, and forgets the others.
    pub(crate) axial: Vec<PointEvaluation>,
    /// The last evaluation at the centre of the design.
    pub(crate) centre: Option<PointEvaluation>,
    pub(crate) failed: Vec<(Vec<f64>, String)>,
    pub(crate) truncated: bool,
    /// What the chains said, if there were some.
    pub(crate) sampling: Option<SamplingReport>,
    /// What the weights of draws said, if there were some.
    pub(crate) importance: Option<ImportanceReport>,
    /// The draws of `θ`, if there were some.
    pub(crate) draws: Option<ThetaDraws>,
    /// Whether the second-order terms weigh the design.
    pub(crate) with_second_order: bool,
    pub(crate) mode: Mode,
    pub(crate) mode_time: Duration,
    pub(crate) approximation: Chosen,
    /// Whether expectation propagation was tried in vain.
    pub(crate) declined: bool,
    /// The nodes and linear predictors whose densities are found by Laplace's method.
    pub(crate) requested: Option<Arc<Requested>>,
}

/// Where a gradient was met.
pub(crate) struct Seen {
    /// Standardised coordinates.
    pub(crate) z: Vec<f64>,
    /// The log-density and its slopes.
    pub(crate) value: f64,
    pub(crate) slope: Vec<f64>,
    /// If it was drawn, the logarithm of the density there over the one that it was drawn from, but for a constant.
    pub(crate) log_ratio: Option<f64>,
}

/// An evaluated design with what was read off it.
pub(crate) struct Integrated {
    pub(crate) evaluated: Evaluated,
    pub(crate) axes: Vec<(Axis, Axis)>,
    pub(crate) weights: Vec<f64>,
    /// Weights that mix what is known given `θ`.
    mixing: Vec<f64>,
    /// Whether the second-order terms weigh the design.
    pub(crate) used: bool,
    moved: bool,
    name: &'static str,
    plain: Vec<Marginal>,
    pub(crate) hyperparameters: Vec<Marginal>,
    derived: Vec<Marginal>,
}

impl Exploration<'_> {
    pub(crate) fn finish(mut self) -> Result<Posterior, IntegrationError> {
        let started = Instant::now();
        let (strategy, name) = self.strategy();
        let mut found = self.integrate(strategy, name)?;
        if let Some(words) = self.calls_for_propagation(&found) {
            // what went before belongs to the way to the mode
            let begun = started.checked_sub(self.mode_time).unwrap_or(started);
            self = match self.propagated_for(&words, begun) {
                Ok(propagated) => return propagated.finish(),
                Err(laplace) => *laplace,
            };
        }
        if self.options.strategy == Strategy::Automatic {
            found = self.refined(strategy, found)?;
        }
        let Integrated { evaluated, axes, weights, mixing, used, .. } = &found;
        let design_time = started.elapsed();
        let started = Instant::now();
        let certified = self.options.certificate;
        let checks = certified.then(|| self.checks(evaluated, weights, (axes, &found.hyperparameters, *used)));
        let (nodes, predictors) = self.field_marginals(evaluated, mixing);
        let posterior = Posterior {
            evidence: self.evidence(evaluated, *used),
            points: self.points(evaluated, mixing),
            nodes,
            predictors,
            criteria: self.criteria(evaluated, mixing)?,
            diagnostics: self.diagnostics(&found),
            hyperparameters: found.hyperparameters,
            hyperparameters_without_second_order: found.plain,
            derived: found.derived,
            checks,
            reparametrisation: self.map.clone(),
            mode: self.mode,
            timing: Timing { mode: self.mode_time, design: design_time, marginals: started.elapsed() },
        };
        Ok(posterior)
    }

    /// Evaluates the points of a strategy and reads the hyperparameters off them.
    pub(crate) fn integrate(&mut self, strategy: Strategy, name: &'static str) -> Result<Integrated, IntegrationError> {
        let p = self.mode.theta.len();
        let has_derived = !self.engine.model().derived().is_empty();
        let mut axes = if needs_axes(strategy, p) || (p > 0 && has_derived && !is_sampled(strategy)) {
            self.evaluate_axes()?
        } else {
            Vec::new()
        };
        let mut evaluated = self.evaluate_design(strategy, &axes)?;
        let used = self.uses_second_order(&evaluated);
        if self.with_second_order && !used && matches!(strategy, Strategy::Grid(_)) {
            // the grid followed a density that is not used after all
            (self.with_second_order, self.truncated) = (false, false);
            evaluated = self.evaluate_design(strategy, &axes)?;
        }
        self.with_second_order = used;
        let mut moved = false;
        if matches!(strategy, Strategy::CentralComposite | Strategy::GaussHermite(_)) && p > 0 {
            let mean = weighted_mean(&evaluated, &normalised(&evaluated.log_weights(used)));
            if mean.iter().any(|z| z.abs() > FURTHEST_CENTRE) {
                self.map.mode = self.map.theta(&mean);
                axes = if axes.is_empty() { axes } else { self.evaluate_axes()? };
                evaluated = self.evaluate_design(strategy, &axes)?;
                moved = true;
            }
        }
        Ok(self.integrated(evaluated, axes, (used, moved, name)))
    }

    /// Weights and marginals of an evaluated design.
    pub(crate) fn integrated(
        &self,
        evaluated: Evaluated,
        axes: Vec<(Axis, Axis)>,
        (used, moved, name): (bool, bool, &'static str),
    ) -> Integrated {
        let weights = normalised(&evaluated.log_weights(used));
        let ThetaMarginals { hyperparameters, plain, derived, mixing } =
            self.theta_marginals(&evaluated, &axes, (used, &weights));
        Integrated { evaluated, axes, weights, mixing, used, moved, name, plain, hyperparameters, derived }
    }

    /// The design and its name.
    pub(crate) fn strategy(&self) -> (Strategy, &'static str) {
        chosen(self.options.strategy, self.engine.model())
    }

    /// The second-order term of a point where it is small.
    fn correction(&self, point: &PointEvaluation) -> f64 {
        if self.with_second_order { point.moments.second_order.total() } else { 0.0 }
    }

    /// The second-order terms weigh the design only if they are small at every point that matters: a term that is used at some
    /// points and not at others would tilt the density of `θ`.
    pub(crate) fn uses_second_order(&self, evaluated: &Evaluated) -> bool {
        if !self.with_second_order {
            return false;
        }
        // a term that has run away gives its point the weight that it lacks without
        let weights = [false, true].map(|with| normalised(&evaluated.log_weights(with)));
        let matters = |k: usize| weights.iter().any(|weights| weights[k] > 1e-3);
        let points = evaluated.points.iter().enumerate().filter(|(k, _)| matters(*k));
        points.map(|(_, point)| &point.moments.second_order).all(laplace::SecondOrder::is_small)
    }

    /// Standard deviations of each half-axis, from the drop of the log-density at `±√2`.
    pub(crate) fn skewness_scales(axes: &[(Axis, Axis)]) -> Vec<(f64, f64)> {
        let scale = |axis: &Axis, sign: f64| {
            let drop = axis.at(0.0) - axis.at(sign * std::f64::consts::SQRT_2);
            // a drop of one is that of a Gaussian; a fourfold width in either direction is the most that is believed
            rounded_scale(drop.max(1.0 / 16.0).sqrt().recip().clamp(0.25, 4.0))
        };
        axes.iter().map(|(_, plain)| (scale(plain, -1.0), scale(plain, 1.0))).collect()
    }

    /// The corrected and the plain log-density along every axis.
    fn evaluate_axes(&mut self) -> Result<Vec<(Axis, Axis)>, IntegrationError> {
        let p = self.map.mode.len();
        let places = AXIS_POINTS.map(|z| z * reach(p));
        let mut zs = vec![vec![0.0; p]];
        zs.extend((0..p).flat_map(|k| places.map(|z| on_axis(p, k, z))));
        let results = self.evaluate(&zs);
        if results.iter().all(Option::is_none) {
            let reason = self.failed.first().map_or_else(String::new, |(_, reason)| reason.clone());
            return Err(IntegrationError::EmptyDesign { points: zs.len(), reason });
        }
        let knot = |k: usize, z: f64, result: &Option<PointEvaluation>| {
            let point = result.as_ref()?;
            let slope = self.map.slope(&point.approximation.gradient)[k];
            Some(Knot { z, value: point.approximation.log_posterior, slope, correction: self.correction(point) })
        };
        let axis = |k: usize| {
            let own = &results[1 + k * places.len()..1 + (k + 1) * places.len()];
            let mut knots: Vec<Knot> = places.iter().zip(own).filter_map(|(&z, r)| knot(k, z, r)).collect();
            knots.extend(knot(k, 0.0, &results[0]));
            knots.sort_by(|a, b| a.z.total_cmp(&b.z));
            (Axis::through(&knots, true), Axis::through(&knots, false))
        };
        let axes: Vec<(Axis, Axis)> = (0..p).map(axis).collect();
        let seen =
            |(z, result): (&Vec<f64>, &Option<PointEvaluation>)| Some(self.gradient_at(z.clone(), result.as_ref()?));
        self.seen = zs.iter().zip(&results).filter_map(seen).collect();
        self.axial = results.into_iter().flatten().collect();
        Ok(axes)
    }

    pub(crate) fn gradient_at(&self, z: Vec<f64>, point: &PointEvaluation) -> Seen {
        let approximation = &point.approximation;
        let slope = self.map.slope(&approximation.gradient);
        Seen { z, value: approximation.log_posterior, slope, log_ratio: None }
    }

    fn evidence(&self, evaluated: &Evaluated, used: bool) -> Evidence {
        let jacobian = self.map.log_jacobian();
        let p = self.mode.theta.len() as f64;
        Evidence {
            integrated: jacobian + evaluated.log_integral(used),
            without_second_order: jacobian + evaluated.log_integral(false),
            gaussian: self.mode.value + 0.5 * p * (2.0 * PI).ln() + jacobian,
        }
    }

    fn points(&self, evaluated: &Evaluated, weights: &[f64]) -> Vec<IntegrationPoint> {
        evaluated
            .design
            .iter()
            .zip(&evaluated.points)
            .zip(weights)
            .map(|((design, point), &weight)| IntegrationPoint {
                z: design.z.clone(),
                theta: point.approximation.theta.clone(),
                weight,
                log_posterior: point.approximation.log_posterior,
                second_order: point.moments.second_order.total(),
            })
            .collect()
    }

    pub(crate) fn mixtures(
        &self,
        evaluated: &Evaluated,
        weights: &[f64],
        of: impl Fn(&PointEvaluation) -> &Vec<laplace::Moment> + Sync,
    ) -> Vec<Marginal> {
        let kept: Vec<(f64, &PointEvaluation)> =
            weights.iter().copied().zip(&evaluated.points).filter(|(weight, _)| *weight > NEGLIGIBLE_WEIGHT).collect();
        let total: f64 = kept.iter().map(|(weight, _)| weight).sum();
        let count = kept.first().map_or(0, |(_, point)| of(point).len());
        let chunk = |c: usize| {
            let (mut gaussians, mut merging, mut parts) = (SkewedGaussians::default(), Merging::default(), Vec::new());
            let marginal = |i: usize| {
                parts.clear();
                parts.extend(kept.iter().map(|(weight, point)| (weight / total, of(point)[i])));
                let merged = merging.of(&parts);
                let weights = merged.iter().map(|(weight, _)| *weight);
                Marginal::Mixture(weights.zip(gaussians.of(merged.iter().map(|(_, moment)| moment))).collect())
            };
            (c * CHUNK..count.min((c + 1) * CHUNK)).map(marginal).collect::<Vec<_>>()
        };
        map(self.executor, count.div_ceil(CHUNK), chunk).into_iter().flatten().collect()
    }

    fn criteria(&self, evaluated: &Evaluated, weights: &[f64]) -> Result<Option<Criteria>, IntegrationError> {
        if !self.options.criteria {
            return Ok(None);
        }
        Criteria::compute(self.engine.model(), self.executor, (&evaluated.points, weights), &self.mode.theta).map(Some)
    }

    fn diagnostics(&mut self, found: &Integrated) -> Diagnostics {
        let evaluated = &found.evaluated;
        let counts = self.engine.counts();
        let shares = evaluated.points.iter().map(|point| point.moments.second_order.share());
        let best = evaluated
            .points
            .iter()
            .max_by(|a, b| a.approximation.log_posterior.total_cmp(&b.approximation.log_posterior));
        Diagnostics {
            evaluations: counts.evaluations,
            newton_steps: counts.newton_steps,
            factorisations: counts.factorisations,
            mode_converged: self.mode.converged,
            replaced_directions: self.map.replaced.clone(),
            failed_points: std::mem::take(&mut self.failed),
            unheld_predictors: self.unheld_predictors(evaluated, &found.mixing),
            truncated: self.truncated,
            moved: found.moved,
            second_order_share: shares.fold(0.0, f64::max),
            second_order_used: found.used,
            third_order_exact: evaluated.points.iter().all(|point| point.moments.third_order_exact),
            effective_parameters: best.map_or(0.0, |point| point.moments.second_order.effective_parameters),
            design: found.name,
            sampling: self.sampling,
            importance: self.importance,
            approximation: self.approximation.clone(),
        }
    }
}

pub(crate) fn on_axis(dimension: usize, k: usize, value: f64) -> Vec<f64> {
    let mut z = vec![0.0; dimension];
    z[k] = value;
    z
}

fn weighted_mean(evaluated: &Evaluated, weights: &[f64]) -> Vec<f64> {
    let p = evaluated.design.first().map_or(0, |point| point.z.len());
    let component = |k: usize| evaluated.design.iter().zip(weights).map(|(point, w)| w * point.z[k]).sum();
    (0..p).map(component).collect()
}
