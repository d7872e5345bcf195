//! A fit beside long Markov chains on the exact posterior of the same model.

use std::fmt::Write;

use integration::{Marginal, Parallel, SampledScalar, Summary, VerifyOptions, verify};
use laplace::NewtonOptions;
use serde_json::{Value, json};

use crate::error::InlaError;
use crate::fit::{Fit, on_threads};
use crate::json::number;

/// Beyond this the chains have not forgotten where they started (Vehtari et al. 2021).
const LARGEST_R_HAT: f64 = 1.01;
/// Below this many independent draws neither `R̂` nor Monte Carlo errors can be believed (Vehtari et al. 2021).
const LEAST_EFFECTIVE: f64 = 400.0;
/// Monte Carlo standard errors that a difference must exceed to be one.
const ERRORS: f64 = 3.0;
/// Lines of the summary.
const LINES: usize = 20;

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarKind {
    /// A hyperparameter, or a function of several, on its internal scale.
    Hyperparameter,
    /// A coefficient or a level of an effect.
    Latent,
    /// The linear predictor of a row, or a sum of coefficients.
    Predictor,
}

impl ScalarKind {
    /// `hyperparameter`, `latent`, `predictor`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hyperparameter => "hyperparameter",
            Self::Latent => "latent",
            Self::Predictor => "predictor",
        }
    }
}

/// One scalar: the fit's marginal and the chains.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Its name in results.
    pub name: String,
    /// What it is.
    pub kind: ScalarKind,
    /// The fit.
    pub fitted: Summary,
    /// The chains.
    pub sampled: SampledScalar,
}

impl Verified {
    /// The fit's mean less the chains', in posterior standard deviations.
    pub fn difference(&self) -> f64 {
        (self.fitted.mean - self.sampled.mean) / self.sampled.sd
    }

    /// Monte Carlo standard error of [`difference`](Self::difference).
    pub fn error(&self) -> f64 {
        self.sampled.mean_error / self.sampled.sd
    }

    /// The fit's standard deviation over the chains', less one.
    pub fn sd_difference(&self) -> f64 {
        self.fitted.sd / self.sampled.sd - 1.0
    }

    /// Monte Carlo standard error of [`sd_difference`](Self::sd_difference).
    pub fn sd_error(&self) -> f64 {
        self.sampled.sd_error / self.sampled.sd
    }

    /// Whether mean and standard deviation agree within `bar`, in standard deviations, and three Monte Carlo errors.
    pub fn agrees(&self, bar: f64) -> bool {
        let within = |difference: f64, error: f64| difference.abs() <= bar + ERRORS * error;
        // a posterior without width is met by one without
        (self.sampled.sd == 0.0 && self.fitted.sd.abs() < 1e-12)
            || (within(self.difference(), self.error()) && within(self.sd_difference(), self.sd_error()))
    }

    fn size(&self) -> f64 {
        let difference = self.difference().abs();
        // what cannot be compared stands last
        if difference.is_finite() { difference } else { -1.0 }
    }
}

/// A fit beside chains.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// Every scalar, the largest difference of means first.
    pub scalars: Vec<Verified>,
    /// Whether linear predictors were compared: draws of very many rows would not fit in memory.
    pub with_predictors: bool,
    /// Chains.
    pub chains: usize,
    /// Draws of each chain after tuning.
    pub draws: usize,
    /// Whether the time limit ended the chains.
    pub stopped: bool,
    /// Share of updates of the hyperparameters, and of the latent field, that were accepted.
    pub acceptance: [f64; 2],
    /// Wall-clock seconds of the chains.
    pub seconds: f64,
}

