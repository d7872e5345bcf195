//! The variational Gaussian against closed forms, quadrature and its own conditions.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

mod common;

use std::sync::Arc;

use approx::assert_relative_eq;
use common::{Coefficients, Family, Kind, block, chains, effect, model};
use laplace::likelihood::StudentT;
use laplace::{
    Approximation, Correction, Design, LaplaceError, LatentGaussianModel, Moments, NewtonOptions, Observations,
    Variational, VariationalFamily, VariationalOptions, Workspace,
};

const FAMILIES: [VariationalFamily; 2] = [VariationalFamily::Mean, VariationalFamily::MeanAndVariance];

fn vary(
    model: &LatentGaussianModel,
    theta: &[f64],
    family: VariationalFamily,
) -> (Approximation, Variational, Moments) {
    let mut workspace = Workspace::new(model);
    let laplace = Approximation::evaluate(model, theta, None, &mut workspace, &NewtonOptions::default()).unwrap();
    let varied = laplace.vary(model, &mut workspace, family, &VariationalOptions::default()).unwrap();
    let moments = varied.moments(model, &mut workspace).unwrap();
    (laplace, varied, moments)
}

#[test]
fn a_gaussian_likelihood_leaves_the_closed_form() {
    for chain in chains() {
        let model = model(Kind::Gaussian, chain, 0.5);
        let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
        let mut workspace = Workspace::new(&model);
        let laplace = Approximation::evaluate(&model, &theta, None, &mut workspace, &NewtonOptions::default()).unwrap();
        let exact = Moments::read(&model, &laplace, &mut workspace, &Correction::None).unwrap();
        for family in FAMILIES {
            let (_, varied, moments) = vary(&model, &theta, family);
            // the bound is tight: it is the log-density of the data, to the rounding of sums of fifty terms
            let bound = varied.bounds.last().unwrap();
            assert_relative_eq!(*bound, laplace.log_likelihood, max_relative = 1e-11);
            for (a, b) in moments.nodes.iter().zip(&exact.nodes) {
                assert_relative_eq!(a.mean, b.mean, epsilon = 1e-9);
                assert_relative_eq!(a.variance, b.variance, max_relative = 1e-9, epsilon = 1e-12);
                assert_eq!(a.skewness, 0.0);
            }
        }
    }
}

/// `y` of one node, `x ~ N(0, 1/precision)`.
fn one_node(kind: Kind, y: &[f64], precision: f64) -> LatentGaussianModel {
    let mut design = Design::new(1);
    y.iter().for_each(|_| design.push_row(&[(0, 1.0)], 0.0).unwrap());
    let observations = vec![Observations { name: "likelihood".into(), likelihood: Arc::new(Family::new(kind, y)) }];
    LatentGaussianModel::new(vec![effect("x", Coefficients::new(&[precision]))], observations, design).unwrap()
}

#[test]
fn of_a_count_the_mean_and_the_variance_obey_their_equations_in_closed_form() {
    // E exp(x) = exp(m + v/2) under N(m, v)
    for (y, precision) in [(0.0, 1.0), (0.0, 0.2), (3.0, 0.5), (0.0, 0.05)] {
        let model = one_node(Kind::Poisson, &[y], precision);
        for family in FAMILIES {
            let (laplace, varied, moments) = vary(&model, &[], family);
            let (m, v) = (moments.nodes[0].mean, moments.nodes[0].variance);
            let expected = (m + 0.5 * v).exp();
            // of the squared tolerance of the step nothing is left; the rule of 15 points leaves 1e-9 at a variance of 3
            let tolerance = 1e-8;
            assert!((y - expected - precision * m).abs() < tolerance, "{y} {precision}: slope");
            let curvature = match family {
                VariationalFamily::Mean => laplace.mode[0].exp(),
                VariationalFamily::MeanAndVariance => expected,
            };
            // the tolerance of the curvature, ten times
            assert_relative_eq!(1.0 / v, precision + curvature, max_relative = 1e-5);
            assert_eq!(moments.nodes[0].mean, varied.mean[0]);
        }
    }
}

/// Logarithm of the integral, mean and variance of `e^f`.
fn quadrature(f: impl Fn(f64) -> f64) -> [f64; 3] {
    let step = 1e-3;
    let grid: Vec<f64> = (-60_000..=60_000).map(|k| f64::from(k) * step).collect();
    let weights: Vec<f64> = grid.iter().map(|&x| f(x).exp() * step).collect();
    let z: f64 = weights.iter().sum();
    let mean = grid.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>() / z;
    [z.ln(), mean, grid.iter().zip(&weights).map(|(x, w)| (x - mean).powi(2) * w).sum::<f64>() / z]
}

