//! The Laplace approximation of single linear predictors against quadrature over the plane on which they are held.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

mod common;

use std::sync::Arc;

use approx::assert_relative_eq;
use common::{Coefficients, Family, Kind, block, chains, effect, model, profiles};
use gmrf::LinearConstraints;
use laplace::likelihood::{Poisson, StudentT};
use laplace::{
    Approximation, Correction, Design, Determinant, Held, LatentGaussianModel, Likelihood, Link, Moments,
    NewtonOptions, Observations, Workspace,
};

const TS: [f64; 8] = [-3.5, -2.5, -1.5, -0.7, 0.7, 1.5, 2.5, 3.5];
const WAYS: [Determinant; 2] = [Determinant::Exact, Determinant::Updated];

fn evaluate(model: &LatentGaussianModel, theta: &[f64]) -> (Approximation, Workspace) {
    let mut workspace = Workspace::new(model);
    let found = Approximation::evaluate(model, theta, None, &mut workspace, &NewtonOptions::default()).unwrap();
    (found, workspace)
}

fn observations(likelihood: impl Likelihood + 'static) -> Vec<Observations> {
    vec![Observations { name: "likelihood".into(), likelihood: Arc::new(likelihood) }]
}

/// Independent nodes with the given prior precisions under rows with several entries.
struct Small {
    kind: Kind,
    y: Vec<f64>,
    precisions: Vec<f64>,
    rows: Vec<Vec<f64>>,
}

impl Small {
    fn model(&self) -> LatentGaussianModel {
        let mut design = Design::new(self.precisions.len());
        for row in &self.rows {
            let entries: Vec<(usize, f64)> = row.iter().copied().enumerate().filter(|(_, a)| *a != 0.0).collect();
            design.push_row(&entries, 0.2).unwrap();
        }
        let effects = vec![effect("x", Coefficients::new(&self.precisions))];
        LatentGaussianModel::new(effects, observations(Family::new(self.kind, &self.y)), design).unwrap()
    }

    fn log_density(&self, x: &[f64]) -> f64 {
        let term = |(row, y): (&Vec<f64>, &f64)| {
            let eta = 0.2 + row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
            match self.kind {
                Kind::Poisson => y * eta - eta.exp(),
                _ => y * eta - eta.max(0.0) - (-eta.abs()).exp().ln_1p(),
            }
        };
        let prior = self.precisions.iter().zip(x).map(|(q, x)| 0.5 * q * x * x).sum::<f64>();
        self.rows.iter().zip(&self.y).map(term).sum::<f64>() - prior
    }

    /// The density of the predictor of `row` at `eta` but for a constant: the other nodes run over a grid, the first is what the others leave.
    fn density(&self, row: usize, eta: f64) -> f64 {
        let (a, n) = (&self.rows[row], self.precisions.len());
        let (step, side) = if n == 2 { (0.02, 1200_i32) } else { (0.1, 240) };
        let at = |k: i32| step * f64::from(k - side / 2);
        let held = |rest: &[f64]| {
            let others: f64 = a[1..].iter().zip(rest).map(|(a, x)| a * x).sum();
            let mut x = vec![(eta - 0.2 - others) / a[0]];
            x.extend_from_slice(rest);
            self.log_density(&x).exp()
        };
        match n {
            2 => (0..=side).map(|k| held(&[at(k)])).sum(),
            _ => (0..=side).flat_map(|k| (0..=side).map(move |l| (k, l))).map(|(k, l)| held(&[at(k), at(l)])).sum(),
        }
    }
}

fn small_models() -> [Small; 3] {
    let rows = vec![vec![1.0, 1.0], vec![1.0, -0.6], vec![0.5, 0.0]];
    let wide = vec![vec![1.0, 1.0, 0.0], vec![1.0, 0.0, 1.0], vec![1.0, 0.7, 0.7]];
    [
        Small { kind: Kind::Poisson, y: vec![0.0, 1.0, 0.0], precisions: vec![0.2, 0.5], rows: rows.clone() },
        Small { kind: Kind::Bernoulli, y: vec![1.0, 0.0, 1.0], precisions: vec![0.1, 0.3], rows },
        Small { kind: Kind::Poisson, y: vec![0.0, 0.0, 2.0], precisions: vec![0.2, 1.0, 1.0], rows: wide },
    ]
}

/// Mean and standard deviation of a density at equally spaced values.
fn moments(points: &[(f64, f64)]) -> (f64, f64) {
    let total: f64 = points.iter().map(|(_, d)| d).sum();
    let mean = points.iter().map(|(x, d)| x * d).sum::<f64>() / total;
    (mean, (points.iter().map(|(x, d)| (x - mean) * (x - mean) * d).sum::<f64>() / total).sqrt())
}

