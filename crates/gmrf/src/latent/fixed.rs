//! Fixed effects: `β ~ N(m, P⁻¹)` with given means and precisions, zero precision for a flat prior.

use std::sync::Arc;

use super::structure::expect_theta;
use super::{LatentModel, LogDeterminant};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::hyperparameter::HyperparameterBlock;
use crate::pattern::SparsityPattern;
use crate::scaling::structure_constants;

/// A joint Gaussian prior of some of the fixed effects.
#[derive(Debug, Clone, PartialEq)]
pub struct JointPrecision {
    /// The effects, `k` of them.
    pub nodes: Vec<usize>,
    /// Their precision matrix, `k × k`, symmetric and positive definite, row by row.
    pub precision: Vec<Vec<f64>>,
}

/// Fixed effects without hyperparameters; a flat one is a free direction that the data must fix.
#[derive(Debug, Clone)]
pub struct FixedEffects {
    means: Vec<f64>,
    pattern: Arc<SparsityPattern>,
    values: Vec<f64>,
    log_determinant: f64,
    rank: usize,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

impl FixedEffects {
    /// Effects with the given `means` and `precisions` (length `n`, zero for flat); each of `joint` replaces the
    /// precisions of its effects by a matrix.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for a negative precision, a matrix that is not symmetric or an effect in two
    /// matrices; [`GmrfError::NotPositiveDefinite`] for a matrix that is not; sizes and numbers as usual.
    pub fn new(means: &[f64], precisions: &[f64], joint: &[JointPrecision]) -> Result<Self, GmrfError> {
        let n = means.len();
        expect_length("precisions of fixed effects", n, precisions.len())?;
        for (what, numbers) in [("means of fixed effects", means), ("precisions of fixed effects", precisions)] {
            if let Some(index) = numbers.iter().position(|v| !v.is_finite()) {
                return Err(GmrfError::NotFinite { what, index, value: numbers[index] });
            }
        }
        if let Some(node) = precisions.iter().position(|&p| p < 0.0) {
            return invalid(format!("the precision of effect {node} is {}; use 0 for a flat prior", precisions[node]));
        }
        let mut diagonal = precisions.to_vec();
        let mut flat: Vec<bool> = precisions.iter().map(|&p| p == 0.0).collect();
        let mut taken = vec![false; n];
        for block in joint {
            validate(block, &mut taken)?;
            for &node in &block.nodes {
                (diagonal[node], flat[node]) = (0.0, false);
            }
        }
        let pairs = joint.iter().flat_map(|b| b.nodes.iter().flat_map(|&i| b.nodes.iter().map(move |&j| (i, j))));
        let pattern = Arc::new(SparsityPattern::from_entries(n, pairs)?);
        let mut values: Vec<f64> = pattern.entries().map(|(i, j)| if i == j { diagonal[i] } else { 0.0 }).collect();
        for block in joint {
            for (row, &i) in block.precision.iter().zip(&block.nodes) {
                for (&value, &j) in row.iter().zip(&block.nodes) {
                    values[pattern.position(i, j).expect("the pattern holds every block")] = value;
                }
            }
        }
        let mut null_space = LinearConstraints::none(n);
        for node in (0..n).filter(|&i| flat[i]) {
            null_space.push(&[(node, 1.0)], 0.0)?;
        }
        // a flat effect is coupled with no other: a unit pivot in its place adds log 1
        let pivots: Vec<f64> =
            pattern.entries().zip(&values).map(|((i, j), &v)| if i == j && flat[i] { 1.0 } else { v }).collect();
        let log_determinant = structure_constants(&pattern, &pivots, &LinearConstraints::none(n))?.log_determinant;
        Ok(Self {
            means: means.to_vec(),
            pattern,
            values,
            log_determinant,
            rank: n - null_space.len(),
            constraints: LinearConstraints::none(n),
            null_space,
        })
    }
}

/// Largest relative asymmetry of a precision matrix that rounding explains.
const ASYMMETRY: f64 = 1e-10;

fn validate(block: &JointPrecision, taken: &mut [bool]) -> Result<(), GmrfError> {
    let k = block.nodes.len();
    expect_length("rows of a joint precision", k, block.precision.len())?;
    for (a, row) in block.precision.iter().enumerate() {
        expect_length("columns of a joint precision", k, row.len())?;
        for (b, &value) in row.iter().enumerate() {
            if !value.is_finite() {
                return Err(GmrfError::NotFinite { what: "joint precision", index: a * k + b, value });
            }
        }
    }
    for a in 0..k {
        for b in 0..a {
            let (lower, upper) = (block.precision[a][b], block.precision[b][a]);
            if (lower - upper).abs() > ASYMMETRY * lower.abs().max(upper.abs()) {
                return invalid(format!("a joint precision is not symmetric at ({a}, {b}): {lower} and {upper}"));
            }
        }
    }
    for &index in &block.nodes {
        let length = taken.len();
        let Some(seen) = taken.get_mut(index) else {
            return Err(GmrfError::IndexOutOfRange { what: "joint precision", index, length });
        };
        if std::mem::replace(seen, true) {
            return invalid(format!("effect {index} has two places in the joint precisions; give it one"));
        }
    }
    Ok(())
}

fn invalid<T>(reason: String) -> Result<T, GmrfError> {
    Err(GmrfError::InvalidModel { model: "fixed effects", reason })
}

impl LatentModel for FixedEffects {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &[]
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 0, None)?;
        expect_length("precision values", self.values.len(), values.len())?;
        values.copy_from_slice(&self.values);
        Ok(())
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, _values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 0, Some(j))
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 0, None)?;
        Ok(LogDeterminant { value: self.log_determinant, gradient: Vec::new(), rank: self.rank })
    }

    fn fill_mean(&self, _theta: &[f64], mean: &mut [f64]) -> bool {
        let moved = self.means.iter().any(|&m| m != 0.0);
        if moved {
            mean.copy_from_slice(&self.means);
        }
        moved
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.null_space
    }
}
