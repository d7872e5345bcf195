//! Gathers the evidence of a fit's accuracy while the design and its centre are at hand.

use laplace::{Correction, Moment};

use crate::certificate::{
    Checks, DesignDifference, Interpolation, NodeCheck, checked_nodes, departure, direction_tail_index, normal_draws,
    sensitivities,
};
use crate::engine::Asked;
use crate::evaluated::Evaluated;
use crate::exploration::Exploration;
use crate::hyper_marginal::{Axis, Lattice};
use crate::marginal::Marginal;
use crate::reading::Reading;

/// Standardised values at which a node's density is evaluated: from −4 to 4.
const VALUES: usize = 13;
/// Points along a direction without which nothing is said of its tails.
const LEAST_POINTS: usize = 4;

impl Exploration<'_> {
    /// The evidence; `marginals` are those of the hyperparameters.
    pub(crate) fn checks(
        &mut self,
        evaluated: &Evaluated,
        weights: &[f64],
        (axes, marginals, used): (&[(Axis, Axis)], &[Marginal], bool),
    ) -> Checks {
        let lattice = evaluated.lattice(used);
        let observed = self.observed().max(1) as f64;
        let centre = self.centre_evaluation();
        let effective = centre.as_ref().map_or(0.0, |point| point.moments.second_order.effective_parameters);
        let skewest = centre.iter().flat_map(|point| point.moments.nodes.iter().enumerate());
        let skewness = skewest.map(|(j, moment)| (j, moment.skewness));
        Checks {
            design_tail_indices: self.design_tail_indices(axes, lattice.as_ref(), used),
            design_difference: self.design_difference(evaluated, weights, marginals),
            gradient: self.map.slope(&self.mode.gradient).iter().fold(0.0_f64, |a, g| a.max(g.abs())),
            nodes: self.node_checks(),
            skewness: skewness.fold((0, 0.0), |a: (usize, f64), b| if b.1.abs() > a.1.abs() { b } else { a }),
            parameters_per_observation: effective / observed,
            interpolation: self.interpolation(evaluated, weights),
            sensitivities: sensitivities(self.engine.model(), &evaluated.points, weights),
        }
    }

    fn observed(&self) -> usize {
        let blocks = self.engine.model().observations();
        blocks.iter().map(|o| (0..o.likelihood.len()).filter(|&row| o.likelihood.is_observed(row)).count()).sum()
    }

    /// Along the axes where there are any, else through the centre of the lattice.
    fn design_tail_indices(&self, axes: &[(Axis, Axis)], lattice: Option<&Lattice>, used: bool) -> Vec<Option<f64>> {
        let p = self.map.mode.len();
        let along = |k: usize| -> Option<Axis> {
            if let Some((corrected, plain)) = axes.get(k) {
                return Some(if used { corrected } else { plain }.clone());
            }
            let lattice = lattice?;
            let line = lattice.points.iter().filter(|(index, _)| (0..p).all(|i| i == k || index[i] == 0));
            let mut points: Vec<(i32, f64)> = line.map(|(index, value)| (index[k], *value)).collect();
            points.sort_by_key(|point| point.0);
            let z = points.iter().map(|point| lattice.step * f64::from(point.0)).collect();
            (points.len() >= LEAST_POINTS).then(|| Axis::new(z, points.iter().map(|point| point.1).collect()))
        };
        let draws = normal_draws();
        (0..p).map(|k| along(k).map(|axis| direction_tail_index(&draws, |z| axis.at(z)))).collect()
    }

    /// Between the moments of the design and those of the marginals, which read more than its points; where a lattice has all of its
    /// points, of every second one of them.
    pub(crate) fn design_difference(
        &self,
        evaluated: &Evaluated,
        weights: &[f64],
        marginals: &[Marginal],
    ) -> Option<DesignDifference> {
        if evaluated.points.len() < 2 || self.draws.is_some() {
            return None;
        }
        let half = evaluated.grid.as_ref().and_then(|grid| grid.half(weights));
        let weights = half.as_deref().unwrap_or(weights);
        let theta = |k: usize, j: usize| evaluated.points[k].approximation.theta[j];
        let difference = |(j, marginal): (usize, &Marginal)| {
            let mean: f64 = weights.iter().enumerate().map(|(k, w)| w * theta(k, j)).sum();
            let variance: f64 = weights.iter().enumerate().map(|(k, w)| w * (theta(k, j) - mean).powi(2)).sum();
            let value = departure((mean, variance.sqrt()), (marginal.mean(), marginal.sd()));
            DesignDifference { hyperparameter: j, value }
        };
        marginals.iter().enumerate().map(difference).max_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// The interpolated sums where the weight of a point times its squared distance from the centre is largest, against complete ones.
    fn interpolation(&self, evaluated: &Evaluated, weights: &[f64]) -> Option<Interpolation> {
        let skeleton = self.skeleton.as_ref().filter(|_| self.interpolates())?;
        let interpolated = |k: &usize| skeleton.find(&evaluated.points[*k].approximation.theta).is_none();
        let leverage = |k: usize| weights[k] * evaluated.design[k].z.iter().map(|z| z * z).sum::<f64>();
        let places = (0..evaluated.points.len()).filter(interpolated);
        let place = places.max_by(|&a, &b| leverage(a).total_cmp(&leverage(b)))?;
        let (point, own) = (&evaluated.points[place].approximation, &evaluated.points[place].moments);
        let asked = |_: usize| Asked {
            theta: &point.theta,
            guess: Some(point.mode.clone()),
            with_slopes: false,
            reading: Reading::Expansion(Correction::Complete),
        };
        let complete = self.engine.evaluate_batch(1, &self.start, asked).pop()?.ok()?.moments;
        let second_order = (own.second_order.total() - complete.second_order.total()).abs();
        let node = |(own, complete): (&Moment, &Moment)| {
            departure((own.mean, own.variance.sqrt()), (complete.mean, complete.variance.sqrt()))
        };
        let errors = own.nodes.iter().zip(&complete.nodes).map(node).enumerate().filter(|(_, error)| error.is_finite());
        let (culprit, node) = errors.fold((0, 0.0), |most: (usize, f64), e| if e.1 > most.1 { e } else { most });
        Some(Interpolation { second_order, node, culprit })
    }

    /// Nodes at the centre; none where the likelihood is Gaussian and every one is exact.
    fn node_checks(&mut self) -> Vec<NodeCheck> {
        let model = self.engine.model();
        if model.is_gaussian() {
            return Vec::new();
        }
        let p = self.map.mode.len();
        let Some(centre) = self.evaluate(&[vec![0.0; p]]).pop().flatten() else { return Vec::new() };
        let half = (VALUES as f64 - 1.0) / 2.0;
        let ts: Vec<f64> = (0..VALUES).map(|k| 4.0 * (k as f64 - half) / half).collect();
        let nodes = checked_nodes(model, &centre.moments.nodes);
        let profiles = self.engine.profiles(&centre.approximation, &self.start, &nodes, &ts);
        let normal = normal_draws();
        let checks = nodes.iter().zip(profiles).map(|(&node, (sd, logs))| {
            let gaussian = (centre.approximation.mode[node], sd);
            NodeCheck::new(node, (&ts, &logs), gaussian, &centre.moments.nodes[node], &normal)
        });
        checks.filter(|check| check.mean.is_finite() && check.sd.is_finite()).collect()
    }
}
