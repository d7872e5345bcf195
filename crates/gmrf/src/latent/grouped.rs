//! Copies of an effect that depend on each other: `Q = Q_group ⊗ Q_inner`, the inner index runs fastest.
//!
//! With `A = ker C`, `N` the free null space in it and `B` the rest of `A`, for either factor: the product has
//! `ker C = A_g ⊗ A_i`, free null space `N_g ⊗ A_i + A_g ⊗ N_i`, and on the rest `B_g ⊗ B_i`
//! `log |VᵀQV| = rank_i log |Q_g| + rank_g log |Q_i|`.

use std::sync::Arc;

use super::group::GroupModel;
use super::kernel::{kernel_basis, pivots};
use super::replicated::{repeated, repeated_parts};
use super::structure::expect_theta;
use super::{LatentModel, LogDeterminant, Part, hyperparameter_count};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::hyperparameter::{Hyperparameter, HyperparameterBlock};
use crate::pattern::SparsityPattern;

/// An effect with one copy for each level of a group. Hyperparameters of the group follow the inner ones.
///
/// The inner constraints hold at every level. An intrinsic group adds its own over the levels for every inner node, so
/// that an intrinsic effect in an intrinsic group sums to zero over both margins; rows that the others imply are left out.
#[derive(Debug, Clone)]
pub struct Grouped {
    inner: Arc<dyn LatentModel>,
    group: GroupModel,
    hyperparameters: Vec<HyperparameterBlock>,
    /// Of the inner model.
    inner_count: usize,
    pattern: Arc<SparsityPattern>,
    /// For every entry of the pattern, its places among the values of the group and of the inner model.
    sources: Vec<(usize, usize)>,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

impl Grouped {
    /// `group ⊗ inner`. Cost and memory: `nnz` of the product.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] if the group is intrinsic and a constraint of the inner model is not homogeneous.
    pub fn new(inner: Arc<dyn LatentModel>, group: GroupModel) -> Result<Self, GmrfError> {
        let mut hyperparameters = inner.hyperparameters().to_vec();
        let inner_count = hyperparameter_count(&hyperparameters);
        hyperparameters.extend(group.hyperparameters().iter().cloned());
        let (entries, sources) = product(group.pattern(), inner.pattern());
        let order = group.pattern().order() * inner.pattern().order();
        Ok(Self {
            pattern: Arc::new(SparsityPattern::from_entries(order, entries)?),
            constraints: product_constraints(&group, inner.as_ref())?,
            null_space: product_null_space(&group, inner.as_ref())?,
            inner,
            group,
            hyperparameters,
            inner_count,
            sources,
        })
    }

    fn fill_product(&self, group: &[f64], inner: &[f64], values: &mut [f64]) {
        for (value, &(g, i)) in values.iter_mut().zip(&self.sources) {
            *value = group[g] * inner[i];
        }
    }

    fn split<'a>(&self, theta: &'a [f64], j: Option<usize>) -> Result<(&'a [f64], &'a [f64]), GmrfError> {
        expect_theta(theta, self.inner_count + hyperparameter_count(self.group.hyperparameters()), j)?;
        Ok(theta.split_at(self.inner_count))
    }

    fn spread_mean(&self, mean: &mut [f64], fill: impl FnOnce(&mut [f64]) -> bool) -> bool {
        let n = self.inner.pattern().order();
        let (first, rest) = mean.split_at_mut(n);
        let filled = fill(first);
        if filled {
            rest.chunks_exact_mut(n.max(1)).for_each(|copy| copy.copy_from_slice(first));
        }
        filled
    }
}

/// The lower triangle of the product in storage order, with the places of both factors' values.
#[allow(clippy::type_complexity)] // two parallel lists, used once
pub(super) fn product(group: &SparsityPattern, inner: &SparsityPattern) -> (Vec<(usize, usize)>, Vec<(usize, usize)>) {
    let n = inner.order();
    let mut columns = vec![Vec::new(); n];
    for (k, (i, j)) in inner.entries().enumerate() {
        columns[j].push((i, k));
        if i != j {
            columns[i].push((j, k));
        }
    }
    columns.iter_mut().for_each(|column| column.sort_unstable());
    let (mut entries, mut sources) = (Vec::new(), Vec::new());
    for t in 0..group.order() {
        for (j, column) in columns.iter().enumerate() {
            for (k, &s) in group.column(t).iter().enumerate() {
                for &(i, source) in column.iter().filter(|&&(i, _)| s > t || i >= j) {
                    entries.push((s * n + i, t * n + j));
                    sources.push((group.column_start(t) + k, source));
                }
            }
        }
    }
    (entries, sources)
}

