//! `y log p + (n − y) log(1 − p)`, `p = 1/(1 + e^{−η})`, and its derivatives for many rows: one exponential and one logarithm for each,
//! in vectors.

use gmrf::elementary::{exp_in_place, ln_1p_in_place};

use super::{Derivatives, Order, PIECE};

/// At most [`PIECE`] rows; a negative or missing `y` is no observation.
pub(super) struct Rows<'a> {
    pub(super) y: &'a [f64],
    pub(super) n: &'a [f64],
    pub(super) constant: &'a [f64],
    pub(super) eta: &'a [f64],
}

/// What is left over for derivatives in hyperparameters.
pub(super) struct Shares {
    /// `1 − 2p`.
    pub(super) difference: [f64; PIECE],
    /// `log(1 + e^{−|η|})`.
    pub(super) logs: [f64; PIECE],
}

impl Rows<'_> {
    /// Writes value and derivatives up to `order` from place `at` on; a row without density has `−∞` and no derivatives.
    pub(super) fn evaluate(&self, order: Order, (at, out): (usize, &mut Derivatives)) -> Shares {
        let (count, places) = (self.eta.len(), at..at + self.eta.len());
        let mut shares = Shares { difference: [0.0; PIECE], logs: [0.0; PIECE] };
        let (decay, logs) = (&mut shares.difference[..count], &mut shares.logs[..count]);
        for k in 0..count {
            decay[k] = -self.eta[k].abs();
        }
        exp_in_place(decay);
        logs.copy_from_slice(decay);
        ln_1p_in_place(logs);
        let value = &mut out.value[places.clone()];
        for k in 0..count {
            let (y, n, eta) = (self.y[k], self.n[k], self.eta[k]);
            // selections, which a minimum is not for a NaN
            let (low, high) = if eta < 0.0 { (eta, 0.0) } else { (0.0, eta) };
            let inside = y * low - (n - y) * high - n * logs[k] + self.constant[k];
            let present = if inside.abs() < f64::INFINITY { inside } else { f64::NEG_INFINITY };
            value[k] = if y >= 0.0 { present } else { 0.0 };
        }
        if order == Order::Value {
            return shares;
        }
        let (first, second) = (&mut out.first[places.clone()], &mut out.second[places.clone()]);
        for k in 0..count {
            let (y, n) = (self.y[k], self.n[k]);
            let known = y >= 0.0 && value[k] > f64::NEG_INFINITY;
            let inverse = 1.0 / (1.0 + decay[k]);
            let (large, small) = (inverse, decay[k] * inverse);
            let (p, q) = if self.eta[k] >= 0.0 { (large, small) } else { (small, large) };
            first[k] = if known { y * q - (n - y) * p } else { 0.0 };
            second[k] = if known { -n * (p * q) } else { 0.0 };
            decay[k] = q - p;
        }
        if order >= Order::Fourth {
            let (third, fourth) = (&mut out.third[places.clone()], &mut out.fourth[places]);
            for k in 0..count {
                let v = 0.25 * (1.0 - decay[k] * decay[k]);
                third[k] = if second[k] == 0.0 { 0.0 } else { second[k] * decay[k] };
                fourth[k] = if second[k] == 0.0 { 0.0 } else { second[k] * (1.0 - 6.0 * v) };
            }
        }
        shares
    }
}
