//! The contract of likelihoods, checked by differences: for the tests of any family, ours or a user's.
//!
//! Passing is necessary, not sufficient: the contract cannot know which density was meant.

use crate::error::LaplaceError;
use crate::likelihood::{Derivatives, Likelihood, Order};

/// Step of central differences: `ε^{1/3}`, where truncation and rounding balance.
const STEP: f64 = 6e-6;
/// Relative tolerance of differences: the step leaves less than a tenth of it for derivatives of order one.
const TOLERANCE: f64 = 1e-6;

/// Checks `likelihood` at one `θ` and at predictors `eta` (length `m`) at which it is finite.
///
/// Every derivative in `η` and in `θ` is that of central differences; a range of rows gives what the whole gives; lower
/// orders agree with higher ones; a missing response has `ℓ ≡ 0` and no probability; an observed one has a probability
/// in `[0, 1]`, where it is known, that moves with `η` as the family says, and a finite starting value; closed forms of integrals over a normal predictor agree
/// with the trapezoid rule. Cost: some evaluations for each row, 1 000 where it has closed forms.
///
/// # Errors
/// What is wrong, in words, with the row.
pub fn check(likelihood: &dyn Likelihood, theta: &[f64], eta: &[f64]) -> Result<(), String> {
    let named = |message: String| format!("{} at θ = {theta:?}: {message}", likelihood.family());
    if eta.len() != likelihood.len() {
        return Err(named(format!("{} predictors for {} rows", eta.len(), likelihood.len())));
    }
    let whole = evaluate(likelihood, theta, eta, Order::Fourth).map_err(named)?;
    check_predictor_derivatives(likelihood, theta, eta, &whole).map_err(named)?;
    check_theta_derivatives(likelihood, theta, eta, &whole).map_err(named)?;
    for row in 0..likelihood.len() {
        let checked = check_row(likelihood, theta, eta, &whole, row)
            .and_then(|()| check_closed_forms(likelihood, theta, row, eta[row]));
        checked.map_err(|message| named(format!("row {row}: {message}")))?;
    }
    Ok(())
}

fn evaluate(likelihood: &dyn Likelihood, theta: &[f64], eta: &[f64], order: Order) -> Result<Derivatives, String> {
    let mut out = Derivatives::zeros(eta.len(), theta.len());
    let done = likelihood.evaluate(theta, 0..eta.len(), eta, order, &mut out);
    done.map_err(|error: LaplaceError| error.to_string())?;
    Ok(out)
}

/// Whether a derivative is the central difference of what lies at `up` and `down`.
fn is_slope(found: f64, up: f64, down: f64) -> bool {
    let difference = (up - down) / (2.0 * STEP);
    // rounding of a value over the step, and the truncation of the difference
    (found - difference).abs() <= TOLERANCE * (1.0 + found.abs()) + 1e-15 * up.abs() / STEP
}

fn check_predictor_derivatives(
    likelihood: &dyn Likelihood,
    theta: &[f64],
    eta: &[f64],
    whole: &Derivatives,
) -> Result<(), String> {
    let moved = |by: f64| {
        let eta: Vec<f64> = eta.iter().map(|e| e + by).collect();
        evaluate(likelihood, theta, &eta, Order::Fourth)
    };
    let (up, down) = (moved(STEP)?, moved(-STEP)?);
    let levels = [
        (&whole.first, &up.value, &down.value),
        (&whole.second, &up.first, &down.first),
        (&whole.third, &up.second, &down.second),
        (&whole.fourth, &up.third, &down.third),
    ];
    for (order, (found, up, down)) in levels.into_iter().enumerate() {
        for row in 0..eta.len() {
            if !is_slope(found[row], up[row], down[row]) {
                let difference = (up[row] - down[row]) / (2.0 * STEP);
                let order = order + 1;
                return Err(format!(
                    "row {row}: derivative {order} in η is {}, by differences {difference}",
                    found[row]
                ));
            }
        }
    }
    Ok(())
}

