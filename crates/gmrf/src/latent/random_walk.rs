//! Random walks of order one and two, regular, cyclic or at given locations.
//!
//! `Q = τR`, `xᵀRx = Σ wᵢ (Dx)ᵢ²`. With steps `δᵢ = tᵢ₊₁ − tᵢ`, order one has `(Dx)ᵢ = xᵢ₊₁ − xᵢ`, `wᵢ = 1/δᵢ`; order two
//! has the change of slope `(xᵢ₊₁ − xᵢ)/δᵢ − (xᵢ − xᵢ₋₁)/δᵢ₋₁` and `wᵢ = 2/(δᵢ₋₁ + δᵢ)`, the Galerkin form of
//! Lindgren and Rue (2008). `R` annihilates constants and, for order two on a line, linear functions of `t`.

use std::sync::Arc;

use super::structure::{StructuredPrecision, expect_single, expect_theta};
use super::{LatentModel, LogDeterminant};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::hyperparameter::HyperparameterBlock;
use crate::pattern::SparsityPattern;
use crate::scaling::structure_constants;

/// The order of a random walk: which differences are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RandomWalkOrder {
    /// First differences; the null space is the constants.
    One,
    /// Second differences; the null space is the linear functions.
    Two,
}

impl RandomWalkOrder {
    fn name(self) -> &'static str {
        match self {
            Self::One => "rw1",
            Self::Two => "rw2",
        }
    }
}

/// Choices of a random walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomWalkOptions {
    /// Closes the ring: the last node is a neighbour of the first. Only for regular locations. Default false.
    pub cyclic: bool,
    /// Multiplies `R` so that the geometric mean of the variances at `τ = 1` is one. Default false.
    pub scale_model: bool,
    /// The constraint `Σ xᵢ = 0`. Default true.
    pub sum_to_zero: bool,
}

impl Default for RandomWalkOptions {
    fn default() -> Self {
        Self { cyclic: false, scale_model: false, sum_to_zero: true }
    }
}

/// A random walk with precision `τR`, `θ = log τ`.
///
/// What the sum-to-zero constraint leaves of the null space of `R` (the centred trend of order two, and the constants
/// without the constraint) stays free.
#[derive(Debug, Clone)]
pub struct RandomWalk {
    order: RandomWalkOrder,
    hyperparameters: [HyperparameterBlock; 1],
    precision: StructuredPrecision,
    log_determinant: f64,
    rank: usize,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

impl RandomWalk {
    /// A walk on `n` equally spaced nodes one apart. `precision` is `log τ`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for too few nodes: one more than the order, on a ring at least three.
    pub fn regular(
        order: RandomWalkOrder,
        n: usize,
        options: RandomWalkOptions,
        precision: HyperparameterBlock,
    ) -> Result<Self, GmrfError> {
        let locations: Vec<f64> = (0..n).map(|i| i as f64).collect();
        Self::with_increments(order, &locations, options, precision)
    }

    /// A walk at strictly increasing `locations`, length `n`. `precision` is `log τ`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for too few nodes, for locations that do not increase, and for a cyclic walk, whose
    /// closing step the locations do not tell.
    pub fn at(
        order: RandomWalkOrder,
        locations: &[f64],
        options: RandomWalkOptions,
        precision: HyperparameterBlock,
    ) -> Result<Self, GmrfError> {
        let invalid = |reason: String| Err(GmrfError::InvalidModel { model: order.name(), reason });
        if options.cyclic {
            return invalid("a cyclic walk needs regular locations".into());
        }
        if let Some(index) = locations.iter().position(|t| !t.is_finite()) {
            return Err(GmrfError::NotFinite { what: "locations", index, value: locations[index] });
        }
        if let Some(i) = (1..locations.len()).find(|&i| locations[i] <= locations[i - 1]) {
            return invalid(format!("location {i} is not larger than the one before it: sort them, drop repeats"));
        }
        Self::with_increments(order, locations, options, precision)
    }

