//! A log-density relative to a standard normal one as a cubic, from gradients, and draws from a density near it.
//!
//! In Hermite's polynomials a cubic is `r = Σ_d r_d`, `d` the degree, with gradients orthonormal in features of degree zero to two under
//! the normal density, so that least squares in them is well conditioned. The part of degree two is that of a normal density with
//! another covariance, whose root takes it away. To first order in the rest the map `x + ∇h`, `h = Σ_d r_d/d`, takes the normal density
//! to the one proportional to `exp(−½|x|² + r)`: `(x·∇ − Δ) r_d = d r_d`, and the change of the log-density under the map is
//! `(x·∇ − Δ) h`.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};

/// The least precision of the normal density that the part of degree two stands for.
const LEAST_PRECISION: f64 = 0.1;
/// The part of degree three adds no more than this to the log-density, for each of its standard deviations, which count from one to two:
/// `exp` of a cubic has no integral.
const MOST: f64 = 4.0;
/// Steps of the conjugate gradients, and the share of the right-hand side at which they end.
const MOST_STEPS: usize = 60;
const TOLERANCE: f64 = 1e-6;

/// A cubic of `p` coordinates without its constant. Symmetric matrices are packed: the lower triangle row by row.
#[derive(Debug, Clone)]
pub(crate) struct Cubic {
    /// The part of degree one.
    linear: Vec<f64>,
    /// Second derivatives `Q` of the part of degree two.
    second: Vec<f64>,
    /// Third derivatives: `T_k = ∂T/∂x_k` one after another.
    third: Vec<f64>,
    /// `Σ_j T_ijj`.
    traces: Vec<f64>,
    /// The most that the part of degree three adds.
    most: f64,
}

/// The map of the normal density towards that of a cubic.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    /// The root of the covariance that the part of degree two stands for, and the logarithm of its determinant.
    root: Mat<f64>,
    log_determinant: f64,
    /// What is left in its coordinates.
    rest: Cubic,
}

/// Index of the feature of the product of coordinates `j ≤ k` among `p`.
fn pair(p: usize, j: usize, k: usize) -> usize {
    1 + p + j * p - j * (j + 1) / 2 + k
}

/// Features of a point: one, the coordinates, and their products less their mean over their standard deviation.
fn features(x: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.push(1.0);
    out.extend_from_slice(x);
    for (j, a) in x.iter().enumerate() {
        out.push((a * a - 1.0) * std::f64::consts::FRAC_1_SQRT_2);
        out.extend(x[j + 1..].iter().map(|b| a * b));
    }
}

/// The nearest coefficients that are those of a gradient: symmetric second and third derivatives.
fn symmetrise(c: &mut Mat<f64>) {
    let p = c.nrows();
    for i in 0..p {
        for j in 0..i {
            let mean = 0.5 * (c[(i, 1 + j)] + c[(j, 1 + i)]);
            (c[(i, 1 + j)], c[(j, 1 + i)]) = (mean, mean);
        }
    }
    let root = std::f64::consts::SQRT_2;
    for i in 0..p {
        for j in i..p {
            for k in j..p {
                let places = [(i, pair(p, j, k), j == k), (j, pair(p, i, k), i == k), (k, pair(p, i, j), i == j)];
                // a squared coordinate's coefficient is half the derivative, over the feature's standard deviation
                let sum: f64 = places.iter().map(|&(r, f, square)| c[(r, f)] * if square { root } else { 1.0 }).sum();
                for (r, f, square) in places {
                    c[(r, f)] = sum / 3.0 / if square { root } else { 1.0 };
                }
            }
        }
    }
}

impl Cubic {
    /// The zero of `p` coordinates.
    pub(crate) fn zero(p: usize) -> Self {
        let size = p * (p + 1) / 2;
        Self::with_derivatives(vec![0.0; p], vec![0.0; size], vec![0.0; p * size])
    }

    pub(crate) fn dimension(&self) -> usize {
        self.linear.len()
    }

