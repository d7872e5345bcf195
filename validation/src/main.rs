//! Fits every case by every rung of the ladder, prints how far each is from the reference and writes the tables to
//! `docs/accuracy.md`.
//!
//! Names of cases and of rungs as arguments choose; then nothing is written.

use std::fmt::Write as _;
use std::io::Write as _;

use validation::{Case, Failure, Group, Report, compare, own_cases, shared_cases};

const RUNGS: [&str; 8] =
    ["auto", "gaussian", "variational", "variational-mean-variance", "simplified-laplace", "laplace", "ep", "nuts"];

const HEAD: &str = "# Accuracy against long MCMC

Made by `cargo run --release -p validation`. Differences are in posterior standard deviations of the reference: means, standard
deviations (ratio less one), and the largest of the 2.5 %, 50 % and 97.5 % quantiles; hyperparameters on the internal (log, logit)
scale. Cases marked * are read from a folder beside the checkout and skipped without it.

## As fitted by default

| case | rung | group | scalars | mean abs dmean | worst dmean | worst sd ratio -1 | worst quantile | evidence | ms |
|---|---|---|---|---|---|---|---|---|---|
";

const LADDER: &str = "
## Every rung by name

The worst over all scalars of a case, beside the verdict of the fit's own certificate; `nuts` is the default rung with the
hyperparameters sampled.

| case | rung | certificate | worst dmean | worst sd ratio -1 | worst quantile | evidence | ms |
|---|---|---|---|---|---|---|---|
";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (rungs, names): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(|argument| RUNGS.contains(argument));
    let rungs = if rungs.is_empty() { RUNGS.to_vec() } else { rungs };
    let own = own_cases()?.into_iter().map(|case| (case, ""));
    let cases: Vec<(Case, &str)> = own.chain(shared_cases()?.into_iter().map(|case| (case, "*"))).collect();
    let (mut table, mut ladder, mut notes) = (String::from(HEAD), String::from(LADDER), String::new());
    for (case, mark) in &cases {
        if !names.is_empty() && !names.contains(&case.name.as_str()) {
            continue;
        }
        let name = format!("{}{mark}", case.name);
        for &rung in &rungs {
            match compare(case, rung) {
                Ok(report) if rung == "auto" => {
                    add_groups(&mut table, &name, &report)?;
                    for warning in &report.warnings {
                        writeln!(notes, "* {name}: {warning}.")?;
                    }
                }
                Ok(report) => add_rung(&mut ladder, (&name, rung), &report)?,
                Err(error) => writeln!(ladder, "| {name} | {rung} | {error} | | | | | |")?,
            }
        }
    }
    if !notes.is_empty() {
        write!(table, "\nWhat the engine itself warned of:\n\n{notes}")?;
    }
    table.push_str(&ladder);
    std::io::stdout().write_all(table.as_bytes())?;
    if arguments.is_empty() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/accuracy.md"), table)?;
    }
    Ok(())
}

/// A line for each group of scalars.
fn add_groups(table: &mut String, name: &str, report: &Report) -> Result<(), Failure> {
    for group in [Group::Fixed, Group::Hyper, Group::Latent] {
        let members: Vec<_> = report.differences.iter().filter(|d| d.group == group).collect();
        let own = |d: &validation::Difference| d.group == group;
        let (Some(mean), Some(sd), Some(quantile)) =
            (report.worst(own, |d| d.mean), report.worst(own, |d| d.sd), report.worst(own, |d| d.quantile))
        else {
            continue;
        };
        let average = members.iter().map(|d| d.mean.abs()).sum::<f64>() / members.len() as f64;
        writeln!(
            table,
            "| {name} | {} | {} | {} | {average:.3} | {} {:+.3} | {:+.3} | {:.3} | {} | {:.1} |",
            report.approximation,
            group.name(),
            members.len(),
            mean.name,
            mean.mean,
            sd.sd,
            quantile.quantile,
            evidence(report),
            1e3 * report.seconds
        )?;
    }
    Ok(())
}

/// One line for all scalars.
fn add_rung(table: &mut String, (name, rung): (&str, &str), report: &Report) -> Result<(), Failure> {
    let all = |_: &validation::Difference| true;
    let (Some(mean), Some(sd), Some(quantile)) =
        (report.worst(all, |d| d.mean), report.worst(all, |d| d.sd), report.worst(all, |d| d.quantile))
    else {
        return Ok(());
    };
    writeln!(
        table,
        "| {name} | {rung} | {} | {} {:+.3} | {} {:+.3} | {} {:.3} | {} | {:.1} |",
        report.verdict,
        mean.name,
        mean.mean,
        sd.name,
        sd.sd,
        quantile.name,
        quantile.quantile,
        evidence(report),
        1e3 * report.seconds
    )?;
    Ok(())
}

fn evidence(report: &Report) -> String {
    report.evidence.map_or_else(String::new, |e| format!("{e:+.3}"))
}
