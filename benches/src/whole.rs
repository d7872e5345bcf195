//! Models that are fitted whole: data sets of the examples, and simulated twins of larger ones.

use gmrf::Graph;
use inla::{Effect, ModelBuilder, Table};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, Normal, Poisson};

use crate::lattice_edges;

/// A model with its data.
pub struct Problem {
    /// What is fitted.
    pub model: ModelBuilder,
    /// To which data.
    pub table: Table,
}

/// Names of the problems, and whether they are run unasked.
pub const PROBLEMS: [(&str, bool); 18] = [
    ("seeds", true),
    ("epil", true),
    ("tokyo", true),
    ("bym2-544", true),
    ("bym2-3107", true),
    ("crossed", true),
    ("car-50", true),
    ("car-100", true),
    ("car-200", true),
    ("car-512", false),
    ("car-1000", false),
    ("ar1-car", false),
    ("iid-10000", true),
    ("iid-100000", true),
    ("rw1-10000", false),
    ("rw1-100000", true),
    ("trials-100000", false),
    ("trials-1000000", false),
];

const PRECISION: &str = "pc.prec(1, 0.01)";

/// The problem called `name`.
///
/// # Panics
/// At a name that is not among [`PROBLEMS`].
pub fn problem(name: &str) -> Problem {
    let number = || name.rsplit('-').next().and_then(|n| n.parse().ok()).expect("a size in the name");
    match name.split('-').next().unwrap_or_default() {
        "seeds" => seeds(),
        "epil" => epil(),
        "tokyo" => tokyo(),
        "bym2" => bym2(number()),
        "crossed" => crossed(),
        "car" => car(number()),
        "ar1" => ar1_car(),
        "iid" => line(number(), "iid"),
        "rw1" => line(number(), "rw1"),
        "trials" => trials(number()),
        _ => panic!("no problem is called {name}"),
    }
}

fn example(name: &str) -> Table {
    let path = format!("{}/../examples/{name}/data.csv", env!("CARGO_MANIFEST_DIR"));
    Table::from_csv_path(&path).expect("the example's data")
}

fn seeds() -> Problem {
    let effect = Effect::new("plate", "iid").option("precision", PRECISION);
    let model = ModelBuilder::new("r", "binomial").fixed("x1").fixed("x2").fixed("x1:x2").effect(effect).trials("n");
    Problem { model, table: example("seeds") }
}

fn epil() -> Problem {
    let mut model = ModelBuilder::new("y", "poisson").fixed_precision(0.001).intercept_precision(0.001);
    for term in ["log_base4", "trt", "log_base4:trt", "log_age", "v4"] {
        model = model.fixed(term);
    }
    for column in ["subject", "observation"] {
        model = model.effect(Effect::new(column, "iid").option("precision", PRECISION));
    }
    Problem { model, table: example("epil") }
}

fn table(columns: &[(&str, Vec<f64>)]) -> Table {
    let add =
        |table: Table, (name, values): &(&str, Vec<f64>)| table.with_numeric(name, values).expect("equal lengths");
    columns.iter().fold(Table::new(), add)
}

fn index(n: usize) -> Vec<f64> {
    (1..=n).map(|i| i as f64).collect()
}

/// Twin of the Tokyo rainfall: two Bernoulli trials on each of 366 days, a cyclic second-order walk.
fn tokyo() -> Problem {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let rain = (0..366).map(|day| {
        let angle = day as f64 / 366.0 * std::f64::consts::TAU;
        let p = 1.0 / (1.0 + (1.1 + 0.7 * angle.cos() - 0.6 * (2.0 * angle).sin()).exp());
        (0..2).map(|_| f64::from(random.random::<f64>() < p)).sum()
    });
    let table = table(&[("y", rain.collect()), ("trials", vec![2.0; 366]), ("day", index(366))]);
    let effect = Effect::new("day", "rw2").option("cyclic", "TRUE").option("precision", PRECISION);
    let model = ModelBuilder::new("y", "binomial").without_intercept().effect(effect.option("constr", "FALSE"));
    Problem { model: model.trials("trials"), table }
}

