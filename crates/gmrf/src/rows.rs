//! Sums over many short rows of one width, by loops of fixed length up to twelve.

use pulp::{Arch, Simd, WithSimd};

/// The first expression with the constant `W` for a width that has loops of its own, else the second.
macro_rules! by_width {
    ($width:expr, $w:ident => $fixed:expr, $any:expr) => {
        by_width!(@ $width, $w => $fixed, $any, 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    (@ $width:expr, $w:ident => $fixed:expr, $any:expr, $($literal:literal)*) => {
        match $width {
            $($literal => {
                const $w: usize = $literal;
                $fixed
            })*
            _ => $any,
        }
    };
}

/// `out_ab += Σ_r w_r v_ra v_rb` for `a ≥ b` of rows `v_r` of one `width`, which stand one after the other as the rows of `out` do; what
/// stands above the diagonal of `out` is left undefined. The same bits on every machine.
pub fn add_weighted_squares(weights: &[f64], rows: &[f64], width: usize, out: &mut [f64]) {
    let arch = Arch::new();
    by_width!(
        width,
        W => {
            let (rows, out) = (rows.as_chunks().0, &mut out.as_chunks_mut().0[..W]);
            arch.dispatch(FixedSquares::<W> { weights, rows, out });
        },
        arch.dispatch(Squares { weights, rows, width, out })
    );
}

struct FixedSquares<'a, const W: usize> {
    weights: &'a [f64],
    rows: &'a [[f64; W]],
    out: &'a mut [[f64; W]],
}

impl<const W: usize> WithSimd for FixedSquares<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut sums = [[0.0; W]; W];
        let (rows, left_over) = self.rows.as_chunks::<TOGETHER>();
        let (weights, of_left_over) = self.weights.as_chunks::<TOGETHER>();
        for (rows, weights) in rows.iter().zip(weights) {
            add_squares(rows, weights, &mut sums);
        }
        for (row, weight) in left_over.iter().zip(of_left_over) {
            add_squares(std::array::from_ref(row), std::array::from_ref(weight), &mut sums);
        }
        for a in 0..W {
            for b in 0..W {
                self.out[a][b] += sums[a][b];
            }
        }
    }
}

/// Rows whose squares are added at once.
const TOGETHER: usize = 4;

#[inline(always)]
fn add_squares<const R: usize, const W: usize>(rows: &[[f64; W]; R], weights: &[f64; R], sums: &mut [[f64; W]; W]) {
    for a in 0..W {
        let mut left = [0.0; R];
        for r in 0..R {
            left[r] = weights[r] * rows[r][a];
        }
        for b in 0..W {
            let mut sum = sums[a][b];
            for r in 0..R {
                sum += left[r] * rows[r][b];
            }
            sums[a][b] = sum;
        }
    }
}

struct Squares<'a> {
    weights: &'a [f64],
    rows: &'a [f64],
    width: usize,
    out: &'a mut [f64],
}

impl WithSimd for Squares<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, weight) in self.rows.chunks_exact(self.width).zip(self.weights) {
            for (a, out) in self.out.chunks_exact_mut(self.width).enumerate() {
                let left = weight * row[a];
                for (out, right) in out[..=a].iter_mut().zip(row) {
                    *out += left * right;
                }
            }
        }
    }
}

/// `out_r = v_rᵀ M v_r` for rows `v_r` of one width and a symmetric `M` of that order, stored in full; `product` has room for one row.
/// The same bits on every machine.
pub fn quadratic_forms(rows: &[f64], matrix: &[f64], width: usize, product: &mut [f64], out: &mut [f64]) {
    let arch = Arch::new();
    by_width!(
        width,
        W => arch.dispatch(FixedForms::<W> { rows: rows.as_chunks().0, matrix: matrix.as_chunks().0, out }),
        arch.dispatch(Forms { rows, matrix, width, product, out })
    );
}

struct FixedForms<'a, const W: usize> {
    rows: &'a [[f64; W]],
    matrix: &'a [[f64; W]],
    out: &'a mut [f64],
}

impl<const W: usize> WithSimd for FixedForms<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let matrix: [[f64; W]; W] = std::array::from_fn(|a| self.matrix[a]);
        for (row, out) in self.rows.iter().zip(self.out) {
            let mut product = [0.0; W];
            for a in 0..W {
                for b in 0..W {
                    product[b] += row[a] * matrix[a][b];
                }
            }
            let mut sum = 0.0;
            for a in 0..W {
                sum += row[a] * product[a];
            }
            *out = sum;
        }
    }
}

struct Forms<'a> {
    rows: &'a [f64],
    matrix: &'a [f64],
    width: usize,
    product: &'a mut [f64],
    out: &'a mut [f64],
}

impl WithSimd for Forms<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, out) in self.rows.chunks_exact(self.width).zip(self.out) {
            self.product.fill(0.0);
            for (left, column) in row.iter().zip(self.matrix.chunks_exact(self.width)) {
                for (product, right) in self.product.iter_mut().zip(column) {
                    *product += left * right;
                }
            }
            let mut sum = 0.0;
            for (left, right) in row.iter().zip(&*self.product) {
                sum += left * right;
            }
            *out = sum;
        }
    }
}

