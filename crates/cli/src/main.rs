//! The `inla` command: fits a model file and writes posterior marginals.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use inla::{Fit, Prepared, Resources, Table};
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
}

fn main() -> ExitCode {
    let Command::Fit { model, json, marginals, threads, quiet } = Arguments::parse().command;
    let fitted = fit(&model, threads).and_then(|fit| write(&fit, json.as_ref(), marginals, quiet));
    match fitted {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // standard error may be closed; there is nowhere left to say so
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fit(path: &std::path::Path, threads: Option<usize>) -> Result<Fit, CliError> {
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

fn write(fit: &Fit, json: Option<&PathBuf>, marginals: bool, quiet: bool) -> Result<(), CliError> {
    let to_output = json.is_some_and(|path| path.as_os_str() == "-");
    if !quiet && !to_output {
        print(&fit.summary_text())?;
    }
    let Some(path) = json else { return Ok(()) };
    let text = format!("{:#}\n", fit.to_json(marginals));
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
