//! Every rung of the approximation ladder by name: exact where it must be, against quadrature where it is not, refused where it is nonsense.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use inla::{Effect, Fit, Marginal, ModelBuilder, ModelSpecification, Resources, Table};

const RUNGS: [&str; 6] =
    ["gaussian", "variational", "variational-mean-variance", "simplified-laplace", "laplace", "ep"];

fn grouped(family: &str, rung: &str) -> ModelBuilder {
    let effect = Effect::new("g", "iid").option("precision", "pc.prec(1, 0.01)");
    ModelBuilder::new("y", family).fixed("x").effect(effect).intercept_precision(0.001).approximation(rung)
}

fn data() -> Table {
    let y: Vec<f64> = (0..30).map(|i| f64::from((i * 7 + 3) % 11 % 5)).collect();
    let x: Vec<f64> = (0..30).map(|i| f64::from(i % 6) - 2.5).collect();
    let g: Vec<f64> = (0..30).map(|i| f64::from(i / 5)).collect();
    let table = Table::new().with_numeric("y", &y).and_then(|t| t.with_numeric("x", &x));
    table.and_then(|t| t.with_numeric("g", &g)).unwrap()
}

#[test]
fn with_a_gaussian_likelihood_every_rung_is_the_same() {
    let fits: Vec<Fit> = RUNGS.iter().map(|rung| grouped("gaussian", rung).fit(&data()).unwrap()).collect();
    for (fit, rung) in fits.iter().zip(RUNGS) {
        assert_eq!(fit.posterior().diagnostics.approximation.rung.name() == "gaussian", rung == "gaussian");
        assert!(fit.warnings().is_empty(), "{rung}: {:?}", fit.warnings());
        // expectation propagation is not even started; the rest is rounding of the Newton steps of the bound
        let close = |a: f64, b: f64| (a - b).abs() < 1e-8 * (1.0 + b.abs());
        assert!(close(fit.log_marginal_likelihood(), fits[0].log_marginal_likelihood()), "{rung}");
        for (own, exact) in fit.posterior().nodes.iter().zip(&fits[0].posterior().nodes) {
            assert!(close(own.mean(), exact.mean()) && close(own.sd(), exact.sd()), "{rung}");
        }
    }
}

#[test]
fn every_rung_fits_by_name_and_says_so() {
    for rung in RUNGS {
        let fit = grouped("poisson", rung).fit(&data()).unwrap();
        let chosen = &fit.posterior().diagnostics.approximation;
        assert_eq!(chosen.rung.name(), rung);
        assert!(chosen.reason.starts_with("as asked for"), "{rung}: {}", chosen.reason);
        assert!(fit.posterior().diagnostics.failed_points.is_empty(), "{rung}");
        assert!(fit.posterior().nodes.iter().all(|node| node.mean().is_finite() && node.sd() > 0.0), "{rung}");
    }
}

#[test]
fn interpolated_sums_are_checked_against_complete_ones() {
    let found = |family: &str, rung: &str| {
        let fit = grouped(family, rung).fit(&data()).unwrap();
        fit.posterior().checks.clone().unwrap().interpolation
    };
    let poisson = found("poisson", "simplified-laplace").unwrap();
    // six groups of five counts: third-order sums are parabolas along the axis to some hundredths
    assert!(poisson.second_order > 0.0 && poisson.second_order < 0.05, "{poisson:?}");
    assert!(poisson.node > 0.0 && poisson.node < 0.05, "{poisson:?}");
    // nothing to interpolate: no sums at all, complete ones everywhere, none needed
    assert_eq!((found("poisson", "gaussian"), found("poisson", "ep"), found("gaussian", "auto")), (None, None, None));
}

