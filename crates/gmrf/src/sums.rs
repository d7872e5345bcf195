//! Sums over vectors for the widest registers of the machine.

use pulp::{Arch, Simd, WithSimd};

/// `sums_j += Σ_r w_r c_jr³`, the same bits on every machine.
pub fn add_weighted_cubes<const B: usize>(weights: &[f64; B], columns: &[[f64; B]], sums: &mut [f64]) {
    Arch::new().dispatch(WeightedCubes { weights, columns, sums });
}

struct WeightedCubes<'a, const B: usize> {
    weights: &'a [f64; B],
    columns: &'a [[f64; B]],
    sums: &'a mut [f64],
}

impl<const B: usize> WithSimd for WeightedCubes<'_, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // loops, not closures: closures are compiled without the vector instructions
        for (c, sum) in self.columns.iter().zip(self.sums) {
            let mut terms = [0.0; B];
            for r in 0..B {
                terms[r] = self.weights[r] * c[r] * (c[r] * c[r]);
            }
            // by halves: one sum after the other would wait for each
            let mut count = B;
            while count > 1 {
                let half = count / 2;
                for r in 0..half {
                    terms[r] += terms[count - half + r];
                }
                count -= half;
            }
            *sum += terms[0];
        }
    }
}

/// `sums_j += left_j Σ_k w_k c_kj`, all vectors of one length, the same bits on every machine.
pub fn add_product_with_sum(weights: [f64; 4], columns: [&[f64]; 4], left: &[f64], sums: &mut [f64]) {
    Arch::new().dispatch(ProductWithSum { weights, columns, left, sums });
}

struct ProductWithSum<'a> {
    weights: [f64; 4],
    columns: [&'a [f64]; 4],
    left: &'a [f64],
    sums: &'a mut [f64],
}

impl WithSimd for ProductWithSum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [a, b, c, d] = self.columns;
        let [wa, wb, wc, wd] = self.weights;
        for (((((sum, left), a), b), c), d) in self.sums.iter_mut().zip(self.left).zip(a).zip(b).zip(c).zip(d) {
            *sum += left * ((wa * a + wb * b) + (wc * c + wd * d));
        }
    }
}

/// `sums = Σ_k w_k c_k` over the columns `c_k` at some `places`, the same bits on every machine.
///
/// # Panics
/// If a place is not below the number of columns.
pub fn sum_at<const B: usize>(weights: &[f64], places: &[usize], columns: &[[f64; B]], sums: &mut [f64; B]) {
    Arch::new().dispatch(SumAt { weights, places, columns, sums });
}

struct SumAt<'a, const B: usize> {
    weights: &'a [f64],
    places: &'a [usize],
    columns: &'a [[f64; B]],
    sums: &'a mut [f64; B],
}

impl<const B: usize> WithSimd for SumAt<'_, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut sums = [0.0; B];
        for (&place, weight) in self.places.iter().zip(self.weights) {
            let column = &self.columns[place];
            for r in 0..B {
                sums[r] += weight * column[r];
            }
        }
        *self.sums = sums;
    }
}

/// Factors of one product of mantissas, each below 2: its exponent stays below the largest.
const PRODUCT: usize = 512;

/// `Σ log x` of positive normal numbers, NaN if there are others: mantissas multiplied, exponents added up. Its error is below
/// `512 · 1.1e-16` for each product of 512.
pub fn sum_of_logarithms(x: &[f64]) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    const ONE: u64 = 1023 << 52;
    let (mut logarithms, mut exponents) = (0.0, 0_i64);
    for some in x.chunks(PRODUCT) {
        let mut product = 1.0;
        for x in some {
            if !x.is_normal() || *x < 0.0 {
                return f64::NAN;
            }
            product *= f64::from_bits(x.to_bits() & MANTISSA | ONE);
            exponents += (x.to_bits() >> 52) as i64 - 1023;
        }
        logarithms += product.ln();
    }
    logarithms + exponents as f64 * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::{add_product_with_sum, add_weighted_cubes, sum_at, sum_of_logarithms};

    #[test]
    fn logarithms_of_many_sizes_are_summed() {
        let x: Vec<f64> = (0..3000).map(|k| (0.7 * f64::from(k % 977) - 340.0).exp() * 1.7).collect();
        let expected: f64 = x.iter().map(|x| x.ln()).sum();
        // six products of 512, and 3000 logarithms of size 340 rounded
        assert!((sum_of_logarithms(&x) - expected).abs() < 1e-9, "{} {expected}", sum_of_logarithms(&x));
        assert!(sum_of_logarithms(&[1.0, f64::NAN]).is_nan() && sum_of_logarithms(&[0.0]).is_nan());
        assert_eq!(sum_of_logarithms(&[]), 0.0);
    }

    #[test]
    fn columns_at_places_are_weighed_and_summed() {
        let columns = [[1.0, 2.0, 3.0], [9.0, 9.0, 9.0], [-1.0, 0.0, 4.0]];
        let mut sums = [7.0; 3];
        sum_at(&[2.0, -3.0], &[2, 0], &columns, &mut sums);
        assert_eq!(sums, [-5.0, -6.0, -1.0]);
        sum_at(&[], &[], &columns, &mut sums);
        assert_eq!(sums, [0.0; 3]);
    }

    #[test]
    fn products_with_weighted_sums_are_added() {
        let columns = [[1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 0.0, 1.0, 0.0], [1.0; 5], [-1.0, 0.0, 0.0, 0.0, 2.0]];
        let mut sums = [1.0; 5];
        add_product_with_sum(
            [2.0, 3.0, -1.0, 4.0],
            columns.each_ref().map(|c| &c[..]),
            &[1.0, 2.0, 0.5, 4.0, 8.0],
            &mut sums,
        );
        assert_eq!(sums, [-2.0, 13.0, 3.5, 41.0, 137.0]);
    }

    #[test]
    fn cubes_are_weighed_and_added() {
        // small integers: exact in any order
        let (weights, columns) = ([1.0, -2.0, 3.0, 5.0, 7.0], [[1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 0.0, -1.0, 2.0]]);
        let mut sums = [10.0, 20.0];
        add_weighted_cubes(&weights, &columns, &mut sums);
        assert_eq!(sums, [10.0 + 1.0 - 16.0 + 81.0 + 320.0 + 875.0, 20.0 - 2.0 - 5.0 + 56.0]);
    }
}
