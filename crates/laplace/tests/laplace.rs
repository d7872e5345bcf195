//! The Laplace approximation against closed forms, quadrature and finite differences.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

mod common;

use std::f64::consts::PI;
use std::sync::Arc;

use approx::assert_relative_eq;
use common::{Chain, Coefficients, Family, Kind, N, chains, counts, effect, model};
use faer::Mat;
use gmrf::{LatentModel, LinearConstraints};
use laplace::{
    Approximation, Correction, Design, ExactDensity, LaplaceError, LatentGaussianModel, Moments, NewtonOptions,
    Observations, Workspace,
};

fn evaluate(model: &LatentGaussianModel, theta: &[f64]) -> Approximation {
    let mut workspace = Workspace::new(model);
    Approximation::evaluate(model, theta, None, &mut workspace, &NewtonOptions::default()).unwrap()
}

#[test]
fn the_gradient_is_that_of_the_value_for_every_family_mean_and_constraint() {
    for kind in [Kind::Gaussian, Kind::Poisson, Kind::Bernoulli] {
        for chain in chains() {
            // a flat intercept beside an intrinsic effect: H itself is singular
            let model = model(kind, chain, 0.0);
            let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
            let gradient = evaluate(&model, &theta).gradient;
            // ε^{1/3} balances truncation and rounding of a central difference
            let h = 6e-6;
            for j in 0..theta.len() {
                let at = |shift: f64| {
                    let mut moved = theta.clone();
                    moved[j] += shift;
                    evaluate(&model, &moved).log_posterior
                };
                let difference = (at(h) - at(-h)) / (2.0 * h);
                assert_relative_eq!(gradient[j], difference, epsilon = 2e-7, max_relative = 2e-7);
            }
        }
    }
}

#[test]
fn the_weight_of_a_draw_has_the_slope_of_its_differences_and_vanishes_where_the_approximation_is_exact() {
    for kind in [Kind::Gaussian, Kind::Poisson, Kind::Bernoulli] {
        for chain in chains() {
            let model = model(kind, chain, 0.0);
            let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
            let mut workspace = Workspace::new(&model);
            let centre =
                Approximation::evaluate(&model, &theta, None, &mut workspace, &NewtonOptions::default()).unwrap();
            let exact = ExactDensity::new(&model, &centre, &mut workspace).unwrap();
            let n = model.nodes();
            let (mut x, mut slope, mut unused) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
            let z: Vec<f64> = (0..n).map(|i| (1.7 * i as f64).sin()).collect();
            let value = exact.log_weight(&model, &z, (&mut x, &mut slope), &mut workspace).unwrap();
            if kind == Kind::Gaussian {
                assert!(value.abs() < 1e-9, "{value}");
            } else {
                assert!(value.abs() > 1e-6);
            }
            // ε^{1/3} balances truncation and rounding of a central difference
            let h = 6e-6;
            for j in 0..n {
                let mut at = |shift: f64| {
                    let mut moved = z.clone();
                    moved[j] += shift;
                    exact.log_weight(&model, &moved, (&mut x, &mut unused), &mut workspace).unwrap()
                };
                let difference = (at(h) - at(-h)) / (2.0 * h);
                assert_relative_eq!(slope[j], difference, epsilon = 1e-7, max_relative = 1e-7);
            }
        }
    }
}

#[test]
fn the_derivative_of_the_mode_is_that_of_the_mode_for_every_family_mean_and_constraint() {
    for kind in [Kind::Gaussian, Kind::Poisson, Kind::Bernoulli] {
        for chain in chains() {
            let model = model(kind, chain, 0.0);
            let theta: Vec<f64> = (0..model.free_count()).map(|j| 0.4 - 0.3 * j as f64).collect();
            let mut workspace = Workspace::new(&model);
            let options = NewtonOptions::default();
            let centre = Approximation::evaluate(&model, &theta, None, &mut workspace, &options).unwrap();
            let derivatives = centre.mode_derivatives(&model, &mut workspace).unwrap();
            // the mode is known to the root of the search's tolerance, so the step is wider than for values
            let h = 1e-3;
            for (j, found) in derivatives.iter().enumerate() {
                let at = |shift: f64| {
                    let mut moved = theta.clone();
                    moved[j] += shift;
                    evaluate(&model, &moved).mode
                };
                for ((found, up), down) in found.iter().zip(at(h)).zip(at(-h)) {
                    assert_relative_eq!(*found, (up - down) / (2.0 * h), epsilon = 2e-5, max_relative = 2e-5);
                }
            }
        }
    }
}

