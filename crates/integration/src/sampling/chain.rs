//! One chain of the no-U-turn sampler (Hoffman and Gelman 2014) by the crate `nuts-rs`, in standardised coordinates.

use std::collections::HashMap;

use nuts_rs::rand::{Rng, SeedableRng};
use nuts_rs::{Chain, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::error::IntegrationError;
use crate::objective::ObjectiveValue;

/// Acceptance that the step size is tuned to.
const ACCEPTANCE: f64 = 0.8;
/// Doublings of a trajectory.
const MOST_DOUBLINGS: u64 = 8;

/// What a chain says: draws after tuning, and how many of them ended in a divergence.
pub(crate) struct ChainDraws {
    pub(crate) zs: Vec<Vec<f64>>,
    pub(crate) divergences: usize,
}

/// The value and gradient of a log-density in `z`.
pub(crate) type Density<'a> = dyn Fn(&[f64]) -> Result<ObjectiveValue, IntegrationError> + Sync + 'a;

struct Target<'a> {
    density: &'a Density<'a>,
    dimension: usize,
}

/// A point that cannot be evaluated ends a trajectory, as a divergence does.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(#[from] IntegrationError);

impl LogpError for Failed {
    fn is_recoverable(&self) -> bool {
        true
    }
}

impl HasDims for Target<'_> {
    fn dim_sizes(&self) -> HashMap<String, u64> {
        std::iter::once(("unconstrained_parameter".to_owned(), self.dimension as u64)).collect()
    }
}

impl CpuLogpFunc for Target<'_> {
    type LogpError = Failed;
    type FlowParameters = ();
    type ExpandedVector = Vec<f64>;

    fn dim(&self) -> usize {
        self.dimension
    }

    fn logp(&mut self, position: &[f64], gradient: &mut [f64]) -> Result<f64, Failed> {
        let found = (self.density)(position)?;
        gradient.copy_from_slice(&found.gradient);
        Ok(found.value)
    }

    fn expand_vector<R: Rng + ?Sized>(&mut self, _: &mut R, position: &[f64]) -> Result<Vec<f64>, CpuMathError> {
        Ok(position.to_vec())
    }
}

/// Runs chain `chain` of a density of `p` coordinates near a standard normal one. A pure function of its arguments.
///
/// # Errors
/// [`IntegrationError::Sampler`] where no starting point can be evaluated.
pub(crate) fn run(
    density: &Density<'_>,
    p: usize,
    (chain, seed): (usize, u64),
    (tuning, draws): (usize, usize),
) -> Result<ChainDraws, IntegrationError> {
    let failed = |error: &dyn std::fmt::Display| IntegrationError::Sampler { chain, reason: error.to_string() };
    let mut settings = DiagNutsSettings {
        num_tune: tuning as u64,
        num_draws: draws as u64,
        maxdepth: MOST_DOUBLINGS,
        ..DiagNutsSettings::default()
    };
    settings.adapt_options.step_size_settings.target_accept = ACCEPTANCE;
    let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(chain as u64));
    // a start from the bulk of the density, nearer to the mode where that fails
    let mut start: Vec<f64> = (0..p).map(|_| StandardNormal.sample(&mut random)).collect();
    for _ in 0..5 {
        if density(&start).is_ok() {
            break;
        }
        start.iter_mut().for_each(|z| *z *= 0.5);
    }
    let math = CpuMath::new(Target { density, dimension: p });
    let mut sampler = settings.new_chain(chain as u64, math, &mut random).map_err(|error| failed(&error))?;
    sampler.set_position(&start).map_err(|error| failed(&error))?;
    let mut out = ChainDraws { zs: Vec::with_capacity(draws), divergences: 0 };
    for k in 0..tuning + draws {
        let (position, progress) = sampler.draw().map_err(|error| failed(&error))?;
        if k >= tuning {
            out.zs.push(position.into_vec());
            out.divergences += usize::from(progress.diverging);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_of_a_skewed_density_have_its_moments() {
        // a log-gamma coordinate of shape 4 beside a normal one of standard deviation 0.7: E log Γ₄ = ψ(4), Var = ψ′(4)
        let density = |z: &[f64]| -> Result<ObjectiveValue, IntegrationError> {
            let value = 4.0 * z[0] - z[0].exp() - 0.5 * (z[1] / 0.7).powi(2);
            Ok(ObjectiveValue { value, gradient: vec![4.0 - z[0].exp(), -z[1] / 0.49] })
        };
        let chain = run(&density, 2, (0, 7), (300, 6000)).unwrap();
        let moments = |k: usize| {
            let n = chain.zs.len() as f64;
            let mean = chain.zs.iter().map(|z| z[k]).sum::<f64>() / n;
            (mean, chain.zs.iter().map(|z| (z[k] - mean).powi(2)).sum::<f64>() / n)
        };
        // 6000 draws of some thousand effective ones: 0.03 standard deviations, three of them
        let (mean, variance) = moments(0);
        assert!(
            (mean - 1.256_117_668).abs() < 0.05 && (variance / 0.283_822_955 - 1.0).abs() < 0.12,
            "{mean} {variance}"
        );
        let (mean, variance) = moments(1);
        assert!(mean.abs() < 0.06 && (variance / 0.49 - 1.0).abs() < 0.12, "{mean} {variance}");
        assert_eq!(chain.divergences, 0);
        let again = run(&density, 2, (0, 7), (300, 50)).unwrap();
        assert_eq!(again.zs, run(&density, 2, (0, 7), (300, 50)).unwrap().zs);
    }

    #[test]
    fn a_density_that_fails_everywhere_is_an_error() {
        let density = |_: &[f64]| Err(IntegrationError::Sampler { chain: 9, reason: "nowhere".to_owned() });
        let error = run(&density, 1, (0, 1), (10, 10)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("nowhere"), "{error}");
    }
}
