//! Fits as a whole: determinism, options, missing values, and bad input.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use inla::specification::{CoefficientPrior, JointPrior};
use inla::{Effect, Fit, Graph, ModelBuilder, ModelSpecification, Resources, Table, Verdict};

fn lattice(side: usize) -> Graph {
    let node = |r: usize, c: usize| r * side + c;
    let right = (0..side).flat_map(|r| (1..side).map(move |c| (node(r, c), node(r, c - 1))));
    let down = (1..side).flat_map(|r| (0..side).map(move |c| (node(r, c), node(r - 1, c))));
    Graph::from_edges(side * side, right.chain(down)).unwrap()
}

fn counts(rows: usize) -> Vec<f64> {
    (0..rows).map(|i| ((i * 7 + 3) % 11 % 7) as f64).collect()
}

fn areal(side: usize, threads: usize) -> Fit {
    let n = side * side;
    let region: Vec<f64> = (1..=n).map(|i| i as f64).collect();
    let table = Table::new().with_numeric("y", &counts(n)).unwrap().with_numeric("region", &region).unwrap();
    let effect = Effect::new("region", "besagproper").graph(lattice(side)).option("precision", "pc.prec(1, 0.01)");
    ModelBuilder::new("y", "poisson").effect(effect).threads(threads).fit(&table).unwrap()
}

#[test]
fn results_have_the_same_bits_on_any_number_of_threads() {
    let bits = |fit: &Fit| -> Vec<u64> {
        let nodes = fit.posterior().nodes.iter().flat_map(|m| [m.mean(), m.sd()]);
        let hyper = fit.internal_hyperparameters();
        let hyper = hyper.iter().flat_map(|h| [h.marginal.mean(), h.marginal.quantile(0.975)]);
        let criteria = fit.posterior().criteria.clone().unwrap();
        let all = nodes.chain(hyper).chain([fit.log_marginal_likelihood(), criteria.dic, criteria.waic]);
        all.chain(criteria.cpo).map(f64::to_bits).collect()
    };
    let one = bits(&areal(20, 1));
    assert_eq!(one, bits(&areal(20, 2)));
    assert_eq!(one, bits(&areal(20, 0)));
}

#[test]
fn a_prepared_fit_tells_its_memory_and_takes_over_an_analysis() {
    let table = |n: usize| {
        let region: Vec<f64> = (1..=n).map(|i| i as f64).collect();
        Table::new().with_numeric("y", &counts(n)).unwrap().with_numeric("region", &region).unwrap()
    };
    let model = |side: usize, threads: usize| {
        let effect = Effect::new("region", "besagproper").graph(lattice(side)).option("precision", "pc.prec(1, 0.01)");
        ModelBuilder::new("y", "poisson").effect(effect).threads(threads)
    };
    let memory = |side: usize, threads: usize| {
        model(side, threads).prepare(&table(side * side), None).unwrap().predicted_memory() as f64
    };
    // a workspace for each thread beside what is kept, and all of it in proportion to the nodes or a little faster
    assert!(memory(20, 2) > memory(20, 1) && memory(20, 2) < 2.0 * memory(20, 1));
    let growth = memory(40, 2) / memory(20, 2);
    assert!(growth > 3.5 && growth < 8.0, "{growth}");
    let first = model(12, 1).fit(&table(144)).unwrap();
    let next = model(12, 1).prepare(&table(144), Some(&first)).unwrap().fit().unwrap();
    assert!(std::sync::Arc::ptr_eq(first.analysis(), next.analysis()));
    assert_eq!(first.log_marginal_likelihood().to_bits(), next.log_marginal_likelihood().to_bits());
    let other = model(10, 1).prepare(&table(100), Some(&first)).unwrap().fit().unwrap();
    assert!(!std::sync::Arc::ptr_eq(first.analysis(), other.analysis()));
}

#[test]
fn builder_and_formula_make_the_same_description() {
    let built = ModelBuilder::new("y", "poisson")
        .fixed("x")
        .effect(Effect::new("g", "iid").option("precision", "pc.prec(1, 0.01)"))
        .exposure("e")
        .specification()
        .unwrap();
    let mut written =
        ModelSpecification::new("y ~ 1 + x + f(g, model = iid, precision = pc.prec(1, 0.01))", "poisson").unwrap();
    written.exposure = Some(inla::Source::Column("e".to_owned()));
    assert_eq!(built, written);
    let saved = serde_json::to_string(&built).unwrap();
    assert_eq!(serde_json::from_str::<ModelSpecification>(&saved).unwrap(), built);
}

fn small() -> Table {
    Table::new()
        .with_numeric("y", &[2.0, 5.0, 1.0, 7.0, 3.0, f64::NAN, 4.0, 12.0])
        .and_then(|t| t.with_numeric("x", &[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]))
        .and_then(|t| t.with_numeric("t", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]))
        .and_then(|t| t.with_numeric("z", &[1.0, 2.0, 0.5, 1.0, 3.0, 1.0, 2.0, 1.0]))
        .and_then(|t| t.with_text("g", &["b", "b", "a", "a", "b", "", "a", "a"]))
        .and_then(|t| t.with_text("r", &["p", "p", "p", "p", "q", "q", "q", "q"]))
        .unwrap()
}