/// Prior covariance of `η` and mean, dense, of a proper chain without constraints and proper coefficients.
fn gaussian_closed_form(theta: &[f64], precision: f64) -> f64 {
    let chain = Chain::new(N, false, false, LinearConstraints::none(N));
    let mut values = vec![0.0; chain.pattern().nnz()];
    chain.fill_precision(&theta[1..], &mut values).unwrap();
    let dense = chain.pattern().to_dense(&values);
    let q = Mat::from_fn(2 + N, 2 + N, |i, j| match (i, j) {
        (0, 0) => precision,
        (1, 1) => 0.01,
        _ if i > 1 && j > 1 => dense[i - 2][j - 2],
        _ => 0.0,
    });
    let a = Mat::from_fn(2 * N, 2 + N, |i, j| match j {
        0 => 1.0,
        1 => (i as f64 - 8.0) / 9.0,
        _ => f64::from(j - 2 == i % N),
    });
    use faer::linalg::solvers::Solve;
    let covariance = q.llt(faer::Side::Lower).unwrap().solve(Mat::<f64>::identity(2 + N, 2 + N));
    let m = 2 * N;
    let total = &a * covariance * a.transpose() + Mat::from_fn(m, m, |i, j| f64::from(i == j) * (-theta[0]).exp());
    let factor = total.llt(faer::Side::Lower).unwrap();
    let residual = faer::Col::from_fn(m, |i| counts()[i] - 0.1 * (i % 3) as f64);
    let solved = factor.solve(&residual);
    let log_det: f64 = (0..m).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
    -0.5 * (m as f64 * (2.0 * PI).ln() + log_det + residual.transpose() * solved)
}

#[test]
fn a_gaussian_model_has_the_closed_form_marginal_likelihood() {
    let model = model(Kind::Gaussian, Chain::new(N, false, false, LinearConstraints::none(N)), 0.5);
    for theta in [[0.3, 1.0, -1.0], [2.0, -1.0, 0.5]] {
        let exact = gaussian_closed_form(&theta, 0.5);
        assert_relative_eq!(evaluate(&model, &theta).log_likelihood, exact, max_relative = 1e-11);
    }
}

#[test]
fn an_intrinsic_gaussian_model_is_the_limit_of_proper_ones_with_the_constant_direction_integrated() {
    // y = x + ε, x intrinsic with Σx = 0: y is N(0, R⁻/τ + I/κ) on the constrained space and N(0, I/κ) along 1
    let sum = LinearConstraints::sums_to_zero(N, [0..N]).unwrap();
    let mut design = Design::new(N);
    (0..N).for_each(|i| design.push_row(&[(i, 1.0)], 0.0).unwrap());
    let y = &counts()[..N];
    let likelihood = Arc::new(Family::new(Kind::Gaussian, y));
    let observations = vec![Observations { name: "likelihood".into(), likelihood }];
    let effects = vec![effect("chain", Chain::new(N, true, false, sum))];
    let model = LatentGaussianModel::new(effects, observations, design).unwrap();
    let theta = [0.7_f64, -0.2];
    // eigenvectors of the path graph: cosines, eigenvalues 2 − 2 cos(πk/n)
    let exact: f64 = (0..N)
        .map(|k| {
            let lambda = 2.0 - 2.0 * (PI * k as f64 / N as f64).cos();
            let norm = if k == 0 { (1.0 / N as f64).sqrt() } else { (2.0 / N as f64).sqrt() };
            let c: f64 = (0..N).map(|i| y[i] * norm * (PI * k as f64 * (i as f64 + 0.5) / N as f64).cos()).sum();
            let variance = (-theta[0]).exp() + if k == 0 { 0.0 } else { 1.0 / (theta[1].exp() * lambda) };
            -0.5 * ((2.0 * PI * variance).ln() + c * c / variance)
        })
        .sum();
    assert_relative_eq!(evaluate(&model, &theta).log_likelihood, exact, max_relative = 1e-11);
}

#[test]
fn warm_and_cold_starts_reach_the_same_mode() {
    let model =
        model(Kind::Poisson, Chain::new(N, true, false, LinearConstraints::sums_to_zero(N, [0..N]).unwrap()), 0.0);
    let near = evaluate(&model, &[0.5]);
    let mut workspace = Workspace::new(&model);
    let options = NewtonOptions::default();
    let warm = Approximation::evaluate(&model, &[0.8], Some(&near.mode), &mut workspace, &options).unwrap();
    let cold = evaluate(&model, &[0.8]);
    // the last Newton step squares a decrement of 1e-8
    assert_relative_eq!(warm.log_posterior, cold.log_posterior, epsilon = 1e-10);
    assert!(warm.newton_steps <= cold.newton_steps + 1, "{} and {}", warm.newton_steps, cold.newton_steps);
}

