//! Expectation propagation on the sparse factor and selected inverse of the Laplace approximation (Minka 2001; Cseke and Heskes
//! 2011).
//!
//! Gaussian sites `exp(νᵢζᵢ − ½Tᵢζᵢ²)` in `ζ = Ax` stand for the likelihood. At the fixed point every row's Gaussian has the mean
//! and the variance of its tilted distribution, and
//! `log Z = ½ log|VᵀQV| + … − ½ (x̄−μ)ᵀQ(x̄−μ) − ½ log|VᵀHV| + Σ log E_q e^h`,
//! every constant included, is stationary in the sites: its gradient in `θ` needs no implicit term.

mod acceleration;
mod tilted;

use std::f64::consts::PI;

use gmrf::GmrfError;

use crate::approximation::{Approximation, OwnerThetas, PriorTerms};
use crate::error::LaplaceError;
use crate::model::LatentGaussianModel;
use crate::newton::NewtonOptions;
use crate::workspace::Workspace;

use acceleration::Acceleration;
pub(crate) use tilted::Quadrature;
use tilted::{Site, Tilted, larger};

/// When the iteration stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PropagationOptions {
    /// Stops when no row's Gaussian is further from its tilted distribution, mean in standard deviations and relative variance.
    /// `log Z` is stationary at the fixed point: its error is of the square.
    pub tolerance: f64,
    /// Iterations before giving up, each a factor, a selected inverse and 45 evaluations of the likelihood for each row.
    pub max_iterations: usize,
}

impl Default for PropagationOptions {
    fn default() -> Self {
        Self { tolerance: 1e-6, max_iterations: 200 }
    }
}

/// The Gaussian sites of all rows, in `ζ = Ax` without offset.
#[derive(Debug, Clone, PartialEq)]
pub struct Sites {
    /// `T`, length `m`; may be negative where a likelihood is not log-concave.
    pub precision: Vec<f64>,
    /// `ν`, length `m`.
    pub shift: Vec<f64>,
}

/// Halvings of steps that leave no proper Gaussian, in all.
const MOST_RETREATS: usize = 30;

/// The sites in progress.
struct Iteration {
    sites: Sites,
    /// The last sites with a proper Gaussian.
    proper: Sites,
    tilted: Vec<Tilted>,
    acceleration: Acceleration,
    retreats: usize,
    distance: f64,
}

impl Approximation {
    /// Evaluates `log p̃(θ, y)` and its gradient by expectation propagation, from the sites `start` of a neighbouring `θ` or from
    /// those of the Laplace approximation found from `mode`.
    ///
    /// What stands in the workspace serves [`Moments`](crate::Moments) as after [`evaluate`](Self::evaluate), with the third
    /// cumulants of the tilted distributions in place of `ℓ‴`; `mode` of the result is the mean of the Gaussian. Cost: some 10
    /// iterations (a factor, a selected inverse and 45 evaluations of the likelihood for each row).
    ///
    /// # Errors
    /// Those of [`evaluate`](Self::evaluate), and [`LaplaceError::NoFixedPoint`].
    pub fn propagate(
        model: &LatentGaussianModel,
        theta: &[f64],
        (mode, start): (Option<&[f64]>, Option<&Sites>),
        workspace: &mut Workspace,
        (newton, options): (&NewtonOptions, &PropagationOptions),
    ) -> Result<Self, LaplaceError> {
        let mut counts = (0, 0);
        let sites = match start {
            Some(sites) => {
                crate::model::expect_length("sites", model.rows(), sites.precision.len())?;
                crate::model::expect_length("sites", model.rows(), sites.shift.len())?;
                sites.clone()
            }
            None => {
                let laplace = Self::evaluate(model, theta, mode, workspace, newton)?;
                counts = (laplace.newton_steps, laplace.factorisations);
                workspace.laplace_sites()
            }
        };
        let owners = OwnerThetas::new(model, theta);
        let prior = workspace.fill_prior(model, &owners, theta)?;
        let mut iteration = Iteration {
            proper: sites.clone(),
            sites,
            tilted: vec![Tilted::UNTOUCHED; model.rows()],
            acceleration: Acceleration::default(),
            retreats: 0,
            distance: f64::INFINITY,
        };
        let iterations = workspace.find_fixed_point(model, theta, &owners, &mut iteration, options)?;
        workspace.store_tilted(model, &owners, &mut iteration)?;
        let Totals { log_likelihood, log_posterior, gradient } =
            workspace.totals(model, theta, (&owners, &prior), &iteration.tilted)?;
        Ok(Self {
            theta: theta.to_vec(),
            log_posterior,
            log_likelihood,
            gradient,
            mode: workspace.x.clone(),
            newton_steps: counts.0,
            factorisations: counts.1 + iterations,
            sites: Some(iteration.sites),
        })
    }
}

