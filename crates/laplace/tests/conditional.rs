//! The Laplace approximation of single nodes against quadrature, and its cheap determinant against the exact one.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

mod common;

use std::sync::Arc;

use approx::assert_relative_eq;
use common::{Coefficients, Family, Kind, block, chains, effect, model, profiles};
use gmrf::LinearConstraints;
use laplace::likelihood::StudentT;
use laplace::{Approximation, Design, Determinant, Held, LatentGaussianModel, NewtonOptions, Observations, Workspace};

const TS: [f64; 8] = [-3.5, -2.5, -1.5, -0.7, 0.7, 1.5, 2.5, 3.5];

fn evaluate(model: &LatentGaussianModel, theta: &[f64]) -> (Approximation, Workspace) {
    let mut workspace = Workspace::new(model);
    let found = Approximation::evaluate(model, theta, None, &mut workspace, &NewtonOptions::default()).unwrap();
    (found, workspace)
}

#[test]
fn of_a_single_node_it_is_the_density_itself() {
    for (kind, y, precision) in [(Kind::Poisson, 0.0, 0.05), (Kind::Bernoulli, 1.0, 0.1), (Kind::Poisson, 4.0, 1.0)] {
        let mut design = Design::new(1);
        design.push_row(&[(0, 1.0)], 0.3).unwrap();
        let likelihood = Arc::new(Family::new(kind, &[y]));
        let observations = vec![Observations { name: "likelihood".into(), likelihood }];
        let model =
            LatentGaussianModel::new(vec![effect("x", Coefficients::new(&[precision]))], observations, design).unwrap();
        let log_density = |x: f64| {
            let eta = x + 0.3;
            let term = match kind {
                Kind::Poisson => y * eta - eta.exp(),
                _ => y * eta - eta.max(0.0) - (-eta.abs()).exp().ln_1p(),
            };
            term - 0.5 * precision * x * x
        };
        let (found, mut workspace) = evaluate(&model, &[]);
        let curvature = |x: f64| (log_density(x + 1e-4) + log_density(x - 1e-4) - 2.0 * log_density(x)) / 1e-8;
        let (mode, sd) = (found.mode[0], (-curvature(found.mode[0])).sqrt().recip());
        for determinant in [Determinant::Exact, Determinant::Updated] {
            let logs = profiles(&found, &model, &mut workspace, &[Held::Node(0)], (&TS, determinant));
            for (t, log) in TS.iter().zip(&logs[0]) {
                let exact = log_density(mode + t * sd) - log_density(mode) + 0.5 * t * t;
                // the standard deviation is differenced here, to 1e-7 of itself
                assert_relative_eq!(*log, exact, epsilon = 1e-5, max_relative = 1e-5);
            }
        }
    }
}

/// Two nodes, of which the first alone or both enter each row; their joint log-density but for a constant.
struct Pair {
    y: [f64; 3],
    precision: [f64; 2],
}

impl Pair {
    fn model(&self) -> LatentGaussianModel {
        let mut design = Design::new(2);
        design.push_row(&[(0, 1.0)], 0.0).unwrap();
        design.push_row(&[(0, 1.0), (1, 1.0)], 0.0).unwrap();
        design.push_row(&[(0, 1.0), (1, -1.0)], 0.0).unwrap();
        let likelihood = Arc::new(Family::new(Kind::Poisson, &self.y));
        let observations = vec![Observations { name: "likelihood".into(), likelihood }];
        let effects = vec![effect("x", Coefficients::new(&self.precision))];
        LatentGaussianModel::new(effects, observations, design).unwrap()
    }

    fn log_density(&self, a: f64, b: f64) -> f64 {
        let term = |y: f64, eta: f64| y * eta - eta.exp();
        let [p, q] = self.precision;
        term(self.y[0], a) + term(self.y[1], a + b) + term(self.y[2], a - b) - 0.5 * (p * a * a + q * b * b)
    }

    /// `log` of the marginal density of the first node at `a`, by quadrature.
    fn log_marginal(&self, a: f64) -> f64 {
        let step = 0.01;
        let total: f64 = (-2500..=2500).map(|k| self.log_density(a, step * f64::from(k)).exp() * step).sum();
        total.ln()
    }
}