    fn with_increments(
        order: RandomWalkOrder,
        locations: &[f64],
        options: RandomWalkOptions,
        precision: HyperparameterBlock,
    ) -> Result<Self, GmrfError> {
        expect_single(order.name(), &precision)?;
        let n = locations.len();
        let least = if options.cyclic || order == RandomWalkOrder::Two { 3 } else { 2 };
        if n < least {
            let reason = format!("{n} nodes, at least {least} are needed");
            return Err(GmrfError::InvalidModel { model: order.name(), reason });
        }
        let increments = if options.cyclic { ring(order, n) } else { line(order, locations) };
        let entries = increments.iter().flat_map(|(weight, row)| {
            row.iter()
                .enumerate()
                .flat_map(move |(k, &(i, a))| row[..=k].iter().map(move |&(j, b)| (i, j, weight * a * b)))
        });
        let mut structure = StructuredPrecision::from_entries(n, &[entries.collect()])?;
        let constant: Vec<_> = (0..n).map(|i| (i, 1.0)).collect();
        let mut constraints = LinearConstraints::none(n);
        let mut null_space = LinearConstraints::none(n);
        if options.sum_to_zero { &mut constraints } else { &mut null_space }.push(&constant, 0.0)?;
        if order == RandomWalkOrder::Two && !options.cyclic {
            null_space.push(&centred_trend(locations), 0.0)?;
        }
        let mut all = constraints.clone();
        all.append_block(&null_space, 0)?;
        let constants = structure_constants(structure.pattern(), structure.structure(0), &all)?;
        let mut log_determinant = constants.log_determinant;
        if options.scale_model {
            let scale = constants.geometric_mean_variance;
            let scaled = structure.structure(0).iter().map(|v| scale * v).collect();
            structure = StructuredPrecision::new(structure.pattern().clone(), vec![scaled])?;
            log_determinant += constants.rank as f64 * scale.ln();
        }
        let hyperparameters = [precision];
        Ok(Self {
            order,
            hyperparameters,
            precision: structure,
            log_determinant,
            rank: constants.rank,
            constraints,
            null_space,
        })
    }

    /// The structure matrix `R`, scaled if the model is, on [`pattern`](LatentModel::pattern).
    pub fn structure(&self) -> &[f64] {
        self.precision.structure(0)
    }
}

type Increment = (f64, Vec<(usize, f64)>);

/// The weighted differences of a walk on a line.
fn line(order: RandomWalkOrder, t: &[f64]) -> Vec<Increment> {
    match order {
        RandomWalkOrder::One => {
            (1..t.len()).map(|i| (1.0 / (t[i] - t[i - 1]), vec![(i - 1, -1.0), (i, 1.0)])).collect()
        }
        RandomWalkOrder::Two => (1..t.len() - 1)
            .map(|i| {
                let (before, after) = (t[i] - t[i - 1], t[i + 1] - t[i]);
                let row = vec![(i - 1, 1.0 / before), (i, -1.0 / before - 1.0 / after), (i + 1, 1.0 / after)];
                (2.0 / (before + after), row)
            })
            .collect(),
    }
}

/// The differences of a regular walk on a ring of at least three nodes.
fn ring(order: RandomWalkOrder, n: usize) -> Vec<Increment> {
    let row = |i: usize| match order {
        RandomWalkOrder::One => vec![(i, -1.0), ((i + 1) % n, 1.0)],
        RandomWalkOrder::Two => vec![(i, 1.0), ((i + 1) % n, -2.0), ((i + 2) % n, 1.0)],
    };
    (0..n).map(|i| (1.0, row(i))).collect()
}

/// `t` less its mean, at most one in size.
fn centred_trend(locations: &[f64]) -> Vec<(usize, f64)> {
    let mean = locations.iter().map(|t| t / locations.len() as f64).sum::<f64>();
    let largest = locations.iter().fold(0.0, |largest: f64, t| largest.max((t - mean).abs()));
    locations.iter().enumerate().map(|(i, t)| (i, (t - mean) / largest)).collect()
}

impl LatentModel for RandomWalk {
    fn name(&self) -> &'static str {
        self.order.name()
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 1, None)?;
        self.precision.fill(self.name(), theta, &[theta[0].exp()], values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 1, Some(j))?;
        self.fill_precision(theta, values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 1, None)?;
        let rank = self.rank as f64;
        Ok(LogDeterminant { value: rank * theta[0] + self.log_determinant, gradient: vec![rank], rank: self.rank })
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.null_space
    }
}
