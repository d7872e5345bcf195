//! Standard normal vectors that fill the space evenly.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::skewed::normal_quantile;

/// Antithetic pairs of standard normal vectors, at least `p` of them, whose sample covariance is the identity: normal scores of
/// Richtmyer's points, multiples of the roots of primes moved at random, which fill the cube more evenly than random ones do.
pub(crate) fn standard_normals(p: usize, pairs: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let is_prime = |n: &u32| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0);
    let steps: Vec<f64> = (2..).filter(is_prime).take(p).map(|prime| f64::from(prime).sqrt()).collect();
    let shifts: Vec<f64> = (0..p).map(|_| random.random()).collect();
    let score = |i: usize, k: usize| {
        let place = (shifts[k] + i as f64 * steps[k]).fract();
        // a place at the very end has no score
        normal_quantile(place.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
    };
    let mut half: Vec<Vec<f64>> = (0..pairs).map(|i| (0..p).map(|k| score(i, k)).collect()).collect();
    // Gram–Schmidt over the columns
    for k in 0..p {
        for j in 0..k {
            let dot: f64 = half.iter().map(|z| z[j] * z[k]).sum::<f64>() / pairs as f64;
            half.iter_mut().for_each(|z| z[k] -= dot * z[j]);
        }
        let norm = (half.iter().map(|z| z[k] * z[k]).sum::<f64>() / pairs as f64).sqrt();
        half.iter_mut().for_each(|z| z[k] /= norm);
    }
    let mirrored: Vec<Vec<f64>> = half.iter().map(|z| z.iter().map(|v| -v).collect()).collect();
    half.extend(mirrored);
    half
}
