//! Designs over the hyperparameters against quadrature of a posterior that is its prior.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::sync::Arc;

use gmrf::latent::Iid;
use gmrf::prior::Prior;
use gmrf::{Hyperparameter, HyperparameterBlock};
use integration::{ExploreOptions, Posterior, Sequential, Strategy};
use laplace::likelihood::{FromDensity, Gaussian, LogDensity, MOST_COMMON, Real};
use laplace::{Design, Effect, LatentGaussianModel, Likelihood, Link, Observations};

/// Normal densities, each of a weight, a centre and a standard deviation.
#[derive(Debug)]
struct Mixture(Vec<(f64, f64, f64)>);

impl Prior for Mixture {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let part = |(w, m, s): &(f64, f64, f64)| {
            let t = (theta[0] - m) / s;
            (w / s * (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt(), -t / s)
        };
        let density: f64 = self.0.iter().map(|p| part(p).0).sum();
        gradient[0] = self.0.iter().map(|p| part(p).0 * part(p).1).sum::<f64>() / density;
        density.ln()
    }
    fn description(&self) -> String {
        "mixture".to_owned()
    }
}

impl Mixture {
    fn moments(&self) -> (f64, f64) {
        let mean: f64 = self.0.iter().map(|(w, m, _)| w * m).sum();
        let second: f64 = self.0.iter().map(|(w, m, s)| w * (m * m + s * s)).sum();
        (mean, (second - mean * mean).sqrt())
    }
}

/// So many observations that say nothing.
#[derive(Debug)]
struct Flat(usize);

impl LogDensity for Flat {
    fn family(&self) -> &'static str {
        "flat"
    }
    fn len(&self) -> usize {
        self.0
    }
    fn is_observed(&self, _row: usize) -> bool {
        true
    }
    fn log_density<R: Real>(&self, _row: usize, eta: R, _theta: &[R; MOST_COMMON]) -> R {
        eta * 0.0
    }
}

/// Effects whose precisions have the priors as their posteriors.
fn model(priors: Vec<Mixture>) -> LatentGaussianModel {
    model_of(Arc::new(FromDensity::new(Flat(1), Link::Identity, Vec::new()).unwrap()), priors)
}

fn model_of(likelihood: Arc<dyn Likelihood>, priors: Vec<Mixture>) -> LatentGaussianModel {
    let count = priors.len();
    let effect = |(k, prior): (usize, Mixture)| {
        let block = HyperparameterBlock::single(Hyperparameter::log_precision("precision", 0.0), Arc::new(prior));
        Effect { name: format!("g{k}"), model: Arc::new(Iid::new(1, None, block).unwrap()) }
    };
    let mut design = Design::new(count);
    for _ in 0..likelihood.len() {
        design.push_row(&(0..count).map(|k| (k, 1.0)).collect::<Vec<_>>(), 0.0).unwrap();
    }
    let observations = Observations { name: "likelihood".to_owned(), likelihood };
    let effects = priors.into_iter().enumerate().map(effect).collect();
    LatentGaussianModel::new(effects, vec![observations], design).unwrap()
}

fn explored(strategy: Strategy, priors: Vec<Mixture>) -> Posterior {
    let options = ExploreOptions { strategy, ..ExploreOptions::default() };
    Posterior::explore(&model(priors), &Sequential, &options).unwrap()
}

#[test]
fn a_grid_that_disagrees_with_half_of_its_points_is_refined() {
    // a narrow part beside a point of the default grid, which gives it some times its weight
    let parts = || Mixture(vec![(0.96, 0.0, 1.0), (0.04, 1.95, 0.1)]);
    let (mean, sd) = parts().moments();
    let error = |posterior: &Posterior| (posterior.hyperparameters[0].mean() - mean).abs() / sd;
    let (fixed, refined) =
        (explored(Strategy::Grid(None), vec![parts()]), explored(Strategy::Automatic, vec![parts()]));
    let said = |posterior: &Posterior| posterior.checks.as_ref().unwrap().design_difference.unwrap().value;
    assert!(refined.points.len() > fixed.points.len(), "{} {}", refined.points.len(), fixed.points.len());
    assert!(said(&fixed) > 0.05 && said(&refined) < 0.05, "{} {}", said(&fixed), said(&refined));
    // the tolerance is that of every second point: all of them are better
    assert!(error(&fixed) > 0.03 && error(&refined) < 0.02, "{} {}", error(&fixed), error(&refined));
}