impl Fit {
    /// Samples the exact posterior of hyperparameters and latent field by Markov chains and compares every marginal; `told` hears how
    /// many draws of how many are done, from any thread, and says whether to go on.
    ///
    /// The same numbers on any number of threads where no time limit strikes. Cost: for each draw an evaluation of the log posterior
    /// of the hyperparameters and some passes over the data: thousands of times what one point of a design costs.
    ///
    /// # Errors
    /// [`InlaError`]: an option that cannot be, a model that cannot be evaluated at its mode, or `told` said to stop.
    pub fn verify(
        &self,
        options: &VerifyOptions,
        told: &(dyn Fn(usize, usize) -> bool + Sync),
    ) -> Result<Verification, InlaError> {
        let started = std::time::Instant::now();
        let model = &self.assembled().model;
        let coordinates = &self.posterior().reparametrisation;
        let run = || verify(model, coordinates, (options, NewtonOptions::default()), &Parallel, told);
        let sampled = on_threads(self.specification().fit.threads, run)??;
        let mut scalars = Vec::new();
        let mut add = |kind: ScalarKind, name: String, marginal: &Marginal, sampled: &SampledScalar| {
            scalars.push(Verified { name, kind, fitted: marginal.summary(), sampled: *sampled });
        };
        for (named, sampled) in self.internal_hyperparameters().into_iter().zip(&sampled.hyperparameters) {
            add(ScalarKind::Hyperparameter, named.name, &named.marginal, sampled);
        }
        let derived = model.derived().into_iter().zip(&self.posterior().derived);
        for (((name, _), marginal), sampled) in derived.zip(&sampled.derived) {
            add(ScalarKind::Hyperparameter, name, marginal, sampled);
        }
        for (index, (marginal, sampled)) in self.posterior().nodes.iter().zip(&sampled.nodes).enumerate() {
            add(ScalarKind::Latent, self.node_name(index), marginal, sampled);
        }
        let order = &self.assembled().order;
        for (engine, sampled) in sampled.predictors.iter().enumerate() {
            let row = order.get(engine).copied().unwrap_or(engine);
            add(ScalarKind::Predictor, self.predictor_name(row), &self.posterior().predictors[row], sampled);
        }
        scalars.sort_by(|a, b| b.size().total_cmp(&a.size()));
        Ok(Verification {
            scalars,
            with_predictors: !sampled.predictors.is_empty(),
            chains: options.chains,
            draws: sampled.draws,
            stopped: sampled.stopped,
            acceptance: sampled.acceptance,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

impl Verification {
    /// The scalar whose chains agree least, if there is one.
    pub fn worst_r_hat(&self) -> Option<&Verified> {
        self.scalars.iter().max_by(|a, b| a.sampled.r_hat.total_cmp(&b.sampled.r_hat))
    }

    /// The scalar with the fewest independent draws in its centre and tails, if there is one.
    pub fn least_effective(&self) -> Option<&Verified> {
        self.scalars.iter().min_by(|a, b| a.sampled.least_effective.total_cmp(&b.sampled.least_effective))
    }

    /// Whether the chains agree with each other and are worth enough draws for their errors to be believed.
    pub fn converged(&self) -> bool {
        self.worst_r_hat().is_none_or(|s| s.sampled.r_hat < LARGEST_R_HAT)
            && self.least_effective().is_none_or(|s| s.sampled.least_effective >= LEAST_EFFECTIVE)
    }

    /// The scalars whose mean or standard deviation differs by more than `bar`, in standard deviations, beyond three Monte Carlo errors.
    pub fn differing(&self, bar: f64) -> Vec<&Verified> {
        self.scalars.iter().filter(|scalar| !scalar.agrees(bar)).collect()
    }

    /// What the command prints: the chains, the verdict, and the largest differences, all of them if `complete`.
    pub fn text(&self, complete: bool) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} chains of {} draws, {:.0} % and {:.0} % of the steps of hyperparameters and field accepted, {:.1} s{}",
            self.chains,
            self.draws,
            100.0 * self.acceptance[0],
            100.0 * self.acceptance[1],
            self.seconds,
            if self.stopped { ", ended by the time limit" } else { "" }
        );
        if let (Some(apart), Some(few)) = (self.worst_r_hat(), self.least_effective()) {
            let _ = writeln!(
                out,
                "R̂ up to {:.4} ({}), at least {:.0} independent draws ({})",
                apart.sampled.r_hat, apart.name, few.sampled.least_effective, few.name
            );
        }
        if !self.converged() {
            let _ = writeln!(out, "the chains have not converged: give more draws");
        }
        if !self.with_predictors {
            let _ = writeln!(out, "linear predictors were not compared: their draws would not fit in memory");
        }
        for bar in [0.02, 0.05, 0.1] {
            let _ = writeln!(
                out,
                "{} of {} scalars differ by more than {bar} sd beyond {ERRORS} Monte Carlo errors",
                self.differing(bar).len(),
                self.scalars.len()
            );
        }
        let shown = if complete { self.scalars.len() } else { self.scalars.len().min(LINES) };
        let width = self.scalars[..shown].iter().map(|s| s.name.chars().count()).max().unwrap_or(0).max(6);
        let columns = ["mean", "chains", "diff/sd", "error", "sd ratio-1", "error", "ess", "R̂"];
        let _ = write!(out, "\n{:<width$}", "scalar");
        columns.iter().for_each(|column| {
            let _ = write!(out, " {column:>11}");
        });
        out.push('\n');
        for s in &self.scalars[..shown] {
            let _ = write!(out, "{:<width$} {:>11.5} {:>11.5}", s.name, s.fitted.mean, s.sampled.mean);
            for value in [s.difference(), s.error(), s.sd_difference(), s.sd_error()] {
                let _ = write!(out, " {value:>+11.4}");
            }
            let _ = writeln!(out, " {:>11.0} {:>11.4}", s.sampled.least_effective, s.sampled.r_hat);
        }
        if shown < self.scalars.len() {
            let _ = writeln!(out, "… and {} scalars that differ less", self.scalars.len() - shown);
        }
        out
    }

    /// Everything, for programs.
    pub fn to_json(&self) -> Value {
        let scalar = |s: &Verified| {
            json!({
                "name": s.name,
                "kind": s.kind.name(),
                "fitted": { "mean": number(s.fitted.mean), "sd": number(s.fitted.sd) },
                "sampled": {
                    "mean": number(s.sampled.mean),
                    "mean_error": number(s.sampled.mean_error),
                    "sd": number(s.sampled.sd),
                    "sd_error": number(s.sampled.sd_error),
                    "q0.025": number(s.sampled.quantiles[0]),
                    "q0.5": number(s.sampled.quantiles[1]),
                    "q0.975": number(s.sampled.quantiles[2]),
                },
                "difference": number(s.difference()),
                "error": number(s.error()),
                "sd_difference": number(s.sd_difference()),
                "sd_error": number(s.sd_error()),
                "effective": number(s.sampled.effective),
                "least_effective": number(s.sampled.least_effective),
                "r_hat": number(s.sampled.r_hat),
            })
        };
        json!({
            "chains": self.chains,
            "draws": self.draws,
            "stopped": self.stopped,
            "converged": self.converged(),
            "with_predictors": self.with_predictors,
            "acceptance": { "hyperparameters": number(self.acceptance[0]), "latent": number(self.acceptance[1]) },
            "seconds": self.seconds,
            "scalars": self.scalars.iter().map(scalar).collect::<Vec<_>>(),
        })
    }
}
