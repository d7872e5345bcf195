//! Moments of every node and predictor given `θ`, and the second-order term of `log p̃(y|θ)`.
//!
//! With `v = diag(AΣAᵀ)`, `g = ½Aᵀ(ℓ‴∘v)`, `w = Σg` and `S = AΣAᵀ` (Shun and McCullagh 1995; Tierney and Kadane 1986):
//! `E[x|θ,y] ≈ x* + w`, `κ₃(x_j) ≈ Σ_m ℓ‴_m (ΣAᵀ)³_jm`, and
//! `log Z ≈ Laplace + ⅛ Σ ℓ⁗_m v_m² + ½ gᵀw + (1/12) Σ_mk ℓ‴_m ℓ‴_k S³_mk`.

use super::cumulants::ThirdCumulants;
use super::nearby;
use super::one_loop::{self, VarianceTerms};
use crate::approximation::Approximation;
use crate::error::LaplaceError;
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// The second-order terms of `log p̃(y|θ)`, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SecondOrder {
    /// `⅛ Σ ℓ⁗ v²`.
    pub quartic: f64,
    /// `⅛ (ℓ‴∘v)ᵀ S (ℓ‴∘v) = ½ gᵀw`.
    pub cubic_shift: f64,
    /// `(1/12) Σ ℓ‴_m ℓ‴_k S_mk³`.
    pub cubic_pairs: f64,
    /// Its diagonal, `(1/12) Σ ℓ‴_m² v_m³`.
    pub cubic_diagonal: f64,
    /// What of `cubic_pairs` the approximation itself holds already: the diagonal for expectation propagation, else nothing.
    pub cubic_counted: f64,
    /// `Σ W v`, the effective number of parameters.
    pub effective_parameters: f64,
}

/// The expansion is trusted while its terms together stay below this share of a nat for each effective parameter.
///
/// On Bernoulli clusters of seven, where it removes nearly all of the bias, the share is about 0.1; on the toenail data, where
/// the terms pass 100 nats and the expansion fails, it is beyond 0.3.
const TRUSTED_SHARE: f64 = 0.2;

impl SecondOrder {
    /// The sum of the terms.
    pub fn total(&self) -> f64 {
        self.quartic + self.cubic_shift + self.cubic_pairs - self.cubic_counted
    }

    /// Whether the terms are small against one nat per effective parameter, so that the expansion may be used.
    pub fn is_small(&self) -> bool {
        self.share() < TRUSTED_SHARE
    }

    /// The largest term in nats for each effective parameter.
    pub fn share(&self) -> f64 {
        let pairs = (self.cubic_pairs - self.cubic_counted).abs();
        let largest = self.quartic.abs().max(self.cubic_shift.abs()).max(pairs);
        if largest == 0.0 { 0.0 } else { largest / self.effective_parameters.max(1.0) }
    }
}

/// Mean, variance and skewness of one node or predictor given `θ`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The second-order mean.
    pub mean: f64,
    /// The variance, that of the Gaussian approximation with its one-loop correction.
    pub variance: f64,
    /// The third cumulant over the standard deviation cubed.
    pub skewness: f64,
}

/// The Gaussian of a predictor without its own observation: the posterior's Gaussian with the row's quadratic expansion
/// taken out (Vehtari et al. 2016). An infinite variance says that nothing but the row itself informs the predictor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cavity {
    /// Its mean.
    pub mean: f64,
    /// Its variance, infinite where the row alone fixes the predictor.
    pub variance: f64,
}

/// Moments of the latent field given `θ`.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Of every node, length `n`.
    pub nodes: Vec<Moment>,
    /// Of every linear predictor, offset included, length `m`.
    pub predictors: Vec<Moment>,
    /// Of every linear predictor without its own row, length `m`.
    pub cavities: Vec<Cavity>,
    /// Of `log p̃(y|θ)`.
    pub second_order: SecondOrder,
    /// Whether every third-order sum is complete; otherwise sums run over neighbours in the pattern of `H` only.
    pub third_order_exact: bool,
    /// The third-order part where it was computed here, to interpolate it.
    pub third_order: Option<ThirdOrder>,
}

/// The third-order part of the correction: the sums over pairs of rows, which cost more than all the rest together but vary
/// slowly with `θ`.
#[derive(Debug, Clone, PartialEq)]
pub struct ThirdOrder {
    /// Skewness of every node, length `n`.
    pub nodes: Vec<f64>,
    /// Skewness of every linear predictor, length `m`.
    pub predictors: Vec<f64>,
    /// What the pairs of rows add to the mean of every node around expectation propagation, in standard deviations, length `n`; empty
    /// around Laplace's approximation.
    pub node_means: Vec<f64>,
    /// What one loop adds to the variance of every node, relative to it, length `n`; empty where it would take too much memory.
    pub node_variances: Vec<f64>,
    /// The same of every linear predictor, length `m` or empty.
    pub predictor_variances: Vec<f64>,
    /// `Σ ℓ‴_m ℓ‴_k S_mk³` over its diagonal `Σ ℓ‴_m² v_m³`, which is known at every `θ`.
    pub pairs_over_diagonal: f64,
    /// Whether every sum is complete.
    pub exact: bool,
}

