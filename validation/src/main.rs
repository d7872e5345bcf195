//! Fits every case by every rung of the ladder, prints how far each is from the reference, writes the tables to `docs/accuracy.md` and
//! draws the marginals of the project's own cases to `docs/figures/`.
//!
//! Names of cases and of rungs as arguments choose; then nothing is written but the figures in `target/`.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use inla::Fit;
use validation::scoreboard::{Entry, page};
use validation::{Case, Failure, RInla, Report, compare_fit, own_cases, plots, shared_cases};

const RUNGS: [&str; 8] =
    ["auto", "gaussian", "variational", "variational-mean-variance", "simplified-laplace", "laplace", "ep", "nuts"];

/// Fits of which the fastest counts, while they take no more seconds than this together.
const FITS: usize = 5;
const SECONDS: f64 = 2.0;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (rungs, names): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(|argument| RUNGS.contains(argument));
    let rungs = if rungs.is_empty() { RUNGS.to_vec() } else { rungs };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (documents, scratch) = (root.join("docs/figures"), root.join("target/figures"));
    std::fs::create_dir_all(&scratch)?;
    let own = own_cases()?.into_iter().map(|case| (case, ""));
    let cases: Vec<(Case, &str)> = own.chain(shared_cases()?.into_iter().map(|case| (case, "*"))).collect();
    let mut entries = Vec::new();
    for (case, mark) in &cases {
        if !names.is_empty() && !names.contains(&case.name.as_str()) {
            continue;
        }
        // draws of others are not ours to publish
        let folder = if mark.is_empty() && arguments.is_empty() { &documents } else { &scratch };
        let figure = folder.join(format!("accuracy_{}{}.svg", case.name, mark.replace('*', "_shared")));
        let known = case.distributions()?;
        for &rung in &rungs {
            let fit = fastest(case, rung);
            let report = match &fit {
                Ok((fit, seconds)) => Ok(Report { seconds: *seconds, ..compare_fit(case, &known, fit)? }),
                Err(error) => Err(error.to_string()),
            };
            if let ("auto", Ok((fit, _)), Ok(report)) = (rung, &fit, &report) {
                plots::draw(case, &known, fit, report, &figure)?;
            }
            entries.push(Entry::new(case, mark, rung, report));
        }
    }
    let page = page(&entries, &RInla::all()?);
    std::io::stdout().write_all(page.as_bytes())?;
    if arguments.is_empty() {
        std::fs::write(root.join("docs/accuracy.md"), page)?;
    }
    Ok(())
}

/// A fit, and the least time of several.
fn fastest(case: &Case, rung: &str) -> Result<(Fit, f64), Failure> {
    let started = Instant::now();
    let mut fit = case.fit(rung)?;
    let mut seconds = fit.elapsed().as_secs_f64();
    for _ in 1..FITS {
        if started.elapsed().as_secs_f64() > SECONDS {
            break;
        }
        fit = case.fit(rung)?;
        seconds = seconds.min(fit.elapsed().as_secs_f64());
    }
    Ok((fit, seconds))
}
