//! The design matrix `A(θ)` and offset of the linear predictor `η = A(θ) x + o`.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use gmrf::HyperparameterBlock;

use crate::error::LaplaceError;
use crate::runs::Runs;

/// A factor `β(θ)` of entries of the design: how strongly an effect is shared by another part of the model.
#[derive(Debug, Clone)]
pub struct Scaling {
    /// The name that results and errors call it by.
    pub name: String,
    /// Its one hyperparameter, whose transform leads to `β`, with its prior; a fixed one holds `β` there.
    pub block: HyperparameterBlock,
}

/// An entry `coefficient · β` of a row, for the scaling with this index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaledEntry {
    /// The column.
    pub node: usize,
    /// What multiplies `β`.
    pub coefficient: f64,
    /// The index of the scaling.
    pub scaling: usize,
}

/// A scaled entry in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlacedEntry {
    pub(crate) row: usize,
    /// Its place within the row.
    pub(crate) place: usize,
    pub(crate) coefficient: f64,
    pub(crate) scaling: usize,
}

/// A sparse `m × n` design matrix, row by row, with its offset; some entries may be multiples of hyperparameters.
#[derive(Debug, Clone)]
pub struct Design {
    nodes: usize,
    row_starts: Vec<usize>,
    columns: Vec<usize>,
    /// Without what is scaled, or with it once [`scale`](Self::scale) has set it.
    values: Vec<f64>,
    offset: Vec<f64>,
    scalings: Vec<Scaling>,
    scaled: Vec<PlacedEntry>,
    /// The values at the scaled entries without what is scaled.
    constant: Vec<f64>,
    /// Where rows alike share their entries, or stand in another order: which of the distinct rows each row is; empty where every row is
    /// its own.
    distinct: Vec<u32>,
    /// The first row of each kind.
    first: Vec<u32>,
    /// Of the distinct rows, once it is [settled](Self::settle).
    runs: Runs,
}

/// Rows alike share their entries where at most this share of the rows is distinct.
const WORTH_SHARING: f64 = 0.75;
/// Entries of a row, on average, from which rows on the same nodes are brought together: a row's pairs are then worth the way to it.
const WIDE: usize = 8;

impl Design {
    /// An empty design on `nodes` nodes; [`push_row`](Self::push_row) adds observations.
    pub fn new(nodes: usize) -> Self {
        Self::with_scalings(nodes, Vec::new())
    }

    /// An empty design some of whose entries are multiples of hyperparameters.
    pub fn with_scalings(nodes: usize, scalings: Vec<Scaling>) -> Self {
        Self {
            nodes,
            row_starts: vec![0],
            columns: Vec::new(),
            values: Vec::new(),
            offset: Vec::new(),
            scalings,
            scaled: Vec::new(),
            constant: Vec::new(),
            distinct: Vec::new(),
            first: Vec::new(),
            runs: Runs::default(),
        }
    }

    /// Adds the row `η = Σ a_j x_j + offset`. Entries on one node are summed, zeros dropped.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidModel`] for a node outside `0..n` or a number that is not finite.
    pub fn push_row(&mut self, row: &[(usize, f64)], offset: f64) -> Result<(), LaplaceError> {
        self.push_scaled_row(row, &[], offset)
    }