#[test]
fn the_key_variational_names_its_rung_and_what_does_not_belong_is_refused() {
    let fit = |change: &dyn Fn(&mut ModelSpecification)| {
        let mut specification = grouped("poisson", "variational").specification().unwrap();
        change(&mut specification);
        Fit::new(&specification, &data(), &Resources::default())
    };
    let rung = |fit: Fit| fit.posterior().diagnostics.approximation.rung.name();
    assert_eq!(rung(fit(&|s| s.fit.variational = Some("mean".into())).unwrap()), "variational");
    let both = fit(&|s| s.fit.variational = Some("mean+variance".into())).unwrap();
    assert_eq!(rung(both), "variational-mean-variance");
    let refused = |change: &dyn Fn(&mut ModelSpecification)| fit(change).unwrap_err().to_string();
    let error = refused(&|s| s.fit.variational = Some("mean+varianc".into()));
    assert!(error.contains("mean+variance"), "{error}");
    let error = refused(&|s| {
        s.fit.approximation = "laplace".into();
        s.fit.variational = Some("mean".into());
    });
    assert!(error.contains("variational"), "{error}");
    let error = refused(&|s| s.fit.approximation = "variatonal".into());
    assert!(error.contains("\"variational\""), "{error}");
    let error = refused(&|s| s.fit.laplace_nodes = vec!["x".into()]);
    assert!(error.contains("laplace_nodes") && error.contains("approximation = \"laplace\""), "{error}");
    for wanted in [true, false] {
        let error = refused(&|s| s.fit.laplace_predictors = Some(wanted));
        assert!(error.contains("laplace_predictors") && error.contains("approximation = \"laplace\""), "{error}");
    }
    let error = refused(&|s| {
        s.fit.approximation = "laplace".into();
        s.fit.laplace_nodes = vec!["(Intercpt)".into()];
    });
    assert!(error.contains("(Intercept)"), "{error}");
}

#[test]
fn named_nodes_alone_have_their_densities_found() {
    let all = grouped("poisson", "laplace").fit(&data()).unwrap();
    let some = grouped("poisson", "laplace").laplace_nodes(&["x", "g"]).fit(&data()).unwrap();
    let none = grouped("poisson", "simplified-laplace").fit(&data()).unwrap();
    let reason = &some.posterior().diagnostics.approximation.reason;
    assert!(reason.contains("7 of 8 nodes by exact determinants"), "{reason}");
    // the intercept, the slope, the groups
    for (j, ((all, some), none)) in
        all.posterior().nodes.iter().zip(&some.posterior().nodes).zip(&none.posterior().nodes).enumerate()
    {
        // without densities to find, a factor near the mode is near enough: a thousandth of a standard deviation
        let sd = none.sd();
        let close = (some.mean() - none.mean()).abs() < 1e-3 * sd && (some.sd() - none.sd()).abs() < 1e-3 * sd;
        assert!(if j == 0 { close } else { some == all }, "{j}: {} {}", some.mean(), none.mean());
        assert_eq!(matches!(some, Marginal::Mixture(_)), j == 0);
        assert!(matches!(all, Marginal::Tabulated(_)) && matches!(none, Marginal::Mixture(_)));
    }
}

#[test]
fn more_nodes_than_are_affordable_are_refused_and_some_of_them_are_not() {
    let n: usize = 4000;
    let y: Vec<f64> = (0..n).map(|i| ((i * 7 + 3) % 11 % 4) as f64).collect();
    let t: Vec<f64> = (1..=n).map(|i| i as f64).collect();
    let table = Table::new().with_numeric("y", &y).and_then(|table| table.with_numeric("t", &t)).unwrap();
    let effect = Effect::new("t", "rw1").option("precision", "fixed(4)");
    let model = ModelBuilder::new("y", "poisson").effect(effect).approximation("laplace");
    let error = model.fit(&table).unwrap_err().to_string();
    assert!(error.contains("4001 nodes") && error.contains("laplace_nodes"), "{error}");
    let fit = model.laplace_nodes(&["(Intercept)"]).fit(&table).unwrap();
    let reason = &fit.posterior().diagnostics.approximation.reason;
    assert!(reason.contains("1 of 4001 nodes"), "{reason}");
}

