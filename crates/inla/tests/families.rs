//! Every family on data simulated from it: coefficients and hyperparameters are recovered, and the options have their effect.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use inla::{Effect, Fit, InlaError, ModelBuilder, Table};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution as _, StandardNormal};

const ROWS: usize = 600;
const GROUPS: usize = 60;
/// Intercept, slope, standard deviation of the groups.
const TRUTH: [f64; 3] = [0.5, -0.7, 0.5];

/// A table of `x`, `group` and the response drawn at `η = 0.5 − 0.7x + u_group`.
fn simulated(seed: u64, mut draw: impl FnMut(f64, &mut ChaCha12Rng) -> f64) -> Table {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let normal = |random: &mut ChaCha12Rng| -> f64 { StandardNormal.sample(random) };
    let effects: Vec<f64> = (0..GROUPS).map(|_| TRUTH[2] * normal(&mut random)).collect();
    let (mut x, mut group, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..ROWS {
        x.push(normal(&mut random));
        group.push((i % GROUPS) as f64);
        y.push(draw(TRUTH[0] + TRUTH[1] * x[i] + effects[i % GROUPS], &mut random));
    }
    let table = Table::new().with_numeric("y", &y).unwrap().with_numeric("x", &x).unwrap();
    table.with_numeric("group", &group).unwrap()
}

fn model(family: &str) -> ModelBuilder {
    let effect = Effect::new("group", "iid").option("precision", "pc.prec(1, 0.01)");
    ModelBuilder::new("y", family).fixed("x").intercept_precision(0.001).effect(effect)
}

/// Coefficients, the groups' deviation and the family's own hyperparameters within four posterior standard deviations of the truth.
fn recovers(fit: &Fit, own: &[(&str, f64)]) {
    let fixed = fit.fixed();
    let hyper = fit.hyperparameters();
    let find = |name: &str| hyper.iter().find(|h| h.name == name).unwrap_or_else(|| panic!("no {name}")).summary();
    let mut checked = vec![
        ("(Intercept)", fixed[0].summary(), TRUTH[0]),
        ("x", fixed[1].summary(), TRUTH[1]),
        ("group.sd", find("group.sd"), TRUTH[2]),
    ];
    checked.extend(own.iter().map(|&(name, truth)| (name, find(name), truth)));
    for (name, summary, truth) in checked {
        assert!(
            (summary.mean - truth).abs() < 4.0 * summary.sd,
            "{name}: {} ± {} of {truth}",
            summary.mean,
            summary.sd
        );
        assert!(summary.sd < 0.6 * truth.abs().max(0.5), "{name}: the data say nothing, sd {}", summary.sd);
    }
    assert!(fit.log_marginal_likelihood().is_finite());
}

fn gamma(shape: f64, random: &mut ChaCha12Rng) -> f64 {
    rand_distr::Gamma::new(shape, 1.0).unwrap().sample(random)
}

#[test]
fn negative_binomial() {
    let table = simulated(1, |eta, random| {
        let rate = eta.exp() * gamma(2.0, random) / 2.0;
        rand_distr::Poisson::new(rate.max(1e-12)).unwrap().sample(random)
    });
    let fit = model("nbinomial").fit(&table).unwrap();
    recovers(&fit, &[("likelihood.size", 2.0)]);
    // the families differ in the evidence: the counts are overdispersed
    let poisson = model("poisson").fit(&table).unwrap();
    assert!(fit.log_marginal_likelihood() > poisson.log_marginal_likelihood() + 10.0);
}

#[test]
fn gamma_responses() {
    let table = simulated(2, |eta, random| eta.exp() * gamma(3.0, random) / 3.0);
    recovers(&model("gamma").fit(&table).unwrap(), &[("likelihood.precision", 3.0)]);
}

#[test]
fn beta_responses() {
    let table = simulated(3, |eta, random| {
        let mean = 1.0 / (1.0 + (-eta).exp());
        let (a, b) = (gamma(8.0 * mean, random), gamma(8.0 * (1.0 - mean), random));
        (a / (a + b)).clamp(1e-12, 1.0 - 1e-12)
    });
    recovers(&model("beta").fit(&table).unwrap(), &[("likelihood.precision", 8.0)]);
}

#[test]
fn student_t_is_not_misled_by_outliers() {
    let table = simulated(4, |eta, random| {
        let normal: f64 = StandardNormal.sample(random);
        // four degrees of freedom, scaled to unit variance, precision 4
        eta + 0.5 * normal / (gamma(2.0, random) / 2.0).sqrt() / 2.0_f64.sqrt()
    });
    let fit = model("t").fit(&table).unwrap();
    recovers(&fit, &[("likelihood.precision", 4.0), ("likelihood.dof", 4.0)]);
    let gaussian = model("gaussian").fit(&table).unwrap();
    assert!(fit.log_marginal_likelihood() > gaussian.log_marginal_likelihood() + 5.0);
}

#[test]
fn stochastic_volatility() {
    let table = simulated(5, |eta, random| {
        let normal: f64 = StandardNormal.sample(random);
        (0.5 * eta).exp() * normal
    });
    recovers(&model("stochvol").fit(&table).unwrap(), &[]);
}

/// Weibull times of shape 1.5, censored at 1.2, with the code of the event.
fn times(seed: u64) -> Table {
    let mut events = Vec::new();
    let table = simulated(seed, |eta, random| {
        let hazard = -(1.0 - random.random::<f64>()).ln();
        let time = (hazard / eta.exp()).powf(1.0 / 1.5);
        events.push(f64::from(u8::from(time < 1.2)));
        time.clamp(1e-9, 1.2)
    });
    table.with_numeric("event", &events).unwrap()
}

#[test]
fn censored_times() {
    let table = times(6);
    let fit = model("weibull").event("event").fit(&table).unwrap();
    recovers(&fit, &[("likelihood.alpha", 1.5)]);
    let exponential = model("exponential").event("event").fit(&table).unwrap();
    assert!(fit.log_marginal_likelihood() > exponential.log_marginal_likelihood() + 10.0);
    // what censoring hides is not taken for an event
    let blind = model("weibull").fit(&table).unwrap();
    let (blind, seeing) = (blind.fixed()[0].summary(), fit.fixed()[0].summary());
    assert!(blind.mean > seeing.mean + 2.0 * seeing.sd, "{} and {} ± {}", blind.mean, seeing.mean, seeing.sd);
    let criteria = fit.posterior().criteria.as_ref().unwrap();
    let events = table.numeric("event").unwrap();
    assert!(events.iter().zip(&criteria.pit).all(|(event, pit)| pit.is_nan() == (*event == 0.0)));
    assert!(criteria.cpo.iter().all(|cpo| cpo.is_finite()));
}

#[test]
fn columns_that_a_family_does_not_have_are_refused() {
    let table = times(7);
    let refused = |builder: ModelBuilder| builder.fit(&table).unwrap_err().to_string();
    assert!(refused(model("gaussian").event("event")).contains("no event"));
    assert!(refused(model("weibull").exposure("x")).contains("no exposure"));
    assert!(refused(model("weibull").event("x")).contains("0 (right censored)"));
    assert!(refused(model("weibull").link("probit")).contains("probit"));
    let error = model("nbinomal").fit(&table).unwrap_err();
    assert!(matches!(&error, InlaError::UnknownName { nearest: Some(near), .. } if near == "nbinomial"), "{error}");
    let error = model("gamma").likelihood("size", "fixed(1)").fit(&table).unwrap_err().to_string();
    assert!(error.contains("precision"), "{error}");
}
