//! The bias of `log τ` on binary data in small clusters, by rung of the ladder: `cargo run --release -p validation --bin
//! binary_clusters`. An argument sets the number of data sets for each number of trials.
#![allow(clippy::print_stdout)] // the table is the result

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use validation::{Clusters, Failure};

const RUNGS: [&str; 4] = ["gaussian", "simplified-laplace", "ep", "auto"];

fn main() -> Result<(), Failure> {
    let replicates: u64 = std::env::args().nth(1).map_or(Ok(100), |argument| argument.parse())?;
    println!(
        "(posterior mean of log τ − exact)/exact sd over {replicates} data sets: average, share within 0.1, worst\n"
    );
    println!("| trials | {} |\n|---|---|---|---|---|", RUNGS.join(" | "));
    for trials in [1, 2, 4, 8] {
        let errors: Result<Vec<[f64; 4]>, String> =
            (0..replicates).into_par_iter().map(|seed| errors(trials, seed).map_err(|e| e.to_string())).collect();
        let errors = errors?;
        let cell = |k: usize| {
            let own: Vec<f64> = errors.iter().map(|e| e[k]).collect();
            let average = own.iter().sum::<f64>() / own.len() as f64;
            let within = own.iter().filter(|e| e.abs() < 0.1).count() as f64 / own.len() as f64;
            let worst = own.iter().fold(0.0_f64, |a, e| if e.abs() > a.abs() { *e } else { a });
            format!("{average:+.3}, {:.0} %, {worst:+.3}", 100.0 * within)
        };
        println!("| {trials} | {} |", [0, 1, 2, 3].map(cell).join(" | "));
    }
    Ok(())
}

fn errors(trials: u32, seed: u64) -> Result<[f64; 4], Failure> {
    let data = Clusters::simulate(trials, seed);
    let mut own = Vec::new();
    for rung in RUNGS {
        let summary = data.fit(rung)?.internal_hyperparameters()[0].summary();
        own.push((summary.mean, summary.sd));
    }
    let (mean, sd) = data.exact(own[2], 5)?;
    Ok([0, 1, 2, 3].map(|k| (own[k].0 - mean) / sd))
}