#[test]
fn the_new_rungs_have_the_same_bits_on_any_number_of_threads() {
    let n: usize = 60;
    let y: Vec<f64> = (0..n).map(|i| ((i * 7 + 3) % 11 % 4) as f64).collect();
    let t: Vec<f64> = (1..=n).map(|i| i as f64).collect();
    let table = Table::new().with_numeric("y", &y).and_then(|table| table.with_numeric("t", &t)).unwrap();
    for rung in ["variational", "variational-mean-variance", "laplace"] {
        let bits = |threads: usize| -> Vec<u64> {
            let effect = Effect::new("t", "ar1").option("precision", "pc.prec(1, 0.01)");
            let model = ModelBuilder::new("y", "poisson").effect(effect).approximation(rung).threads(threads);
            let fit = model.fit(&table).unwrap();
            let of = |m: &Marginal| [m.mean(), m.sd(), m.quantile(0.1)];
            let nodes = fit.posterior().nodes.iter().flat_map(of);
            let fitted: Vec<f64> = fit.fitted().iter().flat_map(of).collect();
            nodes.chain(fitted).chain([fit.log_marginal_likelihood()]).map(f64::to_bits).collect()
        };
        assert_eq!(bits(1), bits(2), "{rung}");
    }
}

/// Half of the integral of the absolute difference of two densities.
fn total_variation(marginal: &Marginal, density: &dyn Fn(f64) -> f64, (low, high): (f64, f64)) -> f64 {
    let cells = 4000;
    let step = (high - low) / f64::from(cells);
    let points = (0..cells).map(|k| low + step * (f64::from(k) + 0.5));
    0.5 * step * points.map(|x| (marginal.pdf(x) - density(x)).abs()).sum::<f64>()
}

/// Normalised values of a function at the middles of cells of `step` from `low`, read by the nearest cell.
fn tabulated(low: f64, step: f64, values: Vec<f64>) -> impl Fn(f64) -> f64 {
    let total: f64 = values.iter().sum::<f64>() * step;
    move |x| {
        let place = (x - low) / step - 0.5;
        let k = place.floor().clamp(0.0, values.len() as f64 - 2.0) as usize;
        let share = (place - k as f64).clamp(0.0, 1.0);
        (values[k] + share * (values[k + 1] - values[k])) / total
    }
}

#[test]
fn of_a_count_of_zero_under_a_weak_prior_laplace_has_the_density_and_variational_most_of_the_mean() {
    let precision = 0.05;
    let table = Table::new().with_numeric("y", &[0.0]).unwrap();
    let fit = |rung: &str| {
        ModelBuilder::new("y", "poisson").intercept_precision(precision).approximation(rung).fit(&table).unwrap()
    };
    let (low, step) = (-40.0, 0.01);
    let log = |x: f64| -x.exp() - 0.5 * precision * x * x;
    let values: Vec<f64> = (0..6000).map(|k| log(low + step * (f64::from(k) + 0.5)).exp()).collect();
    let x = |k: usize| low + step * (k as f64 + 0.5);
    let total: f64 = values.iter().sum();
    let mean = values.iter().enumerate().map(|(k, v)| x(k) * v).sum::<f64>() / total;
    let exact = tabulated(low, step, values);
    let distances: Vec<f64> =
        RUNGS.iter().map(|rung| total_variation(&fit(rung).posterior().nodes[0], &exact, (low, 20.0))).collect();
    let [gaussian, _, _, simplified, laplace, propagated] = distances[..] else { panic!("six rungs") };
    // of a single node it is the density itself: what is left is the spline's through thirteen values
    assert!(laplace < 0.01, "{distances:?}");
    assert!(simplified > 5.0 * laplace && propagated > laplace && gaussian > simplified, "{distances:?}");
    // a Gaussian without skewness is no nearer to such a density as a whole, but its mean is
    let error = |rung: &str| (fit(rung).posterior().nodes[0].mean() - mean).abs();
    assert!(error("laplace") < 0.02 && error("variational") < 0.6 * error("gaussian"));
    assert!(error("variational-mean-variance") < 0.3 * error("gaussian"));
}