    /// Adds the row `η = Σ a_j x_j + Σ c_j β_j x_j + offset`. Entries on one node are summed, zeros dropped.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidModel`] for a node outside `0..n`, an unknown scaling or a number that is not finite.
    pub fn push_scaled_row(
        &mut self,
        row: &[(usize, f64)],
        scaled: &[ScaledEntry],
        offset: f64,
    ) -> Result<(), LaplaceError> {
        let i = self.rows();
        let invalid = |reason: String| Err(LaplaceError::InvalidModel { reason });
        let entries = || row.iter().copied().chain(scaled.iter().map(|s| (s.node, s.coefficient)));
        if let Some((j, value)) = entries().find(|&(j, value)| j >= self.nodes || !value.is_finite()) {
            return invalid(format!("row {i} of the design has entry {value} at node {j} of {}", self.nodes));
        }
        if let Some(entry) = scaled.iter().find(|s| s.scaling >= self.scalings.len()) {
            return invalid(format!(
                "row {i} of the design names scaling {} of {}",
                entry.scaling,
                self.scalings.len()
            ));
        }
        if !offset.is_finite() {
            return invalid(format!("the offset of row {i} is {offset}"));
        }
        // a scaled entry has its place even where what is not scaled is zero
        let places = scaled.iter().filter(|s| s.coefficient != 0.0);
        let mut sorted: Vec<(usize, f64, bool)> = row.iter().map(|&(j, value)| (j, value, false)).collect();
        sorted.extend(places.clone().map(|s| (s.node, 0.0, true)));
        sorted.sort_by_key(|&(j, _, _)| j);
        let start = self.columns.len();
        for (j, value, kept) in sorted {
            if self.columns.len() > start && self.columns.last() == Some(&j) {
                if let Some(last) = self.values.last_mut() {
                    *last += value;
                }
            } else if kept || value != 0.0 {
                self.columns.push(j);
                self.values.push(value);
            }
        }
        for &ScaledEntry { node, coefficient, scaling } in places {
            let place = self.columns[start..].partition_point(|&j| j < node);
            self.constant.push(self.values[start + place]);
            self.scaled.push(PlacedEntry { row: i, place, coefficient, scaling });
        }
        self.row_starts.push(self.columns.len());
        if !self.first.is_empty() {
            self.distinct.push(self.first.len() as u32);
            self.first.push(i as u32);
        }
        self.offset.push(offset);
        Ok(())
    }

    /// The factors of scaled entries.
    pub fn scalings(&self) -> &[Scaling] {
        &self.scalings
    }

    /// The scaled entries, in the order of their rows.
    pub(crate) fn scaled(&self) -> &[PlacedEntry] {
        &self.scaled
    }

    /// Sets the scaled entries for these factors, one for each scaling.
    pub(crate) fn scale(&mut self, factors: &[f64]) {
        let place = |design: &Self, k: usize| {
            let entry = &design.scaled[k];
            design.row_starts[design.kind(entry.row)] + entry.place
        };
        for k in 0..self.scaled.len() {
            let at = place(self, k);
            self.values[at] = self.constant[k];
        }
        for k in 0..self.scaled.len() {
            let at = place(self, k);
            self.values[at] += self.scaled[k].coefficient * factors[self.scaled[k].scaling];
        }
    }

    /// `m`, the number of observations.
    pub fn rows(&self) -> usize {
        self.offset.len()
    }

    /// `n`, the number of nodes.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Stored entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// Nodes and coefficients of row `i`, ascending in the node.
    pub fn row(&self, i: usize) -> (&[usize], &[f64]) {
        self.distinct_row(self.kind(i))
    }

    /// Which of the distinct rows row `i` is.
    #[inline]
    pub(crate) fn kind(&self, i: usize) -> usize {
        if self.distinct.is_empty() { i } else { self.distinct[i] as usize }
    }

    /// The number of distinct rows: all of them unless some share their entries.
    pub(crate) fn distinct_rows(&self) -> usize {
        self.row_starts.len() - 1
    }

