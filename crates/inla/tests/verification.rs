//! Markov chains on the exact posterior against closed forms, against what is known of themselves, and fits against them.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::sync::atomic::{AtomicUsize, Ordering};

use inla::{Effect, Fit, Graph, InlaError, ModelBuilder, Resources, Table, Verification, VerifyOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};

fn sampled(fit: &Fit, draws: usize) -> Verification {
    fit.verify(&VerifyOptions { draws, ..VerifyOptions::default() }, &|_, _| true).unwrap()
}

/// Every scalar within `bar` and four Monte Carlo errors: of some thirty scalars none exceeds four by chance once in 500 runs.
fn assert_agrees(verification: &Verification, bar: f64) {
    assert!(verification.converged(), "{}", verification.text(true));
    for s in &verification.scalars {
        let (mean, sd) = (s.difference().abs() - 4.0 * s.error(), s.sd_difference().abs() - 4.0 * s.sd_error());
        assert!(mean < bar && sd < bar, "{}\n{}", s.name, verification.text(true));
    }
}

fn groups(precision: &str) -> (Table, ModelBuilder) {
    let y = [1.2, 0.7, 2.9, 3.1, -0.4, 0.3, 1.8, 2.2, 0.1, 1.0];
    let x = [0.0, 1.0, 0.5, 1.5, 0.2, 0.9, 1.1, 0.3, 0.7, 0.4];
    let g = ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"];
    let table = Table::new().with_numeric("y", &y).unwrap().with_numeric("x", &x).unwrap().with_text("g", &g).unwrap();
    let builder = ModelBuilder::new("y", "gaussian").fixed("x").likelihood("precision", precision);
    (table, builder)
}

#[test]
fn chains_on_a_gaussian_have_its_moments() {
    // nothing is integrated out: the fit is a closed form, and every turn is accepted
    let (table, builder) = groups("fixed(1.0)");
    let fit = builder.effect(Effect::new("g", "iid").option("precision", "fixed(0.5)")).fit(&table).unwrap();
    let verification = sampled(&fit, 2000);
    assert_agrees(&verification, 1e-9);
    // independent draws but for how far they turn, all of them accepted but for rounding
    assert!(verification.acceptance[1] > 0.999_999, "{:?}", verification.acceptance);
    assert!(verification.least_effective().unwrap().sampled.effective > 6000.0, "{}", verification.text(true));
}

#[test]
fn chains_over_hyperparameters_agree_with_a_fine_grid() {
    let (table, builder) = groups("loggamma(2, 1)");
    let builder = builder.effect(Effect::new("g", "iid").option("precision", "loggamma(2, 1)"));
    let mut specification = builder.specification().unwrap();
    specification.fit.grid_step = Some(0.25);
    let fit = Fit::new(&specification, &table, &Resources::default()).unwrap();
    // what the grid's steps and its rim leave
    assert_agrees(&sampled(&fit, 4000), 0.01);
}

#[test]
fn chains_obey_constraints_and_do_not_depend_on_threads() {
    let graph = Graph::from_edges(6, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (0, 3)]).unwrap();
    let table = Table::new().with_numeric("y", &[3.0, 0.0, 1.0, 8.0, 2.0, 5.0]).unwrap();
    let table = table.with_numeric("area", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let run = |threads: usize| {
        let effect = Effect::new("area", "besag").graph(graph.clone()).option("precision", "loggamma(2, 1)");
        let fit = ModelBuilder::new("y", "poisson").effect(effect).threads(threads).fit(&table).unwrap();
        sampled(&fit, 2000)
    };
    let verification = run(1);
    assert_agrees(&verification, 0.03);
    let total: f64 = verification.scalars.iter().filter(|s| s.name.starts_with("area ")).map(|s| s.sampled.mean).sum();
    assert!(total.abs() < 1e-9, "{total}");
    assert_eq!(run(2).scalars, verification.scalars);
}

