//! lme4's notation of random coefficients as calls of `f()`.

use super::{EffectCall, Expression, Formula, Term, Value, Variable};

/// The effects that `(intercept + terms | group)` stands for; with `||` one for each coefficient.
pub(super) fn effects(group: &str, intercept: bool, terms: Vec<Term>, independent: bool) -> Vec<EffectCall> {
    if terms.is_empty() {
        return vec![single(group, None, false)];
    }
    // a single column may be a factor of many: the data say
    if !independent {
        return vec![joint(group, intercept, terms, false)];
    }
    let mut effects = if intercept { vec![single(group, None, false)] } else { Vec::new() };
    for term in terms {
        effects.push(match term.as_slice() {
            [Variable::Column(column)] => single(group, Some(column), true),
            _ => joint(group, false, vec![term], true),
        });
    }
    effects
}

fn named(group: &str, what: &str) -> (String, Value) {
    ("name".to_owned(), Value::Text(format!("{group}:{what}")))
}

/// One coefficient: independent effects, weighted by its column.
fn single(group: &str, weights: Option<&String>, with_name: bool) -> EffectCall {
    let mut options = vec![("model".to_owned(), Value::Name("iid".to_owned()))];
    options.extend(weights.filter(|_| with_name).map(|column| named(group, column)));
    EffectCall { column: group.to_owned(), weights: weights.cloned(), options }
}

/// Several coefficients with their covariance matrix.
fn joint(group: &str, intercept: bool, terms: Vec<Term>, with_name: bool) -> EffectCall {
    let columns = Formula { intercept, terms, ..Formula::intercept_only(Expression::Number(0.0)) }.to_string();
    let columns = columns.split_once("~ ").map_or(columns.as_str(), |(_, columns)| columns).to_owned();
    let mut options = vec![("model".to_owned(), Value::Name("iidkd".to_owned()))];
    if with_name {
        options.push(named(group, columns.trim_start_matches("0 + ")));
    }
    options.push(("coefficients".to_owned(), Value::Text(columns)));
    EffectCall { column: group.to_owned(), weights: None, options }
}
