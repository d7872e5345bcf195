//! Vector kernels of the small fronts, compiled for the widest instructions of the machine they run on.

use pulp::Simd;

/// `target −= Σ_k factor(k) c_k` over `count` columns `c_k = base[k·stride..]`, each as long as `target`.
#[inline(always)]
pub(crate) fn subtract_columns<S: Simd>(
    simd: S,
    target: &mut [f64],
    (base, stride): (&[f64], usize),
    count: usize,
    factor: impl Fn(usize) -> f64,
) {
    let length = target.len();
    let column = |k: usize| &base[k * stride..k * stride + length];
    let mut k = 0;
    while k + 4 <= count {
        let factors = [-factor(k), -factor(k + 1), -factor(k + 2), -factor(k + 3)];
        add_four(simd, target, [column(k), column(k + 1), column(k + 2), column(k + 3)], factors);
        k += 4;
    }
    while k < count {
        add_one(simd, target, column(k), -factor(k));
        k += 1;
    }
}

/// [`subtract_columns`] of two targets of one length at once, which reads the columns once.
#[inline(always)]
pub(crate) fn subtract_columns_twice<S: Simd>(
    simd: S,
    (first, second): (&mut [f64], &mut [f64]),
    (base, stride): (&[f64], usize),
    count: usize,
    factors: impl Fn(usize) -> (f64, f64),
) {
    let length = first.len();
    let (first, first_tail) = S::as_mut_simd_f64s(first);
    let (second, second_tail) = S::as_mut_simd_f64s(second);
    let mut k = 0;
    while k < count {
        // an odd last column is read twice, the second time with factor zero
        let other = (k + 1).min(count - 1);
        let (a, b) = (&base[k * stride..k * stride + length], &base[other * stride..other * stride + length]);
        let scalars = (factors(k), if other > k { factors(other) } else { (0.0, 0.0) });
        let (fa, fb) = scalars;
        let (fa, ga) = (simd.splat_f64s(-fa.0), simd.splat_f64s(-fa.1));
        let (fb, gb) = (simd.splat_f64s(-fb.0), simd.splat_f64s(-fb.1));
        let ((a, a_tail), (b, b_tail)) = (S::as_simd_f64s(a), S::as_simd_f64s(b));
        for (((t, u), &a), &b) in first.iter_mut().zip(second.iter_mut()).zip(a).zip(b) {
            *t = simd.mul_add_e_f64s(fb, b, simd.mul_add_e_f64s(fa, a, *t));
            *u = simd.mul_add_e_f64s(gb, b, simd.mul_add_e_f64s(ga, a, *u));
        }
        // at most three numbers: a masked load costs more
        for (((t, u), a), b) in first_tail.iter_mut().zip(second_tail.iter_mut()).zip(a_tail).zip(b_tail) {
            *t -= scalars.0.0 * a + scalars.1.0 * b;
            *u -= scalars.0.1 * a + scalars.1.1 * b;
        }
        k += 2;
    }
}

#[inline(always)]
fn add_four<S: Simd>(simd: S, target: &mut [f64], [a, b, c, d]: [&[f64]; 4], factors: [f64; 4]) {
    let (fa, fb) = (simd.splat_f64s(factors[0]), simd.splat_f64s(factors[1]));
    let (fc, fd) = (simd.splat_f64s(factors[2]), simd.splat_f64s(factors[3]));
    let (target, target_tail) = S::as_mut_simd_f64s(target);
    let ((a, a_tail), (b, b_tail)) = (S::as_simd_f64s(a), S::as_simd_f64s(b));
    let ((c, c_tail), (d, d_tail)) = (S::as_simd_f64s(c), S::as_simd_f64s(d));
    for ((((t, &a), &b), &c), &d) in target.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let first = simd.mul_add_e_f64s(fb, b, simd.mul_add_e_f64s(fa, a, *t));
        *t = simd.mul_add_e_f64s(fd, d, simd.mul_add_e_f64s(fc, c, first));
    }
    // at most three numbers: a masked load costs more
    for ((((t, a), b), c), d) in target_tail.iter_mut().zip(a_tail).zip(b_tail).zip(c_tail).zip(d_tail) {
        *t += factors[0] * a + factors[1] * b + factors[2] * c + factors[3] * d;
    }
}

