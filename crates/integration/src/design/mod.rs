//! Integration designs in the standardised coordinates `z`.
//!
//! Weights are absolute: `Σ exp(log_weight_k) f(z_k) ≈ ∫ f(z) dz`. Every rule reproduces mean and variance of a standard
//! Gaussian `f`: Gauss–Hermite and the central composite design to rounding, the grid to some thousandths, which lie
//! beyond its ends.

mod ccd;
mod gauss_hermite;
mod grid;
mod thinning;

pub use ccd::central_composite;
pub(crate) use ccd::{reach, rounded_scale};
pub use gauss_hermite::{gauss_hermite, product_gauss_hermite};
pub use grid::GridOptions;
pub(crate) use grid::{GridExploration, GridValue};
pub(crate) use thinning::Predicted;

/// A point of a design.
#[derive(Debug, Clone, PartialEq)]
pub struct DesignPoint {
    /// Standardised coordinates, length `p`.
    pub z: Vec<f64>,
    /// Logarithm of the absolute quadrature weight.
    pub log_weight: f64,
}

/// The point at the mode, with the volume of a Gaussian: empirical Bayes.
pub fn empirical_bayes(dimension: usize) -> Vec<DesignPoint> {
    let log_weight = 0.5 * dimension as f64 * (2.0 * std::f64::consts::PI).ln();
    vec![DesignPoint { z: vec![0.0; dimension], log_weight }]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::DesignPoint;

    /// `∫f`, `E z`, `E z zᵀ` of `f = exp(−½|z|²)` under a rule.
    pub(crate) fn gaussian_moments(points: &[DesignPoint]) -> (f64, Vec<f64>, Vec<Vec<f64>>) {
        let p = points[0].z.len();
        let (mut total, mut mean, mut square) = (0.0, vec![0.0; p], vec![vec![0.0; p]; p]);
        for point in points {
            let w = (point.log_weight - 0.5 * point.z.iter().map(|z| z * z).sum::<f64>()).exp();
            total += w;
            for i in 0..p {
                mean[i] += w * point.z[i];
                for j in 0..p {
                    square[i][j] += w * point.z[i] * point.z[j];
                }
            }
        }
        mean.iter_mut().for_each(|m| *m /= total);
        square.iter_mut().flatten().for_each(|s| *s /= total);
        (total / (2.0 * std::f64::consts::PI).powf(0.5 * p as f64), mean, square)
    }

    pub(crate) fn assert_standard(points: &[DesignPoint], tolerance: f64) {
        let (evidence, mean, square) = gaussian_moments(points);
        assert!((evidence - 1.0).abs() < tolerance, "evidence {evidence}");
        for i in 0..mean.len() {
            assert!(mean[i].abs() < tolerance, "mean {}", mean[i]);
            for j in 0..mean.len() {
                let expected = f64::from(u8::from(i == j));
                assert!((square[i][j] - expected).abs() < tolerance, "{i} {j}: {}", square[i][j]);
            }
        }
    }
}
