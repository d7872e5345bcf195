//! Marginals over the histograms of the reference: `docs/figures/accuracy_CASE.svg`.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use inla::{Fit, Marginal};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::cases::{Case, Failure};
use crate::compare::{Difference, Group, Report, marginals};
use crate::distribution::Distribution;

/// Pixels of a panel.
pub const PANEL: (u32, u32) = (300, 220);
/// Panels of a figure at most.
const PANELS: usize = 12;
/// Worst levels of random effects that are shown.
const LEVELS: usize = 2;
/// Panels in a row.
const COLUMNS: usize = 4;
/// Bins of a histogram of draws.
const BINS: usize = 60;
/// Points of a curve.
const POINTS: usize = 120;
const GREY: RGBColor = RGBColor(190, 190, 190);
const DARK: RGBColor = RGBColor(8, 81, 156);

/// An area with its axes.
pub type Chart<'b, D> = ChartContext<'b, D, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A titled pair of axes without a mesh, with words below.
///
/// # Errors
/// Those of the drawing.
pub fn panel<'b, D: DrawingBackend>(
    area: &DrawingArea<D, Shift>,
    (title, below): (&str, &str),
    x: Range<f64>,
    y: Range<f64>,
) -> Result<Chart<'b, D>, Failure> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(if below.is_empty() { 24 } else { 42 })
        .y_label_area_size(44)
        .build_cartesian_2d(x, y)
        .map_err(|e| e.to_string())?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_mesh().x_labels(5).y_labels(4);
    if !below.is_empty() {
        mesh.x_desc(below).axis_desc_style(("sans-serif", 12));
    }
    mesh.draw().map_err(|e| e.to_string())?;
    Ok(chart)
}

/// What a panel is called: the engine's name without the kind of scalar.
fn title(name: &str) -> String {
    match name.split_once('.') {
        Some(("hyper_internal", rest)) => format!("{rest} (internal scale)"),
        Some(("random" | "coefficients", rest)) => rest.replacen('.', " ", 1),
        Some((_, rest)) => rest.to_owned(),
        None => name.to_owned(),
    }
}

/// Coefficients, hyperparameters but variances and covariances, and the levels of random effects that are furthest off.
fn shown(report: &Report) -> Vec<&Difference> {
    let kept = |d: &&Difference| {
        let variance = d.name.contains(".variance[") || d.name.contains(".covariance[");
        d.distance.is_some() && !variance
    };
    let of = |group: Group| report.differences.iter().filter(kept).filter(move |d| d.group == group);
    let mut latent: Vec<&Difference> = of(Group::Latent).collect();
    latent.sort_by(|a, b| b.distance.unwrap_or(0.0).total_cmp(&a.distance.unwrap_or(0.0)));
    let named = of(Group::Fixed).chain(of(Group::Hyper)).take(PANELS - LEVELS);
    named.chain(latent.into_iter().take(LEVELS)).collect()
}

/// Draws the figure of a fit; nothing where the reference keeps no distributions.
///
/// # Errors
/// Those of the drawing.
pub fn draw(
    case: &Case,
    known: &HashMap<String, Distribution>,
    fit: &Fit,
    report: &Report,
    file: &Path,
) -> Result<(), Failure> {
    let panels = shown(report);
    if panels.is_empty() {
        return Ok(());
    }
    let ours = marginals(fit);
    let by_name: HashMap<String, &Distribution> =
        known.iter().filter_map(|(name, d)| Some((case.engine_name(name)?, d))).collect();
    let columns = panels.len().min(COLUMNS);
    let rows = panels.len().div_ceil(columns);
    let root = SVGBackend::new(file, (PANEL.0 * columns as u32, PANEL.1 * rows as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, difference) in root.split_evenly((rows, columns)).iter().zip(panels) {
        let (Some(marginal), Some(reference)) = (ours.get(&difference.name), by_name.get(&difference.name)) else {
            continue;
        };
        density(area, difference, marginal, reference)?;
    }
    root.present()?;
    Ok(())
}

/// The engine's density over the reference's histogram.
fn density<D: DrawingBackend>(
    area: &DrawingArea<D, Shift>,
    difference: &Difference,
    marginal: &Marginal,
    reference: &Distribution,
) -> Result<(), Failure> {
    let (low, high) = (marginal.quantile(0.002), marginal.quantile(0.998));
    let curve: Vec<(f64, f64)> =
        (0..=POINTS).map(|k| low + (high - low) * k as f64 / POINTS as f64).map(|x| (x, marginal.pdf(x))).collect();
    let bars: Vec<[f64; 3]> = reference.histogram(BINS).into_iter().filter(|b| b[0] < high && b[1] > low).collect();
    let top = curve.iter().map(|p| p.1).chain(bars.iter().map(|b| b[2])).fold(0.0, f64::max);
    let below = format!("mean {:+.3} sd, KS {:.3}", difference.mean, difference.distance.unwrap_or(0.0));
    let mut chart = panel(area, (&title(&difference.name), &below), low..high, 0.0..1.1 * top)?;
    let bars = bars
        .iter()
        .map(|&[left, right, height]| Rectangle::new([(left.max(low), 0.0), (right.min(high), height)], GREY.filled()));
    chart.draw_series(bars).map_err(|e| e.to_string())?;
    chart.draw_series(LineSeries::new(curve, DARK.stroke_width(2))).map_err(|e| e.to_string())?;
    Ok(())
}
