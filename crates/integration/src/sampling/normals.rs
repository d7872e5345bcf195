//! Standard normal vectors that fill the space evenly.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::executor::{Executor, map};
use crate::skewed::normal_quantile;

/// Antithetic pairs of standard normal vectors, at least `p` of them, whose sample covariance is the identity: normal scores of
/// Richtmyer's points, multiples of the roots of primes moved at random, which fill the cube more evenly than random ones do.
pub(crate) fn standard_normals(executor: &dyn Executor, p: usize, pairs: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let is_prime = |n: &u32| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0);
    let steps: Vec<f64> = (2..).filter(is_prime).take(p).map(|prime| f64::from(prime).sqrt()).collect();
    let shifts: Vec<f64> = (0..p).map(|_| random.random()).collect();
    let score = |i: usize, k: usize| {
        let place = (shifts[k] + i as f64 * steps[k]).fract();
        // a place at the very end has no score
        normal_quantile(place.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
    };
    let mut columns: Vec<Vec<f64>> = map(executor, p, |k| (0..pairs).map(|i| score(i, k)).collect());
    // Gram–Schmidt
    for k in 0..p {
        let (before, column) = columns.split_at_mut(k);
        let column = &mut column[0];
        for other in before {
            let dot: f64 = other.iter().zip(&*column).map(|(a, b)| a * b).sum::<f64>() / pairs as f64;
            column.iter_mut().zip(other).for_each(|(z, other)| *z -= dot * *other);
        }
        let norm = (column.iter().map(|z| z * z).sum::<f64>() / pairs as f64).sqrt();
        column.iter_mut().for_each(|z| *z /= norm);
    }
    let signed = |sign: f64| (0..pairs).map(move |i| (i, sign));
    signed(1.0).chain(signed(-1.0)).map(|(i, sign)| columns.iter().map(|column| sign * column[i]).collect()).collect()
}
