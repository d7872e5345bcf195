//! Random coefficients through the formula: what is reported, what is equivalent, what is refused.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use inla::{Fit, ModelSpecification, Resources, Table};

/// Twelve groups of five rows with an intercept and a slope each.
fn table(scale: f64) -> Table {
    let mut text = "y,x,c,g\n".to_owned();
    for group in 0..12 {
        let (a, b) = ((f64::from(group) * 1.7).sin(), (f64::from(group) * 0.9).cos());
        for row in 0..5 {
            let x = f64::from(row) - 2.0 + 0.1 * f64::from(group % 3);
            let noise = 0.3 * f64::from(7 * group + 3 * row).sin();
            text += &format!("{},{},0,g{group}\n", 1.0 + a + (0.5 + b) * x + noise, scale * x);
        }
    }
    Table::from_csv_reader(text.as_bytes()).unwrap()
}

fn try_fit(formula: &str, options: &[(&str, &str)], scale: f64) -> Result<Fit, inla::InlaError> {
    let mut specification = ModelSpecification::new(formula, "gaussian")?;
    let options: std::collections::BTreeMap<String, String> =
        options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    if !options.is_empty() {
        specification.effects.insert("g".to_owned(), options);
    }
    Fit::new(&specification, &table(scale), &Resources::default())
}

fn named(fit: &Fit, name: &str) -> inla::Summary {
    fit.hyperparameters().iter().find(|n| n.name == name).unwrap_or_else(|| panic!("no {name}")).summary()
}

#[test]
fn covariances_and_the_coefficients_of_every_group_are_reported() {
    let fit = try_fit("y ~ x + (x | g)", &[("covariance", "lkj(2, 3, 0.05)")], 1.0).unwrap();
    let (sd, variance) = (named(&fit, "g.sd[x]"), named(&fit, "g.variance[x]"));
    // quantiles of a variance are squares of those of the standard deviation
    assert!((variance.q0_5 / sd.q0_5.powi(2) - 1.0).abs() < 1e-6 && sd.mean > 0.3 && sd.mean < 1.5);
    let rho = named(&fit, "g.rho[(Intercept),x]");
    assert!(rho.q0_025 > -1.0 && rho.q0_975 < 1.0);
    assert!(!fit.hyperparameters().iter().any(|n| n.name.contains("diagonal")));
    assert_eq!(fit.effects(), ["g:(Intercept)", "g:x"]);
    let (totals, slopes) = (fit.coefficients("g"), fit.effect("g:x").unwrap());
    assert_eq!((totals.len(), slopes.len(), fit.rows()), (24, 12, 60));
    let slope = fit.fixed()[1].summary().mean;
    for (level, total) in slopes.iter().zip(totals.iter().skip(1).step_by(2)) {
        assert_eq!(total.name, format!("{} x", level.name));
        // expectations add up, each rounded by its mixture
        assert!((total.summary().mean - slope - level.summary().mean).abs() < 1e-6, "{}", total.name);
    }
}

#[test]
fn the_evidence_does_not_depend_on_the_units_of_a_column() {
    // the prior is carried over: R and the fixed prior scale with the column, and |dy| does not change
    let at = |scale: f64| {
        let rate = format!("wishart(4, 1, {}, {})", 0.5 / (scale * scale), 0.2 / scale);
        let mut specification = ModelSpecification::new("y ~ x + (x | g)", "gaussian").unwrap();
        specification.effects.insert("g".to_owned(), [("covariance".to_owned(), rate)].into_iter().collect());
        specification.fixed.precision = 0.1 * scale * scale;
        specification.fixed.intercept_precision = 0.1;
        Fit::new(&specification, &table(scale), &Resources::default()).unwrap()
    };
    let (one, thousand) = (at(1.0), at(1000.0));
    let difference = one.log_marginal_likelihood() - thousand.log_marginal_likelihood();
    assert!(difference.abs() < 1e-3, "{difference}");
    let (a, b) = (named(&one, "g.rho[(Intercept),x]"), named(&thousand, "g.rho[(Intercept),x]"));
    assert!((a.mean - b.mean).abs() < 0.02 * a.sd, "{} {}", a.mean, b.mean);
}

#[test]
fn two_independent_coefficients_are_two_effects() {
    let joint = try_fit("y ~ x + (x || g)", &[], 1.0).unwrap();
    let apart = try_fit("y ~ x + f(g, model = iid) + f(g, x, model = iid, name = \"g:x\")", &[], 1.0).unwrap();
    assert_eq!(joint.log_marginal_likelihood().to_bits(), apart.log_marginal_likelihood().to_bits());
    let one = try_fit("y ~ x + (1 | g)", &[], 1.0).unwrap();
    assert_eq!(one.effects(), ["g"]);
}

#[test]
fn a_fixed_covariance_has_no_hyperparameters_of_its_own() {
    let fit = try_fit("y ~ x + (x | g)", &[("covariance", "fixed(1, 0.5, 0.2)")], 1.0).unwrap();
    assert_eq!(fit.theta_names(), ["likelihood.precision"]);
}

