//! Hierarchical models by the engine and by the samplers that fitted them until then, side by side: `cargo run --release -p
//! validation --bin samplers`. An argument sets the number of iterations, another one chooses models by part of their names.
#![allow(clippy::print_stdout)] // the table is the result

use std::time::Instant;

use validation::{Failure, Hierarchy, chain_summary};

/// Fits that the engine's time is the least of, while they take no more seconds than this.
const FITS: usize = 20;
const SECONDS: f64 = 3.0;

fn main() -> Result<(), Failure> {
    let iterations: usize = std::env::args().nth(1).map_or(Ok(20_000), |argument| argument.parse())?;
    println!(
        "Error: root mean square over all scalars of the engine's mean less the sampler's, in posterior sd, the sampler's noise included."
    );
    println!(
        "Equal error: the sampler's time for a Monte Carlo error of the same root mean square; at 0.02: for that in its slowest scalar.\n"
    );
    println!(
        "| model | engine ms | error (sd) | worst (sd) | MC error there | sampler s | MC error | equal error s | times faster | at 0.02 s | times faster |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let models = [
        ("scores, Gibbs", Hierarchy::scores(1)),
        ("scores of nine columns, Gibbs", Hierarchy::wide(1, 9, 60)),
        ("counts, Metropolis", Hierarchy::counts(1)),
    ];
    let chosen = std::env::args().nth(2).unwrap_or_default();
    for (name, data) in models.into_iter().filter(|(name, _)| name.contains(&chosen)) {
        let mut best = f64::INFINITY;
        let mut fit = data.fit()?;
        let all = Instant::now();
        for _ in 0..FITS {
            if best.is_finite() && all.elapsed().as_secs_f64() > SECONDS {
                break;
            }
            let started = Instant::now();
            fit = data.fit()?;
            best = best.min(started.elapsed().as_secs_f64());
        }
        let draws = data.sample(iterations, 11)?;
        let (mut worst, mut there, mut least) = (0.0_f64, 0.0, f64::INFINITY);
        let (mut squares, mut noise) = (0.0, 0.0);
        let scalars = data.summaries(&fit);
        for ((_, own, _), chain) in scalars.iter().zip(&draws.scalars) {
            let (mean, sd, effective) = chain_summary(chain);
            let error = (own - mean) / sd;
            if error.abs() > worst.abs() {
                (worst, there) = (error, 1.0 / effective.sqrt());
            }
            least = least.min(effective);
            squares += error * error / scalars.len() as f64;
            noise += 1.0 / effective / scalars.len() as f64;
        }
        let (equal, slowest) = (draws.seconds * noise / squares, draws.seconds * 2500.0 / least);
        println!(
            "| {name} | {:.1} | {:.4} | {worst:+.3} | {there:.3} | {:.2} | {:.4} | {equal:.2} | {:.1} | {slowest:.2} | {:.1} |",
            1e3 * best,
            squares.sqrt(),
            draws.seconds,
            noise.sqrt(),
            equal / best,
            slowest / best
        );
    }
    Ok(())
}