#[inline(always)]
fn add_one<S: Simd>(simd: S, target: &mut [f64], a: &[f64], factor: f64) {
    let f = simd.splat_f64s(factor);
    let (target, target_tail) = S::as_mut_simd_f64s(target);
    let (a, a_tail) = S::as_simd_f64s(a);
    for (t, &a) in target.iter_mut().zip(a) {
        *t = simd.mul_add_e_f64s(f, a, *t);
    }
    for (t, a) in target_tail.iter_mut().zip(a_tail) {
        *t += factor * a;
    }
}

/// `Σ aᵢ bᵢ` of vectors of one length.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f64], b: &[f64]) -> f64 {
    let (a, a_tail) = S::as_simd_f64s(a);
    let (b, b_tail) = S::as_simd_f64s(b);
    let mut sum = simd.splat_f64s(0.0);
    for (&a, &b) in a.iter().zip(b) {
        sum = simd.mul_add_e_f64s(a, b, sum);
    }
    simd.reduce_sum_f64s(sum) + dot_tail(a_tail, b_tail)
}

/// The dots of `a` with four vectors of its length: `a` is read once, and no sum waits for itself.
#[inline(always)]
pub(crate) fn dot_four<S: Simd>(simd: S, a: &[f64], [b, c, d, e]: [&[f64]; 4]) -> [f64; 4] {
    let (a, a_tail) = S::as_simd_f64s(a);
    let ((b, b_tail), (c, c_tail)) = (S::as_simd_f64s(b), S::as_simd_f64s(c));
    let ((d, d_tail), (e, e_tail)) = (S::as_simd_f64s(d), S::as_simd_f64s(e));
    let zero = simd.splat_f64s(0.0);
    let (mut sb, mut sc, mut sd, mut se) = (zero, zero, zero, zero);
    for ((((&a, &b), &c), &d), &e) in a.iter().zip(b).zip(c).zip(d).zip(e) {
        sb = simd.mul_add_e_f64s(a, b, sb);
        sc = simd.mul_add_e_f64s(a, c, sc);
        sd = simd.mul_add_e_f64s(a, d, sd);
        se = simd.mul_add_e_f64s(a, e, se);
    }
    // written out: closures are compiled without the vector instructions
    [
        simd.reduce_sum_f64s(sb) + dot_tail(a_tail, b_tail),
        simd.reduce_sum_f64s(sc) + dot_tail(a_tail, c_tail),
        simd.reduce_sum_f64s(sd) + dot_tail(a_tail, d_tail),
        simd.reduce_sum_f64s(se) + dot_tail(a_tail, e_tail),
    ]
}

#[inline(always)]
fn dot_tail(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        sum += a * b;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{dot, dot_four, subtract_columns, subtract_columns_twice};
    use pulp::{Arch, Simd, WithSimd};

    struct Check {
        length: usize,
        count: usize,
    }

    impl WithSimd for Check {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let stride = self.length + 3;
            let base: Vec<f64> = (0..stride * self.count).map(|i| (i as f64).sin()).collect();
            let start: Vec<f64> = (0..self.length).map(|i| (i as f64).cos()).collect();
            let mut target = start.clone();
            subtract_columns(simd, &mut target, (&base, stride), self.count, |k| k as f64 - 1.5);
            for i in 0..self.length {
                let sum: f64 = (0..self.count).map(|k| (k as f64 - 1.5) * base[k * stride + i]).sum();
                assert!((target[i] - (start[i] - sum)).abs() < 1e-13);
            }
            let (mut first, mut second) = (start.clone(), start.clone());
            let factors = |k: usize| (k as f64 - 1.5, 2.0 - k as f64);
            subtract_columns_twice(simd, (&mut first, &mut second), (&base, stride), self.count, factors);
            for i in 0..self.length {
                let sum: f64 = (0..self.count).map(|k| (2.0 - k as f64) * base[k * stride + i]).sum();
                assert!((first[i] - target[i]).abs() < 1e-13 && (second[i] - (start[i] - sum)).abs() < 1e-13);
            }
            let (mut first, mut second) = (start.clone(), start.clone());
            subtract_columns_twice(simd, (&mut first, &mut second), (&base, stride), self.count, factors);
            let direct: f64 = start.iter().zip(&target).map(|(a, b)| a * b).sum();
            assert!((dot(simd, &start, &target) - direct).abs() < 1e-12);
            for (value, other) in dot_four(simd, &start, [&target, &start, &first, &second])
                .iter()
                .zip([&target, &start, &first, &second])
            {
                assert!((value - start.iter().zip(other).map(|(a, b)| a * b).sum::<f64>()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn kernels_agree_with_plain_sums_at_every_length() {
        for length in 0..40 {
            for count in 0..10 {
                Arch::new().dispatch(Check { length, count });
            }
        }
    }
}
