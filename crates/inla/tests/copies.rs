//! Effects that enter the predictor twice: against dense closed forms, and what is refused.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use faer::linalg::solvers::Solve as _;
use faer::{Col, Mat, Side};
use inla::{Fit, ModelSpecification, Resources, Table};

const GROUPS: usize = 8;
/// Precisions of the responses, of the shared effect and of the coefficients.
const PRECISION: [f64; 3] = [4.0, 1.0, 0.01];

/// Two outcomes of every group, three rows each: `a = u`, `b = 0.6 u`, both with noise.
fn rows() -> Vec<(usize, bool, f64)> {
    let u = |g: usize| (1.9 * g as f64).sin() * 1.5;
    let row = |k: usize| {
        let (group, second) = (k % GROUPS, k >= 3 * GROUPS);
        (group, second, if second { 0.6 } else { 1.0 } * u(group) + 0.4 * (7.3 * k as f64).cos())
    };
    (0..6 * GROUPS).map(row).collect()
}

/// In long format: the column `first` names the group in the rows of the first outcome, `second` in those of the second.
fn table() -> Table {
    let mut text = "y,first,second,group,minus\n".to_owned();
    for (group, second, y) in rows() {
        let (a, b) = if second { (String::new(), format!("g{group}")) } else { (format!("g{group}"), String::new()) };
        text += &format!("{y},{a},{b},g{group},-1\n");
    }
    Table::from_csv_reader(text.as_bytes()).unwrap()
}

fn specification(formula: &str) -> ModelSpecification {
    let mut specification = ModelSpecification::new(formula, "gaussian").unwrap();
    specification.likelihood.insert("precision".to_owned(), format!("fixed({})", PRECISION[0]));
    (specification.fixed.precision, specification.fixed.intercept_precision) = (PRECISION[2], PRECISION[2]);
    specification
}

fn try_fit(formula: &str) -> Result<Fit, inla::InlaError> {
    Fit::new(&specification(formula), &table(), &Resources::default())
}

/// `log N(y; 0, A Q⁻¹ Aᵀ + I/τ)` with `Q` diagonal.
fn closed_form(design: &dyn Fn(usize) -> Vec<f64>, y: &[f64], q: &[f64]) -> f64 {
    let m = y.len();
    let rows: Vec<Vec<f64>> = (0..m).map(design).collect();
    let covariance = Mat::from_fn(m, m, |i, j| {
        let prior: f64 = rows[i].iter().zip(&rows[j]).zip(q).map(|((a, b), q)| a * b / q).sum();
        prior + if i == j { 1.0 / PRECISION[0] } else { 0.0 }
    });
    let factor = covariance.llt(Side::Lower).unwrap();
    let y = Col::from_fn(m, |i| y[i]);
    let log_determinant: f64 = (0..m).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
    -0.5 * (m as f64 * (2.0 * std::f64::consts::PI).ln() + log_determinant + y.transpose() * factor.solve(&y))
}

/// The closed form of the two outcomes at a factor of the copy.
fn two_outcomes(factor: f64) -> f64 {
    let all = rows();
    let design = |i: usize| {
        let (group, second, _) = all[i];
        let mut row = vec![0.0; 1 + GROUPS];
        (row[0], row[1 + group]) = (1.0, if second { factor } else { 1.0 });
        row
    };
    let mut q = vec![PRECISION[1]; 1 + GROUPS];
    q[0] = PRECISION[2];
    closed_form(&design, &all.iter().map(|r| r.2).collect::<Vec<_>>(), &q)
}

const EFFECT: &str = "y ~ 1 + f(first, model = iid, precision = fixed(1)) + f(second, copy = first";

#[test]
fn a_copy_at_a_known_factor_has_the_closed_form_evidence() {
    for (text, factor) in [("", 1.0), (", scaling = fixed(-0.4)", -0.4), (", fixed = TRUE", 1.0)] {
        let fit = try_fit(&format!("{EFFECT}{text})")).unwrap();
        approx::assert_relative_eq!(fit.log_marginal_likelihood(), two_outcomes(factor), max_relative = 1e-10);
        assert!(fit.hyperparameters().is_empty());
    }
}

#[test]
fn an_estimated_factor_has_the_posterior_of_quadrature() {
    let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
    let h = 0.005;
    // log N(β; 1, 1/10), ten standard deviations of either side
    for k in -600..=600 {
        let beta = 0.6 + h * f64::from(k);
        let prior = 0.5 * (10.0 / (2.0 * std::f64::consts::PI)).ln() - 5.0 * (beta - 1.0) * (beta - 1.0);
        let weight = (two_outcomes(beta) + prior).exp() * h;
        total += weight;
        first += weight * beta;
        second += weight * beta * beta;
    }
    let (mean, sd) = (first / total, (second / total - (first / total).powi(2)).sqrt());
    for formula in [", scaling = normal(1, 10))", ", fixed = FALSE)"] {
        let fit = try_fit(&format!("{EFFECT}{formula}")).unwrap();
        let hyper = fit.hyperparameters();
        assert_eq!(hyper.len(), 1);
        assert_eq!(hyper[0].name, "second.scaling");
        let found = hyper[0].summary();
        // a grid of half a standard deviation with splines between
        assert!((found.mean - mean).abs() < 0.005 * sd && (found.sd / sd - 1.0).abs() < 0.005, "{found:?} {mean} {sd}");
        assert!((fit.log_marginal_likelihood() - total.ln()).abs() < 0.005);
    }
}

