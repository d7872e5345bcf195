//! Differences of a fit from its reference, in posterior standard deviations.

use std::collections::HashMap;

use inla::{Fit, Marginal, Named};

use crate::cases::{Bars, Case, Failure};
use crate::distribution::{Distribution, band};

/// What kind of scalar it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Coefficients.
    Fixed,
    /// Hyperparameters on the internal scale.
    Hyper,
    /// Levels of random effects.
    Latent,
}

impl Group {
    /// The group of a scalar by the engine's name.
    fn of(name: &str) -> Option<Self> {
        match name.split('.').next() {
            Some("fixed") => Some(Self::Fixed),
            Some("hyper_internal" | "hyper") => Some(Self::Hyper),
            Some("random" | "coefficients") => Some(Self::Latent),
            _ => None,
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Hyper => "hyper",
            Self::Latent => "latent",
        }
    }
}

/// One scalar's difference from the reference.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: Group,
    /// (mean − reference)/sd.
    pub mean: f64,
    /// sd/reference − 1.
    pub sd: f64,
    /// Largest difference of the 2.5 %, 50 % and 97.5 % quantiles, in sd.
    pub quantile: f64,
    /// Monte Carlo standard error of the reference's mean, in sd.
    pub monte_carlo: f64,
    /// That of its standard deviation.
    pub monte_carlo_sd: f64,
    /// Kolmogorov's distance from the reference's distribution, where that was kept.
    pub distance: Option<f64>,
    /// The distance that Monte Carlo error alone may reach: the 99 % band over all scalars of the case.
    pub band: f64,
    /// The largest difference of the distribution functions at the quantiles of the summary, which come from all draws where the distance
    /// comes from thinned ones, and its own band.
    pub at_quantiles: (f64, f64),
}

impl Difference {
    /// How far mean, standard deviation and distribution are off beyond the Monte Carlo error: three standard errors and the 99 % band.
    pub fn beyond_noise(&self) -> [f64; 3] {
        let mean = self.mean.abs() - 3.0 * self.monte_carlo;
        let sd = self.sd.abs() - 3.0 * self.monte_carlo_sd;
        let of_all = self.at_quantiles.0 - self.at_quantiles.1;
        let distance = self.distance.map_or(of_all, |distance| of_all.max(distance - self.band));
        [mean, sd, distance].map(|excess| excess.max(0.0))
    }

    /// What passes the bars beyond the Monte Carlo error.
    pub fn misses(&self, bars: &Bars) -> Vec<String> {
        let [mean, sd, distance] = self.beyond_noise();
        let mut all = Vec::new();
        if mean > bars.mean || self.mean.is_nan() {
            all.push(format!("mean {:+.3}", self.mean));
        }
        if sd > bars.sd || self.sd.is_nan() {
            all.push(format!("sd {:+.3}", self.sd));
        }
        if distance > bars.distance {
            all.push(format!("KS {:.3}", self.distance.unwrap_or(0.0).max(self.at_quantiles.0)));
        }
        all
    }
}

/// A case's differences.
#[derive(Debug)]
pub struct Report {
    /// One for each scalar.
    pub differences: Vec<Difference>,
    /// Evidence less the reference's.
    pub evidence: Option<f64>,
    /// The rung of the ladder that the fit stands on.
    pub approximation: &'static str,
    /// The verdict of the fit's certificate.
    pub verdict: &'static str,
    /// Wall-clock seconds of the fit.
    pub seconds: f64,
    /// What the engine itself says of the fit.
    pub warnings: Vec<String>,
}

impl Report {
    /// Of those `among`, the difference that is largest by `measure`.
    pub fn worst(
        &self,
        among: impl Fn(&Difference) -> bool,
        measure: impl Fn(&Difference) -> f64,
    ) -> Option<&Difference> {
        let own = self.differences.iter().filter(|d| among(d));
        own.max_by(|a, b| measure(a).abs().total_cmp(&measure(b).abs()))
    }
}

/// Every marginal of a fit by the name under which the references know it.
pub fn marginals(fit: &Fit) -> HashMap<String, Marginal> {
    let mut all = HashMap::new();
    let mut add = |prefix: &str, named: Vec<Named>| {
        all.extend(named.into_iter().map(|n| (format!("{prefix}.{}", n.name), n.marginal)));
    };
    add("fixed", fit.fixed());
    add("hyper_internal", fit.internal_hyperparameters());
    add("hyper", fit.hyperparameters());
    for effect in fit.effects_with_coefficients() {
        add(&format!("coefficients.{effect}"), fit.coefficients(effect));
    }
    for effect in fit.effects() {
        add(&format!("random.{effect}"), fit.effect(&effect).unwrap_or_default());
    }
    all
}

/// Fits a case by a rung of the ladder and compares every scalar that the reference has and the engine knows.
///
/// # Errors
/// Those of the engine, a broken reference, or a scalar that neither the fit nor the case's names account for.
pub fn compare(case: &Case, approximation: &str) -> Result<Report, Failure> {
    compare_fit(case, &case.distributions()?, &case.fit(approximation)?)
}

/// The differences of a fit of a case.
///
/// # Errors
/// A broken reference, or a scalar that neither the fit nor the case's names account for.
pub fn compare_fit(case: &Case, known: &HashMap<String, Distribution>, fit: &Fit) -> Result<Report, Failure> {
    let ours = marginals(fit);
    let mut differences = Vec::new();
    for scalar in case.scalars()? {
        let Some(name) = case.engine_name(&scalar.name) else { continue };
        let Some(group) = Group::of(&name) else { continue };
        let own = ours.get(&name).ok_or_else(|| format!("{}: the fit has no {name}", case.name))?;
        let distribution = known.get(&scalar.name);
        let effective = match distribution {
            // thinned draws are independent, or as many as the chains are worth
            Some(Distribution::Draws(draws)) => scalar.effective.min(draws.len() as f64),
            _ => scalar.effective,
        };
        let miss = |&(level, x): &(f64, f64)| (own.cdf(x) - level).abs();
        let (summary, sd) = (own.summary(), scalar.sd);
        let quantiles = [summary.q0_025, summary.q0_5, summary.q0_975];
        let quantiles = quantiles.iter().zip(&scalar.quantiles).map(|(own, reference)| (own - reference).abs() / sd);
        differences.push(Difference {
            name,
            group,
            mean: (summary.mean - scalar.mean) / sd,
            sd: summary.sd / sd - 1.0,
            quantile: quantiles.fold(0.0, f64::max),
            monte_carlo: scalar.errors[0] / sd,
            monte_carlo_sd: scalar.errors[1] / sd,
            distance: distribution.map(|d| d.distance(&|x| own.cdf(x))),
            band: effective,
            at_quantiles: (scalar.levels.iter().map(miss).fold(0.0, f64::max), scalar.effective),
        });
    }
    // the band of a scalar depends on how many there are
    let scalars = differences.len();
    differences.iter_mut().for_each(|d| {
        d.band = band(d.band, scalars);
        d.at_quantiles.1 = band(d.at_quantiles.1, scalars);
    });
    let evidence = case.log_evidence.map(|reference| fit.log_marginal_likelihood() - reference);
    let approximation = fit.posterior().diagnostics.approximation.rung.name();
    let seconds = fit.elapsed().as_secs_f64();
    let verdict = fit.certificate().verdict.name();
    Ok(Report { differences, evidence, approximation, verdict, seconds, warnings: fit.warnings() })
}
