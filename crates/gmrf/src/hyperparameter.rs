//! Hyperparameters: their names, their scales and their priors.

use std::sync::Arc;

use crate::prior::Prior;

/// The map from the internal, unconstrained scale `θ` to a scale that people report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transform {
    /// `θ`.
    Identity,
    /// `exp θ`.
    Exp,
    /// `low + exp θ`: degrees of freedom above a least number.
    Above {
        /// The lower end.
        low: f64,
    },
    /// `exp(−θ/2)`: a standard deviation from a log precision.
    InverseSqrtExp,
    /// `exp(−θ)`: a variance from a log precision.
    InverseExp,
    /// `1/(1 + exp(−θ))`.
    Logistic,
    /// `2/(1 + exp(−θ)) − 1`: a correlation in (−1, 1).
    Correlation,
    /// `low + (high − low)/(1 + exp(−θ))`.
    Interval {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// `(e^θ − 1)/(e^θ + m − 1)`: the correlation, in (−1/(m−1), 1), of `m ≥ 2` exchangeable variables, where `e^θ` is
    /// the ratio of the eigenvalues of their correlation matrix.
    ///
    /// The [`Interval`](Self::Interval) of the same ends has `θ − log(m − 1)` for this `θ`; here `θ = 0` is independence.
    Exchangeable {
        /// `m`.
        size: usize,
    },
}

impl Transform {
    /// The reported value of `theta`.
    pub fn apply(&self, theta: f64) -> f64 {
        let logistic = |t: f64| if t >= 0.0 { 1.0 / (1.0 + (-t).exp()) } else { t.exp() / (1.0 + t.exp()) };
        match *self {
            Self::Identity => theta,
            Self::Exp => theta.exp(),
            Self::Above { low } => low + theta.exp(),
            Self::InverseSqrtExp => (-0.5 * theta).exp(),
            Self::InverseExp => (-theta).exp(),
            Self::Logistic => logistic(theta),
            Self::Correlation => (0.5 * theta).tanh(),
            Self::Interval { low, high } => low + (high - low) * logistic(theta),
            Self::Exchangeable { size } => {
                let others = size as f64 - 1.0;
                if theta >= 0.0 {
                    -(-theta).exp_m1() / (1.0 + others * (-theta).exp())
                } else {
                    theta.exp_m1() / (theta.exp() + others)
                }
            }
        }
    }

    /// `θ` of a reported value; `None` outside the range of the scale.
    pub fn invert(&self, value: f64) -> Option<f64> {
        let theta = match *self {
            Self::Identity => value,
            Self::Exp => value.ln(),
            Self::Above { low } => (value - low).ln(),
            Self::InverseSqrtExp => -2.0 * value.ln(),
            Self::InverseExp => -value.ln(),
            Self::Logistic => value.ln() - (-value).ln_1p(),
            Self::Correlation => value.ln_1p() - (-value).ln_1p(),
            Self::Interval { low, high } => (value - low).ln() - (high - value).ln(),
            Self::Exchangeable { size } => (value * (size as f64 - 1.0)).ln_1p() - (-value).ln_1p(),
        };
        theta.is_finite().then_some(theta)
    }

    /// `d value / d θ`; its sign is constant, so that quantiles map to quantiles.
    pub fn derivative(&self, theta: f64) -> f64 {
        match *self {
            Self::Identity => 1.0,
            Self::Exp | Self::Above { .. } => theta.exp(),
            Self::InverseSqrtExp => -0.5 * (-0.5 * theta).exp(),
            Self::InverseExp => -(-theta).exp(),
            Self::Logistic => {
                let p = self.apply(theta);
                p * (1.0 - p)
            }
            Self::Correlation => {
                let rho = self.apply(theta);
                0.5 * (1.0 - rho * rho)
            }
            Self::Interval { low, high } => (high - low) * Self::Logistic.derivative(theta),
            Self::Exchangeable { size } => {
                let (decay, others) = ((-theta.abs()).exp(), size as f64 - 1.0);
                let root = if theta >= 0.0 { 1.0 + others * decay } else { decay + others };
                size as f64 * decay / (root * root)
            }
        }
    }
}

/// A scale on which a hyperparameter is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    /// The name that stands behind the effect's name: `precision`, `sd`, `rho`, …
    pub name: String,
    /// From `θ` to this scale.
    pub transform: Transform,
}

/// One hyperparameter of a latent model or a likelihood.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameter {
    /// The name of its option: `precision`, `rho`, `phi`, …
    pub name: String,
    /// From `θ` to the scale of `initial = ` and `fixed(value)`, the one that people report.
    pub transform: Transform,
    /// Further scales on which it is reported, such as `sd` beside `precision`.
    pub also_reported: Vec<Reported>,
    /// Where the search starts, on the internal scale.
    pub initial: f64,
    /// Whether it is held at `initial`.
    pub fixed: bool,
    /// Whether it means nothing on its own: [`derived`](crate::LatentModel::derived) quantities are reported in its place.
    pub internal: bool,
}

impl Hyperparameter {
    /// A log precision, reported as precision and as standard deviation.
    pub fn log_precision(name: &str, initial: f64) -> Self {
        let sd = if name == "precision" { "sd".to_owned() } else { name.replace("precision", "sd") };
        Self {
            name: name.to_owned(),
            transform: Transform::Exp,
            also_reported: vec![Reported { name: sd, transform: Transform::InverseSqrtExp }],
            initial,
            fixed: false,
            internal: false,
        }
    }

    /// A hyperparameter reported on one scale.
    pub fn new(name: &str, transform: Transform, initial: f64) -> Self {
        Self { name: name.to_owned(), transform, also_reported: Vec::new(), initial, fixed: false, internal: false }
    }
}

/// Hyperparameters with one joint prior: mostly one parameter.
#[derive(Debug, Clone)]
pub struct HyperparameterBlock {
    /// The parameters in the order of `θ`.
    pub parameters: Vec<Hyperparameter>,
    /// Their joint log-density on the internal scale.
    pub prior: Arc<dyn Prior>,
}

impl HyperparameterBlock {
    /// A block of one parameter.
    pub fn single(parameter: Hyperparameter, prior: Arc<dyn Prior>) -> Self {
        Self { parameters: vec![parameter], prior }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transform_inverts_and_differentiates() {
        let all = [
            Transform::Identity,
            Transform::Exp,
            Transform::InverseSqrtExp,
            Transform::InverseExp,
            Transform::Logistic,
            Transform::Correlation,
            Transform::Interval { low: -2.0, high: 5.0 },
            Transform::Exchangeable { size: 2 },
            Transform::Exchangeable { size: 7 },
        ];
        for transform in all {
            for theta in [-4.0, -0.3, 0.0, 1.7, 5.0] {
                let back = transform.invert(transform.apply(theta)).unwrap();
                assert!((back - theta).abs() < 1e-12, "{transform:?} at {theta}: {back}");
                let h = 6e-6;
                let difference = (transform.apply(theta + h) - transform.apply(theta - h)) / (2.0 * h);
                assert!((difference - transform.derivative(theta)).abs() < 1e-8 * (1.0 + difference.abs()));
            }
        }
    }

    #[test]
    fn values_outside_the_scale_have_no_theta() {
        assert_eq!(Transform::Exp.invert(-1.0), None);
        assert_eq!(Transform::Logistic.invert(1.0), None);
        assert_eq!(Transform::Correlation.invert(-1.0), None);
    }
}
