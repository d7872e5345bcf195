//! From a table and a formula to posterior marginals.
//!
#![doc = include_str!("../../../README.md")]

mod assemble;
pub mod builder;
pub mod certificate;
pub mod design_matrix;
mod effect;
pub mod error;
mod family;
pub mod fit;
pub mod formula;
pub mod json;
pub mod level;
pub mod nearest;
mod options;
mod outcomes;
pub mod setting;
pub mod specification;
pub mod summary;
pub mod table;
pub mod verification;

pub use builder::{Effect, ModelBuilder};
pub use certificate::{Certificate, Finding, Verdict};
pub use design_matrix::{Dependence, FixedDesign, collinear_columns};
pub use effect::MODELS;
pub use error::InlaError;
pub use fit::{Fit, Named, Prepared, Resources};
pub use formula::Formula;
pub use gmrf::Graph;
pub use integration::{Marginal, SampledScalar, Summary, VerifyOptions};
pub use level::LevelIndex;
pub use setting::HyperSetting;
pub use specification::{FitOptions, FixedPriors, JointPrior, ModelSpecification, Outcome, Outcomes, Source};
pub use table::Table;
pub use verification::{ScalarKind, Verification, Verified};
