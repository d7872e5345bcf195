//! Families written from their log-density: the contract, normalisation, distribution functions, bad input, and one of a user's.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

mod common;

use common::block;
use laplace::likelihood::{
    Beta, Censoring, FromDensity, Gamma, LogDensity, MOST_COMMON, NegativeBinomial, Real, StochasticVolatility,
    StudentT, Survival,
};
use laplace::{Derivatives, LaplaceError, Likelihood, Link, Order, contract};

const MISSING: f64 = f64::NAN;

fn obeys(likelihood: &dyn Likelihood, theta: &[f64], eta: &[f64]) {
    contract::check(likelihood, theta, eta).unwrap();
}

#[test]
fn every_family_obeys_the_contract() {
    let counts = [0.0, 3.0, MISSING, 12.0];
    let exposure = [1.0, 0.5, 2.0, 10.0];
    let negative = NegativeBinomial::likelihood(&counts, Some(&exposure), block("size", 0.0)).unwrap();
    for size in [-0.5, 1.0, 4.0] {
        obeys(&negative, &[size], &[-2.0, 1.5, 0.0, 0.4]);
    }
    let positive = [0.3, 2.0, MISSING, 17.0];
    let gamma = Gamma::likelihood(&positive, Some(&[1.0, 2.0, 1.0, 0.5]), block("precision", 0.0)).unwrap();
    obeys(&gamma, &[0.8], &[-1.0, 1.0, 0.0, 2.0]);
    obeys(&gamma, &[-1.0], &[0.5, 0.0, 0.0, 3.0]);
    let inside = [0.02, 0.5, MISSING, 0.93];
    let beta = Beta::likelihood(&inside, None, block("precision", 0.0)).unwrap();
    obeys(&beta, &[1.2], &[-2.0, 0.3, 0.0, 1.0]);
    obeys(&beta, &[3.0], &[-3.0, 0.0, 0.0, 2.5]);
    let real = [0.4, -7.0, MISSING, 1.5];
    let t =
        StudentT::likelihood(&real, Some(&[1.0, 2.0, 1.0, 0.5]), block("precision", 0.0), block("dof", 0.0)).unwrap();
    obeys(&t, &[0.3, 0.5], &[0.0, 1.0, 0.0, 1.7]);
    obeys(&t, &[-0.4, 2.5], &[1.0, -6.0, 0.0, 0.0]);
    obeys(&StochasticVolatility::likelihood(&real).unwrap(), &[], &[-0.5, 2.0, 0.0, 0.7]);
    let censoring = [Censoring::Event, Censoring::Right, Censoring::Left, Censoring::Interval(3.0)];
    let times = [0.5, 2.0, 1.5, 2.5];
    let entries = [0.0, 0.7, 0.2, 1.0];
    for shape in [None, Some(block("alpha", 0.0))] {
        let theta: &[f64] = if shape.is_some() { &[0.4] } else { &[] };
        let survival = Survival::likelihood(&times, Some(&censoring), Some(&entries), shape).unwrap();
        obeys(&survival, theta, &[-1.0, 0.3, 0.5, -0.7]);
    }
}

fn density(likelihood: &dyn Likelihood, theta: &[f64], eta: f64) -> f64 {
    let mut out = Derivatives::zeros(1, theta.len());
    likelihood.evaluate(theta, 0..1, &[eta], Order::Value, &mut out).unwrap();
    out.value[0].exp()
}

/// The density integrated from `low` to `high` by the trapezoid rule against the distribution function of `make(y)`.
fn adds_up(make: impl Fn(f64) -> Box<dyn Likelihood>, theta: &[f64], eta: f64, (low, high): (f64, f64)) {
    let steps = 40_000;
    let h = (high - low) / f64::from(steps);
    let mut below = 0.0;
    for k in 0..steps {
        let y = low + (f64::from(k) + 0.5) * h;
        below += h * density(make(y).as_ref(), theta, eta);
        if k % 8000 == 7999 {
            let (family, found) = (make(y), make(low + f64::from(k + 1) * h).cumulative(theta, 0, eta).unwrap());
            // the midpoint rule where a density has a steep end
            assert!((found - below).abs() < 2e-5, "{} at {y}: {found} and {below}", family.family());
        }
    }
    assert!((below - 1.0).abs() < 2e-5, "{}: {below}", make(low + h).family());
}

