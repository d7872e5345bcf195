//! Forward and backward substitution of one right-hand side with the panels of the factor.

use pulp::{Arch, Simd, WithSimd};

use super::symbolic::SymbolicFactor;
use super::vector::{dot, dot_four, subtract_columns};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// `L⁻¹` from the left.
    Forward,
    /// `L⁻ᵀ` from the left.
    Backward,
}

/// A substitution in progress: `x` in elimination order.
pub(super) struct Substitution<'a> {
    pub(super) symbolic: &'a SymbolicFactor,
    /// The panels, and the inverse of every pivot.
    pub(super) factor: (&'a [f64], &'a [f64]),
    pub(super) direction: Direction,
    pub(super) x: &'a mut [f64],
    /// Room for the rows of one supernode.
    pub(super) buffer: &'a mut [f64],
}

impl Substitution<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Substitution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { symbolic, factor: (values, pivots), direction, x, buffer } = self;
        let (last, forwards) = (symbolic.supernodes.len().wrapping_sub(1), direction == Direction::Forward);
        // a loop, not a closure: closures are compiled without the vector instructions
        for k in 0..symbolic.supernodes.len() {
            let node = &symbolic.supernodes[if forwards { k } else { last - k }];
            let panel = &values[node.values_start..node.values_start + node.height() * node.width];
            let offset = node.first + node.width;
            let (before, below) = x.split_at_mut(offset);
            let mut panel = Panel {
                values: panel,
                inverse: &pivots[node.first..offset],
                rows: symbolic.rows_below(node),
                offset,
                own: &mut before[node.first..],
                below,
            };
            match node.width {
                1 => panel.narrow::<1>(forwards),
                2 => panel.narrow::<2>(forwards),
                3 => panel.narrow::<3>(forwards),
                4 => panel.narrow::<4>(forwards),
                5 => panel.narrow::<5>(forwards),
                6 => panel.narrow::<6>(forwards),
                7 => panel.narrow::<7>(forwards),
                8 => panel.narrow::<8>(forwards),
                _ => panel.wide(simd, forwards, &mut buffer[..node.height()]),
            }
        }
    }
}

/// The numbers of each of `W` columns below their diagonal block, in fours, and what is left over.
#[inline(always)]
fn columns<const W: usize>(panel: &[f64]) -> ([&[[f64; 4]]; W], [&[f64]; W]) {
    let height = panel.len() / W;
    let (mut fours, mut rest) = ([&[] as &[[f64; 4]]; W], [&[] as &[f64]; W]);
    for j in 0..W {
        (fours[j], rest[j]) = panel[j * height + W..(j + 1) * height].as_chunks::<4>();
    }
    (fours, rest)
}

/// A supernode and what it works on.
struct Panel<'a> {
    values: &'a [f64],
    /// Those of its pivots.
    inverse: &'a [f64],
    rows: &'a [u32],
    /// The position of the first of `below`.
    offset: usize,
    own: &'a mut [f64],
    below: &'a mut [f64],
}

