//! The contract of latent models, checked with dense algebra: for the tests of any model, ours or a user's.
//!
//! Passing is necessary, not sufficient: the contract cannot know which precision matrix was meant.

use faer::{Mat, Side};

use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::latent::{LatentModel, hyperparameter_count};

/// Step of central differences of entries: `ε^{1/3}`, where truncation and rounding balance.
const ENTRY_STEP: f64 = 6.06e-6;
/// Step of central differences of `log |VᵀQV|`, larger than of entries since a factor's rounding error is.
const DETERMINANT_STEP: f64 = 1e-4;
/// Relative tolerance of differences: both steps leave less than a tenth of it for derivatives of order one.
const DIFFERENCE_TOLERANCE: f64 = 1e-6;
/// Relative tolerance of determinants of well conditioned matrices.
const DETERMINANT_TOLERANCE: f64 = 1e-10;
/// Relative tolerance of `Q v = 0` and `C v = 0`.
const ZERO_TOLERANCE: f64 = 1e-9;

/// Checks `model` at every `θ` of `thetas`; the message of the error names the property and the `θ`.
///
/// Counts agree with the hyperparameters, wrong sizes are errors; `Q` is finite, its derivatives (and the mean's) are
/// those of central differences; `Q v = 0` and `C v = 0` on the null space; `Q` is positive definite on the rest of
/// `ker C`; `log_determinant` is the dense one there, its gradient and its rank too. Dense: for `n` up to a few hundred.
///
/// # Errors
/// What is wrong, in words.
pub fn check(model: &dyn LatentModel, thetas: &[Vec<f64>]) -> Result<(), String> {
    check_counts(model)?;
    let basis = free_basis(model)?;
    for theta in thetas {
        let at = |message: String| format!("{} at θ = {theta:?}: {message}", model.name());
        check_sizes(model, theta).map_err(at)?;
        let values = precision(model, theta).map_err(at)?;
        check_derivatives(model, theta, &values).map_err(at)?;
        check_mean(model, theta).map_err(at)?;
        check_null_space(model, &values).map_err(at)?;
        check_determinant(model, theta, &values, &basis).map_err(at)?;
    }
    Ok(())
}

fn check_counts(model: &dyn LatentModel) -> Result<(), String> {
    let n = model.pattern().order();
    for block in model.hyperparameters() {
        if block.prior.dimension() != block.parameters.len() {
            return Err(format!("{}: a block and its prior differ in dimension", model.name()));
        }
    }
    for (what, rows) in [("constraints", model.constraints()), ("null space", model.null_space())] {
        if rows.order() != n {
            return Err(format!("{what} on {} nodes, not {n}", rows.order()));
        }
    }
    if model.null_space().right_hand_side().iter().any(|&e| e != 0.0) {
        return Err("the null space has nonzero right-hand sides".into());
    }
    let mut next = 0;
    for part in model.parts() {
        if part.nodes.start != next || part.nodes.end < next {
            return Err(format!("part {:?} starts at {}, not at {next}", part.suffix, part.nodes.start));
        }
        next = part.nodes.end;
    }
    if next == n { Ok(()) } else { Err(format!("the parts cover {next} of {n} nodes")) }
}

fn check_sizes(model: &dyn LatentModel, theta: &[f64]) -> Result<(), String> {
    let count = hyperparameter_count(model.hyperparameters());
    if theta.len() != count {
        return Err(format!("{} hyperparameters, not {}", count, theta.len()));
    }
    let nnz = model.pattern().nnz();
    let longer: Vec<f64> = theta.iter().copied().chain([0.0]).collect();
    let refused = [
        model.fill_precision(&longer, &mut vec![0.0; nnz]).is_err(),
        model.fill_precision(theta, &mut vec![0.0; nnz + 1]).is_err(),
        model.fill_precision_derivative(theta, count, &mut vec![0.0; nnz]).is_err(),
        model.log_determinant(&longer).is_err(),
    ];
    if refused.iter().all(|&r| r) { Ok(()) } else { Err(format!("wrong sizes are accepted: {refused:?}")) }
}