#[test]
fn densities_add_up_to_their_distribution_functions() {
    let size = || block("precision", 0.0);
    adds_up(|y| Box::new(Gamma::likelihood(&[y], None, size()).unwrap()), &[1.1], 0.4, (0.0, 20.0));
    adds_up(|y| Box::new(Beta::likelihood(&[y], None, size()).unwrap()), &[1.9], 0.4, (0.0, 1.0 - 1e-9));
    adds_up(|y| Box::new(StochasticVolatility::likelihood(&[y]).unwrap()), &[], 0.4, (-12.0, 12.0));
    adds_up(|y| Box::new(StudentT::likelihood(&[y], None, size(), size()).unwrap()), &[0.2, 3.0], 0.4, (-25.0, 25.0));
    adds_up(|y| Box::new(Survival::likelihood(&[y], None, None, None).unwrap()), &[], 0.4, (0.0, 15.0));
    adds_up(|y| Box::new(Survival::likelihood(&[y], None, None, Some(size())).unwrap()), &[0.5], 0.4, (0.0, 15.0));
    let mut below = 0.0;
    for y in 0..400 {
        let one = NegativeBinomial::likelihood(&[f64::from(y)], Some(&[2.0]), size()).unwrap();
        below += density(&one, &[0.7], 0.9);
        assert!((one.cumulative(&[0.7], 0, 0.9).unwrap() - below).abs() < 1e-10, "{y}");
    }
    assert!((below - 1.0).abs() < 1e-10);
}

#[test]
fn nothing_is_undefined_far_out_and_bad_responses_name_their_row() {
    let size = || block("precision", 0.0);
    let families: Vec<Box<dyn Likelihood>> = vec![
        Box::new(NegativeBinomial::likelihood(&[4.0], None, size()).unwrap()),
        Box::new(Gamma::likelihood(&[4.0], None, size()).unwrap()),
        Box::new(Beta::likelihood(&[0.4], None, size()).unwrap()),
        Box::new(Survival::likelihood(&[4.0], None, None, Some(size())).unwrap()),
        Box::new(StudentT::likelihood(&[4.0], None, size(), size()).unwrap()),
        Box::new(StochasticVolatility::likelihood(&[4.0]).unwrap()),
    ];
    for family in &families {
        let count = gmrf::latent::hyperparameter_count(family.hyperparameters());
        for eta in [-1e4, -800.0, -50.0, 50.0, 800.0, 1e4] {
            for theta in [-30.0, 0.0, 30.0] {
                let mut out = Derivatives::zeros(1, count);
                family.evaluate(&vec![theta; count], 0..1, &[eta], Order::Fourth, &mut out).unwrap();
                let all = [out.first[0], out.second[0], out.third[0], out.fourth[0]];
                let defined = !out.value[0].is_nan() && out.value[0] < 1e3 && all.iter().all(|d| d.is_finite());
                assert!(defined, "{} at {eta}, {theta}: {} {all:?}", family.family(), out.value[0]);
                let p = family.cumulative(&vec![theta; count], 0, eta);
                assert!(p.is_none_or(|p| (0.0..=1.0).contains(&p)), "{} at {eta}, {theta}: {p:?}", family.family());
            }
        }
    }
    let refused = |error: LaplaceError| matches!(error, LaplaceError::InvalidObservation { row: 1, .. });
    assert!(refused(Gamma::likelihood(&[1.0, 0.0], None, size()).unwrap_err()));
    assert!(refused(Beta::likelihood(&[0.5, 1.0], None, size()).unwrap_err()));
    assert!(refused(NegativeBinomial::likelihood(&[0.0, 1.5], None, size()).unwrap_err()));
    assert!(refused(StochasticVolatility::likelihood(&[0.0, f64::INFINITY]).unwrap_err()));
    assert!(refused(Survival::likelihood(&[1.0, -1.0], None, None, None).unwrap_err()));
    assert!(refused(Survival::likelihood(&[1.0, 2.0], None, Some(&[0.0, 2.0]), None).unwrap_err()));
    let interval = [Censoring::Event, Censoring::Interval(1.0)];
    assert!(refused(Survival::likelihood(&[1.0, 2.0], Some(&interval), None, None).unwrap_err()));
    assert!(Censoring::from_code(3.0, None).is_err() && Censoring::from_code(7.0, None).is_err());
}

/// Counts that are never zero: a user's family, from its density alone.
#[derive(Debug)]
struct TruncatedPoisson(Vec<f64>);

impl LogDensity for TruncatedPoisson {
    fn family(&self) -> &'static str {
        "truncated-poisson"
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn is_observed(&self, row: usize) -> bool {
        !self.0[row].is_nan()
    }
    fn log_density<R: Real>(&self, row: usize, eta: R, theta: &[R; MOST_COMMON]) -> R {
        let rate = (eta + theta[0]).exp();
        (eta + theta[0]) * self.0[row] - rate - libm::lgamma(self.0[row] + 1.0) - rate.ln_1m_exp_neg()
    }
}

#[test]
fn a_likelihood_from_its_density_alone_obeys_the_contract() {
    let likelihood =
        FromDensity::new(TruncatedPoisson(vec![1.0, 4.0, MISSING]), Link::Log, vec![block("shift", 0.0)]).unwrap();
    obeys(&likelihood, &[0.2], &[-1.0, 1.3, 0.0]);
    let four = (0..4).map(|_| block("shift", 0.0)).collect();
    let error = FromDensity::new(TruncatedPoisson(vec![1.0]), Link::Log, four).unwrap_err();
    assert!(error.to_string().contains("4 hyperparameters"), "{error}");
}
