//! The `inla` command: fits a model file and writes posterior marginals.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use inla::{Fit, Prepared, Resources, Table, VerifyOptions};
use inla_cli::{CliError, ModelFile};

/// Bayesian inference for latent Gaussian models by integrated nested Laplace approximations.
#[derive(Debug, Parser)]
#[command(name = "inla", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fits a model file and prints a summary.
    Fit {
        /// The model file (TOML).
        model: PathBuf,
        /// Writes everything as JSON to this file; - for standard output, without the summary.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Adds the marginals' densities to the JSON.
        #[arg(long, requires = "json")]
        marginals: bool,
        /// Threads; 0: all. Overrides the model file.
        #[arg(long)]
        threads: Option<usize>,
        /// Prints no summary.
        #[arg(long)]
        quiet: bool,
    },
    /// Fits a model file and compares every marginal with Markov chains on the exact posterior, the worst first.
    Verify {
        /// The model file (TOML).
        model: PathBuf,
        /// Chains.
        #[arg(long, default_value_t = VerifyOptions::default().chains)]
        chains: usize,
        /// Draws of each chain that tune its steps and are thrown away.
        #[arg(long, default_value_t = VerifyOptions::default().tuning)]
        tuning: usize,
        /// Draws of each chain that are kept.
        #[arg(long, default_value_t = VerifyOptions::default().draws)]
        draws: usize,
        /// Ends the chains after so many seconds, with the draws that there are.
        #[arg(long)]
        seconds: Option<f64>,
        /// Prints every scalar, not the twenty that differ most.
        #[arg(long)]
        all: bool,
        /// Writes every scalar as JSON to this file; - for standard output, without the table.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Threads; 0: all. Overrides the model file.
        #[arg(long)]
        threads: Option<usize>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // standard error may be closed; there is nowhere left to say so
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Fit { model, json, marginals, threads, quiet } => {
            let fit = fit(&model, threads)?;
            write(json.as_deref(), quiet, || fit.summary_text(), || fit.to_json(marginals))
        }
        Command::Verify { model, chains, tuning, draws, seconds, all, json, threads } => {
            let fit = fit(&model, threads)?;
            let bar = progress();
            let told = |done: usize, all: usize| {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
                true
            };
            let verification = fit.verify(&VerifyOptions { chains, tuning, draws, seconds }, &told);
            bar.finish_and_clear();
            let verification = verification?;
            write(json.as_deref(), false, || verification.text(all), || verification.to_json())
        }
    }
}

/// Shown on a terminal only.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} draws, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn fit(path: &Path, threads: Option<usize>) -> Result<Fit, CliError> {
    let mut file = ModelFile::read(path)?;
    if let Some(threads) = threads {
        file.specification.fit.threads = threads;
    }
    let table = Table::from_csv_path(&file.data)?;
    let resources = Resources { directory: Some(file.directory), ..Resources::default() };
    let prepared = Prepared::new(&file.specification, &table, &resources)?;
    if let Some(notice) = memory_notice(prepared.predicted_memory()) {
        // it is a courtesy: a closed standard error changes nothing
        let _ = writeln!(std::io::stderr(), "{notice}");
    }
    Ok(prepared.fit()?)
}

/// Fits that need less are not worth a word.
const LARGE: usize = 1 << 30;

fn memory_notice(bytes: usize) -> Option<String> {
    (bytes >= LARGE).then(|| format!("note: this fit needs about {:.1} GB of memory", bytes as f64 / 1e9))
}

/// The text on standard output, unless it is not wanted or the JSON goes there.
fn write(
    json: Option<&Path>,
    quiet: bool,
    text: impl Fn() -> String,
    value: impl Fn() -> serde_json::Value,
) -> Result<(), CliError> {
    let to_output = json.is_some_and(|path| path.as_os_str() == "-");
    if !quiet && !to_output {
        print(&text())?;
    }
    let Some(path) = json else { return Ok(()) };
    let text = format!("{:#}\n", value());
    if to_output {
        return print(&text);
    }
    std::fs::write(path, text)
        .map_err(|error| CliError::Write { path: path.display().to_string(), reason: error.to_string() })
}

fn print(text: &str) -> Result<(), CliError> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // the reader went away: that is its right
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CliError::Write { path: "standard output".to_owned(), reason: error.to_string() }),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::memory_notice;

    #[test]
    fn only_large_fits_are_announced() {
        assert_eq!(memory_notice(1_000_000), None);
        let notice = memory_notice(2_840_000_000);
        assert_eq!(notice.as_deref(), Some("note: this fit needs about 2.8 GB of memory"));
    }
}
