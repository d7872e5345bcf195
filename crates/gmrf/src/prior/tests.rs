use super::*;
use crate::hyperparameter::Transform;

fn all() -> Vec<(std::sync::Arc<dyn Prior>, Transform)> {
    let named: [(&str, &[f64], Transform); 13] = [
        ("pc.prec", &[1.0, 0.01], Transform::Exp),
        ("pc.prec", &[0.3, 0.5], Transform::Exp),
        ("loggamma", &[1.0, 0.01], Transform::Exp),
        ("loggamma", &[2.5, 3.0], Transform::Exp),
        ("normal", &[0.5, 0.15], Transform::Identity),
        ("logtnormal", &[0.2, 4.0], Transform::Exp),
        ("pc.cor0", &[0.5, 0.5], Transform::Correlation),
        ("pc.cor0", &[0.9, 0.1], Transform::Correlation),
        ("pc.cor1", &[0.7, 0.7], Transform::Correlation),
        ("logitbeta", &[1.0, 1.0], Transform::Logistic),
        ("logitbeta", &[0.5, 3.0], Transform::Logistic),
        ("uniform", &[], Transform::Interval { low: -0.2, high: 1.0 }),
        ("table", &[-2.0, -3.0, 0.0, 0.0, 1.0, 0.0, 4.0, -6.0], Transform::Identity),
    ];
    named.into_iter().map(|(name, arguments, t)| (from_name(name, arguments, t).unwrap(), t)).collect()
}

/// `∫ exp(log π) 1[condition(θ)] dθ` by the trapezoid rule; 1e-4 is the jump of the integrand at the condition's edge.
fn mass(prior: &dyn Prior, condition: impl Fn(f64) -> bool) -> f64 {
    let step = 2e-4;
    let mut slope = [0.0];
    (-500_000..=500_000)
        .map(|k| f64::from(k) * step)
        .filter(|&theta| condition(theta))
        .map(|theta| prior.log_density(&[theta], &mut slope).exp() * step)
        .sum()
}

#[test]
fn every_proper_prior_integrates_to_one_on_the_internal_scale() {
    for (prior, _) in all() {
        let total = mass(prior.as_ref(), |_| true);
        // tails beyond |θ| = 100 of the slowest (e^{−θ/2}) hold 1e-21
        assert!((total - 1.0).abs() < 1e-4, "{}: {total}", prior.description());
        assert!(prior.is_proper());
    }
}

#[test]
fn gradients_are_those_of_the_value_and_never_undefined() {
    for (prior, _) in all() {
        for theta in [-30.0, -7.3, -1.1, -1e-3, 0.3, 2.2, 9.1, 30.0] {
            let at = |t: f64| prior.log_density(&[t], &mut [0.0]);
            let mut slope = [0.0];
            let value = prior.log_density(&[theta], &mut slope);
            assert!(!value.is_nan() && slope[0].is_finite(), "{} at {theta}", prior.description());
            let h = 1e-5;
            let difference = (at(theta + h) - at(theta - h)) / (2.0 * h);
            // rounding of the value over the step
            let tolerance = 1e-6 * (1.0 + difference.abs()) + 1e-15 * value.abs() / h;
            assert!(
                (slope[0] - difference).abs() < tolerance,
                "{} at {theta}: {} {difference}",
                prior.description(),
                slope[0]
            );
        }
    }
}

#[test]
fn calibrated_priors_have_the_probabilities_that_they_were_asked_for() {
    let prior = from_name("pc.prec", &[0.8, 0.05], Transform::Exp).unwrap();
    assert!((mass(prior.as_ref(), |t| (-0.5 * t).exp() > 0.8) - 0.05).abs() < 1e-4);
    let prior = from_name("pc.cor0", &[0.6, 0.2], Transform::Correlation).unwrap();
    assert!((mass(prior.as_ref(), |t| (0.5 * t).tanh().abs() > 0.6) - 0.2).abs() < 1e-4);
    let prior = from_name("pc.cor1", &[0.5, 0.8], Transform::Correlation).unwrap();
    assert!((mass(prior.as_ref(), |t| (0.5 * t).tanh() > 0.5) - 0.8).abs() < 1e-4);
}

