//! The tables of `docs/accuracy.md`: every fit beside its reference, R-INLA's beside ours, verdicts beside true errors.

use std::fmt::Write as _;

use crate::cases::{Bars, Case};
use crate::compare::{Difference, Group, Report};
use crate::rinla::RInla;

/// Monte Carlo error of the mean, in posterior standard deviations, that the samplers' times are reckoned to.
pub const ACCURACY: f64 = 0.02;

const HEAD: &str = "# Accuracy against long MCMC

Made by `cargo run --release -p validation`. Differences are in posterior standard deviations of the reference: means (dmean), standard
deviations (ratio less one), the largest of the 2.5 %, 50 % and 97.5 % quantiles, and the Kolmogorov–Smirnov distance (KS) between our
distribution function and the reference's, in parentheses what Monte Carlo error alone may reach (99 % over all scalars of the case).
Hyperparameters are compared on the internal (log, logit) scale and on the reported ones. Cases marked * are read from a folder beside the
checkout and skipped without it; `docs/accuracy_cases.md` says what each case is, `docs/figures/` shows its marginals.

The bars: |dmean| ≤ 0.02, |sd ratio − 1| ≤ 2 %, KS ≤ 0.02; on toenail (Bernoulli data in small clusters) 0.1, 5 %, 0.03 and 0.5
nats of evidence. A scalar misses one when it passes it by more than the Monte Carlo error: three standard errors of the mean or of the standard
deviation, the 99 % band of the KS distance. That band is √(log(200 m)/2n) for m scalars and n effective draws (Dvoretzky–Kiefer–Wolfowitz,
Bonferroni). Own cases keep 55 quantiles a scalar, starred ones 4000 draws, whose band is 0.03 to 0.04; the bar is also held at the
quantiles that their summaries give from all draws, where the band is a third of that. Where it says \"not kept\" the reference was sampled
before distributions were stored: its 2.5 %, 50 % and 97.5 % quantiles are held to the bar instead.
";

const DEFAULT: &str = "
## As fitted by default

| case | rung | group | scalars | mean abs dmean | worst dmean | worst sd ratio -1 | worst quantile | worst KS |
|---|---|---|---|---|---|---|---|---|
";

const LADDER: &str = "
## Every rung

The worst over all scalars of a case, beside the verdict of the fit's own certificate. `nuts` is the default rung with the hyperparameters
sampled. \"MCMC\" is the time the reference's sampler needs for a Monte Carlo error of 0.02 posterior standard deviations in the mean of
its slowest scalar, at the pace at which it ran, over ours. \"Misses\" counts the scalars that miss a bar beyond the Monte Carlo error.

| case | rung | certificate | mean abs dmean | worst dmean | worst sd ratio -1 | worst KS | evidence | ms | MCMC | misses |
|---|---|---|---|---|---|---|---|---|---|---|
";

const MISSES: &str = "
## Bars missed by the default

| case | bars | scalars | missed by, beyond the Monte Carlo error |
|---|---|---|---|
";

const VERDICTS: &str = "
## Verdict against true error

Every fit above by what its certificate said. An error is the largest over the scalars of the case, less the Monte Carlo error, in
posterior standard deviations.

| verdict | fits | median error of means | largest | median KS | largest |
|---|---|---|---|---|---|
";

/// A fit of a case by a rung, compared.
#[derive(Debug)]
pub struct Entry {
    /// The case, marked where its reference is not the project's own.
    pub case: String,
    /// The rung that was asked for.
    pub rung: String,
    /// The comparison, or why there is none.
    pub report: Result<Report, String>,
    /// The case's bars.
    pub bars: Bars,
    /// Seconds of its sampler for [`ACCURACY`].
    pub sampler: Option<f64>,
}

impl Entry {
    /// A case with its comparison.
    pub fn new(case: &Case, mark: &str, rung: &str, report: Result<Report, String>) -> Self {
        let (bars, sampler) = (case.bars, case.sampler_seconds(ACCURACY));
        Self { case: format!("{}{mark}", case.name), rung: rung.to_owned(), report, bars, sampler }
    }

    /// What is missed: scalars with what they miss, and the evidence.
    fn misses(&self, report: &Report) -> Vec<String> {
        let of = |d: &Difference| {
            let missed = d.misses(&self.bars);
            (!missed.is_empty()).then(|| format!("{} {}", d.name, missed.join(", ")))
        };
        let mut all: Vec<String> = report.differences.iter().filter_map(of).collect();
        if let (Some(bar), Some(evidence)) = (self.bars.evidence, report.evidence)
            && evidence.abs() > bar
        {
            all.push(format!("evidence {evidence:+.3}"));
        }
        all
    }
}

/// The whole page.
pub fn page(entries: &[Entry], others: &[RInla]) -> String {
    let by_default: Vec<(&Entry, &Report)> =
        entries.iter().filter(|e| e.rung == "auto").filter_map(|e| Some((e, e.report.as_ref().ok()?))).collect();
    let mut page = String::from(HEAD);
    page.push_str(DEFAULT);
    by_default.iter().for_each(|(entry, report)| page.push_str(&groups(&entry.case, report)));
    let notes: Vec<String> =
        by_default.iter().flat_map(|(e, r)| r.warnings.iter().map(move |w| format!("* {}: {w}.\n", e.case))).collect();
    if !notes.is_empty() {
        page.push_str("\nWhat the engine itself warned of:\n\n");
        page.push_str(&notes.concat());
    }
    page.push_str(MISSES);
    by_default.iter().for_each(|(entry, report)| page.push_str(&missed(entry, report)));
    page.push_str(&crate::rinla::table(&by_default, others));
    page.push_str(VERDICTS);
    for verdict in ["good", "doubtful", "bad"] {
        page.push_str(&verdict_line(verdict, entries).unwrap_or_default());
    }
    page.push_str(LADDER);
    entries.iter().for_each(|entry| page.push_str(&line(entry)));
    page
}

