//! Factor, selected inverse and solve on lattices: `cargo bench -p benches --bench kernels`.

use benches::lattice;
use divan::Bencher;
use gmrf::{CholeskyFactor, LinearConstraints, SelectedInverse, SymbolicFactor};

const SIDES: [usize; 4] = [10, 32, 100, 316];

fn main() {
    divan::main();
}

#[divan::bench(args = SIDES)]
fn analyze(bencher: Bencher, side: usize) {
    let (pattern, _) = lattice(side, 0.1);
    let none = LinearConstraints::none(side * side);
    bencher.bench_local(|| SymbolicFactor::analyze(&pattern, &none).expect("a lattice can be analysed"));
}

fn factored(side: usize) -> (Vec<f64>, CholeskyFactor) {
    let (pattern, values) = lattice(side, 0.1);
    let symbolic = SymbolicFactor::analyze(&pattern, &LinearConstraints::none(side * side)).expect("analysed");
    let mut factor = CholeskyFactor::new(symbolic);
    factor.refactor(&values).expect("positive definite");
    (values, factor)
}

#[divan::bench(args = SIDES)]
fn factor(bencher: Bencher, side: usize) {
    let (values, mut factor) = factored(side);
    bencher.bench_local(|| factor.refactor(&values).expect("positive definite"));
}

#[divan::bench(args = SIDES)]
fn selected_inverse(bencher: Bencher, side: usize) {
    let (_, factor) = factored(side);
    let mut inverse = SelectedInverse::new(factor.symbolic());
    bencher.bench_local(|| inverse.compute(&factor).expect("same analysis"));
}

#[divan::bench(args = SIDES)]
fn solve(bencher: Bencher, side: usize) {
    let (_, factor) = factored(side);
    let mut b = vec![1.0; side * side];
    let mut work = vec![0.0; factor.work_length()];
    bencher.bench_local(|| factor.solve_in_place(&mut b, &mut work).expect("sizes agree"));
}
