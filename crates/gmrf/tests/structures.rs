//! Structure matrices and their constants against closed forms and dense algebra.
#![allow(clippy::unwrap_used)] // helpers of tests are not recognised as tests

use std::sync::Arc;

use approx::assert_relative_eq;
use faer::{Mat, Side};
use gmrf::latent::{
    Ar1, Constrained, FixedEffects, Generic0, GenericNullSpace, GroupModel, Grouped, Iid, LatentModel, RandomWalk,
    RandomWalkOptions, RandomWalkOrder, Replicated,
};
use gmrf::{
    GmrfError, Hyperparameter, HyperparameterBlock, LinearConstraints, Prior, StructureConstants, Transform,
    structure_constants,
};

#[derive(Debug)]
struct Flat;

impl Prior for Flat {
    fn log_density(&self, _theta: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        0.0
    }

    fn is_proper(&self) -> bool {
        false
    }

    fn description(&self) -> String {
        "flat".into()
    }
}

fn block(transform: Transform) -> HyperparameterBlock {
    HyperparameterBlock::single(Hyperparameter::new("parameter", transform, 0.0), Arc::new(Flat))
}

fn free() -> RandomWalkOptions {
    RandomWalkOptions { sum_to_zero: false, ..RandomWalkOptions::default() }
}

fn walk(order: RandomWalkOrder, n: usize, options: RandomWalkOptions) -> RandomWalk {
    RandomWalk::regular(order, n, options, block(Transform::Exp)).unwrap()
}

fn rw2_constants(n: usize) -> StructureConstants {
    let walk = walk(RandomWalkOrder::Two, n, free());
    structure_constants(walk.pattern(), walk.structure(), walk.null_space()).unwrap()
}

/// `diag(R⁻)` of rw2: twice integrated unit noise with its regression on `(1, t)` removed. Sums of like sign and one
/// projection, so that it is accurate where the eigenvalues are not.
fn detrended_integrated_noise(n: usize) -> Vec<f64> {
    let centre = (n as f64 - 1.0) / 2.0;
    let trend: Vec<f64> = (0..n).map(|i| i as f64 - centre).collect();
    let norm: f64 = trend.iter().map(|t| t * t).sum();
    let mut variances = vec![0.0; n];
    for j in 1..n - 1 {
        let ramp: Vec<f64> = (0..n).map(|i| i.saturating_sub(j) as f64).collect();
        let mean = ramp.iter().sum::<f64>() / n as f64;
        let slope = ramp.iter().zip(&trend).map(|(x, t)| x * t).sum::<f64>() / norm;
        for i in 0..n {
            variances[i] += (ramp[i] - mean - slope * trend[i]).powi(2);
        }
    }
    variances
}

#[test]
fn constants_of_rw2_agree_with_the_dense_generalised_inverse() {
    for n in [3, 10, 60] {
        let found = rw2_constants(n);
        let walk = walk(RandomWalkOrder::Two, n, free());
        let rows = walk.pattern().to_dense(walk.structure());
        let eigen = Mat::from_fn(n, n, |i, j| rows[i][j]).self_adjoint_eigen(Side::Lower).unwrap();
        let variance = |i: usize| (2..n).map(|k| eigen.U()[(i, k)].powi(2) / eigen.S()[k]).sum::<f64>();
        // the dense eigenvalues lose n⁴ ε relative to the least
        for i in 0..n {
            assert_relative_eq!(found.variances[i], variance(i), max_relative = 1e-8);
        }
        let log_determinant: f64 = (2..n).map(|k| eigen.S()[k].ln()).sum();
        assert_relative_eq!(found.log_determinant, log_determinant, epsilon = 1e-8);
        assert_eq!(found.rank, n - 2);
    }
}

#[test]
fn constants_of_rw2_are_accurate_up_to_a_thousand_nodes() {
    for n in [100, 300, 1000] {
        let found = rw2_constants(n);
        let expected = detrended_integrated_noise(n);
        let error = found.variances.iter().zip(&expected).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
        let m = n as f64;
        // |D Dᵀ| of second differences, a polynomial in n
        let log_determinant = ((m - 1.0) * m * m * (m + 1.0) / 12.0).ln();
        let determinant_error = (found.log_determinant - log_determinant).abs();
        // well below ε times the condition number 16 n⁴/500, which is 7e-6 at n = 1000
        assert!(error < 1e-7, "n = {n}: {error}");
        assert!(determinant_error < 1e-7, "n = {n}: {determinant_error}");
    }
}

#[test]
fn a_scaled_walk_has_geometric_mean_variance_one() {
    for (order, cyclic) in [(RandomWalkOrder::One, false), (RandomWalkOrder::Two, false), (RandomWalkOrder::Two, true)]
    {
        let options = RandomWalkOptions { cyclic, scale_model: true, sum_to_zero: false };
        let walk = walk(order, 30, options);
        let constants = structure_constants(walk.pattern(), walk.structure(), walk.null_space()).unwrap();
        assert_relative_eq!(constants.geometric_mean_variance, 1.0, epsilon = 1e-10);
    }
}

