//! The central composite design (Rue, Martino and Chopin 2009, §6.5; Sanchez and Sanchez 2005 for the factorial part).

use super::DesignPoint;
use crate::error::IntegrationError;

/// Radius of the design in units of `√p`.
const F0: f64 = 1.1;

/// Walsh indices of the columns of a two-level factorial of resolution V.
const WALSH: [u32; 18] = [1, 2, 4, 8, 15, 16, 32, 51, 64, 85, 106, 128, 150, 171, 219, 237, 247, 256];

/// Half-axes whose standard deviation is within this of one are not scaled: their axial points are those that the axes were read at.
const ALMOST: f64 = 0.05;
/// Distance from the centre at which the axes are evaluated, in standard deviations; with three and four hyperparameters that of the
/// axial points of the composite design, which are near.
const REACH: f64 = 2.0;

/// Distance from the centre, in standard deviations, at which the axes are evaluated.
pub(crate) fn reach(p: usize) -> f64 {
    if matches!(p, 3 | 4) { radius(p) } else { REACH }
}

/// The scale of a half-axis, or one where it is almost that.
pub(crate) fn rounded_scale(scale: f64) -> f64 {
    if (scale - 1.0).abs() < ALMOST { 1.0 } else { scale }
}

fn radius(p: usize) -> f64 {
    F0 * (p as f64).sqrt()
}

/// Centre, `2p` axial and `2^q` factorial points on the sphere of radius `1.1 √p`, scaled along each half-axis.
///
/// `scales[k] = (σ⁻, σ⁺)` stretches `z_k` below and above zero, with its Jacobian in the weight; `(1, 1)` leaves it. For a
/// Gaussian (and unit scales) evidence, mean and covariance are exact.
///
/// # Errors
/// [`IntegrationError::InvalidOption`] unless `1 ≤ p ≤ 18`.
pub fn central_composite(scales: &[(f64, f64)]) -> Result<Vec<DesignPoint>, IntegrationError> {
    let p = scales.len();
    if p == 0 || p > WALSH.len() {
        let reason = format!("a central composite design has 1 to {} hyperparameters, not {p}; use eb", WALSH.len());
        return Err(IntegrationError::InvalidOption { option: "ccd", reason });
    }
    let radius = radius(p);
    let mut shell = Vec::new();
    for k in 0..p {
        for sign in [1.0, -1.0] {
            let mut z = vec![0.0; p];
            z[k] = sign * radius;
            shell.push(z);
        }
    }
    // in one dimension the factorial points are the axial ones
    if p > 1 {
        let columns = &WALSH[..p];
        let runs = (columns[p - 1] + 1).next_power_of_two();
        for run in 0..runs {
            let sign = |column: &u32| if (run & column).count_ones() % 2 == 0 { 1.0 } else { -1.0 };
            shell.push(columns.iter().map(|c| sign(c) * F0).collect());
        }
    }
    let p = p as f64;
    let volume = 0.5 * p * (2.0 * std::f64::consts::PI).ln();
    let centre = volume + (1.0 - F0.powi(-2)).ln();
    let outer = volume + 0.5 * p * F0 * F0 - (F0 * F0 * shell.len() as f64).ln();
    let mut points = vec![scaled(vec![0.0; scales.len()], centre, scales)];
    points.extend(shell.into_iter().map(|z| scaled(z, outer, scales)));
    Ok(points)
}

fn scaled(z: Vec<f64>, log_weight: f64, scales: &[(f64, f64)]) -> DesignPoint {
    let mut point = DesignPoint { z, log_weight };
    for (z, (below, above)) in point.z.iter_mut().zip(scales) {
        let scale = if *z > 0.0 {
            *above
        } else if *z < 0.0 {
            *below
        } else {
            0.5 * (above + below)
        };
        *z *= scale;
        point.log_weight += scale.ln();
    }
    point
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::tests::assert_standard;

    #[test]
    fn the_design_reproduces_a_gaussian_to_rounding_in_every_dimension() {
        for p in 1..=18 {
            assert_standard(&central_composite(&vec![(1.0, 1.0); p]).unwrap(), 1e-11);
        }
    }

    #[test]
    fn the_numbers_of_points_are_the_published_ones() {
        let expected = [(2, 9), (3, 15), (4, 25), (5, 27), (6, 45), (7, 79), (8, 81), (9, 147), (12, 281), (18, 549)];
        for (p, count) in expected {
            assert_eq!(central_composite(&vec![(1.0, 1.0); p]).unwrap().len(), count, "p = {p}");
        }
    }

    #[test]
    fn skewness_scaling_with_its_jacobian_has_the_mean_of_a_split_normal() {
        // split normal with scales 1.3 and 0.7: mean (1.3 − 0.7) √(2/π) = 0.4787
        let points = central_composite(&[(0.7, 1.3), (1.0, 1.0)]).unwrap();
        let density = |z: &[f64]| {
            let s = if z[0] > 0.0 { 1.3 } else { 0.7 };
            (-0.5 * (z[0] / s).powi(2) - 0.5 * z[1] * z[1]).exp()
        };
        let weight = |point: &DesignPoint| point.log_weight.exp() * density(&point.z);
        let total: f64 = points.iter().map(weight).sum();
        let mean = points.iter().map(|q| weight(q) * q.z[0]).sum::<f64>() / total;
        // a rule of degree two: the source's measured value for this design is 0.466
        assert!((mean - 0.466).abs() < 2e-3, "{mean}");
    }

    #[test]
    fn too_many_hyperparameters_are_refused() {
        assert!(central_composite(&[(1.0, 1.0); 19]).is_err());
    }
}
