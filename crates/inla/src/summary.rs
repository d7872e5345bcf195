//! A fit as text, for people.

use std::fmt::Write;

use crate::certificate::Verdict;
use crate::fit::{Fit, Named};

/// Six significant digits, as narrow as they can be; a dash for what does not exist.
fn digits(value: f64) -> String {
    if value.is_nan() {
        return "-".to_owned();
    }
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor();
    if (-4.0..6.0).contains(&magnitude) {
        let decimals = (4.0 - magnitude).clamp(0.0, 6.0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.3e}")
    }
}

fn section(out: &mut String, title: &str, named: &[Named]) {
    if named.is_empty() {
        return;
    }
    let width = named.iter().map(|n| n.name.chars().count()).max().unwrap_or(0).max(title.chars().count());
    let columns = ["mean", "sd", "0.025", "median", "0.975", "mode"];
    let _ = write!(out, "\n{title:<width$}");
    columns.iter().for_each(|column| {
        let _ = write!(out, " {column:>11}");
    });
    out.push('\n');
    for entry in named {
        let s = entry.summary();
        let _ = write!(out, "{:<width$}", entry.name);
        for value in [s.mean, s.sd, s.q0_025, s.q0_5, s.q0_975, s.mode] {
            let _ = write!(out, " {:>11}", digits(value));
        }
        out.push('\n');
    }
}

impl Fit {
    /// The summary that the command line prints: fixed effects, hyperparameters, evidence, criteria, timing, warnings.
    pub fn summary_text(&self) -> String {
        let posterior = self.posterior();
        let diagnostics = &posterior.diagnostics;
        let mut out = String::new();
        let rows = self.rows();
        let _ = writeln!(out, "{}", self.specification().formula);
        let _ = writeln!(out, "family {}, {rows} rows, {} latent nodes", self.family(), posterior.nodes.len());
        section(&mut out, "Fixed effects", &self.fixed());
        section(&mut out, "Hyperparameters", &self.hyperparameters());
        for name in self.effects() {
            let count = self.effect(&name).map_or(0, |levels| levels.len());
            let _ = write!(out, "\nRandom effect {name}: {count} levels");
        }
        let evidence = &posterior.evidence;
        let _ = write!(out, "\n\nlog marginal likelihood {:.3}", evidence.integrated);
        let _ = writeln!(out, " (Gaussian in the hyperparameters: {:.3})", evidence.gaussian);
        if let Some(criteria) = &posterior.criteria {
            let _ = writeln!(
                out,
                "DIC  {:.3}, effective parameters {:.3}",
                criteria.dic, criteria.dic_effective_parameters
            );
            let _ = writeln!(
                out,
                "WAIC {:.3}, effective parameters {:.3}",
                criteria.waic, criteria.waic_effective_parameters
            );
            let _ = writeln!(out, "-Σ log CPO {:.3}, failures {}", criteria.log_score(), criteria.failures.len());
        }
        let milliseconds = self.elapsed().as_secs_f64() * 1e3;
        let _ = writeln!(
            out,
            "{} design of {} points, {} evaluations, {} factorisations, {milliseconds:.1} ms",
            diagnostics.design,
            posterior.points.len(),
            diagnostics.evaluations,
            diagnostics.factorisations
        );
        out.push_str(&self.draws_text());
        let chosen = &diagnostics.approximation;
        let _ = writeln!(out, "approximation {}: {}", chosen.rung.name(), chosen.reason);
        let certificate = self.certificate();
        let _ = writeln!(out, "certificate {}", certificate.verdict.name());
        for finding in &certificate.findings {
            let verdict = if finding.verdict == Verdict::Good { "remark" } else { finding.verdict.name() };
            let culprit = if finding.culprit.is_empty() { String::new() } else { format!("{}: ", finding.culprit) };
            let _ = writeln!(out, "{verdict}: {culprit}{}", finding.reason);
        }
        out
    }

    /// What draws of the hyperparameters say of themselves.
    fn draws_text(&self) -> String {
        let diagnostics = &self.posterior().diagnostics;
        let mut out = String::new();
        if let Some(importance) = &diagnostics.importance {
            let moved = importance.moved.map_or(String::new(), |(moved, _)| {
                format!(", moving what was fitted to them by {moved:.3} sd at most")
            });
            let _ = writeln!(
                out,
                "{} weighed draws worth {:.0} independent ones, Pareto index {:.2}{moved}",
                importance.draws, importance.effective, importance.tail_index
            );
        }
        if let Some(sampling) = &diagnostics.sampling {
            let _ = writeln!(
                out,
                "{} chains, {} draws worth at least {:.0} independent ones, {} divergences, R̂ up to {:.3}",
                sampling.chains,
                sampling.draws,
                sampling.least_effective,
                sampling.divergences,
                sampling.largest_r_hat.0
            );
        }
        out
    }
}
