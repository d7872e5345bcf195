//! Gaussian and corrected Laplace approximations of a latent field given its hyperparameters.

pub mod error;
pub mod likelihood;
pub mod link;

pub use error::LaplaceError;
pub use likelihood::{Derivatives, Likelihood, Order, ThetaDerivatives};
pub use link::Link;
