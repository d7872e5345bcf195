//! Simulation-based calibration (Talts et al. 2018): under the posterior's distribution function, what the data came from is uniform over
//! replicates of the prior and the data, for every scalar, if and only if every step of the engine is right.

use rand::SeedableRng as _;
use rand_chacha::ChaCha12Rng;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::cases::Failure;
use crate::compare::marginals;
use crate::simulation::{Family, Latent, Simulated};

/// What was drawn and how it is fitted.
#[derive(Debug, Clone, Copy)]
pub struct Scenario<'a> {
    /// The latent model.
    pub latent: Latent,
    /// The likelihood.
    pub family: Family,
    /// The rung of the ladder.
    pub approximation: &'a str,
    /// A prior of the field's precision other than that which the data came from.
    pub wrong_prior: Option<&'a str>,
}

/// A test of uniformity.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// A scalar, or a group of them.
    pub of: String,
    /// Kolmogorov's distance of a scalar; of a group the average of `u − ½` or of `12 (u − ½)² − 1`.
    pub statistic: f64,
    /// Its p-value.
    pub p: f64,
}

/// All tests of a scenario.
#[derive(Debug, Clone)]
pub struct Calibration {
    /// Replicates.
    pub replicates: usize,
    /// Replicates without a fit, and the first reason.
    pub failed: Vec<String>,
    /// Scalars and groups.
    pub tests: Vec<Test>,
}

impl Calibration {
    /// The test with the least p-value.
    pub fn worst(&self) -> Option<&Test> {
        self.tests.iter().min_by(|a, b| a.p.total_cmp(&b.p))
    }

    /// The least p-value times the number of tests: Bonferroni's.
    pub fn p(&self) -> f64 {
        self.worst().map_or(1.0, |test| (test.p * self.tests.len() as f64).min(1.0))
    }

    /// The tests of groups.
    pub fn group(&self, name: &str) -> Option<&Test> {
        self.tests.iter().find(|test| test.of == name)
    }
}

/// The group of a scalar: what one is told together.
fn group(name: &str) -> &'static str {
    match name.split('.').next() {
        Some("fixed") => "fixed",
        Some("hyper" | "hyper_internal") => "hyper",
        Some("linear_predictor") => "predictor",
        _ => "latent",
    }
}

/// `u = F(truth)` of every scalar of one replicate.
fn ranks(scenario: &Scenario<'_>, seed: u64) -> Result<Vec<(String, f64)>, Failure> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let data = Simulated::new(scenario.latent, scenario.family, &mut random)?;
    let fit = data.fit(scenario.approximation, scenario.wrong_prior)?;
    let ours = marginals(&fit);
    let mut all = Vec::new();
    for (name, truth) in &data.truth {
        let marginal = ours.get(name).ok_or_else(|| format!("the fit has no {name}"))?;
        all.push((name.clone(), marginal.cdf(*truth)));
    }
    // a row of every node says what the others say
    let rows = fit.linear_predictor().iter().zip(&data.predictor).enumerate().take(4);
    all.extend(rows.map(|(i, (marginal, eta))| (format!("linear_predictor.{}", i + 1), marginal.cdf(*eta))));
    Ok(all)
}

/// Replicates `0..replicates` of a scenario and all its tests.
pub fn calibrate(scenario: &Scenario<'_>, replicates: usize) -> Calibration {
    let one = |seed: u64| ranks(scenario, seed).map_err(|error| error.to_string());
    let all: Vec<Result<Vec<(String, f64)>, String>> = (0..replicates as u64).into_par_iter().map(one).collect();
    let failed = all.iter().filter_map(|r| r.as_ref().err().cloned()).collect();
    let done: Vec<&Vec<(String, f64)>> = all.iter().filter_map(|r| r.as_ref().ok()).collect();
    let mut tests = Vec::new();
    let names: Vec<&String> = done.first().map(|r| r.iter().map(|(name, _)| name).collect()).unwrap_or_default();
    for (k, name) in names.iter().enumerate() {
        let own: Vec<f64> = done.iter().map(|r| r[k].1).collect();
        tests.push(uniform(name, own));
    }
    for wanted in ["fixed", "hyper", "latent", "predictor"] {
        let of = |measure: fn(f64) -> f64| -> Vec<f64> {
            let average = |r: &&Vec<(String, f64)>| {
                let own: Vec<f64> = r.iter().filter(|(n, _)| group(n) == wanted).map(|(_, u)| measure(*u)).collect();
                own.iter().sum::<f64>() / own.len() as f64
            };
            done.iter().map(average).collect()
        };
        tests.push(centred(&format!("{wanted}: place"), &of(|u| u - 0.5)));
        tests.push(centred(&format!("{wanted}: spread"), &of(|u| 12.0 * (u - 0.5).powi(2) - 1.0)));
    }
    Calibration { replicates: done.len(), failed, tests }
}

/// Kolmogorov's test of a uniform distribution, its p-value by Stephens (1970): `2 Σ (−1)^{k−1} exp(−2k²λ²)` at
/// `λ = (√n + 0.12 + 0.11/√n) D`.
fn uniform(name: &str, mut u: Vec<f64>) -> Test {
    u.sort_by(f64::total_cmp);
    let n = u.len() as f64;
    let step = |(i, u): (usize, &f64)| ((i + 1) as f64 / n - u).max(u - i as f64 / n);
    let distance = u.iter().enumerate().map(step).fold(0.0, f64::max);
    let lambda = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * distance;
    let term = |k: i32| f64::from(1 - 2 * ((k + 1) % 2)) * (-2.0 * f64::from(k * k) * lambda * lambda).exp();
    let p = if lambda < 0.3 { 1.0 } else { (2.0 * (1..50).map(term).sum::<f64>()).clamp(0.0, 1.0) };
    Test { of: name.to_owned(), statistic: distance, p }
}

/// The test that independent values have mean zero, by their own standard deviation; the scalars of a replicate depend on each other, the
/// averages of replicates do not.
fn centred(name: &str, values: &[f64]) -> Test {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let z = mean / (variance / n).sqrt();
    Test { of: name.to_owned(), statistic: mean, p: libm::erfc(z.abs() / std::f64::consts::SQRT_2) }
}
