//! Links between the linear predictor and the mean.

/// A link `g` with `g(mean) = η`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// `η = mean`.
    Identity,
    /// `η = log mean`.
    Log,
}
