//! R-INLA's errors on the same cases, measured by others, beside ours.

use std::path::Path;

use crate::cases::Failure;
use crate::compare::{Difference, Group, Report};
use crate::scoreboard::{Entry, average};

const HEAD: &str = "
## Beside R-INLA

R-INLA 26.06.08 against the same references: `compact` is its default, `sla` the classic simplified Laplace. Times are its own running
time on two threads, and ours of this run.

| case | group | scalars | by | mean abs dmean | worst dmean | worst sd ratio -1 | worst quantile | s |
|---|---|---|---|---|---|---|---|---|
";

/// R-INLA's errors in a group of scalars of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct RInla {
    /// The case.
    pub case: String,
    /// `compact` or `sla`.
    pub mode: String,
    /// `fixed`, `hyper` or `latent`.
    pub group: String,
    /// How many scalars.
    pub scalars: usize,
    /// The average absolute difference of means.
    pub average: f64,
    /// The worst differences of means, standard deviations and quantiles.
    pub worst: [f64; 3],
    /// The scalar whose mean is worst.
    pub of: String,
    /// Its running time.
    pub seconds: f64,
}

impl RInla {
    /// All lines of `reference/r_inla.csv`.
    ///
    /// # Errors
    /// A broken file.
    pub fn all() -> Result<Vec<Self>, Failure> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/r_inla.csv");
        let mut rows = Vec::new();
        for record in csv::Reader::from_path(path)?.records() {
            let record = record?;
            rows.push(Self {
                case: record[0].to_owned(),
                mode: record[1].to_owned(),
                group: record[2].to_owned(),
                scalars: record[3].parse()?,
                average: record[4].parse()?,
                of: record[5].to_owned(),
                worst: [record[6].parse()?, record[7].parse()?, record[8].parse()?],
                seconds: record[9].parse()?,
            });
        }
        Ok(rows)
    }

    /// Whether a scalar is one of those that R-INLA was asked for: hyperparameters on the internal scale alone.
    pub fn counts(&self, difference: &Difference) -> bool {
        difference.group.name() == self.group && !difference.name.starts_with("hyper.")
    }
}

/// The group of a name in tables.
fn order(group: &str) -> Option<usize> {
    [Group::Fixed, Group::Hyper, Group::Latent].iter().position(|g| g.name() == group)
}

/// Ours and theirs by case and group; empty without their cases.
pub(crate) fn table(fits: &[(&Entry, &Report)], others: &[RInla]) -> String {
    let mut lines = String::new();
    for (entry, report) in fits {
        let mut theirs: Vec<&RInla> = others.iter().filter(|o| entry.case == format!("{}*", o.case)).collect();
        theirs.sort_by_key(|o| order(&o.group));
        for other in theirs {
            let own = |d: &Difference| other.counts(d);
            let worst = (report.worst(own, |d| d.mean), report.worst(own, |d| d.sd), report.worst(own, |d| d.quantile));
            if let ("compact", (Some(mean), Some(sd), Some(quantile))) = (other.mode.as_str(), worst) {
                lines.push_str(&format!(
                    "| {} | {} | {} | ours | {:.3} | {} {:+.3} | {:+.3} | {:.3} | {:.3} |\n",
                    entry.case,
                    other.group,
                    report.differences.iter().filter(|d| own(d)).count(),
                    average(report, own),
                    mean.name,
                    mean.mean,
                    sd.sd,
                    quantile.quantile,
                    report.seconds
                ));
            }
            let [mean, sd, quantile] = other.worst;
            lines.push_str(&format!(
                "| | | {} | {} | {:.3} | {} {mean:+.3} | {sd:+.3} | {quantile:.3} | {:.2} |\n",
                other.scalars, other.mode, other.average, other.of, other.seconds
            ));
        }
    }
    if lines.is_empty() { lines } else { format!("{HEAD}{lines}") }
}
