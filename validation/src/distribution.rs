//! The reference's distribution of every scalar, and Kolmogorov's distance from it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::cases::Failure;

/// Confidence that none of a case's distances passes its band by Monte Carlo error alone, less one.
const LEVEL: f64 = 0.01;

/// What is known of a scalar's distribution.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// Sorted draws.
    Draws(Vec<f64>),
    /// Quantiles of increasing levels.
    Quantiles {
        /// The levels.
        levels: Arc<[f64]>,
        /// The quantiles.
        values: Vec<f64>,
    },
}

/// Half the width of a band that holds the empirical distribution functions of all `scalars` around the true ones with probability 99 %:
/// `√(log(2m/0.01)/(2n))` for `n` independent draws (Dvoretzky, Kiefer and Wolfowitz 1956 with Massart's constant), Bonferroni's bound
/// over `m`. `n` is the effective number of correlated ones.
pub fn band(effective: f64, scalars: usize) -> f64 {
    ((2.0 * scalars as f64 / LEVEL).ln() / (2.0 * effective)).sqrt()
}

impl Distribution {
    /// `sup |F − cdf|` over all `x` for draws, over the levels for quantiles.
    ///
    /// Between levels both functions rise by their spacing at most, which bounds what is missed by 0.02; for smooth densities it is
    /// below a hundredth of the distance (`levels_miss_little_of_the_distance`).
    pub fn distance(&self, cdf: &dyn Fn(f64) -> f64) -> f64 {
        match self {
            Self::Quantiles { levels, values } => {
                levels.iter().zip(values).map(|(level, x)| (cdf(*x) - level).abs()).fold(0.0, f64::max)
            }
            Self::Draws(draws) => largest_step(draws, cdf),
        }
    }

    /// Densities between neighbouring quantiles or in equal bins: left end, right end, height.
    pub fn histogram(&self, bins: usize) -> Vec<[f64; 3]> {
        match self {
            Self::Quantiles { levels, values } => {
                // every second one: a bin of 4 % has a Monte Carlo error of a few per cent
                let kept: Vec<usize> = (0..levels.len()).filter(|k| k % 2 == 0).collect();
                let bin = |pair: &[usize]| {
                    let (left, right) = (values[pair[0]], values[pair[1]]);
                    (right > left).then(|| [left, right, (levels[pair[1]] - levels[pair[0]]) / (right - left)])
                };
                kept.windows(2).filter_map(bin).collect()
            }
            Self::Draws(draws) => {
                let last = draws.len() - 1;
                let (low, high) = (draws[last / 1000], draws[last - last / 1000]);
                let width = (high - low) / bins as f64;
                let below = |x: f64| draws.partition_point(|&draw| draw < x) as f64 / draws.len() as f64;
                let ends = |k: usize| (low + width * k as f64, low + width * (k + 1) as f64);
                let bar = |(left, right)| [left, right, (below(right) - below(left)) / width];
                (0..bins).map(ends).map(bar).collect()
            }
        }
    }
}

/// `max_i max(i/n − F(x_i), F(x_i) − (i − 1)/n)`: intervals of draws whose bound does not pass the largest value so far are not entered.
fn largest_step(draws: &[f64], cdf: &dyn Fn(f64) -> f64) -> f64 {
    let n = draws.len();
    let step = |i: usize, value: f64| ((i + 1) as f64 / n as f64 - value).max(value - i as f64 / n as f64);
    let (first, last) = (cdf(draws[0]), cdf(draws[n - 1]));
    let mut largest = step(0, first).max(step(n - 1, last));
    let mut open = vec![(0, first, n - 1, last)];
    while let Some((a, low, b, high)) = open.pop() {
        let bound = (b as f64 / n as f64 - low).max(high - (a + 1) as f64 / n as f64);
        if b <= a + 1 || bound <= largest {
            continue;
        }
        let middle = (a + b) / 2;
        let value = cdf(draws[middle]);
        largest = largest.max(step(middle, value));
        open.extend([(a, low, middle, value), (middle, value, b, high)]);
    }
    largest
}

/// `distribution.csv`: standardised quantiles, a row for each scalar, levels in the head; `moments` are its mean and standard deviation.
///
/// # Errors
/// A broken file.
pub(crate) fn read_quantiles(
    path: &Path,
    moments: &HashMap<String, (f64, f64)>,
) -> Result<HashMap<String, Distribution>, Failure> {
    let mut reader = csv::Reader::from_path(path)?;
    let levels: Result<Vec<f64>, _> = reader.headers()?.iter().skip(1).map(str::parse).collect();
    let levels: Arc<[f64]> = levels?.into();
    let mut all = HashMap::new();
    for record in reader.records() {
        let record = record?;
        let (mean, sd) =
            *moments.get(&record[0]).ok_or_else(|| format!("{}: {} unknown", path.display(), &record[0]))?;
        let values: Result<Vec<f64>, _> = record.iter().skip(1).map(str::parse::<f64>).collect();
        let values = values?.iter().map(|z| mean + sd * z).collect();
        all.insert(record[0].to_owned(), Distribution::Quantiles { levels: levels.clone(), values });
    }
    Ok(all)
}

