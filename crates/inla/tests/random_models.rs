//! Arbitrary small models and data: each fits with finite results or is refused with an error, and none panics.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use inla::{Fit, Graph, ModelSpecification, Resources, Table};
use proptest::prelude::*;

const EFFECTS: [&str; 10] = [
    "",
    " + f(t, model = iid)",
    " + f(t, model = rw1, scale_model = TRUE)",
    " + f(t, model = rw2)",
    " + f(t, model = ar1)",
    " + f(t, model = rw1, cyclic = TRUE)",
    " + f(g, model = iid, precision = pc.prec(1, 0.01)) + f(t, model = rw1)",
    " + f(t, model = rw1, group = g, group_model = rw1)",
    " + f(t, model = iid, replicate = g, precision = fixed(2))",
    " + f(g, x, model = iid)",
];

const FAMILIES: [&str; 10] =
    ["gaussian", "poisson", "binomial", "nbinomial", "gamma", "beta", "t", "stochvol", "exponential", "weibull"];

/// Numbers as data have them, and as they should not be.
fn response(family: usize) -> BoxedStrategy<f64> {
    match family {
        0 => prop_oneof![8 => -5.0..5.0_f64, 1 => Just(f64::NAN), 1 => Just(1e150), 1 => Just(0.0)].boxed(),
        6 | 7 => prop_oneof![8 => -5.0..5.0_f64, 1 => Just(f64::NAN), 1 => Just(1e100), 1 => Just(0.0)].boxed(),
        4 | 8 | 9 => prop_oneof![8 => 0.01..5.0_f64, 1 => Just(f64::NAN), 1 => Just(1e100), 1 => Just(1e-100)].boxed(),
        5 => prop_oneof![8 => 0.01..0.99_f64, 1 => Just(f64::NAN), 1 => Just(1e-30)].boxed(),
        1 | 3 => prop_oneof![8 => (0..9_u32).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(1e9)].boxed(),
        _ => prop_oneof![8 => (0..2_u32).prop_map(f64::from), 1 => Just(f64::NAN)].boxed(),
    }
}

fn case() -> impl Strategy<Value = (usize, usize, bool, Vec<(f64, f64)>)> {
    (0..FAMILIES.len(), 0..EFFECTS.len(), any::<bool>()).prop_flat_map(|(family, effect, flat)| {
        let covariate = prop_oneof![6 => -2.0..2.0_f64, 1 => Just(1e8), 2 => Just(0.0)];
        let rows = proptest::collection::vec((response(family), covariate), 1..12);
        rows.prop_map(move |rows| (family, effect, flat, rows))
    })
}

#[test]
fn second_order_terms_that_run_away_are_left_out() {
    // all but one count is near zero, and a whole group is: the expansion fails where the group's precision is small
    let table = Table::new()
        .with_numeric("y", &[0.0, 0.0, f64::NAN, 1.0, 5.0])
        .and_then(|t| t.with_numeric("x", &[0.0, -0.868, 0.0, 0.0, -0.697]))
        .and_then(|t| t.with_numeric("t", &[1.0, 2.0, 3.0, 4.0, 5.0]))
        .and_then(|t| t.with_text("g", &["a", "b", "c", "a", "b"]))
        .unwrap();
    let effects = "f(g, model = iid, precision = pc.prec(1, 0.01)) + f(t, model = rw1)";
    let mut specification = ModelSpecification::new(&format!("y ~ 1 + x + {effects}"), "poisson").unwrap();
    specification.fixed.intercept_precision = 0.001;
    "simplified-laplace".clone_into(&mut specification.fit.approximation);
    let fit = Fit::new(&specification, &table, &Resources::default()).unwrap();
    assert!(!fit.posterior().diagnostics.second_order_used);
    for theta in fit.internal_hyperparameters() {
        assert!(theta.marginal.sd() > 0.1, "{}: {}", theta.name, theta.marginal.sd());
    }
}

#[test]
fn a_response_beyond_all_others_is_fitted_with_finite_marginals_or_refused() {
    let y = [0.3, -1.2, 1e100, 0.8, 2.0, -0.4];
    let table = Table::new()
        .with_numeric("y", &y)
        .and_then(|t| t.with_numeric("x", &[0.5, -0.2, 1.1, 0.0, -1.3, 0.7]))
        .and_then(|t| t.with_numeric("t", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
        .unwrap();
    for approximation in ["auto", "ep", "simplified-laplace"] {
        let formula = "y ~ 1 + x + f(t, model = rw1, scale_model = TRUE)";
        let mut specification = ModelSpecification::new(formula, "t").unwrap();
        specification.fixed.intercept_precision = 0.0;
        approximation.clone_into(&mut specification.fit.approximation);
        if let Ok(fit) = Fit::new(&specification, &table, &Resources::default()) {
            let marginals = fit.posterior().nodes.iter().chain(&fit.posterior().predictors);
            for marginal in marginals {
                assert!(marginal.mean().is_finite() && marginal.sd().is_finite(), "{approximation}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_model_fits_or_is_refused((family, effect, flat, rows) in case()) {
        let (y, x): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
        let t: Vec<f64> = (1..=y.len()).map(|i| i as f64).collect();
        let g: Vec<&str> = (0..y.len()).map(|i| ["a", "b", "c"][i % 3]).collect();
        let table = Table::new()
            .with_numeric("y", &y)
            .and_then(|table| table.with_numeric("x", &x))
            .and_then(|table| table.with_numeric("t", &t))
            .and_then(|table| table.with_text("g", &g))
            .unwrap();
        let formula = format!("y ~ 1 + x{}", EFFECTS[effect]);
        let mut specification = ModelSpecification::new(&formula, FAMILIES[family]).unwrap();
        specification.fixed.intercept_precision = if flat { 0.0 } else { 0.001 };
        specification.fit.threads = 1;
        match Fit::new(&specification, &table, &Resources::default()) {
            Ok(fit) => {
                prop_assert!(fit.log_marginal_likelihood().is_finite(), "{formula}");
                let marginals = fit.posterior().nodes.iter().chain(fit.linear_predictor());
                for marginal in marginals {
                    prop_assert!(marginal.mean().is_finite() && marginal.sd() >= 0.0, "{formula}");
                }
                serde_json::to_string(&fit.to_json(true)).unwrap();
            }
            Err(error) => prop_assert!(error.to_string().len() > 10),
        }
    }

    #[test]
    fn any_graph_fits_or_is_refused(edges in proptest::collection::vec((0..7_usize, 0..7_usize), 0..12), model in 0..5_usize) {
        let model = ["besag", "besagproper", "besagproper2", "bym", "bym2"][model];
        let Ok(graph) = Graph::from_edges(7, edges.iter().copied()) else { return Ok(()) };
        let y: Vec<f64> = (0..7).map(|i| f64::from((i * 5 + 2) % 7)).collect();
        let node: Vec<f64> = (1..=7).map(f64::from).collect();
        let table = Table::new().with_numeric("y", &y).and_then(|t| t.with_numeric("node", &node)).unwrap();
        let effect = inla::Effect::new("node", model).graph(graph);
        let fit = inla::ModelBuilder::new("y", "poisson").intercept_precision(0.001).effect(effect).threads(1).fit(&table);
        match fit {
            Ok(fit) => prop_assert!(fit.log_marginal_likelihood().is_finite(), "{model} {edges:?}"),
            Err(error) => prop_assert!(error.to_string().len() > 10, "{model} {edges:?}"),
        }
    }
}
