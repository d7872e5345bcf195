//! Explores the hyperparameters of a latent Gaussian model and combines the nested approximations.

pub mod certificate;
mod checking;
mod climbing;
pub mod criteria;
pub mod design;
pub mod engine;
pub mod error;
mod evaluated;
pub mod executor;
mod exploration;
pub mod hessian;
mod hyper_marginal;
mod joint;
pub mod marginal;
pub mod mode;
pub mod objective;
pub mod posterior;
mod refinement;
pub mod rung;
pub mod sampling;
mod skeleton;
pub mod skewed;
mod spline;
mod theta_marginals;

pub use certificate::{Checks, DesignDifference, NodeCheck, Sensitivity};
pub use criteria::Criteria;
pub use engine::{Engine, PointEvaluation};
pub use error::IntegrationError;
pub use executor::{Executor, Parallel, Sequential};
pub use marginal::{Map, Marginal, Summary};
pub use mode::{Mode, ModeOptions};
pub use objective::{Objective, ObjectiveValue};
pub use posterior::{ExploreOptions, Posterior, Strategy};
pub use rung::Rung;
pub use sampling::{ImportanceReport, NutsOptions, SamplingReport};
pub use skewed::SkewedGaussian;
