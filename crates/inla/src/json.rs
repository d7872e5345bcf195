//! A fit as JSON, for programs. The schema stands in `docs/json.md`.

use integration::{Marginal, Summary};
use serde_json::{Map, Value, json};

use crate::certificate::checks_json;
use crate::fit::{Fit, Named};

/// Abscissae of a marginal's density.
const DENSITY_POINTS: usize = 75;

/// A number, or null where JSON has none.
pub(crate) fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}

fn summary(summary: &Summary) -> Value {
    json!({
        "mean": number(summary.mean),
        "sd": number(summary.sd),
        "q0.025": number(summary.q0_025),
        "q0.5": number(summary.q0_5),
        "q0.975": number(summary.q0_975),
        "mode": number(summary.mode),
    })
}

fn described(marginal: &Marginal, with_density: bool) -> Value {
    let mut value = summary(&marginal.summary());
    if with_density {
        let table = marginal.density_table(DENSITY_POINTS);
        let (x, density): (Vec<f64>, Vec<f64>) = table.into_iter().unzip();
        value["density"] = json!({ "x": x, "density": density });
    }
    value
}

fn object(named: &[Named], with_density: bool) -> Value {
    let entries = named.iter().map(|n| (n.name.clone(), described(&n.marginal, with_density)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn list(marginals: &[Marginal], with_density: bool) -> Value {
    Value::Array(marginals.iter().map(|marginal| described(marginal, with_density)).collect())
}

impl Fit {
    /// Everything that programs ask of a fit; `with_density` adds every marginal's density at 75 points.
    ///
    /// Cost: a summary of every node and twice of every row.
    pub fn to_json(&self, with_density: bool) -> Value {
        let posterior = self.posterior();
        let mut value = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "family": self.family(),
            "formula": self.specification().formula.to_string(),
            "certificate": self.certificate().to_json(),
            "checks": posterior.checks.as_ref().map_or(Value::Null, |checks| checks_json(self, checks)),
            "fixed": object(&self.fixed(), with_density),
            "hyper": object(&self.hyperparameters(), with_density),
            "hyper_internal": object(&self.internal_hyperparameters(), with_density),
            "random": self.random_json(with_density),
            "coefficients": self.coefficients_json(with_density),
            "derivatives": self.derivatives_json(with_density),
            "linear_predictor": list(self.linear_predictor(), with_density),
            "fitted": list(&self.fitted(), with_density),
            "log_marginal_likelihood": number(posterior.evidence.integrated),
            "evidence": {
                "integrated": number(posterior.evidence.integrated),
                "without_second_order": number(posterior.evidence.without_second_order),
                "gaussian": number(posterior.evidence.gaussian),
            },
            "mode": {
                "names": self.theta_names(),
                "theta": posterior.mode.theta,
                "log_posterior": number(posterior.mode.value),
                "hessian": posterior.reparametrisation.hessian,
            },
            "design": posterior.points.iter().map(|point| json!({
                "theta": point.theta,
                "z": point.z,
                "weight": number(point.weight),
                "log_posterior": number(point.log_posterior),
                "second_order": number(point.second_order),
            })).collect::<Vec<_>>(),
            "diagnostics": self.diagnostics_json(),
            "timing": {
                "mode": posterior.timing.mode.as_secs_f64(),
                "design": posterior.timing.design.as_secs_f64(),
                "marginals": posterior.timing.marginals.as_secs_f64(),
                "total": self.elapsed().as_secs_f64(),
            },
        });
        if let Some(criteria) = &posterior.criteria {
            value["dic"] = json!({
                "dic": number(criteria.dic),
                "effective_parameters": number(criteria.dic_effective_parameters),
                "mean_deviance": number(criteria.mean_deviance),
            });
            value["waic"] = json!({
                "waic": number(criteria.waic),
                "effective_parameters": number(criteria.waic_effective_parameters),
            });
            let rows = self.rows();
            value["cpo"] = criteria.cpo[..rows].iter().map(|&c| number(c)).collect();
            value["pit"] = criteria.pit[..rows].iter().map(|&p| number(p)).collect();
        }
        value
    }

    fn random_json(&self, with_density: bool) -> Value {
        let levels = |name: String| self.effect(&name).map(|levels| (name, object(&levels, with_density)));
        Value::Object(self.effects().into_iter().filter_map(levels).collect())
    }

    fn coefficients_json(&self, with_density: bool) -> Value {
        let of = |name: &str| (name.to_owned(), object(&self.coefficients(name), with_density));
        Value::Object(self.effects_with_coefficients().into_iter().map(of).collect())
    }

    fn derivatives_json(&self, with_density: bool) -> Value {
        let of = |name: &str| (name.to_owned(), object(&self.derivatives(name), with_density));
        Value::Object(self.columns_with_derivatives().into_iter().map(of).collect())
    }

    fn diagnostics_json(&self) -> Value {
        let diagnostics = &self.posterior().diagnostics;
        let without: Map<String, Value> = self
            .theta_names()
            .into_iter()
            .zip(&self.posterior().hyperparameters_without_second_order)
            .map(|(name, marginal)| (name, summary(&marginal.summary())))
            .collect();
        json!({
            "design": diagnostics.design,
            "evaluations": diagnostics.evaluations,
            "newton_steps": diagnostics.newton_steps,
            "factorisations": diagnostics.factorisations,
            "mode_converged": diagnostics.mode_converged,
            "failed_points": diagnostics.failed_points.len(),
            "truncated": diagnostics.truncated,
            "moved": diagnostics.moved,
            "sampling": diagnostics.sampling.as_ref().map(|s| json!({
                "chains": s.chains,
                "draws": s.draws,
                "divergences": s.divergences,
                "largest_r_hat": number(s.largest_r_hat.0),
                "least_effective": number(s.least_effective),
            })),
            "importance": diagnostics.importance.as_ref().map(|i| json!({
                "draws": i.draws,
                "effective": number(i.effective),
                "tail_index": number(i.tail_index),
                "moved": i.moved.map(|(moved, _)| number(moved)),
                "share": number(i.share),
            })),
            "approximation": diagnostics.approximation.rung.name(),
            "approximation_reason": diagnostics.approximation.reason,
            "second_order_used": diagnostics.second_order_used,
            "second_order_share": number(diagnostics.second_order_share),
            "third_order_exact": diagnostics.third_order_exact,
            "effective_parameters": number(diagnostics.effective_parameters),
            "hyper_internal_without_second_order": without,
            "cpo_failures": self.posterior().criteria.as_ref().map_or(0, |c| c.failures.len()),
            "warnings": self.warnings(),
        })
    }
}
