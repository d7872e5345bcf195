//! Where searches for the mode of the latent field start: what is known of it at one `θ`, carried to its neighbours.

use laplace::Sites;

use crate::hessian::Reparametrisation;

/// The mode of the latent field at one `θ` and how it moves with `θ`: where searches nearby start.
#[derive(Debug, Clone)]
pub struct Start {
    theta: Vec<f64>,
    mode: Vec<f64>,
    derivatives: Vec<Vec<f64>>,
    bend: Option<Bend>,
    /// Of expectation propagation: those here, or with a map those of a skeleton around it.
    sites: Vec<Sites>,
    sites_map: Option<Reparametrisation>,
}

/// A polynomial in the coordinates of a standardised map.
#[derive(Debug, Clone)]
struct Bend {
    map: Reparametrisation,
    reach: f64,
    /// Coefficients of `z_k²` to `z_k⁵` on every axis.
    axes: Vec<[Vec<f64>; 4]>,
    /// For every pair of axes `k < l` the coefficients of `z_k z_l`, `z_k² z_l` and `z_k z_l²`.
    pairs: Vec<(usize, usize, [Vec<f64>; 3])>,
}

/// The mode and its derivatives in `θ` at one end of an axis.
pub(crate) type End<'e> = (&'e [f64], &'e [Vec<f64>]);

/// A prediction reaches no further than this in any hyperparameter: beyond it the mode is no longer near its tangent.
const FARTHEST_PREDICTION: f64 = 1.0;
/// And in multiples of the distance at which the axes are known.
const FARTHEST_BEND: f64 = 1.5;
/// Hyperparameters up to which pairs are kept: thirty vectors.
const MOST_PAIRED: usize = 5;

impl Start {
    /// From the mode at `theta` with its derivatives, which may be missing.
    pub(crate) fn new(theta: &[f64], (mode, derivatives): (Vec<f64>, Vec<Vec<f64>>), sites: Vec<Sites>) -> Self {
        Self { theta: theta.to_vec(), mode, derivatives, bend: None, sites, sites_map: None }
    }

    pub(crate) fn theta(&self) -> &[f64] {
        &self.theta
    }

    /// The mode predicted at `theta`.
    pub(crate) fn at(&self, theta: &[f64]) -> Vec<f64> {
        let mut x = self.mode.clone();
        let Some(bend) = &self.bend else {
            let farthest = theta.iter().zip(&self.theta).fold(0.0_f64, |a, (t, s)| a.max((t - s).abs()));
            let share = (FARTHEST_PREDICTION / farthest).min(1.0);
            for ((t, s), slope) in theta.iter().zip(&self.theta).zip(&self.derivatives) {
                add(share * (t - s), slope, &mut x);
            }
            return x;
        };
        let (z, origin) = (bend.map.z(theta), bend.map.z(&self.theta));
        let farthest = FARTHEST_BEND * bend.reach;
        let z: Vec<f64> = z.iter().zip(&origin).map(|(z, o)| (z - o).clamp(-farthest, farthest)).collect();
        for (j, slope) in self.derivatives.iter().enumerate() {
            let step: f64 = bend.map.loading(j).iter().zip(&z).map(|(a, z)| a * z).sum();
            add(step, slope, &mut x);
        }
        // beyond the ends the high orders run away: what is left there is the cubic through the ends, and what was linear on the way
        let inner: Vec<f64> = z.iter().map(|z| z.clamp(-bend.reach, bend.reach)).collect();
        for ((orders, z), inner) in bend.axes.iter().zip(&z).zip(&inner) {
            let (square, held) = (z * z, inner * inner);
            let powers = [square, square * z, square * held, square * z * held];
            orders.iter().zip(powers).for_each(|(order, power)| add(power, order, &mut x));
        }
        for (k, l, [both, first, second]) in &bend.pairs {
            let product = z[*k] * z[*l];
            add(product, both, &mut x);
            add(product * inner[*k], first, &mut x);
            add(product * inner[*l], second, &mut x);
        }
        x
    }

    /// The sites predicted at `theta`.
    pub(crate) fn sites_at(&self, theta: &[f64]) -> Option<Sites> {
        let Some(map) = &self.sites_map else { return self.sites.first().cloned() };
        let weights = crate::skeleton::weights(map, theta);
        let mut out = self.sites.first()?.clone();
        let sum = |of: &dyn Fn(&Sites) -> &Vec<f64>, out: &mut [f64]| {
            out.fill(0.0);
            self.sites.iter().zip(&weights).for_each(|(sites, weight)| add(*weight, of(sites), out));
        };
        sum(&|sites| &sites.precision, &mut out.precision);
        sum(&|sites| &sites.shift, &mut out.shift);
        Some(out)
    }

    /// Adds the parabolas through the sites of a skeleton.
    pub(crate) fn bend_sites(&mut self, map: &Reparametrisation, sites: Vec<Sites>) {
        (self.sites, self.sites_map) = (sites, Some(map.clone()));
    }

