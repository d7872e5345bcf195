//! Patterns on which factorisations are compared: those that latent Gaussian models make.

use std::sync::Arc;

use gmrf::SparsityPattern;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::lattice_edges;

/// A diagonally dominant matrix with its name.
pub struct Matrix {
    /// What it stands for.
    pub name: &'static str,
    /// Its lower triangle.
    pub pattern: Arc<SparsityPattern>,
    /// The values on it.
    pub values: Vec<f64>,
}

/// All of them, largest last within each kind.
pub const NAMES: [&str; 11] = [
    "lattice-2d-100",
    "lattice-2d-316",
    "lattice-2d-700",
    "lattice-3d-20",
    "lattice-3d-40",
    "geometric-50000",
    "ar1-lattice-30",
    "crossed",
    "arrowhead",
    "near-dense-1500",
    "path-100000",
];

/// The matrix called `name`: minus one for every edge, degree plus a tenth on the diagonal.
///
/// # Panics
/// At a name that is not among [`NAMES`].
pub fn matrix(name: &'static str) -> Matrix {
    let size = || name.rsplit('-').next().and_then(|n| n.parse::<usize>().ok()).expect("a size in the name");
    let (n, edges) = match name.rsplit_once('-').map_or(name, |(kind, _)| kind) {
        "lattice-2d" => (size().pow(2), lattice_edges(size())),
        "lattice-3d" => (size().pow(3), cube_edges(size())),
        "geometric" => (size(), geometric_edges(size())),
        "ar1-lattice" => (size() * 1600, space_time_edges(size(), 40)),
        "near-dense" => (size(), near_dense_edges(size())),
        "path" => (size(), (1..size()).map(|i| (i - 1, i)).collect()),
        _ if name == "crossed" => (4100, crossed_edges()),
        _ if name == "arrowhead" => (100_020, arrowhead_edges()),
        _ => panic!("no matrix is called {name}"),
    };
    let pattern = Arc::new(SparsityPattern::from_entries(n, edges.iter().copied()).expect("edges are inside"));
    let mut values: Vec<f64> = pattern.entries().map(|(i, j)| if i == j { 0.1 } else { -1.0 }).collect();
    let off_diagonal: Vec<(usize, usize)> = pattern.entries().filter(|(i, j)| i != j).collect();
    for (i, j) in off_diagonal {
        values[pattern.column_start(i)] += 1.0;
        values[pattern.column_start(j)] += 1.0;
    }
    Matrix { name, pattern, values }
}

fn cube_edges(side: usize) -> Vec<(usize, usize)> {
    let node = |i: usize, j: usize, k: usize| (i * side + j) * side + k;
    let mut edges = Vec::new();
    for i in 0..side {
        for j in 0..side {
            for k in 0..side {
                let next = [(i + 1, j, k), (i, j + 1, k), (i, j, k + 1)];
                let inside = next.into_iter().filter(|&(a, b, c)| a < side && b < side && c < side);
                edges.extend(inside.map(|(a, b, c)| (node(i, j, k), node(a, b, c))));
            }
        }
    }
    edges
}

/// Points scattered over a square, joined when closer than the distance that gives them seven neighbours on average.
fn geometric_edges(n: usize) -> Vec<(usize, usize)> {
    let mut random = ChaCha12Rng::seed_from_u64(7);
    let reach = (7.0 / (std::f64::consts::PI * n as f64)).sqrt();
    let cells = (1.0 / reach) as usize;
    let points: Vec<(f64, f64)> = (0..n).map(|_| (random.random(), random.random())).collect();
    let cell = |(x, y): (f64, f64)| ((x * cells as f64) as usize, (y * cells as f64) as usize);
    let mut members = vec![Vec::new(); cells * cells];
    points.iter().enumerate().for_each(|(i, &point)| members[cell(point).0 * cells + cell(point).1].push(i));
    let mut edges = Vec::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        let (a, b) = cell((x, y));
        for a in a.saturating_sub(1)..(a + 2).min(cells) {
            for b in b.saturating_sub(1)..(b + 2).min(cells) {
                let near = |j: &&usize| **j > i && (points[**j].0 - x).hypot(points[**j].1 - y) < reach;
                edges.extend(members[a * cells + b].iter().filter(near).map(|&j| (i, j)));
            }
        }
    }
    edges
}

/// A first-order autoregression in time of a lattice: each node meets itself and its neighbours at the next time.
fn space_time_edges(times: usize, side: usize) -> Vec<(usize, usize)> {
    let n = side * side;
    let space = lattice_edges(side);
    let mut edges = Vec::new();
    for t in 0..times {
        edges.extend(space.iter().map(|&(a, b)| (t * n + a, t * n + b)));
        if t + 1 < times {
            edges.extend((0..n).map(|a| (t * n + a, (t + 1) * n + a)));
            edges.extend(space.iter().flat_map(|&(a, b)| [(t * n + a, (t + 1) * n + b), (t * n + b, (t + 1) * n + a)]));
        }
    }
    edges
}

/// 73 421 ratings by 2 972 students of 1 128 lecturers.
fn crossed_edges() -> Vec<(usize, usize)> {
    let mut random = ChaCha12Rng::seed_from_u64(3);
    (0..73_421).map(|_| (random.random_range(0..2972), 2972 + random.random_range(0..1128))).collect()
}

/// A path all of whose nodes meet twenty others.
fn arrowhead_edges() -> Vec<(usize, usize)> {
    let path = (1..100_000).map(|i| (i - 1, i));
    path.chain((0..100_000).flat_map(|i| (0..20).map(move |k| (i, 100_000 + k)))).collect()
}

/// Every second pair of nodes.
fn near_dense_edges(n: usize) -> Vec<(usize, usize)> {
    let mut random = ChaCha12Rng::seed_from_u64(9);
    let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
    pairs.filter(|_| random.random::<bool>()).collect()
}
