//! The fixed pattern of a symmetric matrix: analysed once, refilled for every θ.

use crate::error::{GmrfError, expect_length};

/// The lower triangle of a symmetric sparse pattern of order `n`, column by column.
///
/// Rows are sorted within a column and every diagonal entry is stored, first in its column. Values on the pattern
/// are plain slices of length [`nnz`](Self::nnz) in the order of [`entries`](Self::entries).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparsityPattern {
    order: usize,
    column_starts: Vec<usize>,
    rows: Vec<usize>,
}

/// Row sums below this share of the diagonal are rounding errors of the entries.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

impl SparsityPattern {
    /// The pattern of order `order` with the given entries, in any order, either triangle, repeats allowed.
    ///
    /// The diagonal is added. Cost `O(n + e log e)` for `e` entries.
    ///
    /// # Errors
    /// [`GmrfError::IndexOutOfRange`] for an entry outside the matrix, or an order beyond 32 bits.
    pub fn from_entries(order: usize, entries: impl IntoIterator<Item = (usize, usize)>) -> Result<Self, GmrfError> {
        if order >= u32::MAX as usize {
            return Err(GmrfError::IndexOutOfRange {
                what: "order of the pattern",
                index: order,
                length: u32::MAX as usize,
            });
        }
        let mut lower = Vec::new();
        for (i, j) in entries {
            let index = i.max(j);
            if index >= order {
                return Err(GmrfError::IndexOutOfRange { what: "pattern entry", index, length: order });
            }
            if i != j {
                lower.push((i.min(j), index));
            }
        }
        lower.extend((0..order).map(|j| (j, j)));
        lower.sort_unstable();
        lower.dedup();
        let mut column_starts = vec![0; order + 1];
        for &(column, _) in &lower {
            column_starts[column + 1] += 1;
        }
        for j in 0..order {
            column_starts[j + 1] += column_starts[j];
        }
        let rows = lower.into_iter().map(|(_, row)| row).collect();
        Ok(Self { order, column_starts, rows })
    }

    /// The pattern of a diagonal matrix.
    pub fn diagonal(order: usize) -> Self {
        Self { order, column_starts: (0..=order).collect(), rows: (0..order).collect() }
    }

    /// `n`, the number of rows and columns.
    pub fn order(&self) -> usize {
        self.order
    }

    /// The number of stored entries: the lower triangle with its diagonal.
    pub fn nnz(&self) -> usize {
        self.rows.len()
    }

    /// The rows stored in column `j`: `j` first, then ascending.
    pub fn column(&self, j: usize) -> &[usize] {
        &self.rows[self.column_starts[j]..self.column_starts[j + 1]]
    }

    /// Where column `j` starts among the values; its diagonal stands there.
    pub fn column_start(&self, j: usize) -> usize {
        self.column_starts[j]
    }