#[test]
fn rw2_with_unit_steps_has_the_textbook_rows() {
    let walk = walk(RandomWalkOrder::Two, 6, free());
    let rows = walk.pattern().to_dense(walk.structure());
    assert_eq!(rows[0], [1.0, -2.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(rows[1], [-2.0, 5.0, -4.0, 1.0, 0.0, 0.0]);
    assert_eq!(rows[2], [1.0, -4.0, 6.0, -4.0, 1.0, 0.0]);
}

#[test]
fn ar1_has_geometrically_decaying_correlations() {
    let (n, kappa, rho) = (6, 3.0_f64, 0.8);
    let model = Ar1::new(n, block(Transform::Exp), block(Transform::Correlation)).unwrap();
    let mut values = vec![0.0; model.pattern().nnz()];
    let theta = [kappa.ln(), Transform::Correlation.invert(rho).unwrap()];
    model.fill_precision(&theta, &mut values).unwrap();
    let rows = model.pattern().to_dense(&values);
    for (i, row) in rows.iter().enumerate() {
        for j in 0..n {
            let product: f64 = (0..n).map(|k| row[k] * rho.powi(k.abs_diff(j) as i32) / kappa).sum();
            assert_relative_eq!(product, f64::from(i == j), epsilon = 1e-13);
        }
    }
}

#[test]
fn exchangeable_levels_have_equal_correlations_and_the_shifted_interval_scale() {
    let (m, rho) = (4, 0.35);
    let transform = Transform::Exchangeable { size: m };
    let theta = transform.invert(rho).unwrap();
    let interval = Transform::Interval { low: -1.0 / 3.0, high: 1.0 };
    assert_relative_eq!(interval.invert(rho).unwrap(), theta - 3.0_f64.ln(), epsilon = 1e-14);
    let inner = Arc::new(Iid::new(1, None, block(Transform::Exp)).unwrap());
    let model = Grouped::new(inner, GroupModel::exchangeable(m, block(transform)).unwrap()).unwrap();
    let mut values = vec![0.0; model.pattern().nnz()];
    model.fill_precision(&[0.0, theta], &mut values).unwrap();
    let rows = model.pattern().to_dense(&values);
    for (i, row) in rows.iter().enumerate() {
        for j in 0..m {
            let product: f64 = (0..m).map(|k| row[k] * if k == j { 1.0 } else { rho }).sum();
            assert_relative_eq!(product, f64::from(i == j), epsilon = 1e-14);
        }
    }
}

#[test]
fn bad_arguments_are_typed_errors() {
    let precision = || block(Transform::Exp);
    let invalid = |result: Result<(), GmrfError>| assert!(matches!(result, Err(GmrfError::InvalidModel { .. })));
    invalid(Iid::new(2, Some(&[1.0, 0.0]), precision()).map(|_| ()));
    for n in 0..3 {
        invalid(RandomWalk::regular(RandomWalkOrder::Two, n, free(), precision()).map(|_| ()));
    }
    invalid(RandomWalk::at(RandomWalkOrder::One, &[0.0, 1.0, 1.0], free(), precision()).map(|_| ()));
    let cyclic = RandomWalkOptions { cyclic: true, ..free() };
    invalid(RandomWalk::at(RandomWalkOrder::One, &[0.0, 1.0, 2.0], cyclic, precision()).map(|_| ()));
    assert!(RandomWalk::at(RandomWalkOrder::One, &[0.0, f64::NAN], free(), precision()).is_err());
    invalid(Ar1::new(0, precision(), precision()).map(|_| ()));
    invalid(FixedEffects::new(&[0.0], &[-1.0], &[]).map(|_| ()));
    invalid(GroupModel::exchangeable(1, precision()).map(|_| ()));
    let iid: Arc<dyn LatentModel> = Arc::new(Iid::new(2, None, precision()).unwrap());
    invalid(Replicated::new(iid.clone(), 0).map(|_| ()));
    let walk = walk(RandomWalkOrder::One, 4, free());
    let none = GenericNullSpace::None;
    let singular = Generic0::new(walk.pattern(), walk.structure(), &none, false, precision());
    assert!(matches!(singular, Err(GmrfError::NotPositiveDefinite { .. })));
    let wrong = GenericNullSpace::Rows(LinearConstraints::sums_to_zero(4, std::iter::once(0..2)).unwrap());
    invalid(Generic0::new(walk.pattern(), walk.structure(), &wrong, false, precision()).map(|_| ()));
    let twice = LinearConstraints::sums_to_zero(2, [0..2, 0..2]).unwrap();
    assert!(matches!(Constrained::new(iid, &twice), Err(GmrfError::RedundantConstraint { .. })));
}

#[test]
fn hyperparameters_that_overflow_are_typed_errors() {
    let model = Ar1::new(3, block(Transform::Exp), block(Transform::Correlation)).unwrap();
    let mut values = vec![0.0; model.pattern().nnz()];
    for theta in [[800.0, 0.0], [0.0, -800.0], [f64::NAN, 0.0]] {
        let error = model.fill_precision(&theta, &mut values).unwrap_err();
        assert!(matches!(error, GmrfError::HyperparameterOutOfRange { model: "ar1", .. }));
    }
}