/// A planar graph of `n` regions: a lattice with a diagonal in every other cell, as crowded as a map.
fn regions(n: usize) -> Graph {
    let side = (n as f64).sqrt().ceil() as usize;
    let mut edges = lattice_edges(side);
    for i in 0..side - 1 {
        edges.extend((0..side - 1).filter(|j| (i + j) % 2 == 0).map(|j| (i * side + j, (i + 1) * side + j + 1)));
    }
    edges.retain(|&(a, b)| a < n && b < n);
    Graph::from_edges(n, edges).expect("edges are inside")
}

fn counts_around(log_mean: impl Iterator<Item = f64>, random: &mut ChaCha12Rng) -> Vec<f64> {
    log_mean.map(|eta| Poisson::new(eta.exp()).expect("a finite mean").sample(random)).collect()
}

/// Disease counts in `n` regions.
fn bym2(n: usize) -> Problem {
    let mut random = ChaCha12Rng::seed_from_u64(2);
    let noise = Normal::new(0.0, 0.2).expect("a scale");
    let side = (n as f64).sqrt();
    let exposure: Vec<f64> = (0..n).map(|i| 5.0 + (i * 37 % 40) as f64).collect();
    let smooth = |i: usize| 0.5 * (i as f64 / side / side * 6.0).sin();
    let etas: Vec<f64> = (0..n).map(|i| exposure[i].ln() + smooth(i) + noise.sample(&mut random)).collect();
    let y = counts_around(etas.into_iter(), &mut random);
    let table = table(&[("y", y), ("E", exposure), ("region", index(n))]);
    let effect = Effect::new("region", "bym2").graph(regions(n)).option("precision", PRECISION);
    Problem { model: ModelBuilder::new("y", "poisson").exposure("E").effect(effect), table }
}