    /// The stored entries `(row, column)`, `row ≥ column`, in storage order.
    pub fn entries(&self) -> impl Iterator<Item = (usize, usize)> + Clone + '_ {
        (0..self.order).flat_map(move |j| self.column(j).iter().map(move |&i| (i, j)))
    }

    /// The place of entry `(i, j)` or `(j, i)` among the values, if stored. Cost `O(log nnz(column))`.
    pub fn position(&self, i: usize, j: usize) -> Option<usize> {
        let (row, column) = (i.max(j), i.min(j));
        if row >= self.order {
            return None;
        }
        self.column(column).binary_search(&row).ok().map(|k| self.column_starts[column] + k)
    }

    /// `out = Q x` for the symmetric `Q` with the given values. Cost `O(nnz)`.
    ///
    /// As `Σ_i q_ij (x_i − x_j)` plus the row's sum times `x_j`: where the rows of a large `Q` cancel, as those of differences do, what is
    /// left of a smooth `x` is not lost to the rounding of its level.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn multiply(&self, values: &[f64], x: &[f64], out: &mut [f64]) -> Result<(), GmrfError> {
        expect_length("values", self.nnz(), values.len())?;
        expect_length("x", self.order, x.len())?;
        expect_length("out", self.order, out.len())?;
        self.fill_row_sums(values, out);
        out.iter_mut().zip(x).for_each(|(sum, x)| *sum *= x);
        for j in 0..self.order {
            let start = self.column_starts[j];
            let column = &self.rows[start..self.column_starts[j + 1]];
            let mut sum = 0.0;
            for (&i, &q) in column[1..].iter().zip(&values[start + 1..]) {
                let term = q * (x[i] - x[j]);
                out[i] -= term;
                sum += term;
            }
            out[j] += sum;
        }
        Ok(())
    }

    /// The sums of the rows of `Q`, zero where they are of the size of the entries' rounding errors.
    fn fill_row_sums(&self, values: &[f64], sums: &mut [f64]) {
        sums.fill(0.0);
        for j in 0..self.order {
            let start = self.column_starts[j];
            let column = &self.rows[start..self.column_starts[j + 1]];
            let mut sum = values[start];
            for (&i, &q) in column[1..].iter().zip(&values[start + 1..]) {
                sums[i] += q;
                sum += q;
            }
            sums[j] += sum;
        }
        for (j, sum) in sums.iter_mut().enumerate() {
            if sum.abs() <= ROUNDING * values[self.column_starts[j]].abs() {
                *sum = 0.0;
            }
        }
    }

    /// For each column `j` a bound, in units of the rounding error of one operation, of what it does to `xᵀ(Qx)` where
    /// [`multiply`](Self::multiply) has found `product` `= Qx`: `|x_j (Qx)_j| + Σ_{i>j} |q_ij (x_i − x_j)| (|x_i| + |x_j|)`, given to `add`. Cost `O(nnz)`.
    ///
    /// # Panics
    /// If a length differs from the pattern's.
    pub fn rounding_terms(&self, values: &[f64], (x, product): (&[f64], &[f64]), mut add: impl FnMut(f64)) {
        for j in 0..self.order {
            let start = self.column_starts[j];
            let column = &self.rows[start..self.column_starts[j + 1]];
            let mut sum = product[j].abs() * x[j].abs();
            for (&i, &q) in column[1..].iter().zip(&values[start + 1..]) {
                sum += (q * (x[i] - x[j])).abs() * (x[i].abs() + x[j].abs());
            }
            add(sum);
        }
    }

    /// `xᵀ Q x`. Cost `O(nnz)`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn quadratic_form(&self, values: &[f64], x: &[f64]) -> Result<f64, GmrfError> {
        self.bilinear_form(values, x, x)
    }

    /// `xᵀ Q y`. Cost `O(nnz)`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn bilinear_form(&self, values: &[f64], x: &[f64], y: &[f64]) -> Result<f64, GmrfError> {
        expect_length("values", self.nnz(), values.len())?;
        expect_length("x", self.order, x.len())?;
        expect_length("y", self.order, y.len())?;
        let mut total = 0.0;
        for j in 0..self.order {
            let start = self.column_starts[j];
            let column = &self.rows[start..self.column_starts[j + 1]];
            total += values[start] * x[j] * y[j];
            for (&i, &q) in column[1..].iter().zip(&values[start + 1..]) {
                total += q * (x[i] * y[j] + x[j] * y[i]);
            }
        }
        Ok(total)
    }

    /// `tr(S Q) = Σ s_ij q_ij` over the full symmetric matrices of both sets of values. Cost `O(nnz)`.
    pub fn trace_of_product(&self, s: &[f64], q: &[f64]) -> f64 {
        let mut total = 0.0;
        for j in 0..self.order {
            let (start, end) = (self.column_starts[j], self.column_starts[j + 1]);
            let off: f64 = s[start + 1..end].iter().zip(&q[start + 1..end]).map(|(a, b)| a * b).sum();
            total += s[start] * q[start] + 2.0 * off;
        }
        total
    }

    /// The dense matrix, row by row, `n × n`: for tests and for small models only.
    pub fn to_dense(&self, values: &[f64]) -> Vec<Vec<f64>> {
        let mut dense = vec![vec![0.0; self.order]; self.order];
        for ((i, j), &q) in self.entries().zip(values) {
            dense[i][j] = q;
            dense[j][i] = q;
        }
        dense
    }

    /// The pattern of `blockdiag(P₁, P₂, …)`; the values of the blocks stand one after the other.
    pub fn block_diagonal<'a>(blocks: impl IntoIterator<Item = &'a SparsityPattern>) -> Self {
        let (mut order, mut column_starts, mut rows) = (0, vec![0], Vec::new());
        for block in blocks {
            let offset = rows.len();
            rows.extend(block.rows.iter().map(|i| i + order));
            column_starts.extend(block.column_starts[1..].iter().map(|start| start + offset));
            order += block.order;
        }
        Self { order, column_starts, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_either_triangle_make_the_same_sorted_lower_triangle() {
        let pattern = SparsityPattern::from_entries(4, [(0, 2), (2, 0), (3, 1)]).unwrap();
        let entries: Vec<_> = pattern.entries().collect();
        assert_eq!(entries, [(0, 0), (2, 0), (1, 1), (3, 1), (2, 2), (3, 3)]);
        assert_eq!(pattern.position(0, 2), Some(1));
        assert_eq!(pattern.position(0, 3), None);
    }

    #[test]
    fn an_entry_outside_the_matrix_is_refused() {
        let error = SparsityPattern::from_entries(3, [(0, 3)]).unwrap_err();
        assert_eq!(error, GmrfError::IndexOutOfRange { what: "pattern entry", index: 3, length: 3 });
    }

    #[test]
    fn products_agree_with_the_dense_matrix() {
        let pattern = SparsityPattern::from_entries(3, [(0, 1), (1, 2)]).unwrap();
        let values = [2.0, -1.0, 3.0, -0.5, 1.5];
        let dense = pattern.to_dense(&values);
        let x = [1.0, -2.0, 0.5];
        let mut out = [0.0; 3];
        pattern.multiply(&values, &x, &mut out).unwrap();
        for i in 0..3 {
            let expected: f64 = (0..3).map(|j| dense[i][j] * x[j]).sum();
            assert!((out[i] - expected).abs() < 1e-15);
        }
        let quadratic: f64 = (0..3).map(|i| x[i] * out[i]).sum();
        assert!((pattern.quadratic_form(&values, &x).unwrap() - quadratic).abs() < 1e-14);
    }

    #[test]
    fn large_rows_that_cancel_keep_what_is_left_of_a_smooth_vector() {
        // squares of second differences, of a vector whose fourth differences integers know exactly
        let (n, scale, unit) = (2000, 1.3e13, f64::powi(2.0, -30));
        let pattern =
            SparsityPattern::from_entries(n, (0..n).flat_map(|j| (j..n.min(j + 3)).map(move |i| (i, j)))).unwrap();
        let (mut values, square) = (vec![0.0; pattern.nnz()], [1.0, -2.0, 1.0]);
        for start in 0..n - 2 {
            for (a, b) in [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2)] {
                values[pattern.position(start + a, start + b).unwrap()] += scale * square[a] * square[b];
            }
        }
        let whole: Vec<i64> = (0..n).map(|i| ((1.0 + (0.005 * i as f64).sin()) / unit) as i64).collect();
        let x: Vec<f64> = whole.iter().map(|&k| unit * k as f64).collect();
        let mut out = vec![0.0; n];
        pattern.multiply(&values, &x, &mut out).unwrap();
        for (window, found) in whole.windows(5).zip(&out[2..]) {
            let fourth = window[0] - 4 * window[1] + 6 * window[2] - 4 * window[3] + window[4];
            let exact = scale * unit * fourth as f64;
            // some roundings of 1e-16 of terms up to 5e13 · 0.01; of the terms up to 8e13 · 2 of a product entry by entry, 2e-2 and more
            assert!((found - exact).abs() < 4e-4, "{found} {exact}");
        }
    }
}
