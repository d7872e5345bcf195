//! Correlated coefficients of one group: `x ~ N_p(0, Σ)`; as many groups as there are by `Replicated`.

use std::sync::Arc;

use super::structure::expect_theta;
use super::{CovarianceScale, LatentModel, LogDeterminant, Part};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::hyperparameter::{Hyperparameter, HyperparameterBlock, Reported, Transform};
use crate::pattern::SparsityPattern;
use crate::prior::Prior;

/// `p` coefficients with an unstructured covariance matrix, `θ` on the scale of [`CovarianceScale`].
#[derive(Debug, Clone)]
pub struct IidKd {
    hyperparameters: [HyperparameterBlock; 1],
    derived: Vec<Hyperparameter>,
    scale: CovarianceScale,
    pattern: Arc<SparsityPattern>,
    none: LinearConstraints,
}

impl IidKd {
    /// Coefficients called `names`, their covariance on `scale` (of order `names.len()`) with a joint prior of its parameters.
    /// `initial` is `Σ` where the search starts, row by row; `fixed` holds it there.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`], [`GmrfError::InvalidModel`] for a start that is not positive definite.
    pub fn new(
        names: &[String],
        scale: CovarianceScale,
        prior: Arc<dyn Prior>,
        initial: &[f64],
        fixed: bool,
    ) -> Result<Self, GmrfError> {
        let p = scale.order();
        expect_length("names of coefficients", p, names.len())?;
        expect_length("covariance matrix", p * p, initial.len())?;
        expect_length("parameters of the prior", scale.parameters(), prior.dimension())?;
        let start = scale.theta_of(initial).ok_or_else(|| GmrfError::InvalidModel {
            model: "iidkd",
            reason: "the covariance matrix of the start is not positive definite".to_owned(),
        })?;
        let parameter = |(&(i, j), initial): (&(usize, usize), f64)| {
            let kind = if i == j { "log_diagonal" } else { "off_diagonal" };
            let name = if i == j { format!("{kind}[{}]", i + 1) } else { format!("{kind}[{},{}]", i + 1, j + 1) };
            Hyperparameter { internal: true, fixed, ..Hyperparameter::new(&name, Transform::Identity, initial) }
        };
        let parameters = scale.places().iter().zip(start).map(parameter).collect();
        let pattern = SparsityPattern::from_entries(p, (0..p).flat_map(|i| (0..i).map(move |j| (i, j))))?;
        Ok(Self {
            hyperparameters: [HyperparameterBlock { parameters, prior }],
            derived: if fixed { Vec::new() } else { derived(names) },
            scale,
            pattern: Arc::new(pattern),
            none: LinearConstraints::none(p),
        })
    }

    /// The dense lower triangle of a matrix into the pattern's order.
    fn place(&self, dense: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_length("precision values", self.pattern.nnz(), values.len())?;
        let p = self.scale.order();
        for ((i, j), value) in self.pattern.entries().zip(values) {
            *value = dense[i * p + j];
        }
        Ok(())
    }
}

/// Standard deviations with variances, then correlations with covariances, pair by pair.
fn derived(names: &[String]) -> Vec<Hyperparameter> {
    let mut all = Vec::new();
    for name in names {
        let variance = Reported { name: format!("variance[{name}]"), transform: Transform::InverseExp };
        let sd = Hyperparameter::new(&format!("sd[{name}]"), Transform::InverseSqrtExp, 0.0);
        all.push(Hyperparameter { also_reported: vec![variance], ..sd });
    }
    for kind in ["rho", "covariance"] {
        let transform = if kind == "rho" { Transform::Correlation } else { Transform::Identity };
        for (i, first) in names.iter().enumerate() {
            let pairs = names[i + 1..].iter();
            all.extend(pairs.map(|second| Hyperparameter::new(&format!("{kind}[{first},{second}]"), transform, 0.0)));
        }
    }
    all
}

impl LatentModel for IidKd {
    fn name(&self) -> &'static str {
        "iidkd"
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, self.scale.parameters(), None)?;
        let mut dense = vec![0.0; self.scale.order().pow(2)];
        self.scale.fill_precision(theta, &mut dense);
        if dense.iter().any(|v| !v.is_finite()) {
            return Err(GmrfError::HyperparameterOutOfRange { model: "iidkd", theta: theta.to_vec() });
        }
        self.place(&dense, values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, self.scale.parameters(), Some(j))?;
        let mut dense = vec![0.0; self.scale.order().pow(2)];
        self.scale.fill_precision_derivative(theta, j, &mut dense);
        self.place(&dense, values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, self.scale.parameters(), None)?;
        let rank = self.scale.order();
        let gradient = self.scale.places().iter().map(|(i, j)| if i == j { 2.0 } else { 0.0 }).collect();
        Ok(LogDeterminant { value: self.scale.log_determinant(theta), gradient, rank })
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.none
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.none
    }

    fn derived(&self) -> &[Hyperparameter] {
        &self.derived
    }

    fn fill_derived(&self, theta: &[f64], values: &mut [f64]) {
        let p = self.scale.order();
        let mut sigma = vec![0.0; p * p];
        self.scale.fill_covariance(theta, &mut sigma);
        let pairs = || (0..p).flat_map(|i| (i + 1..p).map(move |j| (i, j)));
        let precisions = (0..p).map(|i| -sigma[i * p + i].ln());
        let correlations = pairs().map(|(i, j)| {
            let rho = sigma[i * p + j] / (sigma[i * p + i] * sigma[j * p + j]).sqrt();
            // rounding may carry a correlation of almost one over it
            2.0 * rho.clamp(-1.0 + f64::EPSILON, 1.0 - f64::EPSILON).atanh()
        });
        let covariances = pairs().map(|(i, j)| sigma[i * p + j]);
        values.iter_mut().zip(precisions.chain(correlations).chain(covariances)).for_each(|(v, d)| *v = d);
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part { suffix: None, nodes: 0..self.scale.order() }]
    }
}
