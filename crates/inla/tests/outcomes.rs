//! Several likelihoods in one model: against fits apart, against quadrature, in any order of the rows, and what is refused.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::collections::BTreeMap;

use inla::{Fit, InlaError, ModelSpecification, Outcome, Outcomes, Resources, Source, Table};

const SUBJECTS: usize = 12;

/// `(y, what, id, x, days)`: two measurements and two counts of every subject, outcomes in turn.
fn rows() -> Vec<(f64, &'static str, usize, f64, f64)> {
    let row = |k: usize| {
        let (id, count) = (k % SUBJECTS, (k / SUBJECTS) % 2 == 1);
        let (u, x) = ((1.7 * id as f64).sin(), (0.9 * k as f64).cos());
        let days = 1.0 + (k % 3) as f64;
        match count {
            true => ((days * (0.3 + 0.5 * u + 0.2 * x).exp() + 0.5).floor(), "visits", id, x, days),
            false => (1.0 + u + 0.5 * x + 0.3 * (3.1 * k as f64).sin(), "weight", id, x, days),
        }
    };
    (0..4 * SUBJECTS).map(row).collect()
}

fn table(rows: &[(f64, &str, usize, f64, f64)]) -> Table {
    let lines: String = rows.iter().map(|(y, what, id, x, days)| format!("{y},{what},s{id},{x},{days}\n")).collect();
    Table::from_csv_reader(format!("y,what,id,x,days\n{lines}").as_bytes()).unwrap()
}

fn visits() -> Outcome {
    let exposure = Some(Source::Column("days".to_owned()));
    Outcome { family: Some("poisson".to_owned()), exposure, ..Outcome::default() }
}

fn weight() -> Outcome {
    let precision = [("precision".to_owned(), "pc.prec(1, 0.01)".to_owned())];
    Outcome { likelihood: precision.into_iter().collect(), ..Outcome::default() }
}

fn specification(formula: &str, families: &[(&str, Outcome)]) -> Result<ModelSpecification, InlaError> {
    let mut specification = ModelSpecification::new(formula, "gaussian")?;
    (specification.fixed.precision, specification.fixed.intercept_precision) = (0.01, 0.01);
    let families: BTreeMap<String, Outcome> = families.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    specification.outcomes = Some(Outcomes { column: "what".to_owned(), families });
    Ok(specification)
}

fn both(formula: &str, table: &Table) -> Result<Fit, InlaError> {
    let families = [("visits", visits()), ("weight", weight())];
    Fit::new(&specification(formula, &families)?, table, &Resources::default())
}

fn named(fit: &Fit, name: &str) -> inla::Summary {
    fit.hyperparameters().iter().find(|n| n.name == name).unwrap_or_else(|| panic!("no {name}")).summary()
}

#[test]
fn outcomes_that_share_nothing_are_fits_apart() {
    let all = rows();
    let joint = both("y ~ 0 + what + what:x", &table(&all)).unwrap();
    let of = |what: &str| all.iter().filter(|row| row.1 == what).copied().collect::<Vec<_>>();
    let alone = |what: &str, family: &str| {
        let mut specification = ModelSpecification::new("y ~ 1 + x", family).unwrap();
        (specification.fixed.precision, specification.fixed.intercept_precision) = (0.01, 0.01);
        match family {
            "poisson" => specification.exposure = Some(Source::Column("days".to_owned())),
            _ => specification.likelihood = weight().likelihood,
        }
        Fit::new(&specification, &table(&of(what)), &Resources::default()).unwrap()
    };
    let (weights, counts) = (alone("weight", "gaussian"), alone("visits", "poisson"));
    let difference =
        joint.log_marginal_likelihood() - weights.log_marginal_likelihood() - counts.log_marginal_likelihood();
    // one hyperparameter on a grid; rows of counts are corrected as in their own fit
    assert!(difference.abs() < 2e-3, "{difference}");
    assert_eq!(joint.family(), "gaussian (weight), poisson (visits)");
    let (own, other) = (named(&joint, "weight.precision"), named(&weights, "likelihood.precision"));
    assert!((own.mean - other.mean).abs() < 1e-3 * other.sd && (own.sd / other.sd - 1.0).abs() < 1e-3);
    // rows stand where they stand in the table, each with its own link and criteria
    let (mut at_weight, mut at_count) = (0, 0);
    let criteria = |fit: &Fit, row: usize| fit.posterior().criteria.as_ref().unwrap().cpo[row];
    for (row, (_, what, ..)) in all.iter().enumerate() {
        let (fit, k) = match *what {
            "weight" => (&weights, &mut at_weight),
            _ => (&counts, &mut at_count),
        };
        let (found, expected) = (joint.fitted()[row].summary(), fit.fitted()[*k].summary());
        assert!((found.mean - expected.mean).abs() < 2e-3 * expected.sd, "row {row}");
        assert!((criteria(&joint, row) / criteria(fit, *k) - 1.0).abs() < 2e-3, "row {row}");
        *k += 1;
    }
}

