//! Integrated nested Laplace approximations: from a table and a formula to posterior marginals.

pub mod design_matrix;
pub mod error;
pub mod formula;
pub mod level;
pub mod nearest;
//DM pub mod specification;
pub mod table;

pub use design_matrix::{Dependence, FixedDesign, collinear_columns};
pub use error::InlaError;
pub use formula::Formula;
pub use level::LevelIndex;
//DM pub use specification::{Effect, HyperSetting, ModelBuilder, ModelSpecification, Prior};
pub use table::Table;
