//! The Hessian at the mode and the coordinates `θ(z) = θ* + V Λ^{-1/2} z` that it standardises.

use faer::{Mat, Side};

use crate::error::IntegrationError;
use crate::objective::ObjectiveValue;

/// Step of the forward differences of the gradient. The gradient's error is about 1e-8 (the last Newton step squares a
/// decrement of 1e-8), which this step turns into 5e-6 of a unit Hessian; truncation is a thousandth of its rate of change, and
/// only scales and turns the coordinates in which the density is evaluated.
const DIFFERENCE_STEP: f64 = 2e-3;
/// Where the log-density is not concave, the direction's standard deviation.
const FALLBACK_SCALE: f64 = 1.0;
/// A direction wider than this in a log precision carries no information; the design stays inside.
const WIDEST_SCALE: f64 = 10.0;

/// Coordinates in which the log-density is about `−½|z|²`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reparametrisation {
    /// `θ*`, length `p`.
    pub mode: Vec<f64>,
    /// `−∂² log p̃` at the mode, row by row.
    pub hessian: Vec<Vec<f64>>,
    /// `V`: `vectors[i][k]` is component `i` of direction `k`.
    pub vectors: Vec<Vec<f64>>,
    /// `Λ^{-1/2}`, the standard deviation along each direction.
    pub scales: Vec<f64>,
    /// Directions in which the log-density is not concave at the mode, or flatter than a scale of 10.
    pub replaced: Vec<usize>,
}

/// The `p` points whose gradients make the Hessian, with the gradient at the mode.
pub fn difference_points(mode: &[f64]) -> Vec<Vec<f64>> {
    let moved = |j: usize| {
        let mut theta = mode.to_vec();
        theta[j] += DIFFERENCE_STEP;
        theta
    };
    (0..mode.len()).map(moved).collect()
}

impl Reparametrisation {
    /// From the gradients at the mode, of length `p`, and at [`difference_points`].
    ///
    /// # Errors
    /// The first failed evaluation; [`IntegrationError::NoMode`] if the eigenvalues cannot be found.
    pub fn new(
        (mode, gradient): (&[f64], &[f64]),
        differences: Vec<Result<ObjectiveValue, IntegrationError>>,
    ) -> Result<Self, IntegrationError> {
        let p = mode.len();
        let values = differences.into_iter().collect::<Result<Vec<_>, _>>()?;
        let slope = |i: usize, j: usize| (gradient[i] - values[j].gradient[i]) / DIFFERENCE_STEP;
        let hessian: Vec<Vec<f64>> =
            (0..p).map(|i| (0..p).map(|j| 0.5 * (slope(i, j) + slope(j, i))).collect()).collect();
        if p == 0 {
            return Ok(Self {
                mode: Vec::new(),
                hessian,
                vectors: Vec::new(),
                scales: Vec::new(),
                replaced: Vec::new(),
            });
        }
        let matrix = Mat::from_fn(p, p, |i, j| hessian[i][j]);
        let eigen = matrix.self_adjoint_eigen(Side::Lower).map_err(|_| IntegrationError::NoMode {
            theta: mode.to_vec(),
            reason: "the Hessian at the mode has no eigen-decomposition".to_owned(),
        })?;
        let (mut scales, mut replaced, mut vectors) = (Vec::with_capacity(p), Vec::new(), vec![vec![0.0; p]; p]);
        for k in 0..p {
            let lambda = eigen.S().column_vector()[k];
            scales.push(if lambda > WIDEST_SCALE.powi(-2) {
                lambda.sqrt().recip()
            } else {
                replaced.push(k);
                if lambda > 0.0 { WIDEST_SCALE } else { FALLBACK_SCALE }
            });
            let column: Vec<f64> = (0..p).map(|i| eigen.U()[(i, k)]).collect();
            let largest = column.iter().copied().fold(0.0_f64, |a, v| if v.abs() > a.abs() + 1e-12 { v } else { a });
            for i in 0..p {
                vectors[i][k] = column[i] * largest.signum();
            }
        }
        Ok(Self { mode: mode.to_vec(), hessian, vectors, scales, replaced })
    }

    /// `θ(z)`.
    pub fn theta(&self, z: &[f64]) -> Vec<f64> {
        self.mode
            .iter()
            .zip(&self.vectors)
            .map(|(mode, row)| mode + row.iter().zip(&self.scales).zip(z).map(|((v, s), z)| v * s * z).sum::<f64>())
            .collect()
    }

    /// `z(θ)`.
    pub fn z(&self, theta: &[f64]) -> Vec<f64> {
        let component = |k: usize| -> f64 {
            let deviations = theta.iter().zip(&self.mode).zip(&self.vectors);
            deviations.map(|((t, mode), row)| (t - mode) * row[k]).sum::<f64>() / self.scales[k]
        };
        (0..self.scales.len()).map(component).collect()
    }

    /// The gradient in `z` from that in `θ`.
    pub fn slope(&self, gradient: &[f64]) -> Vec<f64> {
        let component = |k: usize| gradient.iter().zip(&self.vectors).map(|(g, row)| g * row[k]).sum::<f64>();
        (0..self.scales.len()).map(|k| component(k) * self.scales[k]).collect()
    }

    /// `log |dθ/dz|`.
    pub fn log_jacobian(&self) -> f64 {
        self.scales.iter().map(|s| s.ln()).sum()
    }

    /// The derivative of `θ_j` in `z`, length `p`.
    pub fn loading(&self, j: usize) -> Vec<f64> {
        self.vectors[j].iter().zip(&self.scales).map(|(v, s)| v * s).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_has_its_own_hessian_and_unit_coordinates() {
        let h = [[3.0, 1.0], [1.0, 2.0]];
        let mode = [0.5, -1.0];
        let gradient = |t: &[f64]| {
            let d = [t[0] - mode[0], t[1] - mode[1]];
            (0..2).map(|i| -(h[i][0] * d[0] + h[i][1] * d[1])).collect::<Vec<f64>>()
        };
        let values =
            difference_points(&mode).iter().map(|t| Ok(ObjectiveValue { value: 0.0, gradient: gradient(t) })).collect();
        let map = Reparametrisation::new((&mode, &[0.0; 2]), values).unwrap();
        for i in 0..2 {
            for j in 0..2 {
                assert!((map.hessian[i][j] - h[i][j]).abs() < 1e-10);
            }
        }
        for z in [[1.0, 0.0], [0.3, -2.0]] {
            let t = map.theta(&z);
            assert!(map.z(&t).iter().zip(&z).all(|(a, b)| (a - b).abs() < 1e-14));
            let d = [t[0] - mode[0], t[1] - mode[1]];
            let quadratic: f64 = (0..2).map(|i| (0..2).map(|j| d[i] * h[i][j] * d[j]).sum::<f64>()).sum();
            assert!((quadratic - z[0] * z[0] - z[1] * z[1]).abs() < 1e-10);
        }
        assert!((map.log_jacobian() + 0.5 * 5.0_f64.ln()).abs() < 1e-10);
        assert!(map.replaced.is_empty());
    }

    #[test]
    fn a_direction_that_is_not_concave_is_replaced_and_named() {
        let values = difference_points(&[0.0, 0.0])
            .iter()
            .map(|t| Ok(ObjectiveValue { value: 0.0, gradient: vec![-4.0 * t[0], 0.5 * t[1]] }))
            .collect();
        let map = Reparametrisation::new((&[0.0; 2], &[0.0; 2]), values).unwrap();
        assert_eq!(map.replaced.len(), 1);
        assert!(map.scales.iter().all(|s| s.is_finite() && *s > 0.0));
    }
}
