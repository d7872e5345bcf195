//! Criteria of fit and of prediction: DIC, WAIC, CPO and PIT.
//!
//! Leave-one-out densities integrate the likelihood over the predictor's cavity, the Gaussian approximation without the row's
//! own quadratic term: `CPO_i = [Σ_k w_k / p(y_i|y_−i, θ_k)]⁻¹`, and PIT mixes with weights `w_k / p(y_i|y_−i, θ_k)`; where the likelihood has no
//! hyperparameters, over one Gaussian with the moments of the cavities' mixture.

use std::ops::Range;

use gmrf::elementary::exp_in_place;
use laplace::{Cavity, Derivatives, LatentGaussianModel, Likelihood, Moment, Order, Owner};

use crate::engine::PointEvaluation;
use crate::error::IntegrationError;
use crate::executor::{Executor, map};
use crate::predictor_rule::Rule;
use crate::skewed::{SkewedGaussian, SkewedGaussians};

/// Posterior weight of the design points that are left out, together.
const NEGLIGIBLE_WEIGHT: f64 = 1e-4;
/// The same of those that are left out of probability integral transforms, which are read off histograms.
const NEGLIGIBLE_FOR_PIT: f64 = 1e-3;
/// Rows that a task takes at a time.
const ROWS: usize = 512;

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
    /// `P(Y_i ≤ y_i | y_−i)`, NaN where the CPO is and where the family has no probability, as for a censored time; length `m`.
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
    pit_weight: f64,
    predictor: f64,
    failed: bool,
    observed: bool,
    /// Moments of the cavities' mixture about the first one's mean, each weighed by its inverse density.
    origin: f64,
    first: f64,
    second: f64,
}

impl Criteria {
    /// From the design's evaluations, their weights (which sum to one) and the mode of `θ`.
    ///
    /// Cost: 9 evaluations of the likelihood for each row and each design point (two closed forms where all is Gaussian), and 25 of its
    /// distribution function for each row.
    ///
    /// # Errors
    /// Those of the likelihood.
    pub fn compute(
        model: &LatentGaussianModel,
        executor: &dyn Executor,
        (points, weights): (&[PointEvaluation], &[f64]),
        mode: &[f64],
    ) -> Result<Self, IntegrationError> {
        let used = weighty(points, weights);
        let rule = Rule::new()?;
        let mut chunks: Vec<(usize, Range<usize>)> = Vec::new();
        for k in 0..model.observations().len() {
            let m = model.observation_rows(k).len();
            chunks.extend((0..m).step_by(ROWS).map(|start| (k, start..m.min(start + ROWS))));
        }
        let mut rows = Vec::with_capacity(model.rows());
        for sums in map(executor, chunks.len(), |c| chunk_sums(model, &used, &rule, chunks[c].clone())) {
            rows.extend(sums?);
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
            criteria.pit[i] = row.pit / row.pit_weight;
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

/// A point of the design.
struct Used<'p> {
    point: &'p PointEvaluation,
    /// Their sum is one.
    weight: f64,
    for_pit: bool,
}

/// The points that carry all but [`NEGLIGIBLE_WEIGHT`], in the order of the design.
fn weighty<'p>(points: &'p [PointEvaluation], weights: &[f64]) -> Vec<Used<'p>> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    let (mut kept, mut total) = (Vec::new(), 0.0);
    for k in order {
        if total >= 1.0 - NEGLIGIBLE_WEIGHT {
            break;
        }
        kept.push((k, total < 1.0 - NEGLIGIBLE_FOR_PIT));
        total += weights[k];
    }
    kept.sort_unstable();
    let used = |(k, for_pit): (usize, bool)| Used { point: &points[k], weight: weights[k] / total, for_pit };
    kept.into_iter().map(used).collect()
}

