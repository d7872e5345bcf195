//! Fields of several groups with a covariance matrix between them: against dense closed forms, against the same fields apart.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use faer::linalg::solvers::Solve as _;
use faer::{Col, Mat, Side};
use inla::{Fit, ModelSpecification, Resources, Table};

/// A ring of five regions with a chord, and its neighbours.
const EDGES: [(usize, usize); 6] = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (1, 3)];
const REGIONS: usize = 5;

fn graph() -> gmrf::Graph {
    gmrf::Graph::from_edges(REGIONS, EDGES).unwrap()
}

/// Two rows for each region and each disease; region 3 of the second disease is not observed.
fn table(diseases: &[&str], counts: bool) -> Table {
    let mut text = "y,region,disease\n".to_owned();
    for k in 0..2 * REGIONS {
        for (d, disease) in diseases.iter().enumerate() {
            if d == 1 && k % REGIONS == 2 {
                continue;
            }
            let signal = 0.8 * (1.3 * (k % REGIONS) as f64).sin() + 0.3 * (2.1 * (k + 3 * d) as f64).cos();
            let y = if counts { (2.5 * signal.exp()).round() } else { signal };
            text += &format!("{y},{},{disease}\n", k % REGIONS + 1);
        }
    }
    Table::from_csv_reader(text.as_bytes()).unwrap()
}

fn try_fit(formula: &str, family: &str, table: &Table) -> Result<Fit, inla::InlaError> {
    let mut specification = ModelSpecification::new(formula, family)?;
    if family == "gaussian" {
        specification.likelihood.insert("precision".to_owned(), "fixed(4)".to_owned());
    }
    (specification.fixed.precision, specification.fixed.intercept_precision) = (0.01, 0.01);
    specification.fit.approximation = "gaussian".to_owned();
    let graphs = [("region".to_owned(), graph())].into_iter().collect();
    Fit::new(&specification, table, &Resources { graphs, ..Resources::default() })
}

const GROUP: &str = "group = disease, group_model = unstructured";

#[test]
fn a_known_covariance_matrix_has_the_closed_form_evidence() {
    let table = table(&["lung", "oral"], false);
    let formula = format!(
        "y ~ 1 + f(region, model = besagproper2, lambda = fixed(0.6), {GROUP}, covariance = fixed(1.5, 0.7, 0.8))"
    );
    let found = try_fit(&formula, "gaussian", &table).unwrap().log_marginal_likelihood();
    let r = Mat::from_fn(REGIONS, REGIONS, |i, j| {
        let adjacent = EDGES.contains(&(i, j)) || EDGES.contains(&(j, i));
        let degree = EDGES.iter().filter(|(a, b)| *a == i || *b == i).count() as f64;
        if i == j { 0.4 + 0.6 * degree } else { -0.6 * f64::from(u8::from(adjacent)) }
    });
    let within = r.llt(Side::Lower).unwrap().solve(Mat::<f64>::identity(REGIONS, REGIONS));
    let sigma = [[1.5, 0.8], [0.8, 0.7]];
    let y = table.numeric("y").unwrap();
    let (region, disease) = (table.numeric("region").unwrap(), table.factor("disease").unwrap().1);
    let m = y.len();
    let place = |i: usize| (region[i] as usize - 1, disease[i].unwrap());
    let covariance = Mat::from_fn(m, m, |i, j| {
        let ((a, d), (b, e)) = (place(i), place(j));
        100.0 + sigma[d][e] * within[(a, b)] + if i == j { 0.25 } else { 0.0 }
    });
    let factor = covariance.llt(Side::Lower).unwrap();
    let y = Col::from_fn(m, |i| y[i]);
    let log_determinant: f64 = (0..m).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
    let exact =
        -0.5 * (m as f64 * (2.0 * std::f64::consts::PI).ln() + log_determinant + y.transpose() * factor.solve(&y));
    approx::assert_relative_eq!(found, exact, max_relative = 1e-9);
}