/// The results that a fixed point gives.
struct Totals {
    log_likelihood: f64,
    log_posterior: f64,
    gradient: Vec<f64>,
}

impl Workspace {
    /// The quadratic expansion of the likelihood at the mode that the workspace holds.
    fn laplace_sites(&self) -> Sites {
        let precision: Vec<f64> = self.second.iter().map(|l2| -l2).collect();
        let zeta = self.eta.iter().zip(self.design.offset()).map(|(eta, offset)| eta - offset);
        let shift = self.first.iter().zip(&precision).zip(zeta).map(|((l1, t), zeta)| l1 + t * zeta).collect();
        Sites { precision, shift }
    }

    fn find_fixed_point(
        &mut self,
        model: &LatentGaussianModel,
        theta: &[f64],
        owners: &OwnerThetas,
        iteration: &mut Iteration,
        options: &PropagationOptions,
    ) -> Result<usize, LaplaceError> {
        let failure = |iterations: usize, reason: String| LaplaceError::NoFixedPoint {
            theta: theta.to_vec(),
            iterations,
            reason,
        };
        for count in 1..=options.max_iterations {
            if !self.is_proper(model, theta, &iteration.sites.precision)? {
                if !iteration.retreat() {
                    return Err(failure(count, "the Gaussian approximation has no positive definite precision".into()));
                }
                continue;
            }
            self.set_mean(model, &iteration.sites)?;
            self.inverse.compute(&self.factor)?;
            self.fill_predictor_variances(model);
            self.tilt(model, owners, (&iteration.sites, &mut iteration.tilted), false)?;
            let distance = iteration.tilted.iter().map(Tilted::distance).fold(0.0, larger);
            if !distance.is_finite() {
                return Err(failure(count, "the moments of a tilted distribution are not finite".into()));
            }
            if distance < options.tolerance {
                return Ok(count);
            }
            for ((zeta, eta), offset) in self.row_buffer.iter_mut().zip(&self.eta).zip(self.design.offset()) {
                *zeta = eta - offset;
            }
            iteration.advance(distance, &self.row_buffer, &self.predictor_variance);
        }
        Err(failure(options.max_iterations, format!("a row is still {:.1e} away from it", iteration.distance)))
    }

