//! Kernels and whole fits on 1, 2, 4, … threads in one run: speed-up, what the schedule's model foresees, and whether the bits agree.
//!
//! `cargo bench -p benches --bench threads [-- NAMES]` uses as many threads as the machine has.
#![allow(clippy::print_stdout)] // the table is the result

use std::time::{Duration, Instant};

use benches::patterns::matrix;
use benches::whole::problem;
use gmrf::{CholeskyFactor, LinearConstraints, Parallelism, SelectedInverse, SymbolicFactor};

/// Each time is the shortest of those that fit in here, three at least.
const REPEAT: Duration = Duration::from_millis(800);
const KERNELS: [&str; 9] = [
    "lattice-2d-316",
    "lattice-2d-700",
    "lattice-3d-20",
    "lattice-3d-40",
    "ar1-lattice-30",
    "crossed",
    "near-dense-1500",
    "arrowhead",
    "path-100000",
];
const FITS: [&str; 7] = ["seeds", "epil", "tokyo", "bym2-544", "crossed", "car-100", "car-200"];

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let chosen = |name: &&str| names.is_empty() || names.iter().any(|n| n == name);
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<usize> = (0..).map(|k| 1 << k).take_while(|&t| t <= most).collect();
    let head: String = threads.iter().map(|t| format!(" {t:>8}")).collect();
    println!("milliseconds on so many threads, then speed-up over one, then the model's");
    println!("{:<24}{head}", "");
    KERNELS.into_iter().filter(chosen).for_each(|name| kernel(name, &threads));
    FITS.into_iter().filter(chosen).for_each(|name| fit(name, &threads));
}

/// The shortest time of each of `works`, in turn.
fn shortest(works: &mut [Box<dyn FnMut() + '_>]) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; works.len()];
    let started = Instant::now();
    let mut rounds = 0;
    while rounds < 3 || started.elapsed() < REPEAT * works.len() as u32 {
        for (best, work) in best.iter_mut().zip(works.iter_mut()) {
            let start = Instant::now();
            work();
            *best = best.min(start.elapsed().as_secs_f64());
        }
        rounds += 1;
    }
    best
}

fn row(name: &str, cells: impl Iterator<Item = f64>, digits: usize) {
    let cells: String = cells.map(|cell| format!(" {cell:>8.digits$}")).collect();
    println!("{name:<24}{cells}");
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started")
}

fn kernel(name: &'static str, threads: &[usize]) {
    let matrix = matrix(name);
    let none = LinearConstraints::none(matrix.pattern.order());
    let symbolic = SymbolicFactor::analyze(&matrix.pattern, &none).expect("a diagonal everywhere");
    let pools: Vec<rayon::ThreadPool> = threads.iter().map(|&t| pool(t)).collect();
    let mut pairs: Vec<_> = threads
        .iter()
        .map(|&t| {
            let parallelism = if t == 1 { Parallelism::Sequential } else { Parallelism::Tree };
            let (mut factor, mut inverse) = (CholeskyFactor::new(symbolic.clone()), SelectedInverse::new(&symbolic));
            factor.set_parallelism(parallelism);
            inverse.set_parallelism(parallelism);
            (factor, inverse)
        })
        .collect();
    let refactor = |factor: &mut CholeskyFactor| factor.refactor(&matrix.values).expect("diagonally dominant");
    let mut factors: Vec<Box<dyn FnMut() + '_>> = Vec::new();
    for (pool, (factor, _)) in pools.iter().zip(&mut pairs) {
        factors.push(Box::new(|| pool.install(|| refactor(factor))));
    }
    let times = shortest(&mut factors);
    drop(factors);
    let mut inverses: Vec<Box<dyn FnMut() + '_>> = Vec::new();
    for (pool, (factor, inverse)) in pools.iter().zip(&mut pairs) {
        inverses.push(Box::new(|| pool.install(|| inverse.compute(factor).expect("the same analysis"))));
    }
    let inverse_times = shortest(&mut inverses);
    drop(inverses);
    let bits = |inverse: &SelectedInverse| inverse.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let first = bits(&pairs[0].1);
    let same = pairs.iter().all(|(_, inverse)| bits(inverse) == first);
    for (kernel, times) in [("factor", &times), ("inverse", &inverse_times)] {
        row(&format!("{name} {kernel}"), times.iter().map(|t| 1e3 * t), 2);
        row("", times.iter().map(|t| times[0] / t), 2);
    }
    row("  model of both", threads.iter().map(|&t| symbolic.predicted_speed_up(t)), 2);
    assert!(same, "{name}: the bits depend on the threads");
}

fn fit(name: &str, threads: &[usize]) {
    let problem = problem(name);
    let models: Vec<_> = threads.iter().map(|&t| problem.model.clone().threads(t)).collect();
    let fit = |k: usize| models[k].fit(&problem.table).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut fits: Vec<Box<dyn FnMut() + '_>> = Vec::new();
    for k in 0..models.len() {
        fits.push(Box::new(move || drop(fit(k))));
    }
    let times = shortest(&mut fits);
    row(name, times.iter().map(|t| 1e3 * t), 1);
    row("", times.iter().map(|t| times[0] / t), 2);
    let bits = |k: usize| {
        let fit = fit(k);
        let means = fit.posterior().nodes.iter().map(|marginal| marginal.mean().to_bits());
        (means.collect::<Vec<_>>(), fit.posterior().evidence.integrated.to_bits())
    };
    let first = bits(0);
    assert!((1..models.len()).all(|k| bits(k) == first), "{name}: the bits depend on the threads");
}
