//! Solves with the factor, and what follows from them: conditional means, samples, columns of the covariance.

use super::numeric::CholeskyFactor;
use super::supernodes::Supernode;
use crate::error::{GmrfError, expect_length};

impl CholeskyFactor {
    /// The length of a work vector: nodes and multipliers.
    pub fn work_length(&self) -> usize {
        self.symbolic.order.len()
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
        for (position, &node) in self.symbolic.order.iter().enumerate() {
            work[position] = if node < n { b[node] } else { e.map_or(0.0, |e| e[node - n]) };
        }
        self.forward(work);
        self.apply_signs(work);
        self.backward(work);
        for (position, &node) in self.symbolic.order.iter().enumerate() {
            if node < n {
                b[node] = work[position];
            }
        }
        Ok(())
    }

    /// Columns of the constrained covariance: the columns of `b` (`n × m`, column by column) are overwritten by `Σ b`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn solve_many_in_place(&self, b: &mut [f64], work: &mut [f64]) -> Result<(), GmrfError> {
        let n = self.symbolic.order();
        if n == 0 || !b.len().is_multiple_of(n) {
            return Err(GmrfError::LengthMismatch { what: "right-hand sides", expected: n, found: b.len() });
        }
        b.chunks_exact_mut(n).try_for_each(|column| self.solve_in_place(column, work))
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
        for (position, &node) in self.symbolic.order.iter().enumerate() {
            work[position] = if node < n { z[node] } else { 0.0 };
        }
        self.satisfy_constraints(work);
        self.backward(work);
        for (position, &node) in self.symbolic.order.iter().enumerate() {
            if node < n {
                z[node] = work[position];
            }
        }
        Ok(())
    }

    /// Chooses `v` at the multipliers such that row `λ` of `L S v`, which is `C x`, vanishes.
    fn satisfy_constraints(&self, v: &mut [f64]) {
        if self.symbolic.constraints.is_empty() {
            return;
        }
        let n = self.symbolic.order();
        let mut rows = vec![0.0; v.len()];
        for node in &self.symbolic.supernodes {
            let (panel, height) = self.panel(node);
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

    fn panel(&self, node: &Supernode) -> (&[f64], usize) {
        let height = node.height();
        (&self.values[node.values_start..node.values_start + height * node.width], height)
    }

    /// `L⁻¹` from the left, in elimination order.
    fn forward(&self, x: &mut [f64]) {
        for node in &self.symbolic.supernodes {
            let (panel, height) = self.panel(node);
            let below = self.symbolic.rows_below(node);
            for k in 0..node.width {
                let column = &panel[k * height..(k + 1) * height];
                let value = x[node.first + k] / column[k];
                x[node.first + k] = value;
                let within = &mut x[node.first + k + 1..node.first + node.width];
                for (x, &l) in within.iter_mut().zip(&column[k + 1..]) {
                    *x -= l * value;
                }
                for (&row, &l) in below.iter().zip(&column[node.width..]) {
                    x[row as usize] -= l * value;
                }
            }
        }
    }

    fn apply_signs(&self, x: &mut [f64]) {
        for node in self.symbolic.supernodes.iter().filter(|node| node.multiplier) {
            x[node.first] = -x[node.first];
        }
    }

    /// `L⁻ᵀ` from the left, in elimination order.
    fn backward(&self, x: &mut [f64]) {
        for node in self.symbolic.supernodes.iter().rev() {
            let (panel, height) = self.panel(node);
            let below = self.symbolic.rows_below(node);
            for k in (0..node.width).rev() {
                let column = &panel[k * height..(k + 1) * height];
                let within = &x[node.first + k + 1..node.first + node.width];
                let mut sum: f64 = within.iter().zip(&column[k + 1..]).map(|(x, l)| x * l).sum();
                sum += below.iter().zip(&column[node.width..]).map(|(&row, l)| x[row as usize] * l).sum::<f64>();
                x[node.first + k] = (x[node.first + k] - sum) / column[k];
            }
        }
    }
}