/// `I ⊗ C_i` and `C_g ⊗ I`; the first without the levels that the second implies.
fn product_constraints(group: &GroupModel, inner: &dyn LatentModel) -> Result<LinearConstraints, GmrfError> {
    let (levels, n) = (group.pattern().order(), inner.pattern().order());
    if group.constraints().is_empty() {
        return repeated(inner.constraints(), levels);
    }
    if inner.constraints().right_hand_side().iter().any(|&e| e != 0.0) {
        return Err(GmrfError::InvalidModel {
            model: "grouped",
            reason:
                "an intrinsic group sums to zero over its levels, so that constraints of the inner model need zero \
                     right-hand sides"
                    .into(),
        });
    }
    // C_g x = 0 for every inner node implies C_g (I ⊗ C_i) x = 0: the pivot levels follow from the others
    let implied = pivots(group.constraints())?;
    let mut all = LinearConstraints::none(levels * n);
    for level in (0..levels).filter(|level| !implied.contains(level)) {
        all.append_block(inner.constraints(), level * n)?;
    }
    for row in 0..group.constraints().len() {
        let (columns, values) = group.constraints().row(row);
        let row: Vec<_> = columns.iter().copied().zip(values.iter().copied()).collect();
        for node in 0..n {
            all.push(&kronecker(&row, &[(node, 1.0)], n), 0.0)?;
        }
    }
    Ok(all)
}

/// A basis of `N_g ⊗ A_i + A_g ⊗ N_i`: the second term only from a complement of `N_g` in `A_g`.
fn product_null_space(group: &GroupModel, inner: &dyn LatentModel) -> Result<LinearConstraints, GmrfError> {
    let n = inner.pattern().order();
    let mut all = LinearConstraints::none(group.pattern().order() * n);
    let mut add = |left: &[Vec<(usize, f64)>], right: &[Vec<(usize, f64)>]| {
        left.iter().try_for_each(|g| right.iter().try_for_each(|i| all.push(&kronecker(g, i, n), 0.0)))
    };
    if !group.null_space().is_empty() {
        add(&sparse_rows(group.null_space()), &kernel_basis(inner.constraints())?)?;
    }
    if !inner.null_space().is_empty() {
        let mut fixed = group.constraints().clone();
        fixed.append_block(group.null_space(), 0)?;
        add(&kernel_basis(&fixed)?, &sparse_rows(inner.null_space()))?;
    }
    Ok(all)
}

fn kronecker(group: &[(usize, f64)], inner: &[(usize, f64)], n: usize) -> Vec<(usize, f64)> {
    group.iter().flat_map(|&(t, a)| inner.iter().map(move |&(i, b)| (t * n + i, a * b))).collect()
}

fn sparse_rows(rows: &LinearConstraints) -> Vec<Vec<(usize, f64)>> {
    let row = |k| {
        let (columns, values) = rows.row(k);
        columns.iter().copied().zip(values.iter().copied()).collect()
    };
    (0..rows.len()).map(row).collect()
}

impl LatentModel for Grouped {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        let (inner_theta, group_theta) = self.split(theta, None)?;
        expect_length("precision values", self.pattern.nnz(), values.len())?;
        let mut inner = vec![0.0; self.inner.pattern().nnz()];
        self.inner.fill_precision(inner_theta, &mut inner)?;
        self.fill_product(&self.group.correlation_precision(group_theta)?, &inner, values);
        Ok(())
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        let (inner_theta, group_theta) = self.split(theta, Some(j))?;
        expect_length("precision values", self.pattern.nnz(), values.len())?;
        let mut inner = vec![0.0; self.inner.pattern().nnz()];
        let group = if j < self.inner_count {
            self.inner.fill_precision_derivative(inner_theta, j, &mut inner)?;
            self.group.correlation_precision(group_theta)?
        } else {
            self.inner.fill_precision(inner_theta, &mut inner)?;
            self.group.correlation_precision_derivative(group_theta)?
        };
        self.fill_product(&group, &inner, values);
        Ok(())
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        let (inner_theta, group_theta) = self.split(theta, None)?;
        let inner = self.inner.log_determinant(inner_theta)?;
        let group = self.group.log_determinant(group_theta);
        let (inner_rank, group_rank) = (inner.rank as f64, group.rank as f64);
        let of_inner = inner.gradient.iter().map(|g| g * group_rank);
        Ok(LogDeterminant {
            value: inner_rank * group.value + group_rank * inner.value,
            gradient: of_inner.chain(group.gradient.iter().map(|g| g * inner_rank)).collect(),
            rank: inner.rank * group.rank,
        })
    }

    fn fill_mean(&self, theta: &[f64], mean: &mut [f64]) -> bool {
        self.spread_mean(mean, |first| self.inner.fill_mean(&theta[..self.inner_count], first))
    }

    fn fill_mean_derivative(&self, theta: &[f64], j: usize, mean: &mut [f64]) -> bool {
        j < self.inner_count
            && self.spread_mean(mean, |first| self.inner.fill_mean_derivative(&theta[..self.inner_count], j, first))
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.null_space
    }

    fn derived(&self) -> &[Hyperparameter] {
        self.inner.derived()
    }

    fn fill_derived(&self, theta: &[f64], values: &mut [f64]) {
        if let Ok((inner, _)) = self.split(theta, None) {
            self.inner.fill_derived(inner, values);
        }
    }

    fn parts(&self) -> Vec<Part> {
        repeated_parts(&self.inner.parts(), self.inner.pattern().order(), self.group.pattern().order())
    }
}