#[test]
fn a_count_of_zero_under_a_wide_prior_loses_much_of_the_error_of_the_mode() {
    let precision = 0.05;
    let model = one_node(Kind::Poisson, &[0.0], precision);
    let prior = |x: f64| 0.5 * (precision / (2.0 * std::f64::consts::PI)).ln() - 0.5 * precision * x * x;
    let [log_z, mean, variance] = quadrature(|x| prior(x) - x.exp());
    let [one, both] = FAMILIES.map(|family| vary(&model, &[], family));
    let mode = one.0.mode[0];
    // the mode is 0.6 posterior standard deviations away
    assert!((mode - mean).abs() > 0.5 * variance.sqrt(), "{mode} {mean}");
    // the mean alone overshoots, its variance being that of the mode
    for ((_, varied, moments), share) in [(&one, 0.6), (&both, 0.3)] {
        let error = (moments.nodes[0].mean - mean).abs();
        assert!(error < share * (mode - mean).abs(), "{} of {mean}, mode {mode}", moments.nodes[0].mean);
        assert!(varied.bounds.last().unwrap() < &log_z);
    }
    let bounds = [&one, &both].map(|fit| *fit.1.bounds.last().unwrap());
    assert!(bounds[1] > bounds[0] + 1e-3, "{bounds:?}");
}

#[test]
fn the_bound_rises_at_every_step_and_stays_below_the_evidence_where_that_is_known() {
    for (kind, y) in [(Kind::Poisson, vec![0.0]), (Kind::Bernoulli, vec![1.0]), (Kind::Bernoulli, vec![1.0, 1.0, 0.0])]
    {
        for precision in [2.0, 0.1, 0.01] {
            let model = one_node(kind, &y, precision);
            let [log_z, _, _] = quadrature(|x| {
                let prior = 0.5 * (precision / (2.0 * std::f64::consts::PI)).ln() - 0.5 * precision * x * x;
                let term = |y: &f64| match kind {
                    Kind::Poisson => y * x - x.exp() - libm::lgamma(y + 1.0),
                    _ => y * x - x.max(0.0) - (-x.abs()).exp().ln_1p(),
                };
                prior + y.iter().map(term).sum::<f64>()
            });
            let (_, varied, _) = vary(&model, &[], VariationalFamily::MeanAndVariance);
            for pair in varied.bounds.windows(2) {
                // the rounding that a step is allowed
                assert!(pair[1] > pair[0] - 1e-11, "{kind:?} {precision}: {pair:?}");
            }
            assert!(*varied.bounds.last().unwrap() < log_z, "{kind:?} {precision}");
        }
    }
}

/// `E ℓ′` and `E ℓ″` of a row over `N(mean, variance)` by the trapezoid rule.
fn expectations(kind: Kind, y: f64, mean: f64, variance: f64) -> [f64; 2] {
    let mut sums = [0.0; 3];
    for k in -800..=800 {
        let z = 0.01 * f64::from(k);
        let (eta, weight) = (mean + variance.sqrt() * z, (-0.5 * z * z).exp());
        let (first, second) = match kind {
            Kind::Gaussian | Kind::Unsaid => unreachable!("not asked for"),
            Kind::Poisson => (y - eta.exp(), -eta.exp()),
            Kind::Bernoulli => {
                let p = 1.0 / (1.0 + (-eta).exp());
                (y - p, -p * (1.0 - p))
            }
        };
        sums.iter_mut().zip([1.0, first, second]).for_each(|(sum, value)| *sum += weight * value);
    }
    [sums[1] / sums[0], sums[2] / sums[0]]
}

#[test]
fn with_every_mean_and_constraint_the_optimum_is_stationary() {
    for kind in [Kind::Poisson, Kind::Bernoulli] {
        for chain in chains() {
            let model = model(kind, chain, 0.01);
            let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
            let y: Vec<f64> = match kind {
                Kind::Bernoulli => common::counts().iter().map(|y| f64::from(*y > 2.5)).collect(),
                _ => common::counts(),
            };
            for family in FAMILIES {
                let (laplace, varied, moments) = vary(&model, &theta, family);
                let rows: Vec<[f64; 2]> = moments
                    .predictors
                    .iter()
                    .zip(&y)
                    .map(|(row, y)| expectations(kind, *y, row.mean, row.variance))
                    .collect();
                // a Gaussian likelihood with the expected slope and curvature as its data has its optimum there
                let slopes: Vec<f64> = rows.iter().map(|row| row[0]).collect();
                let residual = stationarity(&model, &theta, &varied.mean, &slopes);
                assert!(residual < 1e-6, "{kind:?} {family:?}: {residual}");
                for (k, effect) in model.effects().iter().enumerate() {
                    let own = &varied.mean[model.effect_nodes(k)];
                    let residuals = effect.model.constraints().residuals(own).unwrap();
                    assert!(residuals.iter().all(|r| r.abs() < 1e-10), "{residuals:?}");
                }
                if family == VariationalFamily::MeanAndVariance {
                    assert!(varied.bounds.last().unwrap() > &(laplace.log_likelihood - 1.0));
                    assert!(moments.nodes.iter().all(|node| node.variance.is_finite()));
                }
            }
        }
    }
}

