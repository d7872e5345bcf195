//! The design matrix `A` and offset of the linear predictor `η = A x + o`.

use crate::error::LaplaceError;

/// A sparse `m × n` design matrix, row by row, with its offset.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    nodes: usize,
    row_starts: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f64>,
    offset: Vec<f64>,
}

impl Design {
    /// An empty design on `nodes` nodes; [`push_row`](Self::push_row) adds observations.
    pub fn new(nodes: usize) -> Self {
        Self { nodes, row_starts: vec![0], columns: Vec::new(), values: Vec::new(), offset: Vec::new() }
    }

    /// Adds the row `η = Σ a_j x_j + offset`. Entries on one node are summed, zeros dropped.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidModel`] for a node outside `0..n` or a number that is not finite.
    pub fn push_row(&mut self, row: &[(usize, f64)], offset: f64) -> Result<(), LaplaceError> {
        let i = self.rows();
        let start = self.columns.len();
        let mut sorted = row.to_vec();
        sorted.sort_by_key(|&(j, _)| j);
        for (j, value) in sorted {
            if j >= self.nodes || !value.is_finite() {
                self.columns.truncate(start);
                self.values.truncate(start);
                let reason = format!("row {i} of the design has entry {value} at node {j} of {}", self.nodes);
                return Err(LaplaceError::InvalidModel { reason });
            }
            if self.columns.len() > start && self.columns.last() == Some(&j) {
                if let Some(last) = self.values.last_mut() {
                    *last += value;
                }
            } else if value != 0.0 {
                self.columns.push(j);
                self.values.push(value);
            }
        }
        if !offset.is_finite() {
            return Err(LaplaceError::InvalidModel { reason: format!("the offset of row {i} is {offset}") });
        }
        self.row_starts.push(self.columns.len());
        self.offset.push(offset);
        Ok(())
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
