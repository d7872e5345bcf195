//! One evaluation of `log p̃(θ | y)` with its gradient, and whole fits: `cargo bench -p benches --bench fits`.

use std::sync::Arc;

use benches::{counts, lattice, lattice_edges};
use divan::Bencher;
use gmrf::latent::BesagProper;
use gmrf::prior::Normal;
use gmrf::{Graph, Hyperparameter, HyperparameterBlock, LinearConstraints};
use inla::{Effect, Fit, ModelBuilder, Table};
use laplace::likelihood::{Gaussian, Poisson};
use laplace::{Approximation, Design, LatentGaussianModel, Likelihood, Link, NewtonOptions, Observations, Workspace};

fn main() {
    divan::main();
}

fn block(name: &str) -> HyperparameterBlock {
    let prior = Arc::new(Normal::new(0.0, 1.0).expect("a proper prior"));
    HyperparameterBlock::single(Hyperparameter::log_precision(name, 0.0), prior)
}

/// A proper conditional autoregression on a lattice, one observation at each node.
fn lattice_model(side: usize, likelihood: Arc<dyn Likelihood>) -> LatentGaussianModel {
    let n = side * side;
    let graph = Graph::from_edges(n, lattice_edges(side)).expect("edges are inside");
    let field = BesagProper::new(&graph, block("precision"), block("diagonal")).expect("two hyperparameters");
    let mut design = Design::new(n);
    for node in 0..n {
        design.push_row(&[(node, 1.0)], 0.0).expect("inside");
    }
    let effects = vec![laplace::Effect { name: "field".to_owned(), model: Arc::new(field) }];
    let observations = vec![Observations { name: "likelihood".to_owned(), likelihood }];
    LatentGaussianModel::new(effects, observations, design).expect("a valid model")
}

const SIDES: [usize; 4] = [10, 32, 100, 316];

fn evaluate(bencher: Bencher, side: usize, likelihood: Arc<dyn Likelihood>) {
    let model = lattice_model(side, likelihood);
    let mut workspace = Workspace::new(&model);
    let theta = model.initial_theta();
    let options = NewtonOptions::default();
    let first = Approximation::evaluate(&model, &theta, None, &mut workspace, &options).expect("a mode");
    bencher.bench_local(|| {
        Approximation::evaluate(&model, &theta, Some(&first.mode), &mut workspace, &options).expect("a mode")
    });
}

/// For the ratio: one factorisation of the same pattern.
#[divan::bench(args = SIDES, sample_count = 15)]
fn factor_of_the_lattice(bencher: Bencher, side: usize) {
    let (pattern, values) = lattice(side, 1.0);
    let none = LinearConstraints::none(side * side);
    let symbolic = gmrf::SymbolicFactor::analyze(&pattern, &none).expect("analysed");
    let mut factor = gmrf::CholeskyFactor::new(symbolic);
    bencher.bench_local(|| factor.refactor(&values).expect("positive definite"));
}

#[divan::bench(args = SIDES, sample_count = 15)]
fn evaluate_gaussian_lattice(bencher: Bencher, side: usize) {
    let likelihood = Gaussian::new(&counts(side * side), None, block("precision")).expect("numbers");
    evaluate(bencher, side, Arc::new(likelihood));
}

#[divan::bench(args = SIDES, sample_count = 15)]
fn evaluate_poisson_lattice(bencher: Bencher, side: usize) {
    evaluate(bencher, side, Arc::new(Poisson::new(&counts(side * side), None, Link::Log).expect("counts")));
}

fn table(n: usize) -> Table {
    let node: Vec<f64> = (1..=n).map(|i| i as f64).collect();
    Table::new().with_numeric("y", &counts(n)).and_then(|t| t.with_numeric("node", &node)).expect("two columns")
}

fn fit(n: usize, effect: &Effect, table: &Table) -> Fit {
    let fit = ModelBuilder::new("y", "poisson").intercept_precision(0.001).effect(effect.clone()).fit(table);
    fit.unwrap_or_else(|error| panic!("{n} nodes: {error}"))
}

const NODES: [usize; 4] = [100, 1_000, 10_000, 100_000];

#[divan::bench(args = NODES, sample_count = 3)]
fn fit_iid(bencher: Bencher, n: usize) {
    let effect = Effect::new("node", "iid").option("precision", "pc.prec(1, 0.01)");
    let table = table(n);
    bencher.bench_local(|| fit(n, &effect, &table));
}

#[divan::bench(args = NODES, sample_count = 3)]
fn fit_rw1(bencher: Bencher, n: usize) {
    let effect = Effect::new("node", "rw1").option("precision", "pc.prec(1, 0.01)");
    let table = table(n);
    bencher.bench_local(|| fit(n, &effect, &table));
}

#[divan::bench(args = SIDES, sample_count = 3)]
fn fit_lattice_car(bencher: Bencher, side: usize) {
    let n = side * side;
    let graph = Graph::from_edges(n, lattice_edges(side)).expect("edges are inside");
    let effect = Effect::new("node", "besagproper").graph(graph).option("precision", "pc.prec(1, 0.01)");
    let table = table(n);
    bencher.bench_local(|| fit(n, &effect, &table));
}

fn seeds() -> Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/seeds/data.csv");
    Table::from_csv_path(path).expect("the example's data")
}

/// The example `seeds`, in process.
#[divan::bench]
fn fit_seeds(bencher: Bencher) {
    let table = seeds();
    let model = ModelBuilder::new("r", "binomial")
        .fixed("x1")
        .fixed("x2")
        .fixed("x1:x2")
        .effect(Effect::new("plate", "iid").option("precision", "pc.prec(1, 0.01)"))
        .trials("n");
    bencher.bench_local(|| model.clone().fit(&table).expect("seeds"));
}

/// The example `seeds` by the command, from start to exit; needs `cargo build --release --bin inla` first.
#[divan::bench]
fn process_seeds(bencher: Bencher) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let binary = format!("{root}/target/release/inla");
    bencher.bench_local(|| {
        let mut command = std::process::Command::new(&binary);
        let status = command.args(["fit", &format!("{root}/examples/seeds/model.toml"), "--quiet"]).status();
        assert!(status.is_ok_and(|s| s.success()), "build it first: cargo build --release --bin inla");
    });
}
