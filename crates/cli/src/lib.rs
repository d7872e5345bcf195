//! What the `inla` command is made of: the model file and its errors.

pub mod error;
pub mod model_file;

pub use error::CliError;
pub use model_file::ModelFile;
