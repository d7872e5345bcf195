//! `e^x`, `log(1 + x)` and roots of cubics of whole vectors: branch-free, so that one loop takes as many numbers as the machine's registers hold.
//!
//! `x = k log 2 + r` with `|r| ≤ ½ log 2` and `log 2` in two parts (Cody and Waite 1980), `e^r` by its Taylor polynomial of degree
//! 13, whose remainder is 4e-18; `2^k` in two factors, so that subnormal results are rounded once. `log(1 + x) = 2 artanh(x/(2 + x))`
//! by its series. No fused operations: the same bits on every machine.

use pulp::{Arch, Simd, WithSimd};

/// `x ← e^x`, within two units in the last place, its limits at ±∞ and NaN at NaN.
pub fn exp_in_place(x: &mut [f64]) {
    Arch::new().dispatch(Exp(x));
}

/// `x ← log(1 + x)` for `0 ≤ x ≤ 1`, within three units in the last place, NaN at NaN.
pub fn ln_1p_in_place(x: &mut [f64]) {
    Arch::new().dispatch(Ln1p(x));
}

/// `x ← t` with `t³ + 3t = x`, that is `2 sinh(⅓ arsinh(x/2))`, for `0 ≤ x ≤ 4`, to some `1e-16` relative to it, NaN at NaN.
pub fn cubic_root_in_place(x: &mut [f64]) {
    Arch::new().dispatch(CubicRoot(x));
}

struct CubicRoot<'a>(&'a mut [f64]);

impl WithSimd for CubicRoot<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for x in self.0 {
            *x = cubic_root(*x);
        }
    }
}

struct Exp<'a>(&'a mut [f64]);

impl WithSimd for Exp<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // a loop, not a closure: closures are compiled without the vector instructions
        for x in self.0 {
            *x = exp(*x);
        }
    }
}

struct Ln1p<'a>(&'a mut [f64]);

impl WithSimd for Ln1p<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for x in self.0 {
            *x = ln_1p(*x);
        }
    }
}

/// `log 2` with its last 21 bits cleared: its products with `|k| < 2^11` are exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
/// `log 2 − LN_2_HIGH`.
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Added to a number below `2^51`, it leaves the nearest integer in the low bits.
const SHIFT: f64 = 6_755_399_441_055_744.0;
/// Beyond these the result is infinite, or rounds to zero.
const GREATEST: f64 = 710.0;
const LEAST: f64 = -746.0;

