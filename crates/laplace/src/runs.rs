//! Runs of rows on the same nodes, as those of a group whose coefficients they share: products with the design and what such rows add to
//! `H` are formed densely, run by run.

use std::ops::Range;

use gmrf::SparsityPattern;
use gmrf::rows::{add_weighted, add_weighted_squares, multiply, quadratic_forms};

use crate::design::Design;

/// Nodes of the widest rows whose run is worked on densely: its squares take 32 kB.
const WIDEST: usize = 64;
/// Rows from which a run is worked on densely: the squares are filled and spread once for all of them.
const LEAST_ROWS: usize = 3;

/// Runs of the distinct rows of a design.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    /// Where they start, and the end.
    starts: Vec<usize>,
    /// The run of every distinct row.
    of: Vec<u32>,
    /// Those that are worked on densely.
    dense: Vec<usize>,
}

/// Distinct rows that stand one after the other on the same nodes.
pub(crate) struct Run<'a> {
    index: usize,
    pub(crate) kinds: Range<usize>,
    pub(crate) nodes: &'a [usize],
    /// Row by row.
    values: &'a [f64],
}

enum Part<'a> {
    Dense(Run<'a>),
    /// Distinct rows that are worked on one by one.
    Rows(Range<usize>),
}

impl Runs {
    /// Of distinct rows on these nodes.
    pub(crate) fn new<'a>(rows: impl Iterator<Item = &'a [usize]>) -> Self {
        let (mut starts, mut of, mut dense, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (kind, nodes) in rows.enumerate() {
            if last != Some(nodes) {
                starts.push(kind);
            }
            last = Some(nodes);
            of.push(starts.len() as u32 - 1);
            if (1..=WIDEST).contains(&nodes.len()) && kind + 1 - starts[starts.len() - 1] == LEAST_ROWS {
                dense.push(starts.len() - 1);
            }
        }
        starts.push(of.len());
        Self { starts, of, dense }
    }
}

/// The places in the pattern of `H` of the pairs `a ≥ b` of the nodes of every run.
#[derive(Debug)]
pub(crate) struct PairSlots {
    slots: Vec<usize>,
    starts: Vec<usize>,
}

impl PairSlots {
    /// Of a settled design, all of whose pairs are on the pattern.
    pub(crate) fn new(pattern: &SparsityPattern, design: &Design) -> Self {
        let mut out = Self { slots: Vec::new(), starts: vec![0] };
        for run in design.each_run() {
            for (a, &row) in run.nodes.iter().enumerate() {
                let slot = |&column| pattern.position(row, column).expect("pairs of rows are on the pattern");
                out.slots.extend(run.nodes[..=a].iter().map(slot));
            }
            out.starts.push(out.slots.len());
        }
        out
    }

    /// Row by row the lower triangle of the pairs of a distinct row.
    pub(crate) fn of_kind(&self, design: &Design, kind: usize) -> &[usize] {
        self.of_run(design.runs().of[kind] as usize)
    }

    fn of_run(&self, run: usize) -> &[usize] {
        &self.slots[self.starts[run]..self.starts[run + 1]]
    }
}