#[test]
fn independent_groups_are_fits_apart() {
    let (lung, oral) = (table(&["lung"], true), table(&["oral"], true));
    for (field, alone) in [
        ("besag, scale_model = TRUE", "besag, scale_model = TRUE"),
        ("besagproper2, lambda = fixed(0.3)", "besagproper2, lambda = fixed(0.3)"),
        ("bym2, phi = fixed(0.4)", "bym2, phi = fixed(0.4)"),
    ] {
        let apart = |table: &Table, precision: f64| {
            let formula = format!("y ~ 1 + f(region, model = {alone}, precision = fixed({precision}))");
            try_fit(&formula, "poisson", table).unwrap().log_marginal_likelihood()
        };
        // the same rows in one table, an intercept each
        let text = |table: &Table, name: &str| -> String {
            let (y, region) = (table.numeric("y").unwrap(), table.numeric("region").unwrap());
            (0..y.len()).map(|i| format!("{},{},{name}\n", y[i], region[i])).collect()
        };
        let both = format!("y,region,disease\n{}{}", text(&lung, "lung"), text(&oral, "oral"));
        let both = Table::from_csv_reader(both.as_bytes()).unwrap();
        let formula =
            format!("y ~ 0 + disease + f(region, model = {field}, {GROUP}, covariance = fixed(0.5, 0.25, 0))");
        let joint = try_fit(&formula, "poisson", &both).unwrap().log_marginal_likelihood();
        // Laplace's approximation factorises
        approx::assert_relative_eq!(joint, apart(&lung, 2.0) + apart(&oral, 4.0), epsilon = 1e-6);
    }
}

#[test]
fn one_group_is_the_field_alone() {
    let table = table(&["lung"], true);
    let one = format!("y ~ 1 + f(region, model = besag, {GROUP}, covariance = wishart(3, 2))");
    // |W| of order one: Wishart(r, R) is Gamma(r/2, R/2)
    let alone = "y ~ 1 + f(region, model = besag, precision = loggamma(1.5, 1))";
    let (one, alone) = (try_fit(&one, "poisson", &table).unwrap(), try_fit(alone, "poisson", &table).unwrap());
    let difference = one.log_marginal_likelihood() - alone.log_marginal_likelihood();
    // the two grids stand at the same points but for the origin of their scale
    assert!(difference.abs() < 1e-3, "{difference}");
    let (a, b) = (one.effect("region").unwrap(), alone.effect("region").unwrap());
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert!((a.summary().mean - b.summary().mean).abs() < 0.01 * b.summary().sd, "{}", b.name);
        assert_eq!(a.name, format!("{};group=lung", b.name));
    }
}

#[test]
fn the_order_of_the_groups_does_not_matter() {
    let formula =
        format!("y ~ 1 + f(region, model = besagproper2, lambda = fixed(0.5), {GROUP}, covariance = wishart(4))");
    let two = table(&["lung", "oral"], true);
    let (y, region) = (two.numeric("y").unwrap(), two.numeric("region").unwrap());
    let (levels, codes) = two.factor("disease").unwrap();
    let rows: Vec<String> =
        (0..y.len()).rev().map(|i| format!("{},{},{}", y[i], region[i], levels[codes[i].unwrap()])).collect();
    let reversed = Table::from_csv_reader(format!("y,region,disease\n{}\n", rows.join("\n")).as_bytes()).unwrap();
    assert_ne!(reversed.factor("disease").unwrap().0, levels);
    let (a, b) = (try_fit(&formula, "poisson", &two).unwrap(), try_fit(&formula, "poisson", &reversed).unwrap());
    let difference = a.log_marginal_likelihood() - b.log_marginal_likelihood();
    // the coordinates of Σ depend on the order, its posterior does not: what is left is the design's error
    assert!(difference.abs() < 0.02, "{difference}");
    let named = |fit: &Fit, name: &str| fit.hyperparameters().iter().find(|n| n.name == name).unwrap().summary();
    for (left, right) in [("region.sd[lung]", "region.sd[lung]"), ("region.rho[lung,oral]", "region.rho[oral,lung]")] {
        let (a, b) = (named(&a, left), named(&b, right));
        assert!((a.mean - b.mean).abs() < 0.05 * b.sd && (a.sd / b.sd - 1.0).abs() < 0.05, "{left}: {a:?} {b:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let table = table(&["lung", "oral"], true);
    for (options, says) in [
        ("model = besag, group = disease, covariance = wishart(4)", "group_model = unstructured"),
        ("model = besag, group_model = unstructured", "group = column"),
        ("model = besag, group = disease, group_model = unstructured, precision = fixed(2)", "holds the scale"),
        ("model = bym, group = disease, group_model = unstructured", "bym2"),
        ("model = besag, group = disease, group_model = unstructured, group_rho = fixed(0.5)", "covariance"),
        (
            "model = besag, group = disease, group_model = unstructured, covariance = fixed(1, 1, 2)",
            "positive definite",
        ),
        ("model = besag, group = disease, group_model = unstructured, covariance = wishart(0.5)", "degrees"),
        ("model = besag, group = disease, group_model = unstructred", "unstructured"),
    ] {
        let error = try_fit(&format!("y ~ 1 + f(region, {options})"), "poisson", &table).unwrap_err().to_string();
        assert!(error.contains(says), "{options}: {error}");
    }
}
