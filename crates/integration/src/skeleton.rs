//! What varies slowly with `θ` is computed at the centre of the design and on its axes, and interpolated between: the
//! third-order part of the correction, which costs more than an evaluation, and the modes from which searches start.

use laplace::{Sites, ThirdOrder};

use crate::design::reach;
use crate::engine::PointEvaluation;
use crate::hessian::Reparametrisation;
use crate::profiled::Profiles;
use crate::start::{End, Start};

/// Beyond this multiple of the distance nothing is extrapolated.
const FURTHEST: f64 = 1.25;

/// Complete evaluations at the centre and at both sides of every axis.
pub(crate) struct Skeleton {
    map: Reparametrisation,
    /// The centre, then for each axis the points at either [`reach`].
    points: Vec<PointEvaluation>,
    third_order: Vec<ThirdOrder>,
}

impl Skeleton {
    /// Where it is evaluated, in standardised coordinates of dimension `p`.
    pub(crate) fn coordinates(p: usize) -> Vec<Vec<f64>> {
        let mut out = vec![vec![0.0; p]];
        out.extend((0..p).flat_map(|k| [-reach(p), reach(p)].map(|z| crate::exploration::on_axis(p, k, z))));
        out
    }

    /// From the evaluations at [`coordinates`](Self::coordinates).
    pub(crate) fn new(map: Reparametrisation, mut points: Vec<PointEvaluation>) -> Self {
        let third_order = points.iter_mut().filter_map(|point| point.moments.third_order.take()).collect();
        Self { map, points, third_order }
    }

    /// Whether `z` lies within its reach on every axis.
    pub(crate) fn reaches(z: &[f64]) -> bool {
        let reach = reach(z.len());
        z.iter().all(|z| z.abs() <= reach)
    }

    pub(crate) fn centre(&self) -> &PointEvaluation {
        &self.points[0]
    }

    /// The evaluation at exactly `theta`, if it is one of the skeleton's.
    pub(crate) fn find(&self, theta: &[f64]) -> Option<&PointEvaluation> {
        self.points.iter().find(|point| point.approximation.theta == theta)
    }

    /// The third-order part interpolated at `theta`. Cost: a pass over nodes and rows for every point of the skeleton.
    pub(crate) fn third_order(&self, theta: &[f64]) -> ThirdOrder {
        let weights = weights(&self.map, theta);
        let sum = |of: &dyn Fn(&ThirdOrder) -> &Vec<f64>| {
            let mut total = vec![0.0; of(&self.third_order[0]).len()];
            for (weight, part) in weights.iter().zip(&self.third_order) {
                total.iter_mut().zip(of(part)).for_each(|(total, value)| *total += weight * value);
            }
            total
        };
        ThirdOrder {
            nodes: sum(&|part| &part.nodes),
            predictors: sum(&|part| &part.predictors),
            node_means: sum(&|part| &part.node_means),
            node_variances: sum(&|part| &part.node_variances),
            predictor_variances: sum(&|part| &part.predictor_variances),
            pairs_over_diagonal: weights
                .iter()
                .zip(&self.third_order)
                .map(|(w, part)| w * part.pairs_over_diagonal)
                .sum(),
            exact: self.third_order.iter().all(|part| part.exact),
        }
    }

    /// The densities of nodes and linear predictors interpolated at `theta`, where every point has them.
    pub(crate) fn profiles(&self, theta: &[f64]) -> Option<Profiles> {
        let parts: Option<Vec<&Profiles>> = self.points.iter().map(|point| point.profiles.as_ref()).collect();
        Profiles::interpolated(&parts?, &weights(&self.map, theta))
    }

    /// Bends the predictions of `start`, which lies at the centre, by modes and their slopes at the ends of the axes, which are forgotten
    /// then, or by parabolas through the sites.
    pub(crate) fn bend(&mut self, start: &mut Start) {
        let sites: Option<Vec<Sites>> = self.points.iter().map(|point| point.approximation.sites.clone()).collect();
        if let Some(sites) = sites {
            return start.bend_sites(&self.map, sites);
        }
        fn end(point: &PointEvaluation) -> End<'_> {
            (&point.approximation.mode, &point.slopes)
        }
        let ends: Vec<[End<'_>; 2]> =
            self.points[1..].chunks_exact(2).map(|pair| [end(&pair[0]), end(&pair[1])]).collect();
        start.bend(&self.map, reach(ends.len()), &ends);
        self.points.iter_mut().for_each(|point| point.slopes = Vec::new());
    }
}

/// The weights of a sum of parabolas, one along each axis, through the skeleton's points.
pub(crate) fn weights(map: &Reparametrisation, theta: &[f64]) -> Vec<f64> {
    let mut weights = vec![1.0];
    let reach = reach(map.mode.len());
    for z in map.z(theta) {
        let s = (z / reach).clamp(-FURTHEST, FURTHEST);
        weights[0] -= s * s;
        weights.extend([0.5 * (s * s - s), 0.5 * (s * s + s)]);
    }
    weights
}