#[test]
fn of_two_nodes_it_is_far_nearer_to_quadrature_than_the_gaussian() {
    for (y, precision) in [([0.0, 0.0, 1.0], [0.1, 0.2]), ([0.0, 2.0, 0.0], [0.3, 0.3])] {
        let pair = Pair { y, precision };
        let model = pair.model();
        let (found, mut workspace) = evaluate(&model, &[]);
        let exact = profiles(&found, &model, &mut workspace, &[Held::Node(0)], (&TS, Determinant::Exact));
        let updated = profiles(&found, &model, &mut workspace, &[Held::Node(0)], (&TS, Determinant::Updated));
        let (sd, _) = found.profile(&model, &workspace, 0, &[0.0]).unwrap();
        let origin = pair.log_marginal(found.mode[0]);
        let mut worst = [0.0_f64; 3];
        for (k, t) in TS.iter().enumerate() {
            let truth = pair.log_marginal(found.mode[0] + t * sd) - origin + 0.5 * t * t;
            // errors where there is mass
            let weight = (truth - 0.5 * t * t).exp();
            for (worst, log) in worst.iter_mut().zip([exact[0][k], updated[0][k], 0.0]) {
                *worst = worst.max(weight * (log - truth).abs());
            }
        }
        assert!(worst[0] < 0.1 * worst[2], "{worst:?}");
        assert!(worst[1] < 0.2 * worst[2], "{worst:?}");
    }
}

#[test]
fn rows_that_hardly_move_with_a_coefficient_are_not_missed_together() {
    const KINDS: [f64; 4] = [9.0, 10.0, 12.0, 15.0];
    // an intercept over counts with an effect each: given it rows are independent, and the profile is the density itself
    let m = 40_000;
    let mut design = Design::new(m + 1);
    (0..m).for_each(|i| design.push_row(&[(0, 1.0), (i + 1, 1.0)], 0.0).unwrap());
    let y: Vec<f64> = (0..m).map(|i| KINDS[i % 4]).collect();
    let likelihood = Arc::new(Family::new(Kind::Poisson, &y));
    let observations = vec![Observations { name: "likelihood".into(), likelihood }];
    let precisions: Vec<f64> = (0..=m).map(|j| if j == 0 { 1e-3 } else { 1.0 }).collect();
    let effects = vec![effect("x", Coefficients::new(&precisions))];
    let model = LatentGaussianModel::new(effects, observations, design).unwrap();
    let (found, workspace) = evaluate(&model, &[]);
    let (sd, logs) = found.profile(&model, &workspace, 0, &[-1.0, 1.0]).unwrap();
    let log_density = |a: f64| {
        let rows = KINDS.iter().map(|y| {
            let term = |x: f64| (y * (a + x) - (a + x).exp() - 0.5 * x * x - 10.0).exp();
            (-1200..=1200).map(|k| term(0.005 * f64::from(k))).sum::<f64>().ln()
        });
        0.25 * m as f64 * rows.sum::<f64>() - 5e-4 * a * a
    };
    let mode = found.mode[0];
    let slope = 0.5 * (log_density(mode + sd) - log_density(mode - sd));
    assert!(slope < -1.0, "{slope}");
    // three nodes for each row are off by a share of the square of its skewness, 0.3² here; rows left out at a correlation of 0.002 each
    // would leave nothing
    assert_relative_eq!(0.5 * (logs[1] - logs[0]), slope, max_relative = 0.05);
}

#[test]
fn nothing_moves_where_the_likelihood_is_gaussian_and_the_workspace_is_left_as_it_was() {
    for (kind, chain) in
        [Kind::Gaussian, Kind::Poisson].into_iter().flat_map(|kind| chains().into_iter().map(move |c| (kind, c)))
    {
        let model = model(kind, chain, 0.01);
        let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
        let (found, mut workspace) = evaluate(&model, &theta);
        let before = found.profile(&model, &workspace, 2, &TS).unwrap();
        let nodes: Vec<Held> = (0..model.nodes()).map(Held::Node).collect();
        let logs = profiles(&found, &model, &mut workspace, &nodes, (&TS, Determinant::Exact));
        assert_eq!(before, found.profile(&model, &workspace, 2, &TS).unwrap());
        let largest = logs.iter().flatten().fold(0.0_f64, |a, log| a.max(log.abs()));
        assert_eq!(kind == Kind::Gaussian, largest == 0.0, "{largest}");
        assert!(largest < 5.0 && logs.iter().flatten().all(|log| log.is_finite()));
    }
}

