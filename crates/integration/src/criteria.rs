//! Criteria of fit and of prediction: DIC, WAIC, CPO and PIT.
//!
//! Leave-one-out densities integrate the likelihood over the predictor's cavity, the Gaussian approximation without the row's
//! own quadratic term: `CPO_i = [Σ_k w_k / p(y_i|y_−i, θ_k)]⁻¹`, and PIT mixes with weights `w_k / p(y_i|y_−i, θ_k)`.

use laplace::{Derivatives, LatentGaussianModel, Order, Owner};

use crate::engine::PointEvaluation;
use crate::error::IntegrationError;
use crate::executor::{Executor, map};
use crate::skewed::SkewedGaussian;

/// Half-width in standard deviations of the grid over a predictor's conditional density.
const WIDTH: f64 = 6.0;
/// Nodes of that grid; the trapezoid rule on a smooth density with this step is exact to rounding.
const NODES: usize = 25;
/// Design points below this posterior weight are left out.
const NEGLIGIBLE_WEIGHT: f64 = 1e-7;

/// Criteria of the whole fit and of every observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Criteria {
    /// Deviance information criterion (Spiegelhalter et al. 2002): mean deviance plus `p_D`, the deviance of the plug-in taken at
    /// the posterior mean of each predictor and the posterior mode of `θ`.
    pub dic: f64,
    /// `p_D`, the effective number of parameters of the DIC.
    pub dic_effective_parameters: f64,
    /// Mean deviance.
    pub mean_deviance: f64,
    /// Widely applicable information criterion (Watanabe 2010; Gelman et al. 2014, variance form).
    pub waic: f64,
    /// Its effective number of parameters.
    pub waic_effective_parameters: f64,
    /// `p(y_i | y_−i)`, NaN for a missing response and for a failure; length `m`.
    pub cpo: Vec<f64>,
    /// `P(Y_i ≤ y_i | y_−i)`, NaN where the CPO is; length `m`.
    pub pit: Vec<f64>,
    /// Rows whose leave-one-out density does not exist: nothing but the row itself informs its predictor.
    pub failures: Vec<usize>,
}

/// Sums over the design for one row.
#[derive(Default, Clone)]
struct Row {
    density: f64,
    log_density: f64,
    log_density_squared: f64,
    inverse_density: f64,
    pit: f64,
    predictor: f64,
    failed: bool,
    observed: bool,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.density += other.density;
        self.log_density += other.log_density;
        self.log_density_squared += other.log_density_squared;
        self.inverse_density += other.inverse_density;
        self.pit += other.pit;
        self.predictor += other.predictor;
        self.failed |= other.failed;
        self.observed |= other.observed;
    }
}

impl Criteria {
    /// From the design's evaluations, their weights (which sum to one) and the mode of `θ`.
    ///
    /// Cost: two grids of 25 evaluations of the likelihood for each row and each design point.
    ///
    /// # Errors
    /// Those of the likelihood.
    pub fn compute(
        model: &LatentGaussianModel,
        executor: &dyn Executor,
        (points, weights): (&[PointEvaluation], &[f64]),
        mode: &[f64],
    ) -> Result<Self, IntegrationError> {
        let used: Vec<(&PointEvaluation, f64)> =
            points.iter().zip(weights.iter().copied()).filter(|(_, weight)| *weight > NEGLIGIBLE_WEIGHT).collect();
        let mut rows = vec![Row::default(); model.rows()];
        for sums in map(executor, used.len(), |k| point_sums(model, used[k].0, used[k].1)) {
            for (row, point) in rows.iter_mut().zip(sums?) {
                row.add(&point);
            }
        }
        let observed = |i: usize| rows[i].observed;
        let plug_in = plug_in_log_density(model, &rows, mode)?;
        let mut criteria = Self {
            dic: 0.0,
            dic_effective_parameters: 0.0,
            mean_deviance: 0.0,
            waic: 0.0,
            waic_effective_parameters: 0.0,
            cpo: vec![f64::NAN; rows.len()],
            pit: vec![f64::NAN; rows.len()],
            failures: Vec::new(),
        };
        let mut log_predictive = 0.0;
        for i in (0..rows.len()).filter(|&i| observed(i)) {
            let row = &rows[i];
            criteria.mean_deviance -= 2.0 * row.log_density;
            log_predictive += row.density.ln();
            criteria.waic_effective_parameters += (row.log_density_squared - row.log_density.powi(2)).max(0.0);
            criteria.cpo[i] = 1.0 / row.inverse_density;
            criteria.pit[i] = row.pit / row.inverse_density;
            if row.failed || !criteria.cpo[i].is_finite() {
                (criteria.cpo[i], criteria.pit[i]) = (f64::NAN, f64::NAN);
                criteria.failures.push(i);
            }
        }
        criteria.dic_effective_parameters = criteria.mean_deviance + 2.0 * plug_in;
        criteria.dic = criteria.mean_deviance + criteria.dic_effective_parameters;
        criteria.waic = -2.0 * (log_predictive - criteria.waic_effective_parameters);
        Ok(criteria)
    }