/// A number with three decimals and the scalar it belongs to.
fn cell(worst: Option<&Difference>, value: impl Fn(&Difference) -> f64) -> String {
    worst.map_or_else(String::new, |d| format!("{} {:+.3}", d.name, value(d)))
}

/// The worst distance beside its band.
pub(crate) fn distance(report: &Report, among: impl Fn(&Difference) -> bool) -> String {
    let worst = report.worst(|d| among(d) && d.distance.is_some(), |d| d.distance.unwrap_or(0.0));
    worst.map_or_else(
        || "not kept".to_owned(),
        |d| format!("{} {:.3} ({:.3})", d.name, d.distance.unwrap_or(0.0), d.band),
    )
}

/// Average of the absolute differences of means.
pub(crate) fn average(report: &Report, among: impl Fn(&Difference) -> bool) -> f64 {
    let own: Vec<f64> = report.differences.iter().filter(|d| among(d)).map(|d| d.mean.abs()).collect();
    own.iter().sum::<f64>() / own.len() as f64
}

/// A line for each group of scalars.
fn groups(case: &str, report: &Report) -> String {
    let mut lines = String::new();
    for group in [Group::Fixed, Group::Hyper, Group::Latent] {
        let own = |d: &Difference| d.group == group;
        let members = report.differences.iter().filter(|d| own(d)).count();
        let Some(quantile) = report.worst(own, |d| d.quantile) else { continue };
        // writing to a string cannot fail
        let _ = writeln!(
            lines,
            "| {case} | {} | {} | {members} | {:.3} | {} | {} | {:.3} | {} |",
            report.approximation,
            group.name(),
            average(report, own),
            cell(report.worst(own, |d| d.mean), |d| d.mean),
            cell(report.worst(own, |d| d.sd), |d| d.sd),
            quantile.quantile,
            distance(report, own),
        );
    }
    lines
}

/// The line of a fit among all.
fn line(entry: &Entry) -> String {
    let report = match &entry.report {
        Ok(report) => report,
        Err(reason) => return format!("| {} | {} | {reason} | | | | | | | | |\n", entry.case, entry.rung),
    };
    let all = |_: &Difference| true;
    let rung = if entry.rung == "auto" { format!("auto: {}", report.approximation) } else { entry.rung.clone() };
    format!(
        "| {} | {rung} | {} | {:.3} | {} | {} | {} | {} | {:.1} | {} | {} |\n",
        entry.case,
        report.verdict,
        average(report, all),
        cell(report.worst(all, |d| d.mean), |d| d.mean),
        cell(report.worst(all, |d| d.sd), |d| d.sd),
        distance(report, all),
        report.evidence.map_or_else(String::new, |e| format!("{e:+.3}")),
        1e3 * report.seconds,
        entry.sampler.map_or_else(String::new, |s| rounded(s / report.seconds)),
        entry.misses(report).len(),
    )
}

/// Two significant digits, or the units.
fn rounded(ratio: f64) -> String {
    if ratio < 10.0 {
        return format!("{ratio:.1}");
    }
    let unit = 10_f64.powf(ratio.log10().floor() - 1.0);
    format!("{:.0}", (ratio / unit).round() * unit)
}

/// The scalars of a case that miss its bars, at most five of them by name.
fn missed(entry: &Entry, report: &Report) -> String {
    let (bars, all) = (entry.bars, entry.misses(report));
    let shown = match all.len() {
        0 => "none".to_owned(),
        1..=5 => all.join("; "),
        count => format!("{count}: {}; …", all[..5].join("; ")),
    };
    let bars = format!("{}, {:.0} %, {}", bars.mean, 100.0 * bars.sd, bars.distance);
    format!("| {} | {bars} | {} | {shown} |\n", entry.case, report.differences.len())
}

/// Errors of the fits with a verdict; `None` without any.
fn verdict_line(verdict: &str, entries: &[Entry]) -> Option<String> {
    let own = entries.iter().filter_map(|e| Some((e, e.report.as_ref().ok()?))).filter(|(_, r)| r.verdict == verdict);
    let (mut means, mut distances) = (Vec::new(), Vec::new());
    for (entry, report) in own {
        for (which, list) in [(0, &mut means), (2, &mut distances)] {
            let worst = report.worst(|_| true, |d| d.beyond_noise()[which])?;
            list.push((worst.beyond_noise()[which], format!("{} {} {}", entry.case, entry.rung, worst.name)));
        }
    }
    let describe = |list: &mut Vec<(f64, String)>| {
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (largest, which) = list.last()?;
        Some(format!("{:.3} | {largest:.3} ({which})", list[list.len() / 2].0))
    };
    Some(format!("| {verdict} | {} | {} | {} |\n", means.len(), describe(&mut means)?, describe(&mut distances)?))
}
