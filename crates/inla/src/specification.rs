//! The description of a model and its fit, apart from any data: what a model file says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::InlaError;
use crate::formula::Formula;

/// A column of the data or one number for all rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// One number for every row.
    Number(f64),
    /// The column of this name.
    Column(String),
}

/// The prior of one coefficient; what is `None` has the common default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoefficientPrior {
    /// Prior mean, 0 by default.
    pub mean: Option<f64>,
    /// Prior precision, zero for a flat prior.
    pub precision: Option<f64>,
}

/// A joint normal prior of some coefficients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointPrior {
    /// The coefficients.
    pub names: Vec<String>,
    /// Their means.
    pub mean: Vec<f64>,
    /// Their covariance matrix, row by row.
    pub covariance: Vec<Vec<f64>>,
}

/// Priors of the fixed effects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FixedPriors {
    /// Precision of every coefficient but the intercept. Default 0.001.
    pub precision: f64,
    /// Precision of the intercept. Default 0, flat.
    pub intercept_precision: f64,
    /// Priors of single coefficients.
    pub coefficients: BTreeMap<String, CoefficientPrior>,
    /// Joint priors.
    pub joint: Vec<JointPrior>,
}

impl Default for FixedPriors {
    fn default() -> Self {
        Self { precision: 0.001, intercept_precision: 0.0, coefficients: BTreeMap::new(), joint: Vec::new() }
    }
}

/// How the model is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitOptions {
    /// `auto`, `eb`, `grid`, `ccd`, `gauss-hermite`, `importance` or `nuts`.
    pub integration: String,
    /// Spacing of the grid in standard deviations; `None`: 0.5 for one hyperparameter, else 1.
    pub grid_step: Option<f64>,
    /// Drop of the log-density at which the grid ends. Default 8.
    pub grid_drop: f64,
    /// Nodes in each dimension of `gauss-hermite`. Default 7.
    pub nodes: usize,
    /// Chains of `nuts`. Default 4.
    pub chains: usize,
    /// Draws of each chain that tune it and are thrown away. Default 300.
    pub tuning: usize,
    /// Draws of each chain that are kept. Default 500.
    pub draws: usize,
    /// The rung of the approximation ladder: `auto`, `gaussian`, `variational`, `variational-mean-variance`, `simplified-laplace`, `laplace`
    /// or `ep`.
    pub approximation: String,
    /// Of `variational`: `mean` or `mean+variance`; `None`: as the name of the rung says.
    pub variational: Option<String>,
    /// Of `laplace`: the coefficients and effects whose nodes have their densities found; empty: all.
    pub laplace_nodes: Vec<String>,
    /// Of `laplace`: whether the linear predictors have their densities found too; `None`: where `laplace_nodes` is empty and that takes
    /// seconds.
    pub laplace_predictors: Option<bool>,
    /// Whether DIC, WAIC, CPO and PIT are computed. Default true.
    pub criteria: bool,
    /// Whether the fit gathers evidence of its own accuracy. Default true.
    pub certificate: bool,
    /// Threads; 0: all. Results have the same bits whatever their number.
    pub threads: usize,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            integration: "auto".to_owned(),
            grid_step: None,
            grid_drop: 8.0,
            nodes: 7,
            chains: 4,
            tuning: 300,
            draws: 500,
            approximation: "auto".to_owned(),
            variational: None,
            laplace_nodes: Vec::new(),
            laplace_predictors: None,
            criteria: true,
            certificate: true,
            threads: 0,
        }
    }
}

/// The likelihood of one outcome among several; what is `None` has the family's default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// The family; `None`: that of the model.
    pub family: Option<String>,
    /// The link.
    pub link: Option<String>,
    /// As [`ModelSpecification::trials`].
    pub trials: Option<Source>,
    /// As [`ModelSpecification::exposure`].
    pub exposure: Option<Source>,
    /// As [`ModelSpecification::weights`].
    pub weights: Option<Source>,
    /// As [`ModelSpecification::scale`].
    pub scale: Option<Source>,
    /// As [`ModelSpecification::event`].
    pub event: Option<Source>,
    /// As [`ModelSpecification::time2`].
    pub time2: Option<Source>,
    /// As [`ModelSpecification::truncation`].
    pub truncation: Option<Source>,
    /// Settings of the likelihood's hyperparameters, as text.
    pub likelihood: BTreeMap<String, String>,
}

/// Several likelihoods in one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The column whose levels are the outcomes, none of them missing.
    pub column: String,
    /// Likelihoods by level; a level that is not here has the model's own, with hyperparameters of its own.
    pub families: BTreeMap<String, Outcome>,
}

/// A model: formula, family, priors, options. Serialises, so that it can be saved and fitted again elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSpecification {
    /// Response, fixed effects, offsets and random effects.
    pub formula: Formula,
    /// `gaussian`, `t`, `poisson`, `nbinomial`, `binomial`, `gamma`, `beta`, `exponential`, `weibull` or `stochvol`.
    pub family: String,
    /// The link; `None`: the family's default.
    pub link: Option<String>,
    /// Numbers of trials of a binomial response; `None`: 1.
    pub trials: Option<Source>,
    /// Exposures of a Poisson or negative binomial response; `None`: 1.
    pub exposure: Option<Source>,
    /// Weights that multiply each row's log-density; `None`: 1.
    pub weights: Option<Source>,
    /// Scales of the precision of a Gaussian, t, gamma or beta response; `None`: 1.
    pub scale: Option<Source>,
    /// What is known of a time: 0 right censored, 1 event, 2 left censored, 3 in an interval; `None`: all are events.
    pub event: Option<Source>,
    /// Ends of intervals of times; read where `event` is 3.
    pub time2: Option<Source>,
    /// Times at which rows came under observation; `None`: 0.
    pub truncation: Option<Source>,
    /// Several likelihoods, by a column; `None`: one.
    #[serde(default)]
    pub outcomes: Option<Outcomes>,
    /// A further offset of the linear predictor.
    pub offset: Option<Source>,
    /// Settings of the likelihood's hyperparameters, as text.
    pub likelihood: BTreeMap<String, String>,
    /// Options of effects that stand outside the formula, as text, by the effect's name.
    pub effects: BTreeMap<String, BTreeMap<String, String>>,
    /// Priors of the fixed effects.
    pub fixed: FixedPriors,
    /// How it is fitted.
    pub fit: FitOptions,
}

impl ModelSpecification {
    /// A model with the given formula and family, and defaults otherwise.
    ///
    /// # Errors
    /// [`InlaError::Formula`] with the place.
    pub fn new(formula: &str, family: &str) -> Result<Self, InlaError> {
        Ok(Self {
            formula: Formula::parse(formula)?,
            family: family.to_owned(),
            link: None,
            trials: None,
            exposure: None,
            weights: None,
            scale: None,
            event: None,
            time2: None,
            truncation: None,
            outcomes: None,
            offset: None,
            likelihood: BTreeMap::new(),
            effects: BTreeMap::new(),
            fixed: FixedPriors::default(),
            fit: FitOptions::default(),
        })
    }
}
