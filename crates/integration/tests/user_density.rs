//! A family from its log-density alone, through every rung of the ladder and through Markov chains, against quadrature.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::f64::consts::TAU;
use std::sync::Arc;

use gmrf::latent::Iid;
use gmrf::prior::Normal;
use gmrf::{Hyperparameter, HyperparameterBlock};
use integration::{ExploreOptions, Posterior, Rung, Sequential, VerifyOptions, verify};
use laplace::likelihood::{FromDensity, LogDensity, MOST_COMMON, Real};
use laplace::{Design, Effect, LatentGaussianModel, Link, NewtonOptions, Observations};

/// Counts that are never zero.
#[derive(Debug)]
struct TruncatedPoisson(Vec<f64>);

impl LogDensity for TruncatedPoisson {
    fn family(&self) -> &'static str {
        "truncated-poisson"
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn is_observed(&self, _row: usize) -> bool {
        true
    }
    fn log_density<R: Real>(&self, row: usize, eta: R, _theta: &[R; MOST_COMMON]) -> R {
        let rate = eta.exp();
        eta * self.0[row] - rate - libm::lgamma(self.0[row] + 1.0) - rate.ln_1m_exp_neg()
    }
}

const COUNTS: [f64; 6] = [1.0, 1.0, 3.0, 1.0, 6.0, 2.0];
/// Prior mean and precision of the log precision.
const PRIOR: (f64, f64) = (0.5, 4.0);

fn model() -> LatentGaussianModel {
    let precision = Hyperparameter::log_precision("precision", 0.0);
    let block = HyperparameterBlock::single(precision, Arc::new(Normal::new(PRIOR.0, PRIOR.1).unwrap()));
    let effect = Effect { name: "g".to_owned(), model: Arc::new(Iid::new(COUNTS.len(), None, block).unwrap()) };
    let likelihood = Arc::new(FromDensity::new(TruncatedPoisson(COUNTS.to_vec()), Link::Log, Vec::new()).unwrap());
    let mut design = Design::new(COUNTS.len());
    (0..COUNTS.len()).for_each(|i| design.push_row(&[(i, 1.0)], 0.0).unwrap());
    let observations = Observations { name: "likelihood".to_owned(), likelihood };
    LatentGaussianModel::new(vec![effect], vec![observations], design).unwrap()
}

/// Posterior means and standard deviations of `θ` and of every node, and `log p(y)`: sums over equally spaced points, which are exact to
/// rounding for smooth densities that vanish at both ends.
fn truth() -> (Vec<(f64, f64)>, f64) {
    let likelihood = TruncatedPoisson(COUNTS.to_vec());
    let step = 0.05;
    let mut sums = vec![(0.0, 0.0); COUNTS.len() + 1];
    let mut total = 0.0;
    for k in -60..=80 {
        let theta = f64::from(k) * step;
        let prior = (PRIOR.1 / TAU).sqrt() * (-0.5 * PRIOR.1 * (theta - PRIOR.0).powi(2)).exp();
        let mut moments = Vec::new();
        for row in 0..COUNTS.len() {
            let mut sum = [0.0; 3];
            for j in -240..=240 {
                let x = f64::from(j) * step;
                let log = 0.5 * theta - 0.5 * theta.exp() * x * x + likelihood.log_density(row, x, &[0.0; MOST_COMMON]);
                let mass = step * log.exp() / TAU.sqrt();
                (0..3).for_each(|power| sum[power] += mass * x.powi(power as i32));
            }
            moments.push(sum);
        }
        let mass = step * prior * moments.iter().map(|m| m[0]).product::<f64>();
        total += mass;
        sums[0].0 += mass * theta;
        sums[0].1 += mass * theta * theta;
        for (sum, moment) in sums[1..].iter_mut().zip(&moments) {
            sum.0 += mass * moment[1] / moment[0];
            sum.1 += mass * moment[2] / moment[0];
        }
    }
    let scalar = |(first, second): (f64, f64)| {
        let mean = first / total;
        (mean, (second / total - mean * mean).sqrt())
    };
    (sums.into_iter().map(scalar).collect(), total.ln())
}

#[test]
fn every_rung_takes_a_density_of_ones_own() {
    let (model, (truth, evidence)) = (model(), truth());
    // one count says little of its own rate: Laplace's mode is far from the mean, variational Gaussians lack the skewness, second-order
    // corrections leave some hundredths of a standard deviation, expectation propagation with one site a node is exact given θ
    let bars = [
        (Rung::Gaussian, 0.5),
        (Rung::Variational, 0.5),
        (Rung::VariationalMeanVariance, 0.5),
        (Rung::SimplifiedLaplace, 0.08),
        (Rung::Laplace, 0.08),
        (Rung::ExpectationPropagation, 0.02),
    ];
    assert_eq!(bars.map(|(rung, _)| rung), Rung::ALL);
    for (rung, bar) in bars {
        let options = ExploreOptions { rung: Some(rung), ..ExploreOptions::default() };
        let posterior = Posterior::explore(&model, &Sequential, &options).unwrap();
        let marginals = posterior.hyperparameters.iter().chain(&posterior.nodes);
        for (marginal, (mean, sd)) in marginals.zip(&truth) {
            let (difference, ratio) = ((marginal.mean() - mean) / sd, marginal.sd() / sd - 1.0);
            assert!(difference.abs() < bar && ratio.abs() < bar, "{rung:?}: {difference:+.4} {ratio:+.4}");
        }
        let error = posterior.evidence.integrated - evidence;
        assert!(error.abs() < bar, "{rung:?}: evidence {error:+.4}");
    }
}

#[test]
fn chains_take_a_density_of_ones_own() {
    let (model, (truth, _)) = (model(), truth());
    let posterior = Posterior::explore(&model, &Sequential, &ExploreOptions::default()).unwrap();
    let options = VerifyOptions { draws: 4000, ..VerifyOptions::default() };
    let settings = (&options, NewtonOptions::default());
    let found = verify(&model, &posterior.reparametrisation, settings, &Sequential, &|_, _| true).unwrap();
    assert!(found.derived.is_empty() && found.predictors == found.nodes && !found.stopped);
    for (scalar, (mean, sd)) in found.hyperparameters.iter().chain(&found.nodes).zip(&truth) {
        // four Monte Carlo errors: of fourteen numbers none exceeds them by chance once in a thousand runs
        assert!((scalar.mean - mean).abs() < 4.0 * scalar.mean_error, "{scalar:?} {mean}");
        assert!((scalar.sd - sd).abs() < 4.0 * scalar.sd_error, "{scalar:?} {sd}");
        assert!(scalar.mean_error < 0.03 * sd && scalar.r_hat < 1.01, "{scalar:?}");
    }
}
