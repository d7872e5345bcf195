//! A node's density given `θ` with the likelihood itself in place of its Gaussian sites: what the corrected marginals are checked
//! against.
//!
//! Along the conditional mean of the others, `η_i(t) = η_i + s_i t` with `s = AΣe_j/σ_j`, what is left of row `i` has the variance
//! `v_i − s_i²`. The density of the standardised node is `φ(t) Π_i E_u[p(y_i|η_i(t) + u)/site_i(η_i(t) + u)]`, rows taken one by one (the
//! factorised correction of Cseke and Heskes 2011).

use std::ops::Range;

use crate::approximation::{Approximation, OwnerThetas};
use crate::error::LaplaceError;
use crate::likelihood::{Derivatives, Likelihood, Order};
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// Nodes and weights of the Gauss–Hermite rule of three points.
const RULE: [(f64, f64); 3] = [(-SQRT_3, 1.0 / 6.0), (0.0, 2.0 / 3.0), (SQRT_3, 1.0 / 6.0)];
const SQRT_3: f64 = 1.732_050_807_568_877_2;
/// Rows whose correlation with the node is smaller are left to their sites. Many weakly correlated rows move a node together: at 0.02 they
/// are missed by some hundredths of a standard deviation.
const NEGLIGIBLE: f64 = 0.002;

impl Approximation {
    /// The Gaussian's standard deviation of `node`, and `log` of the density over the Gaussian's at standardised values `ts`, but for a
    /// constant, from the workspace in which this approximation was evaluated last. Cost: a solve, and three evaluations of every row that the node moves for each value.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`] if the workspace belongs to another model; those of the likelihood.
    pub fn profile(
        &self,
        model: &LatentGaussianModel,
        workspace: &Workspace,
        node: usize,
        ts: &[f64],
    ) -> Result<(f64, Vec<f64>), LaplaceError> {
        crate::model::expect_length("workspace", model.nodes(), workspace.x.len())?;
        let owners = OwnerThetas::new(model, &self.theta);
        let mut column = vec![0.0; model.nodes()];
        column[node] = 1.0;
        workspace.factor.solve_in_place(&mut column, &mut vec![0.0; workspace.factor.work_length()])?;
        let sd = column[node].max(0.0).sqrt();
        let mut logs = vec![0.0; ts.len()];
        if sd == 0.0 {
            return Ok((sd, logs));
        }
        let mut moved = vec![0.0; model.rows()];
        workspace.design.multiply(&column, &mut moved);
        for (k, observations) in model.observations().iter().enumerate() {
            let rows = model.observation_rows(k);
            let slopes: Vec<f64> = moved[rows.clone()].iter().map(|moved| moved / sd).collect();
            let variances = &workspace.predictor_variance[rows.clone()];
            let moves = |row: usize| {
                slopes[row].abs() > NEGLIGIBLE * variances[row].sqrt() && observations.likelihood.is_observed(row)
            };
            let mut row = 0;
            while row < slopes.len() {
                let start = row;
                while row < slopes.len() && moves(row) {
                    row += 1;
                }
                if start < row {
                    let block = Block { workspace, first: rows.start, rows: start..row, slopes: &slopes };
                    block.add(observations.likelihood.as_ref(), &owners.observations[k], ts, &mut logs)?;
                }
                row += 1;
            }
        }
        Ok((sd, logs))
    }
}

/// Neighbouring rows that a node moves.
struct Block<'a> {
    workspace: &'a Workspace,
    /// The first row of the likelihood among all rows.
    first: usize,
    rows: Range<usize>,
    slopes: &'a [f64],
}

impl Block<'_> {
    /// Adds the rows' terms at every value.
    fn add(
        &self,
        likelihood: &dyn Likelihood,
        theta: &[f64],
        ts: &[f64],
        logs: &mut [f64],
    ) -> Result<(), LaplaceError> {
        let length = self.rows.len();
        let mut out = Derivatives::zeros(length, theta.len());
        let (mut eta, mut sums, mut here) = (vec![0.0; length], vec![0.0; length], vec![0.0; length]);
        let all = self.first + self.rows.start..self.first + self.rows.end;
        let modes = &self.workspace.eta[all.clone()];
        likelihood.evaluate(theta, self.rows.clone(), modes, Order::Value, &mut out)?;
        here.copy_from_slice(&out.value);
        let (first, second) = (&self.workspace.first[all.clone()], &self.workspace.second[all.clone()]);
        let variances = &self.workspace.predictor_variance[all];
        let slopes = &self.slopes[self.rows.clone()];
        for (log, t) in logs.iter_mut().zip(ts) {
            sums.fill(0.0);
            for (z, weight) in RULE {
                let by = |r: usize| slopes[r] * t + (variances[r] - slopes[r] * slopes[r]).max(0.0).sqrt() * z;
                (0..length).for_each(|r| eta[r] = modes[r] + by(r));
                likelihood.evaluate(theta, self.rows.clone(), &eta, Order::Value, &mut out)?;
                for r in 0..length {
                    let moved = by(r);
                    let site = first[r] * moved + 0.5 * second[r] * moved * moved;
                    sums[r] += weight * (out.value[r] - here[r] - site).exp();
                }
            }
            *log += sums.iter().map(|sum| sum.ln()).sum::<f64>();
        }
        Ok(())
    }
}