/// `draws.npz`: an array for each parameter, the first axis the draws; elements are called `name[i]` or `name[i,j]`, from 1.
///
/// # Errors
/// A broken file.
pub(crate) fn read_draws(path: &Path) -> Result<HashMap<String, Distribution>, Failure> {
    let mut archive = zip::ZipArchive::new(File::open(path)?)?;
    let mut all = HashMap::new();
    for k in 0..archive.len() {
        let mut file = archive.by_index(k)?;
        let name = file.name()?.trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (shape, values) = array(&bytes).ok_or_else(|| format!("{}: {name} is not of floats", path.display()))?;
        let elements: usize = shape[1..].iter().product();
        for element in 0..elements {
            let index = match shape[1..] {
                [] => String::new(),
                [_] => format!("[{}]", element + 1),
                [_, columns] => format!("[{},{}]", element / columns + 1, element % columns + 1),
                _ => continue,
            };
            let mut draws: Vec<f64> = values[element..].iter().step_by(elements).map(|&x| f64::from(x)).collect();
            draws.sort_by(f64::total_cmp);
            all.insert(format!("{name}{index}"), Distribution::Draws(draws));
        }
    }
    Ok(all)
}

/// Shape and values of a `.npy` file (NumPy's format 1.0): magic and version in 8 bytes, the length of the header in 2, the header, a
/// Python dictionary, then the values; `None` unless they are 4-byte floats in C's order.
fn array(bytes: &[u8]) -> Option<(Vec<usize>, Vec<f32>)> {
    let length = usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?));
    let header = std::str::from_utf8(bytes.get(10..10 + length)?).ok()?;
    if !(header.contains("'<f4'") && header.contains("'fortran_order': False")) {
        return None;
    }
    let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
    let shape: Option<Vec<usize>> =
        shape.split(',').map(str::trim).filter(|extent| !extent.is_empty()).map(|extent| extent.parse().ok()).collect();
    let (values, rest) = bytes[10 + length..].as_chunks::<4>();
    let (shape, values): (_, Vec<f32>) = (shape?, values.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect());
    (rest.is_empty() && !shape.is_empty() && values.len() == shape.iter().product::<usize>()).then_some((shape, values))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // what fails in a helper fails the test
mod tests {
    use super::*;
    use inla::Marginal;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, StandardNormal};

    fn normal(mean: f64, sd: f64) -> impl Fn(f64) -> f64 {
        let marginal = Marginal::Mixture(vec![(1.0, integration::SkewedGaussian::new(mean, sd, 0.0))]);
        move |x| marginal.cdf(x)
    }

    #[test]
    fn the_distance_of_draws_is_that_over_all_of_them() {
        let mut random = rand_chacha::ChaCha12Rng::seed_from_u64(3);
        let mut draws: Vec<f64> = (0..1000).map(|_| StandardNormal.sample(&mut random)).collect();
        draws.sort_by(f64::total_cmp);
        for (mean, sd) in [(0.0, 1.0), (0.1, 0.9), (-0.5, 2.0)] {
            let cdf = normal(mean, sd);
            let step = |(i, x): (usize, &f64)| {
                (cdf(*x) - i as f64 / 1000.0).abs().max((cdf(*x) - (i + 1) as f64 / 1000.0).abs())
            };
            let direct = draws.iter().enumerate().map(step).fold(0.0, f64::max);
            assert_eq!(Distribution::Draws(draws.clone()).distance(&cdf), direct);
        }
        // one set of draws of a hundred would leave the band
        assert!(Distribution::Draws(draws).distance(&normal(0.0, 1.0)) < band(1000.0, 1));
    }

    #[test]
    fn an_array_is_read_by_its_header() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        (0..6).for_each(|k| bytes.extend((k as f32).to_le_bytes()));
        assert_eq!(array(&bytes), Some((vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])));
        assert_eq!(array(&bytes[..bytes.len() - 1]), None);
        assert_eq!(array(&bytes[..20]), None);
    }

    #[test]
    fn levels_miss_little_of_the_distance() {
        let truth = normal(0.0, 1.0);
        let levels: Arc<[f64]> = (1..50).map(|k| f64::from(k) / 50.0).collect();
        let quantile = |p: f64| {
            let (mut low, mut high) = (-8.0, 8.0);
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if truth(middle) < p { low = middle } else { high = middle }
            }
            0.5 * (low + high)
        };
        let values = levels.iter().map(|&p| quantile(p)).collect();
        let known = Distribution::Quantiles { levels, values };
        for (mean, sd) in [(0.05, 1.0), (0.0, 1.05), (0.03, 0.97)] {
            let cdf = normal(mean, sd);
            let grid = (-400..=400).map(|k| 0.01 * f64::from(k));
            let dense = grid.map(|x| (cdf(x) - truth(x)).abs()).fold(0.0, f64::max);
            let distance = known.distance(&cdf);
            assert!((distance / dense - 1.0).abs() < 0.01, "{mean} {sd}: {distance} {dense}");
        }
    }
}
