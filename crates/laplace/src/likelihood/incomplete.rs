//! The regularised incomplete gamma and beta functions for any parameters: a bounded number of steps however large or small they are.

use std::f64::consts::SQRT_2;

use statrs::function::{beta::beta_reg, gamma::gamma_lr};

/// Up to this sum the continued fraction of `statrs` converges within its 140 steps.
const EXACT: f64 = 1e4;
/// Above, the smaller parameter up to which a gamma distribution stands for the larger one.
const SMALL: f64 = 1e3;
/// Up to this shape the series of `statrs` for the gamma function ends within some thousand steps.
const EXACT_SHAPE: f64 = 1e6;

/// `P(shape, x)`, in `[0, 1]`, or NaN where an argument is; a shape that is not positive puts all mass at zero.
///
/// Beyond a shape of 10⁶ by the normal distribution of the cube root (Wilson and Hilferty 1931), whose error is there below 10⁻⁶.
pub(super) fn incomplete_gamma(x: f64, shape: f64) -> f64 {
    if x.is_nan() || shape.is_nan() {
        return f64::NAN;
    }
    if x <= 0.0 || shape == f64::INFINITY {
        return 0.0;
    }
    if shape <= 0.0 || x == f64::INFINITY {
        return 1.0;
    }
    if shape <= EXACT_SHAPE {
        return gamma_lr(shape, x).clamp(0.0, 1.0);
    }
    let z = 3.0 * shape.sqrt() * ((x / shape).cbrt() - 1.0 + 1.0 / (9.0 * shape));
    0.5 * libm::erfc(-z / SQRT_2)
}

/// `I_x(a, b)`, in `[0, 1]`; parameters that are not positive put all mass at an end.
///
/// Beyond `a + b = 10⁴` by the approximations 26.5.20 and 26.5.21 of Abramowitz and Stegun (1964), whose error is there below 10⁻⁴.
pub(super) fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || b <= 0.0 && a > 0.0 {
        return 0.0;
    }
    if x >= 1.0 || a <= 0.0 {
        return 1.0;
    }
    let value = if a + b <= EXACT {
        beta_reg(a, b, x)
    } else if b <= SMALL {
        gamma_tail(x.ln(), a, b)
    } else if a <= SMALL {
        1.0 - gamma_tail((-x).ln_1p(), b, a)
    } else {
        let (left, right) = ((b * x).cbrt(), (a * (1.0 - x)).cbrt());
        let spread = (left * left / b + right * right / a).sqrt();
        let y = 3.0 * (left * (1.0 - 1.0 / (9.0 * b)) - right * (1.0 - 1.0 / (9.0 * a))) / spread;
        0.5 * libm::erfc(-y / SQRT_2)
    };
    // where even the approximation overflows, the distribution is a step
    if value.is_nan() { f64::from(u8::from(x / (1.0 - x) > a / b)) } else { value.clamp(0.0, 1.0) }
}

/// `I_x(a, b)` for `a` much greater than `b`.
fn gamma_tail(log_x: f64, a: f64, b: f64) -> f64 {
    1.0 - incomplete_gamma(-(a + 0.5 * b - 0.5) * log_x, b)
}

#[cfg(test)]
mod tests {
    use super::{incomplete_beta, incomplete_gamma};

    #[test]
    fn approximations_meet_the_exact_values_and_nothing_hangs() {
        // by quadrature of the density
        let known = [
            (0.3, 2.0, 3.0, 0.3483),
            (0.385, 5000.0, 8000.0, 0.536_457),
            (0.333_3, 1e6, 2e6, 0.451_315),
            (0.999_99, 3e4, 0.5, 0.438_578),
            (1e-9, 0.5, 1e8, 0.345_279),
        ];
        for (x, a, b, value) in known {
            let found = incomplete_beta(x, a, b);
            assert!((found - value).abs() < 1e-4, "{x} {a} {b}: {found}");
            assert!((incomplete_beta(1.0 - x, b, a) + found - 1.0).abs() < 1e-4, "{x} {a} {b}");
        }
        for a in [1e-300, 1e-3, 1.0, 1e5, 1e150, 1e300, f64::INFINITY, 0.0] {
            for b in [1e-300, 1e-3, 1.0, 1e5, 1e150, 1e300, f64::INFINITY, 0.0] {
                for x in [0.0, 1e-300, 0.3, 1.0 - 1e-16, 1.0] {
                    let found = incomplete_beta(x, a, b);
                    assert!((0.0..=1.0).contains(&found), "{x} {a} {b}: {found}");
                }
            }
        }
        // both sides of the border
        for (x, a, b) in [(0.31, 3000.0, 7000.0), (0.999, 9999.5, 2.0), (0.13, 1200.0, 8800.0)] {
            let (inside, outside) = (incomplete_beta(x, a - 1.0, b), incomplete_beta(x, a + 1.0, b));
            let middle = 0.5 * (inside + outside);
            assert!((inside - outside).abs() < 0.04 && (incomplete_beta(x, a, b) - middle).abs() < 1e-3, "{x} {a} {b}");
        }
    }

    #[test]
    fn the_incomplete_gamma_function_is_that_of_a_poisson_and_ends_for_any_shape() {
        // P(3, 2) is the chance of a Poisson count of mean 2 above 2
        let above = 1.0 - (-2.0f64).exp() * (1.0 + 2.0 + 2.0);
        assert!((incomplete_gamma(2.0, 3.0) - above).abs() < 1e-14);
        for x in [0.999e6f64, 1e6, 1.001e6] {
            // the two sides of the border differ by the step of 2 in the shape, whose density is 4e-4
            let (inside, outside) = (incomplete_gamma(x, 1e6 - 1.0), incomplete_gamma(x, 1e6 + 1.0));
            assert!((0.5 * (inside + outside) - incomplete_gamma(x, 1e6)).abs() < 1e-6, "{x}");
        }
        for shape in [0.0, f64::MIN_POSITIVE, 1e-300, 1e-3, 1.0, 1e5, 1e150, f64::MAX, f64::INFINITY] {
            for x in [0.0, 1e-300, 0.3, 1.0, 1e5, 1e150, f64::MAX, f64::INFINITY] {
                assert!((0.0..=1.0).contains(&incomplete_gamma(x, shape)), "{x} {shape}");
            }
        }
        assert!(incomplete_gamma(f64::NAN, 1.0).is_nan() && incomplete_gamma(1.0, f64::NAN).is_nan());
    }
}
