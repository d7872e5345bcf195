//! From rung to rung of the ladder: the exploration sets out with Laplace's approximation and goes on where its own evidence says that
//! it must.

use std::sync::Arc;
use std::time::{Duration, Instant};

use laplace::PropagationOptions;

use crate::engine::{Engine, PointEvaluation};
use crate::error::IntegrationError;
use crate::executor::Executor;
use crate::exploration::{Exploration, Integrated};
use crate::hessian::{Reparametrisation, difference_points};
use crate::mode::maximise;
use crate::posterior::ExploreOptions;
use crate::requested::Requested;
use crate::rung::{Chosen, Rung};

/// Share of a nat for each effective parameter from which the second-order terms call for expectation propagation. On binary data in
/// clusters of seven, 0.02 to 0.03, they leave a bias of 0.02 posterior standard deviations in a log precision; at 0.012, none that long
/// MCMC could find.
const ESCALATES: f64 = 0.015;
/// The same where expectation propagation would take minutes: the expansion itself is in doubt.
const ESCALATES_AT_ANY_COST: f64 = 0.1;
/// Operations of all iterations, about a minute.
const AFFORDABLE: f64 = 1e11;
/// Iterations of a whole fit, and operations of a row in each.
const ITERATIONS: f64 = 250.0;
const ROW: f64 = 5e3;

impl<'a> Exploration<'a> {
    /// Finds the mode from `initial` and its coordinates, and evaluates the skeleton.
    pub(crate) fn set_out(
        engine: Engine<'a>,
        executor: &'a dyn Executor,
        options: &ExploreOptions,
        initial: &[f64],
    ) -> Result<Self, IntegrationError> {
        let rung = match options.rung {
            _ if engine.propagates() => Rung::ExpectationPropagation,
            None | Some(Rung::ExpectationPropagation) => Rung::SimplifiedLaplace,
            Some(rung) => rung,
        };
        let model = engine.model();
        let requested = match rung {
            Rung::Laplace if !model.is_gaussian() => Some(Arc::new(Requested::new(model, options)?)),
            _ => None,
        };
        let words = requested.as_ref().map_or_else(String::new, |requested| format!("; {}", requested.words));
        let mode = maximise(&engine, initial, &options.mode)?;
        let start = engine.start_at(&mode.theta)?;
        let differences = engine.approximate_batch(&difference_points(&mode.theta), &start);
        let map = Reparametrisation::new((&mode.theta, &mode.gradient), differences)?;
        let mut exploration = Self {
            engine,
            executor,
            options: options.clone(),
            map,
            start,
            skeleton: None,
            axial: Vec::new(),
            centre: None,
            seen: Vec::new(),
            failed: Vec::new(),
            truncated: false,
            sampling: None,
            importance: None,
            draws: None,
            with_second_order: false,
            mode,
            mode_time: Duration::ZERO,
            declined: false,
            approximation: Chosen { rung, reason: format!("as asked for{words}") },
            requested,
        };
        exploration.evaluate_skeleton();
        exploration.with_second_order = rung.weighs_corrections() && exploration.is_small_at_the_mode();
        Ok(exploration)
    }

    /// Goes on to expectation propagation where it is asked for or needed.
    pub(crate) fn climb(mut self, started: Instant) -> Result<Self, IntegrationError> {
        self.mode_time = started.elapsed();
        if self.engine.model().is_gaussian() {
            self.approximation.reason = "the likelihood is Gaussian: every rung is exact".to_owned();
            return Ok(self);
        }
        let share = self.share_at_the_mode();
        let words = format!("the second-order terms at the mode are {share:.3} nats for each effective parameter");
        match self.options.rung {
            Some(Rung::ExpectationPropagation) => self.propagated(started).map_err(|failure| failure.1),
            Some(_) => Ok(self),
            None if share < self.escalates_from() => {
                self.approximation.reason = format!("{words}: small");
                Ok(self)
            }
            None => Ok(self.propagated_for(&words, started).unwrap_or_else(|laplace| *laplace)),
        }
    }

    /// The share from which it goes on.
    fn escalates_from(&self) -> f64 {
        let model = self.engine.model();
        // a selected inverse is two factors
        let iteration = 3.0 * model.symbolic().operations() + ROW * model.rows() as f64;
        if ITERATIONS * iteration < AFFORDABLE { ESCALATES } else { ESCALATES_AT_ANY_COST }
    }

    /// Why the average share over a design by expansion calls for expectation propagation though the one at the mode did not: the terms of
    /// a flat density may grow away from it.
    pub(crate) fn calls_for_propagation(&self, found: &Integrated) -> Option<String> {
        let may = self.options.rung.is_none() && self.approximation.rung == Rung::SimplifiedLaplace && !self.declined;
        if !may || self.engine.model().is_gaussian() || found.evaluated.points.len() < 2 {
            return None;
        }
        let shares = found.evaluated.points.iter().map(|point| point.moments.second_order.share());
        let share: f64 = shares.zip(&found.weights).map(|(share, weight)| share * weight).sum();
        let words = || format!("the second-order terms are {share:.3} nats for each effective parameter on average");
        (share >= self.escalates_from()).then(words)
    }

    /// The exploration by expectation propagation because of what `words` say; where it fails, what there was; either with the reason.
    pub(crate) fn propagated_for(self, words: &str, started: Instant) -> Result<Self, Box<Self>> {
        match self.propagated(started) {
            Ok(mut propagated) => {
                propagated.approximation.reason = format!("{words}: too many for an expansion");
                Ok(propagated)
            }
            Err(failure) => {
                let (mut laplace, error) = *failure;
                laplace.declined = true;
                laplace.approximation.reason = format!("{words}, but expectation propagation failed: {error}");
                Err(Box::new(laplace))
            }
        }
    }

    /// The exploration by expectation propagation, from the mode found so far; where it fails, what there was.
    fn propagated(self, started: Instant) -> Result<Self, Box<(Self, IntegrationError)>> {
        let engine = self.engine.propagating(PropagationOptions::default(), self.start.clone());
        match Self::set_out(engine, self.executor, &self.options, &self.mode.theta) {
            Ok(mut propagated) => {
                propagated.mode_time = started.elapsed();
                Ok(propagated)
            }
            Err(error) => Err(Box::new((self, error))),
        }
    }

    fn is_small_at_the_mode(&mut self) -> bool {
        self.centre_evaluation().is_none_or(|point| point.moments.second_order.is_small())
    }

    fn share_at_the_mode(&mut self) -> f64 {
        self.centre_evaluation().map_or(f64::INFINITY, |point| point.moments.second_order.share())
    }

    pub(crate) fn centre_evaluation(&mut self) -> Option<PointEvaluation> {
        match &self.skeleton {
            Some(skeleton) => Some(skeleton.centre().clone()),
            None => self.evaluate(&[vec![0.0; self.map.mode.len()]]).pop().flatten(),
        }
    }
}
