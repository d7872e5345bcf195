//! The certificate of a fit: a verdict with its reasons, and the culprits by name.

use integration::{Checks, Interpolation, Rung};
use serde_json::{Value, json};

use crate::fit::Fit;
use crate::json::number;

/// How far a fit can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing speaks against the marginals.
    Good,
    /// Something does; read the findings.
    Doubtful,
    /// The marginals are not those of the model.
    Bad,
}

impl Verdict {
    /// `good`, `doubtful`, `bad`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Doubtful => "doubtful",
            Self::Bad => "bad",
        }
    }

    /// By two limits on the size of a measure.
    fn of(value: f64, doubtful: f64, bad: f64) -> Self {
        match value.abs() {
            size if size.is_nan() || size > bad => Self::Bad,
            size if size > doubtful => Self::Doubtful,
            _ => Self::Good,
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How much it weighs; `Good` is a remark that does not touch the verdict.
    pub verdict: Verdict,
    /// The node, hyperparameter or effect.
    pub culprit: String,
    /// What was found, with its number, and what to do.
    pub reason: String,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// The worst of the findings.
    pub verdict: Verdict,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

/// Largest share, in nats for each effective parameter, of the corrections that a good and a doubtful fit may carry.
const CORRECTION: (f64, f64) = (0.05, 0.2);
/// The same of corrections that the density of the hyperparameters lacks: at 0.012 they are off by 0.02 (examples/cbpp) to 0.08
/// standard deviations (examples/epil).
const LEFT_OUT: (f64, f64) = (0.005, 0.1);
/// Differences of a node's mean, in standard deviations, and of its relative standard deviation, between the marginal and the likelihood's
/// own profile. The profile takes rows one by one, and is itself off by some hundredths.
const PROFILE: (f64, f64) = (0.05, 0.4);
/// Pareto shapes beyond which importance weights have no finite variance, and no mean.
const TAIL: (f64, f64) = (0.7, 1.0);
/// Difference of two designs, in standard deviations.
const DESIGNS: (f64, f64) = (0.15, 0.4);
/// Skewness beyond which three moments say little of a density.
const SKEWNESS: (f64, f64) = (1.5, 4.0);
/// Split R̂ of the chains over the hyperparameters, less one.
const R_HAT: (f64, f64) = (0.02, 0.1);
/// Independent draws that the chains must be worth for a good and a doubtful fit: 400 leave 0.05 standard deviations of Monte Carlo error.
const EFFECTIVE: (f64, f64) = (400.0, 100.0);
/// The same of draws to whose gradients a density was fitted: they check it, and carry what is known given the hyperparameters.
const EFFECTIVE_OF_FEW: (f64, f64) = (40.0, 15.0);
/// Share of draws of the fitted density that their weights must leave.
const SHARE: (f64, f64) = (0.25, 0.05);
/// Share of the draws whose trajectory diverged.
const DIVERGED: (f64, f64) = (0.001, 0.05);
/// Nats by which interpolated second-order terms may tilt the density of the hyperparameters, two standard deviations from its centre or so:
/// a tenth moves a mean by 0.05.
const INTERPOLATED: (f64, f64) = (0.1, 1.0);
/// Slope at the mode in standardised coordinates.
const SLOPE: (f64, f64) = (0.05, 0.5);
/// Effective parameters for each observation.
const PARAMETERS: (f64, f64) = (0.9, f64::INFINITY);
/// Hyperparameters that a composite design alone may integrate: beyond, draws are as few as its points and say more.
const MOST_COMPOSITE: usize = 10;
/// Share of the prior in what a hyperparameter's posterior answers to.
const PRIOR_SHARE: f64 = 0.5;

impl Fit {
    /// The verdict on the fit, from the evidence that it gathered about itself. It speaks of the approximation, not of the model: a good
    /// certificate says that long MCMC on the same model would give the same marginals.
    pub fn certificate(&self) -> Certificate {
        let mut findings = self.findings_of_the_fit();
        findings.extend(self.findings_of_the_integration());
        match &self.posterior().checks {
            Some(checks) => findings.extend(self.findings_of_checks(checks)),
            None => findings.push(Finding {
                verdict: Verdict::Doubtful,
                culprit: String::new(),
                reason: "the fit was made without gathering evidence".to_owned(),
            }),
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
        let verdict = findings.first().map_or(Verdict::Good, |finding| finding.verdict);
        Certificate { verdict, findings }
    }

    fn findings_of_the_fit(&self) -> Vec<Finding> {
        let diagnostics = &self.posterior().diagnostics;
        let mut findings: Vec<Finding> = self
            .warnings()
            .into_iter()
            .map(|reason| Finding { verdict: Verdict::Doubtful, culprit: String::new(), reason })
            .collect();
        let mut add = |verdict: Verdict, culprit: &str, reason: String| {
            findings.push(Finding { verdict, culprit: culprit.to_owned(), reason });
        };
        if !diagnostics.mode_converged {
            add(Verdict::Bad, "", "the mode of the hyperparameters was not found".to_owned());
        }
        let rung = diagnostics.approximation.rung;
        let share = diagnostics.second_order_share;
        let verdict = match rung {
            _ if self.is_gaussian() => Verdict::Good,
            // what this rung leaves out altogether
            Rung::Gaussian => Verdict::of(share, 0.001, 0.05),
            _ if rung.weighs_corrections() => Verdict::of(share, CORRECTION.0, CORRECTION.1),
            _ if self.theta_names().is_empty() => Verdict::Good,
            // means have their correction, the hyperparameters' density has none
            _ => Verdict::of(share, LEFT_OUT.0, LEFT_OUT.1),
        };
        if verdict > Verdict::Good {
            let reason =
                format!("the corrections beyond {} reach {share:.3} nats for each effective parameter", rung.name());
            add(verdict, "likelihood", reason);
        }
        findings
    }

    /// What the integration over the hyperparameters says of itself.
    fn findings_of_the_integration(&self) -> Vec<Finding> {
        let diagnostics = &self.posterior().diagnostics;
        let mut findings = self.findings_of_draws();
        let mut add = |verdict: Verdict, culprit: &str, reason: String| {
            findings.push(Finding { verdict, culprit: culprit.to_owned(), reason });
        };
        let theta = self.theta_names();
        if diagnostics.design == "eb" && !theta.is_empty() {
            let reason = format!(
                "the {} hyperparameters stand at their mode: what they leave open is in no marginal; integration = \"nuts\" samples them",
                theta.len()
            );
            add(Verdict::Doubtful, "hyperparameters", reason);
        }
        if diagnostics.design == "ccd" && theta.len() > MOST_COMPOSITE {
            let reason = format!(
                "a composite design knows the {} hyperparameters by derivatives to the third order: means and standard deviations may be off \
                 by some per cent; integration = \"importance\" or \"nuts\" samples them",
                theta.len()
            );
            add(Verdict::Doubtful, "hyperparameters", reason);
        }
        if let Some(sampling) = &diagnostics.sampling {
            let (r_hat, j) = sampling.largest_r_hat;
            let verdict = Verdict::of((r_hat - 1.0).max(0.0), R_HAT.0, R_HAT.1);
            if verdict > Verdict::Good {
                add(verdict, &theta[j], format!("the chains disagree on it: R̂ {r_hat:.3}; give more tuning and draws"));
            }
            let least = sampling.least_effective;
            let verdict = Verdict::of(1.0 / least, 1.0 / EFFECTIVE.0, 1.0 / EFFECTIVE.1);
            if verdict > Verdict::Good {
                let reason = format!("the chains are worth {least:.0} independent draws; give more");
                add(verdict, "hyperparameters", reason);
            }
            let share = sampling.divergences as f64 / sampling.draws as f64;
            let verdict = Verdict::of(share, DIVERGED.0, DIVERGED.1);
            if verdict > Verdict::Good {
                let reason = format!("{} of {} draws diverged", sampling.divergences, sampling.draws);
                add(verdict, "hyperparameters", reason);
            }
        }
        findings
    }

    fn findings_of_draws(&self) -> Vec<Finding> {
        let Some(importance) = &self.posterior().diagnostics.importance else { return Vec::new() };
        let (index, worth) = (importance.tail_index.max(0.0), importance.effective);
        let least = if importance.moved.is_some() { EFFECTIVE_OF_FEW } else { EFFECTIVE };
        let verdict = Verdict::of(index, TAIL.0, TAIL.1);
        let verdict = verdict.max(Verdict::of(1.0 / worth, 1.0 / least.0, 1.0 / least.1));
        let reason =
            format!("the weighed draws are worth {worth:.0} independent ones, their Pareto index is {index:.2}");
        let weights = Finding { verdict, culprit: "hyperparameters".to_owned(), reason };
        let moved = importance.moved.map(|(moved, j)| Finding {
            verdict: Verdict::of(moved, DESIGNS.0, DESIGNS.1),
            culprit: self.theta_names()[j].clone(),
            reason: format!(
                "the weights of the draws move it by {moved:.2} of its standard deviation beyond what was fitted to their gradients"
            ),
        });
        let share = importance.share;
        let fitted = Finding {
            verdict: Verdict::of(1.0 / share, 1.0 / SHARE.0, 1.0 / SHARE.1),
            culprit: "hyperparameters".to_owned(),
            reason: format!(
                "draws of the density that was fitted to their gradients keep {:.0} % of their number",
                100.0 * share
            ),
        };
        [weights, fitted].into_iter().chain(moved).filter(|finding| finding.verdict > Verdict::Good).collect()
    }

    fn findings_of_interpolation(&self, interpolation: &Interpolation) -> Vec<Finding> {
        let (nats, node) = (interpolation.second_order, interpolation.node);
        let used = if self.posterior().diagnostics.second_order_used { nats } else { 0.0 };
        let density = Finding {
            verdict: Verdict::of(used, INTERPOLATED.0, INTERPOLATED.1),
            culprit: "hyperparameters".to_owned(),
            reason: format!("third-order sums between the points where they are complete are off by {nats:.2} nats"),
        };
        let worst = Finding {
            verdict: Verdict::of(node, PROFILE.0, PROFILE.1),
            culprit: self.node_name(interpolation.culprit),
            reason: format!(
                "third-order sums between the points where they are complete move it by {node:.2} of its standard deviation"
            ),
        };
        [density, worst].into_iter().filter(|finding| finding.verdict > Verdict::Good).collect()
    }

    fn findings_of_checks(&self, checks: &Checks) -> Vec<Finding> {
        let theta = self.theta_names();
        let mut findings = Vec::new();
        let mut add = |verdict: Verdict, culprit: String, reason: String| {
            if verdict > Verdict::Good {
                findings.push(Finding { verdict, culprit, reason });
            }
        };
        for node in &checks.nodes {
            let name = self.node_name(node.node);
            let off = Verdict::of(node.mean, PROFILE.0, PROFILE.1).max(Verdict::of(node.sd, PROFILE.0, PROFILE.1));
            let reason = format!(
                "against the likelihood itself its mean is off by {:+.2} standard deviations and its standard deviation by {:+.0} %",
                node.mean,
                100.0 * node.sd
            );
            add(off, name.clone(), reason);
            let reason = format!("the Pareto index of its importance weights is {:.2}", node.tail_index);
            add(Verdict::of(node.tail_index.max(0.0), TAIL.0, TAIL.1), name, reason);
        }
        // a grid follows the density outwards, and so do chains and weighed draws; the other designs stand on a Gaussian
        let gaussian_design = !["grid", "nuts", "importance"].contains(&self.posterior().diagnostics.design);
        for (k, index) in checks.design_tail_indices.iter().enumerate().filter(|_| gaussian_design) {
            let index = index.unwrap_or(0.0).max(0.0);
            let reason = format!("the tails of the hyperparameters are heavy there: Pareto index {index:.2}");
            add(Verdict::of(index, TAIL.0, f64::INFINITY), self.direction_name(k), reason);
        }
        if let Some(difference) = &checks.design_difference {
            let reason = format!("two designs differ by {:.2} of its standard deviation", difference.value);
            let verdict = Verdict::of(difference.value, DESIGNS.0, DESIGNS.1);
            add(verdict, theta[difference.hyperparameter].clone(), reason);
        }
        let reason = format!("the slope at the mode is {:.3} in standardised coordinates", checks.gradient);
        add(Verdict::of(checks.gradient, SLOPE.0, SLOPE.1), "hyperparameters".to_owned(), reason);
        let (node, skewness) = checks.skewness;
        let reason = format!("its skewness given the hyperparameters is {skewness:.2}");
        add(Verdict::of(skewness, SKEWNESS.0, SKEWNESS.1), self.node_name(node), reason);
        let per = checks.parameters_per_observation;
        let reason = format!("there are {per:.2} effective parameters for each observation");
        add(Verdict::of(per, PARAMETERS.0, PARAMETERS.1), "likelihood".to_owned(), reason);
        findings.extend(
            checks.interpolation.iter().flat_map(|interpolation| self.findings_of_interpolation(interpolation)),
        );
        findings.extend(checks.sensitivities.iter().zip(theta).filter(|(s, _)| s.prior_share() > PRIOR_SHARE).map(
            |(sensitivity, culprit)| Finding {
                verdict: Verdict::Good,
                culprit,
                reason: format!(
                    "the priors hold {:.0} % of what its posterior answers to: the data say little of it",
                    100.0 * sensitivity.prior_share()
                ),
            },
        ));
        findings
    }

    /// The hyperparameter that direction `k` of the design is most along.
    fn direction_name(&self, k: usize) -> String {
        let vectors = &self.posterior().reparametrisation.vectors;
        let names = self.theta_names();
        let main = (0..names.len()).max_by(|&a, &b| vectors[a][k].abs().total_cmp(&vectors[b][k].abs()));
        main.map_or_else(String::new, |j| names[j].clone())
    }
}

impl Certificate {
    /// `{verdict, findings: [{verdict, culprit, reason}]}`.
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|f| json!({ "verdict": f.verdict.name(), "culprit": f.culprit, "reason": f.reason }))
            .collect();
        json!({ "verdict": self.verdict.name(), "findings": findings })
    }
}

/// The evidence behind a certificate, with names.
pub(crate) fn checks_json(fit: &Fit, checks: &Checks) -> Value {
    let theta = fit.theta_names();
    let nodes: Vec<Value> = checks
        .nodes
        .iter()
        .map(|node| {
            json!({
                "name": fit.node_name(node.node),
                "tail_index": number(node.tail_index),
                "mean": number(node.mean),
                "sd": number(node.sd),
            })
        })
        .collect();
    let sensitivities: Vec<Value> = checks
        .sensitivities
        .iter()
        .zip(&theta)
        .map(|(s, name)| json!({ "name": name, "prior": number(s.prior), "likelihood": number(s.likelihood) }))
        .collect();
    json!({
        "design_tail_indices": checks.design_tail_indices.iter().map(|k| k.map_or(Value::Null, number)).collect::<Vec<_>>(),
        "design_difference": checks.design_difference.as_ref().map_or(Value::Null, |d| number(d.value)),
        "gradient": number(checks.gradient),
        "nodes": nodes,
        "skewness": { "name": fit.node_name(checks.skewness.0), "value": number(checks.skewness.1) },
        "parameters_per_observation": number(checks.parameters_per_observation),
        "interpolation": checks.interpolation.map(|i| json!({
            "second_order": number(i.second_order),
            "name": fit.node_name(i.culprit),
            "node": number(i.node),
        })),
        "sensitivities": sensitivities,
    })
}