/// `∫ exp(f)` by the trapezoid rule, which converges faster than any power for such functions.
fn moments_by_quadrature(f: impl Fn(f64) -> f64) -> (f64, f64, f64, f64) {
    let grid: Vec<f64> = (-40_000..=40_000).map(|k| k as f64 * 5e-4).collect();
    let weights: Vec<f64> = grid.iter().map(|&x| f(x).exp() * 5e-4).collect();
    let z: f64 = weights.iter().sum();
    let mean = grid.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>() / z;
    let third = grid.iter().zip(&weights).map(|(x, w)| (x - mean).powi(3) * w).sum::<f64>() / z;
    let variance = grid.iter().zip(&weights).map(|(x, w)| (x - mean).powi(2) * w).sum::<f64>() / z;
    (z.ln(), mean, variance, third)
}

#[test]
fn second_order_terms_bring_constant_mean_and_skewness_closer_to_the_exact_ones() {
    for kind in [Kind::Poisson, Kind::Bernoulli] {
        let y: &[f64] = if kind == Kind::Poisson { &[3.0, 1.0] } else { &[1.0, 1.0, 0.0, 1.0, 1.0, 1.0] };
        let precision = 1.0;
        let mut design = Design::new(1);
        y.iter().for_each(|_| design.push_row(&[(0, 1.0)], 0.0).unwrap());
        let observations = vec![Observations { name: "likelihood".into(), likelihood: Arc::new(Family::new(kind, y)) }];
        let effects = vec![effect("x", Coefficients::new(&[precision]))];
        let model = LatentGaussianModel::new(effects, observations, design).unwrap();
        let mut workspace = Workspace::new(&model);
        let laplace = Approximation::evaluate(&model, &[], None, &mut workspace, &NewtonOptions::default()).unwrap();
        let moments = Moments::read(&model, &laplace, &mut workspace, &Correction::Complete).unwrap();
        let (log_z, mean, variance, third) = moments_by_quadrature(|x| {
            let prior = 0.5 * (precision / (2.0 * PI)).ln() - 0.5 * precision * x * x;
            prior
                + y.iter()
                    .map(|y| match kind {
                        Kind::Poisson => y * x - x.exp() - libm::lgamma(y + 1.0),
                        _ => y * x - x.max(0.0) - (-x.abs()).exp().ln_1p(),
                    })
                    .sum::<f64>()
        });
        let corrected = laplace.log_likelihood + moments.second_order.total();
        assert!(moments.second_order.is_small());
        // the next order of the expansion is about the square of the second
        let order = moments.second_order.total().abs();
        assert!((corrected - log_z).abs() < 0.3 * (laplace.log_likelihood - log_z).abs() + order * order);
        let node = moments.nodes[0];
        assert!((node.mean - mean).abs() < 0.2 * (laplace.mode[0] - mean).abs(), "{kind:?} {} {mean}", node.mean);
        let plain = Moments::read(&model, &laplace, &mut workspace, &Correction::None).unwrap().nodes[0].variance;
        assert!((node.variance - variance).abs() < 0.25 * (plain - variance).abs(), "{kind:?} {variance} {plain}");
        let skewness = third / node.variance.powf(1.5);
        assert_relative_eq!(node.skewness, skewness, max_relative = 0.35, epsilon = 0.02);
        assert_relative_eq!(moments.predictors[0].skewness, node.skewness, max_relative = 1e-10);
    }
}

#[test]
fn a_direction_that_nothing_fixes_names_the_effects() {
    // two flat coefficients on the same column
    let mut design = Design::new(2);
    (0..3).for_each(|_| design.push_row(&[(0, 1.0), (1, 1.0)], 0.0).unwrap());
    let observations = vec![Observations {
        name: "likelihood".into(),
        likelihood: Arc::new(Family::new(Kind::Poisson, &[1.0, 2.0, 3.0])),
    }];
    let effects = vec![effect("a", Coefficients::new(&[0.0])), effect("b", Coefficients::new(&[0.0]))];
    let model = LatentGaussianModel::new(effects, observations, design).unwrap();
    let mut workspace = Workspace::new(&model);
    let error = Approximation::evaluate(&model, &[], None, &mut workspace, &NewtonOptions::default()).unwrap_err();
    assert!(matches!(&error, LaplaceError::Singular { effects, .. } if !effects.is_empty()), "{error}");
}

