//! What the rungs of the approximation ladder and the certificate cost beside a Gaussian at the mode, interleaved in one run.
//!
//! `cargo bench -p benches --bench ladder` runs ten thousand nodes of three kinds; names of problems choose.
#![allow(clippy::print_stdout)] // the table is the result

use std::time::Instant;

use benches::whole::problem;

/// Of each kind of fit the shortest of so many counts.
const ROUNDS: usize = 3;
/// Ten thousand nodes or rows: independent, on a line, on a lattice.
const DEFAULT: [&str; 3] = ["iid-10000", "rw1-10000", "car-100"];
/// The rung, and whether the fit gathers evidence about itself.
const KINDS: [(&str, bool); 5] =
    [("gaussian", false), ("auto", false), ("auto", true), ("simplified-laplace", false), ("ep", false)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let names: Vec<&str> =
        if arguments.is_empty() { DEFAULT.to_vec() } else { arguments.iter().map(String::as_str).collect() };
    println!(
        "{:<12} {:<18} {:>11} {:>10} {:>11}  rung",
        "problem", "approximation", "certificate", "time, ms", "to gaussian"
    );
    names.into_iter().for_each(compare);
}

fn compare(name: &str) {
    let problem = problem(name);
    let mut least = [f64::INFINITY; KINDS.len()];
    let mut rungs = [""; KINDS.len()];
    for _ in 0..ROUNDS {
        for (k, (approximation, certificate)) in KINDS.into_iter().enumerate() {
            let model = problem.model.clone().approximation(approximation).certificate(certificate);
            let start = Instant::now();
            let fit = model.fit(&problem.table).unwrap_or_else(|error| panic!("{name}, {approximation}: {error}"));
            least[k] = least[k].min(start.elapsed().as_secs_f64() * 1e3);
            rungs[k] = fit.posterior().diagnostics.approximation.rung.name();
        }
    }
    for (k, (approximation, certificate)) in KINDS.into_iter().enumerate() {
        println!(
            "{name:<12} {approximation:<18} {:>11} {:>10.1} {:>11.2}  {}",
            if certificate { "with" } else { "without" },
            least[k],
            least[k] / least[0],
            rungs[k]
        );
    }
}