#[test]
fn levels_are_those_of_both_columns_and_weights_are_each_ones_own() {
    // differences of strengths: the second column has levels that the first has not
    let text = "y,home,away,minus\n1,a,b,-1\n0.4,b,c,-1\n-0.7,a,d,-1\n0.1,c,d,-1\n0.6,b,d,-1\n";
    let table = Table::from_csv_reader(text.as_bytes()).unwrap();
    let formula = "y ~ 0 + f(home, model = iid, precision = fixed(1)) + f(away, minus, copy = home)";
    let fit = Fit::new(&specification(formula), &table, &Resources::default()).unwrap();
    let names: Vec<String> = fit.effect("home").unwrap().into_iter().map(|n| n.name).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let games = [(0, 1), (1, 2), (0, 3), (2, 3), (1, 3)];
    let design = |i: usize| {
        let mut row = vec![0.0; 4];
        (row[games[i].0], row[games[i].1]) = (1.0, -1.0);
        row
    };
    let exact = closed_form(&design, &[1.0, 0.4, -0.7, 0.1, 0.6], &[1.0; 4]);
    approx::assert_relative_eq!(fit.log_marginal_likelihood(), exact, max_relative = 1e-10);
    // weights of the source are not those of the copy
    let swapped = "y ~ 0 + f(away, minus, model = iid, precision = fixed(1)) + f(home, copy = away)";
    let other = Fit::new(&specification(swapped), &table, &Resources::default()).unwrap();
    approx::assert_relative_eq!(other.log_marginal_likelihood(), exact, max_relative = 1e-10);
}

#[test]
fn copies_of_replicates_and_of_random_coefficients() {
    // the copy of a copied column, factor one, doubles the effect: precision 1/4 of the same effect alone
    let replicated = "f(group, model = iid, replicate = first, precision = fixed(1)) ";
    let doubled = format!("y ~ {replicated} + f(group, copy = group, name = again, replicate = first)");
    let alone = "y ~ f(group, model = iid, replicate = first, precision = fixed(0.25))";
    let (doubled, alone) = (try_fit(&doubled).unwrap(), try_fit(alone).unwrap());
    let difference = doubled.log_marginal_likelihood() - alone.log_marginal_likelihood();
    assert!(difference.abs() < 1e-9, "{difference}");
    let coefficients = |covariance: &str, copy: &str| {
        let effect = format!("f(group, model = iidkd, coefficients = \"1 + y\", covariance = fixed({covariance}))");
        try_fit(&format!("y ~ {effect}{copy}")).unwrap().log_marginal_likelihood()
    };
    let copied = coefficients("1, 0.5, 0.2", " + f(group, copy = group, name = again)");
    let difference = copied - coefficients("4, 2, 0.8", "");
    assert!(difference.abs() < 1e-9, "{difference}");
}

#[test]
fn bad_copies_are_refused_with_a_reason() {
    let source = "f(first, model = iid)";
    for (formula, says) in [
        (format!("y ~ {source} + f(second, copy = frist)"), "did you mean \"first\""),
        (format!("y ~ {source} + f(second, copy = first) + f(group, copy = second)"), "a copy itself"),
        (format!("y ~ {source} + f(second, copy = first, model = iid)"), "model"),
        (format!("y ~ {source} + f(minus, copy = first)"), "not both numbers or both texts"),
        (format!("y ~ {source} + f(second, copy = first, replicate = group)"), "the effect that it copies has none"),
        (format!("y ~ {source} + f(second, copy = first, scaling = 3)"), "scaling"),
        (format!("y ~ {source} + f(second, copy = first) + f(second, copy = first)"), "two effects are called"),
        (format!("y ~ {source} + f(first, copy = first)"), "two effects are called"),
        (format!("y ~ {source} + f(nowhere, copy = first)"), "nowhere"),
    ] {
        let error = try_fit(&formula).unwrap_err().to_string();
        assert!(error.contains(says), "{formula}: {error}");
    }
    // the row of the copy's bad value is that of the data
    let table = Table::from_csv_reader("y,i,j\n1,1,2\n2,2,7\n0,1,1\n".as_bytes()).unwrap();
    let formula = "y ~ f(i, model = ar1, values = c(1, 2, 3)) + f(j, copy = i)";
    let error = Fit::new(&specification(formula), &table, &Resources::default()).unwrap_err().to_string();
    assert!(error.contains("effect \"j\"") && error.contains("line 3"), "{error}");
}