    /// The least squares of gradients at points with `weights`; what they do not determine is zero. Cost: `O(n F² + p F²)` for `n` points
    /// and `F = 1 + p + p(p+1)/2` features, the latter some ten times.
    pub(crate) fn fit(points: &[Vec<f64>], slopes: &[Vec<f64>], weights: &[f64]) -> Self {
        let p = points.first().map_or(0, Vec::len);
        let count = 1 + p + p * (p + 1) / 2;
        let mut rows = Mat::zeros(points.len(), count);
        let mut buffer = Vec::with_capacity(count);
        for (i, (x, weight)) in points.iter().zip(weights).enumerate() {
            features(x, &mut buffer);
            buffer.iter().enumerate().for_each(|(j, value)| rows[(i, j)] = weight.sqrt() * value);
        }
        let right = Mat::from_fn(p, points.len(), |i, k| weights[k].sqrt() * slopes[k][i]);
        let gram = product(rows.transpose(), rows.as_ref());
        Self::with_gradient(&conjugate_gradients(&gram, product(right.as_ref(), rows.as_ref())))
    }

    /// With the coefficients of its gradient in the features.
    fn with_gradient(gradient: &Mat<f64>) -> Self {
        let p = gradient.nrows();
        let lower = || (0..p).flat_map(|i| (0..=i).map(move |j| (i, j)));
        let third = |i: usize, j: usize, k: usize| {
            let scale = if j == k { std::f64::consts::SQRT_2 } else { 1.0 };
            scale * gradient[(i, pair(p, j.min(k), j.max(k)))]
        };
        Self::with_derivatives(
            (0..p).map(|i| gradient[(i, 0)]).collect(),
            lower().map(|(i, j)| gradient[(i, 1 + j)]).collect(),
            (0..p).flat_map(|k| lower().map(move |(i, j)| third(i, j, k))).collect(),
        )
    }

    fn with_derivatives(linear: Vec<f64>, second: Vec<f64>, third: Vec<f64>) -> Self {
        let (p, size) = (linear.len(), second.len());
        let trace = |matrix: &[f64]| diagonal(p).map(|i| matrix[i]).sum::<f64>();
        let traces = third.chunks_exact(size.max(1)).map(trace).collect();
        // every entry below the diagonal stands for two; a sixth of all squares is the variance under the normal density
        let squares = |matrix: &[f64]| {
            let all: f64 = matrix.iter().map(|t| t * t).sum();
            2.0 * all - diagonal(p).map(|i| matrix[i].powi(2)).sum::<f64>()
        };
        let variance: f64 = third.chunks_exact(size.max(1)).map(squares).sum::<f64>() / 6.0;
        Self { linear, second, third, traces, most: MOST * variance.sqrt().clamp(1.0, 2.0) }
    }

    /// `Σ_k x_k T_k`, then the gradients of the parts of degree two and three at `x`.
    fn parts(&self, x: &[f64], scratch: &mut Scratch) {
        let size = self.second.len();
        scratch.third.clear();
        scratch.third.resize(size, 0.0);
        for (share, matrix) in x.iter().zip(self.third.chunks_exact(size)) {
            scratch.third.iter_mut().zip(matrix).for_each(|(sum, t)| *sum += share * t);
        }
        multiply(&self.second, x, &mut scratch.two);
        multiply(&scratch.third, x, &mut scratch.three);
        scratch.three.iter_mut().zip(&self.traces).for_each(|(g, trace)| *g = 0.5 * (*g - trace));
    }

    /// The value at `x`.
    pub(crate) fn at(&self, x: &[f64], scratch: &mut Scratch) -> f64 {
        self.parts(x, scratch);
        let along = |part: &[f64]| part.iter().zip(x).map(|(g, x)| g * x).sum::<f64>();
        let trace: f64 = diagonal(x.len()).map(|i| self.second[i]).sum();
        let third = (along(&scratch.three) - along(&self.traces)) / 3.0;
        if third > self.most {
            scratch.three.fill(0.0);
        }
        along(&self.linear) + 0.5 * (along(&scratch.two) - trace) + third.min(self.most)
    }

    /// The value at `x`, and the slope there of the log-density that it stands for.
    pub(crate) fn at_with_slope(&self, x: &[f64], scratch: &mut Scratch) -> (f64, Vec<f64>) {
        let value = self.at(x, scratch);
        let (two, three) = (&scratch.two, &scratch.three);
        (value, (0..x.len()).map(|i| self.linear[i] + two[i] + three[i] - x[i]).collect())
    }
}

