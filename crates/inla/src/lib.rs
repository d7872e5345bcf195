//! Integrated nested Laplace approximations: from a table and a formula to posterior marginals.

//DM pub mod design_matrix;
pub mod error;
pub mod formula;
//DM pub mod level;
pub mod nearest;
//DM pub mod specification;
pub mod table;

//DM pub use design_matrix::{Dependence, FixedDesign, collinear_columns};
pub use error::InlaError;
pub use formula::Formula;
//DM pub use level::LevelIndex;
//DM pub use specification::{Effect, HyperSetting, ModelBuilder, ModelSpecification, Prior};
pub use table::Table;