fn fit(formula: &str, family: &str) -> Result<Fit, inla::InlaError> {
    let mut specification = ModelSpecification::new(formula, family)?;
    specification.fixed.intercept_precision = 0.001;
    Fit::new(&specification, &small(), &Resources::default())
}

#[test]
fn missing_responses_are_predicted_and_levels_stand_as_they_appear() {
    let fit = fit("y ~ x + f(g, model = iid, precision = pc.prec(1, 0.01))", "poisson").unwrap();
    assert_eq!(fit.linear_predictor().len(), 8);
    let predicted = fit.fitted()[5].summary();
    assert!(predicted.mean > 2.0 && predicted.mean < 20.0 && predicted.q0_025 < predicted.q0_5);
    assert!(fit.posterior().criteria.as_ref().unwrap().cpo[5].is_nan());
    let names: Vec<_> = fit.effect("g").unwrap().into_iter().map(|n| n.name).collect();
    assert_eq!(names, ["b", "a"]);
    let hyper: Vec<_> = fit.hyperparameters().into_iter().map(|n| n.name).collect();
    assert_eq!(hyper, ["g.precision", "g.sd"]);
}

#[test]
fn every_latent_model_and_option_fits() {
    let prior = "precision = pc.prec(1, 0.01)";
    for effect in [
        "f(t, model = rw1, PRIOR)",
        "f(t, model = rw2, scale_model = TRUE, PRIOR)",
        "f(t, model = rw2, cyclic = TRUE, PRIOR)",
        "f(z, model = rw1, PRIOR)",
        "f(t, model = ar1, PRIOR, rho = pc.cor1(0.7, 0.7))",
        "f(t, model = ar1, PRIOR, rho = fixed(0.9))",
        "f(g, x, model = iid, PRIOR)",
        "f(g, model = iid, PRIOR) + f(g, x, model = iid, name = \"slope\", PRIOR)",
        "f(t, model = rw1, replicate = r, PRIOR)",
        "f(t, model = rw1, values = c(1, 2, 3, 4, 5, 6, 7, 8, 9), PRIOR)",
        "f(g, model = iid, group = r, group_model = exchangeable, PRIOR)",
        "f(g, model = iid, group = r, group_model = ar1, PRIOR)",
        "f(g, model = iid, group = r, group_model = rw1, PRIOR)",
        "f(t, model = rw1, group = r, group_model = rw1, PRIOR)",
        "f(g, model = iid, precision = loggamma(1, 0.01, initial = 3))",
    ] {
        let formula = format!("y ~ 1 + {}", effect.replace("PRIOR", prior));
        let fit = fit(&formula, "poisson").unwrap_or_else(|error| panic!("{effect}: {error}"));
        assert!(fit.log_marginal_likelihood().is_finite(), "{effect}");
        assert!(fit.posterior().nodes.iter().all(|m| m.mean().is_finite() && m.sd() >= 0.0), "{effect}");
    }
}

#[test]
fn constraints_of_the_user_hold_and_fixed_hyperparameters_leave_the_list() {
    let effect = "f(r, model = iid, precision = fixed(2), extraconstr = c(1, 1), extraconstr_e = 0.5)";
    let fit = fit(&format!("y ~ 1 + {effect}"), "poisson").unwrap();
    assert!(fit.hyperparameters().is_empty());
    let sum: f64 = fit.effect("r").unwrap().iter().map(|n| n.marginal.mean()).sum();
    assert!((sum - 0.5).abs() < 1e-8, "{sum}");
}

#[test]
fn a_joint_prior_of_coefficients_is_the_product_of_independent_ones_where_it_is_diagonal() {
    let evidence = |set: &dyn Fn(&mut inla::FixedPriors)| {
        let mut specification = ModelSpecification::new("y ~ 1 + x + z", "poisson").unwrap();
        specification.fixed.intercept_precision = 0.001;
        set(&mut specification.fixed);
        Fit::new(&specification, &small(), &Resources::default()).map(|fit| fit.log_marginal_likelihood())
    };
    let joint = |off: f64| {
        evidence(&|fixed| {
            let names = vec!["x".to_owned(), "z".to_owned()];
            let covariance = vec![vec![0.25, off], vec![off, 4.0]];
            fixed.joint.push(JointPrior { names, mean: vec![0.5, 0.0], covariance });
        })
    };
    let apart = evidence(&|fixed| {
        fixed.coefficients.insert("x".to_owned(), CoefficientPrior { mean: Some(0.5), precision: Some(4.0) });
        fixed.coefficients.insert("z".to_owned(), CoefficientPrior { mean: Some(0.0), precision: Some(0.25) });
    })
    .unwrap();
    // both are the same Laplace approximation, up to rounding and the search's tolerance
    assert!((joint(0.0).unwrap() - apart).abs() < 1e-9);
    assert!((joint(0.9).unwrap() - apart).abs() > 1e-3);
    assert!(joint(1.1).unwrap_err().to_string().contains("covariance"));
}

