//! A node's density given `θ` with the likelihood itself in place of its Gaussian sites: what the corrected marginals are checked
//! against.
//!
//! Along the conditional mean of the others, `η_i(t) = η_i + s_i t` with `s = AΣe_j/σ_j`, what is left of row `i` has the variance
//! `v_i − s_i²`. The density of the standardised node is `φ(t) Π_i E_u[p(y_i|η_i(t) + u)/site_i(η_i(t) + u)]`, rows taken one by one (the
//! factorised correction of Cseke and Heskes 2011).

use std::ops::Range;

use gmrf::elementary::exp_in_place;
use gmrf::sums::sum_of_logarithms;

use crate::approximation::{Approximation, OwnerThetas};
use crate::error::LaplaceError;
use crate::likelihood::{Derivatives, Likelihood, Order};
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// Nodes and weights of the Gauss–Hermite rule of three points.
const RULE: [(f64, f64); 3] = [(-SQRT_3, 1.0 / 6.0), (0.0, 2.0 / 3.0), (SQRT_3, 1.0 / 6.0)];
const SQRT_3: f64 = 1.732_050_807_568_877_2;
/// Rows whose correlation with the node is smaller are left to their sites, and so are all rows together where the sum of their
/// correlations is. Many weakly correlated rows move a node together: one by one at 0.002, an intercept above 100 000 counts was missed by
/// a seventh of its standard deviation.
const NEGLIGIBLE: f64 = 0.002;
const NEGLIGIBLE_TOGETHER: f64 = 2.0;

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
        let most = owners.observations.iter().map(|theta| theta.len()).max();
        let negligible = NEGLIGIBLE.min(NEGLIGIBLE_TOGETHER / model.rows() as f64);
        let (mut moved, mut room) = (vec![0.0; model.rows()], Room::new(most.unwrap_or(0)));
        workspace.design.multiply(&column, &mut moved);
        for (k, observations) in model.observations().iter().enumerate() {
            let rows = model.observation_rows(k);
            let slopes: Vec<f64> = moved[rows.clone()].iter().map(|moved| moved / sd).collect();
            let variances = &workspace.predictor_variance[rows.clone()];
            let moves = |row: usize| {
                slopes[row].abs() > negligible * variances[row].sqrt() && observations.likelihood.is_observed(row)
            };
            let mut row = 0;
            while row < slopes.len() {
                let start = row;
                while row < slopes.len() && row - start < PIECE && moves(row) {
                    row += 1;
                }
                if start < row {
                    let block = Block { workspace, first: rows.start, rows: start..row, slopes: &slopes };
                    let likelihood = observations.likelihood.as_ref();
                    block.add((likelihood, &owners.observations[k]), ts, &mut room, &mut logs)?;
                } else {
                    row += 1;
                }
            }
        }
        Ok((sd, logs))
    }
}

/// Rows that are worked on together: what is known of them stays near the core for all values.
const PIECE: usize = 512;

/// Buffers for the rows of one piece.
struct Room {
    out: Derivatives,
    eta: Vec<f64>,
    /// `log p(y|η*)`.
    here: Vec<f64>,
    /// Standard deviations of what is left of the predictors.
    rest: Vec<f64>,
    terms: Vec<f64>,
    sums: Vec<f64>,
}

impl Room {
    fn new(hyperparameters: usize) -> Self {
        let [eta, here, rest, terms, sums] = std::array::from_fn(|_| vec![0.0; PIECE]);
        Self { out: Derivatives::zeros(PIECE, hyperparameters), eta, here, rest, terms, sums }
    }
}

/// Neighbouring rows that a node moves, [`PIECE`] at most.
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
        (likelihood, theta): (&dyn Likelihood, &[f64]),
        ts: &[f64],
        room: &mut Room,
        logs: &mut [f64],
    ) -> Result<(), LaplaceError> {
        let length = self.rows.len();
        let all = self.first + self.rows.start..self.first + self.rows.end;
        let modes = &self.workspace.eta[all.clone()];
        let (first, second) = (&self.workspace.first[all.clone()], &self.workspace.second[all.clone()]);
        let (variances, slopes) = (&self.workspace.predictor_variance[all], &self.slopes[self.rows.clone()]);
        let Room { out, eta, here, rest, terms, sums } = room;
        let (eta, rest, terms, sums) =
            (&mut eta[..length], &mut rest[..length], &mut terms[..length], &mut sums[..length]);
        likelihood.evaluate(theta, self.rows.clone(), modes, Order::Value, out)?;
        here[..length].copy_from_slice(&out.value[..length]);
        for r in 0..length {
            rest[r] = (variances[r] - slopes[r] * slopes[r]).max(0.0).sqrt();
        }
        for (log, t) in logs.iter_mut().zip(ts) {
            sums.fill(0.0);
            for (z, weight) in RULE {
                for r in 0..length {
                    eta[r] = modes[r] + (slopes[r] * t + rest[r] * z);
                }
                likelihood.evaluate(theta, self.rows.clone(), eta, Order::Value, out)?;
                for r in 0..length {
                    let moved = slopes[r] * t + rest[r] * z;
                    terms[r] = out.value[r] - here[r] - (first[r] * moved + 0.5 * second[r] * moved * moved);
                }
                exp_in_place(terms);
                for r in 0..length {
                    sums[r] += weight * terms[r];
                }
            }
            let sum = sum_of_logarithms(sums);
            // a row without density there, or one too small for a normal number
            *log += if sum.is_nan() { sums.iter().map(|sum| sum.ln()).sum() } else { sum };
        }
        Ok(())
    }
}
