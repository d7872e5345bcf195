//! The sparse kernels on patterns large enough for every code path: each ordering, trees on several threads, blocks of
//! right-hand sides, against dense algebra or each other.
#![allow(clippy::unwrap_used)] // what fails in a helper fails the test

use std::sync::Arc;

use faer::Mat;
use faer::linalg::solvers::{DenseSolveCore, Llt};
use gmrf::{
    CholeskyFactor, GmrfError, LinearConstraints, Ordering, Parallelism, SelectedInverse, SparsityPattern,
    SymbolicFactor,
};

/// A lattice with the given sides, `extra` nodes joined to all others, and values that make it diagonally dominant.
fn lattice(sides: &[usize], extra: usize) -> (Arc<SparsityPattern>, Vec<f64>) {
    let inner: usize = sides.iter().product();
    let mut edges = Vec::new();
    for node in 0..inner {
        let mut stride = 1;
        for &side in sides {
            if (node / stride) % side + 1 < side {
                edges.push((node, node + stride));
            }
            stride *= side;
        }
    }
    for k in 0..extra {
        edges.extend((0..inner + k).map(|node| (node, inner + k)));
    }
    let pattern = Arc::new(SparsityPattern::from_entries(inner + extra, edges.iter().copied()).unwrap());
    let value = |i: usize, j: usize| -0.5 - 0.5 * ((i * 7 + j * 13) % 10) as f64 / 10.0;
    let mut values: Vec<f64> = pattern.entries().map(|(i, j)| if i == j { 0.2 } else { value(i, j) }).collect();
    for (i, j) in edges {
        values[pattern.column_start(i)] -= value(i.max(j), i.min(j));
        values[pattern.column_start(j)] -= value(i.max(j), i.min(j));
    }
    (pattern, values)
}

fn dense_inverse(pattern: &SparsityPattern, values: &[f64]) -> (Mat<f64>, f64) {
    let rows = pattern.to_dense(values);
    let n = pattern.order();
    let matrix = Mat::from_fn(n, n, |i, j| rows[i][j]);
    let factor = Llt::new(matrix.as_ref(), faer::Side::Lower).unwrap();
    let log_determinant = 2.0 * (0..n).map(|i| factor.L()[(i, i)].ln()).sum::<f64>();
    (factor.inverse(), log_determinant)
}

const ORDERINGS: [Ordering; 5] = [
    Ordering::Automatic,
    Ordering::Natural,
    Ordering::MinimumDegree,
    Ordering::NestedDissection,
    Ordering::ReverseCuthillMcKee,
];

/// Fronts of up to some hundred rows, so that loops, dense kernels and merged supernodes all take part.
#[test]
fn every_ordering_agrees_with_dense_algebra() {
    for (sides, extra) in [(vec![24, 24], 0), (vec![9, 9, 9], 0), (vec![300], 3), (vec![20, 20], 2)] {
        let (pattern, values) = lattice(&sides, extra);
        let (expected, log_determinant) = dense_inverse(&pattern, &values);
        for ordering in ORDERINGS {
            let none = LinearConstraints::none(pattern.order());
            let symbolic = SymbolicFactor::analyze_with(&pattern, &none, ordering).unwrap();
            let mut factor = CholeskyFactor::new(symbolic.clone());
            factor.refactor(&values).unwrap();
            assert!((factor.log_determinant() - log_determinant).abs() < 1e-9 * log_determinant.abs(), "{ordering:?}");
            let mut inverse = SelectedInverse::new(&symbolic);
            inverse.compute(&factor).unwrap();
            for ((i, j), value) in pattern.entries().zip(inverse.values()) {
                // 1e-12: hundred times ε times a condition number below fifty
                assert!((value - expected[(i, j)]).abs() < 1e-12, "{sides:?} {ordering:?} ({i}, {j})");
            }
        }
    }
}

#[test]
fn traces_and_row_variances_agree_with_dense_algebra() {
    let (pattern, values) = lattice(&[12, 11], 1);
    let (expected, _) = dense_inverse(&pattern, &values);
    let none = LinearConstraints::none(pattern.order());
    let symbolic = SymbolicFactor::analyze(&pattern, &none).unwrap();
    let mut factor = CholeskyFactor::new(symbolic.clone());
    factor.refactor(&values).unwrap();
    let mut inverse = SelectedInverse::new(&symbolic);
    inverse.compute(&factor).unwrap();
    // tr(ΣQ) = n
    let order = pattern.order() as f64;
    assert!((inverse.trace_product(&values).unwrap() - order).abs() < 1e-10 * order);
    assert!(inverse.trace_product(&values[1..]).is_err());
    let (i, j) = pattern.entries().find(|(i, j)| i != j).unwrap();
    let row = 4.0 * expected[(i, i)] + 0.25 * expected[(j, j)] - 2.0 * expected[(i, j)];
    assert!((inverse.row_variance(&[i, j], &[2.0, -0.5]).unwrap() - row).abs() < 1e-12);
    assert_eq!(inverse.row_variance(&[], &[]), Some(0.0));
}