#[test]
fn perfect_separation_is_warned_of() {
    let table = Table::new()
        .with_numeric("y", &[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
        .and_then(|t| t.with_numeric("x", &[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]))
        .unwrap();
    let fit = ModelBuilder::new("y", "binomial").fixed("x").intercept_precision(0.001).fit(&table).unwrap();
    assert!(fit.warnings().iter().any(|w| w.contains("coefficient x")), "{:?}", fit.warnings());
}

#[test]
fn bad_input_is_refused_with_what_is_wrong() {
    let iid = "f(g, model = iid, precision = pc.prec(1, 0.01))";
    for (formula, family, words) in [
        ("w ~ x", "poisson", "no column \"w\""),
        ("y ~ xx", "poisson", "did you mean \"x\""),
        ("y ~ x", "poison", "did you mean \"poisson\""),
        ("g ~ x", "poisson", "is not a number"),
        ("z ~ x", "poisson", "whole numbers"),
        ("y ~ x", "binomial", "successes in 1 trials"),
        ("I(y - 5) ~ x", "poisson", "cannot be negative"),
        ("y ~ log(x)", "poisson", "finite"),
        ("y ~ 0", "poisson", "nothing to estimate"),
        ("y ~ f(g, model = idd)", "poisson", "did you mean \"iid\""),
        ("y ~ f(g, model = iid, precision = pc.pre(1, 0.01))", "poisson", "pc.prec"),
        ("y ~ f(g, model = iid, precision = pc.prec(1))", "poisson", "two arguments"),
        ("y ~ f(g, model = iid, precision = fixed(-1))", "poisson", "outside"),
        ("y ~ f(g, model = iid, precison = pc.prec(1, 0.01))", "poisson", "precision"),
        ("y ~ f(t, model = besag)", "poisson", "graph"),
        ("y ~ f(t, model = besag, graph = \"absent.graph\")", "poisson", "cannot read"),
        ("y ~ f(z, model = rw2, cyclic = TRUE)", "poisson", "equally spaced"),
        ("y ~ f(g, model = iid, extraconstr = c(1, 1, 1))", "poisson", "2 coefficients"),
        ("y ~ f(g, model = iid, group_model = ar1)", "poisson", "group = column"),
        ("y ~ x + (", "poisson", "^"),
    ] {
        let error = fit(formula, family).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words), "{formula}: {error}");
    }
    let twice = fit(&format!("y ~ {iid} + {iid}"), "poisson").map(|_| ()).unwrap_err().to_string();
    assert!(twice.contains("two effects"), "{twice}");
    let flat = Table::new().with_numeric("y", &[1.0, 2.0, 3.0]).and_then(|t| t.with_numeric("k", &[2.0; 3])).unwrap();
    let constant = ModelBuilder::new("y", "poisson").fixed("k").fixed_precision(0.0).fit(&flat);
    let constant = constant.map(|_| ()).unwrap_err().to_string();
    assert!(constant.contains("\"k\"") && constant.contains("flat"), "{constant}");
    let overflow = ModelBuilder::new("y", "poisson").fixed("offset(I(k * 1e6))").fit(&flat);
    assert!(overflow.is_err() || overflow.is_ok_and(|fit| fit.log_marginal_likelihood().is_finite()));
}

#[test]
fn a_certificate_names_what_an_approximation_gets_wrong() {
    // rare events: at the mode alone the intercept is off
    let y: Vec<f64> = (0..40).map(|i| f64::from(u8::from(i % 13 == 0))).collect();
    let group: Vec<f64> = (0..40).map(|i| f64::from(i / 2)).collect();
    let table = Table::new().with_numeric("y", &y).unwrap().with_numeric("g", &group).unwrap();
    let model = |rung: &str| {
        let effect = Effect::new("g", "iid").option("precision", "pc.prec(1, 0.01)");
        ModelBuilder::new("y", "poisson").intercept_precision(0.001).effect(effect).approximation(rung)
    };
    let gaussian = model("gaussian").fit(&table).unwrap().certificate();
    assert!(gaussian.verdict > Verdict::Good);
    let named = gaussian.findings.iter().any(|finding| finding.culprit == "(Intercept)");
    assert!(named, "{gaussian:?}");
    let better = model("ep").fit(&table).unwrap().certificate();
    assert!(better.verdict < gaussian.verdict, "{better:?}");
    // nothing to integrate, nothing to doubt; and a fit that gathered no evidence says so
    let plain = ModelBuilder::new("y", "poisson").intercept_precision(0.001);
    assert_eq!(plain.fit(&table).unwrap().certificate().verdict, Verdict::Good);
    let mut specification = model("auto").specification().unwrap();
    specification.fit.certificate = false;
    let blind = Fit::new(&specification, &table, &Resources::default()).unwrap();
    assert!(blind.posterior().checks.is_none() && blind.certificate().verdict == Verdict::Doubtful);
}
