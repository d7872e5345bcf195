//! Reference posteriors by long MCMC, and how far the engine is from them.
//!
//! The project's own cases stand in `reference/`, their models and data in `examples/`. Further cases are read from
//! `../shared/validation/` beside the checkout where that folder is there.

mod cases;
mod clusters;
mod compare;
mod hierarchical;
mod samplers;

pub use cases::{Case, Failure, own_cases, shared_cases};
pub use clusters::Clusters;
pub use compare::{Difference, Group, Report, compare};
pub use samplers::{Draws, Hierarchy, chain_summary};
