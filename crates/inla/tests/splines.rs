//! Penalised B-splines: against dense closed forms, curves by group, what is refused.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use faer::linalg::solvers::Solve as _;
use faer::{Col, Mat, Side};
use inla::{Fit, InlaError, ModelSpecification, Resources, Table};

const ROWS: usize = 24;

/// Three groups of a curve each; the last row of group `new` has no response.
fn table() -> Table {
    let mut text = "y,s,g,one\n".to_owned();
    for k in 0..ROWS {
        let (s, g) = ((k as f64 * 0.37).fract() * 2.0, k % 3);
        text += &format!("{},{s},g{g},1\n", (2.0 * s).sin() + 0.3 * g as f64 * s + 0.1 * (5.0 * k as f64).cos());
    }
    text += ",1.25,new,1\n,0.5,g1,1\n";
    Table::from_csv_reader(text.as_bytes()).unwrap()
}

fn try_fit(formula: &str) -> Result<Fit, InlaError> {
    let mut specification = ModelSpecification::new(formula, "gaussian")?;
    specification.likelihood.insert("precision".to_owned(), "fixed(16)".to_owned());
    (specification.fixed.precision, specification.fixed.intercept_precision) = (0.01, 0.01);
    Fit::new(&specification, &table(), &Resources::default())
}

/// Hat functions of degree one on `count` equally spaced places from 0 to 2, by their own formula.
fn hats(s: f64, count: usize) -> Vec<f64> {
    let step = 2.0 / (count - 1) as f64;
    (0..count).map(|k| (1.0 - (s / step - k as f64).abs()).max(0.0)).collect()
}

/// `log N(y; 0, covariance)`, and the mean at new rows from their covariance with `y`.
fn closed_form(covariance: &Mat<f64>, y: &[f64], with_new: &Mat<f64>) -> (f64, Vec<f64>) {
    let m = y.len();
    let factor = covariance.llt(Side::Lower).unwrap();
    let y = Col::from_fn(m, |i| y[i]);
    let solved = factor.solve(&y);
    let log_determinant: f64 = (0..m).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
    let value = -0.5 * (m as f64 * (2.0 * std::f64::consts::PI).ln() + log_determinant + y.transpose() * &solved);
    (value, (0..with_new.nrows()).map(|i| (0..m).map(|j| with_new[(i, j)] * solved[j]).sum()).collect())
}

#[test]
fn curves_of_groups_around_a_common_one_have_the_closed_form() {
    // degree one and independent coefficients, so that basis and covariance can be written down by themselves
    let formula = "y ~ 1 + bs(s, k = 6, degree = 1, penalty = iid, precision = fixed(0.5), range = c(0, 2)) \
                   + bs(s, k = 4, degree = 1, penalty = iid, precision = fixed(2), range = c(0, 2), replicate = g)";
    let fit = try_fit(formula).unwrap();
    let table = table();
    let (s, g) = (table.numeric("s").unwrap(), table.factor("g").unwrap().1);
    let covariance = |i: usize, j: usize| {
        let dot = |count: usize| -> f64 { hats(s[i], count).iter().zip(&hats(s[j], count)).map(|(a, b)| a * b).sum() };
        100.0 + dot(6) / 0.5 + if g[i] == g[j] { dot(4) / 2.0 } else { 0.0 }
    };
    let own = Mat::from_fn(ROWS, ROWS, |i, j| covariance(i, j) + if i == j { 1.0 / 16.0 } else { 0.0 });
    let with_new = Mat::from_fn(2, ROWS, |i, j| covariance(ROWS + i, j));
    let (evidence, predicted) = closed_form(&own, &table.numeric("y").unwrap()[..ROWS], &with_new);
    approx::assert_relative_eq!(fit.log_marginal_likelihood(), evidence, max_relative = 1e-10);
    // a new group has the common curve's prediction, a known one its own
    for (found, expected) in fit.linear_predictor()[ROWS..].iter().zip(predicted) {
        approx::assert_relative_eq!(found.mean(), expected, epsilon = 1e-8);
    }
    assert_eq!(fit.effects(), ["s", "s:g"]);
    assert_eq!(fit.effect("s:g").unwrap().len(), 16);
}

#[test]
fn a_heavy_second_order_penalty_leaves_the_straight_line_whatever_the_basis() {
    let line = |basis: &str| {
        let fit = try_fit(&format!("y ~ 1 + bs(s, {basis}, penalty = rw2, precision = fixed(1e9))")).unwrap();
        fit.linear_predictor().iter().map(inla::Marginal::mean).collect::<Vec<f64>>()
    };
    let table = table();
    let (y, s) = (&table.numeric("y").unwrap()[..ROWS], table.numeric("s").unwrap());
    // least squares of a flat slope and an intercept of precision 0.01, which the data outweigh by 10⁴
    let n = ROWS as f64;
    let (my, ms) = (y.iter().sum::<f64>() / n, s[..ROWS].iter().sum::<f64>() / n);
    let slope = y.iter().zip(s).map(|(y, s)| (y - my) * (s - ms)).sum::<f64>()
        / s[..ROWS].iter().map(|s| (s - ms).powi(2)).sum::<f64>();
    for basis in
        ["k = 20", "k = 9, degree = 2", "spacing = quantile, k = 8", "knots = c(0.3, 0.5, 1.4)", "k = 7, degree = 5"]
    {
        for (found, s) in line(basis).iter().zip(s) {
            assert!((found - (my + slope * (s - ms))).abs() < 1e-3, "{basis}: {found}");
        }
    }
}

