//! Whole fits, each in a process of its own: time, evaluations, factorisations, memory, growth with `n`.
//!
//! `cargo bench -p benches --bench whole` runs what takes seconds; names choose, `--all` takes the largest too.
#![allow(clippy::print_stdout)] // the table is the result

use std::process::{Command, Stdio};
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
        "{:<12} {:>8} {:>8} {:>3} {:>10} {:>9} {:>9} {:>9} {:>9} {:>6} {:>8} {:>7} {:>8} {:>8}",
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
        "MB",
        "foreseen"
    );
    let all = arguments.iter().any(|a| a == "--all");
    let chosen = |name: &str, unasked: bool| match arguments.iter().any(|a| a != "--all") {
        true => arguments.iter().any(|a| a == name),
        false => all || unasked,
    };
    let this = std::env::current_exe().expect("the path of this program");
    let mut measured = Vec::new();
    for (name, _) in PROBLEMS.into_iter().filter(|&(name, unasked)| chosen(name, unasked)) {
        let output = Command::new(&this).args(["--one", name]).stderr(Stdio::inherit()).output();
        let output = output.ok().filter(|output| output.status.success()).unwrap_or_else(|| panic!("{name} failed"));
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{line}");
        measured.push((name, line));
    }
    growth(&measured);
}

/// How the time of a whole fit and of one evaluation grows from each size of a problem to the next: the exponent of `n`.
fn growth(measured: &[(&str, String)]) {
    let kind = |name: &str| name.rsplit_once('-').map_or(String::new(), |(kind, _)| kind.to_owned());
    let number =
        |line: &str, column: usize| line.split_whitespace().nth(column).and_then(|word| word.parse::<f64>().ok());
    for pair in measured.windows(2).filter(|pair| !kind(pair[0].0).is_empty() && kind(pair[0].0) == kind(pair[1].0)) {
        let ratio = |column: usize| Some(number(&pair[1].1, column)? / number(&pair[0].1, column)?);
        let (Some(nodes), Some(rows)) = (ratio(1), ratio(2)) else { continue };
        let (Some(time), Some(evaluations)) = (ratio(4), ratio(9)) else { continue };
        // more rows on the same nodes are growth too
        let size = nodes.max(rows);
        let memory = ratio(12).map_or(f64::NAN, |memory| memory.ln() / size.ln());
        println!(
            "{} to {}: time n^{:.2}, an evaluation n^{:.2}, memory n^{memory:.2} (a plane's factor is n^1.5, a space's n^2)",
            pair[0].0,
            pair[1].0,
            time.ln() / size.ln(),
            (time / evaluations).ln() / size.ln()
        );
    }
}

fn one(name: &str) {
    let problem = problem(name);
    let prepared = problem.model.prepare(&problem.table, None).unwrap_or_else(|error| panic!("{name}: {error}"));
    let foreseen = prepared.predicted_memory();
    drop(prepared);
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
        "{:<12} {:>8} {:>8} {:>3} {:>10.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>6} {:>8} {:>7.2} {:>8.0} {:>8.0}",
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
        foreseen as f64 / (1 << 20) as f64,
    );
}

/// Greatest resident memory of this process, in megabytes; NaN where the system does not tell.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()).map_or(f64::NAN, |kb| kb / 1024.0)
}