#[test]
fn of_skewed_nodes_of_a_small_model_laplace_is_nearer_to_quadrature_than_simplified_laplace() {
    // three counts, an intercept b and two groups u ~ N(0, 1): y₁, y₂ of the first, y₃ of the second
    let (y, precision) = ([0.0, 0.0, 2.0], 0.1);
    let table = Table::new().with_numeric("y", &y).and_then(|t| t.with_text("g", &["a", "a", "b"])).unwrap();
    let fit = |rung: &str| {
        let effect = Effect::new("g", "iid").option("precision", "fixed(1)");
        let model = ModelBuilder::new("y", "poisson").effect(effect).intercept_precision(precision);
        model.approximation(rung).fit(&table).unwrap()
    };
    let (low, step, count) = (-12.0, 0.1, 200_usize);
    let at = |k: usize| low + step * (k as f64 + 0.5);
    let term = |count: f64, rows: f64, eta: f64, u: f64| (count * eta - rows * eta.exp() - 0.5 * u * u).exp();
    let (mut intercept, mut first) = (vec![0.0; count], vec![0.0; count]);
    for b in 0..count {
        let prior = (-0.5 * precision * at(b) * at(b)).exp();
        let own: Vec<f64> = (0..count).map(|u| term(0.0, 2.0, at(b) + at(u), at(u))).collect();
        let other: f64 = (0..count).map(|u| term(2.0, 1.0, at(b) + at(u), at(u))).sum();
        intercept[b] = prior * own.iter().sum::<f64>() * other;
        first.iter_mut().zip(&own).for_each(|(sum, own)| *sum += prior * own * other);
    }
    let (simplified, laplace) = (fit("simplified-laplace"), fit("laplace"));
    for (node, values) in [(0, intercept), (1, first)] {
        let exact = tabulated(low, step, values);
        let [before, after] = [&simplified, &laplace]
            .map(|fit| total_variation(&fit.posterior().nodes[node], &exact, (low, low + step * count as f64)));
        assert!(after < 0.6 * before && after < 0.02, "{node}: {before} {after}");
    }
}

fn is_tabulated(marginal: &Marginal) -> bool {
    match marginal {
        Marginal::Tabulated(_) => true,
        Marginal::Mapped(base, _) => is_tabulated(base),
        Marginal::Mixture(_) => false,
    }
}

#[test]
fn linear_predictors_are_covered_with_all_nodes_or_where_asked_for_and_nodes_do_not_depend_on_it() {
    let fit =
        |change: &dyn Fn(ModelBuilder) -> ModelBuilder| change(grouped("poisson", "laplace")).fit(&data()).unwrap();
    let all = fit(&|model| model);
    let without = fit(&|model| model.laplace_predictors(false));
    let named = fit(&|model| model.laplace_nodes(&["x"]));
    let asked = fit(&|model| model.laplace_nodes(&["x"]).laplace_predictors(true));
    for (fit, covered, said) in [
        (&all, true, "and so of the linear predictors"),
        (&without, false, "those of simplified-laplace, as asked for"),
        (&named, false, "laplace_predictors = true is not given"),
        (&asked, true, "1 of 8 nodes by exact determinants, and so of the linear predictors"),
    ] {
        let reason = &fit.posterior().diagnostics.approximation.reason;
        assert!(reason.contains(said), "{reason}");
        assert!(fit.linear_predictor().iter().all(|predictor| is_tabulated(predictor) == covered), "{reason}");
    }
    assert_eq!(all.posterior().nodes, without.posterior().nodes);
    // every row has several entries, and none is read off a node
    assert_eq!(all.linear_predictor(), asked.linear_predictor());
    assert_eq!(named.linear_predictor(), without.linear_predictor());
}