#[test]
fn derivatives_are_those_of_the_predictor() {
    // rows without response, a small step either side of the first ones
    const STEP: f64 = 1e-4;
    let mut text = "y,s,g\n".to_owned();
    let table = table();
    let (y, s) = (table.numeric("y").unwrap(), table.numeric("s").unwrap());
    let (levels, g) = table.factor("g").unwrap();
    for k in 0..ROWS {
        text += &format!("{},{},{}\n", y[k], s[k], levels[g[k].unwrap()]);
    }
    for k in 0..6 {
        let at = 0.13 + 0.3 * k as f64;
        for s in [at, at - STEP, at + STEP] {
            text += &format!(",{s},{}\n", levels[k % 3]);
        }
    }
    let table = Table::from_csv_reader(text.as_bytes()).unwrap();
    let formula =
        "y ~ 1 + bs(s, derivative = TRUE, precision = fixed(2)) + bs(s, k = 8, replicate = g, precision = fixed(2))";
    let mut specification = ModelSpecification::new(formula, "gaussian").unwrap();
    specification.likelihood.insert("precision".to_owned(), "fixed(16)".to_owned());
    let fit = Fit::new(&specification, &table, &Resources::default()).unwrap();
    let derivatives = fit.derivatives("s");
    assert_eq!((derivatives.len(), fit.rows()), (table.rows(), table.rows()));
    for k in 0..6 {
        let row = ROWS + 3 * k;
        let mean = |row: usize| fit.linear_predictor()[row].mean();
        let difference = (mean(row + 2) - mean(row + 1)) / (2.0 * STEP);
        // second and third derivatives of some ten leave 1e-7; rounding of means 1e-11 over the step
        assert!((derivatives[row].marginal.mean() - difference).abs() < 1e-5, "{k}");
        assert_eq!(derivatives[row].name, (row + 1).to_string());
    }
    assert!(try_fit("y ~ 1 + bs(s)").unwrap().derivatives("s").is_empty());
}

#[test]
fn a_common_curve_and_deviations_are_identified_by_default() {
    let fit = try_fit("y ~ 1 + bs(s) + bs(s, k = 8, replicate = g) + (1 | g)").unwrap();
    assert_eq!(fit.hyperparameters().iter().filter(|n| n.name.ends_with("sd")).count(), 3);
    let y = table().numeric("y").unwrap().to_vec();
    let residuals = fit.linear_predictor()[..ROWS].iter().zip(&y).map(|(eta, y)| (eta.mean() - y).powi(2)).sum::<f64>();
    // curves that differ by 1.2 between the groups are followed to less than the noise that is assumed, 0.25
    assert!((residuals / ROWS as f64).sqrt() < 0.2, "{residuals}");
    // and the level and smoothness of proper deviations
    let proper = try_fit("y ~ 1 + bs(s) + bs(s, k = 8, replicate = g, penalty = proper)").unwrap();
    assert!(proper.hyperparameters().iter().any(|n| n.name == "s:g.diagonal"));
}

#[test]
fn what_cannot_be_a_curve_is_refused() {
    for (term, says) in [
        ("bs(g)", "\"g\""),
        ("bs(one)", "one value only"),
        ("bs(s, k = 3)", "from 4 to"),
        ("bs(s, k = 5.5)", "whole number"),
        ("bs(s, degree = 9)", "from 0 to 5"),
        ("bs(s, range = c(0, 1))", "lies outside"),
        ("bs(s, knots = c(0.5, 0.4))", "ascending"),
        ("bs(s, knots = c(0.5), k = 7)", "leave out k"),
        ("bs(s, penalty = rw3)", "rw2"),
        ("bs(s, penalty = iid, constr = TRUE)", "rw1 or rw2"),
        ("bs(s, diagonal = fixed(1))", "proper"),
        ("bs(s, knot = c(1))", "did you mean"),
        ("bs(s, degree = 0, derivative = TRUE)", "steps have none"),
        ("bs(s, derivative = TRUE) + f(one, copy = s)", "several"),
        ("bs(s) + bs(s, k = 8)", "two effects are called"),
        ("bs(nowhere)", "nowhere"),
    ] {
        let error = try_fit(&format!("y ~ 1 + {term}")).unwrap_err().to_string();
        assert!(error.contains(says), "{term}: {error}");
    }
}
