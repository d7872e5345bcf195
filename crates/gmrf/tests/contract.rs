//! Every latent model and wrapper obeys the contract.

use std::sync::Arc;

use gmrf::contract::check;
use gmrf::latent::{Iid, LatentModel};
use gmrf::{Hyperparameter, HyperparameterBlock, Prior, Transform};

/// `N(0, 1)` on the internal scale: the contract needs some prior, not a good one.
#[derive(Debug)]
struct Normal;

impl Prior for Normal {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        gradient[0] = -theta[0];
        -0.5 * (theta[0] * theta[0] + (2.0 * std::f64::consts::PI).ln())
    }

    fn description(&self) -> String {
        "normal(0, 1)".into()
    }
}

fn log_precision() -> HyperparameterBlock {
    HyperparameterBlock::single(Hyperparameter::log_precision("precision", 4.0), Arc::new(Normal))
}

fn correlation() -> HyperparameterBlock {
    HyperparameterBlock::single(Hyperparameter::new("rho", Transform::Correlation, 2.0), Arc::new(Normal))
}

fn obeys(model: &dyn LatentModel) {
    let count = gmrf::latent::hyperparameter_count(model.hyperparameters());
    let thetas: Vec<Vec<f64>> =
        [0.0, -0.7, 1.3].iter().map(|t| (0..count).map(|j| t + 0.6 * j as f64).collect()).collect();
    check(model, &thetas).unwrap();
}

#[test]
fn iid_obeys_the_contract() {
    obeys(&Iid::new(5, None, log_precision()).unwrap());
    obeys(&Iid::new(3, Some(&[0.5, 2.0, 7.0]), log_precision()).unwrap());
    let _ = correlation();
}
