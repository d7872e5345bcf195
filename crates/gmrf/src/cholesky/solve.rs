//! Solves with the factor, and what follows from them: conditional means, samples, columns of the covariance.

use super::block_substitution::BlockSubstitution;
use super::numeric::CholeskyFactor;
use super::substitution::{Direction, Substitution};
use crate::error::{GmrfError, expect_length};

impl CholeskyFactor {
    /// The length of a work vector for one right-hand side.
    pub fn work_length(&self) -> usize {
        self.symbolic.order.len() + self.symbolic.most_rows
    }

    /// Solves `Q x = b` on `ker C`, that is `K [x; λ] = [b; 0]`, `b` overwritten by `x` (length `n`).
    ///
    /// `work` has length [`work_length`](Self::work_length). Cost `4 nnz(L)`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn solve_in_place(&self, b: &mut [f64], work: &mut [f64]) -> Result<(), GmrfError> {
        self.solve_constrained(b, None, work)
    }

    /// The minimiser of `½ xᵀQx − bᵀx` under `C x = e`, `e` the constraints' right-hand side; `b` is overwritten by it.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn conditional_mean_in_place(&self, b: &mut [f64], work: &mut [f64]) -> Result<(), GmrfError> {
        let symbolic = self.symbolic.clone();
        self.solve_constrained(b, Some(symbolic.constraints.right_hand_side()), work)
    }

    fn solve_constrained(&self, b: &mut [f64], e: Option<&[f64]>, work: &mut [f64]) -> Result<(), GmrfError> {
        let n = self.symbolic.order();
        expect_length("right-hand side", n, b.len())?;
        expect_length("work", self.work_length(), work.len())?;
        let (x, buffer) = work.split_at_mut(self.symbolic.order.len());
        for (x, &node) in x.iter_mut().zip(&self.symbolic.order) {
            *x = if node < n { b[node] } else { e.map_or(0.0, |e| e[node - n]) };
        }
        self.substitute(Direction::Forward, x, buffer);
        self.apply_signs(x);
        self.substitute(Direction::Backward, x, buffer);
        for (x, &node) in x.iter().zip(&self.symbolic.order) {
            if node < n {
                b[node] = *x;
            }
        }
        Ok(())
    }

    /// Solves for `count` right-hand sides at once: `b` (`n × count`, node by node, the right-hand sides of a node side by
    /// side) is overwritten by `Σ b`. `work` has `count` times [`work_length`](Self::work_length). Reads `L` twice, whatever
    /// `count`; some ten to a hundred at a time are best.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn solve_many_in_place(&self, b: &mut [f64], count: usize, work: &mut [f64]) -> Result<(), GmrfError> {
        let (n, total) = (self.symbolic.order(), self.symbolic.order.len());
        expect_length("right-hand sides", n * count, b.len())?;
        expect_length("work", self.work_length() * count, work.len())?;
        if count == 0 {
            return Ok(());
        }
        let (x, buffer) = work.split_at_mut(total * count);
        if total == n {
            self.substitute_block(b, buffer, count);
            return Ok(());
        }
        let (nodes, multipliers) = x.split_at_mut(n * count);
        nodes.copy_from_slice(b);
        multipliers.fill(0.0);
        self.substitute_block(x, buffer, count);
        b.copy_from_slice(&x[..n * count]);
        Ok(())
    }

    /// Both substitutions of `x`, which holds `count` numbers for each node, nodes before multipliers.
    fn substitute_block(&self, x: &mut [f64], buffer: &mut [f64], count: usize) {
        let substitute = |direction, x: &mut [f64], buffer: &mut [f64]| {
            let (symbolic, factor) = (&*self.symbolic, (&*self.values, &*self.pivots));
            BlockSubstitution { symbolic, factor, direction, x, buffer, count }.run();
        };
        substitute(Direction::Forward, x, buffer);
        x[self.symbolic.order() * count..].iter_mut().for_each(|x| *x = -*x);
        substitute(Direction::Backward, x, buffer);
    }

    fn substitute(&self, direction: Direction, x: &mut [f64], buffer: &mut [f64]) {
        let factor = (&*self.values, &*self.pivots);
        Substitution { symbolic: &self.symbolic, factor, direction, x, buffer }.run();
    }

    fn apply_signs(&self, x: &mut [f64]) {
        for node in self.symbolic.supernodes.iter().filter(|node| node.multiplier) {
            x[node.first] = -x[node.first];
        }
    }

    /// A draw of `x ~ N(0, Q⁻¹)` conditioned on `C x = 0` from standard normal `z` (length `n`), written over `z`.
    ///
    /// Add the conditional mean for a draw under `C x = e`. Exact: the multipliers are chosen by one forward pass over
    /// their rows so that the constraints hold, which is conditioning by kriging at each multiplier's place in the elimination.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn sample_in_place(&self, z: &mut [f64], work: &mut [f64]) -> Result<(), GmrfError> {
        let n = self.symbolic.order();
        expect_length("z", n, z.len())?;
        expect_length("work", self.work_length(), work.len())?;
        let (x, buffer) = work.split_at_mut(self.symbolic.order.len());
        for (x, &node) in x.iter_mut().zip(&self.symbolic.order) {
            *x = if node < n { z[node] } else { 0.0 };
        }
        self.satisfy_constraints(x);
        self.substitute(Direction::Backward, x, buffer);
        for (x, &node) in x.iter().zip(&self.symbolic.order) {
            if node < n {
                z[node] = *x;
            }
        }
        Ok(())
    }

    /// The transpose of the linear map of [`sample_in_place`](Self::sample_in_place): `u` (length `n`) is overwritten by `Tᵀu`, where
    /// `x = T z`; slopes in `x` become slopes in `z`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn sample_transposed_in_place(&self, u: &mut [f64], work: &mut [f64]) -> Result<(), GmrfError> {
        let n = self.symbolic.order();
        expect_length("u", n, u.len())?;
        expect_length("work", self.work_length(), work.len())?;
        let (v, buffer) = work.split_at_mut(self.symbolic.order.len());
        for (v, &node) in v.iter_mut().zip(&self.symbolic.order) {
            *v = if node < n { u[node] } else { 0.0 };
        }
        self.substitute(Direction::Forward, v, buffer);
        self.pull_through_constraints(v);
        for (v, &node) in v.iter().zip(&self.symbolic.order) {
            if node < n {
                u[node] = *v;
            }
        }
        Ok(())
    }

    /// The transpose of [`satisfy_constraints`](Self::satisfy_constraints), from the last multiplier to the first.
    fn pull_through_constraints(&self, v: &mut [f64]) {
        if self.symbolic.constraints.is_empty() {
            return;
        }
        let n = self.symbolic.order();
        let mut pull = vec![0.0; v.len()];
        for node in self.symbolic.supernodes.iter().rev() {
            let height = node.height();
            let panel = &self.values[node.values_start..node.values_start + height * node.width];
            let below = self.symbolic.rows_below(node);
            let sign = if node.multiplier { -1.0 } else { 1.0 };
            if below.iter().any(|&row| self.symbolic.order[row as usize] >= n) {
                for k in 0..node.width {
                    let rows = below.iter().zip(&panel[k * height + node.width..(k + 1) * height]);
                    v[node.first + k] += sign * rows.map(|(&row, &l)| l * pull[row as usize]).sum::<f64>();
                }
            }
            if node.multiplier {
                pull[node.first] = v[node.first] / panel[0];
            }
        }
    }

    /// Chooses `v` at the multipliers such that row `λ` of `L S v`, which is `C x`, vanishes.
    fn satisfy_constraints(&self, v: &mut [f64]) {
        if self.symbolic.constraints.is_empty() {
            return;
        }
        let n = self.symbolic.order();
        let mut rows = vec![0.0; v.len()];
        for node in &self.symbolic.supernodes {
            let height = node.height();
            let panel = &self.values[node.values_start..node.values_start + height * node.width];
            let below = self.symbolic.rows_below(node);
            if node.multiplier {
                // row: Σ_{j<λ} L_λj s_j v_j − l_λλ v_λ = 0
                v[node.first] = rows[node.first] / panel[0];
            }
            let sign = if node.multiplier { -1.0 } else { 1.0 };
            if !below.iter().any(|&row| self.symbolic.order[row as usize] >= n) {
                continue;
            }
            for k in 0..node.width {
                let signed = sign * v[node.first + k];
                for (&row, &l) in below.iter().zip(&panel[k * height + node.width..(k + 1) * height]) {
                    rows[row as usize] += l * signed;
                }
            }
        }
    }
}
