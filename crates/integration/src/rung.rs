//! The rungs of the approximation ladder, from cheap to dear.

/// How the latent field is approximated given the hyperparameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Laplace's approximation alone: a Gaussian at the mode.
    Gaussian,
    /// Means and skewness of every node and predictor to second order, and the second-order terms of `log p̃(y|θ)` in the weights of
    /// the design while they are small.
    SimplifiedLaplace,
    /// Expectation propagation, its `log Z` explored, its third-cumulant correction in the weights.
    ExpectationPropagation,
}

impl Rung {
    /// Every rung, from cheap to dear.
    pub const ALL: [Self; 3] = [Self::Gaussian, Self::SimplifiedLaplace, Self::ExpectationPropagation];

    /// The name: `gaussian`, `simplified-laplace`, `ep`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::SimplifiedLaplace => "simplified-laplace",
            Self::ExpectationPropagation => "ep",
        }
    }

    /// The rung of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rung| rung.name() == name)
    }
}

/// The rung that a fit stands on, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The rung.
    pub rung: Rung,
    /// Why, in words and numbers.
    pub reason: String,
}