/// Eigenvalues of the scaled generalised inverse of a ring: `λ_k = 2 − 2cos(2πk/n)`.
fn ring(n: usize, proper: bool) -> (MixingConstants, Vec<f64>) {
    let lambda = |k: usize| 2.0 - 2.0 * (2.0 * std::f64::consts::PI * k as f64 / n as f64).cos();
    let extra = if proper { 0.5 } else { 0.0 };
    let eigenvalues: Vec<f64> = (0..n).map(|k| lambda(k) + extra).collect();
    let positive = || eigenvalues.iter().copied().filter(|l| *l > 1e-9);
    // every node of a ring has the same variance, so the scale is its mean
    let scale = positive().map(|l| 1.0 / l).sum::<f64>() / n as f64;
    let scaled: Vec<f64> = eigenvalues.iter().map(|l| if *l > 1e-9 { l * scale } else { 0.0 }).collect();
    let positive = || scaled.iter().copied().filter(|l| *l > 0.0);
    let constants = MixingConstants {
        nodes: n,
        rank_deficiency: usize::from(!proper),
        trace: positive().map(|l| 1.0 / l).sum(),
        log_determinant: positive().map(f64::ln).sum(),
    };
    (constants, scaled)
}

#[test]
fn the_mixing_prior_has_its_definition_its_mass_and_its_calibration() {
    for proper in [false, true] {
        let (constants, eigenvalues) = ring(24, proper);
        let at = |c: &f64| eigenvalues.iter().map(|l| (l + c).ln()).sum();
        let by_eigenvalues = |cs: &[f64]| Ok(cs.iter().map(at).collect());
        let prior = PcMixing::new(&constants, by_eigenvalues, 0.5, 0.7).unwrap();
        let distance = |theta: f64| {
            let phi = 1.0 / (1.0 + (-theta).exp());
            let terms = eigenvalues.iter().map(|&l| if l > 0.0 { phi * (1.0 / l - 1.0) } else { -phi });
            terms.map(|e| e - e.ln_1p()).sum::<f64>().sqrt()
        };
        let below = mass(&prior, |t| t < 0.0);
        assert!((below - 0.7).abs() < 2e-4, "{below}");
        // the ratio of densities at two points is that of the definition
        let rate = -(1.0_f64 - 0.7).ln() / distance(0.0);
        for (a, b) in [(-3.1, 0.4), (1.3, 4.4)] {
            let log = |t: f64| {
                let h = 1e-4;
                let slope = (distance(t + h) - distance(t - h)) / (2.0 * h);
                -rate * distance(t) + slope.ln()
            };
            let found = prior.log_density(&[a], &mut [0.0]) - prior.log_density(&[b], &mut [0.0]);
            if !proper {
                // Hermite interpolation of log d with spacing 1/4
                assert!((found - (log(a) - log(b))).abs() < 1e-3, "{found} {}", log(a) - log(b));
            }
        }
        for theta in [-20.0, -3.3, 0.1, 7.7, 15.0, 30.0] {
            let h = 1e-5;
            let mut slope = [0.0];
            let value = prior.log_density(&[theta], &mut slope);
            let at = |t: f64| prior.log_density(&[t], &mut [0.0]);
            assert!(value.is_finite());
            let difference = (at(theta + h) - at(theta - h)) / (2.0 * h);
            assert!(
                (slope[0] - difference).abs() < 1e-5 * (1.0 + difference.abs()),
                "{theta}: {} {difference}",
                slope[0]
            );
        }
    }
}

#[test]
fn bad_arguments_are_refused_by_name() {
    let bad: [(&str, &[f64], Transform, &str); 14] = [
        ("pc.pre", &[1.0, 0.1], Transform::Exp, "pc.prec"),
        ("pc.prec", &[1.0], Transform::Exp, "two arguments"),
        ("pc.prec", &[-1.0, 0.1], Transform::Exp, "positive"),
        ("pc.prec", &[1.0, 1.5], Transform::Exp, "between 0 and 1"),
        ("pc.prec", &[1.0, 0.1], Transform::Correlation, "for a precision"),
        ("pc.cor1", &[0.9, 0.1], Transform::Correlation, "exceed"),
        ("pc.cor0", &[0.5, 0.5], Transform::Exp, "for a correlation"),
        ("loggamma", &[0.0, 1.0], Transform::Exp, "positive"),
        ("loggamma", &[1.0, f64::NAN], Transform::Exp, "positive"),
        ("normal", &[0.0, -1.0], Transform::Identity, "positive"),
        ("flat", &[1.0], Transform::Identity, "no argument"),
        ("uniform", &[], Transform::Exp, "bounded"),
        ("table", &[0.0, 1.0, -1.0, 0.0, 2.0, 0.0], Transform::Identity, "increase"),
        ("pc", &[0.5, 0.5], Transform::Logistic, "bym2"),
    ];
    for (name, arguments, transform, words) in bad {
        let error = from_name(name, arguments, transform).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}