#[test]
fn of_rows_with_several_entries_it_is_nearer_to_quadrature_than_gaussian_and_simplified_laplace() {
    let ts: Vec<f64> = (-24..=24).map(|k| 0.25 * f64::from(k)).collect();
    for small in small_models() {
        let model = small.model();
        let (found, mut workspace) = evaluate(&model, &[]);
        let simplified = Moments::read(&model, &found, &mut workspace, &Correction::Complete).unwrap().predictors;
        for row in (0..small.rows.len()).filter(|&row| small.rows[row].iter().filter(|a| **a != 0.0).count() > 1) {
            let (mode, variance) = workspace.predictor(row);
            let eta = |t: f64| mode + t * variance.sqrt();
            let truth: Vec<(f64, f64)> = ts.iter().map(|&t| (eta(t), small.density(row, eta(t)))).collect();
            let middle = truth[24].1;
            let (mean, sd) = moments(&truth);
            for way in WAYS {
                let logs = profiles(&found, &model, &mut workspace, &[Held::Predictor(row)], (&ts, way));
                let logs = &logs[0];
                let (mut full, mut gaussian) = (0.0_f64, 0.0_f64);
                for ((t, log), (_, density)) in ts.iter().zip(logs).zip(&truth) {
                    let density = density / middle;
                    full = full.max((density - (log - 0.5 * t * t).exp()).abs());
                    gaussian = gaussian.max((density - (-0.5 * t * t).exp()).abs());
                }
                // exact along the predictor, Laplace's method across: of the errors of cubic and quartic terms in two or three dimensions those
                // in one or two are left, which are the smaller as the predictor's own direction is the least informed
                assert!(full < 0.4 * gaussian, "{row}: {full} of {gaussian}");
                let own: Vec<(f64, f64)> =
                    ts.iter().zip(logs).map(|(&t, log)| (eta(t), (log - 0.5 * t * t).exp())).collect();
                let (own_mean, own_sd) = moments(&own);
                let before = (simplified[row].mean - mean).abs() + (simplified[row].variance.sqrt() - sd).abs();
                let after = (own_mean - mean).abs() + (own_sd - sd).abs();
                // of two that are within a hundredth of a standard deviation either may be the nearer
                assert!(after < before.max(0.01 * sd), "{row}: {after} {before}");
            }
        }
    }
}

#[test]
fn with_a_gaussian_likelihood_that_does_not_say_so_it_is_the_normal_density() {
    for chain in chains() {
        let model = model(Kind::Unsaid, chain, 0.01);
        let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
        let (found, mut workspace) = evaluate(&model, &theta);
        let held: Vec<Held> = (0..model.rows()).map(Held::Predictor).collect();
        for way in WAYS {
            let logs = profiles(&found, &model, &mut workspace, &held, (&TS, way));
            let largest = logs.iter().flatten().fold(0.0_f64, |a, log| a.max(log.abs()));
            assert!(largest < 1e-9, "{largest}");
        }
    }
}

#[test]
fn constraints_hold_while_a_predictor_is_held() {
    // two nodes that sum to zero are one, x: rows of 2x, −2x and 0
    let mut design = Design::new(2);
    design.push_row(&[(0, 1.0), (1, -1.0)], 0.0).unwrap();
    design.push_row(&[(0, 1.0), (1, 3.0)], 0.0).unwrap();
    design.push_row(&[(0, 1.0), (1, 1.0)], 0.0).unwrap();
    let sum = LinearConstraints::sums_to_zero(2, [0..2]).unwrap();
    let chain = common::Chain::new(2, false, false, sum);
    let likelihood = Family::new(Kind::Poisson, &[0.0, 3.0, 1.0]);
    let model = LatentGaussianModel::new(vec![effect("x", chain)], observations(likelihood), design).unwrap();
    let theta = [-1.0, -2.0];
    let precision = 0.25 * (-1.0_f64).exp() * (4.0 + 2.0 * (-2.0_f64).exp());
    let log_density = |eta: f64| -eta.exp() - 3.0 * eta - (-eta).exp() - 0.5 * precision * eta * eta;
    let (found, mut workspace) = evaluate(&model, &theta);
    let eta = 2.0 * found.mode[0];
    let sd = (eta.exp() + (-eta).exp() + precision).sqrt().recip();
    for way in WAYS {
        let held = [0, 1, 2].map(Held::Predictor);
        let logs = profiles(&found, &model, &mut workspace, &held, (&TS, way));
        for (k, t) in TS.iter().enumerate() {
            let exact = |t: f64| log_density(eta + t * sd) - log_density(eta) + 0.5 * t * t;
            assert_relative_eq!(logs[0][k], exact(*t), epsilon = 1e-8, max_relative = 1e-8);
            assert_relative_eq!(logs[1][k], exact(-*t), epsilon = 1e-8, max_relative = 1e-8);
            // what constraints fix does not move
            assert_eq!(logs[2][k], 0.0);
        }
    }
}

