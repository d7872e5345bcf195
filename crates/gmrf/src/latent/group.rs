//! Dependence between the levels of a group, without a precision of its own.
//!
//! Exchangeable levels with correlation `ρ`, `θ = log((1+ρ(m−1))/(1−ρ))`: `Q = a(I − J/m) + b J/m` with `J` all ones,
//! `a = 1/(1−ρ) = (e^θ + m − 1)/m`, `b = 1/(1+ρ(m−1)) = (1 + (m−1)e^{−θ})/m`.

use std::sync::Arc;

use super::LogDeterminant;
use super::ar1::{ar1_log_determinant, ar1_structures};
use super::random_walk::{RandomWalk, RandomWalkOptions, RandomWalkOrder};
use super::structure::{StructuredPrecision, expect_single};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::hyperparameter::{Hyperparameter, HyperparameterBlock, Transform};
use crate::pattern::SparsityPattern;
use crate::prior::Prior;
use crate::scaling::structure_constants;

/// The precision between the `m` levels of a group: a correlation, or a scaled intrinsic structure.
#[derive(Debug, Clone)]
pub struct GroupModel {
    kind: Kind,
    precision: StructuredPrecision,
    hyperparameters: Vec<HyperparameterBlock>,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Exchangeable,
    Ar1,
    Structure { log_determinant: f64 },
}

impl GroupModel {
    /// `m` independent levels.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for no level.
    pub fn iid(m: usize) -> Result<Self, GmrfError> {
        expect_levels(m, 1)?;
        let identity = (0..m).map(|i| (i, i, 1.0)).collect();
        Ok(Self::proper(m, Kind::Structure { log_determinant: 0.0 }, identity_form(m, identity)?, Vec::new()))
    }

    /// `m ≥ 2` exchangeable levels; the block is of `log((1+ρ(m−1))/(1−ρ))`, see [`Transform::Exchangeable`].
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for fewer levels or a block that has not one hyperparameter.
    pub fn exchangeable(m: usize, correlation: HyperparameterBlock) -> Result<Self, GmrfError> {
        expect_levels(m, 2)?;
        expect_single("group", &correlation)?;
        let mean = 1.0 / m as f64;
        let pairs = |on: f64, off: f64| {
            (0..m).flat_map(move |i| (0..=i).map(move |j| (i, j, if i == j { on } else { off }))).collect()
        };
        let form = StructuredPrecision::from_entries(m, &[pairs(1.0 - mean, -mean), pairs(mean, mean)])?;
        Ok(Self::proper(m, Kind::Exchangeable, form, vec![correlation]))
    }

    /// `m` levels of an autoregression with unit variances; the block is of `log((1+ρ)/(1−ρ))`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for no level or a block that has not one hyperparameter.
    pub fn ar1(m: usize, correlation: HyperparameterBlock) -> Result<Self, GmrfError> {
        expect_levels(m, 1)?;
        expect_single("group", &correlation)?;
        Ok(Self::proper(m, Kind::Ar1, ar1_structures(m)?, vec![correlation]))
    }

    /// `m` levels of a scaled random walk that sums to zero over the levels; the trend of order two stays free.
    ///
    /// # Errors
    /// As [`RandomWalk::regular`].
    pub fn random_walk(order: RandomWalkOrder, m: usize, cyclic: bool) -> Result<Self, GmrfError> {
        use super::LatentModel;
        let options = RandomWalkOptions { cyclic, scale_model: true, sum_to_zero: true };
        let unused =
            HyperparameterBlock::single(Hyperparameter::new("precision", Transform::Exp, 0.0), Arc::new(Fixed));
        let walk = RandomWalk::regular(order, m, options, unused)?;
        let log_determinant = walk.log_determinant(&[0.0])?.value;
        Ok(Self {
            kind: Kind::Structure { log_determinant },
            precision: StructuredPrecision::new(walk.pattern().clone(), vec![walk.structure().to_vec()])?,
            hyperparameters: Vec::new(),
            constraints: walk.constraints().clone(),
            null_space: walk.null_space().clone(),
        })
    }

