//! The design matrix `A(θ)` and offset of the linear predictor `η = A(θ) x + o`.

use gmrf::HyperparameterBlock;

use crate::error::LaplaceError;

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
}

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
        for (entry, constant) in self.scaled.iter().zip(&self.constant) {
            self.values[self.row_starts[entry.row] + entry.place] = *constant;
        }
        for entry in &self.scaled {
            self.values[self.row_starts[entry.row] + entry.place] += entry.coefficient * factors[entry.scaling];
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
        let range = self.row_starts[i]..self.row_starts[i + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// `o`, length `m`.
    pub fn offset(&self) -> &[f64] {
        &self.offset
    }

    /// `out = A x`, without the offset.
    pub fn multiply(&self, x: &[f64], out: &mut [f64]) {
        for (i, out) in out.iter_mut().enumerate() {
            let (columns, values) = self.row(i);
            *out = columns.iter().zip(values).map(|(&j, a)| a * x[j]).sum();
        }
    }

    /// `out += Aᵀ u`.
    pub fn add_transposed(&self, u: &[f64], out: &mut [f64]) {
        for (i, &u) in u.iter().enumerate() {
            if u != 0.0 {
                let (columns, values) = self.row(i);
                for (&j, a) in columns.iter().zip(values) {
                    out[j] += a * u;
                }
            }
        }
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
        design.add_transposed(&[2.0], &mut out);
        assert_eq!(out, [4.0, 0.0, 3.0]);
    }
}