#[test]
fn rows_alike_have_the_same_bits_and_a_multiple_of_a_node_has_its_density() {
    let small = Small {
        kind: Kind::Poisson,
        y: vec![0.0, 1.0, 0.0, 2.0],
        precisions: vec![0.3, 0.5],
        rows: vec![vec![1.0, 1.0], vec![-2.0, 0.0], vec![1.0, 1.0], vec![1.0, -0.5]],
    };
    let model = small.model();
    let (found, mut workspace) = evaluate(&model, &[]);
    let held = [Held::Predictor(0), Held::Predictor(1), Held::Predictor(2), Held::Node(0)];
    for way in WAYS {
        let logs = profiles(&found, &model, &mut workspace, &held, (&TS, way));
        assert_eq!(logs[0], logs[2]);
        for (multiple, node) in logs[1].iter().zip(logs[3].iter().rev()) {
            assert_relative_eq!(multiple, node, epsilon = 1e-9, max_relative = 1e-9);
        }
    }
}

#[test]
fn where_the_precision_is_not_positive_definite_a_predictor_still_has_its_density() {
    // a t response far from its prior: between the two the curvature is positive
    let student = StudentT::likelihood(&[9.0, 9.2, 9.1], None, block("precision", 0.0), block("dof", 0.0)).unwrap();
    let mut design = Design::new(2);
    design.push_row(&[(0, 1.0)], 0.0).unwrap();
    design.push_row(&[(0, 1.0), (1, 1.0)], 0.0).unwrap();
    design.push_row(&[(0, 1.0), (1, -1.0)], 0.0).unwrap();
    let effects = vec![effect("x", Coefficients::new(&[0.04, 4.0]))];
    let model = LatentGaussianModel::new(effects, observations(student), design).unwrap();
    let (found, mut workspace) = evaluate(&model, &[1.0, 0.0]);
    let ts = [-12.0, -9.0, -6.0, -4.0, -2.0, 2.0, 4.0];
    let held = [1, 2].map(Held::Predictor);
    let logs = profiles(&found, &model, &mut workspace, &held, (&ts, Determinant::Exact));
    assert!(logs.iter().flatten().all(|log| log.is_finite()), "{logs:?}");
}

#[test]
fn a_predictor_has_no_density_where_its_likelihood_has_none() {
    // an identity link bounds the mean from below
    let poisson = Poisson::new(&[1.0, 2.0], None, Link::Identity).unwrap();
    let mut design = Design::new(2);
    (0..2).for_each(|j| design.push_row(&[(0, 1.0), (1, j as f64)], 2.0).unwrap());
    let effects = vec![effect("x", Coefficients::new(&[0.5, 0.5]))];
    let model = LatentGaussianModel::new(effects, observations(poisson), design).unwrap();
    let (found, mut workspace) = evaluate(&model, &[]);
    let (mode, variance) = workspace.predictor(0);
    let held = [Held::Predictor(0)];
    let logs = profiles(&found, &model, &mut workspace, &held, (&TS, Determinant::Exact));
    for (t, log) in TS.iter().zip(&logs[0]) {
        assert_eq!(log.is_finite(), mode + t * variance.sqrt() > 0.0, "{t}: {log}");
    }
    assert!(logs[0].contains(&f64::NEG_INFINITY));
}

#[test]
fn where_a_link_bounds_other_predictors_the_way_to_a_value_is_cut_into_legs() {
    // means x₀ + 6 and x₀ + x₁ + 1 of counts: with the first held far below, the tangent leads the second out of its bounds
    let (y, precisions, offsets) = ([6.0, 1.0], [0.3, 1.0], [6.0, 1.0]);
    let poisson = Poisson::new(&y, None, Link::Identity).unwrap();
    let mut design = Design::new(2);
    design.push_row(&[(0, 1.0)], offsets[0]).unwrap();
    design.push_row(&[(0, 1.0), (1, 1.0)], offsets[1]).unwrap();
    let effects = vec![effect("x", Coefficients::new(&precisions))];
    let model = LatentGaussianModel::new(effects, observations(poisson), design).unwrap();
    let (found, mut workspace) = evaluate(&model, &[]);
    let (mode, variance) = workspace.predictor(0);
    let density = |eta: f64| -> f64 {
        let a = eta - offsets[0];
        let held = y[0] * eta.ln() - eta - 0.5 * precisions[0] * a * a;
        // the second predictor, in steps of a hundredth
        let means = (0..3000).map(|k| 0.005 + 0.01 * f64::from(k));
        let rest = |mean: f64| y[1] * mean.ln() - mean - 0.5 * precisions[1] * (mean - offsets[1] - a).powi(2);
        means.map(|mean| (held + rest(mean)).exp()).sum()
    };
    // straight to the far value
    let ts = [-4.5, 3.0];
    let logs = profiles(&found, &model, &mut workspace, &[Held::Predictor(0)], (&ts, Determinant::Exact));
    for (t, log) in ts.iter().zip(&logs[0]) {
        let eta = mode + t * variance.sqrt();
        let exact = (density(eta) / density(mode)).ln();
        // the other mean is that of a count of one: the error of Laplace's method across is that of Stirling's formula, a twelfth of a nat,
        // at the value and at the mode
        assert!((log - 0.5 * t * t - exact).abs() < 2.0 / 12.0, "{t}: {log} {exact}");
    }
}
