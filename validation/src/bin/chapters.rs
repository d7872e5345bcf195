//! The plots of `docs/hierarchical.md`: `cargo run --release -p validation --bin chapters` writes them to `docs/figures/`.

use std::ops::Range;
use std::path::PathBuf;

use inla::{Fit, Named, Resources, Table};
use inla_cli::ModelFile;
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
    curves("curves", &counts)?;
    growth("growth")?;
    fields("fields")
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

/// An example with its table.
fn example(model: &str) -> Result<(Table, Fit), Failure> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(model);
    let file = ModelFile::read(&path)?;
    let table = Table::from_csv_path(&file.data)?;
    let resources = Resources { directory: Some(file.directory), ..Resources::default() };
    let fit = Fit::new(&file.specification, &table, &resources)?;
    Ok((table, fit))
}

/// Counts of every group with the expected curve and its band of 95 %.
fn growth(name: &str) -> Result<(), Failure> {
    let (table, fit) = example("growth_curves/model.toml")?;
    let (s, y) = (table.numeric("s")?, table.numeric("y")?);
    let (groups, codes) = table.factor("group")?;
    let fitted: Vec<_> = fit.fitted().iter().map(inla::Marginal::summary).collect();
    let top = fitted.iter().map(|f| f.q0_975).chain(y.iter().copied()).fold(0.0, f64::max);
    let file = path(name)?;
    let root = SVGBackend::new(&file, (PANEL.0 * 4, PANEL.1 * 3)).into_drawing_area();
    root.fill(&WHITE)?;
    for (k, (group, area)) in groups.iter().zip(root.split_evenly((3, 4))).enumerate() {
        let mut rows: Vec<usize> = (0..y.len()).filter(|&row| codes[row] == Some(k)).collect();
        rows.sort_by(|&a, &b| s[a].total_cmp(&s[b]));
        let mut chart = panel(&area, group, 0.0..1.0, 0.0..1.05 * top)?;
        let upper = rows.iter().map(|&row| (s[row], fitted[row].q0_975));
        let lower = rows.iter().rev().map(|&row| (s[row], fitted[row].q0_025));
        let band = std::iter::once(Polygon::new(upper.chain(lower).collect::<Vec<_>>(), BLUE_BAND.filled()));
        chart.draw_series(band).map_err(|e| e.to_string())?;
        let mean = rows.iter().map(|&row| (s[row], fitted[row].mean));
        chart.draw_series(LineSeries::new(mean, DARK.stroke_width(2))).map_err(|e| e.to_string())?;
        let points = rows.iter().map(|&row| Circle::new((s[row], y[row]), 3, BLACK.filled()));
        chart.draw_series(points).map_err(|e| e.to_string())?;
    }
    root.present()?;
    Ok(())
}

/// Relative risks of the counties in one period against the other, and the densities of what couples them.
fn fields(name: &str) -> Result<(), Failure> {
    let (table, fit) = example("nc_sids/mcar.toml")?;
    let half = table.rows() / 2;
    let risks: Vec<f64> = fit.fitted().iter().map(|f| f.summary().mean).collect();
    let top = 1.05 * risks.iter().copied().fold(0.0, f64::max);
    let file = path(name)?;
    let root = SVGBackend::new(&file, (PANEL.0 * 4, PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((1, 4));
    let mut chart = panel(&areas[0], "relative risk, 1979-84 against 1974-78", 0.0..top, 0.0..top)?;
    chart.draw_series(LineSeries::new([(0.0, 0.0), (top, top)], GREY)).map_err(|e| e.to_string())?;
    let points = (0..half).map(|k| Circle::new((risks[k], risks[half + k]), 2, DARK.filled()));
    chart.draw_series(points).map_err(|e| e.to_string())?;
    let hyper = fit.hyperparameters();
    for (area, wanted) in areas[1..].iter().zip(["county.sd[p74]", "county.sd[p79]", "county.rho[p74,p79]"]) {
        let named = hyper.iter().find(|n| n.name == wanted).ok_or_else(|| format!("no {wanted}"))?;
        let (low, high) = (named.marginal.quantile(0.001), named.marginal.quantile(0.999));
        let curve: Vec<(f64, f64)> =
            (0..=200).map(|k| low + (high - low) * f64::from(k) / 200.0).map(|x| (x, named.marginal.pdf(x))).collect();
        let top = curve.iter().map(|p| p.1).fold(0.0, f64::max);
        let mut chart = panel(area, wanted, low..high, 0.0..1.1 * top)?;
        chart.draw_series(LineSeries::new(curve, DARK.stroke_width(2))).map_err(|e| e.to_string())?;
    }
    root.present()?;
    Ok(())
}