/// `out_r = v_rᵀ x` for rows `v_r` of the length of `x`, the same bits on every machine.
pub fn multiply(rows: &[f64], x: &[f64], out: &mut [f64]) {
    by_width!(
        x.len(),
        W => Arch::new().dispatch(FixedProducts::<W> { rows: rows.as_chunks().0, x: &x.as_chunks().0[0], out }),
        for (row, out) in rows.chunks_exact(x.len()).zip(out) {
            *out = row.iter().zip(x).map(|(value, x)| value * x).sum();
        }
    );
}

struct FixedProducts<'a, const W: usize> {
    rows: &'a [[f64; W]],
    x: &'a [f64; W],
    out: &'a mut [f64],
}

impl<const W: usize> WithSimd for FixedProducts<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, out) in self.rows.iter().zip(self.out) {
            let mut sum = 0.0;
            for a in 0..W {
                sum += row[a] * self.x[a];
            }
            *out = sum;
        }
    }
}

/// `out += Σ_r w_r v_r` for rows `v_r` of the length of `out`, the same bits on every machine.
pub fn add_weighted(weights: &[f64], rows: &[f64], out: &mut [f64]) {
    by_width!(
        out.len(),
        W => {
            let (rows, out) = (rows.as_chunks().0, &mut out.as_chunks_mut().0[0]);
            Arch::new().dispatch(FixedSums::<W> { weights, rows, out });
        },
        for (row, weight) in rows.chunks_exact(out.len()).zip(weights) {
            out.iter_mut().zip(row).for_each(|(out, value)| *out += weight * value);
        }
    );
}

struct FixedSums<'a, const W: usize> {
    weights: &'a [f64],
    rows: &'a [[f64; W]],
    out: &'a mut [f64; W],
}

impl<const W: usize> WithSimd for FixedSums<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut sums = *self.out;
        for (row, weight) in self.rows.iter().zip(self.weights) {
            for a in 0..W {
                sums[a] += weight * row[a];
            }
        }
        *self.out = sums;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers: every sum is exact, in any order. Widths on both sides of the fixed ones, counts on both sides of whole blocks.
    fn rows(width: usize, count: usize) -> (Vec<f64>, Vec<f64>) {
        let value = |i: usize| (i * 7 % 11) as f64 - 5.0;
        ((0..width * count).map(value).collect(), (0..count).map(|r| value(3 * r + 1)).collect())
    }

    fn cases() -> impl Iterator<Item = (usize, usize)> {
        [1, 2, 3, 5, 8, 12, 13, 17].into_iter().flat_map(|width| [0, 1, 4, 9].map(|count| (width, count)))
    }

    #[test]
    fn squares_are_weighed_and_added_below_the_diagonal() {
        for (width, count) in cases() {
            let (rows, weights) = rows(width, count);
            let mut out = vec![3.0; width * width];
            add_weighted_squares(&weights, &rows, width, &mut out);
            for (a, b) in (0..width).flat_map(|a| (0..=a).map(move |b| (a, b))) {
                let terms = rows.chunks(width).zip(&weights).map(|(row, weight)| weight * row[a] * row[b]);
                assert_eq!(out[a * width + b], 3.0 + terms.sum::<f64>(), "{width} × {count}");
            }
        }
    }

    #[test]
    fn forms_products_and_sums_are_those_of_each_row() {
        for (width, count) in cases() {
            let (rows, weights) = rows(width, count);
            let matrix: Vec<f64> = (0..width * width).map(|k| ((k / width) * (k % width) % 5) as f64).collect();
            let (mut product, mut forms) = (vec![0.0; width], vec![0.0; count]);
            quadratic_forms(&rows, &matrix, width, &mut product, &mut forms);
            let x: Vec<f64> = (0..width).map(|a| a as f64 - 2.0).collect();
            let (mut products, mut sums) = (vec![0.0; count], vec![1.0; width]);
            multiply(&rows, &x, &mut products);
            add_weighted(&weights, &rows, &mut sums);
            for (r, row) in rows.chunks(width).enumerate() {
                let terms = |a: usize| (0..width).map(move |b| (a, b));
                let form = (0..width).flat_map(terms).map(|(a, b)| row[a] * matrix[a * width + b] * row[b]);
                assert_eq!(forms[r], form.sum::<f64>(), "{width} × {count}");
                assert_eq!(products[r], row.iter().zip(&x).map(|(value, x)| value * x).sum::<f64>());
            }
            for (a, sum) in sums.iter().enumerate() {
                let terms = rows.chunks(width).zip(&weights).map(|(row, weight)| weight * row[a]);
                assert_eq!(*sum, 1.0 + terms.sum::<f64>(), "{width} × {count}");
            }
        }
    }
}