impl Transport {
    /// Towards the density of `cubic` with `share` of its third derivatives.
    pub(crate) fn new(cubic: &Cubic, share: f64) -> Self {
        let p = cubic.dimension();
        let precision = Mat::<f64>::identity(p, p) - unpacked(&cubic.second, p);
        let (mut root, mut log_determinant) = (Mat::identity(p, p), 0.0);
        if let Ok(eigen) = precision.self_adjoint_eigen(Side::Lower) {
            let scales: Vec<f64> = (0..p).map(|k| eigen.S()[k].max(LEAST_PRECISION).sqrt().recip()).collect();
            let vectors = eigen.U();
            let scaled = Mat::from_fn(p, p, |i, k| vectors[(i, k)] * scales[k]);
            root = product(scaled.as_ref(), vectors.transpose());
            log_determinant = scales.iter().map(|scale| scale.ln()).sum();
        }
        let rest = cubic.in_coordinates(&root, share);
        Self { root, log_determinant, rest }
    }

    /// Where the map takes `x`, and the logarithm of its Jacobian's determinant; `None` where it folds over.
    pub(crate) fn at(&self, x: &[f64], scratch: &mut Scratch) -> Option<(Vec<f64>, f64)> {
        let (p, rest) = (x.len(), &self.rest);
        rest.parts(x, scratch);
        scratch.two.clear();
        scratch.two.extend((0..p).map(|i| x[i] + rest.linear[i] + scratch.three[i] / 3.0));
        let moved = (0..p).map(|i| (0..p).map(|k| self.root[(i, k)] * scratch.two[k]).sum()).collect();
        let jacobian = &mut scratch.third;
        jacobian.iter_mut().for_each(|t| *t /= 3.0);
        diagonal(p).for_each(|i| jacobian[i] += 1.0);
        Some((moved, log_determinant(jacobian, p)? + self.log_determinant))
    }
}

impl Cubic {
    /// What it is beside its part of degree two in coordinates `w` of `x = root w`, `root` symmetric, with `share` of its third
    /// derivatives. Cost: `O(p⁴)`.
    fn in_coordinates(&self, root: &Mat<f64>, share: f64) -> Self {
        let (p, size) = (self.dimension(), self.second.len());
        let turned: Vec<Mat<f64>> = self
            .third
            .chunks_exact(size.max(1))
            .map(|matrix| product(product(root.as_ref(), unpacked(matrix, p).as_ref()).as_ref(), root.as_ref()))
            .collect();
        let mut third = Vec::with_capacity(p * size);
        for a in 0..p {
            for i in 0..p {
                third.extend((0..=i).map(|j| share * (0..p).map(|k| root[(a, k)] * turned[k][(i, j)]).sum::<f64>()));
            }
        }
        // the plain monomials' linear part is what the Hermite form takes off its own
        let plain: Vec<f64> = self.linear.iter().zip(&self.traces).map(|(b, t)| b - 0.5 * share * t).collect();
        let mut out = Self::with_derivatives(vec![0.0; p], vec![0.0; size], third);
        let along = |a: usize| (0..p).map(|k| root[(a, k)] * plain[k]).sum::<f64>();
        out.linear = (0..p).map(|a| along(a) + 0.5 * out.traces[a]).collect();
        out
    }
}

/// A packed symmetric matrix in full.
fn unpacked(matrix: &[f64], p: usize) -> Mat<f64> {
    Mat::from_fn(p, p, |i, j| matrix[i.max(j) * (i.max(j) + 1) / 2 + i.min(j)])
}

/// Where packed symmetric matrices have their diagonals.
fn diagonal(p: usize) -> impl Iterator<Item = usize> {
    (0..p).map(|i| i * (i + 3) / 2)
}

