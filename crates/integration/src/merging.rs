//! Mixtures of many parts, of parts that hardly differ made one.
//!
//! Draws of the hyperparameters give every node and predictor a mixture of hundreds of parts, most of them alike. Parts whose standard
//! deviations and means lie in one cell become one with their weight, mean, variance and third central moment, so that these of the
//! mixture stay what they were; the fourth cumulant loses at most 2 % of the squared variance of a cell, a density some 10⁻³ of its
//! height.

use laplace::Moment;

/// Parts up to which a mixture stays as it is.
const FEW: usize = 48;
/// Width of a cell: of the logarithms of standard deviations, and of means in standard deviations.
const WIDTHS: (f64, f64) = (0.12, 0.25);

/// Merges weighted parts, with room for what that takes.
#[derive(Default)]
pub(crate) struct Merging {
    /// Cell and place of every part.
    cells: Vec<((i64, i64), usize)>,
    merged: Vec<(f64, Moment)>,
}

impl Merging {
    /// The parts in fewer, in the order of their cells; as they are if they are few or one of them has no width.
    pub(crate) fn of<'a>(&'a mut self, parts: &'a [(f64, Moment)]) -> &'a [(f64, Moment)] {
        let wide =
            |(_, part): &(f64, Moment)| part.mean.is_finite() && part.variance.is_normal() && part.variance > 0.0;
        if parts.len() <= FEW || !parts.iter().all(wide) {
            return parts;
        }
        self.cells.clear();
        self.cells.extend(parts.iter().enumerate().map(|(k, (_, part))| (cell(part), k)));
        self.cells.sort_unstable();
        self.merged.clear();
        let one = |group: &[((i64, i64), usize)]| merged(group.iter().map(|(_, k)| &parts[*k]));
        self.merged.extend(self.cells.chunk_by(|a, b| a.0 == b.0).map(one));
        &self.merged
    }
}

/// Casts saturate: parts further out than any cell share the last one only if they are as far out as each other.
fn cell(part: &Moment) -> (i64, i64) {
    let spread = (0.5 * part.variance.ln() / WIDTHS.0).floor();
    let mean = part.mean / (WIDTHS.1 * (WIDTHS.0 * spread).exp());
    (spread as i64, mean.floor() as i64)
}

fn merged<'a>(parts: impl Iterator<Item = &'a (f64, Moment)> + Clone) -> (f64, Moment) {
    let weight: f64 = parts.clone().map(|(w, _)| w).sum();
    let mean = parts.clone().map(|(w, part)| w * part.mean).sum::<f64>() / weight;
    let (mut second, mut third) = (0.0, 0.0);
    for (w, part) in parts {
        let (off, own) = (part.mean - mean, part.skewness * part.variance * part.variance.sqrt());
        second += w * (part.variance + off * off);
        third += w * (own + off * (3.0 * part.variance + off * off));
    }
    let variance = second / weight;
    (weight, Moment { mean, variance, skewness: third / weight / (variance * variance.sqrt()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marginal::Marginal;
    use crate::sampling::normals::standard_normals;
    use crate::skewed::SkewedGaussians;

    fn marginal(parts: &[(f64, Moment)]) -> Marginal {
        let mut gaussians = SkewedGaussians::default();
        let shapes = gaussians.of(parts.iter().map(|(_, part)| part));
        Marginal::Mixture(parts.iter().map(|(w, _)| *w).zip(shapes).collect())
    }

    #[test]
    fn a_mixture_of_many_parts_keeps_its_moments_and_its_shape() {
        let draws = standard_normals(2, 250, 7);
        // widths that vary as those of coefficients whose own variance is hardly known, and means that follow
        let part = |z: &Vec<f64>| {
            let sd = (0.4 * z[0]).exp();
            (1.0 / 500.0, Moment { mean: 0.6 * z[0] + 0.4 * z[1], variance: sd * sd, skewness: 0.1 * z[1] })
        };
        let parts: Vec<(f64, Moment)> = draws.iter().map(part).collect();
        let mut merging = Merging::default();
        let merged = merging.of(&parts);
        assert!(merged.len() < 150, "{}", merged.len());
        let (all, few) = (marginal(&parts), marginal(merged));
        assert!((all.mean() - few.mean()).abs() < 1e-12 && (all.sd() - few.sd()).abs() < 1e-12);
        let third = |marginal: &Marginal| marginal.moment(|x| x.powi(3));
        assert!((third(&all) / third(&few) - 1.0).abs() < 1e-6);
        for k in -50..=50 {
            let x = 0.1 * f64::from(k);
            assert!((all.cdf(x) - few.cdf(x)).abs() < 3e-4, "{x}: {} {}", all.cdf(x), few.cdf(x));
        }
    }

    #[test]
    fn few_parts_and_parts_without_width_stay_as_they_are() {
        let part = |variance: f64| (0.01, Moment { mean: 1.0, variance, skewness: 0.0 });
        let mut merging = Merging::default();
        assert_eq!(merging.of(&vec![part(1.0); FEW]).len(), FEW);
        assert_eq!(merging.of(&vec![part(0.0); 100]).len(), 100);
        assert_eq!(merging.of(&vec![part(f64::NAN); 100]).len(), 100);
        assert_eq!(merging.of(&vec![part(1.0); 100]).len(), 1);
    }
}