impl Design {
    /// The runs of the distinct rows of a settled design in their order.
    pub(crate) fn each_run(&self) -> impl Iterator<Item = Run<'_>> {
        (0..self.runs().starts.len().saturating_sub(1)).map(|index| self.run(index))
    }

    fn run(&self, index: usize) -> Run<'_> {
        let kinds = self.runs().starts[index]..self.runs().starts[index + 1];
        let (nodes, values) = (self.distinct_row(kinds.start).0, self.distinct_values(kinds.clone()));
        Run { index, kinds, nodes, values }
    }

    /// All distinct rows in their order.
    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let dense = || self.runs().dense.iter().map(|&index| self.run(index));
        let starts = std::iter::once(0).chain(dense().map(|run| run.kinds.end));
        let ends = dense().map(|run| run.kinds.start).chain(std::iter::once(self.distinct_rows()));
        let between = starts.zip(ends).map(|(start, end)| Part::Rows(start..end));
        let runs = dense().map(|run| Some(Part::Dense(run))).chain(std::iter::once(None));
        between.zip(runs).flat_map(|(rows, run)| std::iter::once(rows).chain(run))
    }

    /// Room for the dense work on the widest run.
    pub(crate) fn room_of_runs(&self) -> usize {
        let widest = self.runs().dense.iter().map(|&index| self.run(index).nodes.len()).max().unwrap_or(0);
        widest * (widest + 1)
    }

    /// `out = A x`, without the offset.
    pub fn multiply(&self, x: &[f64], out: &mut [f64]) {
        let product = |kind: usize| {
            let (nodes, values) = self.distinct_row(kind);
            nodes.iter().zip(values).map(|(&j, a)| a * x[j]).sum()
        };
        if self.distinct_rows() < self.rows() {
            for i in 0..self.rows() {
                let like = self.like(i);
                out[i] = if like < i { out[like] } else { product(self.kind(i)) };
            }
            return;
        }
        let (mut own, mut found) = ([0.0; WIDEST], [0.0; WIDEST]);
        for part in self.parts() {
            match part {
                Part::Dense(run) => {
                    let own = &mut own[..run.nodes.len()];
                    own.iter_mut().zip(run.nodes).for_each(|(own, &j)| *own = x[j]);
                    if !self.has_kinds() {
                        multiply(run.values, own, &mut out[run.kinds]);
                        continue;
                    }
                    for (k, values) in run.values.chunks(WIDEST * own.len()).enumerate() {
                        let found = &mut found[..values.len() / own.len()];
                        multiply(values, own, found);
                        let start = run.kinds.start + k * WIDEST;
                        found.iter().enumerate().for_each(|(r, value)| out[self.first_of(start + r)] = *value);
                    }
                }
                Part::Rows(kinds) => kinds.for_each(|kind| out[self.first_of(kind)] = product(kind)),
            }
        }
    }

    /// `out += Aᵀ u`; `sums` has room for every distinct row.
    pub fn add_transposed(&self, u: &[f64], sums: &mut [f64], out: &mut [f64]) {
        let u = self.sums(u, sums);
        let mut own = [0.0; WIDEST];
        for part in self.parts() {
            match part {
                Part::Dense(run) => {
                    let own = &mut own[..run.nodes.len()];
                    own.fill(0.0);
                    add_weighted(&u[run.kinds.clone()], run.values, own);
                    own.iter().zip(run.nodes).for_each(|(own, &j)| out[j] += own);
                }
                Part::Rows(kinds) => {
                    for kind in kinds.filter(|&kind| u[kind] != 0.0) {
                        let (nodes, values) = self.distinct_row(kind);
                        nodes.iter().zip(values).for_each(|(&j, a)| out[j] += a * u[kind]);
                    }
                }
            }
        }
    }

    /// `out += AᵀWA` on the pattern of `H`, for one weight for each distinct row.
    pub(crate) fn add_squares(&self, slots: &PairSlots, weights: &[f64], room: &mut [f64], out: &mut [f64]) {
        for part in self.parts() {
            match part {
                Part::Dense(run) => {
                    let width = run.nodes.len();
                    let squares = &mut room[..width * width];
                    squares.fill(0.0);
                    add_weighted_squares(&weights[run.kinds], run.values, width, squares);
                    let mut slots = slots.of_run(run.index).iter();
                    for (a, row) in squares.chunks_exact(width).enumerate() {
                        row[..=a].iter().zip(&mut slots).for_each(|(square, &slot)| out[slot] += square);
                    }
                }
                Part::Rows(kinds) => {
                    for kind in kinds.filter(|&kind| weights[kind] != 0.0) {
                        let (_, values) = self.distinct_row(kind);
                        let mut slots = slots.of_kind(self, kind).iter();
                        for (a, left) in values.iter().enumerate() {
                            let left = weights[kind] * left;
                            values[..=a].iter().zip(&mut slots).for_each(|(right, &slot)| out[slot] += left * right);
                        }
                    }
                }
            }
        }
    }

    /// `diag(AΣAᵀ)`, one for each distinct row, from the values of `Σ` on the pattern of `H`.
    pub(crate) fn fill_variances(&self, slots: &PairSlots, covariance: &[f64], room: &mut [f64], out: &mut [f64]) {
        for part in self.parts() {
            match part {
                Part::Dense(run) => {
                    let width = run.nodes.len();
                    let (matrix, product) = room[..width * (width + 1)].split_at_mut(width * width);
                    let mut slots = slots.of_run(run.index).iter();
                    for a in 0..width {
                        for (b, &slot) in (0..=a).zip(&mut slots) {
                            (matrix[a * width + b], matrix[b * width + a]) = (covariance[slot], covariance[slot]);
                        }
                    }
                    quadratic_forms(run.values, matrix, width, product, &mut out[run.kinds]);
                }
                Part::Rows(kinds) => {
                    for kind in kinds {
                        let (_, values) = self.distinct_row(kind);
                        let mut slots = slots.of_kind(self, kind).iter();
                        let mut variance = 0.0;
                        for (a, left) in values.iter().enumerate() {
                            let pairs = values[..a].iter().zip(&mut slots);
                            let others: f64 = pairs.map(|(right, &slot)| right * covariance[slot]).sum();
                            let own = slots.next().map_or(0.0, |&slot| left * covariance[slot]);
                            variance += left * (2.0 * others + own);
                        }
                        out[kind] = variance;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows whose runs are of one, two, three and five rows, an empty one and a wide one among them; `settle` or not.
    fn design(settled: bool) -> Design {
        let mut design = Design::new(70);
        let wide: Vec<usize> = (0..70).collect();
        let runs: [(&[usize], usize); 8] =
            [(&[0, 2], 1), (&[1], 2), (&[1, 3, 4], 5), (&[], 3), (&[5], 3), (&wide, 3), (&[0, 1], 4), (&[6], 1)];
        for (nodes, count) in runs {
            for _ in 0..count {
                let i = design.rows();
                let row: Vec<(usize, f64)> = nodes.iter().map(|&j| (j, ((i + 1) * (j + 2) % 7) as f64 - 3.5)).collect();
                design.push_row(&row, 0.0).unwrap();
            }
        }
        if settled {
            design.settle();
        }
        design
    }

    #[test]
    fn runs_are_found_and_every_row_is_in_one_part() {
        let design = design(true);
        assert_eq!(design.runs().starts, [0, 1, 3, 8, 11, 14, 17, 21, 22]);
        // too short, empty and too wide ones are not
        assert_eq!(design.runs().dense, [2, 4, 6]);
        let kinds: Vec<usize> = design
            .parts()
            .flat_map(|part| match part {
                Part::Dense(run) => run.kinds,
                Part::Rows(kinds) => kinds,
            })
            .collect();
        assert_eq!(kinds, (0..22).collect::<Vec<_>>());
    }

    #[test]
    fn products_by_runs_are_those_row_by_row() {
        // halves of small integers: every sum is exact, in any order
        let (by_runs, by_rows) = (design(true), design(false));
        let m = by_rows.rows();
        let x: Vec<f64> = (0..70).map(|j| (j % 5) as f64 - 2.0).collect();
        let u: Vec<f64> = (0..m).map(|i| (i % 3) as f64 - 1.0).collect();
        let products = [&by_runs, &by_rows].map(|design| {
            let (mut forth, mut back) = (vec![0.0; m], vec![1.0; 70]);
            design.multiply(&x, &mut forth);
            design.add_transposed(&u, &mut [], &mut back);
            (forth, back)
        });
        assert_eq!(products[0], products[1]);
        assert!(products[0].0.iter().any(|value| *value != 0.0));
    }

    #[test]
    fn squares_and_variances_by_runs_are_those_row_by_row() {
        let design = design(true);
        let m = design.rows();
        let pattern = SparsityPattern::from_entries(70, (0..70).flat_map(|i| (0..=i).map(move |j| (i, j)))).unwrap();
        let slots = PairSlots::new(&pattern, &design);
        let mut room = vec![f64::NAN; design.room_of_runs()];
        let weights: Vec<f64> = (0..m).map(|i| (i % 4) as f64).collect();
        let mut squares = vec![0.5; pattern.nnz()];
        design.add_squares(&slots, &weights, &mut room, &mut squares);
        let covariance: Vec<f64> = (0..pattern.nnz()).map(|k| (k % 9) as f64 - 4.0).collect();
        let mut variances = vec![f64::NAN; m];
        design.fill_variances(&slots, &covariance, &mut room, &mut variances);
        let mut expected = vec![0.5; pattern.nnz()];
        for i in 0..m {
            let (nodes, values) = design.row(i);
            let mut variance = 0.0;
            for (&a, left) in nodes.iter().zip(values) {
                for (&b, right) in nodes.iter().zip(values) {
                    let slot = pattern.position(a.max(b), a.min(b)).unwrap();
                    variance += left * right * covariance[slot];
                    if a >= b {
                        expected[slot] += weights[i] * left * right;
                    }
                }
            }
            assert_eq!(variances[i], variance, "row {i}");
            assert_eq!(slots.of_kind(&design, i).len(), nodes.len() * (nodes.len() + 1) / 2);
        }
        assert_eq!(squares, expected);
    }

    #[test]
    fn wide_rows_on_the_same_nodes_are_brought_together_wherever_they_stand() {
        let build = |settled: bool| {
            let mut design = Design::new(40);
            for i in 0..100 {
                // a node of the row's group beside eight common ones; one row is alone
                let group = if i == 57 { 39 } else { 8 + i * 7 % 5 };
                let node = |j: usize| if j == 8 { group } else { j };
                let row: Vec<(usize, f64)> =
                    (0..9).map(|j| (node(j), ((i + 1) * (j + 2) % 11) as f64 - 4.5 + i as f64)).collect();
                design.push_row(&row, 0.0).unwrap();
            }
            if settled {
                design.settle();
            }
            design
        };
        let (together, apart) = (build(true), build(false));
        assert!(together.has_kinds() && together.runs().starts.len() == 7 && together.runs().dense.len() == 5);
        // halves of integers: every sum is exact, in any order
        let x: Vec<f64> = (0..40).map(|j| (j % 5) as f64 - 2.0).collect();
        let u: Vec<f64> = (0..100).map(|i| (i % 3) as f64 - 1.0).collect();
        let pattern = SparsityPattern::from_entries(40, (0..40).flat_map(|i| (0..=i).map(move |j| (i, j)))).unwrap();
        let products = [&together, &apart].map(|design| {
            let (mut forth, mut back, mut sums) = (vec![0.0; 100], vec![1.0; 40], vec![0.0; 100]);
            design.multiply(&x, &mut forth);
            design.add_transposed(&u, &mut sums, &mut back);
            let rows: Vec<(Vec<usize>, Vec<f64>)> =
                (0..100).map(|i| (design.row(i).0.to_vec(), design.row(i).1.to_vec())).collect();
            (forth, back, rows)
        });
        assert_eq!(products[0], products[1]);
        let (slots, mut sums) = (PairSlots::new(&pattern, &together), vec![0.0; 100]);
        let (mut room, mut squares) = (vec![f64::NAN; together.room_of_runs()], vec![0.5; pattern.nnz()]);
        together.add_squares(&slots, together.sums(&u, &mut sums), &mut room, &mut squares);
        let covariance: Vec<f64> = (0..pattern.nnz()).map(|k| (k % 9) as f64 - 4.0).collect();
        let mut variances = vec![f64::NAN; 100];
        together.fill_variances(&slots, &covariance, &mut room, &mut variances);
        let mut expected = vec![0.5; pattern.nnz()];
        for i in 0..100 {
            let (nodes, values) = apart.row(i);
            let mut variance = 0.0;
            for (&a, left) in nodes.iter().zip(values) {
                for (&b, right) in nodes.iter().zip(values) {
                    let slot = pattern.position(a.max(b), a.min(b)).unwrap();
                    variance += left * right * covariance[slot];
                    expected[slot] += if a >= b { u[i] * left * right } else { 0.0 };
                }
            }
            assert_eq!(variances[together.kind(i)], variance, "row {i}");
        }
        assert_eq!(squares, expected);
    }
}
