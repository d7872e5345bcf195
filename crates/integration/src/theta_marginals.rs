//! The marginals of the hyperparameters, and of what the model derives from them.

use std::sync::Arc;

use crate::evaluated::Evaluated;
use crate::executor::map;
use crate::exploration::Exploration;
use crate::finer_lattice::finer;
use crate::hyper_marginal::{Axis, Lattice, of_axes, of_line, of_plane};
use crate::joint::Joint;
use crate::marginal::Marginal;
use crate::mixing::mixing_weights;
use crate::reshaping::{points_of, reshaped};
use crate::sampling::scores::NormalScores;
use crate::skewed::SkewedGaussian;

/// The same shape with another mean and standard deviation.
fn moved(marginal: Marginal, (mean, sd): (f64, f64)) -> Marginal {
    match marginal {
        Marginal::Tabulated(table) if sd > 0.0 => Marginal::Tabulated(Arc::new(table.moved(mean, sd))),
        other => other,
    }
}

/// What a design says of the hyperparameters.
pub(crate) struct ThetaMarginals {
    pub(crate) hyperparameters: Vec<Marginal>,
    /// Without the second-order terms.
    pub(crate) plain: Vec<Marginal>,
    pub(crate) derived: Vec<Marginal>,
    /// Weights of the design's points for mixtures of what is known given `θ`.
    pub(crate) mixing: Vec<f64>,
}

impl Exploration<'_> {
    /// Of the hyperparameters and of what is derived from them, with the weights that mix what is known given `θ`; `weights` are those
    /// of the design.
    pub(crate) fn theta_marginals(
        &self,
        evaluated: &Evaluated,
        axes: &[(Axis, Axis)],
        (used, weights): (bool, &[f64]),
    ) -> ThetaMarginals {
        let model = self.engine.model();
        let has_derived = !model.derived().is_empty();
        let of = |with: bool| {
            let chosen: Vec<Axis> =
                axes.iter().map(|(corrected, plain)| if with { corrected } else { plain }).cloned().collect();
            let lattice = evaluated.lattice(with);
            if let Some(draws) = &self.draws {
                let joint = self.joint_of_draws(draws, evaluated, with);
                let derived = if has_derived && with == used { self.derived(Some(&joint)) } else { Vec::new() };
                return (joint.marginals(self.executor, <[f64]>::to_vec), derived, weights.to_vec());
            }
            let several = lattice.is_none() && !axes.is_empty();
            let needed = several || (has_derived && with == used);
            let joint = (needed && !axes.is_empty()).then(|| self.joint(axes, &chosen, lattice.as_ref()));
            let derived = if has_derived && with == used { self.derived(joint.as_ref()) } else { Vec::new() };
            let mixing = match &joint {
                Some(joint) if several && with == used => {
                    let thetas: Vec<&[f64]> =
                        evaluated.points.iter().map(|p| p.approximation.theta.as_slice()).collect();
                    mixing_weights(&thetas, weights, joint)
                }
                _ => weights.to_vec(),
            };
            let finer = finer(evaluated, &self.map, with);
            (self.of_theta((lattice.as_ref(), finer.as_ref()), &chosen, joint.as_ref()), derived, mixing)
        };
        let (plain, derived, mixing) = of(false);
        if !used {
            return ThetaMarginals { hyperparameters: plain.clone(), plain, derived, mixing };
        }
        let (hyperparameters, derived, mixing) = of(true);
        ThetaMarginals { hyperparameters, plain, derived, mixing }
    }

    /// What the model derives from its hyperparameters.
    fn derived(&self, joint: Option<&Joint>) -> Vec<Marginal> {
        let model = self.engine.model();
        let point = |value: &f64| Marginal::Mixture(vec![(1.0, SkewedGaussian::new(*value, 0.0, 0.0))]);
        match joint {
            Some(joint) => joint.marginals(self.executor, |theta| model.derived_values(theta)),
            None => model.derived_values(&self.map.mode).iter().map(point).collect(),
        }
    }

    /// Draws from the axes' densities `of`, coupled as the plain log-density is, or as a lattice says where there is one.
    fn joint(&self, axes: &[(Axis, Axis)], of: &[Axis], lattice: Option<&Lattice>) -> Joint {
        let scores = NormalScores::new(of.iter(), axes);
        match lattice {
            Some(lattice) => self.joint_of_lattice(&scores, lattice),
            None => {
                let (_, draws) = self.coupled_draws(&scores);
                draws.joint(draws.weights.clone())
            }
        }
    }

    fn of_theta(
        &self,
        (lattice, finer): (Option<&Lattice>, Option<&Lattice>),
        axes: &[Axis],
        joint: Option<&Joint>,
    ) -> Vec<Marginal> {
        let p = self.map.mode.len();
        let gaussian = |j: usize| {
            let sd = self.map.loading(j).iter().map(|a| a * a).sum::<f64>().sqrt();
            Marginal::Mixture(vec![(1.0, SkewedGaussian::new(self.map.mode[j], sd, 0.0))])
        };
        map(self.executor, p, |j| match (lattice, p) {
            (Some(lattice), 1) => of_line(&self.map, lattice),
            (Some(lattice), 2) => {
                let marginal = of_plane(&self.map, finer.unwrap_or(lattice), j);
                self.matched(marginal, &points_of(&self.map, lattice, j))
            }
            _ if !axes.is_empty() => {
                let marginal = of_axes(&self.map, axes, j);
                match (lattice, joint) {
                    (Some(lattice), _) => self.reshaped(marginal, &points_of(&self.map, lattice, j)),
                    (_, Some(joint)) => moved(marginal, joint.theta_moments(j)),
                    _ => marginal,
                }
            }
            _ => gaussian(j),
        })
    }

    /// On a grid the moments of `θ_j` are known to the accuracy of the trapezoid rule, without interpolation between the points: the
    /// marginal keeps its shape and takes them.
    fn matched(&self, marginal: Marginal, (points, weights): &(Vec<f64>, Vec<f64>)) -> Marginal {
        let mean: f64 = points.iter().zip(weights).map(|(t, w)| w * t).sum();
        let variance: f64 = points.iter().zip(weights).map(|(t, w)| w * (t - mean).powi(2)).sum();
        moved(marginal, (mean, variance.sqrt()))
    }

    /// Beyond two hyperparameters the marginal takes its shape from the points too: along the axes it holds only where they are
    /// independent.
    fn reshaped(&self, marginal: Marginal, known: &(Vec<f64>, Vec<f64>)) -> Marginal {
        let Marginal::Tabulated(table) = &marginal else { return marginal };
        match reshaped(table, &known.0, &known.1) {
            Some(table) => Marginal::Tabulated(Arc::new(table)),
            None => self.matched(marginal, known),
        }
    }
}
