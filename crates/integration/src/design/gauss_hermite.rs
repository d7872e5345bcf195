//! Product Gauss–Hermite rules (Naylor and Smith 1982).

use super::DesignPoint;
use crate::error::IntegrationError;

/// Largest number of nodes in one dimension.
const MOST_NODES: usize = 64;
/// Largest number of points of a product rule.
const MOST_POINTS: usize = 100_000;

/// Nodes and weights of `k` points for the standard normal: `Σ w f(z) = E f(Z)` for polynomials of degree `2k − 1`.
///
/// Nodes are the roots of `He_k`, by Newton's iteration on orthonormal polynomials; weights `1/(k ψ_{k−1}(z)²)`.
///
/// # Errors
/// [`IntegrationError::InvalidOption`] unless `1 ≤ k ≤ 64`.
pub fn gauss_hermite(k: usize) -> Result<(Vec<f64>, Vec<f64>), IntegrationError> {
    if k == 0 || k > MOST_NODES {
        let reason = format!("{k} nodes asked for, between 1 and {MOST_NODES} are possible");
        return Err(IntegrationError::InvalidOption { option: "gauss_hermite", reason });
    }
    // orthonormal: ψ₀ = 1, √(j+1) ψ_{j+1} = z ψ_j − √j ψ_{j−1}
    let evaluate = |z: f64| {
        let (mut previous, mut current) = (0.0, 1.0);
        for j in 0..k {
            let next = (z * current - (j as f64).sqrt() * previous) / ((j + 1) as f64).sqrt();
            (previous, current) = (current, next);
        }
        (previous, current)
    };
    // the roots of He_k interlace and lie within ±√(4k + 2): bracket the sign changes on a fine grid, then polish
    let bound = (4.0 * k as f64 + 2.0).sqrt();
    // an odd number of intervals: no grid point is the root at zero
    let steps = 200 * k + 1;
    let mut nodes = Vec::with_capacity(k);
    let mut left = (-bound, evaluate(-bound).1);
    for s in 1..=steps {
        let z = -bound + 2.0 * bound * s as f64 / steps as f64;
        let right = (z, evaluate(z).1);
        if left.1.signum() != right.1.signum() {
            nodes.push(polish(left.0, right.0, left.1, &evaluate, k));
        }
        left = right;
    }
    // exact symmetry
    for i in 0..nodes.len() / 2 {
        let z = 0.5 * (nodes[nodes.len() - 1 - i] - nodes[i]);
        let last = nodes.len() - 1 - i;
        (nodes[i], nodes[last]) = (-z, z);
    }
    if k % 2 == 1 {
        nodes[k / 2] = 0.0;
    }
    let weights: Vec<f64> = nodes.iter().map(|&z| 1.0 / (k as f64 * evaluate(z).0.powi(2))).collect();
    Ok((nodes, weights))
}

/// Bisection, then Newton with `ψ_k′ = √k ψ_{k−1}`.
fn polish(mut low: f64, mut high: f64, at_low: f64, evaluate: &impl Fn(f64) -> (f64, f64), k: usize) -> f64 {
    for _ in 0..20 {
        let middle = 0.5 * (low + high);
        if evaluate(middle).1.signum() == at_low.signum() { low = middle } else { high = middle }
    }
    let mut z = 0.5 * (low + high);
    for _ in 0..4 {
        let (previous, current) = evaluate(z);
        z -= current / ((k as f64).sqrt() * previous);
    }
    z
}

/// The product rule of `k` points in each of `dimension` dimensions, with absolute weights.
///
/// # Errors
/// [`IntegrationError::InvalidOption`] for a bad `k` or more than 100 000 points.
pub fn product_gauss_hermite(dimension: usize, k: usize) -> Result<Vec<DesignPoint>, IntegrationError> {
    let (nodes, weights) = gauss_hermite(k)?;
    let total = (k as f64).powi(i32::try_from(dimension).unwrap_or(i32::MAX));
    if total > MOST_POINTS as f64 {
        let reason = format!("{k} nodes in {dimension} dimensions are too many points; use ccd");
        return Err(IntegrationError::InvalidOption { option: "gauss_hermite", reason });
    }
    let half_log_two_pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
    let mut points = vec![DesignPoint { z: Vec::new(), log_weight: 0.0 }];
    for _ in 0..dimension {
        points = points
            .iter()
            .flat_map(|point| {
                nodes.iter().zip(&weights).map(move |(&node, weight)| {
                    let mut z = point.z.clone();
                    z.push(node);
                    let log_weight = point.log_weight + weight.ln() + half_log_two_pi + 0.5 * node * node;
                    DesignPoint { z, log_weight }
                })
            })
            .collect();
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::tests::assert_standard;

    #[test]
    fn three_nodes_are_the_probabilists() {
        let (nodes, weights) = gauss_hermite(3).unwrap();
        let root = 3.0_f64.sqrt();
        for (found, expected) in nodes.iter().zip([-root, 0.0, root]) {
            assert!((found - expected).abs() < 1e-14);
        }
        for (found, expected) in weights.iter().zip([1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0]) {
            assert!((found - expected).abs() < 1e-14);
        }
    }

    #[test]
    fn every_rule_integrates_moments_exactly() {
        for k in 1..=40 {
            let (nodes, weights) = gauss_hermite(k).unwrap();
            assert_eq!(nodes.len(), k, "{k} nodes");
            let moment = |power: i32| nodes.iter().zip(&weights).map(|(z, w)| w * z.powi(power)).sum::<f64>();
            assert!((moment(0) - 1.0).abs() < 1e-12);
            if k >= 2 {
                assert!((moment(2) - 1.0).abs() < 1e-12);
            }
            if k >= 5 {
                assert!((moment(8) - 105.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn product_rules_reproduce_a_gaussian_to_rounding() {
        for (dimension, k) in [(1, 2), (1, 9), (2, 5), (3, 3), (4, 3)] {
            assert_standard(&product_gauss_hermite(dimension, k).unwrap(), 1e-12);
        }
    }

    #[test]
    fn impossible_rules_are_refused() {
        assert!(gauss_hermite(0).is_err());
        assert!(gauss_hermite(1000).is_err());
        assert!(product_gauss_hermite(30, 5).is_err());
    }
}
