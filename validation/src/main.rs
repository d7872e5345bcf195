//! Fits every case, prints how far the engine is from the reference and writes the table to `docs/accuracy.md`.

use std::fmt::Write as _;
use std::io::Write as _;

use validation::{Group, compare, own_cases, shared_cases};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut table = String::from(
        "# Accuracy against long MCMC\n\nMade by `cargo run --release -p validation`. Differences are in posterior standard \
         deviations of the reference: means, standard deviations (ratio less one), and the largest of the 2.5 %, 50 % and \
         97.5 % quantiles; hyperparameters on the internal (log, logit) scale. Cases marked * are read from a folder beside \
         the checkout and skipped without it.\n\n\
         | case | group | scalars | mean abs dmean | worst dmean | worst sd ratio -1 | worst quantile | evidence | ms |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    let mut notes = String::new();
    let own = own_cases()?.into_iter().map(|case| (case, ""));
    for (case, mark) in own.chain(shared_cases()?.into_iter().map(|case| (case, "*"))) {
        let report = compare(&case)?;
        for group in [Group::Fixed, Group::Hyper, Group::Latent] {
            let members: Vec<_> = report.differences.iter().filter(|d| d.group == group).collect();
            let (Some(mean), Some(sd), Some(quantile)) =
                (report.worst(group, |d| d.mean), report.worst(group, |d| d.sd), report.worst(group, |d| d.quantile))
            else {
                continue;
            };
            let average = members.iter().map(|d| d.mean.abs()).sum::<f64>() / members.len() as f64;
            let evidence = report.evidence.map_or_else(String::new, |e| format!("{e:+.3}"));
            writeln!(
                table,
                "| {}{mark} | {} | {} | {average:.3} | {} {:+.3} | {:+.3} | {:.3} | {evidence} | {:.1} |",
                case.name,
                group.name(),
                members.len(),
                mean.name,
                mean.mean,
                sd.sd,
                quantile.quantile,
                1e3 * report.seconds
            )?;
        }
        for warning in &report.warnings {
            writeln!(notes, "* {}{mark}: {warning}.", case.name)?;
        }
    }
    if !notes.is_empty() {
        write!(table, "\nWhat the engine itself warned of:\n\n{notes}")?;
    }
    std::io::stdout().write_all(table.as_bytes())?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/accuracy.md");
    std::fs::write(path, table)?;
    Ok(())
}