    /// A given structure matrix between the levels, such as a scaled besag one; its null space, spanned by the rows of
    /// `null_space`, is constrained to zero. The matrix is taken as it is, not scaled.
    ///
    /// # Errors
    /// As [`structure_constants`].
    pub fn structured(
        pattern: &Arc<SparsityPattern>,
        values: &[f64],
        null_space: &LinearConstraints,
    ) -> Result<Self, GmrfError> {
        expect_levels(pattern.order(), 1)?;
        let constants = structure_constants(pattern, values, null_space)?;
        Ok(Self {
            kind: Kind::Structure { log_determinant: constants.log_determinant },
            precision: StructuredPrecision::new(pattern.clone(), vec![values.to_vec()])?,
            hyperparameters: Vec::new(),
            constraints: null_space.homogeneous(),
            null_space: LinearConstraints::none(pattern.order()),
        })
    }

    fn proper(m: usize, kind: Kind, precision: StructuredPrecision, hyperparameters: Vec<HyperparameterBlock>) -> Self {
        let none = LinearConstraints::none(m);
        Self { kind, precision, hyperparameters, constraints: none.clone(), null_space: none }
    }

    /// No block, or the one of the correlation.
    pub fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    /// The pattern between the levels, of order `m`.
    pub fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    pub(super) fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    pub(super) fn null_space(&self) -> &LinearConstraints {
        &self.null_space
    }

    /// The precision between the levels, pattern order; `theta` has the length of the hyperparameters.
    pub(super) fn correlation_precision(&self, theta: &[f64]) -> Result<Vec<f64>, GmrfError> {
        match self.kind {
            Kind::Exchangeable => {
                let (a, b) = self.exchangeable_eigenvalues(theta[0]);
                self.sum(theta, &[a, b])
            }
            Kind::Ar1 => self.sum(theta, &[1.0, theta[0].cosh(), theta[0].sinh()]),
            Kind::Structure { .. } => Ok(self.precision.structure(0).to_vec()),
        }
    }

    /// Its derivative in the one hyperparameter.
    pub(super) fn correlation_precision_derivative(&self, theta: &[f64]) -> Result<Vec<f64>, GmrfError> {
        match self.kind {
            Kind::Exchangeable => {
                let m = self.levels();
                self.sum(theta, &[theta[0].exp() / m, -(m - 1.0) * (-theta[0]).exp() / m])
            }
            Kind::Ar1 => self.sum(theta, &[0.0, theta[0].sinh(), theta[0].cosh()]),
            Kind::Structure { .. } => Ok(vec![0.0; self.pattern().nnz()]),
        }
    }

    /// Over the levels without constraints and null space.
    pub(super) fn log_determinant(&self, theta: &[f64]) -> LogDeterminant {
        let rank = self.pattern().order() - self.constraints.len() - self.null_space.len();
        let (value, gradient) = match self.kind {
            Kind::Exchangeable => {
                let m = self.levels();
                let (a, b) = self.exchangeable_eigenvalues(theta[0]);
                let slope = (m - 1.0) / m * (theta[0].exp() / a - (-theta[0]).exp() / b);
                ((m - 1.0) * a.ln() + b.ln(), vec![slope])
            }
            Kind::Ar1 => {
                let (value, slope) = ar1_log_determinant(self.pattern().order(), theta[0]);
                (value, vec![slope])
            }
            Kind::Structure { log_determinant } => (log_determinant, Vec::new()),
        };
        LogDeterminant { value, gradient, rank }
    }

    fn levels(&self) -> f64 {
        self.pattern().order() as f64
    }

    fn exchangeable_eigenvalues(&self, theta: f64) -> (f64, f64) {
        let m = self.levels();
        ((theta.exp() + m - 1.0) / m, (1.0 + (m - 1.0) * (-theta).exp()) / m)
    }

    fn sum(&self, theta: &[f64], coefficients: &[f64]) -> Result<Vec<f64>, GmrfError> {
        let mut values = vec![0.0; self.pattern().nnz()];
        self.precision.fill("group", theta, coefficients, &mut values)?;
        Ok(values)
    }
}

fn identity_form(m: usize, entries: Vec<(usize, usize, f64)>) -> Result<StructuredPrecision, GmrfError> {
    StructuredPrecision::from_entries(m, &[entries])
}

fn expect_levels(m: usize, least: usize) -> Result<(), GmrfError> {
    if m >= least {
        return Ok(());
    }
    Err(GmrfError::InvalidModel { model: "group", reason: format!("{m} levels, at least {least} are needed") })
}

/// Stands for the prior of a precision that is held at one.
#[derive(Debug)]
struct Fixed;

impl Prior for Fixed {
    fn log_density(&self, _theta: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        0.0
    }

    fn is_proper(&self) -> bool {
        false
    }

    fn description(&self) -> String {
        "fixed".into()
    }
}