impl Panel<'_> {
    /// The rows below are worked on in one piece.
    #[inline(always)]
    fn wide<S: Simd>(&mut self, simd: S, forwards: bool, buffer: &mut [f64]) {
        let (head, tail) = buffer.split_at_mut(self.own.len());
        head.copy_from_slice(self.own);
        if forwards {
            tail.fill(0.0);
            forward_one(simd, self.values, self.inverse, buffer);
            for (&row, b) in self.rows.iter().zip(&buffer[self.own.len()..]) {
                self.below[row as usize - self.offset] += b;
            }
        } else {
            for (&row, b) in self.rows.iter().zip(tail) {
                *b = self.below[row as usize - self.offset];
            }
            backward_one(simd, self.values, self.inverse, buffer);
        }
        self.own.copy_from_slice(&buffer[..self.own.len()]);
    }

    /// `W` columns, which stay in registers, and each row below where it lies.
    #[inline(always)]
    fn narrow<const W: usize>(&mut self, forwards: bool) {
        if forwards { self.forward::<W>() } else { self.backward::<W>() }
    }

    #[inline(always)]
    fn forward<const W: usize>(&mut self) {
        let height = W + self.rows.len();
        let mut own = [0.0; W];
        own.copy_from_slice(&self.own[..W]);
        for j in 0..W {
            let column = &self.values[j * height..j * height + W];
            own[j] *= self.inverse[j];
            for i in j + 1..W {
                own[i] -= column[i] * own[j];
            }
        }
        self.own[..W].copy_from_slice(&own);
        let (fours, rest) = columns::<W>(self.values);
        let (rows, last) = self.rows.as_chunks::<4>();
        for (k, rows) in rows.iter().enumerate() {
            let mut sums = [0.0; 4];
            for j in 0..W {
                let column = fours[j][k];
                for l in 0..4 {
                    sums[l] += column[l] * own[j];
                }
            }
            for l in 0..4 {
                self.below[rows[l] as usize - self.offset] -= sums[l];
            }
        }
        for (k, &row) in last.iter().enumerate() {
            let mut sum = 0.0;
            for j in 0..W {
                sum += rest[j][k] * own[j];
            }
            self.below[row as usize - self.offset] -= sum;
        }
    }

    #[inline(always)]
    fn backward<const W: usize>(&mut self) {
        let height = W + self.rows.len();
        let (fours, rest) = columns::<W>(self.values);
        let (rows, last) = self.rows.as_chunks::<4>();
        let mut sums = [[0.0; 4]; W];
        for (k, rows) in rows.iter().enumerate() {
            let mut x = [0.0; 4];
            for l in 0..4 {
                x[l] = self.below[rows[l] as usize - self.offset];
            }
            for j in 0..W {
                let column = fours[j][k];
                for l in 0..4 {
                    sums[j][l] += column[l] * x[l];
                }
            }
        }
        let mut own = [0.0; W];
        for j in 0..W {
            own[j] = self.own[j] - ((sums[j][0] + sums[j][1]) + (sums[j][2] + sums[j][3]));
        }
        for (k, &row) in last.iter().enumerate() {
            let x = self.below[row as usize - self.offset];
            for j in 0..W {
                own[j] -= rest[j][k] * x;
            }
        }
        for j in (0..W).rev() {
            let column = &self.values[j * height..j * height + W];
            for i in j + 1..W {
                own[j] -= column[i] * own[i];
            }
            own[j] *= self.inverse[j];
        }
        self.own[..W].copy_from_slice(&own);
    }
}

/// Columns that one right-hand side is substituted through at a time.
const BLOCK: usize = 4;

/// The first of `x ← L_JJ⁻¹ x`, the rest `−= L_RJ` times them.
#[inline(always)]
fn forward_one<S: Simd>(simd: S, panel: &[f64], inverse: &[f64], x: &mut [f64]) {
    let (height, width) = (x.len(), inverse.len());
    let mut k = 0;
    while k < width {
        let block = BLOCK.min(width - k);
        let (done, rest) = x.split_at_mut(k + block);
        let own = &mut done[k..];
        for j in 0..block {
            let column = &panel[(k + j) * height + k..][..block];
            own[j] *= inverse[k + j];
            for i in j + 1..block {
                own[i] -= column[i] * own[j];
            }
        }
        let own = &done[k..];
        subtract_columns(simd, rest, (&panel[k * height + k + block..], height), block, |j| own[j]);
        k += block;
    }
}

/// The first of `x ← L_JJ⁻ᵀ (x − L_RJᵀ` times the rest`)`.
#[inline(always)]
fn backward_one<S: Simd>(simd: S, panel: &[f64], inverse: &[f64], x: &mut [f64]) {
    let (height, width) = (x.len(), inverse.len());
    let mut end = width;
    while end > 0 {
        // the first block takes what the others leave over
        let block = if end % BLOCK == 0 { BLOCK } else { end % BLOCK };
        let k = end - block;
        let (head, rest) = x.split_at_mut(end);
        let own = &mut head[k..];
        let columns = &panel[k * height + end..];
        let length = rest.len();
        if block == BLOCK {
            let (a, b) = (&columns[..length], &columns[height..height + length]);
            let (c, d) = (&columns[2 * height..2 * height + length], &columns[3 * height..3 * height + length]);
            let dots = dot_four(simd, rest, [a, b, c, d]);
            for (x, dot) in own.iter_mut().zip(dots) {
                *x -= dot;
            }
        } else {
            for j in 0..block {
                own[j] -= dot(simd, rest, &columns[j * height..j * height + length]);
            }
        }
        for j in (0..block).rev() {
            let column = &panel[(k + j) * height + k..][..block];
            for i in j + 1..block {
                own[j] -= column[i] * own[i];
            }
            own[j] *= inverse[k + j];
        }
        end = k;
    }
}