/// What corrects the Gaussian approximation at the mode.
#[derive(Debug, Clone, PartialEq)]
pub enum Correction {
    /// Nothing: means at the mode, no skewness.
    None,
    /// Every term at this `θ`.
    Complete,
    /// Every term at this `θ`, third-order sums over neighbours alone: what [`Complete`](Self::Complete) is in models too large for all pairs.
    Nearby,
    /// First- and second-order terms at this `θ`, the third-order part from elsewhere, such as interpolated in `θ`.
    Given(ThirdOrder),
}

impl Moments {
    /// Reads the moments off the workspace in which `approximation` was evaluated last.
    ///
    /// Cost of a complete correction: a solve for each row up to about 4·10⁸ operations, beyond it a pass over neighbouring rows;
    /// of any other: a pass over nodes and rows.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`] if the workspace belongs to another model, or what is given does.
    pub fn read(
        model: &LatentGaussianModel,
        approximation: &Approximation,
        workspace: &mut Workspace,
        correction: &Correction,
    ) -> Result<Self, LaplaceError> {
        Self::around(model, &approximation.mode, workspace, correction)
    }

    /// Operations of a complete correction with exact sums over all pairs of rows.
    pub fn complete_work(model: &LatentGaussianModel) -> f64 {
        super::cumulants::exact_work(model)
    }

    /// Those of the Gaussian with this mean whose selected inverse and predictors the workspace holds.
    pub(crate) fn of_gaussian(
        model: &LatentGaussianModel,
        mean: &[f64],
        workspace: &mut Workspace,
    ) -> Result<Self, LaplaceError> {
        Self::around(model, mean, workspace, &Correction::None)
    }

    fn around(
        model: &LatentGaussianModel,
        mode: &[f64],
        workspace: &mut Workspace,
        correction: &Correction,
    ) -> Result<Self, LaplaceError> {
        let (n, m) = (model.nodes(), model.rows());
        crate::model::expect_length("workspace", n, workspace.x.len())?;
        let curved = *correction != Correction::None && !model.is_gaussian();
        let mut variances = vec![0.0; n];
        workspace.inverse.fill_variances(&mut variances)?;
        let complete = match correction {
            Correction::Complete if curved => Some(ThirdCumulants::compute(model, workspace)?),
            Correction::Nearby if curved => Some(nearby::third_cumulants(model, workspace)),
            _ => None,
        };
        let complete = complete.map(|sums| standardised(model, &sums, workspace, &variances)).transpose()?;
        let third = match correction {
            Correction::Given(third) if curved => {
                crate::model::expect_length("skewness of nodes", n, third.nodes.len())?;
                crate::model::expect_length("skewness of predictors", m, third.predictors.len())?;
                Some(third)
            }
            _ => complete.as_ref(),
        };
        let shift = |j: usize| {
            let pairs = third.and_then(|third| third.node_means.get(j)).map_or(0.0, |mean| mean * variances[j].sqrt());
            pairs + if curved { workspace.mean_shift[j] } else { 0.0 }
        };
        let nodes = (0..n)
            .map(|j| {
                let (skewness, relative) = third.map_or((0.0, 0.0), |third| third.node(j));
                Moment::corrected(mode[j] + shift(j), variances[j], skewness, relative)
            })
            .collect();
        let predictors = (0..m)
            .map(|i| {
                let (columns, values) = workspace.design.row(i);
                let moved: f64 = columns.iter().zip(values).map(|(&j, a)| a * shift(j)).sum();
                let (skewness, relative) = third.map_or((0.0, 0.0), |third| third.predictor(i));
                Moment::corrected(workspace.eta[i] + moved, workspace.predictor_variance[i], skewness, relative)
            })
            .collect();
        let second_order = second_order(workspace, curved, third.map_or(0.0, |third| third.pairs_over_diagonal));
        let cavities = (0..m).map(|i| cavity(workspace, i)).collect();
        let third_order_exact = third.is_none_or(|third| third.exact);
        Ok(Self { nodes, predictors, cavities, second_order, third_order_exact, third_order: complete })
    }
}