#[test]
fn an_analysis_is_taken_over_by_its_own_pattern_alone() {
    let (pattern, _) = lattice(&[8, 8], 0);
    let none = LinearConstraints::none(pattern.order());
    let first = SymbolicFactor::analyze(&pattern, &none).unwrap();
    let (again, _) = lattice(&[8, 8], 0);
    assert!(Arc::ptr_eq(&first, &SymbolicFactor::analyze_like(&again, &none, Some(&first)).unwrap()));
    let (other, _) = lattice(&[8, 8], 1);
    let none = LinearConstraints::none(other.order());
    assert!(!Arc::ptr_eq(&first, &SymbolicFactor::analyze_like(&other, &none, Some(&first)).unwrap()));
}

/// Every count of vectors and of what is left over, tiles of every size, and products of matrices.
#[test]
fn many_right_hand_sides_agree_with_one() {
    let (pattern, values) = lattice(&[30, 30], 2);
    let n = pattern.order();
    let mut some = LinearConstraints::none(n);
    for nodes in [0..n, 100..300, 17..18] {
        some.push(&nodes.map(|i| (i, 1.0 + 0.001 * i as f64)).collect::<Vec<_>>(), 0.0).unwrap();
    }
    for constraints in [LinearConstraints::none(n), some] {
        let mut factor = CholeskyFactor::new(SymbolicFactor::analyze(&pattern, &constraints).unwrap());
        factor.refactor(&values).unwrap();
        for count in (1..=20).chain([33, 64, 101]) {
            agree_with_one(&factor, count);
        }
        let error = factor.solve_many_in_place(&mut [0.0; 3], 2, &mut []).unwrap_err();
        assert!(matches!(error, GmrfError::LengthMismatch { what: "right-hand sides", .. }));
    }
}

fn agree_with_one(factor: &CholeskyFactor, count: usize) {
    let n = factor.symbolic().order();
    // the last right-hand side has one entry, the others are full
    let entry =
        |i: usize, c: usize| if c + 1 < count { ((i * count + c) as f64 * 0.37).sin() } else { f64::from(i == 50) };
    let mut block: Vec<f64> = (0..n * count).map(|k| entry(k / count, k % count)).collect();
    factor.solve_many_in_place(&mut block, count, &mut vec![0.0; count * factor.work_length()]).unwrap();
    let mut work = vec![0.0; factor.work_length()];
    for c in 0..count {
        let mut column: Vec<f64> = (0..n).map(|i| entry(i, c)).collect();
        factor.solve_in_place(&mut column, &mut work).unwrap();
        for i in 0..n {
            // numbers of size one and condition numbers of some hundred
            assert!((block[i * count + c] - column[i]).abs() < 1e-12, "{count} sides, side {c}, node {i}");
        }
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Large enough for forks of the tree and for fronts that are split among threads.
#[test]
fn results_have_the_same_bits_on_any_number_of_threads() {
    for sides in [vec![120, 120], vec![19, 19, 19]] {
        let (pattern, values) = lattice(&sides, 1);
        let symbolic = SymbolicFactor::analyze(&pattern, &LinearConstraints::none(pattern.order())).unwrap();
        let run = |threads: usize, parallelism: Parallelism| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let (mut factor, mut inverse) =
                    (CholeskyFactor::new(symbolic.clone()), SelectedInverse::new(&symbolic));
                factor.set_parallelism(parallelism);
                inverse.set_parallelism(parallelism);
                factor.refactor(&values).unwrap();
                inverse.compute(&factor).unwrap();
                (factor.log_determinant().to_bits(), bits(inverse.values()))
            })
        };
        let expected = run(1, Parallelism::Sequential);
        for threads in [1, 2, 4, 7] {
            assert!(run(threads, Parallelism::Tree) == expected, "{sides:?} on {threads} threads");
        }
    }
}

#[test]
fn the_first_singular_node_is_named_on_any_number_of_threads() {
    let (pattern, mut values) = lattice(&[80, 80], 0);
    for node in [17, 5000] {
        values[pattern.column_start(node)] = -1.0;
    }
    let symbolic = SymbolicFactor::analyze(&pattern, &LinearConstraints::none(pattern.order())).unwrap();
    let mut named = Vec::new();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        named.push(pool.install(|| CholeskyFactor::new(symbolic.clone()).refactor(&values).unwrap_err()));
    }
    assert!(matches!(named[0], GmrfError::NotPositiveDefinite { .. }));
    assert!(named.iter().all(|error| *error == named[0]));
}

#[test]
fn a_factor_that_does_not_fit_is_refused_with_its_size() {
    let (pattern, _) = lattice(&[40, 40], 0);
    let none = LinearConstraints::none(pattern.order());
    let error = SymbolicFactor::analyze_within(&pattern, &none, Ordering::Automatic, 100_000).unwrap_err();
    let GmrfError::TooLarge { order: 1600, bytes, limit: 100_000 } = error else { panic!("{error}") };
    let symbolic = SymbolicFactor::analyze_within(&pattern, &none, Ordering::Automatic, bytes).unwrap();
    // merged supernodes store some zeros more
    assert!(symbolic.factor_values() * 16 >= bytes && symbolic.factor_values() * 16 < 3 * bytes);
    let overflowing = SparsityPattern::from_entries(usize::MAX, []).unwrap_err();
    assert!(matches!(overflowing, GmrfError::IndexOutOfRange { .. }));
}
