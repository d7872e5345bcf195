//! Linear constraints `C x = e`, as sparse rows.

use crate::error::{GmrfError, expect_length};

/// `k` sparse linear constraints `C x = e` on `n` nodes. Memory is linear in the entries of `C`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearConstraints {
    order: usize,
    row_starts: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f64>,
    right_hand_side: Vec<f64>,
}

impl LinearConstraints {
    /// No constraint on `order` nodes.
    pub fn none(order: usize) -> Self {
        Self { order, row_starts: vec![0], columns: Vec::new(), values: Vec::new(), right_hand_side: Vec::new() }
    }

    /// One constraint `Σ x_i = 0` over each of the given sets of nodes.
    ///
    /// # Errors
    /// [`GmrfError::IndexOutOfRange`] for a node outside `0..order`.
    pub fn sums_to_zero<I, J>(order: usize, sets: I) -> Result<Self, GmrfError>
    where
        I: IntoIterator<Item = J>,
        J: IntoIterator<Item = usize>,
    {
        let mut constraints = Self::none(order);
        for set in sets {
            let row: Vec<_> = set.into_iter().map(|i| (i, 1.0)).collect();
            constraints.push(&row, 0.0)?;
        }
        Ok(constraints)
    }

    /// Adds the constraint `Σ c_i x_i = e`.
    ///
    /// # Errors
    /// [`GmrfError::IndexOutOfRange`] for a node outside `0..order`, [`GmrfError::NotFinite`] for a bad number.
    pub fn push(&mut self, row: &[(usize, f64)], e: f64) -> Result<(), GmrfError> {
        for &(index, value) in row {
            if index >= self.order {
                return Err(GmrfError::IndexOutOfRange { what: "constraint", index, length: self.order });
            }
            if !value.is_finite() {
                return Err(GmrfError::NotFinite { what: "constraint", index, value });
            }
        }
        if !e.is_finite() {
            return Err(GmrfError::NotFinite { what: "constraint's right-hand side", index: self.len(), value: e });
        }
        let mut sorted: Vec<_> = row.iter().copied().filter(|&(_, value)| value != 0.0).collect();
        sorted.sort_by_key(|&(index, _)| index);
        self.columns.extend(sorted.iter().map(|&(index, _)| index));
        self.values.extend(sorted.iter().map(|&(_, value)| value));
        self.row_starts.push(self.columns.len());
        self.right_hand_side.push(e);
        Ok(())
    }

    /// `n`, the number of nodes.
    pub fn order(&self) -> usize {
        self.order
    }

    /// `k`, the number of constraints.
    pub fn len(&self) -> usize {
        self.right_hand_side.len()
    }

    /// Whether there is no constraint.
    pub fn is_empty(&self) -> bool {
        self.right_hand_side.is_empty()
    }

    /// The nodes and coefficients of constraint `row`.
    pub fn row(&self, row: usize) -> (&[usize], &[f64]) {
        let range = self.row_starts[row]..self.row_starts[row + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// `e`, length `k`.
    pub fn right_hand_side(&self) -> &[f64] {
        &self.right_hand_side
    }

    /// `C x − e`, length `k`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn residuals(&self, x: &[f64]) -> Result<Vec<f64>, GmrfError> {
        expect_length("x", self.order, x.len())?;
        Ok((0..self.len())
            .map(|k| {
                let (columns, values) = self.row(k);
                columns.iter().zip(values).map(|(&i, c)| c * x[i]).sum::<f64>() - self.right_hand_side[k]
            })
            .collect())
    }

    /// Appends the constraints of `block` on the nodes `offset..offset + block.order()` of this one.
    ///
    /// # Errors
    /// [`GmrfError::IndexOutOfRange`] if the block does not fit.
    pub fn append_block(&mut self, block: &Self, offset: usize) -> Result<(), GmrfError> {
        for k in 0..block.len() {
            let (columns, values) = block.row(k);
            let row: Vec<_> = columns.iter().zip(values).map(|(&i, &c)| (i + offset, c)).collect();
            self.push(&row, block.right_hand_side[k])?;
        }
        Ok(())
    }

    /// The same rows with right-hand sides zero.
    #[must_use]
    pub fn homogeneous(&self) -> Self {
        Self { right_hand_side: vec![0.0; self.len()], ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_to_zero_constraint_measures_the_sum() {
        let constraints = LinearConstraints::sums_to_zero(4, [0..2, 2..4]).unwrap();
        assert_eq!(constraints.residuals(&[1.0, 2.0, -3.0, 3.0]).unwrap(), [3.0, 0.0]);
    }

    #[test]
    fn a_node_outside_is_refused() {
        assert!(matches!(
            LinearConstraints::sums_to_zero(4, std::iter::once(3..5)),
            Err(GmrfError::IndexOutOfRange { index: 4, length: 4, .. })
        ));
    }
}