/// Twin of InstEval: 73 421 ratings by 2 972 students of 1 128 lecturers.
fn crossed() -> Problem {
    const SIZES: (usize, usize, usize) = (73_421, 2_972, 1_128);
    let mut random = ChaCha12Rng::seed_from_u64(3);
    let mut draw = |n: usize, sd: f64| -> Vec<f64> {
        let normal = Normal::new(0.0, sd).expect("a scale");
        (0..n).map(|_| normal.sample(&mut random)).collect()
    };
    let (students, lecturers, noise) = (draw(SIZES.1, 0.33), draw(SIZES.2, 0.52), draw(SIZES.0, 1.18));
    let (mut s, mut d, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..SIZES.0 {
        let student = if row < SIZES.1 { row } else { random.random_range(0..SIZES.1) };
        let lecturer = if row < SIZES.2 { row } else { random.random_range(0..SIZES.2) };
        s.push(student as f64);
        d.push(lecturer as f64);
        y.push(3.2 + students[student] + lecturers[lecturer] + noise[row]);
    }
    let model = ["s", "d"].into_iter().fold(ModelBuilder::new("y", "gaussian"), |model, column| {
        model.effect(Effect::new(column, "iid").option("precision", PRECISION))
    });
    Problem { model, table: table(&[("y", y), ("s", s), ("d", d)]) }
}

/// Poisson counts on a `side × side` lattice with a proper conditional autoregression.
fn car(side: usize) -> Problem {
    let mut random = ChaCha12Rng::seed_from_u64(4);
    let wave = |i: usize| (i as f64 / side as f64 * 7.0).sin();
    let etas: Vec<f64> = (0..side * side).map(|k| 0.5 + 0.4 * wave(k / side) * wave(k % side)).collect();
    let y = counts_around(etas.into_iter(), &mut random);
    let graph = Graph::from_edges(side * side, lattice_edges(side)).expect("edges are inside");
    let effect = Effect::new("node", "besagproper").graph(graph).option("precision", PRECISION);
    let table = table(&[("y", y), ("node", index(side * side))]);
    Problem { model: ModelBuilder::new("y", "poisson").intercept_precision(0.001).effect(effect), table }
}

/// A first-order autoregression over 50 times of a proper conditional autoregression on 45² regions.
fn ar1_car() -> Problem {
    const SIDE: usize = 45;
    const TIMES: usize = 50;
    let mut random = ChaCha12Rng::seed_from_u64(5);
    let (mut region, mut time, mut etas) = (Vec::new(), Vec::new(), Vec::new());
    for t in 0..TIMES {
        for k in 0..SIDE * SIDE {
            region.push((k + 1) as f64);
            time.push((t + 1) as f64);
            etas.push(0.5 + 0.5 * ((k / SIDE) as f64 / 9.0 + t as f64 / 12.0).sin() * ((k % SIDE) as f64 / 8.0).cos());
        }
    }
    let y = counts_around(etas.into_iter(), &mut random);
    let graph = Graph::from_edges(SIDE * SIDE, lattice_edges(SIDE)).expect("edges are inside");
    let effect = Effect::new("region", "besagproper").graph(graph).option("precision", PRECISION);
    let effect = effect.option("group", "time").option("group_model", "ar1");
    let table = table(&[("y", y), ("region", region), ("time", time)]);
    Problem { model: ModelBuilder::new("y", "poisson").intercept_precision(0.001).effect(effect), table }
}

/// Poisson counts along a line of `n` nodes.
fn line(n: usize, effect: &str) -> Problem {
    let mut random = ChaCha12Rng::seed_from_u64(6);
    let noise = Normal::new(0.0, 0.3).expect("a scale");
    let etas: Vec<f64> = (0..n).map(|i| (i as f64 / n as f64 * 9.0).sin() + noise.sample(&mut random)).collect();
    let y = counts_around(etas.into_iter(), &mut random);
    let effect = Effect::new("node", effect).option("precision", PRECISION);
    let model = ModelBuilder::new("y", "poisson").intercept_precision(0.001).effect(effect);
    Problem { model, table: table(&[("y", y), ("node", index(n))]) }
}

/// `n` Bernoulli trials in 2 000 groups, with four covariates that differ from trial to trial.
fn trials(n: usize) -> Problem {
    const GROUPS: usize = 2_000;
    const SLOPES: [f64; 4] = [0.5, -0.3, 0.2, 0.0];
    let mut random = ChaCha12Rng::seed_from_u64(7);
    let normal = Normal::new(0.0, 1.0).expect("a scale");
    let levels: Vec<f64> = (0..GROUPS).map(|_| 0.5 * normal.sample(&mut random)).collect();
    let group: Vec<usize> = (0..n).map(|i| i * GROUPS / n).collect();
    let covariates: Vec<Vec<f64>> =
        SLOPES.iter().map(|_| (0..n).map(|_| normal.sample(&mut random)).collect()).collect();
    let eta = |i: usize| levels[group[i]] - 1.0 + SLOPES.iter().zip(&covariates).map(|(b, x)| b * x[i]).sum::<f64>();
    let y = (0..n).map(|i| f64::from(random.random::<f64>() < 1.0 / (1.0 + (-eta(i)).exp()))).collect();
    let mut columns = vec![("y", y), ("group", group.iter().map(|&g| g as f64).collect())];
    let mut model =
        ModelBuilder::new("y", "binomial").effect(Effect::new("group", "iid").option("precision", PRECISION));
    for (name, values) in ["x1", "x2", "x3", "x4"].into_iter().zip(covariates) {
        model = model.fixed(name);
        columns.push((name, values));
    }
    Problem { model, table: table(&columns) }
}

#[cfg(test)]
mod tests {
    use super::problem;

    /// A warm search for the mode adds at most two factors to the one of an evaluation with its gradient, and none for a Gaussian
    /// likelihood, which needs no search; the first of a fit factors its starting point too.
    #[test]
    fn an_evaluation_takes_few_factors() {
        for (name, most) in [("seeds", 3), ("epil", 3), ("tokyo", 3), ("bym2-544", 3), ("car-50", 3), ("crossed", 1)] {
            let problem = problem(name);
            let fit = problem.model.fit(&problem.table).unwrap_or_else(|error| panic!("{name}: {error}"));
            let counts = &fit.posterior().diagnostics;
            assert!(counts.evaluations > 10, "{name}: {} evaluations", counts.evaluations);
            assert!(
                counts.factorisations <= most * counts.evaluations + 1,
                "{name}: {} factors for {} evaluations",
                counts.factorisations,
                counts.evaluations
            );
        }
    }
}