fn check_theta_derivatives(
    likelihood: &dyn Likelihood,
    theta: &[f64],
    eta: &[f64],
    whole: &Derivatives,
) -> Result<(), String> {
    for j in 0..theta.len() {
        let moved = |by: f64| {
            let mut theta = theta.to_vec();
            theta[j] += by;
            evaluate(likelihood, &theta, eta, Order::Fourth)
        };
        let (up, down) = (moved(STEP)?, moved(-STEP)?);
        let slopes = &whole.theta[j];
        let levels = [
            (&slopes.value, &up.value, &down.value),
            (&slopes.first, &up.first, &down.first),
            (&slopes.second, &up.second, &down.second),
        ];
        for (order, (found, up, down)) in levels.into_iter().enumerate() {
            if let Some(row) = (0..eta.len()).find(|&row| !is_slope(found[row], up[row], down[row])) {
                return Err(format!("row {row}: derivative {order} in η has a wrong derivative in θ[{j}]"));
            }
        }
    }
    Ok(())
}

fn check_row(
    likelihood: &dyn Likelihood,
    theta: &[f64],
    eta: &[f64],
    whole: &Derivatives,
    row: usize,
) -> Result<(), String> {
    let mut one = Derivatives::zeros(1, theta.len());
    let done = likelihood.evaluate(theta, row..row + 1, &eta[row..=row], Order::Fourth, &mut one);
    done.map_err(|error| error.to_string())?;
    if (one.value[0], one.fourth[0]) != (whole.value[row], whole.fourth[row]) {
        return Err("alone it differs from what it is among all rows".into());
    }
    if evaluate(likelihood, theta, eta, Order::Value)?.value[row] != whole.value[row] {
        return Err("its value depends on the order asked for".into());
    }
    let probability = likelihood.cumulative(theta, row, eta[row]);
    match (likelihood.is_observed(row), probability) {
        (false, None) if (whole.value[row], whole.first[row], whole.second[row]) == (0.0, 0.0, 0.0) => Ok(()),
        (false, _) => Err("a missing response contributes to the likelihood".into()),
        (true, probability) => {
            let further = likelihood.cumulative(theta, row, eta[row] + 0.1);
            if let Some(p) = probability {
                check_probability(likelihood, p, further.unwrap_or(f64::NAN))?;
            }
            let start = likelihood.initial_predictor(row).unwrap_or(0.0);
            if start.is_finite() { Ok(()) } else { Err(format!("its starting value is {start}")) }
        }
    }
}

/// `P(Y ≤ y)` at a predictor and at a greater one.
fn check_probability(likelihood: &dyn Likelihood, p: f64, further: f64) -> Result<(), String> {
    let wrong_way = match likelihood.response_grows() {
        Some(true) => further > p + 1e-12,
        Some(false) => further < p - 1e-12,
        None => false,
    };
    if !(0.0..=1.0).contains(&p) || further.is_nan() || wrong_way {
        return Err(format!("P(Y ≤ y) is {p}, and {further} at a greater η"));
    }
    Ok(())
}

/// Closed forms over `η ~ N(mean, ½)` against the trapezoid rule, which is exact to rounding for smooth densities.
fn check_closed_forms(likelihood: &dyn Likelihood, theta: &[f64], row: usize, mean: f64) -> Result<(), String> {
    const NODES: i32 = 500;
    const STEP: f64 = 0.02;
    let variance: f64 = 0.5;
    let closed = likelihood.over_gaussian(theta, row, mean, variance);
    let probability = likelihood.cumulative_over_gaussian(theta, row, mean, variance);
    if closed.is_none() && probability.is_none() {
        return Ok(());
    }
    let mut sums = [0.0; 4];
    let mut one = Derivatives::zeros(1, theta.len());
    for node in -NODES..=NODES {
        let z = f64::from(node) * STEP;
        let weight = STEP * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let eta = mean + variance.sqrt() * z;
        let done = likelihood.evaluate(theta, row..row + 1, &[eta], Order::Value, &mut one);
        done.map_err(|error| error.to_string())?;
        let value = one.value[0];
        let cumulative = likelihood.cumulative(theta, row, eta).unwrap_or(f64::NAN);
        for (sum, term) in sums.iter_mut().zip([value.exp(), value, value * value, cumulative]) {
            *sum += weight * term;
        }
    }
    let closed = closed.map(|closed| [closed.density, closed.log_density, closed.log_density_squared]);
    let found = closed.into_iter().flatten().zip(sums).chain(probability.into_iter().zip([sums[3]]));
    for (found, sum) in found {
        // rounding of a thousand terms
        if (found - sum).abs() > 1e-10 * (1.0 + sum.abs()) {
            return Err(format!("a closed form over a normal predictor gives {found}, the trapezoid rule {sum}"));
        }
    }
    Ok(())
}