impl Moment {
    /// From the Gaussian's variance, the third cumulant over its standard deviation cubed, and the relative one-loop correction.
    fn corrected(mean: f64, variance: f64, skewness: f64, relative: f64) -> Self {
        let factor = one_loop::factor(relative);
        Self { mean, variance: variance.max(0.0) * factor, skewness: skewness / (factor * factor.sqrt()) }
    }
}

impl ThirdOrder {
    fn node(&self, j: usize) -> (f64, f64) {
        (self.nodes[j], self.node_variances.get(j).copied().unwrap_or(0.0))
    }

    fn predictor(&self, i: usize) -> (f64, f64) {
        (self.predictors[i], self.predictor_variances.get(i).copied().unwrap_or(0.0))
    }
}

/// Share of the posterior precision that the other rows and the prior must hold for a cavity to exist.
const LEAST_SHARE: f64 = 1e-8;

fn cavity(workspace: &Workspace, i: usize) -> Cavity {
    let (mode, variance) = (workspace.eta[i], workspace.predictor_variance[i]);
    let (slope, weight) = (workspace.first[i], -workspace.second[i]);
    let share = 1.0 - weight * variance;
    if share < LEAST_SHARE {
        return Cavity { mean: mode, variance: f64::INFINITY };
    }
    // at the mode, precision times mean of the rest: η/v − (ℓ′ + Wη)
    let variance_without = variance / share;
    Cavity { mean: mode - variance_without * slope, variance: variance_without }
}

/// The second-order terms at the mode that the workspace holds; `pairs` is `cubic_pairs` over `cubic_diagonal`.
pub(crate) fn second_order(workspace: &mut Workspace, curved: bool, pairs: f64) -> SecondOrder {
    let rows = workspace.second.iter().zip(&workspace.predictor_variance);
    let effective_parameters = rows.map(|(l2, v)| -l2 * v).sum();
    let mut out = SecondOrder {
        quartic: 0.0,
        cubic_shift: 0.0,
        cubic_pairs: 0.0,
        cubic_diagonal: 0.0,
        cubic_counted: 0.0,
        effective_parameters,
    };
    if curved {
        out.cubic_diagonal = diagonal(workspace) / 12.0;
        out.cubic_pairs = pairs * out.cubic_diagonal;
        // the tilted distributions hold every row's own cumulants
        out.cubic_counted = if workspace.propagated { out.cubic_diagonal } else { 0.0 };
        if workspace.propagated {
            return out;
        }
        let terms = workspace.fourth.iter().zip(&workspace.predictor_variance);
        out.quartic = terms.map(|(l4, v)| l4 * v * v).sum::<f64>() / 8.0;
        workspace.design.multiply(&workspace.mean_shift, &mut workspace.row_buffer);
        let terms = workspace.third.iter().zip(&workspace.predictor_variance).zip(&workspace.row_buffer);
        out.cubic_shift = terms.map(|((l3, v), moved)| l3 * v * moved).sum::<f64>() / 4.0;
    }
    out
}

/// `Σ ℓ‴_m² v_m³`.
fn diagonal(workspace: &Workspace) -> f64 {
    workspace.third.iter().zip(&workspace.predictor_variance).map(|(l3, v)| l3 * l3 * v * v * v).sum()
}

fn standardised(
    model: &LatentGaussianModel,
    cumulants: &ThirdCumulants,
    workspace: &mut Workspace,
    variances: &[f64],
) -> Result<ThirdOrder, LaplaceError> {
    let node_means = if workspace.propagated { cumulants.node_means(model, workspace, variances)? } else { Vec::new() };
    let workspace = &*workspace;
    let skewness = |(third, variance): (&f64, &f64)| {
        let cubed = variance * variance.sqrt();
        if cubed > 0.0 { third / cubed } else { 0.0 }
    };
    let relative = |of: &dyn Fn(&VarianceTerms) -> &Vec<f64>, variances: &[f64]| {
        let terms = cumulants.variances.as_ref().map_or(&[][..], |terms| of(terms));
        let ratio = |(term, variance): (&f64, &f64)| if *variance > 0.0 { term / variance } else { 0.0 };
        terms.iter().zip(variances).map(ratio).collect()
    };
    let diagonal = diagonal(workspace);
    Ok(ThirdOrder {
        nodes: cumulants.nodes.iter().zip(variances).map(skewness).collect(),
        predictors: cumulants.predictors.iter().zip(&workspace.predictor_variance).map(skewness).collect(),
        node_means,
        node_variances: relative(&|terms| &terms.nodes, variances),
        predictor_variances: relative(&|terms| &terms.predictors, &workspace.predictor_variance),
        pairs_over_diagonal: if diagonal > 0.0 { cumulants.pairs / diagonal } else { 0.0 },
        exact: cumulants.exact,
    })
}