#[test]
fn chains_are_calibrated() {
    // θ, x and y from the model: the rank of each truth among the draws is uniform (Talts et al. 2018)
    let (replicates, nodes) = (120, 4);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let prior = Gamma::new(2.0, 1.0).unwrap();
    let labels: Vec<String> = (0..nodes).map(|k| format!("l{k}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut shares: Vec<Vec<f64>> = vec![Vec::new(); 2];
    for _ in 0..replicates {
        let precision: f64 = prior.sample(&mut random);
        let x: Vec<f64> = (0..nodes)
            .map(|_| {
                let z: f64 = StandardNormal.sample(&mut random);
                z / precision.sqrt()
            })
            .collect();
        let y: Vec<f64> =
            x.iter().map(|x: &f64| Poisson::new(x.exp().max(1e-12)).unwrap().sample(&mut random)).collect();
        let table = Table::new().with_numeric("y", &y).unwrap().with_text("g", &labels).unwrap();
        let effect = Effect::new("g", "iid").option("precision", "loggamma(2, 1)");
        let fit = ModelBuilder::new("y", "poisson").without_intercept().effect(effect).fit(&table).unwrap();
        let found = fit.verify(&VerifyOptions { chains: 2, draws: 400, ..VerifyOptions::default() }, &|_, _| true);
        for (truth, name, share) in [(precision.ln(), "g.precision", 0), (x[0], "g l0", 1)] {
            let scalar = found.as_ref().unwrap().scalars.iter().find(|s| s.name == name).unwrap().sampled;
            // where the truth stands between three quantiles
            let place = scalar.quantiles.iter().filter(|q| **q < truth).count();
            shares[share].push([0.0125, 0.2625, 0.7375, 0.9875][place] + 1e-9 * random.random::<f64>());
        }
    }
    for share in shares {
        let n = f64::from(replicates);
        let below = share.iter().filter(|u| **u < 0.5).count() as f64 / n;
        let outside = share.iter().filter(|u| **u < 0.02 || **u > 0.98).count() as f64 / n;
        // three binomial standard errors of a half and of a twentieth, and what 800 draws leave of the quantiles
        assert!((below - 0.5).abs() < 3.0 * (0.25 / n).sqrt() + 0.01, "{below}");
        assert!((outside - 0.05).abs() < 3.0 * (0.0475 / n).sqrt() + 0.01, "{outside}");
    }
}

#[test]
fn a_wrong_fit_is_found() {
    // one count of zero and a wide prior: the Gaussian at the mode is half a standard deviation off
    let table = Table::new().with_numeric("y", &[0.0, 1.0, 0.0]).unwrap().with_text("g", &["a", "b", "c"]).unwrap();
    let effect = || Effect::new("g", "iid").option("precision", "fixed(0.2)");
    let model = || ModelBuilder::new("y", "poisson").without_intercept().effect(effect());
    let gaussian = sampled(&model().approximation("gaussian").fit(&table).unwrap(), 2000);
    assert!(!gaussian.differing(0.1).is_empty(), "{}", gaussian.text(true));
    assert!(gaussian.scalars[0].difference().abs() > 0.2 && gaussian.converged());
    let text = gaussian.text(false);
    assert!(text.contains("g a") && text.contains("row 1"), "{text}");
    let json = gaussian.to_json();
    assert_eq!(json["scalars"].as_array().unwrap().len(), 6);
    assert!(json["scalars"][0]["difference"].as_f64().unwrap().abs() > 0.2);
}

#[test]
fn chains_end_when_they_are_told_to_and_refuse_what_cannot_be() {
    let (table, builder) = groups("loggamma(2, 1)");
    let fit = builder.fit(&table).unwrap();
    let calls = AtomicUsize::new(0);
    let stop = |_: usize, total: usize| {
        assert_eq!(total, 4 * 2300);
        calls.fetch_add(1, Ordering::Relaxed) < 10
    };
    let error = fit.verify(&VerifyOptions::default(), &stop).unwrap_err();
    assert!(matches!(error, InlaError::Engine(integration::IntegrationError::Cancelled)), "{error:?}");
    assert!(calls.into_inner() < 100);
    for (options, word) in [
        (VerifyOptions { chains: 1, ..VerifyOptions::default() }, "chains"),
        (VerifyOptions { draws: 3, ..VerifyOptions::default() }, "draws"),
        (VerifyOptions { tuning: 0, ..VerifyOptions::default() }, "tuning"),
        (VerifyOptions { seconds: Some(f64::NAN), ..VerifyOptions::default() }, "seconds"),
        // not one draw
        (VerifyOptions { seconds: Some(1e-9), ..VerifyOptions::default() }, "ten times"),
    ] {
        let error = fit.verify(&options, &|_, _| true).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let limited = VerifyOptions { seconds: Some(0.5), draws: 100_000_000, ..VerifyOptions::default() };
    let found = fit.verify(&limited, &|_, _| true).unwrap();
    assert!(found.stopped && found.draws < 100_000_000 && found.text(false).contains("time limit"));
}
