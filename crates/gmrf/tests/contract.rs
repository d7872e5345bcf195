//! Every latent model and wrapper obeys the contract.
#![allow(clippy::unwrap_used)] // helpers of tests are not recognised as tests

use std::sync::Arc;

use gmrf::contract::check;
use gmrf::latent::{
    Ar1, Constrained, FixedEffects, Generic0, GenericNullSpace, GroupModel, Grouped, Iid, JointPrecision, LatentModel,
    RandomWalk, RandomWalkOptions, RandomWalkOrder, Replicated,
};
use gmrf::{Hyperparameter, HyperparameterBlock, LinearConstraints, Prior, SparsityPattern, Transform};

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
}

const UNEQUAL: [f64; 7] = [-3.0, -2.5, 0.0, 0.1, 2.0, 5.0, 5.5];

fn walk(order: RandomWalkOrder, n: usize, cyclic: bool, scale_model: bool, sum_to_zero: bool) -> RandomWalk {
    RandomWalk::regular(order, n, RandomWalkOptions { cyclic, scale_model, sum_to_zero }, log_precision()).unwrap()
}

#[test]
fn random_walks_obey_the_contract() {
    for order in [RandomWalkOrder::One, RandomWalkOrder::Two] {
        for bits in 0..8 {
            let options =
                RandomWalkOptions { cyclic: bits & 1 > 0, scale_model: bits & 2 > 0, sum_to_zero: bits & 4 > 0 };
            for n in [3, 4, 12] {
                obeys(&RandomWalk::regular(order, n, options, log_precision()).unwrap());
            }
            if !options.cyclic {
                obeys(&RandomWalk::at(order, &UNEQUAL, options, log_precision()).unwrap());
            }
        }
    }
}

#[test]
fn ar1_obeys_the_contract() {
    for n in [1, 2, 3, 10] {
        obeys(&Ar1::new(n, log_precision(), correlation()).unwrap());
    }
}

#[test]
fn fixed_effects_obey_the_contract() {
    obeys(&FixedEffects::new(&[0.0, 1.0, -2.0], &[0.0, 0.001, 4.0], &[]).unwrap());
    obeys(&FixedEffects::new(&[0.0], &[0.0], &[]).unwrap());
    let joint = JointPrecision { nodes: vec![3, 1], precision: vec![vec![2.0, 0.5], vec![0.5, 1.0]] };
    obeys(&FixedEffects::new(&[0.0; 4], &[0.0, 0.0, 3.0, 0.0], &[joint]).unwrap());
}

#[test]
fn generic0_obeys_the_contract() {
    let ring = walk(RandomWalkOrder::One, 6, true, false, true);
    for constrained in [true, false] {
        let constant = GenericNullSpace::Constant;
        obeys(&Generic0::new(ring.pattern(), ring.structure(), &constant, constrained, log_precision()).unwrap());
        let line = walk(RandomWalkOrder::Two, 8, false, false, false);
        let rows = GenericNullSpace::Rows(line.null_space().clone());
        obeys(&Generic0::new(line.pattern(), line.structure(), &rows, constrained, log_precision()).unwrap());
    }
    let mut proper = ring.structure().to_vec();
    (0..6).for_each(|j| proper[ring.pattern().column_start(j)] += 0.5);
    obeys(&Generic0::new(ring.pattern(), &proper, &GenericNullSpace::None, true, log_precision()).unwrap());
}

fn inner_models() -> Vec<Arc<dyn LatentModel>> {
    vec![
        Arc::new(Iid::new(3, Some(&[0.5, 2.0, 7.0]), log_precision()).unwrap()),
        Arc::new(Ar1::new(4, log_precision(), correlation()).unwrap()),
        Arc::new(walk(RandomWalkOrder::One, 4, false, true, true)),
        Arc::new(walk(RandomWalkOrder::One, 4, false, true, false)),
        Arc::new(walk(RandomWalkOrder::Two, 5, false, false, true)),
        Arc::new(walk(RandomWalkOrder::Two, 5, false, false, false)),
        Arc::new(FixedEffects::new(&[0.5, 1.0], &[0.0, 2.0], &[]).unwrap()),
    ]
}

#[test]
fn replicated_models_obey_the_contract() {
    for inner in inner_models() {
        for count in [1, 3] {
            obeys(&Replicated::new(inner.clone(), count).unwrap());
        }
    }
}

fn groups() -> Vec<GroupModel> {
    let rho = Hyperparameter::new("group rho", Transform::Exchangeable { size: 3 }, 1.0);
    let exchangeable = HyperparameterBlock::single(rho, Arc::new(Normal));
    // two chains: a null space of dimension two
    let pattern = Arc::new(SparsityPattern::from_entries(5, [(0, 1), (1, 2), (3, 4)]).unwrap());
    let values = [1.0, -1.0, 2.0, -1.0, 1.0, 1.0, -1.0, 1.0];
    let components = LinearConstraints::sums_to_zero(5, [0..3, 3..5]).unwrap();
    vec![
        GroupModel::iid(2).unwrap(),
        GroupModel::exchangeable(3, exchangeable).unwrap(),
        GroupModel::ar1(3, correlation()).unwrap(),
        GroupModel::random_walk(RandomWalkOrder::One, 3, false).unwrap(),
        GroupModel::random_walk(RandomWalkOrder::Two, 4, false).unwrap(),
        GroupModel::random_walk(RandomWalkOrder::Two, 4, true).unwrap(),
        GroupModel::structured(&pattern, &values, &components).unwrap(),
    ]
}

#[test]
fn every_group_of_every_model_obeys_the_contract() {
    for group in groups() {
        for inner in inner_models() {
            let grouped = Arc::new(Grouped::new(inner, group.clone()).unwrap());
            obeys(grouped.as_ref());
            obeys(&Replicated::new(grouped, 2).unwrap());
        }
    }
}

#[test]
fn constrained_models_obey_the_contract() {
    for inner in inner_models().into_iter().take(6) {
        let n = inner.pattern().order();
        let mut extra = LinearConstraints::none(n);
        extra.push(&[(0, 1.0), (n - 1, -2.0)], 0.5).unwrap();
        let once = Arc::new(Constrained::new(inner, &extra).unwrap());
        obeys(once.as_ref());
        obeys(&Replicated::new(once, 2).unwrap());
    }
}