#[test]
fn more_linear_predictors_than_are_affordable_are_left_to_the_expansion_and_refused_if_asked_for() {
    let n: usize = 4000;
    let y: Vec<f64> = (0..n).map(|i| ((i * 7 + 3) % 11 % 4) as f64).collect();
    let x: Vec<f64> = (0..n).map(|i| i as f64 / n as f64).collect();
    let table = Table::new().with_numeric("y", &y).and_then(|table| table.with_numeric("x", &x)).unwrap();
    let model = ModelBuilder::new("y", "poisson").fixed("x").approximation("laplace");
    let fit = model.clone().fit(&table).unwrap();
    let reason = &fit.posterior().diagnostics.approximation.reason;
    assert!(reason.contains("2 of 2 nodes") && reason.contains("would take long"), "{reason}");
    assert!(!is_tabulated(&fit.linear_predictor()[0]));
    let error = model.laplace_predictors(true).fit(&table).unwrap_err().to_string();
    assert!(error.contains("3999 linear predictors") && error.contains("laplace_predictors = true"), "{error}");
}

#[test]
fn rows_alike_and_multiples_of_nodes_share_their_densities() {
    // rows 1 and 3 are alike, row 2 is twice the node with an offset
    let table = Table::new().with_numeric("y", &[0.0, 3.0, 1.0, 0.0, 2.0]).unwrap();
    let table = table.with_numeric("w", &[1.0, 2.0, 1.0, -1.0, 0.5]).unwrap();
    let table = table.with_numeric("o", &[0.0, 0.25, 0.0, 0.5, 0.0]).unwrap();
    let model = ModelBuilder::new("y", "poisson").without_intercept().fixed("w").offset("o");
    let fit = model.fixed_precision(0.1).approximation("laplace").fit(&table).unwrap();
    let reason = &fit.posterior().diagnostics.approximation.reason;
    assert!(reason.contains("and off these of the linear predictors"), "{reason}");
    let (node, rows) = (&fit.posterior().nodes[0], fit.linear_predictor());
    assert!(rows[0] == *node && rows[2] == *node);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} {b}");
    close(rows[1].quantile(0.1), 0.25 + 2.0 * node.quantile(0.1));
    close(rows[1].mean(), 0.25 + 2.0 * node.mean());
    close(rows[1].pdf(0.3), 0.5 * node.pdf(0.025));
    close(rows[3].quantile(0.1), 0.5 - node.quantile(0.9));
    close(rows[3].sd(), node.sd());
    close(rows[3].cdf(0.2), 1.0 - node.cdf(0.3));
    close(rows[3].mode(), 0.5 - node.mode());
}