/// The sums over all design points of some rows of block `k`.
fn chunk_sums(
    model: &LatentGaussianModel,
    points: &[Used<'_>],
    rule: &Rule,
    (k, range): (usize, Range<usize>),
) -> Result<Vec<Row>, IntegrationError> {
    let likelihood = &model.observations()[k].likelihood;
    let mut rows = vec![Row::default(); range.len()];
    for (row, i) in rows.iter_mut().zip(range.clone()) {
        row.observed = likelihood.is_observed(i);
    }
    let block = model.observation_rows(k);
    let collapsed = likelihood.hyperparameters().is_empty();
    let mut nodes = Nodes::new(likelihood.as_ref(), range.len());
    let mut part = rows.clone();
    for &Used { point, weight, for_pit } in points {
        let theta = model.owner_theta(Owner::Likelihood(k), &point.approximation.theta);
        let own = block.start + range.start..block.start + range.end;
        let (moments, cavities) = (&point.moments.predictors[own.clone()], &point.moments.cavities[own]);
        part.iter_mut().for_each(|row| *row = Row::default());
        let exact =
            model.is_gaussian() && closed_forms(likelihood.as_ref(), &theta, &range, (moments, cavities), &mut part);
        if !exact {
            nodes.integrate(likelihood.as_ref(), &theta, rule, (&range, moments, cavities), &mut part)?;
        }
        for (row, i) in range.clone().enumerate() {
            let cavity = &cavities[row];
            let known = !collapsed && for_pit && cavity.variance.is_finite();
            let pit = known.then(|| leave_one_out_pit(likelihood.as_ref(), &theta, i, cavity, rule));
            rows[row].add(&part[row], weight, (moments[row].mean, cavity, pit));
        }
    }
    if collapsed {
        for (row, i) in rows.iter_mut().zip(range).filter(|(row, _)| row.observed) {
            let cumulative = |eta: f64| likelihood.cumulative(&[], i, eta).unwrap_or(f64::NAN);
            (row.pit, row.pit_weight) = (row.collapsed_pit(&rule.wide, cumulative), 1.0);
        }
    }
    Ok(rows)
}

/// Buffers of the quadrature over the predictors of some rows.
struct Nodes {
    gaussians: SkewedGaussians,
    densities: Vec<Predictor>,
    eta: Vec<f64>,
    likelihoods: Vec<f64>,
    /// Likelihood times the cavity's density over the row's own.
    without: Vec<f64>,
    out: Derivatives,
}

impl Nodes {
    fn new(likelihood: &dyn Likelihood, rows: usize) -> Self {
        let hyperparameters = gmrf::latent::hyperparameter_count(likelihood.hyperparameters());
        let out = Derivatives::zeros(rows, hyperparameters);
        let zeros = vec![0.0; rows];
        Self {
            gaussians: SkewedGaussians::default(),
            densities: Vec::with_capacity(rows),
            eta: zeros.clone(),
            likelihoods: zeros.clone(),
            without: zeros,
            out,
        }
    }

    /// Adds the integrals of one design point to `part`: exponentials are taken of all rows together.
    fn integrate(
        &mut self,
        likelihood: &dyn Likelihood,
        theta: &[f64],
        rule: &Rule,
        (range, moments, cavities): (&Range<usize>, &[Moment], &[Cavity]),
        part: &mut [Row],
    ) -> Result<(), IntegrationError> {
        self.densities.clear();
        let own = self.gaussians.of(moments.iter());
        self.densities.extend(own.zip(cavities).map(|(own, cavity)| Predictor::new(own, cavity)));
        let rows = self.densities.len();
        for (&z, w) in rule.z.iter().zip(&rule.weights) {
            for (eta, density) in self.eta.iter_mut().zip(&self.densities) {
                *eta = density.own.exponent_at(z);
            }
            exp_in_place(&mut self.eta);
            for (eta, density) in self.eta.iter_mut().zip(&self.densities) {
                *eta = density.own.at_exponential(*eta, z);
            }
            likelihood.evaluate(theta, range.clone(), &self.eta, Order::Value, &mut self.out)?;
            self.likelihoods.copy_from_slice(&self.out.value[..rows]);
            for (k, density) in self.densities.iter().enumerate() {
                self.without[k] = self.out.value[k] + density.ln_cavity_over_own(self.eta[k], z);
            }
            exp_in_place(&mut self.likelihoods);
            exp_in_place(&mut self.without);
            for (k, part) in part.iter_mut().enumerate() {
                part.add_node(*w, self.out.value[k], self.likelihoods[k], self.without[k]);
            }
        }
        Ok(())
    }
}

/// Fills `part` from closed forms where the likelihood has them for every observed row of `range`.
fn closed_forms(
    likelihood: &dyn Likelihood,
    theta: &[f64],
    range: &Range<usize>,
    (moments, cavities): (&[Moment], &[Cavity]),
    part: &mut [Row],
) -> bool {
    for (((part, i), moment), cavity) in part.iter_mut().zip(range.clone()).zip(moments).zip(cavities) {
        if !likelihood.is_observed(i) {
            continue;
        }
        let Some(own) = likelihood.over_gaussian(theta, i, moment.mean, moment.variance) else { return false };
        part.density = own.density;
        part.log_density = own.log_density;
        part.log_density_squared = own.log_density_squared;
        let without = likelihood.over_gaussian(theta, i, cavity.mean, cavity.variance);
        part.inverse_density = without.map_or(0.0, |without| without.density);
    }
    true
}

/// `P(Y ≤ y)` of one row over its cavity.
fn leave_one_out_pit(likelihood: &dyn Likelihood, theta: &[f64], row: usize, cavity: &Cavity, rule: &Rule) -> f64 {
    if let Some(closed) = likelihood.cumulative_over_gaussian(theta, row, cavity.mean, cavity.variance) {
        return closed;
    }
    let sd = cavity.variance.sqrt();
    rule.of_monotone(|z| likelihood.cumulative(theta, row, cavity.mean + sd * z).unwrap_or(f64::NAN))
}

/// A row's predictor at one design point: its own conditional density, and the cavity's.
struct Predictor {
    own: SkewedGaussian,
    ln_scale: f64,
    cavity: Cavity,
    ln_cavity: f64,
}

impl Predictor {
    fn new(own: SkewedGaussian, cavity: &Cavity) -> Self {
        let ln_cavity = -0.5 * (2.0 * std::f64::consts::PI * cavity.variance).ln();
        Self { own, ln_scale: own.ln_scale(), cavity: *cavity, ln_cavity }
    }

    /// Logarithm of the cavity's density over the row's own at `eta`, the value of standard normal `z`; `−∞` where there is no cavity.
    fn ln_cavity_over_own(&self, eta: f64, z: f64) -> f64 {
        let u = eta - self.cavity.mean;
        self.ln_cavity - 0.5 * u * u / self.cavity.variance - self.own.ln_pdf_at(z, self.ln_scale)
    }
}

impl Row {
    /// Adds a node of the rule: its weight, the row's log-density, its density, and that times the cavity's density over its own.
    fn add_node(&mut self, w: f64, value: f64, likelihood: f64, without: f64) {
        self.density += w * likelihood;
        // a value of −∞ has no mass under the exact posterior
        self.log_density += w * value.max(-1e300);
        self.log_density_squared += w * value.max(-1e150).powi(2);
        // dη is that of the node's own density
        self.inverse_density += w * without;
    }

    /// Adds the integrals of one design point.
    fn add(&mut self, part: &Self, weight: f64, (mean, cavity, pit): (f64, &Cavity, Option<f64>)) {
        self.predictor += weight * mean;
        if !self.observed {
            return;
        }
        self.density += weight * part.density;
        self.log_density += weight * part.log_density;
        self.log_density_squared += weight * part.log_density_squared;
        let without = part.inverse_density;
        if !cavity.variance.is_finite() || without.is_nan() || without <= 0.0 {
            self.failed = true;
            return;
        }
        let inverse = weight / without;
        if self.inverse_density == 0.0 {
            self.origin = cavity.mean;
        }
        let moved = cavity.mean - self.origin;
        self.inverse_density += inverse;
        self.first += inverse * moved;
        self.second += inverse * (cavity.variance + moved * moved);
        if let Some(pit) = pit {
            self.pit += inverse * pit;
            self.pit_weight += inverse;
        }
    }

    /// The distribution function averaged over the Gaussian with the moments of the cavities' mixture.
    fn collapsed_pit(&self, wide: &[(f64, f64)], cumulative: impl Fn(f64) -> f64) -> f64 {
        let moved = self.first / self.inverse_density;
        let sd = (self.second / self.inverse_density - moved * moved).max(0.0).sqrt();
        if !sd.is_finite() {
            return f64::NAN;
        }
        wide.iter().map(|(z, w)| w * cumulative(self.origin + moved + sd * z)).sum()
    }
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