fn precision(model: &dyn LatentModel, theta: &[f64]) -> Result<Vec<f64>, String> {
    let mut values = vec![f64::NAN; model.pattern().nnz()];
    model.fill_precision(theta, &mut values).map_err(words)?;
    if values.iter().all(|v| v.is_finite()) { Ok(values) } else { Err("an entry is not finite or not written".into()) }
}

fn words(error: GmrfError) -> String {
    error.to_string()
}

fn moved(theta: &[f64], j: usize, step: f64) -> Vec<f64> {
    let mut moved = theta.to_vec();
    moved[j] += step;
    moved
}

fn check_derivatives(model: &dyn LatentModel, theta: &[f64], values: &[f64]) -> Result<(), String> {
    let size = largest(values);
    let mut derivative = vec![f64::NAN; values.len()];
    for j in 0..theta.len() {
        model.fill_precision_derivative(theta, j, &mut derivative).map_err(words)?;
        let above = precision(model, &moved(theta, j, ENTRY_STEP))?;
        let below = precision(model, &moved(theta, j, -ENTRY_STEP))?;
        for (k, &exact) in derivative.iter().enumerate() {
            let difference = (above[k] - below[k]) / (2.0 * ENTRY_STEP);
            // written so that NaN fails
            let close = (difference - exact).abs() <= DIFFERENCE_TOLERANCE * size;
            if !close {
                return Err(format!("∂Q/∂θ{j}, entry {k}: {exact}, by differences {difference}"));
            }
        }
    }
    Ok(())
}

fn check_mean(model: &dyn LatentModel, theta: &[f64]) -> Result<(), String> {
    let n = model.pattern().order();
    let mean_at = |theta: &[f64]| {
        let mut mean = vec![0.0; n];
        model.fill_mean(theta, &mut mean);
        mean
    };
    let size = 1.0 + largest(&mean_at(theta));
    for j in 0..theta.len() {
        let mut derivative = vec![0.0; n];
        model.fill_mean_derivative(theta, j, &mut derivative);
        let (above, below) = (mean_at(&moved(theta, j, ENTRY_STEP)), mean_at(&moved(theta, j, -ENTRY_STEP)));
        for i in 0..n {
            let difference = (above[i] - below[i]) / (2.0 * ENTRY_STEP);
            let close = (difference - derivative[i]).abs() <= DIFFERENCE_TOLERANCE * size;
            if !close {
                return Err(format!("∂μ/∂θ{j}, node {i}: {}, by differences {difference}", derivative[i]));
            }
        }
    }
    Ok(())
}

fn check_null_space(model: &dyn LatentModel, values: &[f64]) -> Result<(), String> {
    let (pattern, constraints) = (model.pattern(), model.constraints().homogeneous());
    let n = pattern.order();
    let mut product = vec![0.0; n];
    for row in 0..model.null_space().len() {
        let v = dense_row(model.null_space(), row);
        pattern.multiply(values, &v, &mut product).map_err(words)?;
        let size = largest(&v);
        if size == 0.0 || largest(&product) > ZERO_TOLERANCE * largest(values) * size {
            return Err(format!("row {row} of the null space is zero or not annihilated by Q: {}", largest(&product)));
        }
        for (k, residual) in constraints.residuals(&v).map_err(words)?.into_iter().enumerate() {
            if residual.abs() > ZERO_TOLERANCE * size * largest(constraints.row(k).1) * n as f64 {
                return Err(format!("row {row} of the null space violates constraint {k} by {residual}"));
            }
        }
    }
    Ok(())
}

