//! The unconstrained scale of a covariance matrix `Σ` of order `p`.
//!
//! `Σ⁻¹ = C A Aᵀ Cᵀ` with a fixed lower triangular `C` and a lower triangular `A` of positive diagonal (Bartlett's
//! decomposition of a Wishart matrix whose scale is `C Cᵀ`). `θ` holds `log a_jj`, then, column by column, the entries below
//! the diagonal as `a_ij/√(a_ii a_jj)`. Relative to `C` and to the diagonal, they stay of order one whatever the units of the
//! coefficients are, and the posterior of `θ` is closer to a Gaussian than that of `a_ij` or of regression coefficients.

use crate::error::GmrfError;

/// The largest order.
pub const LARGEST_COVARIANCE: usize = 24;

/// The map between `θ` and a covariance matrix; matrices are dense, row by row, of length `p²`.
#[derive(Debug, Clone, PartialEq)]
pub struct CovarianceScale {
    order: usize,
    /// `C`.
    factor: Vec<f64>,
    /// `(i, j)` of every parameter, `i ≥ j`.
    places: Vec<(usize, usize)>,
}

fn refuse(reason: String) -> GmrfError {
    GmrfError::InvalidModel { model: "iidkd", reason }
}

impl CovarianceScale {
    /// The scale with `C = I`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for an order of 0 or above [`LARGEST_COVARIANCE`].
    pub fn standard(order: usize) -> Result<Self, GmrfError> {
        if !(1..=LARGEST_COVARIANCE).contains(&order) {
            return Err(refuse(format!(
                "{order} coefficients; their covariance matrix must be of order 1 to {LARGEST_COVARIANCE}"
            )));
        }
        let mut factor = vec![0.0; order * order];
        (0..order).for_each(|j| factor[j * order + j] = 1.0);
        let below = (0..order).flat_map(|j| (j + 1..order).map(move |i| (i, j)));
        Ok(Self { order, factor, places: (0..order).map(|j| (j, j)).chain(below).collect() })
    }

    /// The scale with `C Cᵀ = R⁻¹`, the scale of a Wishart density `∝ |W|^{(r−p−1)/2} exp(−½ tr W R)`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for an `R` that is not square, symmetric and positive definite.
    pub fn of_rate(rate: &[Vec<f64>]) -> Result<Self, GmrfError> {
        let p = rate.len();
        let mut scale = Self::standard(p)?;
        if rate.iter().any(|row| row.len() != p || row.iter().any(|v| !v.is_finite())) {
            return Err(refuse(format!("the matrix of the Wishart prior must hold {p} rows of {p} finite numbers")));
        }
        for i in 0..p {
            if let Some(j) = (0..i).find(|&j| (rate[i][j] - rate[j][i]).abs() > 1e-9 * rate[i][j].abs()) {
                return Err(refuse(format!(
                    "entries ({}, {}) of the prior's matrix and its mirror differ",
                    i + 1,
                    j + 1
                )));
            }
        }
        // R = U Uᵀ with U upper triangular, so that C = U⁻ᵀ is lower triangular
        let mut upper = vec![0.0; p * p];
        for j in (0..p).rev() {
            let dot = |upper: &[f64], i: usize| (j + 1..p).map(|k| upper[i * p + k] * upper[j * p + k]).sum::<f64>();
            let pivot = rate[j][j] - dot(&upper, j);
            if pivot.is_nan() || pivot <= f64::EPSILON * rate[j][j].abs() {
                return Err(refuse("the matrix of the Wishart prior is not positive definite".to_owned()));
            }
            upper[j * p + j] = pivot.sqrt();
            for i in 0..j {
                upper[i * p + j] = (rate[j][i] - dot(&upper, i)) / upper[j * p + j];
            }
        }
        let transposed: Vec<f64> = (0..p * p).map(|at| upper[(at % p) * p + at / p]).collect();
        scale.factor = lower_inverse(&transposed, p);
        Ok(scale)
    }

    /// `p`.
    pub fn order(&self) -> usize {
        self.order
    }

    /// The number of parameters, `p(p + 1)/2`.
    pub fn parameters(&self) -> usize {
        self.places.len()
    }

    /// `(i, j)` of every parameter in the order of `θ`: the diagonal, then below it column by column.
    pub fn places(&self) -> &[(usize, usize)] {
        &self.places
    }

