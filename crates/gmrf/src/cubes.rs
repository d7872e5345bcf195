//! Symmetric tensors of third order, `T_abc` for `a ≥ b ≥ c` one after the other: sums of cubes of vectors, and their forms. The same bits
//! on every machine.

use pulp::{Arch, Simd, WithSimd};

/// The numbers of a tensor on vectors of this length.
pub const fn length(width: usize) -> usize {
    width * (width + 1) * (width + 2) / 6
}

/// `sums_abc += w_r x_ar x_br x_cr`, each of the `L` vectors into sums of its own; `x` holds the vectors side by side.
pub fn add_weighted<const L: usize>(weights: &[f64; L], x: &[[f64; L]], sums: &mut [[f64; L]]) {
    Arch::new().dispatch(AddWeighted { weights, x, sums });
}

struct AddWeighted<'a, const L: usize> {
    weights: &'a [f64; L],
    x: &'a [[f64; L]],
    sums: &'a mut [[f64; L]],
}

impl<const L: usize> WithSimd for AddWeighted<'_, L> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut sums = self.sums.iter_mut();
        for (a, first) in self.x.iter().enumerate() {
            let first = times(self.weights, first);
            for (b, second) in self.x[..=a].iter().enumerate() {
                let second = times(&first, second);
                for (third, sum) in self.x[..=b].iter().zip(&mut sums) {
                    for r in 0..L {
                        sum[r] += second[r] * third[r];
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn times<const L: usize>(left: &[f64; L], right: &[f64; L]) -> [f64; L] {
    let mut out = [0.0; L];
    for r in 0..L {
        out[r] = left[r] * right[r];
    }
    out
}

/// `Σ_abc T_abc x_ar x_br x_cr` over all `a`, `b` and `c`, for each of the `L` vectors side by side in `x`.
///
/// # Panics
/// If the tensor is shorter than the [`length`] that the vectors ask for.
pub fn forms<const L: usize>(tensor: &[f64], x: &[[f64; L]]) -> [f64; L] {
    Arch::new().dispatch(Forms { tensor, x })
}

struct Forms<'a, const L: usize> {
    tensor: &'a [f64],
    x: &'a [[f64; L]],
}

impl<const L: usize> WithSimd for Forms<'_, L> {
    type Output = [f64; L];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f64; L] {
        let mut out = [0.0; L];
        let mut start = 0;
        for (a, first) in self.x.iter().enumerate() {
            let mut of_first = [0.0; L];
            for (b, second) in self.x[..=a].iter().enumerate() {
                // an entry stands for all of its permutations: six, three or one
                let (others, same) = if b < a { (6.0, 3.0) } else { (3.0, 1.0) };
                let mut of_second = [0.0; L];
                for (third, entry) in self.x[..b].iter().zip(&self.tensor[start..]) {
                    for r in 0..L {
                        of_second[r] += entry * third[r];
                    }
                }
                let entry = same * self.tensor[start + b];
                for r in 0..L {
                    of_first[r] += second[r] * (others * of_second[r] + entry * second[r]);
                }
                start += b + 1;
            }
            for r in 0..L {
                out[r] += first[r] * of_first[r];
            }
        }
        out
    }
}

/// `out_abc += Σ_ijk T_ijk B_ia B_jb B_kc`: the tensor in other coordinates, `B` row by row of this `width`; `room` is overwritten.
///
/// # Panics
/// If one of the tensors is shorter than the [`length`] that the rows or the width ask for.
pub fn add_transformed(tensor: &[f64], matrix: &[f64], width: usize, room: &mut Vec<f64>, out: &mut [f64]) {
    let rows = matrix.len() / width.max(1);
    let pairs = rows * (rows + 1) / 2 * width;
    let triangle = width * (width + 1) / 2;
    room.clear();
    room.resize(pairs + rows * triangle, 0.0);
    let (ones, twos) = room.split_at_mut(pairs);
    Arch::new().dispatch(AddTransformed { tensor, matrix, width, ones, twos, out });
}

struct AddTransformed<'a> {
    tensor: &'a [f64],
    matrix: &'a [f64],
    width: usize,
    /// For each pair `i ≥ j`, `Σ_k T_ijk B_kc`.
    ones: &'a mut [f64],
    /// For each `i`, `Σ_jk T_ijk B_jb B_kc` for `b ≥ c`.
    twos: &'a mut [f64],
    out: &'a mut [f64],
}

