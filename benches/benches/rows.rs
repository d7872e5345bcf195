//! Nanoseconds that one row takes among a million: `cargo bench -p benches --bench rows`.
#![allow(clippy::print_stdout)] // the table is the result

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use benches::counts;
use gmrf::latent::FixedEffects;
use gmrf::prior::Normal;
use gmrf::{Hyperparameter, HyperparameterBlock};
use laplace::likelihood::{Beta, Binomial, Gamma, Gaussian, NegativeBinomial, Poisson, StudentT, Survival};
use laplace::{
    Approximation, Derivatives, Design, Effect, LatentGaussianModel, Likelihood, Link, NewtonOptions, Observations,
    Order, Workspace,
};

const ROWS: usize = 1_000_000;
/// The shortest of so many counts.
const REPEATS: usize = 5;

fn block(name: &str) -> HyperparameterBlock {
    let prior = Arc::new(Normal::new(0.0, 1.0).expect("a proper prior"));
    HyperparameterBlock::single(Hyperparameter::log_precision(name, 0.0), prior)
}

fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let once = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64() * 1e9 / ROWS as f64
    };
    (0..REPEATS).map(|_| once(&mut work)).fold(f64::INFINITY, f64::min)
}

fn main() {
    let eta: Vec<f64> = (0..ROWS).map(|i| (i as f64 * 0.37).sin()).collect();
    let y = counts(ROWS);
    println!("{:<34} {:>8} {:>8} {:>8}", "likelihood, ns a row", "value", "second", "fourth");
    let trials: Vec<f64> = y.iter().map(|y| y + 3.0).collect();
    let positive: Vec<f64> = y.iter().map(|y| y + 0.5).collect();
    let shares: Vec<f64> = y.iter().map(|y| (y + 0.5) / (y + 3.0)).collect();
    let families: [(&str, Box<dyn Likelihood>, usize); 8] = [
        ("gaussian", Box::new(Gaussian::new(&y, None, block("precision")).expect("numbers")), 1),
        ("poisson", Box::new(Poisson::new(&y, None, Link::Log).expect("counts")), 0),
        ("binomial", Box::new(Binomial::new(&y, Some(&trials), Link::Logit).expect("counts")), 0),
        ("nbinomial", Box::new(NegativeBinomial::likelihood(&y, None, block("size")).expect("counts")), 1),
        ("gamma", Box::new(Gamma::likelihood(&positive, None, block("precision")).expect("numbers")), 1),
        ("weibull", Box::new(Survival::likelihood(&positive, None, None, Some(block("alpha"))).expect("times")), 1),
        ("beta", Box::new(Beta::likelihood(&shares, None, block("precision")).expect("proportions")), 1),
        ("t", Box::new(StudentT::likelihood(&y, None, block("precision"), block("dof")).expect("numbers")), 2),
    ];
    let mut out = Derivatives::zeros(ROWS, 2);
    for (name, likelihood, hyperparameters) in &families {
        let theta = &[0.3; 2][..*hyperparameters];
        let times = [Order::Value, Order::Second, Order::Fourth].map(|order| {
            nanoseconds(|| likelihood.evaluate(theta, 0..ROWS, black_box(&eta), order, &mut out).expect("finite"))
        });
        println!("{name:<34} {:>8.2} {:>8.2} {:>8.2}", times[0], times[1], times[2]);
    }
    let mut target = eta.clone();
    let scalar = nanoseconds(|| target.iter_mut().zip(&eta).for_each(|(t, eta)| *t = black_box(*eta).exp()));
    let vector = nanoseconds(|| {
        target.copy_from_slice(black_box(&eta));
        gmrf::elementary::exp_in_place(&mut target);
    });
    println!(
        "{:<34} {scalar:>8.2}\n{:<34} {vector:>8.2}",
        "one exponential after the other", "exponentials in vectors"
    );
    designs(&y);
}

/// One evaluation of the log posterior with its gradient where all rows are distinct, and where there are a thousand kinds.
fn designs(y: &[f64]) {
    for (name, kinds) in [("distinct", ROWS), ("of a thousand kinds", 1000)] {
        let mut design = Design::new(4);
        for i in 0..ROWS {
            let kind = (i * 7919 % kinds) as f64 / kinds as f64;
            design.push_row(&[(0, 1.0), (1, kind), (2, kind * kind), (3, (9.0 * kind).sin())], 0.0).expect("inside");
        }
        let field = FixedEffects::new(&[0.0; 4], &[0.001; 4], &[]).expect("precisions");
        let effects = vec![Effect { name: "fixed".to_owned(), model: Arc::new(field) }];
        let likelihood = Arc::new(Poisson::new(y, None, Link::Log).expect("counts"));
        let observations = vec![Observations { name: "likelihood".to_owned(), likelihood }];
        let model = LatentGaussianModel::new(effects, observations, design).expect("a valid model");
        let (mut workspace, options) = (Workspace::new(&model), NewtonOptions::default());
        let first = Approximation::evaluate(&model, &[], None, &mut workspace, &options).expect("a mode");
        let time = nanoseconds(|| {
            let mode = Some(first.mode.as_slice());
            Approximation::evaluate(&model, &[], mode, &mut workspace, &options).expect("a mode");
        });
        println!("evaluation, four covariates, rows {name}: {time:.1} ns a row, {} steps", first.newton_steps);
    }
}
