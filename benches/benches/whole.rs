//! Whole fits, each in a process of its own: time, evaluations, factorisations, memory, growth with `n`.
//!
//! `cargo bench -p benches --bench whole` runs what takes seconds; names choose, `--all` takes the largest too.
#![allow(clippy::print_stdout)] // the table is the result

use std::process::Command;
use std::time::{Duration, Instant};

use benches::whole::{PROBLEMS, problem};

/// Short fits are repeated for this long; the shortest counts.
const REPEAT: Duration = Duration::from_secs(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [flag, name] = arguments.as_slice()
        && flag == "--one"
    {
        return one(name);
    }
    println!(
        "{:<12} {:>8} {:>8} {:>3} {:>10} {:>9} {:>9} {:>9} {:>9} {:>6} {:>8} {:>7} {:>9}",
        "problem",
        "nodes",
        "rows",
        "p",
        "total ms",
        "build ms",
        "mode ms",
        "design ms",
        "rest ms",
        "p̃",
        "factors",
        "f/p̃",
        "MB"
    );
    let all = arguments.iter().any(|a| a == "--all");
    let chosen = |name: &str, unasked: bool| match arguments.iter().any(|a| a != "--all") {
        true => arguments.iter().any(|a| a == name),
        false => all || unasked,
    };
    let this = std::env::current_exe().expect("the path of this program");
    for (name, _) in PROBLEMS.into_iter().filter(|&(name, unasked)| chosen(name, unasked)) {
        let status = Command::new(&this).args(["--one", name]).status();
        assert!(status.is_ok_and(|status| status.success()), "{name} failed");
    }
}

fn one(name: &str) {
    let problem = problem(name);
    let started = Instant::now();
    let mut best: Option<(Duration, inla::Fit)> = None;
    while best.is_none() || started.elapsed() < REPEAT {
        let start = Instant::now();
        let fit = problem.model.fit(&problem.table).unwrap_or_else(|error| panic!("{name}: {error}"));
        let time = start.elapsed();
        if best.as_ref().is_none_or(|(least, _)| time < *least) {
            best = Some((time, fit));
        }
    }
    let Some((total, fit)) = best else { return };
    let (posterior, ms) = (fit.posterior(), |time: Duration| time.as_secs_f64() * 1e3);
    let (timing, diagnostics) = (&posterior.timing, &posterior.diagnostics);
    println!(
        "{:<12} {:>8} {:>8} {:>3} {:>10.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>6} {:>8} {:>7.2} {:>9.0}",
        name,
        posterior.nodes.len(),
        posterior.predictors.len(),
        posterior.hyperparameters.len(),
        ms(total),
        ms(total - timing.mode - timing.design - timing.marginals),
        ms(timing.mode),
        ms(timing.design),
        ms(timing.marginals),
        diagnostics.evaluations,
        diagnostics.factorisations,
        diagnostics.factorisations as f64 / diagnostics.evaluations.max(1) as f64,
        peak_memory(),
    );
}

/// Greatest resident memory of this process, in megabytes; NaN where the system does not tell.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()).map_or(f64::NAN, |kb| kb / 1024.0)
}