    /// Nodes and coefficients of a distinct row.
    #[inline]
    pub(crate) fn distinct_row(&self, kind: usize) -> (&[usize], &[f64]) {
        let range = self.row_starts[kind]..self.row_starts[kind + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// The coefficients of some distinct rows, row by row.
    pub(crate) fn distinct_values(&self, kinds: Range<usize>) -> &[f64] {
        &self.values[self.row_starts[kinds.start]..self.row_starts[kinds.end]]
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.runs
    }

    /// The first row that is like row `i`.
    #[inline]
    pub(crate) fn like(&self, i: usize) -> usize {
        self.first_of(self.kind(i))
    }

    /// Whether an entry of row `i` is a multiple of a hyperparameter.
    pub fn is_scaled(&self, i: usize) -> bool {
        self.scaled.binary_search_by_key(&i, |entry| entry.row).is_ok()
    }

    /// For every row the first one with the same entries whatever the hyperparameters: itself where what is scaled changes with them.
    pub fn first_alike(&self) -> Vec<usize> {
        self.first_alike_within(usize::MAX).unwrap_or_default()
    }

    /// [`first_alike`](Self::first_alike), none as soon as more than `most` rows differ.
    fn first_alike_within(&self, most: usize) -> Option<Vec<usize>> {
        let (mut first, mut different): (HashMap<RowKey<'_>, usize>, usize) = (HashMap::new(), 0);
        let alike = |i: usize| {
            let (columns, values) = self.row(i);
            let like = if self.is_scaled(i) { i } else { *first.entry(RowKey(columns, values)).or_insert(i) };
            different += usize::from(like == i);
            (different <= most).then_some(like)
        };
        (0..self.rows()).map(alike).collect()
    }

    /// Prepares a complete design for products: rows with the same entries share them, if enough do, and runs of rows on the same nodes
    /// are found.
    pub(crate) fn settle(&mut self) {
        self.share_rows();
        self.runs = Runs::new((0..self.distinct_rows()).map(|kind| self.distinct_row(kind).0));
    }

    /// Products with a row are then formed once for all of its kind.
    fn share_rows(&mut self) {
        let rows = self.rows();
        if !self.first.is_empty() || rows > u32::MAX as usize {
            return;
        }
        let mut kinds = vec![0; rows];
        let first = match self.first_alike_within((WORTH_SHARING * rows as f64) as usize) {
            Some(alike) => {
                let mut first = Vec::new();
                for (i, like) in alike.into_iter().enumerate() {
                    kinds[i] = if like == i { first.len() as u32 } else { kinds[like] };
                    if like == i {
                        first.push(i as u32);
                    }
                }
                first
            }
            None => {
                let Some(order) = self.by_nodes() else { return };
                order.iter().enumerate().for_each(|(kind, &i)| kinds[i as usize] = kind as u32);
                order
            }
        };
        let (mut row_starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for &i in &first {
            let (own_columns, own_values) = self.row(i as usize);
            columns.extend_from_slice(own_columns);
            values.extend_from_slice(own_values);
            row_starts.push(columns.len());
        }
        (self.row_starts, self.columns, self.values) = (row_starts, columns, values);
        (self.distinct, self.first) = (kinds, first);
    }

    /// Wide rows in an order in which those on the same nodes stand together, if that joins enough of them.
    fn by_nodes(&self) -> Option<Vec<u32>> {
        let rows = self.rows();
        if rows == 0 || self.nnz() < WIDE * rows {
            return None;
        }
        let mut groups: HashMap<&[usize], u32> = HashMap::new();
        let group = |i: usize| {
            let next = groups.len() as u32;
            *groups.entry(self.row(i).0).or_insert(next)
        };
        let of: Vec<u32> = (0..rows).map(group).collect();
        let runs = 1 + of.windows(2).filter(|pair| pair[0] != pair[1]).count();
        if 2 * groups.len() >= runs {
            return None;
        }
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.sort_by_key(|&i| of[i as usize]);
        Some(order)
    }

    /// Whether rows are found through their kinds: some share one, or they stand in another order.
    pub(crate) fn has_kinds(&self) -> bool {
        !self.distinct.is_empty()
    }

    /// The first row of a kind.
    #[inline]
    pub(crate) fn first_of(&self, kind: usize) -> usize {
        if self.first.is_empty() { kind } else { self.first[kind] as usize }
    }

    /// `o`, length `m`.
    pub fn offset(&self) -> &[f64] {
        &self.offset
    }

    /// The sums of `u` over the rows of each kind: `u` itself where every row is its own.
    pub(crate) fn sums<'s>(&self, u: &'s [f64], sums: &'s mut [f64]) -> &'s [f64] {
        if self.distinct.is_empty() {
            return u;
        }
        let sums = &mut sums[..self.distinct_rows()];
        sums.fill(0.0);
        for (&kind, u) in self.distinct.iter().zip(u) {
            sums[kind as usize] += u;
        }
        sums
    }
}

/// The entries of a row, to be compared bit by bit.
struct RowKey<'a>(&'a [usize], &'a [f64]);

impl RowKey<'_> {
    fn bits(&self) -> impl Iterator<Item = u64> + '_ {
        self.1.iter().map(|value| value.to_bits())
    }
}

impl PartialEq for RowKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 && self.bits().eq(other.bits())
    }
}

