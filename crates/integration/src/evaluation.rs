//! Evaluates the points of a design: known ones once, the others from the modes of their neighbours.

use crate::design::{
    GridExploration, GridOptions, GridValue, central_composite, empirical_bayes, product_gauss_hermite,
};
use crate::engine::{Asked, PointEvaluation};
use crate::error::IntegrationError;
use crate::evaluated::{Evaluated, Grid};
use crate::exploration::{Exploration, Seen};
use crate::extrapolation::{Known, directions, extrapolated};
use crate::hyper_marginal::Axis;
use crate::posterior::Strategy;
use crate::skeleton::Skeleton;

impl Exploration<'_> {
    /// Evaluates the points of a strategy; points that fail are reported and left out.
    pub(crate) fn evaluate_design(
        &mut self,
        strategy: Strategy,
        axes: &[(Axis, Axis)],
    ) -> Result<Evaluated, IntegrationError> {
        let p = self.map.mode.len();
        let design = match strategy {
            Strategy::Grid(options) if p > 0 => {
                return self.evaluate_grid(options.unwrap_or_else(|| GridOptions::for_dimension(p)));
            }
            Strategy::CentralComposite if p > 0 => central_composite(&Self::skewness_scales(axes))?,
            Strategy::GaussHermite(k) if p > 0 => product_gauss_hermite(p, k)?,
            Strategy::Importance if p > 0 => {
                let (evaluated, report) = self.weigh_draws(axes)?;
                self.importance = Some(report);
                return Ok(evaluated);
            }
            Strategy::Nuts(options) if p > 0 => {
                let (evaluated, report) = self.sample(options)?;
                self.sampling = Some(report);
                return Ok(evaluated);
            }
            _ => empirical_bayes(p),
        };
        let zs: Vec<Vec<f64>> = design.iter().map(|point| point.z.clone()).collect();
        let mut evaluated = Evaluated::default();
        for (point, result) in design.into_iter().zip(self.evaluate(&zs)) {
            if let Some(evaluation) = result {
                self.seen.push(self.gradient_at(point.z.clone(), &evaluation));
                evaluated.design.push(point);
                evaluated.points.push(evaluation);
            }
        }
        self.not_empty(evaluated, zs.len())
    }

    fn not_empty(&self, evaluated: Evaluated, points: usize) -> Result<Evaluated, IntegrationError> {
        if evaluated.points.is_empty() {
            let reason = self.failed.first().map_or_else(String::new, |(_, reason)| reason.clone());
            return Err(IntegrationError::EmptyDesign { points, reason });
        }
        Ok(evaluated)
    }

    fn evaluate_grid(&mut self, options: GridOptions) -> Result<Evaluated, IntegrationError> {
        let p = self.map.mode.len();
        let mut grid = GridExploration::new(p, options, self.with_second_order);
        let mut found: Known<PointEvaluation> = Known::new();
        let guesses = self.engine.starts_from_a_mode();
        let directions = if guesses { directions(p) } else { Vec::new() };
        let index = |z: &[f64]| z.iter().map(|z| (z / options.step).round() as i32).collect::<Vec<i32>>();
        loop {
            let batch = grid.next_batch();
            if batch.is_empty() {
                break;
            }
            let known = |index: &[i32]| found.get(index).map(|point| point.approximation.mode.as_slice());
            let guess = |z: &[f64]| match guesses && !Skeleton::reaches(z) {
                true => extrapolated(known, &index(z), &directions),
                false => None,
            };
            let results = self.evaluate_from(&batch, false, &guess);
            let value = |point: &PointEvaluation| GridValue {
                value: point.approximation.log_posterior,
                slope: self.map.slope(&point.approximation.gradient),
                correction: point.moments.second_order.total(),
            };
            grid.record(results.iter().map(|result| result.as_ref().map(value)).collect());
            for (z, result) in batch.iter().zip(results) {
                if let Some(evaluation) = result {
                    found.insert(index(z), evaluation);
                }
            }
        }
        self.truncated |= grid.truncated();
        let mut evaluated = Evaluated::default();
        let mut indices = Vec::new();
        for (index, point) in grid.points() {
            if let Some(evaluation) = found.remove(&index) {
                let log_ratio = Some(evaluation.approximation.log_posterior);
                self.seen.push(Seen { log_ratio, ..self.gradient_at(point.z.clone(), &evaluation) });
                evaluated.design.push(point);
                evaluated.points.push(evaluation);
                indices.push(index);
            }
        }
        evaluated.grid = Some(Grid { step: options.step, indices, predicted: grid.predicted().to_vec() });
        let count = evaluated.points.len();
        self.not_empty(evaluated, count)
    }

    /// Evaluates the skeleton where a design of several points follows; a point of it that fails leaves every evaluation complete.
    pub(crate) fn evaluate_skeleton(&mut self) {
        let p = self.map.mode.len();
        if p == 0 || self.strategy().0 == Strategy::EmpiricalBayes || self.engine.model().is_gaussian() {
            return;
        }
        let coordinates = Skeleton::coordinates(p);
        let points = self.evaluate_from(&coordinates, !self.engine.propagates(), &|_| None);
        let points: Option<Vec<PointEvaluation>> = points.into_iter().collect();
        if let Some(points) = points {
            let mut skeleton = Skeleton::new(self.map.clone(), points);
            skeleton.bend(&mut self.start);
            self.skeleton = Some(skeleton);
        }
    }

    pub(crate) fn evaluate(&mut self, zs: &[Vec<f64>]) -> Vec<Option<PointEvaluation>> {
        self.evaluate_from(zs, false, &|_| None)
    }

    /// The points that can be evaluated, from the modes that `guess` gives or else the start predicts.
    fn evaluate_from(
        &mut self,
        zs: &[Vec<f64>],
        with_slopes: bool,
        guess: &(dyn Fn(&[f64]) -> Option<Vec<f64>> + Sync),
    ) -> Vec<Option<PointEvaluation>> {
        let thetas: Vec<Vec<f64>> = zs.iter().map(|z| self.map.theta(z)).collect();
        let known = |theta: &Vec<f64>| {
            let centre = self.centre.as_ref().filter(|centre| centre.approximation.theta == *theta);
            centre.or_else(|| self.skeleton.as_ref().and_then(|skeleton| skeleton.find(theta))).cloned()
        };
        let mut axial = std::mem::take(&mut self.axial);
        let mut met = |theta: &Vec<f64>| {
            let place = axial.iter().position(|point| point.approximation.theta == *theta)?;
            Some(axial.swap_remove(place))
        };
        let mut kept: Vec<Option<PointEvaluation>> =
            thetas.iter().map(|theta| known(theta).or_else(|| met(theta))).collect();
        // before others take their room
        drop(axial);
        let missing: Vec<usize> = (0..thetas.len()).filter(|&i| kept[i].is_none()).collect();
        let wanted: Vec<Vec<f64>> = missing.iter().map(|&i| thetas[i].clone()).collect();
        let asked = |i: usize| Asked {
            theta: &wanted[i],
            guess: guess(&zs[missing[i]]),
            with_slopes,
            reading: self.reading(&wanted[i]),
        };
        let results = self.engine.evaluate_batch(wanted.len(), &self.start, asked);
        for ((i, theta), result) in missing.iter().copied().zip(wanted).zip(results) {
            match result {
                Ok(evaluation) => {
                    if theta == self.map.mode {
                        self.centre = Some(evaluation.clone());
                    }
                    kept[i] = Some(evaluation);
                }
                Err(error) => self.failed.push((theta, error.to_string())),
            }
        }
        kept
    }
}
