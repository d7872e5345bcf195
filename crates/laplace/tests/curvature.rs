//! The estimated curvature of `log p̃(θ, y)` against differences of its exact gradient.

#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

mod common;

use std::sync::Arc;

use common::{Chain, Coefficients, Family, Kind, effect};
use gmrf::LinearConstraints;
use laplace::{Approximation, Design, LatentGaussianModel, NewtonOptions, Observations, Workspace};

const NODES: usize = 2000;

fn long_chain(kind: Kind) -> LatentGaussianModel {
    let y: Vec<f64> = (0..NODES)
        .map(|i| (1.5 + (i as f64 / 90.0).sin() + 0.7 * ((i * 37 % 11) as f64 / 5.0 - 1.0)).max(0.0).round())
        .collect();
    let mut design = Design::new(1 + NODES);
    for i in 0..NODES {
        design.push_row(&[(0, 1.0), (1 + i, 1.0)], 0.0).unwrap();
    }
    let chain = Chain::new(NODES, false, false, LinearConstraints::none(NODES));
    let effects = vec![effect("fixed", Coefficients::new(&[0.01])), effect("chain", chain)];
    let observations = vec![Observations { name: "likelihood".into(), likelihood: Arc::new(Family::new(kind, &y)) }];
    LatentGaussianModel::new(effects, observations, design).unwrap()
}

#[test]
fn the_curvature_is_that_of_the_gradient_within_the_error_of_its_probes() {
    for kind in [Kind::Gaussian, Kind::Poisson] {
        let model = long_chain(kind);
        let mut workspace = Workspace::new(&model);
        for shift in [-0.5, 0.8] {
            let theta: Vec<f64> = (0..model.free_count()).map(|j| shift + 0.4 * j as f64).collect();
            let options = NewtonOptions::default();
            let mut gradient = |theta: &[f64]| {
                Approximation::evaluate(&model, theta, None, &mut workspace, &options).unwrap().gradient
            };
            let h = 1e-3;
            let exact: Vec<Vec<f64>> = (0..theta.len())
                .map(|j| {
                    let mut at = |by: f64| {
                        let mut moved = theta.clone();
                        moved[j] += by;
                        gradient(&moved)
                    };
                    let (up, down) = (at(h), at(-h));
                    up.iter().zip(&down).map(|(up, down)| (down - up) / (2.0 * h)).collect()
                })
                .collect();
            let here = Approximation::evaluate(&model, &theta, None, &mut workspace, &options).unwrap();
            let derivatives = here.mode_derivatives(&model, &mut workspace).unwrap();
            let found = here.curvature(&model, &derivatives, &mut workspace).unwrap().unwrap();
            // four probes: half a trace of entries of a quarter at most errs by √(2n/4)/8, of which three; and the terms that bend
            // with the fourth derivative of the likelihood, a few hundredths of the largest
            let largest = exact.iter().flatten().fold(0.0_f64, |a, c| a.max(c.abs()));
            let bound = 3.0 * (NODES as f64 / 2.0).sqrt() / 8.0 + 0.03 * largest;
            for (found, exact) in found.iter().flatten().zip(exact.iter().flatten()) {
                assert!((found - exact).abs() < bound, "{kind:?} {theta:?}: {found} {exact} within {bound}");
            }
        }
    }
}
