//! Sums over blocks of vectors that stand side by side, for the widest registers of the machine.

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

#[cfg(test)]
mod tests {
    use super::add_weighted_cubes;

    #[test]
    fn cubes_are_weighed_and_added() {
        // small integers: exact in any order
        let (weights, columns) = ([1.0, -2.0, 3.0, 5.0, 7.0], [[1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 0.0, -1.0, 2.0]]);
        let mut sums = [10.0, 20.0];
        add_weighted_cubes(&weights, &columns, &mut sums);
        assert_eq!(sums, [10.0 + 1.0 - 16.0 + 81.0 + 320.0 + 875.0, 20.0 - 2.0 - 5.0 + 56.0]);
    }
}