    /// Factors `H = Q + AᵀTA`; `false` where it is not positive definite.
    pub(crate) fn is_proper(
        &mut self,
        model: &LatentGaussianModel,
        theta: &[f64],
        precision: &[f64],
    ) -> Result<bool, LaplaceError> {
        for (l2, t) in self.second.iter_mut().zip(precision) {
            *l2 = -t;
        }
        self.fill_posterior(model, false);
        match self.factor.refactor(&self.posterior) {
            Ok(()) => Ok(true),
            Err(GmrfError::NotPositiveDefinite { .. }) => Ok(false),
            Err(GmrfError::NotFinite { .. }) => {
                Err(LaplaceError::NotFinite { what: "the posterior precision".to_owned(), theta: theta.to_vec() })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// `x̄ = H⁻¹(Qμ + Aᵀν)` under the constraints.
    fn set_mean(&mut self, model: &LatentGaussianModel, sites: &Sites) -> Result<(), LaplaceError> {
        for (k, effect) in model.effects().iter().enumerate() {
            let nodes = model.effect_nodes(k);
            effect.model.pattern().multiply(&self.precision[k], &self.mean[nodes.clone()], &mut self.x[nodes])?;
        }
        self.design.add_transposed(&sites.shift, &mut self.row_sums, &mut self.x);
        self.factor.conditional_mean_in_place(&mut self.x, &mut self.solve)?;
        self.set_eta();
        Ok(())
    }

    /// The tilted moments of every row; if `last`, also their expectations of `∂ℓ/∂θ` into the derivatives.
    fn tilt(
        &mut self,
        model: &LatentGaussianModel,
        owners: &OwnerThetas,
        (sites, tilted): (&Sites, &mut [Tilted]),
        last: bool,
    ) -> Result<(), LaplaceError> {
        for (k, observations) in model.observations().iter().enumerate() {
            let rows = model.observation_rows(k);
            let offset = &self.design.offset()[rows.clone()];
            let (eta, variance) = (&self.eta[rows.clone()], &self.predictor_variance[rows.clone()]);
            let (precision, shift) = (&sites.precision[rows.clone()], &sites.shift[rows.clone()]);
            let site = |row: usize| Site {
                eta: eta[row],
                variance: variance[row],
                slope: shift[row] - precision[row] * (eta[row] - offset[row]),
                precision: precision[row],
            };
            let own = &owners.observations[k];
            let quadrature = self.quadrature[k].get_or_insert_with(|| Quadrature::new(own.len()));
            let mut slopes: Vec<Vec<f64>> = if last { vec![vec![0.0; rows.len()]; own.len()] } else { Vec::new() };
            let wanted = (!slopes.is_empty()).then_some(slopes.as_mut_slice());
            quadrature.moments(observations.likelihood.as_ref(), own, site, &mut tilted[rows], wanted)?;
            for (derivatives, slopes) in self.derivatives[k].theta.iter_mut().zip(slopes) {
                derivatives.value = slopes;
                derivatives.first.fill(0.0);
                derivatives.second.fill(0.0);
            }
        }
        Ok(())
    }

    /// What moments and gradient read: slopes and curvatures of the sites, and the tilted third cumulants.
    fn store_tilted(
        &mut self,
        model: &LatentGaussianModel,
        owners: &OwnerThetas,
        iteration: &mut Iteration,
    ) -> Result<(), LaplaceError> {
        if owners.observations.iter().any(|own| !own.is_empty()) {
            self.tilt(model, owners, (&iteration.sites, &mut iteration.tilted), true)?;
        }
        for i in 0..model.rows() {
            let zeta = self.eta[i] - self.design.offset()[i];
            self.first[i] = iteration.sites.shift[i] - iteration.sites.precision[i] * zeta;
            let (v, tilted) = (self.predictor_variance[i], &iteration.tilted[i]);
            // the vertices of an expansion whose loops at a single row are summed already: a fourth cumulant is a vertex of four
            // lines and three exchanges between vertices of three
            let vertex = |value: f64| if v > 0.0 { value } else { 0.0 };
            self.third[i] = vertex(tilted.third / (v * v.sqrt()));
            self.fourth[i] = vertex((tilted.fourth - 3.0 * tilted.third * tilted.third) / (v * v));
        }
        self.mean_shift.fill(0.0);
        self.propagated = true;
        Ok(())
    }

    fn totals(
        &mut self,
        model: &LatentGaussianModel,
        theta: &[f64],
        (owners, prior): (&OwnerThetas, &PriorTerms),
        tilted: &[Tilted],
    ) -> Result<Totals, LaplaceError> {
        let quadratic = self.prior_quadratic(model, false)?;
        let free = (model.nodes() - model.symbolic().constraints().len()) as f64;
        let log_likelihood = tilted.iter().map(|tilted| tilted.log_density).sum::<f64>() + prior.log_normaliser
            - 0.5 * quadratic
            - 0.5 * (self.factor.log_determinant() - free * (2.0 * PI).ln());
        let mut gradient = vec![0.0; model.free_count()];
        let log_posterior = log_likelihood + model.log_prior(theta, &mut gradient);
        self.add_gradient(model, owners, prior, &mut gradient)?;
        if !log_posterior.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            let what = "log p̃(θ, y) or its gradient".to_owned();
            return Err(LaplaceError::NotFinite { what, theta: theta.to_vec() });
        }
        Ok(Totals { log_likelihood, log_posterior, gradient })
    }
}

impl Iteration {
    /// Moves the sites towards what would give every row its tilted moments.
    fn advance(&mut self, distance: f64, zeta: &[f64], variance: &[f64]) {
        let m = zeta.len();
        let (mut residual, mut weights) = (vec![0.0; 2 * m], vec![0.0; 2 * m]);
        for (i, tilted) in self.tilted.iter().enumerate().filter(|(i, _)| variance[*i] > 0.0) {
            let v = variance[i];
            let precision = 1.0 / (v * tilted.variance);
            residual[i] = precision - 1.0 / v;
            residual[m + i] = (zeta[i] + v.sqrt() * tilted.mean) * precision - zeta[i] / v;
            (weights[i], weights[m + i]) = (v, v.sqrt());
        }
        let point = [self.sites.precision.as_slice(), &self.sites.shift].concat();
        // what leads away was extrapolated too boldly
        let away = distance > 2.0 * self.distance;
        self.distance = distance;
        let next = if away {
            self.acceleration.forget();
            point.iter().zip(&residual).map(|(s, f)| s + 0.5 * f).collect()
        } else {
            self.acceleration.next(&point, &residual, &weights)
        };
        self.proper.precision.copy_from_slice(&point[..m]);
        self.proper.shift.copy_from_slice(&point[m..]);
        self.sites.precision.copy_from_slice(&next[..m]);
        self.sites.shift.copy_from_slice(&next[m..]);
    }

    /// Half-way back to the last proper sites; `false` where that has been done often enough.
    fn retreat(&mut self) -> bool {
        self.acceleration.forget();
        self.retreats += 1;
        for (site, proper) in self.sites.precision.iter_mut().zip(&self.proper.precision) {
            *site = 0.5 * (*site + proper);
        }
        for (site, proper) in self.sites.shift.iter_mut().zip(&self.proper.shift) {
            *site = 0.5 * (*site + proper);
        }
        self.retreats < MOST_RETREATS
    }
}
