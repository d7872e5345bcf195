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
        let (mut curvature, mut upper) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        fill_curvature((&x, &y), &mut upper, &mut curvature);
        Self { x, y, curvature }
    }

    /// The value at `t`.
    pub(crate) fn at(&self, t: f64) -> f64 {
        value((&self.x, &self.y), &self.curvature, t)
    }
}

/// The same through at most `N` points, without an allocation.
pub(crate) struct ShortSpline<'a, const N: usize> {
    x: &'a [f64],
    y: &'a [f64],
    curvature: [f64; N],
}

impl<'a, const N: usize> ShortSpline<'a, N> {
    /// Through `(x, y)`, `x` strictly increasing, at least one point.
    pub(crate) fn new(x: &'a [f64], y: &'a [f64]) -> Self {
        let (mut curvature, mut upper) = ([0.0; N], [0.0; N]);
        fill_curvature((x, y), &mut upper[..x.len()], &mut curvature[..x.len()]);
        Self { x, y, curvature }
    }

    /// The value at `t`.
    pub(crate) fn at(&self, t: f64) -> f64 {
        value((self.x, self.y), &self.curvature, t)
    }
}

/// Second derivatives at the knots, by the Thomas algorithm on their tridiagonal system; both buffers are as long as `x` and zero.
fn fill_curvature((x, y): (&[f64], &[f64]), upper: &mut [f64], curvature: &mut [f64]) {
    let n = x.len();
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
}

/// The value at `t`, linear beyond the ends.
fn value((x, y): (&[f64], &[f64]), curvature: &[f64], t: f64) -> f64 {
    let n = x.len();
    if n == 1 {
        return y[0];
    }
    let right = x.partition_point(|&x| x <= t).clamp(1, n - 1);
    let (i, h) = (right - 1, x[right] - x[right - 1]);
    let slope = (y[right] - y[i]) / h;
    let (ci, cr) = (curvature[i], curvature[right]);
    if t < x[0] {
        return y[0] + (t - x[0]) * (slope - h * (2.0 * ci + cr) / 6.0);
    }
    if t > x[n - 1] {
        return y[n - 1] + (t - x[n - 1]) * (slope + h * (ci + 2.0 * cr) / 6.0);
    }
    let (a, b) = (x[right] - t, t - x[i]);
    (ci * a * a * a + cr * b * b * b) / (6.0 * h) + (y[i] / h - ci * h / 6.0) * a + (y[right] / h - cr * h / 6.0) * b
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