#[test]
fn wrong_sizes_are_refused() {
    let model = model(Kind::Poisson, Chain::new(N, false, false, LinearConstraints::none(N)), 0.5);
    let mut workspace = Workspace::new(&model);
    let options = NewtonOptions::default();
    assert!(Approximation::evaluate(&model, &[0.0], None, &mut workspace, &options).is_err());
    assert!(Approximation::evaluate(&model, &[0.0, 0.0], Some(&[0.0]), &mut workspace, &options).is_err());
    assert!(Approximation::evaluate(&model, &[f64::NAN, 0.0], None, &mut workspace, &options).is_err());
}

#[test]
fn sums_over_neighbours_differ_from_complete_ones_by_what_the_distant_rows_hold() {
    // counts along an autoregression without an intercept: covariances fall off, and the pattern of H holds the nearest
    let none = LinearConstraints::none;
    let effects = |n: usize| vec![effect("chain", Chain::new(n, false, false, none(n)))];
    let n = 60;
    let mut design = Design::new(n);
    (0..n).for_each(|i| design.push_row(&[(i, 1.0)], 0.0).unwrap());
    let y: Vec<f64> = (0..n).map(|i| ((i * 5 + 2) % 7 % 3) as f64).collect();
    let likelihood = Arc::new(Family::new(Kind::Poisson, &y));
    let observations = vec![Observations { name: "likelihood".into(), likelihood }];
    let model = LatentGaussianModel::new(effects(n), observations, design).unwrap();
    // measured: skewness off by 0.024 and 0.004, pairs by 0.005 % and 0.7 %
    for theta in [[-1.0, 0.5], [0.5, -1.0]] {
        let mut workspace = Workspace::new(&model);
        let found = Approximation::evaluate(&model, &theta, None, &mut workspace, &NewtonOptions::default()).unwrap();
        let mut read = |correction| Moments::read(&model, &found, &mut workspace, &correction).unwrap();
        let (complete, nearby) = (read(Correction::Complete), read(Correction::Nearby));
        assert!(complete.third_order_exact && !nearby.third_order_exact);
        let worst = complete.nodes.iter().zip(&nearby.nodes).map(|(a, b)| (a.skewness - b.skewness).abs());
        let worst = worst.fold(0.0, f64::max);
        assert!(worst > 0.0 && worst < 0.03, "{theta:?}: skewness {worst}");
        let [all, near] = [complete, nearby].map(|moments| moments.second_order.cubic_pairs);
        assert!((near / all - 1.0).abs() < 0.01, "{theta:?}: pairs {near} of {all}");
    }
}

#[test]
fn sums_over_groups_that_are_all_near_are_complete() {
    // four coefficients, all on the pattern of H: rows on the same nodes stand apart, some twice; groups of one row and of many; rows of
    // nothing
    let sets: [&[usize]; 6] = [&[0, 2, 3], &[1, 2, 3], &[0], &[], &[2, 3], &[0, 1]];
    let mut design = Design::new(4);
    let rows = 60;
    for i in 0..rows {
        // the last set once, the others again and again
        let set = if i == 17 { sets[5] } else { sets[i * 3 % 5] };
        let row: Vec<(usize, f64)> =
            set.iter().map(|&j| (j, ((i % 30 + 2) * (j + 3) % 7) as f64 / 4.0 - 0.5)).collect();
        design.push_row(&row, 0.1).unwrap();
    }
    let y: Vec<f64> = (0..rows).map(|i| ((i * 5 + 2) % 7 % 3) as f64).collect();
    let likelihood = Arc::new(Family::new(Kind::Poisson, &y));
    let observations = vec![Observations { name: "likelihood".into(), likelihood }];
    let effects = vec![effect("coefficients", Coefficients::new(&[0.5; 4]))];
    let model = LatentGaussianModel::new(effects, observations, design).unwrap();
    let mut workspace = Workspace::new(&model);
    let found = Approximation::evaluate(&model, &[], None, &mut workspace, &NewtonOptions::default()).unwrap();
    let mut read = |correction| Moments::read(&model, &found, &mut workspace, &correction).unwrap();
    let (complete, nearby) = (read(Correction::Complete), read(Correction::Nearby));
    let [all, near] = [&complete, &nearby].map(|moments| moments.third_order.clone().unwrap());
    assert!(all.exact && !near.exact);
    for (all, near) in [(&all.nodes, &near.nodes), (&all.predictors, &near.predictors)] {
        assert!(all.iter().any(|skewness| skewness.abs() > 0.05));
        // rounding of sums of sixty terms
        all.iter().zip(near).for_each(|(all, near)| assert_relative_eq!(*all, *near, epsilon = 1e-12));
    }
    assert_relative_eq!(all.pairs_over_diagonal, near.pairs_over_diagonal, max_relative = 1e-12);
}
