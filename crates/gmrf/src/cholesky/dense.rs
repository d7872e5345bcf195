//! Dense kernels on column-major panels: vector loops for small fronts, faer for large ones, blocks on several threads for the
//! largest.

use std::mem::MaybeUninit;

use faer::dyn_stack::MemStack;
use faer::linalg::cholesky::llt::factor as llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::{matmul, triangular_inverse, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Simd;

use super::Parallelism;
use super::vector::{dot, subtract_columns, subtract_columns_twice};

/// Below this order of a front the vector loops factor faster than a call into faer.
const SMALL_FACTOR: usize = 24;
/// The same of a selected inverse, whose loops stream through longer columns.
const SMALL_INVERSE: usize = 48;
/// Columns that are factored at once in a wide panel.
const BLOCK: usize = 96;
/// Multiplications below which a product is not worth splitting among threads.
const SPLIT: f64 = 1e6;

/// Height and width of a panel.
pub(crate) type Shape = (usize, usize);

/// Factors the leading `width` columns of a panel of `height` rows: `[L₁₁; L₂₁]` from `[F₁₁; F₂₁]`.
///
/// `Err(column)` at a pivot not above `least[column]`, in panel columns.
#[inline(always)]
pub(crate) fn factor_panel<S: Simd>(
    simd: S,
    panel: &mut [f64],
    (height, width): Shape,
    least: &[f64],
    parallelism: Parallelism,
) -> Result<(), usize> {
    if width <= 2 || height < SMALL_FACTOR {
        factor_panel_small(simd, panel, (height, width), least)
    } else {
        factor_panel_large(panel, (height, width), least, parallelism)
    }
}

#[inline(always)]
fn factor_panel_small<S: Simd>(simd: S, panel: &mut [f64], (height, width): Shape, least: &[f64]) -> Result<(), usize> {
    for k in 0..width {
        let (left, right) = panel.split_at_mut(k * height);
        let column = &mut right[k..height];
        if k > 0 {
            let left = &left[k..];
            subtract_columns(simd, column, (left, height), k, |j| left[j * height]);
        }
        let pivot = column[0];
        if pivot.is_nan() || pivot <= least[k] || pivot.is_infinite() {
            return Err(k);
        }
        let root = pivot.sqrt();
        column[0] = root;
        let inverse = 1.0 / root;
        column[1..].iter_mut().for_each(|value| *value *= inverse);
    }
    Ok(())
}

/// Left-looking by blocks of columns, whose sizes depend on the panel alone.
fn factor_panel_large(
    panel: &mut [f64],
    (height, width): Shape,
    least: &[f64],
    parallelism: Parallelism,
) -> Result<(), usize> {
    let mut panel = MatMut::from_column_major_slice_mut(panel, height, width);
    let mut start = 0;
    while start < width {
        let size = BLOCK.min(width - start);
        let (left, right) = panel.rb_mut().split_at_col_mut(start);
        let left = left.rb().subrows(start, height - start);
        let mut block = right.subcols_mut(0, size).subrows_mut(start, height - start);
        if start > 0 {
            multiply(block.rb_mut(), Accum::Add, left, left.subrows(0, size).transpose(), -1.0, parallelism);
        }
        let (mut top, below) = block.split_at_row_mut(size);
        factor_block(top.rb_mut(), &least[start..start + size]).map_err(|k| start + k)?;
        if below.nrows() > 0 {
            solve_rows(top.rb(), below, parallelism);
        }
        start += size;
    }
    Ok(())
}

fn factor_block(mut top: MatMut<'_, f64>, least: &[f64]) -> Result<(), usize> {
    let mut bytes = [MaybeUninit::<u8>::uninit(); 8 * BLOCK + 256];
    llt::cholesky_in_place(top.rb_mut(), Default::default(), Par::Seq, MemStack::new(&mut bytes), Default::default())
        .map_err(|llt::LltError::NonPositivePivot { index }| index)?;
    for (k, &least) in least.iter().enumerate() {
        let pivot = top[(k, k)] * top[(k, k)];
        if pivot.is_nan() || pivot <= least || pivot.is_infinite() {
            return Err(k);
        }
    }
    Ok(())
}

/// `rows L⁻ᵀ` in place; rows are independent.
fn solve_rows(l: MatRef<'_, f64>, rows: MatMut<'_, f64>, parallelism: Parallelism) {
    let count = rows.nrows();
    if (count * l.nrows() * l.nrows()) as f64 > SPLIT && count >= 2 * BLOCK {
        let (a, b) = rows.split_at_row_mut(half(count));
        parallelism.join(|| solve_rows(l, a, parallelism), || solve_rows(l, b, parallelism));
    } else {
        triangular_solve::solve_lower_triangular_in_place(l, rows.transpose_mut(), Par::Seq);
    }
}

/// About half, a multiple of sixteen: the pieces do not depend on the threads, so the sums do not either.
fn half(count: usize) -> usize {
    (count / 2).next_multiple_of(16)
}

/// `out (+)= factor a b`, split along the longer side of `out`.
fn multiply(
    out: MatMut<'_, f64>,
    accumulate: Accum,
    a: MatRef<'_, f64>,
    b: MatRef<'_, f64>,
    factor: f64,
    parallelism: Parallelism,
) {
    let (rows, columns) = (out.nrows(), out.ncols());
    if rows as f64 * columns as f64 * a.ncols() as f64 <= SPLIT || rows.max(columns) < 64 {
        matmul::matmul(out, accumulate, a, b, factor, Par::Seq);
    } else if rows >= columns {
        let at = half(rows);
        let (top, bottom) = out.split_at_row_mut(at);
        let (a_top, a_bottom) = a.split_at_row(at);
        parallelism.join(
            || multiply(top, accumulate, a_top, b, factor, parallelism),
            || multiply(bottom, accumulate, a_bottom, b, factor, parallelism),
        );
    } else {
        let at = half(columns);
        let (left, right) = out.split_at_col_mut(at);
        let (b_left, b_right) = b.split_at_col(at);
        parallelism.join(
            || multiply(left, accumulate, a, b_left, factor, parallelism),
            || multiply(right, accumulate, a, b_right, factor, parallelism),
        );
    }
}

/// The lower triangle of `update = −sign L₂₁ L₂₁ᵀ`.
#[inline(always)]
pub(crate) fn schur_update<S: Simd>(
    simd: S,
    panel: &[f64],
    (height, width): Shape,
    sign: f64,
    update: &mut [f64],
    parallelism: Parallelism,
) {
    let below = height - width;
    if below == 0 {
        return;
    }
    if width <= 2 || height < SMALL_FACTOR {
        update.fill(0.0);
        let mut pairs = update.chunks_exact_mut(2 * below);
        for (half, pair) in pairs.by_ref().enumerate() {
            // the entry above the diagonal of the second column is never read
            let j = 2 * half;
            let (first, second) = pair.split_at_mut(below);
            let columns = &panel[width + j..];
            let factors = |k: usize| (sign * columns[k * height], sign * columns[k * height + 1]);
            subtract_columns_twice(simd, (&mut first[j..], &mut second[j..]), (columns, height), width, factors);
        }
        let last = pairs.into_remainder();
        if let (Some(target), Some(columns)) = (last.last_mut(), panel.get(height - 1..)) {
            *target -= sign * columns.iter().step_by(height).map(|l| l * l).sum::<f64>();
        }
        return;
    }
    let lower = MatRef::from_column_major_slice(panel, height, width).subrows(width, below);
    rank_update(MatMut::from_column_major_slice_mut(update, below, below), lower, -sign, parallelism);
}

/// The lower triangle of `out = factor l lᵀ`.
fn rank_update(out: MatMut<'_, f64>, l: MatRef<'_, f64>, factor: f64, parallelism: Parallelism) {
    let n = out.nrows();
    if n < 128 || 0.5 * n as f64 * n as f64 * l.ncols() as f64 <= SPLIT {
        let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
        triangular::matmul(out, lower, Accum::Replace, l, full, l.transpose(), full, factor, Par::Seq);
        return;
    }
    let at = half(n);
    let (top, _, below, bottom) = out.split_at_mut(at, at);
    let (l_top, l_bottom) = l.split_at_row(at);
    parallelism.join(
        || multiply(below, Accum::Replace, l_bottom, l_top.transpose(), factor, parallelism),
        || {
            parallelism.join(
                || rank_update(top, l_top, factor, parallelism),
                || rank_update(bottom, l_bottom, factor, parallelism),
            )
        },
    );
}

/// Overwrites the leading panel of a front of covariances: from `Σ_RR` in the trailing block (full, both triangles)
/// and the panel of `L`, the columns `[Σ_JJ; Σ_RJ]` and the row block `Σ_JR`.
///
/// `Σ_RJ = −Σ_RR Y`, `Σ_JJ = sign L_JJ⁻ᵀ L_JJ⁻¹ − Yᵀ Σ_RJ` with `Y = L_RJ L_JJ⁻¹`. `scratch` holds `height × width`.
#[inline(always)]
pub(crate) fn invert_panel<S: Simd>(
    simd: S,
    panel: &[f64],
    shape: Shape,
    sign: f64,
    (front, scratch): (&mut [f64], &mut [f64]),
    parallelism: Parallelism,
) {
    if shape.1 == 1 || shape.0 < SMALL_INVERSE {
        invert_panel_small(simd, panel, shape, sign, (front, scratch));
    } else {
        invert_panel_large(panel, shape, sign, (front, scratch), parallelism);
    }
}

/// By blocks of columns from the last, the trailing block growing by one each time.
fn invert_panel_large(
    panel: &[f64],
    (height, width): Shape,
    sign: f64,
    (front, scratch): (&mut [f64], &mut [f64]),
    parallelism: Parallelism,
) {
    let l = MatRef::from_column_major_slice(panel, height, width);
    let mut front = MatMut::from_column_major_slice_mut(front, height, height);
    let mut end = width;
    while end > 0 {
        let size = if end <= BLOCK + BLOCK / 2 { end } else { BLOCK };
        let start = end - size;
        let rows = height - start;
        let scratch = MatMut::from_column_major_slice_mut(&mut scratch[..rows * size], rows, size);
        let block = front.rb_mut().submatrix_mut(start, start, rows, rows);
        invert_block(l.submatrix(start, start, rows, size), sign, block, scratch, parallelism);
        end = start;
    }
}

/// One block of columns: `l` holds `[L_JJ; L_RJ]`, `front` ends with `Σ_RR`, `scratch` has the shape of `l`.
fn invert_block(
    l: MatRef<'_, f64>,
    sign: f64,
    front: MatMut<'_, f64>,
    scratch: MatMut<'_, f64>,
    parallelism: Parallelism,
) {
    let width = l.ncols();
    let (l_jj, l_rj) = l.split_at_row(width);
    let (mut inverse, mut y) = scratch.split_at_row_mut(width);
    inverse.fill(0.0);
    triangular_inverse::invert_lower_triangular(inverse.rb_mut(), l_jj, Par::Seq);
    let (mut s_jj, s_jr, mut s_rj, s_rr) = front.split_at_mut(width, width);
    let (upper, lower) = (BlockStructure::TriangularUpper, BlockStructure::TriangularLower);
    let full = BlockStructure::Rectangular;
    let transposed = inverse.rb().transpose();
    triangular::matmul(s_jj.rb_mut(), full, Accum::Replace, transposed, upper, inverse.rb(), lower, sign, Par::Seq);
    if l_rj.nrows() == 0 {
        return;
    }
    times_lower(y.rb_mut(), l_rj, inverse.rb(), parallelism);
    multiply(s_rj.rb_mut(), Accum::Replace, s_rr.rb(), y.rb(), -1.0, parallelism);
    multiply(s_jj.rb_mut(), Accum::Add, y.rb().transpose(), s_rj.rb(), -1.0, parallelism);
    copy_transposed(s_jr, s_rj.rb(), parallelism);
}

/// Entries that are worth a thread where they are copied across.
const TURNED: usize = 20_000;

/// `out = aᵀ`.
fn copy_transposed(mut out: MatMut<'_, f64>, a: MatRef<'_, f64>, parallelism: Parallelism) {
    if parallelism == Parallelism::Sequential || out.nrows() * out.ncols() < 2 * TURNED || out.ncols() < 2 {
        out.copy_from(a.transpose());
        return;
    }
    let at = out.ncols() / 2;
    let ((left, right), (top, bottom)) = (out.split_at_col_mut(at), a.split_at_row(at));
    parallelism.join(|| copy_transposed(left, top, parallelism), || copy_transposed(right, bottom, parallelism));
}

/// `out = a l` with `l` lower triangular; rows are independent.
fn times_lower(out: MatMut<'_, f64>, a: MatRef<'_, f64>, l: MatRef<'_, f64>, parallelism: Parallelism) {
    let count = out.nrows();
    if (count * l.nrows() * l.nrows()) as f64 > SPLIT && count >= 2 * BLOCK {
        let at = half(count);
        let ((top, bottom), (a_top, a_bottom)) = (out.split_at_row_mut(at), a.split_at_row(at));
        parallelism.join(|| times_lower(top, a_top, l, parallelism), || times_lower(bottom, a_bottom, l, parallelism));
    } else {
        let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
        triangular::matmul(out, full, Accum::Replace, a, full, l, lower, 1.0, Par::Seq);
    }
}

/// Column by column from the last: `σ = −Σ y`, `σ_kk = sign / l_kk² − yᵀσ`, the trailing block growing by one each time.
#[inline(always)]
fn invert_panel_small<S: Simd>(
    simd: S,
    panel: &[f64],
    (height, width): Shape,
    sign: f64,
    (front, scratch): (&mut [f64], &mut [f64]),
) {
    for k in (0..width).rev() {
        let length = height - k - 1;
        let column = &panel[k * height + k..(k + 1) * height];
        let inverse = 1.0 / column[0];
        let y = &mut scratch[..length];
        for (y, &l) in y.iter_mut().zip(&column[1..]) {
            *y = l * inverse;
        }
        let (first, rest) = front[k * height..].split_at_mut(height);
        let sigma = &mut first[k + 1..];
        sigma.fill(0.0);
        if length > 0 {
            subtract_columns(simd, sigma, (&rest[k + 1..], height), length, |j| y[j]);
        }
        let correction = dot(simd, y, sigma);
        for (j, &s) in sigma.iter().enumerate() {
            rest[j * height + k] = s;
        }
        first[k] = sign * inverse * inverse - correction;
    }
}