/// The product of a packed symmetric matrix and a vector.
fn multiply(matrix: &[f64], x: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.resize(x.len(), 0.0);
    let mut start = 0;
    for i in 0..x.len() {
        let row = &matrix[start..=start + i];
        let (above, own) = out.split_at_mut(i);
        above.iter_mut().zip(row).for_each(|(sum, a)| *sum += a * x[i]);
        own[0] = row.iter().zip(x).map(|(a, x)| a * x).sum();
        start += i + 1;
    }
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// `Σ_k x_k T_k`, packed; later the Jacobian.
    third: Vec<f64>,
    /// The gradients of the parts of degree two and three.
    two: Vec<f64>,
    three: Vec<f64>,
}

/// Of a packed symmetric matrix, which is overwritten; `None` unless it is positive definite.
fn log_determinant(matrix: &mut [f64], p: usize) -> Option<f64> {
    let (mut log, mut start) = (0.0, 0);
    for i in 0..p {
        let (before, rest) = matrix.split_at_mut(start);
        let row = &mut rest[..=i];
        let mut other = 0;
        for j in 0..i {
            let above = &before[other..=other + j];
            let dot: f64 = row[..j].iter().zip(above).map(|(a, b)| a * b).sum();
            row[j] = (row[j] - dot) / above[j];
            other += j + 1;
        }
        let pivot = row[i] - row[..i].iter().map(|a| a * a).sum::<f64>();
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        log += pivot.ln();
        row[i] = pivot.sqrt();
        start += i + 1;
    }
    Some(log)
}

