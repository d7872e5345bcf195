//! The signed factor and its selected inverse against dense algebra.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::sync::Arc;

use approx::assert_relative_eq;
use faer::Mat;
use faer::linalg::solvers::Solve;
use gmrf::{
    CholeskyFactor, Gmrf, GmrfError, LinearConstraints, Ordering, SelectedInverse, SparsityPattern, SymbolicFactor,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Dense results of moderately conditioned problems agree to this relative size.
const TOLERANCE: f64 = 1e-9;

/// `τR` of a lattice with `rows × columns` nodes, plus `diagonal`.
fn lattice(rows: usize, columns: usize, diagonal: f64) -> (Arc<SparsityPattern>, Vec<f64>) {
    let node = |r: usize, c: usize| r * columns + c;
    let mut edges = Vec::new();
    for r in 0..rows {
        for c in 0..columns {
            if r + 1 < rows {
                edges.push((node(r, c), node(r + 1, c)));
            }
            if c + 1 < columns {
                edges.push((node(r, c), node(r, c + 1)));
            }
        }
    }
    let pattern = Arc::new(SparsityPattern::from_entries(rows * columns, edges.iter().copied()).unwrap());
    let mut values: Vec<f64> = pattern.entries().map(|(i, j)| if i == j { diagonal } else { -1.0 }).collect();
    for &(i, j) in &edges {
        values[pattern.column_start(i)] += 1.0;
        values[pattern.column_start(j)] += 1.0;
    }
    (pattern, values)
}

/// An orthonormal basis of `ker C`, `n × (n − k)`.
fn kernel_basis(constraints: &LinearConstraints) -> Mat<f64> {
    let (n, k) = (constraints.order(), constraints.len());
    let mut transposed = Mat::<f64>::zeros(n, k);
    for row in 0..k {
        let (columns, values) = constraints.row(row);
        for (&i, &c) in columns.iter().zip(values) {
            transposed[(i, row)] = c;
        }
    }
    let q = transposed.qr().compute_Q();
    q.subcols(k, n - k).to_owned()
}

/// Dense constrained covariance and `log|VᵀQV|`.
fn dense(pattern: &SparsityPattern, values: &[f64], constraints: &LinearConstraints) -> (Mat<f64>, f64) {
    let rows = pattern.to_dense(values);
    let n = rows.len();
    let q = Mat::from_fn(n, n, |i, j| rows[i][j]);
    let v = if constraints.is_empty() { Mat::identity(n, n) } else { kernel_basis(constraints) };
    let reduced = v.transpose() * &q * &v;
    let factor = reduced.llt(faer::Side::Lower).unwrap();
    let l = factor.L();
    let log_det = (0..l.nrows()).map(|i| 2.0 * l[(i, i)].ln()).sum();
    let inverse = factor.solve(Mat::<f64>::identity(l.nrows(), l.nrows()));
    (&v * inverse * v.transpose(), log_det)
}

fn check(pattern: &Arc<SparsityPattern>, values: &[f64], constraints: &LinearConstraints, ordering: Ordering) {
    let symbolic = SymbolicFactor::analyze_with(pattern, constraints, ordering).unwrap();
    let mut factor = CholeskyFactor::new(symbolic.clone());
    factor.refactor(values).unwrap();
    let (covariance, log_det) = dense(pattern, values, constraints);
    assert_relative_eq!(factor.log_determinant(), log_det, max_relative = TOLERANCE, epsilon = TOLERANCE);
    let mut inverse = SelectedInverse::new(&symbolic);
    inverse.compute(&factor).unwrap();
    let largest = (0..pattern.order()).map(|i| covariance[(i, i)]).fold(0.0, f64::max);
    for ((i, j), &entry) in pattern.entries().zip(inverse.values()) {
        assert_relative_eq!(entry, covariance[(i, j)], epsilon = TOLERANCE * largest);
    }
    let n = pattern.order();
    let mut b: Vec<f64> = (0..n).map(|i| ((i * 7 + 3) % 11) as f64 - 5.0).collect();
    let expected = &covariance * faer::Col::from_fn(n, |i| b[i]);
    let mut work = vec![0.0; factor.work_length()];
    factor.solve_in_place(&mut b, &mut work).unwrap();
    for i in 0..n {
        assert_relative_eq!(b[i], expected[i], epsilon = 10.0 * TOLERANCE * largest);
    }
}

#[test]
fn a_proper_lattice_agrees_with_dense_algebra_in_every_ordering() {
    let (pattern, values) = lattice(9, 7, 0.3);
    for ordering in [Ordering::Automatic, Ordering::Natural, Ordering::MinimumDegree] {
        check(&pattern, &values, &LinearConstraints::none(63), ordering);
    }
}

#[test]
fn large_fronts_use_the_blocked_kernels_and_agree_too() {
    let n = 90;
    let all = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
    let pattern = Arc::new(SparsityPattern::from_entries(n, all).unwrap());
    let values: Vec<f64> = pattern
        .entries()
        .map(|(i, j)| if i == j { 100.0 + i as f64 } else { ((i * 31 + j * 17) % 13) as f64 / 13.0 })
        .collect();
    check(&pattern, &values, &LinearConstraints::none(n), Ordering::Automatic);
    let (pattern, values) = lattice(30, 30, 0.05);
    check(&pattern, &values, &LinearConstraints::sums_to_zero(900, [0..900]).unwrap(), Ordering::Automatic);
}

#[test]
fn an_intrinsic_field_under_its_constraint_is_exact_without_any_epsilon() {
    let (pattern, values) = lattice(6, 5, 0.0);
    let constraints = LinearConstraints::sums_to_zero(30, [0..30]).unwrap();
    for ordering in [Ordering::Automatic, Ordering::Natural, Ordering::MinimumDegree] {
        check(&pattern, &values, &constraints, ordering);
    }
}

#[test]
fn a_node_pinned_by_a_constraint_is_exact() {
    let (pattern, values) = lattice(1, 12, 0.0);
    for node in [0, 5, 11] {
        let mut constraints = LinearConstraints::none(12);
        constraints.push(&[(node, 2.0)], 0.0).unwrap();
        check(&pattern, &values, &constraints, Ordering::Natural);
        check(&pattern, &values, &constraints, Ordering::Automatic);
    }
}

#[test]
fn a_pinned_node_without_any_curvature_is_exact_too() {
    let pattern = Arc::new(SparsityPattern::from_entries(4, [(1, 2), (2, 3)]).unwrap());
    let values = [0.0, 2.0, -1.0, 2.0, -1.0, 2.0];
    let mut constraints = LinearConstraints::none(4);
    constraints.push(&[(0, 1.0)], 0.0).unwrap();
    check(&pattern, &values, &constraints, Ordering::Automatic);
}

#[test]
fn disjoint_overlapping_and_weighted_constraints_are_exact() {
    let (pattern, mut values) = lattice(4, 6, 0.0);
    let constraints = LinearConstraints::sums_to_zero(24, [0..24, 3..9, 15..20]).unwrap();
    check(&pattern, &values, &constraints, Ordering::Automatic);
    let mut weighted = LinearConstraints::none(24);
    weighted.push(&(0..24).map(|i| (i, 1.0 + i as f64)).collect::<Vec<_>>(), 0.0).unwrap();
    weighted.push(&[(2, 1.0), (7, -1.0)], 0.0).unwrap();
    check(&pattern, &values, &weighted, Ordering::Automatic);
    values.iter_mut().for_each(|v| *v *= 1e5);
    check(&pattern, &values, &constraints, Ordering::MinimumDegree);
}

#[test]
fn both_margins_of_an_interaction_are_constrained_exactly() {
    // with two levels, sums of pairs leave no node free to balance them
    for (times, places) in [(5, 4), (7, 2), (2, 7), (2, 2), (3, 3), (2, 3)] {
        check_interaction(times, places);
    }
}

/// Random walk in time ⊗ random walk in space: null space of dimension `times + places − 1`.
fn check_interaction(times: usize, places: usize) {
    let walk = |i: usize, j: usize, n: usize| match i.abs_diff(j) {
        0 if i == 0 || i == n - 1 => 1.0,
        0 => 2.0,
        1 => -1.0,
        _ => 0.0,
    };
    let n = times * places;
    let all = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
    let pattern = Arc::new(SparsityPattern::from_entries(n, all).unwrap());
    let values: Vec<f64> = pattern
        .entries()
        .map(|(i, j)| walk(i / places, j / places, times) * walk(i % places, j % places, places))
        .collect();
    let over_places = (0..times).map(|t| (0..places).map(|s| t * places + s).collect::<Vec<_>>());
    let over_times = (1..places).map(|s| (0..times).map(|t| t * places + s).collect::<Vec<_>>());
    let constraints = LinearConstraints::sums_to_zero(n, over_places.chain(over_times)).unwrap();
    check(&pattern, &values, &constraints, Ordering::Automatic);
    check(&pattern, &values, &constraints, Ordering::Natural);
}

#[test]
fn a_redundant_constraint_is_named() {
    let (pattern, _) = lattice(3, 3, 1.0);
    let constraints = LinearConstraints::sums_to_zero(9, [0..3, 3..9, 0..9]).unwrap();
    let error = SymbolicFactor::analyze(&pattern, &constraints).unwrap_err();
    assert_eq!(error, GmrfError::RedundantConstraint { row: 2 });
}

#[test]
fn a_singular_matrix_names_a_node_and_non_finite_values_are_caught() {
    let (pattern, mut values) = lattice(5, 5, 0.0);
    let symbolic = SymbolicFactor::analyze(&pattern, &LinearConstraints::none(25)).unwrap();
    let mut factor = CholeskyFactor::new(symbolic);
    assert!(matches!(factor.refactor(&values), Err(GmrfError::NotPositiveDefinite { order: 25, .. })));
    for bad in [f64::NAN, f64::INFINITY] {
        values[3] = bad;
        assert!(matches!(factor.refactor(&values), Err(GmrfError::NotFinite { .. })));
    }
}

#[test]
fn disconnected_patterns_and_isolated_nodes_just_work() {
    let pattern = Arc::new(SparsityPattern::from_entries(7, [(0, 1), (1, 2), (4, 5)]).unwrap());
    let values: Vec<f64> = pattern.entries().map(|(i, j)| if i == j { 3.0 + i as f64 } else { -1.0 }).collect();
    check(&pattern, &values, &LinearConstraints::none(7), Ordering::Automatic);
    check(&pattern, &values, &LinearConstraints::sums_to_zero(7, [0..7]).unwrap(), Ordering::Automatic);
}

#[test]
fn a_thousand_disjoint_constraints_cost_memory_linear_in_their_entries() {
    let (replicates, length) = (1000, 20);
    let edges = (0..replicates).flat_map(|r| (1..length).map(move |i| (r * length + i, r * length + i - 1)));
    let n = replicates * length;
    let pattern = Arc::new(SparsityPattern::from_entries(n, edges).unwrap());
    let sets = (0..replicates).map(|r| r * length..(r + 1) * length);
    let constraints = LinearConstraints::sums_to_zero(n, sets).unwrap();
    let symbolic = SymbolicFactor::analyze(&pattern, &constraints).unwrap();
    // a replicate and its multiplier, merged into one dense supernode at worst, store 21 values a column
    assert!(symbolic.factor_values() <= 21 * (n + replicates), "{} values", symbolic.factor_values());
    let last = |i: usize| i % length == 0 || i % length == length - 1;
    let values: Vec<f64> = pattern
        .entries()
        .map(|(i, j)| {
            if i != j {
                -1.0
            } else if last(i) {
                1.0
            } else {
                2.0
            }
        })
        .collect();
    let mut factor = CholeskyFactor::new(symbolic);
    factor.refactor(&values).unwrap();
    // |R|* of a walk of length m is m, as the product of its nonzero eigenvalues
    let expected = replicates as f64 * (length as f64).ln();
    assert_relative_eq!(factor.log_determinant(), expected, max_relative = 1e-10);
}

#[test]
fn samples_obey_the_constraints_and_have_the_constrained_covariance() {
    let (pattern, values) = lattice(2, 4, 0.0);
    let mut constraints = LinearConstraints::sums_to_zero(8, [0..8, 2..5]).unwrap();
    constraints.push(&[(6, 1.0)], 0.0).unwrap();
    let field = Gmrf::new(&pattern, values.clone(), &[0.0; 8], &constraints).unwrap();
    let (covariance, _) = dense(&pattern, &values, &constraints);
    // the map from z to x is linear: its columns give the covariance without Monte Carlo error
    let mut total = [[0.0; 8]; 8];
    let mut work = vec![0.0; field.factor().work_length()];
    for k in 0..8 {
        let mut z = [0.0; 8];
        z[k] = 1.0;
        field.factor().sample_in_place(&mut z, &mut work).unwrap();
        for residual in constraints.residuals(&z).unwrap() {
            assert!(residual.abs() < 1e-12);
        }
        for i in 0..8 {
            // column k of T is row k of its transpose
            let mut u = [0.0; 8];
            u[i] = 1.0;
            field.factor().sample_transposed_in_place(&mut u, &mut work).unwrap();
            assert_relative_eq!(u[k], z[i], epsilon = 1e-12);
            for j in 0..8 {
                total[i][j] += z[i] * z[j];
            }
        }
    }
    for i in 0..8 {
        for j in 0..8 {
            assert_relative_eq!(total[i][j], covariance[(i, j)], epsilon = 1e-12);
        }
    }
}

#[test]
fn a_field_conditioned_on_a_nonzero_sum_has_the_kriging_mean_and_density() {
    let (pattern, values) = lattice(3, 2, 0.7);
    let mut constraints = LinearConstraints::none(6);
    constraints.push(&[(0, 1.0), (1, 1.0), (4, 2.0)], 1.5).unwrap();
    let mean = [0.3, -0.2, 0.1, 0.0, 0.5, -1.0];
    let field = Gmrf::new(&pattern, values.clone(), &mean, &constraints).unwrap();
    assert!(constraints.residuals(field.mean()).unwrap()[0].abs() < 1e-13);
    let (free, log_det) = dense(&pattern, &values, &LinearConstraints::none(6));
    let c = faer::Col::from_fn(6, |i| [1.0, 1.0, 0.0, 0.0, 2.0, 0.0][i]);
    let w = &free * &c;
    let variance = c.transpose() * &w;
    let gap = 1.5 - (0..6).map(|i| c[i] * mean[i]).sum::<f64>();
    for i in 0..6 {
        assert_relative_eq!(field.mean()[i], mean[i] + w[i] * gap / variance, epsilon = 1e-12);
    }
    // log N(x) − log N(Cx), in orthonormal coordinates of the constrained space: |C| = √6 rescales the density of Cx
    let x = field.sample(&mut ChaCha8Rng::seed_from_u64(3)).unwrap();
    let deviation: Vec<f64> = x.iter().zip(&mean).map(|(x, m)| x - m).collect();
    let two_pi = (2.0 * std::f64::consts::PI).ln();
    let joint = 0.5 * (log_det - 6.0 * two_pi - pattern.quadratic_form(&values, &deviation).unwrap());
    let of_sum = -0.5 * (two_pi + variance.ln() + gap * gap / variance);
    assert_relative_eq!(field.log_density(&x).unwrap(), joint - of_sum - 0.5 * 6.0_f64.ln(), epsilon = 1e-11);
}