/// `1/k!` for `k = 3 … 13`.
const FACTORIALS: [f64; 11] = [
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

#[inline(always)]
fn exp(x: f64) -> f64 {
    // comparisons that a NaN passes through
    let x = if x > GREATEST { GREATEST } else { x };
    let x = if x < LEAST { LEAST } else { x };
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let k = shifted - SHIFT;
    let (high, low) = (x - k * LN_2_HIGH, k * LN_2_LOW);
    let r = high - low;
    // what the subtraction has rounded away
    let rest = (high - r) - low;
    let c = &FACTORIALS;
    // Estrin's scheme: short chains of operations that wait for each other
    let (r2, r4) = (r * r, (r * r) * (r * r));
    let low_terms = (c[0] + c[1] * r) + (c[2] + c[3] * r) * r2;
    let high_terms = (c[4] + c[5] * r) + (c[6] + c[7] * r) * r2 + ((c[8] + c[9] * r) + c[10] * r2) * r4;
    let tail = low_terms + high_terms * r4;
    let power = 1.0 + (r + (rest + (0.5 * r2 + r2 * r * tail)));
    // 2^k = 2^h 2^(k−h), h about half of k
    let half = k * 0.5 + SHIFT;
    let other = (k - (half - SHIFT)) + SHIFT;
    power * power_of_two(half) * power_of_two(other)
}

/// `2^j` from `j + SHIFT`.
#[inline(always)]
fn power_of_two(shifted: f64) -> f64 {
    f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

/// A Padé approximant, within a twentieth at 4, and two of Halley's steps, which leave `0.08 e³` of an error `e`: `1e-5`, then `1e-16`.
#[inline(always)]
fn cubic_root(x: f64) -> f64 {
    let square = x * x;
    let mut t = x * (1.0 / 3.0) * (1.0 + square * (2.0 / 27.0)) / (1.0 + square * (1.0 / 9.0));
    for _ in 0..2 {
        let rise = 1.0 + t * t;
        let excess = t * (rise + 2.0) - x;
        t -= excess * rise / (3.0 * rise * rise - t * excess);
    }
    t
}

/// `1/(2k + 1)` for `k = 1 … 17`: the first term left out is `3⁻³⁶/37 = 2e-19`.
const ODD: [f64; 17] = {
    let mut odd = [0.0; 17];
    let mut k = 0;
    while k < 17 {
        odd[k] = 1.0 / (2 * k + 3) as f64;
        k += 1;
    }
    odd
};

#[inline(always)]
fn ln_1p(x: f64) -> f64 {
    let t = x / (2.0 + x);
    let t2 = t * t;
    // even and odd terms apart: two chains that do not wait for each other
    let t4 = t2 * t2;
    let (mut even, mut odd) = (ODD[16], ODD[15]);
    for k in (0..7).rev() {
        odd = odd * t4 + ODD[2 * k + 1];
    }
    for k in (0..8).rev() {
        even = even * t4 + ODD[2 * k];
    }
    let sum = even + odd * t2;
    2.0 * t + 2.0 * t * (t2 * sum)
}

#[cfg(test)]
mod tests {
    use super::{cubic_root_in_place, exp_in_place, ln_1p_in_place};

    fn exp(x: f64) -> f64 {
        // in a vector long enough for the wide registers
        let mut values = [x; 9];
        exp_in_place(&mut values);
        assert!(values.iter().all(|v| v.to_bits() == values[0].to_bits()));
        values[0]
    }

    /// Distance in units of the last place.
    fn ulps(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn the_exponential_is_within_two_units_of_the_last_place_everywhere() {
        // from below the least subnormal to above the greatest double, by steps without a pattern
        let mut worst = 0;
        let mut x = -760.0;
        while x < 720.0 {
            worst = worst.max(ulps(exp(x), libm::exp(x)));
            x += 0.000_917_3;
        }
        for k in -1000..1000 {
            let x = f64::from(k) * 1e-6 + 1e-17;
            worst = worst.max(ulps(exp(x), libm::exp(x)));
        }
        assert!(worst <= 2, "{worst}");
    }

    #[test]
    fn the_logarithm_is_within_three_units_of_the_last_place() {
        let mut worst = 0;
        for k in 0..200_000 {
            let x = (f64::from(k) / 199_999.0).powi(3);
            let mut value = [x];
            ln_1p_in_place(&mut value);
            worst = worst.max(ulps(value[0], libm::log1p(x)));
        }
        let mut ends = [1e-300, 0.0, f64::NAN];
        ln_1p_in_place(&mut ends);
        assert_eq!(ends[..2], [1e-300, 0.0]);
        assert!(worst <= 3 && ends[2].is_nan(), "{worst}");
    }

    #[test]
    fn roots_of_the_cubic_are_exact_to_rounding() {
        for k in 0..=100_000 {
            let x = 4.0 * (f64::from(k) / 100_000.0).powi(3);
            let mut root = [x; 3];
            cubic_root_in_place(&mut root);
            let expected = 2.0 * (libm::asinh(0.5 * x) / 3.0).sinh();
            assert!((root[0] - expected).abs() <= 4.0 * f64::EPSILON * expected, "{x}: {} {expected}", root[0]);
        }
    }

    #[test]
    fn the_exponential_has_its_limits() {
        assert_eq!([exp(0.0), exp(-0.0), exp(1e-300)], [1.0; 3]);
        assert_eq!([exp(f64::INFINITY), exp(1e300), exp(709.8)], [f64::INFINITY; 3]);
        assert_eq!([exp(f64::NEG_INFINITY), exp(-1e300), exp(-745.2)], [0.0; 3]);
        assert!(exp(709.78).is_finite() && exp(-745.1) > 0.0 && exp(f64::NAN).is_nan());
    }
}
