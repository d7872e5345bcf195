//! Dense kernels on column-major panels: loops for small blocks, faer for large ones.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor as llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::{matmul, triangular_inverse, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};

/// Below this order of a front the plain loops are faster than a call into faer.
const SMALL_FRONT: usize = 32;

/// Work space of the dense Cholesky factor of blocks up to `width` columns.
pub(crate) fn factor_buffer(width: usize) -> MemBuffer {
    MemBuffer::new(llt::cholesky_in_place_scratch::<f64>(width, Par::Seq, Default::default()))
}

/// Factors the leading `width` columns of a panel of `height` rows: `[L₁₁; L₂₁]` from `[F₁₁; F₂₁]`.
///
/// `Err(column)` at a pivot not above `least[column]`, in panel columns.
pub(crate) fn factor_panel(
    panel: &mut [f64],
    (height, width): (usize, usize),
    least: &[f64],
    buffer: &mut MemBuffer,
) -> Result<(), usize> {
    if width == 1 || height < SMALL_FRONT {
        return factor_panel_small(panel, height, width, least);
    }
    let panel = MatMut::from_column_major_slice_mut(panel, height, width);
    let (mut top, below) = panel.split_at_row_mut(width);
    let stack = MemStack::new(buffer);
    llt::cholesky_in_place(top.rb_mut(), Default::default(), Par::Seq, stack, Default::default()).map_err(|error| {
        match error {
            faer::linalg::cholesky::llt::factor::LltError::NonPositivePivot { index } => index,
        }
    })?;
    for (k, &least) in least.iter().enumerate() {
        let pivot = top[(k, k)] * top[(k, k)];
        if pivot.is_nan() || pivot <= least || pivot.is_infinite() {
            return Err(k);
        }
    }
    if below.nrows() > 0 {
        triangular_solve::solve_lower_triangular_in_place(top.rb(), below.transpose_mut(), Par::Seq);
    }
    Ok(())
}

fn factor_panel_small(panel: &mut [f64], height: usize, width: usize, least: &[f64]) -> Result<(), usize> {
    for k in 0..width {
        let (left, right) = panel.split_at_mut((k + 1) * height);
        let column = &mut left[k * height..];
        let pivot = column[k];
        if pivot.is_nan() || pivot <= least[k] || pivot.is_infinite() {
            return Err(k);
        }
        let root = pivot.sqrt();
        column[k] = root;
        let inverse = 1.0 / root;
        for value in &mut column[k + 1..] {
            *value *= inverse;
        }
        for j in k + 1..width {
            let factor = column[j];
            let target = &mut right[(j - k - 1) * height + j..(j - k) * height];
            for (t, &l) in target.iter_mut().zip(&column[j..]) {
                *t -= factor * l;
            }
        }
    }
    Ok(())
}

/// The lower triangle of `update −= sign L₂₁ L₂₁ᵀ`, or of `update = −sign L₂₁ L₂₁ᵀ` if `replace`.
pub(crate) fn schur_update(
    panel: &[f64],
    (height, width): (usize, usize),
    sign: f64,
    update: &mut [f64],
    replace: bool,
) {
    let below = height - width;
    if below == 0 {
        return;
    }
    if width == 1 || height < SMALL_FRONT {
        if replace {
            update.fill(0.0);
        }
        for column in panel.chunks_exact(height) {
            let column = &column[width..];
            for (j, target) in update.chunks_exact_mut(below).enumerate() {
                let factor = sign * column[j];
                for (t, &l) in target[j..].iter_mut().zip(&column[j..]) {
                    *t -= factor * l;
                }
            }
        }
        return;
    }
    let lower = MatRef::from_column_major_slice(panel, height, width).subrows(width, below);
    triangular::matmul(
        MatMut::from_column_major_slice_mut(update, below, below),
        BlockStructure::TriangularLower,
        if replace { Accum::Replace } else { Accum::Add },
        lower,
        BlockStructure::Rectangular,
        lower.transpose(),
        BlockStructure::Rectangular,
        -sign,
        Par::Seq,
    );
}

/// Overwrites the leading panel of a front of covariances: from `Σ_RR` in the trailing block (full, both triangles)
/// and the panel of `L`, the columns `[Σ_JJ; Σ_RJ]` and the row block `Σ_JR`.
///
/// `Σ_RJ = −Σ_RR Y`, `Σ_JJ = sign L_JJ⁻ᵀ L_JJ⁻¹ − Yᵀ Σ_RJ` with `Y = L_RJ L_JJ⁻¹`. `scratch` holds `height × width`.
pub(crate) fn invert_panel(
    panel: &[f64],
    (height, width): (usize, usize),
    sign: f64,
    front: &mut [f64],
    scratch: &mut [f64],
) {
    if width == 1 {
        return invert_column(panel, height, sign, front, scratch);
    }
    let below = height - width;
    let l = MatRef::from_column_major_slice(panel, height, width);
    let (l_jj, l_rj) = l.split_at_row(width);
    let scratch = MatMut::from_column_major_slice_mut(&mut scratch[..height * width], height, width);
    let (mut inverse, mut y) = scratch.split_at_row_mut(width);
    inverse.fill(0.0);
    triangular_inverse::invert_lower_triangular(inverse.rb_mut(), l_jj, Par::Seq);
    let front = MatMut::from_column_major_slice_mut(front, height, height);
    let (mut s_jj, mut s_jr, mut s_rj, s_rr) = front.split_at_mut(width, width);
    triangular::matmul(
        s_jj.rb_mut(),
        BlockStructure::Rectangular,
        Accum::Replace,
        inverse.rb().transpose(),
        BlockStructure::TriangularUpper,
        inverse.rb(),
        BlockStructure::TriangularLower,
        sign,
        Par::Seq,
    );
    if below == 0 {
        return;
    }
    triangular::matmul(
        y.rb_mut(),
        BlockStructure::Rectangular,
        Accum::Replace,
        l_rj,
        BlockStructure::Rectangular,
        inverse.rb(),
        BlockStructure::TriangularLower,
        1.0,
        Par::Seq,
    );
    matmul::matmul(s_rj.rb_mut(), Accum::Replace, s_rr.rb(), y.rb(), -1.0, Par::Seq);
    matmul::matmul(s_jj.rb_mut(), Accum::Add, y.rb().transpose(), s_rj.rb(), -1.0, Par::Seq);
    s_jr.copy_from(s_rj.rb().transpose());
}

fn invert_column(panel: &[f64], height: usize, sign: f64, front: &mut [f64], scratch: &mut [f64]) {
    let inverse = 1.0 / panel[0];
    let y = &mut scratch[..height - 1];
    for (y, &l) in y.iter_mut().zip(&panel[1..height]) {
        *y = l * inverse;
    }
    let (first, rest) = front.split_at_mut(height);
    first[1..].fill(0.0);
    for (column, &y) in rest.chunks_exact(height).zip(y.iter()) {
        for (s, &covariance) in first[1..].iter_mut().zip(&column[1..]) {
            *s -= covariance * y;
        }
    }
    let correction: f64 = y.iter().zip(&first[1..]).map(|(y, s)| y * s).sum();
    first[0] = sign * inverse * inverse - correction;
    for (column, &s) in rest.chunks_exact_mut(height).zip(&first[1..]) {
        column[0] = s;
    }
}