    /// Entry `(i, j)` of `A`.
    pub(crate) fn entry(&self, theta: &[f64], parameter: usize) -> f64 {
        let (i, j) = self.places[parameter];
        if i == j { theta[i].exp() } else { theta[parameter] * (0.5 * (theta[i] + theta[j])).exp() }
    }

    /// `M = C A`, a lower triangular factor of `Σ⁻¹ = M Mᵀ`.
    fn root(&self, theta: &[f64]) -> Vec<f64> {
        let p = self.order;
        let mut root = vec![0.0; p * p];
        for (parameter, &(k, j)) in self.places.iter().enumerate() {
            let a = self.entry(theta, parameter);
            (k..p).for_each(|i| root[i * p + j] += self.factor[i * p + k] * a);
        }
        root
    }

    /// `∂M/∂θ_k`: `∂A/∂θ_k` holds one entry, or the diagonal's with half of those of its row and column.
    fn root_derivative(&self, theta: &[f64], k: usize) -> Vec<f64> {
        let p = self.order;
        let mut root = vec![0.0; p * p];
        for (parameter, &(i, j)) in self.places.iter().enumerate() {
            let share = match (self.places[k], (i, j)) {
                (own, at) if own == at && i != j => (0.5 * (theta[i] + theta[j])).exp(),
                (own, at) if own == at => theta[i].exp(),
                ((a, b), _) if a == b && i != j && (i == a || j == a) => 0.5 * self.entry(theta, parameter),
                _ => continue,
            };
            (i..p).for_each(|row| root[row * p + j] += self.factor[row * p + i] * share);
        }
        root
    }

    /// `Σ⁻¹` into `out`.
    pub fn fill_precision(&self, theta: &[f64], out: &mut [f64]) {
        let root = self.root(theta);
        fill_product(&root, &root, self.order, out);
    }

    /// `∂Σ⁻¹/∂θ_k` into `out`.
    pub fn fill_precision_derivative(&self, theta: &[f64], k: usize, out: &mut [f64]) {
        let (root, derivative) = (self.root(theta), self.root_derivative(theta, k));
        let p = self.order;
        fill_product(&derivative, &root, p, out);
        for i in 0..p {
            for j in 0..=i {
                let sum = out[i * p + j] + out[j * p + i];
                (out[i * p + j], out[j * p + i]) = (sum, sum);
            }
        }
    }

    /// `Σ` into `out`.
    pub fn fill_covariance(&self, theta: &[f64], out: &mut [f64]) {
        let p = self.order;
        let inverse = lower_inverse(&self.root(theta), p);
        for i in 0..p {
            for j in 0..p {
                out[i * p + j] = (i.max(j)..p).map(|k| inverse[k * p + i] * inverse[k * p + j]).sum();
            }
        }
    }

    /// `log |Σ⁻¹|`; its derivative is 2 in each of the first `p` parameters.
    pub fn log_determinant(&self, theta: &[f64]) -> f64 {
        2.0 * (self.log_factor() + theta[..self.order].iter().sum::<f64>())
    }

    /// `log |C|`.
    fn log_factor(&self) -> f64 {
        (0..self.order).map(|j| self.factor[j * self.order + j].ln()).sum()
    }

    /// `log |∂Σ⁻¹/∂θ|`, the Jacobian on the lower triangles, and its slope in each of the first `p` parameters.
    pub fn log_jacobian(&self, theta: &[f64]) -> (f64, Vec<f64>) {
        let p = self.order as f64;
        // |∂(AAᵀ)/∂A| = 2^p Π a_jj^{p−j+1} (j from 1), |∂(C·Cᵀ)| = |C|^{p+1}, and the scaling of each entry
        let slope: Vec<f64> = (0..self.order).map(|j| p - j as f64 + 1.0 + 0.5 * (p - 1.0)).collect();
        let sum: f64 = slope.iter().zip(theta).map(|(s, t)| s * t).sum();
        ((p + 1.0) * self.log_factor() + p * std::f64::consts::LN_2 + sum, slope)
    }