#[test]
fn every_design_reads_skewed_marginals_off_one_and_two_hyperparameters() {
    // skewed as a log-gamma density of shape 3 or so
    let parts = || Mixture(vec![(0.7, 0.3, 0.8), (0.3, -0.5, 1.2)]);
    let (mean, sd) = parts().moments();
    for count in [1, 2] {
        for strategy in [Strategy::Grid(None), Strategy::GaussHermite(5), Strategy::CentralComposite] {
            let posterior = explored(strategy, (0..count).map(|_| parts()).collect());
            for marginal in &posterior.hyperparameters {
                let (off, ratio) = ((marginal.mean() - mean) / sd, marginal.sd() / sd - 1.0);
                // cubics between five points of an axis
                assert!(off.abs() < 0.02 && ratio.abs() < 0.02, "{strategy:?} {count}: {off} {ratio}");
            }
        }
    }
}

#[test]
fn many_rows_are_integrated_by_fewer_points() {
    let design = |rows: usize| {
        let likelihood = Arc::new(FromDensity::new(Flat(rows), Link::Identity, Vec::new()).unwrap());
        let priors = (0..3).map(|_| Mixture(vec![(1.0, 0.0, 1.0)])).collect();
        let options = ExploreOptions { certificate: false, criteria: false, ..ExploreOptions::default() };
        Posterior::explore(&model_of(likelihood, priors), &Sequential, &options).unwrap().diagnostics.design
    };
    // three effects of one node: the rows are all that an evaluation takes
    assert_eq!((design(10), design(5000)), ("grid", "ccd"));
}

#[test]
fn a_composite_design_takes_star_points_from_its_axes() {
    // a precision of exp(−30) tells nothing, and the likelihood is Gaussian: nothing but the design is evaluated
    let precision = Hyperparameter { fixed: true, ..Hyperparameter::log_precision("precision", -30.0) };
    let block = || HyperparameterBlock::single(precision.clone(), Arc::new(Mixture(vec![(1.0, 0.0, 1.0)])));
    let explored = |parts: Vec<(f64, f64, f64)>| {
        let (mean, sd) = Mixture(parts.clone()).moments();
        let likelihood = Arc::new(Gaussian::new(&[0.0], None, block()).unwrap());
        let model = model_of(likelihood, (0..3).map(|_| Mixture(parts.clone())).collect());
        let options = ExploreOptions { strategy: Strategy::CentralComposite, ..ExploreOptions::default() };
        let posterior = Posterior::explore(&model, &Sequential, &options).unwrap();
        for marginal in &posterior.hyperparameters {
            let (off, ratio) = ((marginal.mean() - mean) / sd, marginal.sd() / sd - 1.0);
            // the bars of hierarchical models: cubics between five points of an axis, coupled by fifteen points
            assert!(off.abs() < 0.02 && ratio.abs() < 0.03, "{off} {ratio}");
        }
        assert_eq!(posterior.points.len(), 15);
        posterior.diagnostics.evaluations - posterior.mode.evaluations
    };
    // differences for the Hessian, the centre, four points of each axis, the corners; and star points of their own on the half-axes whose
    // standard deviation is another
    let (symmetric, skewed) = (3 + 1 + 12 + 8, 3 + 1 + 12 + 8 + 3);
    assert_eq!(explored(vec![(1.0, 0.0, 1.0)]), symmetric);
    assert_eq!(explored(vec![(0.7, 0.3, 0.8), (0.3, -0.5, 1.2)]), skewed);
}
