//! The plots of `docs/hierarchical.md`: `cargo run --release -p validation --bin chapters` writes them to `docs/figures/`.

use std::ops::Range;
use std::path::PathBuf;

use inla::Named;
use plotters::prelude::*;
use validation::{Failure, Hierarchy};

/// Pixels of a panel.
const PANEL: (u32, u32) = (300, 220);
/// Bins of a histogram.
const BINS: usize = 60;
const GREY: RGBColor = RGBColor(190, 190, 190);
const BLUE_BAND: RGBColor = RGBColor(198, 219, 239);
const DARK: RGBColor = RGBColor(8, 81, 156);

fn main() -> Result<(), Failure> {
    let scores = Hierarchy::scores(1);
    densities("scores", &scores, 40_000, &["θ₁", "θ₂", "Σ₁₁", "Σ₁₂", "Σ₂₂"])?;
    let counts = Hierarchy::counts(1);
    let names = ["θ₁", "θ₂", "θ₃", "θ₄", "θ₅", "Σ₁₁", "Σ₂₁", "Σ₂₂", "Σ₃₁", "Σ₃₂", "Σ₃₃", "Σ₄₁"];
    densities("counts", &counts, 200_000, &names)?;
    curves("curves", &counts)
}

fn path(name: &str) -> Result<PathBuf, Failure> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/figures");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}.svg")))
}

/// The engine's densities over histograms of the sampler's draws.
fn densities(name: &str, data: &Hierarchy, iterations: usize, titles: &[&str]) -> Result<(), Failure> {
    let fit = data.fit()?;
    let marginals = data.marginals(&fit);
    let draws = data.sample(iterations, 5)?;
    let columns = titles.len().min(4);
    let rows = titles.len().div_ceil(columns);
    let file = path(name)?;
    let root = SVGBackend::new(&file, (PANEL.0 * columns as u32, PANEL.1 * rows as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for ((area, title), (marginal, chain)) in
        root.split_evenly((rows, columns)).iter().zip(titles).zip(marginals.iter().zip(&draws.scalars))
    {
        density(area, title, marginal, chain)?;
    }
    root.present()?;
    Ok(())
}

fn density<D: DrawingBackend>(
    area: &DrawingArea<D, plotters::coord::Shift>,
    title: &str,
    named: &Named,
    chain: &[f64],
) -> Result<(), Failure>
where
    D::ErrorType: 'static,
{
    let mut sorted = chain.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[(share * (sorted.len() - 1) as f64) as usize];
    let (low, high) = (at(0.001), at(0.995));
    let width = (high - low) / BINS as f64;
    let mut heights = [0.0; BINS];
    for x in sorted.iter().filter(|x| (low..high).contains(*x)) {
        heights[(((x - low) / width) as usize).min(BINS - 1)] += 1.0 / (width * sorted.len() as f64);
    }
    let curve: Vec<(f64, f64)> = (0..=200)
        .map(|k| {
            let x = low + (high - low) * f64::from(k) / 200.0;
            (x, named.marginal.pdf(x))
        })
        .collect();
    let top = curve.iter().map(|p| p.1).chain(heights).fold(0.0, f64::max);
    let mut chart = panel(area, title, low..high, 0.0..1.1 * top)?;
    let bar = |(k, height): (usize, &f64)| {
        let left = low + width * k as f64;
        Rectangle::new([(left, 0.0), (left + width, *height)], GREY.filled())
    };
    chart.draw_series(heights.iter().enumerate().map(bar)).map_err(|e| e.to_string())?;
    chart.draw_series(LineSeries::new(curve, DARK.stroke_width(2))).map_err(|e| e.to_string())?;
    Ok(())
}

type Chart<'a, 'b, D> =
    ChartContext<'b, D, Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>>;

fn panel<'a, 'b, D: DrawingBackend>(
    area: &'a DrawingArea<D, plotters::coord::Shift>,
    title: &str,
    x: Range<f64>,
    y: Range<f64>,
) -> Result<Chart<'a, 'b, D>, Failure> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(44)
        .build_cartesian_2d(x, y)
        .map_err(|e| e.to_string())?;
    chart.configure_mesh().disable_mesh().x_labels(5).y_labels(4).draw().map_err(|e| e.to_string())?;
    Ok(chart)
}

/// The counts of some animals with their expected curves and bands of 95 %.
fn curves(name: &str, data: &Hierarchy) -> Result<(), Failure> {
    const SHOWN: usize = 8;
    let fitted = data.fit()?.fitted();
    let file = path(name)?;
    let root = SVGBackend::new(&file, (PANEL.0 * 4, PANEL.1 * 2)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut start = 0;
    for (group, (y, area)) in data.responses().zip(root.split_evenly((2, 4))).enumerate().take(SHOWN) {
        let own: Vec<_> = fitted[start..start + y.len()].iter().map(inla::Marginal::summary).collect();
        start += y.len();
        let x = |k: usize| (k as f64 + 0.5) / y.len() as f64;
        let top = own.iter().map(|s| s.q0_975).chain(y.iter().copied()).fold(0.0, f64::max);
        let mut chart = panel(&area, &format!("animal {}", group + 1), 0.0..1.0, 0.0..1.1 * top)?;
        let upper = own.iter().enumerate().map(|(k, s)| (x(k), s.q0_975));
        let lower = own.iter().enumerate().map(|(k, s)| (x(k), s.q0_025)).rev();
        let band = std::iter::once(Polygon::new(upper.chain(lower).collect::<Vec<_>>(), BLUE_BAND.filled()));
        chart.draw_series(band).map_err(|e| e.to_string())?;
        let mean = own.iter().enumerate().map(|(k, s)| (x(k), s.mean));
        chart.draw_series(LineSeries::new(mean, DARK.stroke_width(2))).map_err(|e| e.to_string())?;
        let points = y.iter().enumerate().map(|(k, y)| Circle::new((x(k), *y), 3, BLACK.filled()));
        chart.draw_series(points).map_err(|e| e.to_string())?;
    }
    root.present()?;
    Ok(())
}