    /// `−Σ log CPO`, the logarithmic score.
    pub fn log_score(&self) -> f64 {
        -self.cpo.iter().filter(|c| c.is_finite()).map(|c| c.ln()).sum::<f64>()
    }
}

/// One design point's part of every row's sums.
fn point_sums(model: &LatentGaussianModel, point: &PointEvaluation, weight: f64) -> Result<Vec<Row>, IntegrationError> {
    let mut rows = vec![Row::default(); model.rows()];
    for k in 0..model.observations().len() {
        let block = &mut rows[model.observation_rows(k)];
        add_block(model, (k, point), block)?;
        let likelihood = &model.observations()[k].likelihood;
        for (_, sums) in block.iter_mut().enumerate().filter(|(row, _)| likelihood.is_observed(*row)) {
            sums.observed = true;
            // so far the density without the row, which divides
            let without = sums.inverse_density;
            sums.failed |= without.is_nan() || without <= 0.0;
            sums.inverse_density = weight / without;
            sums.pit *= weight / without;
            for sum in [&mut sums.density, &mut sums.log_density, &mut sums.log_density_squared, &mut sums.predictor] {
                *sum *= weight;
            }
        }
    }
    Ok(rows)
}

/// The unweighted sums of block `k`, all rows at one node of the rule after the other.
fn add_block(
    model: &LatentGaussianModel,
    (k, point): (usize, &PointEvaluation),
    sums: &mut [Row],
) -> Result<(), IntegrationError> {
    let likelihood = &model.observations()[k].likelihood;
    let theta = model.owner_theta(Owner::Likelihood(k), &point.approximation.theta);
    let range = model.observation_rows(k);
    let (moments, cavities) = (&point.moments.predictors[range.clone()], &point.moments.cavities[range]);
    let densities: Vec<SkewedGaussian> =
        moments.iter().map(|m| SkewedGaussian::new(m.mean, m.variance.sqrt(), m.skewness)).collect();
    for ((sums, moment), cavity) in sums.iter_mut().zip(moments).zip(cavities) {
        sums.predictor = moment.mean;
        sums.failed = !cavity.variance.is_finite();
    }
    let m = sums.len();
    let (mut eta, mut out) = (vec![0.0; m], Derivatives::zeros(m, theta.len()));
    let step = 2.0 * WIDTH / (NODES - 1) as f64;
    let z = |node: usize| -WIDTH + step * node as f64;
    let total: f64 = (0..NODES).map(|node| (-0.5 * z(node) * z(node)).exp()).sum();
    for node in 0..NODES {
        let z = z(node);
        let w = (-0.5 * z * z).exp() / total;
        eta.iter_mut().zip(&densities).for_each(|(eta, density)| *eta = density.at(z));
        likelihood.evaluate(&theta, 0..m, &eta, Order::Value, &mut out)?;
        for (sums, value) in sums.iter_mut().zip(&out.value) {
            sums.density += w * value.exp();
            // a value of −∞ has no mass under the exact posterior
            sums.log_density += w * value.max(-1e300);
            sums.log_density_squared += w * value.max(-1e150).powi(2);
        }
        // the same rule on the predictors without their rows; a row without a cavity stays where it is
        for ((eta, cavity), sums) in eta.iter_mut().zip(cavities).zip(sums.iter()) {
            *eta = if sums.failed { cavity.mean } else { cavity.mean + cavity.variance.sqrt() * z };
        }
        likelihood.evaluate(&theta, 0..m, &eta, Order::Value, &mut out)?;
        for (row, (sums, value)) in sums.iter_mut().zip(&out.value).enumerate().filter(|(_, (sums, _))| !sums.failed) {
            sums.inverse_density += w * value.exp();
            sums.pit += w * likelihood.cumulative(&theta, row, eta[row]).unwrap_or(0.0);
        }
    }
    Ok(())
}

/// `Σ ℓ` at the posterior means of the predictors and the mode of `θ`.
fn plug_in_log_density(model: &LatentGaussianModel, rows: &[Row], mode: &[f64]) -> Result<f64, IntegrationError> {
    let mut total = 0.0;
    for (k, observations) in model.observations().iter().enumerate() {
        let theta = model.owner_theta(Owner::Likelihood(k), mode);
        let range = model.observation_rows(k);
        let eta: Vec<f64> = rows[range.clone()].iter().map(|row| row.predictor).collect();
        let mut out = Derivatives::zeros(range.len(), theta.len());
        observations.likelihood.evaluate(&theta, 0..range.len(), &eta, Order::Value, &mut out)?;
        total += out.value.iter().sum::<f64>();
    }
    Ok(total)
}