#[test]
fn constraints_hold_for_the_others_too() {
    // two nodes that sum to zero are one: y₀ ~ Poisson(e^x), y₁ ~ Poisson(e^{−x}), x of precision 2·0.3
    let mut design = Design::new(2);
    (0..2).for_each(|j| design.push_row(&[(j, 1.0)], 0.0).unwrap());
    let likelihood = Arc::new(Family::new(Kind::Poisson, &[0.0, 3.0]));
    let observations = vec![Observations { name: "likelihood".into(), likelihood }];
    let sum = LinearConstraints::sums_to_zero(2, [0..2]).unwrap();
    let chain = common::Chain::new(2, false, false, sum);
    let model = LatentGaussianModel::new(vec![effect("x", chain)], observations, design).unwrap();
    let theta = [-1.0, -2.0];
    let precision = (-1.0_f64).exp() * (4.0 + 2.0 * (-2.0_f64).exp());
    let log_density = |x: f64| -x.exp() - 3.0 * x - (-x).exp() - 0.5 * precision * x * x;
    let (found, mut workspace) = evaluate(&model, &theta);
    let x = found.mode[0];
    let sd = (x.exp() + (-x).exp() + precision).sqrt().recip();
    for determinant in [Determinant::Exact, Determinant::Updated] {
        let logs = profiles(&found, &model, &mut workspace, &[0, 1].map(Held::Node), (&TS, determinant));
        for (k, t) in TS.iter().enumerate() {
            let exact = |t: f64| log_density(x + t * sd) - log_density(x) + 0.5 * t * t;
            assert_relative_eq!(logs[0][k], exact(*t), epsilon = 1e-9, max_relative = 1e-9);
            assert_relative_eq!(logs[1][k], exact(-*t), epsilon = 1e-9, max_relative = 1e-9);
        }
    }
}

#[test]
fn the_updated_determinant_differs_from_the_exact_one_by_hundredths_where_there_is_mass() {
    for (kind, bound) in [(Kind::Poisson, 0.02), (Kind::Bernoulli, 0.02)] {
        for chain in chains() {
            let model = model(kind, chain, 0.01);
            let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
            let (found, mut workspace) = evaluate(&model, &theta);
            let nodes: Vec<Held> = (0..model.nodes()).map(Held::Node).collect();
            let [exact, updated] = [Determinant::Exact, Determinant::Updated]
                .map(|way| profiles(&found, &model, &mut workspace, &nodes, (&TS, way)));
            for (exact, updated) in exact.iter().zip(&updated) {
                for ((t, exact), updated) in TS.iter().zip(exact).zip(updated) {
                    let difference = (exact - updated).abs() * (exact - 0.5 * t * t).exp();
                    assert!(difference < bound, "{kind:?} at {t}: {exact} {updated}");
                }
            }
        }
    }
}

#[test]
fn where_the_precision_is_not_positive_definite_the_others_still_have_their_mode() {
    // a t response far from its prior: between the two the curvature is positive
    let student = StudentT::likelihood(&[9.0, 9.2], None, block("precision", 0.0), block("dof", 0.0)).unwrap();
    let mut design = Design::new(2);
    design.push_row(&[(0, 1.0)], 0.0).unwrap();
    design.push_row(&[(0, 1.0), (1, 1.0)], 0.0).unwrap();
    let observations = vec![Observations { name: "t".into(), likelihood: Arc::new(student) }];
    let effects = vec![effect("x", Coefficients::new(&[0.04, 4.0]))];
    let model = LatentGaussianModel::new(effects, observations, design).unwrap();
    let (found, mut workspace) = evaluate(&model, &[1.0, 0.0]);
    // down to the prior's mean and beyond
    let ts = [-12.0, -9.0, -6.0, -4.0, -2.0, 2.0, 4.0];
    let logs = profiles(&found, &model, &mut workspace, &[Held::Node(0)], (&ts, Determinant::Exact));
    assert!(logs[0].iter().all(|log| log.is_finite()), "{logs:?}");
}