    /// `θ` of a covariance matrix, `None` if it is not positive definite.
    pub fn theta_of(&self, covariance: &[f64]) -> Option<Vec<f64>> {
        let p = self.order;
        // Σ = U Uᵀ with U upper triangular has Σ⁻¹ = U⁻ᵀ U⁻¹, so that A = C⁻¹ U⁻ᵀ
        let mut lower = vec![0.0; p * p];
        for j in (0..p).rev() {
            let dot = |lower: &[f64], i: usize| (j + 1..p).map(|k| lower[k * p + i] * lower[k * p + j]).sum::<f64>();
            let pivot = covariance[j * p + j] - dot(&lower, j);
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            lower[j * p + j] = pivot.sqrt();
            for i in 0..j {
                lower[j * p + i] = (covariance[j * p + i] - dot(&lower, i)) / lower[j * p + j];
            }
        }
        let (root, inverse) = (lower_inverse(&lower, p), lower_inverse(&self.factor, p));
        let entry = |i: usize, j: usize| (j..=i).map(|k| inverse[i * p + k] * root[k * p + j]).sum::<f64>();
        let diagonal: Vec<f64> = (0..p).map(|j| entry(j, j).ln()).collect();
        let of = |&(i, j): &(usize, usize)| match i == j {
            true => diagonal[i],
            false => entry(i, j) * (-0.5 * (diagonal[i] + diagonal[j])).exp(),
        };
        let theta: Vec<f64> = self.places.iter().map(of).collect();
        theta.iter().all(|t| t.is_finite()).then_some(theta)
    }
}

/// `out = L Kᵀ` of lower triangular matrices.
fn fill_product(left: &[f64], right: &[f64], p: usize, out: &mut [f64]) {
    for i in 0..p {
        for j in 0..p {
            out[i * p + j] = (0..=i.min(j)).map(|k| left[i * p + k] * right[j * p + k]).sum();
        }
    }
}

/// The inverse of a lower triangular matrix.
fn lower_inverse(lower: &[f64], p: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; p * p];
    for j in 0..p {
        inverse[j * p + j] = 1.0 / lower[j * p + j];
        for i in j + 1..p {
            let sum: f64 = (j..i).map(|k| lower[i * p + k] * inverse[k * p + j]).sum();
            inverse[i * p + j] = -sum / lower[i * p + i];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate() -> Vec<Vec<f64>> {
        vec![vec![3.0, 0.4, -0.2], vec![0.4, 0.5, 0.1], vec![-0.2, 0.1, 2e-3 + 0.1]]
    }

    const THETA: [f64; 6] = [0.3, -0.2, 0.8, 0.7, -0.4, 1.1];

    #[test]
    fn the_map_inverts_and_the_rate_is_the_precision_at_the_origin() {
        let scale = CovarianceScale::of_rate(&rate()).unwrap();
        let mut sigma = vec![0.0; 9];
        scale.fill_covariance(&[0.0; 6], &mut sigma);
        for (i, row) in rate().iter().enumerate() {
            row.iter().enumerate().for_each(|(j, r)| assert!((sigma[i * 3 + j] - r).abs() < 1e-12));
        }
        scale.fill_covariance(&THETA, &mut sigma);
        let back = scale.theta_of(&sigma).unwrap();
        back.iter().zip(THETA).for_each(|(b, t)| assert!((b - t).abs() < 1e-11, "{back:?}"));
        assert_eq!(scale.theta_of(&[1.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0]), None);
    }

    #[test]
    fn determinant_and_jacobian_are_those_of_differences() {
        let scale = CovarianceScale::of_rate(&rate()).unwrap();
        let precision = |theta: &[f64]| {
            let mut values = vec![0.0; 9];
            scale.fill_precision(theta, &mut values);
            values
        };
        let lower = [0, 3, 4, 6, 7, 8];
        let columns: Vec<Vec<f64>> = (0..6)
            .map(|k| {
                let mut exact = vec![0.0; 9];
                scale.fill_precision_derivative(&THETA, k, &mut exact);
                lower.iter().map(|&at| exact[at]).collect()
            })
            .collect();
        let jacobian = faer::Mat::from_fn(6, 6, |i, k| columns[k][i]);
        let determinant = jacobian.determinant().abs().ln();
        assert!((scale.log_jacobian(&THETA).0 - determinant).abs() < 1e-10);
        let values = precision(&THETA);
        let dense = faer::Mat::from_fn(3, 3, |i, j| values[i * 3 + j]);
        assert!((scale.log_determinant(&THETA) - dense.determinant().ln()).abs() < 1e-11);
    }

    #[test]
    fn matrices_that_are_no_rates_are_refused() {
        for bad in
            [vec![vec![1.0, 2.0], vec![2.0, 1.0]], vec![vec![1.0, 0.5], vec![0.4, 1.0]], vec![vec![1.0], vec![1.0]]]
        {
            assert!(CovarianceScale::of_rate(&bad).is_err());
        }
        assert!(CovarianceScale::standard(25).is_err() && CovarianceScale::standard(0).is_err());
    }
}
