//! Every latent model and wrapper obeys the contract.
#![allow(clippy::unwrap_used)] // helpers of tests are not recognised as tests

use std::sync::Arc;

use gmrf::contract::check;
use gmrf::latent::{
    Ar1, ArealOptions, Besag, BesagProper, Bym, Bym2, Constrained, Coupled, CovarianceScale, FixedEffects, Generic0,
    GenericNullSpace, GroupModel, Grouped, Iid, IidKd, JointPrecision, LatentModel, RandomWalk, RandomWalkOptions,
    RandomWalkOrder, Replicated,
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

#[test]
fn correlated_coefficients_obey_the_contract() {
    let rate = [vec![3.0, 0.4, -0.2], vec![0.4, 0.5, 0.1], vec![-0.2, 0.1, 0.3]];
    for (order, scale) in [(3, CovarianceScale::of_rate(&rate).unwrap()), (2, CovarianceScale::standard(2).unwrap())] {
        let names: Vec<String> = (0..order).map(|k| format!("b{k}")).collect();
        let prior = Arc::new(gmrf::prior::Wishart::new(4.0, scale.clone()).unwrap());
        let initial: Vec<f64> = (0..order * order).map(|k| f64::from(u8::from(k % (order + 1) == 0))).collect();
        let model = IidKd::new(&names, scale, prior, &initial, false).unwrap();
        let thetas: Vec<Vec<f64>> = [0.0, -0.7, 0.4]
            .iter()
            .map(|t| (0..model.hyperparameters()[0].parameters.len()).map(|j| t + 0.2 * j as f64).collect())
            .collect();
        check(&model, &thetas).unwrap();
        check(&Replicated::new(Arc::new(model), 4).unwrap(), &thetas).unwrap();
    }
}

#[test]
fn coupled_fields_obey_the_contract() {
    let between = |order: usize| {
        let scale = CovarianceScale::standard(order).unwrap();
        let names: Vec<String> = (0..order).map(|k| format!("b{k}")).collect();
        let prior = Arc::new(gmrf::prior::Wishart::new(order as f64 + 1.0, scale.clone()).unwrap());
        let initial: Vec<f64> = (0..order * order).map(|k| f64::from(u8::from(k % (order + 1) == 0))).collect();
        IidKd::new(&names, scale, prior, &initial, false).unwrap()
    };
    // graphs of two components, the other with isolated nodes
    for (order, graph) in [(1, graph()), (2, graph()), (3, islands())] {
        let areal = |scale_model, sum_to_zero| {
            Besag::new(&graph, ArealOptions { scale_model, sum_to_zero }, log_precision()).unwrap()
        };
        let leroux = BesagProper::leroux(&graph, log_precision(), named("lambda", Transform::Logistic)).unwrap();
        let fields: [Arc<dyn LatentModel>; 5] = [
            Arc::new(areal(true, true)),
            Arc::new(areal(false, false)),
            Arc::new(leroux),
            Arc::new(Bym2::new(&graph, log_precision(), named("phi", Transform::Logistic)).unwrap()),
            Arc::new(walk(RandomWalkOrder::Two, 6, false, false, true)),
        ];
        for field in fields {
            let model = Coupled::new(between(order), field).unwrap();
            let count = gmrf::latent::hyperparameter_count(model.hyperparameters());
            let thetas: Vec<Vec<f64>> =
                [0.0, -0.5].iter().map(|t| (0..count).map(|j| t + 0.15 * j as f64).collect()).collect();
            check(&model, &thetas).unwrap();
        }
    }
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

fn graph() -> gmrf::Graph {
    gmrf::Graph::from_edges(7, [(0, 1), (1, 2), (2, 3), (3, 0), (1, 3), (4, 5), (5, 6)]).unwrap()
}

fn islands() -> gmrf::Graph {
    gmrf::Graph::from_edges(8, [(0, 1), (1, 2), (2, 0), (4, 5), (6, 5)]).unwrap()
}

fn named(name: &str, transform: Transform) -> HyperparameterBlock {
    HyperparameterBlock::single(Hyperparameter::new(name, transform, 0.5), Arc::new(Normal))
}

#[test]
fn areal_models_obey_the_contract_on_islands_and_singletons_too() {
    for graph in [graph(), islands()] {
        for bits in 0..4 {
            let options = ArealOptions { scale_model: bits & 1 > 0, sum_to_zero: bits & 2 > 0 };
            obeys(&Besag::new(&graph, options, log_precision()).unwrap());
            obeys(&Bym::new(&graph, options, log_precision(), log_precision()).unwrap());
        }
        obeys(&BesagProper::new(&graph, log_precision(), named("diagonal", Transform::Exp)).unwrap());
        obeys(&BesagProper::leroux(&graph, log_precision(), named("lambda", Transform::Logistic)).unwrap());
        obeys(&Bym2::new(&graph, log_precision(), named("phi", Transform::Logistic)).unwrap());
    }
}

#[test]
fn the_total_of_bym2_has_its_published_covariance() {
    // (1/τ)((1 − φ)I + φR*⁻): R*⁻ from a scaled besag effect of precision one
    let graph = islands();
    let scaled = Besag::new(&graph, ArealOptions { scale_model: true, sum_to_zero: true }, log_precision()).unwrap();
    let covariance = |model: &dyn LatentModel, theta: &[f64]| {
        let mut values = vec![0.0; model.pattern().nnz()];
        model.fill_precision(theta, &mut values).unwrap();
        let n = model.pattern().order();
        let field = gmrf::Gmrf::new(model.pattern(), values, &vec![0.0; n], model.constraints()).unwrap();
        let mut identity = vec![0.0; n * n];
        (0..n).for_each(|i| identity[i * n + i] = 1.0);
        let mut work = vec![0.0; n * field.factor().work_length()];
        field.factor().solve_many_in_place(&mut identity, n, &mut work).unwrap();
        move |i: usize, j: usize| identity[i * n + j]
    };
    let generalised_inverse = covariance(&scaled, &[0.0]);
    let component = [0, 1, 2];
    let mean_log: f64 = component.iter().map(|&i| generalised_inverse(i, i).ln()).sum::<f64>() / 3.0;
    assert!(mean_log.abs() < 1e-12);
    for (log_tau, logit_phi) in [(0.3_f64, -1.0_f64), (-0.5, 2.0), (1.0, 12.0), (1.0, -12.0)] {
        let model = Bym2::new(&graph, log_precision(), named("phi", Transform::Logistic)).unwrap();
        let total = covariance(&model, &[log_tau, logit_phi]);
        let phi = 1.0 / (1.0 + (-logit_phi).exp());
        for i in 0..8 {
            for j in 0..8 {
                let noise = if i == j { 1.0 - phi } else { 0.0 };
                let expected = (noise + phi * generalised_inverse(i, j)) * (-log_tau).exp();
                // φ within 1e-5 of its ends costs five digits
                assert!((total(i, j) - expected).abs() < 1e-9, "{i} {j}: {} {expected}", total(i, j));
            }
        }
    }
}

#[test]
fn the_mixing_prior_of_a_graph_has_its_calibration() {
    let prior = Bym2::mixing_prior(&graph(), 0.5, 0.6).unwrap();
    let step = 1e-3;
    let below: f64 =
        (-200_000..0).map(|k| prior.log_density(&[step * (f64::from(k) + 0.5)], &mut [0.0]).exp() * step).sum();
    // Hermite interpolation of the distance
    assert!((below - 0.6).abs() < 1e-5, "{below}");
}