impl WithSimd for AddTransformed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { tensor, matrix, width, ones, twos, out } = self;
        let rows = matrix.len() / width.max(1);
        let triangle = width * (width + 1) / 2;
        let mut start = 0;
        for i in 0..rows {
            for j in 0..=i {
                for k in 0..=j {
                    let entry = tensor[start + k];
                    // T_ijk serves the pairs that any two of its places make
                    add(entry, &matrix[k * width..][..width], &mut ones[(i * (i + 1) / 2 + j) * width..][..width]);
                    if k < j {
                        add(entry, &matrix[j * width..][..width], &mut ones[(i * (i + 1) / 2 + k) * width..][..width]);
                    }
                    if j < i {
                        add(entry, &matrix[i * width..][..width], &mut ones[(j * (j + 1) / 2 + k) * width..][..width]);
                    }
                }
                start += j + 1;
            }
        }
        for i in 0..rows {
            let two = &mut twos[i * triangle..][..triangle];
            for j in 0..rows {
                let pair = i.max(j) * (i.max(j) + 1) / 2 + i.min(j);
                let one = &ones[pair * width..][..width];
                for b in 0..width {
                    add(matrix[j * width + b], &one[..=b], &mut two[b * (b + 1) / 2..][..=b]);
                }
            }
        }
        for i in 0..rows {
            let two = &twos[i * triangle..][..triangle];
            for a in 0..width {
                let of_a = (a + 1) * (a + 2) / 2;
                add(matrix[i * width + a], &two[..of_a], &mut out[length(a)..][..of_a]);
            }
        }
    }
}

#[inline(always)]
fn add(factor: f64, from: &[f64], to: &mut [f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers: every sum is exact, in any order.
    fn integer(k: usize) -> f64 {
        (k * 7 % 11) as f64 - 5.0
    }

    fn at(tensor: &[f64], mut places: [usize; 3]) -> f64 {
        places.sort_unstable();
        let [c, b, a] = places;
        tensor[length(a) + b * (b + 1) / 2 + c]
    }

    fn triples(width: usize) -> impl Iterator<Item = [usize; 3]> {
        (0..width.pow(3)).map(move |k| [k / width / width, k / width % width, k % width])
    }

    #[test]
    fn cubes_of_vectors_are_weighed_and_added() {
        for width in [1, 2, 3, 7] {
            let x: Vec<[f64; 4]> = (0..width).map(|a| std::array::from_fn(|r| integer(4 * a + r))).collect();
            let weights = [1.0, -2.0, 3.0, 0.0];
            let mut sums = vec![[1.0; 4]; length(width)];
            add_weighted(&weights, &x, &mut sums);
            for r in 0..4 {
                let tensor: Vec<f64> = sums.iter().map(|sum| sum[r]).collect();
                for [a, b, c] in triples(width) {
                    assert_eq!(at(&tensor, [a, b, c]), 1.0 + weights[r] * x[a][r] * x[b][r] * x[c][r]);
                }
            }
        }
    }

    #[test]
    fn forms_are_sums_over_all_triples() {
        for width in [0, 1, 2, 3, 6] {
            let tensor: Vec<f64> = (0..length(width)).map(integer).collect();
            let x: Vec<[f64; 2]> = (0..width).map(|a| [integer(a + 1), integer(3 * a)]).collect();
            let expected = |r: usize| -> f64 {
                triples(width).map(|[a, b, c]| at(&tensor, [a, b, c]) * x[a][r] * x[b][r] * x[c][r]).sum()
            };
            assert_eq!(forms(&tensor, &x), [expected(0), expected(1)]);
        }
    }

    #[test]
    fn tensors_change_their_coordinates() {
        for (rows, width) in [(1, 1), (3, 2), (2, 4), (5, 5), (0, 3)] {
            let tensor: Vec<f64> = (0..length(rows)).map(integer).collect();
            let matrix: Vec<f64> = (0..rows * width).map(|k| integer(k + 2)).collect();
            let mut out = vec![4.0; length(width)];
            add_transformed(&tensor, &matrix, width, &mut vec![9.0; 2], &mut out);
            for [a, b, c] in triples(width) {
                let term = |[i, j, k]: [usize; 3]| {
                    at(&tensor, [i, j, k]) * matrix[i * width + a] * matrix[j * width + b] * matrix[k * width + c]
                };
                assert_eq!(at(&out, [a, b, c]), 4.0 + triples(rows).map(term).sum::<f64>(), "{rows} by {width}");
            }
        }
    }
}
