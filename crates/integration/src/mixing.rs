//! The weights by which a composite design mixes what is known given `θ`.
//!
//! A composite design has some points for every moment of a Gaussian; of a skewed density its weights miss means and covariances by some
//! hundredths of a standard deviation. The joint density that gradients on its axes and at its corners know has them: of all weights with
//! these moments, those nearest in entropy to the design's own are taken.

use crate::joint::Joint;
use crate::sampling::calibration::balanced;

/// Weights change by no more than this factor: moments that ask for more are not the design's to give.
const MOST_CHANGE: f64 = 4.0;

/// Weights of the points `thetas` with the means and covariances of `joint`, or with its means and variances where there are none; `own`
/// where there are none of these either.
pub(crate) fn mixing_weights(thetas: &[&[f64]], own: &[f64], joint: &Joint) -> Vec<f64> {
    let p = thetas.first().map_or(0, |theta| theta.len());
    let moments: Vec<(f64, f64)> = (0..p).map(|j| joint.theta_moments(j)).collect();
    let standard = |theta: &[f64], out: &mut Vec<f64>| {
        out.clear();
        out.extend(theta.iter().zip(&moments).map(|(t, (mean, sd))| (t - mean) / sd.max(f64::MIN_POSITIVE)));
    };
    let products = |z: &[f64], crossed: bool, out: &mut Vec<f64>| {
        out.extend_from_slice(z);
        for i in 0..z.len() {
            out.extend((if crossed { 0 } else { i }..=i).map(|j| z[i] * z[j]));
        }
    };
    let mut z = Vec::new();
    for crossed in [true, false] {
        let mut at = |theta: &[f64], out: &mut Vec<f64>| {
            standard(theta, &mut z);
            products(&z, crossed, out);
        };
        let known = joint.mean_of(&mut at);
        let row = |theta: &&[f64]| {
            let mut row = Vec::with_capacity(known.len());
            at(theta, &mut row);
            row.iter_mut().zip(&known).for_each(|(value, known)| *value -= known);
            row
        };
        let rows: Vec<Vec<f64>> = thetas.iter().map(row).collect();
        if known.len() >= rows.len() {
            continue;
        }
        let bearable = |weights: &Vec<f64>| weights.iter().zip(own).all(|(new, old)| *new <= MOST_CHANGE * old + 1e-6);
        if let Some(weights) = balanced(&rows, own).filter(bearable) {
            return weights;
        }
    }
    own.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composite_design_takes_the_moments_of_a_skewed_density() {
        let corners = (0..4).map(|k| vec![if k % 2 == 0 { 1.0 } else { -1.0 }, if k / 2 == 0 { 1.0 } else { -1.0 }]);
        let axes = [[1.5, 0.0], [-1.5, 0.0], [0.0, 1.5], [0.0, -1.5], [0.0, 0.0]].map(|z| z.to_vec());
        let design: Vec<Vec<f64>> = corners.chain(axes).collect();
        let refs: Vec<&[f64]> = design.iter().map(Vec::as_slice).collect();
        let own = vec![1.0 / 9.0; 9];
        let draws = vec![vec![1.5, -0.6], vec![-1.0, 0.9], vec![-0.6, -1.5], vec![0.7, 1.2], vec![0.2, -0.5]];
        let joint = Joint::given(draws, vec![0.2; 5]);
        let weights = mixing_weights(&refs, &own, &joint);
        let mean = |f: &dyn Fn(&[f64]) -> f64| design.iter().zip(&weights).map(|(z, w)| w * f(z)).sum::<f64>();
        let known = joint.mean_of(|z, out| out.extend([z[0], z[1], z[0] * z[0], z[0] * z[1], z[1] * z[1]]));
        let found = [mean(&|z| z[0]), mean(&|z| z[1]), mean(&|z| z[0] * z[0]), mean(&|z| z[0] * z[1])];
        assert!(found.iter().zip(&known).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {known:?}");
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // moments that no weights of these points have
        let far = Joint::given(vec![vec![9.0, 9.0], vec![8.0, 8.5]], vec![0.5; 2]);
        assert_eq!(mixing_weights(&refs, &own, &far), own);
    }
}
