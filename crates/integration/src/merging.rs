//! Mixtures of many parts, of parts that hardly differ made one.
//!
//! Draws of the hyperparameters give every node and predictor a mixture of hundreds of parts, most of them alike. Parts whose standard
//! deviations and means lie in one cell become one with their weight, mean, variance and third central moment, so that these of the
//! mixture stay what they were; the fourth cumulant loses at most 3 % of the squared variance of a cell, a density some 10⁻³ of its
//! height.

use laplace::Moment;

/// Parts up to which a mixture stays as it is.
const FEW: usize = 48;
/// Cells of variances: four for each factor of two, standard deviations in one of them within a ninth of each other.
const MANTISSA: u32 = 2;
/// Width of a cell of means, in standard deviations.
const WIDTH: f64 = 0.25;
/// Bits of a place among the parts, and of a cell of means: eleven are those of a variance's exponent.
const PLACE: u32 = 20;
const MEAN: u32 = u64::BITS - PLACE - 11 - MANTISSA;

/// Merges weighted parts, with room for what that takes.
#[derive(Default)]
pub(crate) struct Merging {
    /// Cell and place of every part.
    cells: Vec<u64>,
    merged: Vec<(f64, Moment)>,
}

impl Merging {
    /// The parts in fewer, in the order of their cells; as they are if they are few, more than a million, or one of them has no width.
    pub(crate) fn of<'a>(&'a mut self, parts: &'a [(f64, Moment)]) -> &'a [(f64, Moment)] {
        let wide =
            |(_, part): &(f64, Moment)| part.mean.is_finite() && part.variance.is_normal() && part.variance > 0.0;
        if parts.len() <= FEW || parts.len() >> PLACE != 0 || !parts.iter().all(wide) {
            return parts;
        }
        let total: f64 = parts.iter().map(|(w, _)| w).sum();
        let centre = parts.iter().map(|(w, part)| w * part.mean).sum::<f64>() / total;
        self.cells.clear();
        self.cells.extend(parts.iter().enumerate().map(|(k, (_, part))| (cell(part, centre) << PLACE) | k as u64));
        self.cells.sort_unstable();
        self.merged.clear();
        let place = |cell: &u64| (cell & ((1 << PLACE) - 1)) as usize;
        let one = |group: &[u64]| merged(group.iter().map(|cell| &parts[place(cell)]));
        self.merged.extend(self.cells.chunk_by(|a, b| a >> PLACE == b >> PLACE).map(one));
        &self.merged
    }
}

/// The leading bits of a variance, then the distance of the mean from a centre in the standard deviations that they begin with.
fn cell(part: &Moment, centre: f64) -> u64 {
    let shift = f64::MANTISSA_DIGITS - 1 - MANTISSA;
    let spread = part.variance.to_bits() >> shift;
    let sd = f64::from_bits(spread << shift).sqrt();
    // casts saturate: what is a hundred million standard deviations away shares a cell
    let steps = ((part.mean - centre) / (WIDTH * sd)).floor() + (1u64 << (MEAN - 1)) as f64;
    (spread << MEAN) | (steps as u64).min((1 << MEAN) - 1)
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
    use crate::executor::Sequential;
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
        let draws = standard_normals(&Sequential, 2, 250, 7);
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
