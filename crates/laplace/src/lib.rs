//! Gaussian and corrected Laplace approximations of a latent field given its hyperparameters.

pub mod approximation;
pub mod contract;
pub mod correction;
mod curvature;
pub mod design;
pub mod error;
pub mod exact;
mod gradient;
pub mod likelihood;
pub mod link;
pub mod model;
pub mod newton;
pub mod propagation;
mod runs;
pub mod variational;
pub mod workspace;

pub use approximation::Approximation;
pub use correction::{Cavity, Correction, Determinant, Held, Moment, Moments, SecondOrder, ThirdOrder};
pub use design::{Design, ScaledEntry, Scaling};
pub use error::LaplaceError;
pub use exact::ExactDensity;
pub use likelihood::{Derivatives, GaussianIntegrals, Likelihood, Order, ThetaDerivatives};
pub use link::Link;
pub use model::{Effect, LatentGaussianModel, ModelHyperparameter, Observations, Owner};
pub use newton::NewtonOptions;
pub use propagation::{PropagationOptions, Sites};
pub use variational::{Variational, VariationalFamily, VariationalOptions};
pub use workspace::Workspace;
