//! Problems that the benchmarks share.

pub mod patterns;
pub mod whole;

use std::sync::Arc;

use gmrf::SparsityPattern;

/// The five-point Laplacian of a `side × side` lattice plus `diagonal`.
pub fn lattice(side: usize, diagonal: f64) -> (Arc<SparsityPattern>, Vec<f64>) {
    let edges = lattice_edges(side);
    let pattern =
        Arc::new(SparsityPattern::from_entries(side * side, edges.iter().copied()).expect("edges are inside"));
    let mut values: Vec<f64> = pattern.entries().map(|(i, j)| if i == j { diagonal } else { -1.0 }).collect();
    for (i, j) in edges {
        values[pattern.column_start(i)] += 1.0;
        values[pattern.column_start(j)] += 1.0;
    }
    (pattern, values)
}

/// Neighbouring pairs of a `side × side` lattice.
pub fn lattice_edges(side: usize) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    for i in 0..side {
        for j in 0..side {
            let node = i * side + j;
            if j + 1 < side {
                edges.push((node, node + 1));
            }
            if i + 1 < side {
                edges.push((node, node + side));
            }
        }
    }
    edges
}

/// Deterministic counts around `exp(1)`: no generator, so that every run fits the same data.
pub fn counts(rows: usize) -> Vec<f64> {
    (0..rows).map(|i| ((i * 7 + 3) % 11 % 7) as f64).collect()
}
