//! The rungs of the approximation ladder, from cheap to dear.

/// How the latent field is approximated given the hyperparameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Laplace's approximation alone: a Gaussian at the mode.
    Gaussian,
    /// The variational mean of every node and predictor with the Gaussian's variance, and no skewness; hyperparameters as on the rung before.
    Variational,
    /// The optimal Gaussian in mean and variance; hyperparameters as on the rungs before.
    VariationalMeanVariance,
    /// Means and skewness of every node and predictor to second order, and the second-order terms of `log p̃(y|θ)` in the weights of
    /// the design while they are small.
    SimplifiedLaplace,
    /// The same, and the density of every requested node and linear predictor by Laplace's method with it held fixed.
    Laplace,
    /// Expectation propagation, its `log Z` explored, its third-cumulant correction in the weights.
    ExpectationPropagation,
}

impl Rung {
    /// Every rung, from cheap to dear.
    pub const ALL: [Self; 6] = [
        Self::Gaussian,
        Self::Variational,
        Self::VariationalMeanVariance,
        Self::SimplifiedLaplace,
        Self::Laplace,
        Self::ExpectationPropagation,
    ];

    /// The name: `gaussian`, `variational`, `variational-mean-variance`, `simplified-laplace`, `laplace`, `ep`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Variational => "variational",
            Self::VariationalMeanVariance => "variational-mean-variance",
            Self::SimplifiedLaplace => "simplified-laplace",
            Self::Laplace => "laplace",
            Self::ExpectationPropagation => "ep",
        }
    }

    /// The rung of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rung| rung.name() == name)
    }

    /// Whether the corrections of `log p̃(y|θ)` weigh the design while they are small.
    pub fn weighs_corrections(self) -> bool {
        self >= Self::SimplifiedLaplace
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