/// On one thread: the order of summation is that of any number.
fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul(&mut out, Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

/// Coefficients `C` of gradients with `C S` nearest to `right`, from zero.
fn conjugate_gradients(gram: &Mat<f64>, mut right: Mat<f64>) -> Mat<f64> {
    let square = |m: &Mat<f64>| m.norm_l2().powi(2);
    symmetrise(&mut right);
    let mut found = Mat::zeros(right.nrows(), right.ncols());
    let (mut rest, mut direction) = (right.clone(), right);
    let (start, mut size) = (square(&rest), square(&rest));
    for _ in 0..MOST_STEPS {
        if size.is_nan() || size <= TOLERANCE * TOLERANCE * start {
            break;
        }
        let mut image = product(direction.as_ref(), gram.as_ref());
        symmetrise(&mut image);
        let curvature: f64 = (0..image.ncols()).map(|j| direction.col(j).transpose() * image.col(j)).sum();
        let length = size / curvature;
        if !length.is_finite() {
            break;
        }
        found += &direction * faer::Scale(length);
        rest -= &image * faer::Scale(length);
        let next = square(&rest);
        direction = &rest + &direction * faer::Scale(next / size);
        size = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Sequential;

    /// `0.1 x + 0.2 xy − 0.1 y² + 0.05 x³ − 0.03 x y² + 0.04 xyz`, and its gradient.
    fn known(x: &[f64]) -> (f64, Vec<f64>) {
        let (x, y, z) = (x[0], x[1], x[2]);
        let value = 0.1 * x + 0.2 * x * y - 0.1 * y * y + 0.05 * x * x * x - 0.03 * x * y * y + 0.04 * x * y * z;
        let slope = vec![
            0.1 + 0.2 * y + 0.15 * x * x - 0.03 * y * y + 0.04 * y * z,
            0.2 * x - 0.2 * y - 0.06 * x * y + 0.04 * x * z,
            0.04 * x * y,
        ];
        (value, slope)
    }

    fn points(count: usize) -> Vec<Vec<f64>> {
        use rand::SeedableRng;
        use rand_distr::Distribution;
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        (0..count).map(|_| (0..3).map(|_| rand_distr::StandardNormal.sample(&mut random)).collect()).collect()
    }

    /// The cubic through the known gradients at some points.
    fn through(points: &[Vec<f64>]) -> Cubic {
        Cubic::fit(points, &points.iter().map(|x| known(x).1).collect::<Vec<_>>(), &vec![1.0; points.len()])
    }

    #[test]
    fn slopes_are_those_of_values() {
        let points = points(60);
        let slopes: Vec<Vec<f64>> = points.iter().map(|x| known(x).1).collect();
        let cubic = Cubic::fit(&points, &slopes, &[1.0; 60]);
        let mut scratch = Scratch::default();
        for x in &points[..5] {
            let slope = cubic.at_with_slope(x, &mut scratch).1;
            for (i, slope) in slope.iter().enumerate() {
                let mut at = |h: f64| {
                    let mut moved = x.clone();
                    moved[i] += h;
                    cubic.at(&moved, &mut scratch) - 0.5 * moved.iter().map(|x| x * x).sum::<f64>()
                };
                // a cubic's central difference errs by its third derivative over six times the step squared
                assert!(((at(1e-4) - at(-1e-4)) / 2e-4 - slope).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn a_cubic_is_found_from_its_gradients() {
        let points = points(40);
        let cubic = through(&points);
        let mut scratch = Scratch::default();
        let origin = cubic.at(&[0.0; 3], &mut scratch);
        for x in &points {
            // to the tolerance of the conjugate gradients
            assert!((cubic.at(x, &mut scratch) - origin - known(x).0).abs() < 1e-4, "{x:?}");
        }
    }

    #[test]
    fn gradients_without_weight_say_nothing_and_weights_are_numbers_of_points() {
        let points = points(30);
        let own: Vec<Vec<f64>> = points.iter().map(|x| known(x).1).collect();
        // of the fifth degree, so that no cubic goes through them
        let others: Vec<Vec<f64>> = points.iter().map(|x| vec![x[0].powi(4), 0.0, x[2]]).collect();
        let (twice, slopes) = ([points.clone(), points.clone()].concat(), [own, others].concat());
        let weighted = |weight: f64| Cubic::fit(&twice, &slopes, &[vec![1.0; 30], vec![weight; 30]].concat());
        let thrice = |list: &[Vec<f64>], first: usize| [&list[..first], &list[first..], &list[first..]].concat();
        let counted = Cubic::fit(&thrice(&twice, 30), &thrice(&slopes, 30), &[1.0; 90]);
        // to the tolerance of the conjugate gradients
        let close = |a: &Cubic, b: &Cubic| a.third.iter().zip(&b.third).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close(&weighted(0.0), &through(&points)));
        assert!(close(&weighted(2.0), &counted) && !close(&weighted(2.0), &weighted(0.0)));
    }

    #[test]
    fn the_jacobian_is_that_of_the_map() {
        let cubic = through(&points(40));
        let mut scratch = Scratch::default();
        let (x, step) = ([0.3, -0.4, 0.2], 1e-5);
        let transport = Transport::new(&cubic, 1.0);
        let Some((_, log)) = transport.at(&x, &mut scratch) else { panic!("it folds over") };
        let mut column = |j: usize| -> Vec<f64> {
            let mut at = |sign: f64| {
                let mut x = x;
                x[j] += sign * step;
                transport.at(&x, &mut scratch).map_or(vec![], |moved| moved.0)
            };
            let (above, below) = (at(1.0), at(-1.0));
            above.iter().zip(below).map(|(a, b)| (a - b) / (2.0 * step)).collect()
        };
        let columns: Vec<Vec<f64>> = (0..3).map(&mut column).collect();
        let jacobian = Mat::from_fn(3, 3, |i, j| columns[j][i]);
        assert!((jacobian.determinant().ln() - log).abs() < 1e-8);
    }

    #[test]
    fn transported_draws_have_nearly_the_density_of_the_cubic() {
        let cubic = through(&points(40));
        let (transport, mut scratch) = (Transport::new(&cubic, 1.0), Scratch::default());
        let mut logs = [Vec::new(), Vec::new()];
        for x in points(2000) {
            let half = |x: &[f64]| 0.5 * x.iter().map(|v| v * v).sum::<f64>();
            logs[0].push(cubic.at(&x, &mut scratch));
            let Some((moved, log)) = transport.at(&x, &mut scratch) else { continue };
            logs[1].push(cubic.at(&moved, &mut scratch) - half(&moved) + half(&x) + log);
        }
        let variance = |logs: &[f64]| {
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / logs.len() as f64
        };
        // what is left is of the second order
        assert!(variance(&logs[1]) < 0.15 * variance(&logs[0]), "{} {}", variance(&logs[1]), variance(&logs[0]));
    }

    #[test]
    fn a_normal_density_of_another_covariance_is_met_exactly() {
        // r = ½ xᵀQx + b·x with an eigenvalue of −2.1 in Q: the first-order map would fold over everywhere
        let q = [[-2.1, 0.0, 0.0], [0.0, 0.4, 0.2], [0.0, 0.2, -0.3]];
        let points = points(40);
        let slope = |x: &Vec<f64>| (0..3).map(|i| 0.3 + (0..3).map(|j| q[i][j] * x[j]).sum::<f64>()).collect();
        let cubic = Cubic::fit(&points, &points.iter().map(slope).collect::<Vec<Vec<f64>>>(), &[1.0; 40]);
        let (transport, mut scratch) = (Transport::new(&cubic, 1.0), Scratch::default());
        let half = |x: &[f64]| 0.5 * x.iter().map(|v| v * v).sum::<f64>();
        let mut weights = points.iter().map(|x| {
            let Some((moved, log)) = transport.at(x, &mut scratch) else { panic!("it folds over") };
            cubic.at(&moved, &mut scratch) - half(&moved) + half(x) + log
        });
        let first = weights.next().unwrap_or(f64::NAN);
        // to the tolerance of the conjugate gradients
        assert!(weights.all(|weight| (weight - first).abs() < 1e-3), "{first}");
    }

    #[test]
    fn a_cubic_without_bound_is_bounded() {
        let points = points(60);
        let slopes: Vec<Vec<f64>> = points.iter().map(|x| vec![3.0 * x[0] * x[0], 0.0, 0.0]).collect();
        let cubic = Cubic::fit(&points, &slopes, &[1.0; 60]);
        assert!(cubic.at(&[9.0, 0.0, 0.0], &mut Scratch::default()) < 9.0 * 3.0 + 2.0 * MOST + 1e-3);
        assert!(cubic.at(&[-2.0, 0.0, 0.0], &mut Scratch::default()) < -7.0);
    }

    #[test]
    fn weighed_draws_have_the_mean_of_quadrature() {
        // −½|x|² + 0.1 x₀² x₁ over |x| < 5: the mean of x₁ is 0.1 to first order
        let fitted: Vec<Vec<f64>> = points(40);
        let slopes: Vec<Vec<f64>> = fitted.iter().map(|x| vec![0.2 * x[0] * x[1], 0.1 * x[0] * x[0], 0.0]).collect();
        let cubic = Cubic::fit(&fitted, &slopes, &[1.0; 40]);
        let (mut mass, mut first) = (0.0, 0.0);
        for a in -500..=500 {
            for b in -500..=500 {
                let (x, y) = (f64::from(a) / 100.0, f64::from(b) / 100.0);
                let w = (-0.5 * (x * x + y * y) + 0.1 * x * x * y).exp();
                (mass, first) = (mass + w, first + w * y);
            }
        }
        let transport = Transport::new(&cubic, 1.0);
        let (mut scratch, mut weight, mut sum) = (Scratch::default(), 0.0, 0.0);
        for x in crate::sampling::normals::standard_normals(&Sequential, 3, 3000, 1) {
            let half = |x: &[f64]| 0.5 * x.iter().map(|v| v * v).sum::<f64>();
            let Some((moved, log)) = transport.at(&x, &mut scratch) else { continue };
            let w = (cubic.at(&moved, &mut scratch) - half(&moved) + half(&x) + log).exp();
            (weight, sum) = (weight + w, sum + w * moved[1]);
        }
        // what third moments of 6000 draws are off by
        assert!((sum / weight - first / mass).abs() < 0.01, "{} {}", sum / weight, first / mass);
    }

    #[test]
    fn points_on_the_axes_say_nothing_of_three_of_them() {
        let on = |k: usize, z: f64| crate::exploration::on_axis(3, k, z);
        let points: Vec<Vec<f64>> = (0..3).flat_map(|k| [-2.0, -1.0, 1.0, 2.0].map(|z| on(k, z))).collect();
        let cubic = through(&points);
        // packed: 11, 21, 22, 31, 32, 33 of every coordinate's matrix
        assert!(cubic.third[4].abs() < 1e-12 && (cubic.third[0] - 0.3).abs() < 1e-4);
    }
}