    /// Adds what the modes and their slopes at `∓reach` on every axis of `map`, whose centre this start is, tell of the mode's higher
    /// derivatives: on the axes to fifth order, between two of them to third.
    pub(crate) fn bend(&mut self, map: &Reparametrisation, reach: f64, ends: &[[End<'_>; 2]]) {
        let along = |slopes: &[Vec<f64>], k: usize| {
            let mut out = vec![0.0; self.mode.len()];
            slopes.iter().enumerate().for_each(|(j, slope)| add(map.loading(j)[k], slope, &mut out));
            out
        };
        let here: Vec<Vec<f64>> = (0..ends.len()).map(|k| along(&self.derivatives, k)).collect();
        let axes = ends.iter().enumerate().map(|(k, [low, high])| {
            let slopes = [along(low.1, k), along(high.1, k)];
            quintic(reach, (&self.mode, &here[k]), [low.0, high.0], &slopes)
        });
        let axes = axes.collect();
        let mut pairs = Vec::new();
        for k in 0..if ends.len() > MOST_PAIRED { 0 } else { ends.len() } {
            for l in k + 1..ends.len() {
                // how the slope along one axis changes on the other
                let change = |on: usize, of: usize| {
                    let [low, high] = ends[on].map(|(_, slopes)| along(slopes, of));
                    let odd = low.iter().zip(&high).map(|(low, high)| 0.5 * (high - low) / reach);
                    let even = low.iter().zip(&high).zip(&here[of]);
                    let even = even.map(|((low, high), d)| (0.5 * (low + high) - d) / (reach * reach));
                    (odd.collect::<Vec<f64>>(), even.collect::<Vec<f64>>())
                };
                let ((both, first), (too, second)) = (change(k, l), change(l, k));
                let both = both.iter().zip(&too).map(|(a, b)| 0.5 * (a + b)).collect();
                pairs.push((k, l, [both, first, second]));
            }
        }
        self.bend = Some(Bend { map: map.clone(), reach, axes, pairs });
    }
}

/// The coefficients of second to fifth order of the polynomial with these values and slopes at `−reach`, 0 and `reach`.
fn quintic(reach: f64, centre: (&[f64], &[f64]), ends: [&[f64]; 2], slopes: &[Vec<f64>; 2]) -> [Vec<f64>; 4] {
    let mut out: [Vec<f64>; 4] = std::array::from_fn(|_| Vec::with_capacity(centre.0.len()));
    for i in 0..centre.0.len() {
        let even = 0.5 * (ends[1][i] + ends[0][i]) - centre.0[i];
        let odd = 0.5 * (ends[1][i] - ends[0][i]) - reach * centre.1[i];
        let even_slope = 0.5 * (slopes[1][i] - slopes[0][i]);
        let odd_slope = 0.5 * (slopes[1][i] + slopes[0][i]) - centre.1[i];
        let fourth = (even_slope - 2.0 * even / reach) / (2.0 * reach.powi(3));
        let fifth = (odd_slope - 3.0 * odd / reach) / (2.0 * reach.powi(4));
        let second = even / reach.powi(2) - fourth * reach.powi(2);
        let third = odd / reach.powi(3) - fifth * reach.powi(2);
        out.iter_mut().zip([second, third, fourth, fifth]).for_each(|(out, order)| out.push(order));
    }
    out
}

/// `x += step · slope`.
fn add(step: f64, slope: &[f64], x: &mut [f64]) {
    if step != 0.0 {
        x.iter_mut().zip(slope).for_each(|(x, d)| *x += step * d);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_is_predicted_where_its_terms_are_kept() {
        // two coordinates that are standardised already; a mode of two components
        let map = Reparametrisation {
            mode: vec![0.3, -0.2],
            hessian: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
            vectors: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
            scales: vec![1.0, 1.0],
            replaced: Vec::new(),
        };
        let mode = |a: f64, b: f64| vec![1.0 + a - a.powi(5) + 0.5 * a * b + a * a * b, b.powi(4) - 2.0 * a * b * b];
        let slopes = |a: f64, b: f64| {
            let first = vec![1.0 - 5.0 * a.powi(4) + 0.5 * b + 2.0 * a * b, -2.0 * b * b];
            vec![first, vec![0.5 * a + a * a, 4.0 * b.powi(3) - 4.0 * a * b]]
        };
        let ends = [[(-2.0, 0.0), (2.0, 0.0)], [(0.0, -2.0), (0.0, 2.0)]];
        let known = ends.map(|pair| pair.map(|(a, b)| (mode(a, b), slopes(a, b))));
        let mut start = Start::new(&map.mode, (mode(0.0, 0.0), slopes(0.0, 0.0)), Vec::new());
        let views = known.each_ref().map(|pair| pair.each_ref().map(|(mode, slopes)| (mode.as_slice(), &slopes[..])));
        start.bend(&map, 2.0, &views);
        for (a, b) in [(1.0, -1.0), (-2.0, 0.5), (1.5, 2.0)] {
            let found = start.at(&[0.3 + a, -0.2 + b]);
            for (found, expected) in found.iter().zip(mode(a, b)) {
                assert!((found - expected).abs() < 1e-11, "{found} {expected}");
            }
        }
    }
}
