//! Differences of a fit from its reference, in posterior standard deviations.

use std::collections::HashMap;

use inla::Fit;
use inla::Summary;

use crate::cases::{Case, Failure};

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

fn summaries(fit: &Fit) -> HashMap<String, Summary> {
    let mut all = HashMap::new();
    all.extend(fit.fixed().iter().map(|n| (format!("fixed.{}", n.name), n.summary())));
    all.extend(fit.internal_hyperparameters().iter().map(|n| (format!("hyper_internal.{}", n.name), n.summary())));
    all.extend(fit.hyperparameters().iter().map(|n| (format!("hyper.{}", n.name), n.summary())));
    for effect in fit.effects_with_coefficients() {
        let own = fit.coefficients(effect);
        all.extend(own.iter().map(|n| (format!("coefficients.{effect}.{}", n.name), n.summary())));
    }
    for effect in fit.effects() {
        let levels = fit.effect(&effect).unwrap_or_default();
        all.extend(levels.iter().map(|n| (format!("random.{effect}.{}", n.name), n.summary())));
    }
    all
}

/// Fits a case by a rung of the ladder and compares every scalar that the reference has and the engine knows.
///
/// # Errors
/// Those of the engine, a broken reference, or a scalar that neither the fit nor the case's names account for.
pub fn compare(case: &Case, approximation: &str) -> Result<Report, Failure> {
    let fit = case.fit(approximation)?;
    let ours = summaries(&fit);
    let mut reader = csv::Reader::from_path(&case.summary)?;
    let headers = reader.headers()?.clone();
    let column = |name: &str| headers.iter().position(|h| h == name).ok_or_else(|| format!("no column {name}"));
    let columns = ["mean", "sd", "q0.025", "q0.5", "q0.975", "mcse_mean"].map(column);
    let mut differences = Vec::new();
    for record in reader.records() {
        let record = record?;
        let Some(name) = case.engine_name(&record[0]) else { continue };
        let group = match name.split('.').next() {
            Some("fixed") => Group::Fixed,
            Some("hyper_internal" | "hyper") => Group::Hyper,
            Some("random" | "coefficients") => Group::Latent,
            _ => continue,
        };
        let mut values = [0.0; 6];
        for (value, column) in values.iter_mut().zip(&columns) {
            *value = record[column.clone()?].parse()?;
        }
        let [mean, sd, low, median, high, monte_carlo] = values;
        let own = ours.get(&name).ok_or_else(|| format!("{}: the fit has no {name}", case.name))?;
        let quantiles = [own.q0_025 - low, own.q0_5 - median, own.q0_975 - high];
        differences.push(Difference {
            name,
            group,
            mean: (own.mean - mean) / sd,
            sd: own.sd / sd - 1.0,
            quantile: quantiles.iter().map(|q| q.abs() / sd).fold(0.0, f64::max),
            monte_carlo: monte_carlo / sd,
        });
    }
    let evidence = case.log_evidence.map(|reference| fit.log_marginal_likelihood() - reference);
    let approximation = fit.posterior().diagnostics.approximation.rung.name();
    let seconds = fit.elapsed().as_secs_f64();
    let verdict = fit.certificate().verdict.name();
    Ok(Report { differences, evidence, approximation, verdict, seconds, warnings: fit.warnings() })
}
