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
        let (fa, fb) = (factors(k), if other > k { factors(other) } else { (0.0, 0.0) });
        let (fa, ga) = (simd.splat_f64s(-fa.0), simd.splat_f64s(-fa.1));
        let (fb, gb) = (simd.splat_f64s(-fb.0), simd.splat_f64s(-fb.1));
        let ((a, a_tail), (b, b_tail)) = (S::as_simd_f64s(a), S::as_simd_f64s(b));
        for (((t, u), &a), &b) in first.iter_mut().zip(second.iter_mut()).zip(a).zip(b) {
            *t = simd.mul_add_e_f64s(fb, b, simd.mul_add_e_f64s(fa, a, *t));
            *u = simd.mul_add_e_f64s(gb, b, simd.mul_add_e_f64s(ga, a, *u));
        }
        if !first_tail.is_empty() {
            let (a, b) = (simd.partial_load_f64s(a_tail), simd.partial_load_f64s(b_tail));
            let (t, u) = (simd.partial_load_f64s(first_tail), simd.partial_load_f64s(second_tail));
            simd.partial_store_f64s(first_tail, simd.mul_add_e_f64s(fb, b, simd.mul_add_e_f64s(fa, a, t)));
            simd.partial_store_f64s(second_tail, simd.mul_add_e_f64s(gb, b, simd.mul_add_e_f64s(ga, a, u)));
        }
        k += 2;
    }
}

#[inline(always)]
fn add_four<S: Simd>(simd: S, target: &mut [f64], [a, b, c, d]: [&[f64]; 4], factors: [f64; 4]) {
    let [fa, fb, fc, fd] = factors.map(|f| simd.splat_f64s(f));
    let (target, target_tail) = S::as_mut_simd_f64s(target);
    let ((a, a_tail), (b, b_tail)) = (S::as_simd_f64s(a), S::as_simd_f64s(b));
    let ((c, c_tail), (d, d_tail)) = (S::as_simd_f64s(c), S::as_simd_f64s(d));
    for ((((t, &a), &b), &c), &d) in target.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let first = simd.mul_add_e_f64s(fb, b, simd.mul_add_e_f64s(fa, a, *t));
        *t = simd.mul_add_e_f64s(fd, d, simd.mul_add_e_f64s(fc, c, first));
    }
    if !target_tail.is_empty() {
        let load = |slice: &[f64]| simd.partial_load_f64s(slice);
        let first = simd.mul_add_e_f64s(fa, load(a_tail), load(target_tail));
        let second = simd.mul_add_e_f64s(fc, load(c_tail), simd.mul_add_e_f64s(fb, load(b_tail), first));
        simd.partial_store_f64s(target_tail, simd.mul_add_e_f64s(fd, load(d_tail), second));
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
    if !target_tail.is_empty() {
        let sum = simd.mul_add_e_f64s(f, simd.partial_load_f64s(a_tail), simd.partial_load_f64s(target_tail));
        simd.partial_store_f64s(target_tail, sum);
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
    if !a_tail.is_empty() {
        sum = simd.mul_add_e_f64s(simd.partial_load_f64s(a_tail), simd.partial_load_f64s(b_tail), sum);
    }
    simd.reduce_sum_f64s(sum)
}

#[cfg(test)]
mod tests {
    use super::{dot, subtract_columns, subtract_columns_twice};
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
            let direct: f64 = start.iter().zip(&target).map(|(a, b)| a * b).sum();
            assert!((dot(simd, &start, &target) - direct).abs() < 1e-12);
        }
    }

    #[test]
    fn kernels_agree_with_plain_sums_at_every_length() {
        for length in 0..20 {
            for count in 0..10 {
                Arch::new().dispatch(Check { length, count });
            }
        }
    }
}