#[test]
fn the_order_of_the_rows_does_not_matter() {
    let formula = "y ~ 0 + what + what:x + (0 + what | id)";
    let mut all = rows();
    let first = both(formula, &table(&all)).unwrap();
    // the same outcome and the same subject still come first
    all[1..].sort_by(|a, b| (b.1, a.2).cmp(&(a.1, b.2)));
    let places: Vec<usize> = all.iter().map(|row| rows().iter().position(|other| other == row).unwrap()).collect();
    let sorted = both(formula, &table(&all)).unwrap();
    let difference = first.log_marginal_likelihood() - sorted.log_marginal_likelihood();
    // sums in another order
    assert!(difference.abs() < 1e-6, "{difference}");
    for (row, &place) in places.iter().enumerate() {
        let (a, b) = (&sorted.linear_predictor()[row], &first.linear_predictor()[place]);
        // the search for the mode ends elsewhere within its tolerance, a hundredth of a standard deviation of a hyperparameter
        assert!((a.mean() - b.mean()).abs() < 1e-3 * b.sd(), "row {row}: {} {}", a.mean(), b.mean());
    }
    let (sd, rho) = (named(&first, "id.sd[whatweight]"), named(&first, "id.rho[whatweight,whatvisits]"));
    // sines of amplitude one between the subjects
    assert!((0.4..1.2).contains(&sd.mean) && rho.q0_975 < 1.0, "{sd:?} {rho:?}");
}

#[test]
fn every_level_without_a_section_has_a_precision_of_its_own() {
    // y ~ N(0, 1/τ_level) with Gamma(2, 1) on either precision: the evidence is that of two t densities
    let values = [[0.3, -0.8, 0.5, 1.1], [2.0, -3.1, 4.0, -2.2]];
    let mut text = "y,what\n".to_owned();
    for k in 0..8 {
        text += &format!("{},{}\n", values[k % 2][k / 2], ["low", "high"][k % 2]);
    }
    let table = Table::from_csv_reader(text.as_bytes()).unwrap();
    let mut specification = specification("y ~ 1", &[]).unwrap();
    // an intercept that is held at zero
    specification.fixed.intercept_precision = 1e10;
    specification.likelihood.insert("precision".to_owned(), "loggamma(2, 1)".to_owned());
    // densities of a log precision are skewed: half of the default's spacing
    specification.fit.grid_step = Some(0.5);
    specification.fit.grid_drop = 14.0;
    let fit = Fit::new(&specification, &table, &Resources::default()).unwrap();
    let exact: f64 = values
        .iter()
        .map(|y| {
            let square: f64 = y.iter().map(|y| y * y).sum();
            // Γ(4)/Γ(2) (2π)^{-2} (1 + S/2)^{-4}
            6.0_f64.ln() - 2.0 * (2.0 * std::f64::consts::PI).ln() - 4.0 * (1.0 + 0.5 * square).ln()
        })
        .sum();
    // what lies beyond the lattice
    assert!((fit.log_marginal_likelihood() - exact).abs() < 1e-4, "{} {exact}", fit.log_marginal_likelihood());
    for (level, y) in ["low", "high"].iter().zip(values) {
        let square: f64 = y.iter().map(|y| y * y).sum();
        let found = named(&fit, &format!("{level}.precision"));
        // Gamma(4, 1 + S/2)
        assert!((found.mean / (4.0 / (1.0 + 0.5 * square)) - 1.0).abs() < 5e-3, "{level}: {found:?}");
    }
}

#[test]
fn outcomes_that_do_not_fit_are_refused() {
    let all = rows();
    let fit = |families: &[(&str, Outcome)], formula: &str, table: &Table| {
        let specification = specification(formula, families)?;
        Fit::new(&specification, table, &Resources::default())
    };
    let good = table(&all);
    let poisson = |exposure: &str| {
        let exposure = Some(Source::Column(exposure.to_owned()));
        Outcome { family: Some("poisson".to_owned()), exposure, ..Outcome::default() }
    };
    let mut missing = String::from("y,what,id,x,days\n1,weight,s0,1,1\n2,,s1,1,1\n");
    missing += "0.5,visits,s2,1,1\n";
    let missing = Table::from_csv_reader(missing.as_bytes()).unwrap();
    for (families, formula, table, says) in [
        (vec![("vists", visits())], "y ~ 1", &good, "did you mean \"visits\""),
        (vec![("weight", visits())], "y ~ 1", &good, "outcome \"weight\""),
        (vec![("visits", poisson("dys"))], "y ~ 1", &good, "outcome \"visits\": the data has no column \"dys\""),
        (
            vec![("visits", Outcome { family: Some("poison".to_owned()), ..Outcome::default() })],
            "y ~ 1",
            &good,
            "poisson",
        ),
        (
            vec![("weight", Outcome { trials: Some(Source::Number(2.0)), ..Outcome::default() })],
            "y ~ 1",
            &good,
            "trials",
        ),
        (vec![], "y ~ 1", &missing, "line 3"),
        (vec![], "y ~ 1 + f(id, model = iid, name = weight)", &good, "both called \"weight\""),
    ] {
        let error = fit(&families, formula, table).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    // the line of a bad count is that of the data
    let text = "y,what,id,x,days\n1.5,weight,s0,1,1\n-2,visits,s1,1,1\n";
    let table = Table::from_csv_reader(text.as_bytes()).unwrap();
    let error = fit(&[("visits", visits())], "y ~ 1", &table).unwrap_err().to_string();
    assert!(error.contains("outcome \"visits\"") && error.contains("line 3"), "{error}");
}
