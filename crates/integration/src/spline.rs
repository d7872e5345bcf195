//! Natural cubic splines on increasing abscissae.

/// A natural cubic spline; linear beyond its ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CubicSpline {
    x: Vec<f64>,
    y: Vec<f64>,
    /// Second derivatives at the knots.
    curvature: Vec<f64>,
}

impl CubicSpline {
    /// Through `(x, y)`, `x` strictly increasing, at least one point.
    pub(crate) fn new(x: Vec<f64>, y: Vec<f64>) -> Self {
        let n = x.len();
        let mut curvature = vec![0.0; n];
        // Thomas algorithm on the tridiagonal system of the second derivatives
        let mut upper = vec![0.0; n];
        for i in 1..n.saturating_sub(1) {
            let (left, right) = (x[i] - x[i - 1], x[i + 1] - x[i]);
            let pivot = 2.0 * (left + right) - left * upper[i - 1];
            upper[i] = right / pivot;
            let jump = 6.0 * ((y[i + 1] - y[i]) / right - (y[i] - y[i - 1]) / left);
            curvature[i] = (jump - left * curvature[i - 1]) / pivot;
        }
        for i in (1..n.saturating_sub(1)).rev() {
            curvature[i] -= upper[i] * curvature[i + 1];
        }
        Self { x, y, curvature }
    }

    /// The value at `t`.
    pub(crate) fn at(&self, t: f64) -> f64 {
        let n = self.x.len();
        if n == 1 {
            return self.y[0];
        }
        let right = self.x.partition_point(|&x| x <= t).clamp(1, n - 1);
        let (i, h) = (right - 1, self.x[right] - self.x[right - 1]);
        let slope = (self.y[right] - self.y[i]) / h;
        let (ci, cr) = (self.curvature[i], self.curvature[right]);
        if t < self.x[0] {
            return self.y[0] + (t - self.x[0]) * (slope - h * (2.0 * ci + cr) / 6.0);
        }
        if t > self.x[n - 1] {
            return self.y[n - 1] + (t - self.x[n - 1]) * (slope + h * (ci + 2.0 * cr) / 6.0);
        }
        let (a, b) = (self.x[right] - t, t - self.x[i]);
        (ci * a * a * a + cr * b * b * b) / (6.0 * h)
            + (self.y[i] / h - ci * h / 6.0) * a
            + (self.y[right] / h - cr * h / 6.0) * b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spline_passes_through_its_knots_and_is_exact_for_lines() {
        let x = vec![0.0, 0.5, 1.7, 2.0, 4.0];
        let line = CubicSpline::new(x.clone(), x.iter().map(|x| 3.0 - 2.0 * x).collect());
        for t in [-1.0, 0.2, 1.9, 3.0, 7.0] {
            assert!((line.at(t) - (3.0 - 2.0 * t)).abs() < 1e-12);
        }
        let y = vec![1.0, -1.0, 0.3, 2.0, 0.0];
        let spline = CubicSpline::new(x.clone(), y.clone());
        for (x, y) in x.iter().zip(&y) {
            assert!((spline.at(*x) - y).abs() < 1e-13);
        }
    }

    #[test]
    fn its_error_falls_with_the_fourth_power_of_the_spacing_inside() {
        let error = |n: usize| {
            let x: Vec<f64> = (0..=n).map(|i| 8.0 * i as f64 / n as f64 - 4.0).collect();
            let y = x.iter().map(|x| x.sin()).collect();
            let spline = CubicSpline::new(x, y);
            (-10..=10).map(|k| 0.1 * f64::from(k)).map(|t| (spline.at(t) - t.sin()).abs()).fold(0.0, f64::max)
        };
        assert!(error(64) < error(32) / 12.0);
    }
}