#[test]
fn of_low_counts_fitted_values_by_laplace_are_nearer_to_quadrature_than_by_simplified_laplace() {
    // an intercept b and two groups u ~ N(0, 1): rows 1 and 2 of the first, row 3 of the second; rows 1 and 3 have an offset
    let (y, offset, precision) = ([0.0, 0.0, 2.0], [0.5, 0.0, 0.5], 0.1);
    let table = Table::new().with_numeric("y", &y).and_then(|t| t.with_text("g", &["a", "a", "b"])).unwrap();
    let table = table.with_numeric("o", &offset).unwrap();
    let fit = |rung: &str| {
        let effect = Effect::new("g", "iid").option("precision", "fixed(1)");
        let model = ModelBuilder::new("y", "poisson").effect(effect).offset("o").intercept_precision(precision);
        model.approximation(rung).fit(&table).unwrap()
    };
    let (low, step, count) = (-14.0, 0.05, 440_usize);
    let at = |k: usize| low + step * (k as f64 + 0.5);
    // the joint density of both groups' levels b + u: b out of it is normal
    let (shared, own) = (precision.recip(), precision.recip() + 1.0);
    let determinant = own * own - shared * shared;
    let prior = |s: f64, t: f64| (-0.5 * (own * (s * s + t * t) - 2.0 * shared * s * t) / determinant).exp();
    let first = |s: f64| (-(s + 0.5).exp() - s.exp()).exp();
    let second = |t: f64| (2.0 * (t + 0.5) - (t + 0.5).exp()).exp();
    let (mut levels, mut others) = (vec![0.0; count], vec![0.0; count]);
    for k in 0..count {
        for l in 0..count {
            let density = prior(at(k), at(l)) * first(at(k)) * second(at(l));
            levels[k] += density;
            others[l] += density;
        }
    }
    let mean = |density: &dyn Fn(f64) -> f64, offset: f64| -> f64 {
        (0..count).map(|k| (at(k) + offset).exp() * density(at(k)) * step).sum()
    };
    let (simplified, laplace) = (fit("simplified-laplace"), fit("laplace"));
    let exact = [tabulated(low, step, levels), tabulated(low, step, others)];
    for (row, group) in [(0, 0), (1, 0), (2, 1)] {
        let shifted = |eta: f64| exact[group](eta - offset[row]);
        let truth = mean(&exact[group], offset[row]);
        let [before, after] = [&simplified, &laplace].map(|fit| {
            let fitted = fit.fitted()[row].mean();
            (total_variation(&fit.linear_predictor()[row], &shifted, (low, 8.0)), (fitted / truth - 1.0).abs())
        });
        assert!(after.0 < 0.6 * before.0 && after.0 < 0.02, "{row}: {before:?} {after:?}");
        assert!(after.1 < before.1, "{row}: {before:?} {after:?}");
    }
}

#[test]
fn linear_predictors_that_a_bounded_link_lets_nobody_hold_are_left_to_the_expansion_with_a_warning() {
    // counts of zero with an identity link: the others' modes lie on their bounds
    let y: Vec<f64> = (0..40_u32).map(|i| f64::from((i * 7919 + 117_074) % 1009 % 97 * 4 / 97)).collect();
    let x: Vec<f64> = (0..40).map(|i| f64::from(i % 7) / 3.0 - 1.0).collect();
    let g: Vec<f64> = (0..40).map(|i| f64::from(i / 5)).collect();
    let table = Table::new().with_numeric("y", &y).and_then(|t| t.with_numeric("x", &x)).unwrap();
    let table = table.with_numeric("g", &g).unwrap();
    let effect = Effect::new("g", "iid").option("precision", "pc.prec(1, 0.01)");
    let model = ModelBuilder::new("y", "poisson").link("identity").fixed("x").effect(effect).approximation("laplace");
    let without = model.clone().laplace_predictors(false).fit(&table).unwrap();
    let fit = model.fit(&table).unwrap();
    let unheld = &fit.posterior().diagnostics.unheld_predictors;
    assert!(!unheld.is_empty() && unheld.len() < y.len(), "{unheld:?}");
    let warning = fit.warnings().into_iter().find(|warning| warning.contains("could not be held")).unwrap();
    let first = format!("{} linear predictors, the first that of row {},", unheld.len(), unheld[0] + 1);
    assert!(warning.starts_with(&first), "{warning}");
    for (row, (own, expanded)) in fit.linear_predictor().iter().zip(without.linear_predictor()).enumerate() {
        assert_eq!(is_tabulated(own), !unheld.contains(&row));
        assert!((own.mean() - expanded.mean()).abs() < 0.1 * expanded.sd(), "{row}");
    }
    // and no point of the design is lost for it
    assert!(
        fit.posterior().diagnostics.failed_points.is_empty()
            && without.posterior().diagnostics.failed_points.is_empty()
    );
    assert_eq!(fit.posterior().nodes, without.posterior().nodes);
}
