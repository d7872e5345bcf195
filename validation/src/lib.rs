//! Reference posteriors by long MCMC, and how far the engine is from them.
//!
//! The project's own cases stand in `reference/`, their models and data in `examples/`. Further cases are read from
//! `../shared/validation/` beside the checkout where that folder is there.

pub mod calibration;
mod cases;
mod clusters;
mod compare;
mod distribution;
mod hierarchical;
pub mod plots;
mod rinla;
mod samplers;
pub mod scoreboard;
pub mod simulation;

pub use cases::{Bars, Case, Failure, Scalar, own_cases, shared_cases};
pub use clusters::Clusters;
pub use compare::{Difference, Group, Report, compare, compare_fit, marginals};
pub use distribution::{Distribution, band};
pub use rinla::RInla;
pub use samplers::{Draws, Hierarchy, chain_summary};
