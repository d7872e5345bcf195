//! Fields that an unstructured covariance matrix couples: `Q = Σ⁻¹ ⊗ R`, the multivariate conditional autoregression where `R` is
//! that of a graph (Gelfand and Vounatsou 2003).

use std::sync::Arc;

use super::grouped::product;
use super::replicated::{repeated, repeated_parts};
use super::structure::expect_theta;
use super::{IidKd, LatentModel, LogDeterminant, Part, hyperparameter_count};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::hyperparameter::{Hyperparameter, HyperparameterBlock};
use crate::pattern::SparsityPattern;

/// One copy of a field for each coefficient of `between`; at every node the copies have the covariance matrix `Σ`, times what the
/// field's own variance there is. Hyperparameters of `Σ` first, those of the field behind them; the nodes of a copy stand together.
///
/// Constraints and null space are those of every copy.
#[derive(Debug, Clone)]
pub struct Coupled {
    between: IidKd,
    field: Arc<dyn LatentModel>,
    hyperparameters: Vec<HyperparameterBlock>,
    /// Hyperparameters of `Σ`.
    between_count: usize,
    pattern: Arc<SparsityPattern>,
    /// For every entry of the pattern, its places among the values of `Σ⁻¹` and of the field.
    sources: Vec<(usize, usize)>,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

impl Coupled {
    /// `between ⊗ field`; a precision that the field has of its own is to be fixed, since `Σ` holds the scale. Cost and memory: `nnz`
    /// of the product.
    ///
    /// # Errors
    /// [`GmrfError`] for patterns that do not fit.
    pub fn new(between: IidKd, field: Arc<dyn LatentModel>) -> Result<Self, GmrfError> {
        let mut hyperparameters = between.hyperparameters().to_vec();
        let between_count = hyperparameter_count(&hyperparameters);
        hyperparameters.extend(field.hyperparameters().iter().cloned());
        let (entries, sources) = product(between.pattern(), field.pattern());
        let copies = between.pattern().order();
        Ok(Self {
            pattern: Arc::new(SparsityPattern::from_entries(copies * field.pattern().order(), entries)?),
            constraints: repeated(field.constraints(), copies)?,
            null_space: repeated(field.null_space(), copies)?,
            between,
            field,
            hyperparameters,
            between_count,
            sources,
        })
    }

    fn split<'a>(&self, theta: &'a [f64], j: Option<usize>) -> Result<(&'a [f64], &'a [f64]), GmrfError> {
        expect_theta(theta, hyperparameter_count(&self.hyperparameters), j)?;
        Ok(theta.split_at(self.between_count))
    }

    /// The values of both factors, one of them perhaps differentiated.
    fn factors(&self, theta: &[f64], derivative: Option<usize>) -> Result<(Vec<f64>, Vec<f64>), GmrfError> {
        let (own, inner) = self.split(theta, derivative)?;
        let mut between = vec![0.0; self.between.pattern().nnz()];
        let mut field = vec![0.0; self.field.pattern().nnz()];
        match derivative {
            Some(j) if j < self.between_count => self.between.fill_precision_derivative(own, j, &mut between)?,
            _ => self.between.fill_precision(own, &mut between)?,
        }
        match derivative {
            Some(j) if j >= self.between_count => {
                self.field.fill_precision_derivative(inner, j - self.between_count, &mut field)?;
            }
            _ => self.field.fill_precision(inner, &mut field)?,
        }
        Ok((between, field))
    }

    fn fill(&self, (between, field): &(Vec<f64>, Vec<f64>), values: &mut [f64]) -> Result<(), GmrfError> {
        expect_length("precision values", self.pattern.nnz(), values.len())?;
        for (value, &(b, f)) in values.iter_mut().zip(&self.sources) {
            *value = between[b] * field[f];
        }
        Ok(())
    }

    fn spread_mean(&self, mean: &mut [f64], fill: impl FnOnce(&mut [f64]) -> bool) -> bool {
        let n = self.field.pattern().order();
        let (first, rest) = mean.split_at_mut(n);
        let filled = fill(first);
        if filled {
            rest.chunks_exact_mut(n.max(1)).for_each(|copy| copy.copy_from_slice(first));
        }
        filled
    }
}

impl LatentModel for Coupled {
    fn name(&self) -> &'static str {
        self.field.name()
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        self.fill(&self.factors(theta, None)?, values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        self.fill(&self.factors(theta, Some(j))?, values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        let (own, inner) = self.split(theta, None)?;
        let (between, field) = (self.between.log_determinant(own)?, self.field.log_determinant(inner)?);
        let (copies, rank) = (between.rank as f64, field.rank as f64);
        let of_between = between.gradient.iter().map(|g| g * rank);
        Ok(LogDeterminant {
            value: rank * between.value + copies * field.value,
            gradient: of_between.chain(field.gradient.iter().map(|g| g * copies)).collect(),
            rank: between.rank * field.rank,
        })
    }

    fn fill_mean(&self, theta: &[f64], mean: &mut [f64]) -> bool {
        self.spread_mean(mean, |first| self.field.fill_mean(&theta[self.between_count..], first))
    }

    fn fill_mean_derivative(&self, theta: &[f64], j: usize, mean: &mut [f64]) -> bool {
        let (own, inner) = (j.checked_sub(self.between_count), &theta[self.between_count..]);
        own.is_some_and(|j| self.spread_mean(mean, |first| self.field.fill_mean_derivative(inner, j, first)))
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.null_space
    }

    fn derived(&self) -> &[Hyperparameter] {
        self.between.derived()
    }

    fn fill_derived(&self, theta: &[f64], values: &mut [f64]) {
        self.between.fill_derived(&theta[..self.between_count], values);
    }

    fn parts(&self) -> Vec<Part> {
        repeated_parts(&self.field.parts(), self.field.pattern().order(), self.between.pattern().order())
    }
}
