//! Designs with scaled entries against plain designs and finite differences.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

mod common;

use std::sync::Arc;

use approx::assert_relative_eq;
use common::{Chain, Coefficients, Family, Kind, N, chains, counts, effect};
use gmrf::prior::Normal;
use gmrf::{Hyperparameter, HyperparameterBlock, LinearConstraints, Transform};
use laplace::{
    Approximation, Correction, Design, LatentGaussianModel, Moments, NewtonOptions, Observations, PropagationOptions,
    ScaledEntry, Scaling, Workspace,
};

/// The finite differences below need the fixed point to their own accuracy.
const OPTIONS: PropagationOptions = PropagationOptions { tolerance: 1e-10, max_iterations: 300 };

fn scaling(name: &str, transform: Transform, initial: f64, fixed: bool) -> Scaling {
    let parameter = Hyperparameter { fixed, ..Hyperparameter::new("beta", transform, initial) };
    let prior = Arc::new(Normal::new(1.0, 10.0).unwrap());
    Scaling { name: name.to_owned(), block: HyperparameterBlock { parameters: vec![parameter], prior } }
}

/// Entries of row `i`: plain ones, and those that two scalings multiply; some rows have both on one node.
fn entries(i: usize) -> (Vec<(usize, f64)>, Vec<ScaledEntry>) {
    let node = 2 + i % N;
    let mut plain = vec![(0, 1.0), (1, (i as f64 - 8.0) / 9.0)];
    if i < N {
        plain.push((node, 1.0));
        return (plain, vec![ScaledEntry { node, coefficient: 0.3 * (i % 2) as f64, scaling: 1 }]);
    }
    let other = 2 + (i + 1) % N;
    let first = ScaledEntry { node, coefficient: 1.0 - 0.05 * i as f64, scaling: 0 };
    (plain, vec![first, ScaledEntry { node: other, coefficient: 0.5, scaling: 1 }])
}

fn observations(kind: Kind) -> Vec<Observations> {
    let y: Vec<f64> = match kind {
        Kind::Bernoulli => counts().iter().map(|y| f64::from(*y > 2.5)).collect(),
        _ => counts(),
    };
    vec![Observations { name: "likelihood".into(), likelihood: Arc::new(Family::new(kind, &y)) }]
}

fn model(kind: Kind, chain: Chain, scalings: Vec<Scaling>) -> LatentGaussianModel {
    let mut design = Design::with_scalings(2 + N, scalings);
    for i in 0..2 * N {
        let (plain, scaled) = entries(i);
        design.push_scaled_row(&plain, &scaled, 0.1 * (i % 3) as f64).unwrap();
    }
    let effects = vec![effect("fixed", Coefficients::new(&[0.5, 0.01])), effect("chain", chain)];
    LatentGaussianModel::new(effects, observations(kind), design).unwrap()
}

/// The same with the entries at given factors.
fn plain(kind: Kind, chain: Chain, factors: [f64; 2]) -> LatentGaussianModel {
    let mut design = Design::new(2 + N);
    for i in 0..2 * N {
        let (mut row, scaled) = entries(i);
        row.extend(scaled.iter().map(|s| (s.node, s.coefficient * factors[s.scaling])));
        design.push_row(&row, 0.1 * (i % 3) as f64).unwrap();
    }
    let effects = vec![effect("fixed", Coefficients::new(&[0.5, 0.01])), effect("chain", chain)];
    LatentGaussianModel::new(effects, observations(kind), design).unwrap()
}

fn free() -> Vec<Scaling> {
    vec![scaling("first", Transform::Identity, 0.7, false), scaling("second", Transform::Exp, -0.4, false)]
}

fn laplace(model: &LatentGaussianModel, theta: &[f64], workspace: &mut Workspace) -> Approximation {
    Approximation::evaluate(model, theta, None, workspace, &NewtonOptions::default()).unwrap()
}

fn propagate(model: &LatentGaussianModel, theta: &[f64], workspace: &mut Workspace) -> Approximation {
    Approximation::propagate(model, theta, (None, None), workspace, (&NewtonOptions::default(), &OPTIONS)).unwrap()
}

