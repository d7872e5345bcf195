//! Draws of all hyperparameters together, for functions of several of them.

use std::sync::Arc;

use crate::evaluated::effective;
use crate::executor::{Executor, map};
use crate::marginal::{Marginal, Table};

/// Draws that a task maps.
const CHUNK: usize = 512;
/// Bins of a smoothed density, from end to end of the draws.
const BINS: usize = 400;
/// Width of the smoothing kernel in standard deviations, times the ninth root of the number of draws: a little less than is best for a
/// Gaussian.
const BANDWIDTH: f64 = 0.9;
/// Least width of the middle half of the draws that is believed, of a Gaussian's.
const LEAST_MIDDLE: f64 = 0.3;

/// Weighted draws of `θ`.
#[derive(Debug, Clone)]
pub(crate) struct Joint {
    thetas: Arc<Vec<Vec<f64>>>,
    weights: Vec<f64>,
}

impl Joint {
    /// From draws with weights that sum to one.
    pub(crate) fn given(thetas: impl Into<Arc<Vec<Vec<f64>>>>, weights: Vec<f64>) -> Self {
        Self { thetas: thetas.into(), weights }
    }

    /// Mean and standard deviation of a function.
    fn moments(&self, values: &[f64]) -> (f64, f64) {
        let mean: f64 = values.iter().zip(&self.weights).map(|(v, w)| w * v).sum();
        let variance: f64 = values.iter().zip(&self.weights).map(|(v, w)| w * (v - mean).powi(2)).sum();
        (mean, variance.sqrt())
    }

    /// Means of functions of `θ`, which are appended to what they are given.
    pub(crate) fn mean_of(&self, mut functions: impl FnMut(&[f64], &mut Vec<f64>)) -> Vec<f64> {
        let (mut means, mut values) = (Vec::new(), Vec::new());
        for (theta, weight) in self.thetas.iter().zip(&self.weights) {
            values.clear();
            functions(theta, &mut values);
            means.resize(values.len(), 0.0);
            means.iter_mut().zip(&values).for_each(|(mean, value)| *mean += weight * value);
        }
        means
    }

    /// Mean and standard deviation of hyperparameter `j`.
    pub(crate) fn theta_moments(&self, j: usize) -> (f64, f64) {
        self.moments(&self.thetas.iter().map(|theta| theta[j]).collect::<Vec<_>>())
    }

    /// The densities of functions of `θ`, each the smoothed histogram of its draws with their mean and standard deviation.
    pub(crate) fn marginals(
        &self,
        executor: &dyn Executor,
        functions: impl Fn(&[f64]) -> Vec<f64> + Sync,
    ) -> Vec<Marginal> {
        let chunk = |c: usize| -> Vec<Vec<f64>> {
            let own = &self.thetas[c * CHUNK..self.thetas.len().min((c + 1) * CHUNK)];
            own.iter().map(|theta| functions(theta)).collect()
        };
        let chunks = map(executor, self.thetas.len().div_ceil(CHUNK), chunk);
        let rows: Vec<Vec<f64>> = chunks.into_iter().flatten().collect();
        let count = rows.first().map_or(0, Vec::len);
        map(executor, count, |k| self.smoothed(&rows.iter().map(|row| row[k]).collect::<Vec<_>>()))
    }

    /// By a kernel of fourth order, which widens nothing: draws of a variance that may vanish have a long tail on its logarithm.
    fn smoothed(&self, values: &[f64]) -> Marginal {
        let (mean, sd) = self.moments(values);
        let width = BANDWIDTH * effective(&self.weights).powf(-1.0 / 9.0) * sd;
        let ends = values.iter().fold((mean, mean), |(a, b), v| (a.min(*v), b.max(*v)));
        let (low, high) = (ends.0 - 4.0 * width, ends.1 + 4.0 * width);
        let cell = (high - low) / BINS as f64;
        if !(cell > 0.0 && cell.is_finite()) {
            return Marginal::Mixture(vec![(1.0, crate::SkewedGaussian::new(mean, 0.0, 0.0))]);
        }
        let mut mass = vec![0.0; BINS + 2];
        for (value, weight) in values.iter().zip(&self.weights) {
            let place = (value - low) / cell;
            let (bin, share) = (place as usize, place.fract());
            mass[bin] += weight * (1.0 - share);
            mass[bin + 1] += weight * share;
        }
        // the width of the middle of a density is not that of its tails
        let width = width * (quartile_range(&mass) * cell / (1.349 * sd)).clamp(LEAST_MIDDLE, 1.0);
        let taps = (4.0 * width / cell).ceil() as usize;
        let kernel = |t: usize| {
            let square = (t as f64 * cell / width).powi(2);
            (1.5 - 0.5 * square) * (-0.5 * square).exp()
        };
        let kernel: Vec<f64> = (0..=taps).map(kernel).collect();
        let mut density = vec![0.0; mass.len()];
        for (bin, m) in mass.iter().enumerate().filter(|(_, m)| **m > 0.0) {
            for (at, d) in density.iter_mut().enumerate().take(bin + taps + 1).skip(bin.saturating_sub(taps)) {
                *d += m * kernel[at.abs_diff(bin)];
            }
        }
        let x = (0..density.len()).map(|k| low + cell * k as f64).collect();
        // where the kernel is negative alone there is no draw near
        let log: Vec<f64> = density.iter().map(|d| d.max(0.0).ln()).collect();
        Marginal::Tabulated(Arc::new(Table::new(x, &log).moved(mean, sd)))
    }
}

/// Bins from the first quartile to the third.
fn quartile_range(mass: &[f64]) -> f64 {
    let quartile = |p: f64| {
        let mut sum = 0.0;
        for (bin, m) in mass.iter().enumerate() {
            if sum + m >= p && *m > 0.0 {
                return bin as f64 + (p - sum) / m;
            }
            sum += m;
        }
        mass.len() as f64
    };
    quartile(0.75) - quartile(0.25)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Sequential;
    use crate::sampling::normals::standard_normals;

    #[test]
    fn functions_of_gaussians_have_their_moments_and_quantiles() {
        let draws = standard_normals(&Sequential, 3, 3072, 20_09);
        let equal = vec![1.0 / draws.len() as f64; draws.len()];
        let joint = Joint::given(draws, equal);
        let made = joint.marginals(&crate::executor::Sequential, |t| vec![t[0] + 2.0 * t[1], (0.3 * t[2]).exp()]);
        // linear functions: means exact by antithesis, second moments exact by orthogonalisation
        assert!(made[0].mean().abs() < 1e-12 && (made[0].sd() / 5.0f64.sqrt() - 1.0).abs() < 1e-12);
        assert!((made[0].quantile(0.975) / 5.0f64.sqrt() - 1.96).abs() < 0.05);
        assert!((made[1].mean() / 0.045f64.exp() - 1.0).abs() < 2e-3, "{}", made[1].mean());
    }
}