/// The largest slope of the bound along an admissible direction: unit vectors in pairs that keep the constraints.
fn stationarity(model: &LatentGaussianModel, theta: &[f64], mean: &[f64], slopes: &[f64]) -> f64 {
    let mut gradient = vec![0.0; model.nodes()];
    model.design().add_transposed(slopes, &mut vec![0.0; slopes.len()], &mut gradient);
    let mut constraints: Vec<Vec<f64>> = Vec::new();
    for (k, effect) in model.effects().iter().enumerate() {
        let (nodes, own) = (model.effect_nodes(k), model.owner_theta(laplace::Owner::Effect(k), theta));
        let pattern = effect.model.pattern();
        let mut values = vec![0.0; pattern.nnz()];
        effect.model.fill_precision(&own, &mut values).unwrap();
        let mut deviation = vec![0.0; nodes.len()];
        effect.model.fill_mean(&own, &mut deviation);
        deviation.iter_mut().zip(&mean[nodes.clone()]).for_each(|(mu, m)| *mu = m - *mu);
        let mut force = vec![0.0; nodes.len()];
        pattern.multiply(&values, &deviation, &mut force).unwrap();
        gradient[nodes.clone()].iter_mut().zip(&force).for_each(|(g, f)| *g -= f);
        for c in 0..effect.model.constraints().len() {
            let mut row = vec![0.0; model.nodes()];
            let (own, values) = effect.model.constraints().row(c);
            own.iter().zip(values).for_each(|(j, value)| row[nodes.start + j] = *value);
            constraints.push(row);
        }
    }
    // each of these models has one constraint or none
    for row in constraints {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let share = dot(&gradient, &row) / dot(&row, &row);
        gradient.iter_mut().zip(&row).for_each(|(g, c)| *g -= share * c);
    }
    gradient.iter().fold(0.0_f64, |a, g| a.max(g.abs()))
}

#[test]
fn several_blocks_and_a_family_that_is_not_log_concave_reach_the_optimum() {
    // a t response with an outlier, and counts of the same node
    let student = StudentT::likelihood(&[0.3, -0.2, 8.0], None, block("precision", 0.0), block("dof", 0.0)).unwrap();
    let theta = [0.3, 0.5];
    let mut design = Design::new(2);
    (0..3).for_each(|_| design.push_row(&[(0, 1.0)], 0.0).unwrap());
    (0..2).for_each(|i| design.push_row(&[(0, 1.0), (1, 1.0)], 0.1 * f64::from(i)).unwrap());
    let counts = Family::new(Kind::Poisson, &[0.0, 2.0]);
    let observations = vec![
        Observations { name: "t".into(), likelihood: Arc::new(student) },
        Observations { name: "counts".into(), likelihood: Arc::new(counts) },
    ];
    let model =
        LatentGaussianModel::new(vec![effect("x", Coefficients::new(&[0.5, 1.0]))], observations, design).unwrap();
    assert_eq!(theta.len(), model.free_count());
    for family in FAMILIES {
        let (_, varied, moments) = vary(&model, &theta, family);
        assert!(varied.bounds.windows(2).all(|pair| pair[1] > pair[0] - 1e-11), "{:?}", varied.bounds);
        assert!(moments.nodes.iter().all(|node| node.mean.is_finite() && node.variance > 0.0));
    }
}

#[test]
fn what_does_not_converge_says_so() {
    let model = one_node(Kind::Poisson, &[0.0], 0.01);
    let mut workspace = Workspace::new(&model);
    let laplace = Approximation::evaluate(&model, &[], None, &mut workspace, &NewtonOptions::default()).unwrap();
    let options = VariationalOptions { tolerance: 1e-9, max_iterations: 2 };
    let error = laplace.vary(&model, &mut workspace, VariationalFamily::Mean, &options).unwrap_err();
    assert!(matches!(&error, LaplaceError::NoVariationalOptimum { iterations: 2, .. }), "{error}");
}
