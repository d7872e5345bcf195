//! The polygamma functions, of which well-kept crates hold the first two only, and those to eight digits.

/// `ψ⁽ᵏ⁾(x)`, the derivative of order `k + 1` of `log Γ`, for `x > 0` and `k ≤ 3`; NaN elsewhere.
///
/// Relative accuracy about 1e-13 away from zeros.
pub fn polygamma(k: usize, x: f64) -> f64 {
    polygammas(x).get(k).copied().unwrap_or(f64::NAN)
}

/// `ψ(x)`, `ψ′(x)`, `ψ″(x)` and `ψ‴(x)` for `x > 0`; NaN elsewhere. Cost: about that of two logarithms from 12 on, of four near zero.
///
/// Source: Abramowitz and Stegun (1964), 6.3.18 and 6.4.11, the recurrence 6.4.6 below 12.
pub fn polygammas(x: f64) -> [f64; 4] {
    /// `B₂, B₄, …`.
    const BERNOULLI: [f64; 8] =
        [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0, -3617.0 / 510.0];
    const ASYMPTOTIC: f64 = 12.0;
    if x.is_nan() || x <= 0.0 {
        return [f64::NAN; 4];
    }
    // ψ⁽ᵏ⁾(x) = ψ⁽ᵏ⁾(x + 1) − (−1)ᵏ k!/xᵏ⁺¹
    let (mut x, mut below) = (x, [0.0; 4]);
    while x < ASYMPTOTIC {
        let r = 1.0 / x;
        let square = r * r;
        let terms = [r, square, 2.0 * square * r, 6.0 * square * square];
        below.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        x += 1.0;
    }
    let r = 1.0 / x;
    let square = r * r;
    let mut sums = [0.0; 4];
    for (j, bernoulli) in BERNOULLI.iter().enumerate().rev() {
        let even = 2.0 * (j as f64 + 1.0);
        // (2j + k − 1)!/(2j)! = (2j + 1)…(2j + k − 1), and 1/(2j) for k = 0
        let ratios = [1.0 / even, 1.0, even + 1.0, (even + 1.0) * (even + 2.0)];
        sums.iter_mut().zip(ratios).for_each(|(sum, ratio)| *sum = (*sum + bernoulli * ratio) * square);
    }
    let leading = [-x.ln() + 0.5 * r, r * (1.0 + 0.5 * r), square * (1.0 + r), square * r * (2.0 + 3.0 * r)];
    let powers = [1.0, r, square, square * r];
    let signs = [-1.0, 1.0, -1.0, 1.0];
    std::array::from_fn(|k| signs[k] * (below[k] + (leading[k] + powers[k] * sums[k])))
}

#[cfg(test)]
mod tests {
    use super::polygamma;

    #[test]
    fn known_values_and_the_recurrence_hold() {
        let zeta3 = 1.202_056_903_159_594_2;
        let known = [
            (0, 1.0, -0.577_215_664_901_532_9),
            (0, 0.5, -1.963_510_026_021_423_5),
            (1, 1.0, std::f64::consts::PI.powi(2) / 6.0),
            (1, 0.5, std::f64::consts::PI.powi(2) / 2.0),
            (2, 1.0, -2.0 * zeta3),
            (2, 0.5, -14.0 * zeta3),
            (3, 1.0, std::f64::consts::PI.powi(4) / 15.0),
            (3, 0.5, std::f64::consts::PI.powi(4)),
        ];
        for (k, x, value) in known {
            assert!((polygamma(k, x) / value - 1.0).abs() < 1e-13, "{k} {x}: {}", polygamma(k, x));
        }
        for k in 0..4 {
            for x in [1e-3, 0.3, 2.7, 11.9, 12.1, 300.0] {
                // each is the slope of the one before
                let h = 1e-4 * x;
                let lower = |x: f64| if k == 0 { libm::lgamma(x) } else { polygamma(k - 1, x) };
                let slope =
                    (lower(x - 2.0 * h) - 8.0 * lower(x - h) + 8.0 * lower(x + h) - lower(x + 2.0 * h)) / (12.0 * h);
                assert!((polygamma(k, x) - slope).abs() < 1e-8 * (slope.abs() + (lower(x) / x).abs()), "{k} {x}");
            }
        }
        assert!(polygamma(0, -1.0).is_nan() && polygamma(4, 1.0).is_nan());
    }
}
