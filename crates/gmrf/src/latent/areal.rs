//! What the areal models share: the structure matrix of a graph, scaled and constrained by component.
//!
//! `R_ii` is the number of neighbours, `R_ij = −1`. One sum-to-zero constraint for each component of more than one node;
//! scaling makes the geometric mean of the variances one in each component (Freni-Sterrantino, Ventrucci and Rue 2018). A
//! singleton is unconstrained: scaled it has precision one, unscaled zero.

use std::sync::Arc;

use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::graph::Graph;
use crate::pattern::SparsityPattern;
use crate::scaling::structure_constants;

/// Choices of an intrinsic areal effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArealOptions {
    /// Scales each component to a geometric mean variance of one.
    pub scale_model: bool,
    /// The constraint `Σ x = 0` over each component of more than one node.
    pub sum_to_zero: bool,
}

/// The structure matrix of a graph.
#[derive(Debug, Clone)]
pub(super) struct ArealStructure {
    pub(super) pattern: Arc<SparsityPattern>,
    pub(super) values: Vec<f64>,
    pub(super) constraints: LinearConstraints,
    pub(super) null_space: LinearConstraints,
    pub(super) log_determinant: f64,
    pub(super) rank: usize,
    /// `tr R⁻` under the null space of `R`.
    pub(super) trace: f64,
}

/// Pattern and values of the unscaled structure matrix.
pub(super) fn laplacian(graph: &Graph) -> Result<(Arc<SparsityPattern>, Vec<f64>), GmrfError> {
    let pattern = Arc::new(SparsityPattern::from_entries(graph.order(), graph.edges())?);
    let value = |(i, j)| if i == j { graph.neighbours(i).len() as f64 } else { -1.0 };
    let values = pattern.entries().map(value).collect();
    Ok((pattern, values))
}

impl ArealStructure {
    pub(super) fn new(model: &'static str, graph: &Graph, options: ArealOptions) -> Result<Self, GmrfError> {
        let n = graph.order();
        if n == 0 {
            return Err(GmrfError::InvalidModel { model, reason: "the graph has no nodes".to_owned() });
        }
        let (pattern, mut values) = laplacian(graph)?;
        let components = graph.components();
        let mut constraints = LinearConstraints::none(n);
        let mut null_space = LinearConstraints::none(n);
        for component in &components {
            let ones: Vec<(usize, f64)> = component.iter().map(|&i| (i, 1.0)).collect();
            match (component.len(), options.scale_model, options.sum_to_zero) {
                (1, true, _) => values[pattern.column_start(component[0])] = 1.0,
                (1, false, _) | (_, _, false) => null_space.push(&ones, 0.0)?,
                (_, _, true) => constraints.push(&ones, 0.0)?,
            }
        }
        let mut all = constraints.clone();
        all.append_block(&null_space, 0)?;
        let constants = structure_constants(&pattern, &values, &all)?;
        let (mut log_determinant, mut trace) = (constants.log_determinant, 0.0);
        let mut scale_of_node = vec![1.0; n];
        if options.scale_model {
            for component in components.iter().filter(|component| component.len() > 1) {
                let logs = component.iter().map(|&i| constants.variances[i].ln());
                let scale = (logs.sum::<f64>() / component.len() as f64).exp();
                component.iter().for_each(|&i| scale_of_node[i] = scale);
                log_determinant += (component.len() - 1) as f64 * scale.ln();
            }
            for (value, (_, j)) in values.iter_mut().zip(pattern.entries()) {
                *value *= scale_of_node[j];
            }
        }
        for (variance, scale) in constants.variances.iter().zip(&scale_of_node) {
            trace += variance / scale;
        }
        Ok(Self { pattern, values, constraints, null_space, log_determinant, rank: constants.rank, trace })
    }
}