#[test]
fn what_cannot_be_fitted_is_refused_with_its_reason() {
    let refused = |formula: &str, covariance: &str, words: &[&str]| {
        let options = [("covariance", covariance)];
        let options = if covariance.is_empty() { &options[..0] } else { &options[..] };
        let message = try_fit(formula, options, 1.0).unwrap_err().to_string();
        words.iter().for_each(|word| assert!(message.contains(word), "{formula}: {message}"));
    };
    refused("y ~ x + (x | g)", "wishart(1)", &["effect \"g\"", "degrees of freedom"]);
    refused("y ~ x + (x | g)", "wishart(4, 1, 1, 2)", &["not positive definite"]);
    refused("y ~ x + (x | g)", "wishart(4, 1, 1)", &["3 entries"]);
    refused("y ~ x + (x | g)", "lkj(0, 1, 0.1)", &["eta"]);
    refused("y ~ x + (x | g)", "pc.prec(1, 0.1)", &["wishart(r)"]);
    refused("y ~ x + (c | g)", "", &["\"c\"", "zero in every row"]);
    refused("y ~ x + (z | g)", "", &["z"]);
    refused("y ~ x + f(g, model = iidkd)", "", &["coefficients"]);
}

#[test]
fn groups_of_one_row_and_singular_designs_are_fitted_by_their_priors() {
    // one row for each level of the group: the coefficients are known by their prior and one equation only
    let mut text = "y,x,g\n".to_owned();
    (0..15).for_each(|i| text += &format!("{},{},g{i}\n", f64::from(i).sin(), f64::from(i % 4)));
    let specification = ModelSpecification::new("y ~ x + (x + I(2 * x) | g)", "gaussian").unwrap();
    let fit =
        Fit::new(&specification, &Table::from_csv_reader(text.as_bytes()).unwrap(), &Resources::default()).unwrap();
    assert!(fit.log_marginal_likelihood().is_finite());
    assert!(fit.hyperparameters().iter().all(|n| n.summary().q0_5.is_finite()));
}

#[test]
fn weighed_draws_agree_with_a_grid() {
    let fit = |integration: &str| {
        let mut specification = ModelSpecification::new("y ~ x + (x | g)", "gaussian").unwrap();
        specification.fit.integration = integration.to_owned();
        Fit::new(&specification, &table(1.0), &Resources::default()).unwrap()
    };
    let (grid, drawn) = (fit("grid"), fit("importance"));
    assert_eq!(drawn.posterior().diagnostics.design, "importance");
    let difference = drawn.log_marginal_likelihood() - grid.log_marginal_likelihood();
    // some sixty weighed draws
    assert!(difference.abs() < 0.03, "{difference}");
    for (a, b) in grid.internal_hyperparameters().iter().zip(drawn.internal_hyperparameters()) {
        let (a, b) = (a.summary(), b.summary());
        // the bars of the scoreboard: what a cubic through the gradients of a skewed density leaves
        assert!(((a.mean - b.mean) / a.sd).abs() < 0.02 && (b.sd / a.sd - 1.0).abs() < 0.03, "{a:?} {b:?}");
    }
}

#[test]
fn many_covariance_parameters_are_drawn_the_same_on_any_number_of_threads() {
    let mut text = "y,a,b,c,g\n".to_owned();
    for group in 0..40 {
        let of = |k: f64| (f64::from(group) * k).sin();
        for row in 0..15 {
            let x = |k: f64| (f64::from(row) * k + f64::from(group)).cos();
            let (a, b, c) = (x(0.7), x(1.3), x(2.9));
            let noise = 0.4 * f64::from(11 * group + 5 * row).sin();
            let y = of(1.7) + (0.5 + of(0.9)) * a + 0.7 * of(2.3) * b + (0.6 * of(3.1) - 0.2) * c + noise;
            text += &format!("{y},{a},{b},{c},g{group}\n");
        }
    }
    let table = Table::from_csv_reader(text.as_bytes()).unwrap();
    let bits = |threads: usize| -> Vec<u64> {
        let mut specification = ModelSpecification::new("y ~ a + b + c + (a + b + c | g)", "gaussian").unwrap();
        specification.fit.threads = threads;
        let fit = Fit::new(&specification, &table, &Resources::default()).unwrap();
        let diagnostics = &fit.posterior().diagnostics;
        assert_eq!((diagnostics.design, fit.internal_hyperparameters().len()), ("importance", 11));
        // few draws were enough
        assert!(diagnostics.importance.is_some_and(|report| report.moved.is_some() && report.share > 0.5));
        let all = fit.hyperparameters().into_iter().map(|n| n.summary().mean.to_bits());
        all.chain([fit.log_marginal_likelihood().to_bits()]).collect()
    };
    assert_eq!(bits(1), bits(2));
}