impl Eq for RowKey<'_> {}

impl Hash for RowKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.bits().for_each(|bits| bits.hash(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_entries_are_summed_and_bad_ones_refused() {
        let mut design = Design::new(3);
        design.push_row(&[(2, 1.0), (0, 2.0), (2, 0.5)], 0.25).unwrap();
        assert_eq!(design.row(0), (&[0, 2][..], &[2.0, 1.5][..]));
        assert!(design.push_row(&[(3, 1.0)], 0.0).is_err());
        assert!(design.push_row(&[(0, f64::NAN)], 0.0).is_err());
        assert_eq!((design.rows(), design.nnz()), (1, 2));
        let mut eta = [0.0];
        design.multiply(&[1.0, 0.0, 2.0], &mut eta);
        assert_eq!(eta, [5.0]);
        let mut out = [0.0; 3];
        design.add_transposed(&[2.0], &mut [0.0], &mut out);
        assert_eq!(out, [4.0, 0.0, 3.0]);
    }

    #[test]
    fn rows_alike_share_their_entries_and_products_stay_the_same() {
        let scaling = ScaledEntry { node: 1, coefficient: 1.0, scaling: 0 };
        let rows: [&[(usize, f64)]; 7] =
            [&[(0, 1.0)], &[(0, 1.0), (2, 0.5)], &[(0, 1.0)], &[(0, 1.0)], &[(0, 1.0), (2, 0.5)], &[], &[(0, 1.0)]];
        let parameter = gmrf::Hyperparameter::log_precision("beta", 0.0);
        let prior = std::sync::Arc::new(gmrf::prior::Normal::new(0.0, 1.0).unwrap());
        let scalings = vec![Scaling { name: "s".to_owned(), block: HyperparameterBlock::single(parameter, prior) }];
        let mut design = Design::with_scalings(3, scalings);
        for (i, row) in rows.iter().enumerate() {
            let scaled = if i == 3 { &[scaling][..] } else { &[] };
            design.push_scaled_row(row, scaled, 0.1 * i as f64).unwrap();
        }
        let mut shared = design.clone();
        shared.share_rows();
        assert_eq!((shared.distinct_rows(), shared.rows()), (4, 7));
        design.scale(&[3.0]);
        shared.scale(&[3.0]);
        let (x, u) = ([1.0, 2.0, 4.0], [1.0, -2.0, 3.0, 0.5, 5.0, 6.0, 7.0]);
        let (mut left, mut right, mut sums) = ([0.0; 7], [0.0; 7], [0.0; 7]);
        design.multiply(&x, &mut left);
        shared.multiply(&x, &mut right);
        assert_eq!(left, right);
        assert_eq!(left, [1.0, 3.0, 1.0, 7.0, 3.0, 0.0, 1.0]);
        let (mut left, mut right) = ([0.0; 3], [0.0; 3]);
        design.add_transposed(&u, &mut sums, &mut left);
        shared.add_transposed(&u, &mut sums, &mut right);
        assert_eq!((left, right), ([14.5, 1.5, 1.5], [14.5, 1.5, 1.5]));
        assert!((0..7).all(|i| design.row(i) == shared.row(i)));
    }
}
