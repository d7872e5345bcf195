//! Expectation propagation against closed forms, quadrature and finite differences.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

mod common;

use std::sync::Arc;

use approx::assert_relative_eq;
use common::{Chain, Coefficients, Family, Kind, N, chains, effect, model};
use gmrf::LinearConstraints;
use laplace::{
    Approximation, Correction, Design, LaplaceError, LatentGaussianModel, Moments, NewtonOptions, Observations,
    PropagationOptions, Workspace,
};

/// Tight enough for differences: the gradient is linear in the distance from the fixed point.
const OPTIONS: PropagationOptions = PropagationOptions { tolerance: 1e-10, max_iterations: 500 };

fn propagate(model: &LatentGaussianModel, theta: &[f64], workspace: &mut Workspace) -> Approximation {
    Approximation::propagate(model, theta, (None, None), workspace, (&NewtonOptions::default(), &OPTIONS)).unwrap()
}

#[test]
fn a_gaussian_likelihood_gives_the_closed_form() {
    for chain in chains() {
        let model = model(Kind::Gaussian, chain, 0.5);
        let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
        let mut workspace = Workspace::new(&model);
        let options = NewtonOptions::default();
        let exact = Approximation::evaluate(&model, &theta, None, &mut workspace, &options).unwrap();
        let found = propagate(&model, &theta, &mut workspace);
        assert_relative_eq!(found.log_posterior, exact.log_posterior, max_relative = 1e-10);
        for (a, b) in found.gradient.iter().chain(&found.mode).zip(exact.gradient.iter().chain(&exact.mode)) {
            assert_relative_eq!(*a, *b, epsilon = 1e-8, max_relative = 1e-8);
        }
    }
}

#[test]
fn the_gradient_is_that_of_the_value_for_every_family_mean_and_constraint() {
    for kind in [Kind::Gaussian, Kind::Poisson, Kind::Bernoulli] {
        for chain in chains() {
            let model = model(kind, chain, 0.01);
            let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
            let mut workspace = Workspace::new(&model);
            let gradient = propagate(&model, &theta, &mut workspace).gradient;
            // ε^{1/3} balances truncation and rounding of a central difference
            let h = 6e-6;
            for j in 0..theta.len() {
                let mut at = |shift: f64| {
                    let mut moved = theta.clone();
                    moved[j] += shift;
                    propagate(&model, &moved, &mut workspace).log_posterior
                };
                let difference = (at(h) - at(-h)) / (2.0 * h);
                assert_relative_eq!(gradient[j], difference, epsilon = 5e-7, max_relative = 5e-7);
            }
        }
    }
}

/// Bernoulli and Poisson responses of one node, `x ~ N(0, 1/precision)`.
fn one_node(kind: Kind, y: &[f64], precision: f64) -> LatentGaussianModel {
    let mut design = Design::new(1);
    y.iter().for_each(|_| design.push_row(&[(0, 1.0)], 0.3).unwrap());
    let observations = vec![Observations { name: "likelihood".into(), likelihood: Arc::new(Family::new(kind, y)) }];
    LatentGaussianModel::new(vec![effect("x", Coefficients::new(&[precision]))], observations, design).unwrap()
}

/// Logarithm of the integral, mean, variance and third cumulant of `e^f`.
fn quadrature(f: impl Fn(f64) -> f64) -> [f64; 4] {
    let step = 1e-3;
    let grid: Vec<f64> = (-40_000..=40_000).map(|k| f64::from(k) * step).collect();
    let weights: Vec<f64> = grid.iter().map(|&x| f(x).exp() * step).collect();
    let z: f64 = weights.iter().sum();
    let central =
        |mean: f64, power: i32| grid.iter().zip(&weights).map(|(x, w)| (x - mean).powi(power) * w).sum::<f64>() / z;
    let mean = central(0.0, 1);
    [z.ln(), mean, central(mean, 2), central(mean, 3)]
}

fn exact_of_one_node(kind: Kind, y: &[f64], precision: f64) -> [f64; 4] {
    quadrature(|x| {
        let eta = x + 0.3;
        let prior = 0.5 * (precision / (2.0 * std::f64::consts::PI)).ln() - 0.5 * precision * x * x;
        let terms = y.iter().map(|y| match kind {
            Kind::Poisson => y * eta - eta.exp() - libm::lgamma(y + 1.0),
            _ => y * eta - eta.max(0.0) - (-eta.abs()).exp().ln_1p(),
        });
        prior + terms.sum::<f64>()
    })
}

