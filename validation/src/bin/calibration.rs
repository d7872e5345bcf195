//! Simulation-based calibration of every latent model with every likelihood: `cargo run --release -p validation --bin calibration` prints
//! the table, writes it to `docs/calibration.md` and fails where something is not uniform.
//!
//! A number as an argument sets the replicates, a rung the approximation; then nothing is written.
#![allow(clippy::print_stdout)] // the table is the result

use std::fmt::Write as _;
use std::process::ExitCode;

use validation::Failure;
use validation::calibration::{Calibration, Scenario, calibrate};
use validation::simulation::{Family, Latent};

const REPLICATES: usize = 1000;
/// Probability that a right engine fails the whole table.
const LEVEL: f64 = 0.01;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let replicates = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(REPLICATES);
    let approximation = arguments.iter().find(|a| a.parse::<usize>().is_err()).map_or("auto", String::as_str);
    let mut table = String::from(HEAD);
    println!("{HEAD}");
    let mut uniform = true;
    for latent in Latent::ALL {
        for family in Family::ALL {
            let started = std::time::Instant::now();
            let own = calibrate(&Scenario { latent, family, approximation, wrong_prior: None }, replicates);
            let pairs = (Latent::ALL.len() * Family::ALL.len()) as f64;
            let passed = own.p() > LEVEL / pairs && own.failed.is_empty();
            uniform &= passed;
            let row = line(latent, family, &own, passed)?;
            println!("{row} <!-- {:.0} s -->", started.elapsed().as_secs_f64());
            own.failed.iter().take(1).for_each(|reason| println!("<!-- {reason} -->"));
            writeln!(table, "{row}")?;
        }
    }
    if arguments.is_empty() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/calibration.md"), table)?;
    }
    Ok(if uniform { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(latent: Latent, family: Family, own: &Calibration, passed: bool) -> Result<String, Failure> {
    let mut row = format!("| {} | {} | {}", latent.name(), family.name(), own.replicates);
    for name in ["fixed", "hyper", "latent", "predictor"] {
        let of = |what: &str| own.group(&format!("{name}: {what}")).map_or(f64::NAN, |test| test.statistic);
        write!(row, " | {:+.3}, {:+.3}", of("place"), of("spread"))?;
    }
    let worst = own.worst().ok_or("no replicate was fitted")?;
    let verdict = if passed { "yes" } else { "**no**" };
    write!(row, " | {} {:+.3} | {:.2} | {} | {verdict} |", worst.of, worst.statistic, own.p(), own.failed.len())?;
    Ok(row)
}

const HEAD: &str = "# Simulation-based calibration

Made by `cargo run --release -p validation --bin calibration`. Hyperparameters, field and data are drawn from the model's own priors, without
the engine; the engine fits the data with the same priors, on its default rung; `u` is the distribution function of each scalar's marginal at
the value that the data came from. If every step is right, `u` is uniform over replicates for every scalar (Talts et al. 2018). Every model
has an intercept, a slope, 12 nodes and 36 rows (`validation/src/simulation.rs`): so little data that priors and skewness count.

Tested are every scalar by Kolmogorov's test, and for each group of scalars the averages of u − ½ (place: positive where the engine's values
are too small) and of 12 (u − ½)² − 1 (spread: positive where its marginals are too narrow), which see less than a single scalar
shows. \"p\" is the least p-value times the number of tests of the pair; a pair is uniform while it is above 0.01 over the number of pairs,
and every replicate was fitted. Pairs share their seeds, and with them the hyperparameters drawn: what one shows by chance its neighbours
show too.

| latent | likelihood | replicates | fixed: place, spread | hyper | latent | predictor | worst test | p | failed | uniform |
|---|---|---|---|---|---|---|---|---|---|---|
";