#[test]
fn a_scaled_design_is_the_plain_one_of_the_same_values() {
    for kind in [Kind::Gaussian, Kind::Poisson, Kind::Bernoulli] {
        let chain = || Chain::new(N, false, false, LinearConstraints::none(N));
        let (scaled, plain) = (model(kind, chain(), free()), plain(kind, chain(), [-1.3, 0.4f64.exp()]));
        let own: Vec<f64> = (0..plain.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
        let theta = [own.as_slice(), &[-1.3, 0.4]].concat();
        let (mut left, mut right) = (Workspace::new(&scaled), Workspace::new(&plain));
        // what the workspace held before does not matter
        laplace(&scaled, &scaled.initial_theta(), &mut left);
        for evaluate in [laplace, propagate] {
            let (found, expected) = (evaluate(&scaled, &theta, &mut left), evaluate(&plain, &own, &mut right));
            assert_relative_eq!(found.log_likelihood, expected.log_likelihood, max_relative = 1e-12);
            for (gradient, expected) in found.gradient.iter().zip(&expected.gradient) {
                assert_relative_eq!(gradient, expected, epsilon = 1e-9, max_relative = 1e-9);
            }
            let moments = Moments::read(&scaled, &found, &mut left, &Correction::Complete).unwrap();
            let same = Moments::read(&plain, &expected, &mut right, &Correction::Complete).unwrap();
            let pairs = moments.nodes.iter().zip(&same.nodes).chain(moments.predictors.iter().zip(&same.predictors));
            for (found, expected) in pairs {
                assert_relative_eq!(found.mean, expected.mean, epsilon = 1e-8);
                assert_relative_eq!(found.variance, expected.variance, max_relative = 1e-8);
                assert_relative_eq!(found.skewness, expected.skewness, epsilon = 1e-8);
            }
            assert_relative_eq!(
                moments.second_order.cubic_pairs,
                same.second_order.cubic_pairs,
                epsilon = 1e-10,
                max_relative = 1e-8
            );
        }
    }
}

#[test]
fn the_gradient_in_a_scaling_is_that_of_the_value() {
    for kind in [Kind::Gaussian, Kind::Poisson, Kind::Bernoulli] {
        for (evaluate, h, bar) in [
            // ε^{1/3} balances truncation and rounding of a central difference
            (laplace as fn(&LatentGaussianModel, &[f64], &mut Workspace) -> Approximation, 6e-6, 2e-7),
            // the fixed point is found to 1e-10, its energy to the square: rounding of the quadrature leaves some 1e-12
            (propagate, 1e-4, 1e-6),
        ] {
            for chain in chains() {
                let model = model(kind, chain, free());
                let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
                let mut workspace = Workspace::new(&model);
                let gradient = evaluate(&model, &theta, &mut workspace).gradient;
                for j in theta.len() - 2..theta.len() {
                    let mut at = |shift: f64| {
                        let mut moved = theta.clone();
                        moved[j] += shift;
                        evaluate(&model, &moved, &mut workspace).log_posterior
                    };
                    let difference = (at(h) - at(-h)) / (2.0 * h);
                    assert_relative_eq!(gradient[j], difference, epsilon = bar, max_relative = bar);
                }
            }
        }
    }
}

#[test]
fn the_mode_moves_with_a_scaling() {
    for kind in [Kind::Gaussian, Kind::Poisson, Kind::Bernoulli] {
        for chain in chains() {
            let model = model(kind, chain, free());
            let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
            let mut workspace = Workspace::new(&model);
            let centre = laplace(&model, &theta, &mut workspace);
            let derivatives = centre.mode_derivatives(&model, &mut workspace).unwrap();
            // the mode is known to the root of the search's tolerance, so the step is wider than for values
            let h = 1e-3;
            for (j, found) in derivatives.iter().enumerate().skip(theta.len() - 2) {
                let mut at = |shift: f64| {
                    let mut moved = theta.clone();
                    moved[j] += shift;
                    laplace(&model, &moved, &mut workspace).mode
                };
                for ((found, up), down) in found.iter().zip(at(h)).zip(at(-h)) {
                    assert_relative_eq!(*found, (up - down) / (2.0 * h), epsilon = 2e-5, max_relative = 2e-5);
                }
            }
        }
    }
}

#[test]
fn a_fixed_scaling_is_a_constant() {
    let chain = || Chain::new(N, false, false, LinearConstraints::none(N));
    let fixed = vec![scaling("first", Transform::Identity, -1.3, true), scaling("second", Transform::Exp, 0.4, true)];
    let (scaled, plain) = (model(Kind::Poisson, chain(), fixed), plain(Kind::Poisson, chain(), [-1.3, 0.4f64.exp()]));
    assert_eq!(scaled.free_count(), plain.free_count());
    let theta = [0.1, -0.2];
    let found = laplace(&scaled, &theta, &mut Workspace::new(&scaled));
    let expected = laplace(&plain, &theta, &mut Workspace::new(&plain));
    assert_relative_eq!(found.log_posterior, expected.log_posterior, max_relative = 1e-12);
}

#[test]
fn scalings_that_do_not_fit_are_refused() {
    let mut design = Design::with_scalings(1, free());
    let entry = |node, coefficient, scaling| ScaledEntry { node, coefficient, scaling };
    for (bad, says) in [(entry(1, 1.0, 0), "node 1"), (entry(0, f64::NAN, 0), "NaN"), (entry(0, 1.0, 2), "scaling 2")] {
        let error = design.push_scaled_row(&[], &[bad], 0.0).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!((design.rows(), design.nnz()), (0, 0));
    let mut two = scaling("two", Transform::Identity, 1.0, false);
    two.block.parameters.push(two.block.parameters[0].clone());
    let mut design = Design::with_scalings(N, vec![two]);
    (0..2 * N).for_each(|i| design.push_row(&[(i % N, 1.0)], 0.0).unwrap());
    let effects = vec![effect("chain", Chain::new(N, false, false, LinearConstraints::none(N)))];
    let error = LatentGaussianModel::new(effects, observations(Kind::Poisson), design).unwrap_err().to_string();
    assert!(error.contains("scaling two has 2 hyperparameters"), "{error}");
}
