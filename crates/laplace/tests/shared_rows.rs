//! Rows of the design that are alike share their products: the posterior is that of their sums.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::sync::Arc;

use approx::assert_relative_eq;
use gmrf::latent::Iid;
use gmrf::prior::Normal;
use gmrf::{Hyperparameter, HyperparameterBlock};
use laplace::likelihood::Poisson;
use laplace::{
    Approximation, Correction, Design, Effect, LatentGaussianModel, Link, Moments, NewtonOptions, Observations,
    Workspace,
};

const NODES: usize = 6;
const ROWS: usize = 60;

fn model(y: &[f64], exposure: &[f64]) -> LatentGaussianModel {
    let prior = Arc::new(Normal::new(0.0, 1.0).unwrap());
    let block = HyperparameterBlock::single(Hyperparameter::log_precision("precision", 0.5), prior);
    let effect = Arc::new(Iid::new(NODES, None, block).unwrap());
    let mut design = Design::new(NODES);
    for i in 0..y.len() {
        design.push_row(&[(i % NODES, 1.0), ((i + 1) % NODES, 0.25)], 0.0).unwrap();
    }
    let likelihood = Arc::new(Poisson::new(y, Some(exposure), Link::Log).unwrap());
    let observations = vec![Observations { name: "likelihood".into(), likelihood }];
    LatentGaussianModel::new(vec![Effect { name: "node".into(), model: effect }], observations, design).unwrap()
}

#[test]
fn counts_of_rows_alike_are_one_count_of_their_sum() {
    let y: Vec<f64> = (0..ROWS).map(|i| (i * 7 % 5) as f64).collect();
    let sums: Vec<f64> = (0..NODES).map(|k| y.iter().skip(k).step_by(NODES).sum()).collect();
    let (many, few) = (model(&y, &[1.0; ROWS]), model(&sums, &[(ROWS / NODES) as f64; NODES]));
    let at = |model: &LatentGaussianModel| {
        let mut workspace = Workspace::new(model);
        // two starts: what is left of the way to the mode differs
        let options = NewtonOptions { tolerance: 1e-13, ..NewtonOptions::default() };
        let found = Approximation::evaluate(model, &[0.5], None, &mut workspace, &options).unwrap();
        let moments = Moments::read(model, &found, &mut workspace, &Correction::Complete).unwrap();
        (found, moments)
    };
    let ((many, of_many), (few, of_few)) = (at(&many), at(&few));
    assert_relative_eq!(many.gradient[0], few.gradient[0], max_relative = 1e-10);
    for k in 0..NODES {
        assert_relative_eq!(many.mode[k], few.mode[k], max_relative = 1e-10);
        let (a, b) = (of_many.nodes[k], of_few.nodes[k]);
        assert_relative_eq!(a.mean, b.mean, max_relative = 1e-9);
        assert_relative_eq!(a.variance, b.variance, max_relative = 1e-9);
        assert_relative_eq!(a.skewness, b.skewness, max_relative = 1e-8);
    }
    let (a, b) = (of_many.predictors[NODES + 2], of_few.predictors[2]);
    assert_relative_eq!(a.variance, b.variance, max_relative = 1e-9);
    assert_relative_eq!(of_many.second_order.quartic, of_few.second_order.quartic, max_relative = 1e-8);
}