#[test]
fn a_single_row_is_exact_in_constant_mean_variance_and_skewness() {
    // Laplace is off by tenths of a standard deviation here
    for (kind, y) in [(Kind::Bernoulli, 1.0), (Kind::Poisson, 0.0), (Kind::Poisson, 3.0)] {
        for precision in [0.1, 1.0] {
            let model = one_node(kind, &[y], precision);
            let mut workspace = Workspace::new(&model);
            let found = propagate(&model, &[], &mut workspace);
            let moments = Moments::read(&model, &found, &mut workspace, &Correction::Complete).unwrap();
            let [log_z, mean, variance, third] = exact_of_one_node(kind, &[y], precision);
            // the least smooth of these, y = 0 under a prior of variance 10, leaves the trapezoid rule 1e-5
            assert_relative_eq!(found.log_likelihood, log_z, epsilon = 2e-5);
            assert_relative_eq!(moments.nodes[0].mean, mean, epsilon = 2e-5);
            assert_relative_eq!(moments.nodes[0].variance, variance, max_relative = 1e-4);
            assert_relative_eq!(moments.nodes[0].skewness, third / variance.powf(1.5), epsilon = 5e-4);
            assert!(moments.second_order.total().abs() < 1e-12, "one row has no pairs");
        }
    }
}

#[test]
fn the_third_cumulant_takes_most_of_the_error_of_several_rows() {
    // eight Bernoulli trials of one node with a wide prior
    let y = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    let model = one_node(Kind::Bernoulli, &y, 0.1);
    let mut workspace = Workspace::new(&model);
    let laplace = Approximation::evaluate(&model, &[], None, &mut workspace, &NewtonOptions::default()).unwrap();
    let found = propagate(&model, &[], &mut workspace);
    let moments = Moments::read(&model, &found, &mut workspace, &Correction::Complete).unwrap();
    let [log_z, mean, variance, _] = exact_of_one_node(Kind::Bernoulli, &y, 0.1);
    let (error, plain) = ((found.log_likelihood - log_z).abs(), (laplace.log_likelihood - log_z).abs());
    let corrected = (found.log_likelihood + moments.second_order.total() - log_z).abs();
    assert!(error < 0.5 * plain, "EP {error}, Laplace {plain}");
    assert!(corrected < 0.35 * error, "corrected {corrected}, EP {error}");
    assert!((found.mode[0] - mean).abs() < 0.1 * (laplace.mode[0] - mean).abs());
    let tilted = (moments.nodes[0].mean - mean).abs();
    assert!(tilted < 0.4 * (found.mode[0] - mean).abs(), "mean {} {} of {mean}", moments.nodes[0].mean, found.mode[0]);
    let missing = 1.0 - moments.nodes[0].variance / variance;
    assert!(missing.abs() < 0.05, "variance {} of {variance}", moments.nodes[0].variance);
}

#[test]
fn neighbouring_sites_lead_to_the_same_fixed_point_in_fewer_iterations() {
    let model = model(Kind::Bernoulli, Chain::new(N, false, true, LinearConstraints::none(N)), 0.01);
    let theta: Vec<f64> = vec![0.3; model.free_count()];
    let mut workspace = Workspace::new(&model);
    let near: Vec<f64> = theta.iter().map(|t| t + 0.05).collect();
    let sites = propagate(&model, &near, &mut workspace).sites;
    let (cold, options) = (propagate(&model, &theta, &mut workspace), NewtonOptions::default());
    let warm =
        Approximation::propagate(&model, &theta, (None, sites.as_ref()), &mut workspace, (&options, &OPTIONS)).unwrap();
    assert_relative_eq!(warm.log_posterior, cold.log_posterior, max_relative = 1e-12);
    assert!(warm.factorisations < cold.factorisations, "{} {}", warm.factorisations, cold.factorisations);
}

#[test]
fn what_does_not_converge_says_so() {
    let model = one_node(Kind::Bernoulli, &[1.0, 1.0], 0.01);
    let options = PropagationOptions { tolerance: 1e-12, max_iterations: 2 };
    let newton = NewtonOptions::default();
    let error = Approximation::propagate(&model, &[], (None, None), &mut Workspace::new(&model), (&newton, &options))
        .unwrap_err();
    assert!(matches!(&error, LaplaceError::NoFixedPoint { iterations: 2, .. }), "{error}");
}