fn check_determinant(model: &dyn LatentModel, theta: &[f64], values: &[f64], basis: &Mat<f64>) -> Result<(), String> {
    let found = model.log_determinant(theta).map_err(words)?;
    if found.rank != basis.ncols() {
        return Err(format!("rank {}, but the free space has dimension {}", found.rank, basis.ncols()));
    }
    let (expected, condition) = dense_log_determinant(model, values, basis)?;
    // eigenvalues of the dense matrix are wrong by about n ε times the largest
    let tolerance = DETERMINANT_TOLERANCE * (1.0 + expected.abs()) + values.len() as f64 * f64::EPSILON * condition;
    let close = (found.value - expected).abs() <= tolerance;
    if !close {
        return Err(format!("log-determinant {}, dense {expected}, tolerance {tolerance}", found.value));
    }
    if found.gradient.len() != theta.len() {
        return Err(format!("the gradient has {} entries, not {}", found.gradient.len(), theta.len()));
    }
    for (j, &exact) in found.gradient.iter().enumerate() {
        let above = model.log_determinant(&moved(theta, j, DETERMINANT_STEP)).map_err(words)?.value;
        let below = model.log_determinant(&moved(theta, j, -DETERMINANT_STEP)).map_err(words)?.value;
        let difference = (above - below) / (2.0 * DETERMINANT_STEP);
        let noise = tolerance / DETERMINANT_STEP;
        let close = (difference - exact).abs() <= DIFFERENCE_TOLERANCE * (1.0 + found.rank as f64) + noise;
        if !close {
            return Err(format!("∂ log-determinant/∂θ{j}: {exact}, by differences {difference}"));
        }
    }
    Ok(())
}

/// `log |VᵀQV|` and the condition number of `VᵀQV`, by eigenvalues.
fn dense_log_determinant(model: &dyn LatentModel, values: &[f64], basis: &Mat<f64>) -> Result<(f64, f64), String> {
    if basis.ncols() == 0 {
        return Ok((0.0, 1.0));
    }
    let rows = model.pattern().to_dense(values);
    let q = Mat::from_fn(rows.len(), rows.len(), |i, j| rows[i][j]);
    let reduced = basis.transpose() * &q * basis;
    let eigenvalues =
        reduced.self_adjoint_eigenvalues(Side::Lower).map_err(|e| format!("dense eigenvalues fail: {e:?}"))?;
    let least = eigenvalues.iter().copied().fold(f64::INFINITY, f64::min);
    let most = eigenvalues.iter().copied().fold(0.0, f64::max);
    if least <= rows.len() as f64 * f64::EPSILON * most {
        return Err(format!("not positive definite on the free space: eigenvalues from {least} to {most}"));
    }
    Ok((eigenvalues.iter().map(|l| l.ln()).sum(), most / least))
}

/// An orthonormal basis of `ker C` without the null space, `n × rank`.
fn free_basis(model: &dyn LatentModel) -> Result<Mat<f64>, String> {
    let n = model.pattern().order();
    let mut rows: Vec<Vec<f64>> = (0..model.constraints().len()).map(|k| dense_row(model.constraints(), k)).collect();
    rows.extend((0..model.null_space().len()).map(|k| dense_row(model.null_space(), k)));
    if rows.len() > n {
        return Err(format!("{} constraints and null directions on {n} nodes", rows.len()));
    }
    for row in &mut rows {
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v /= norm);
    }
    let transposed = Mat::from_fn(n, rows.len(), |i, k| rows[k][i]);
    let qr = transposed.qr();
    let pivots = (0..rows.len()).map(|k| qr.thin_R()[(k, k)].abs());
    if let Some((k, pivot)) = pivots.enumerate().find(|&(_, pivot)| pivot.is_nan() || pivot < ZERO_TOLERANCE) {
        return Err(format!("constraint or null direction {k} depends on those before it: pivot {pivot}"));
    }
    let q = qr.compute_Q();
    Ok(q.subcols(rows.len(), n - rows.len()).to_owned())
}

fn dense_row(rows: &LinearConstraints, row: usize) -> Vec<f64> {
    let mut dense = vec![0.0; rows.order()];
    let (columns, values) = rows.row(row);
    for (&i, &v) in columns.iter().zip(values) {
        dense[i] += v;
    }
    dense
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()))
}
