//! Links between the linear predictor and the mean.

use std::f64::consts::{PI, SQRT_2};

use crate::error::LaplaceError;

/// A link `g` with `g(mean) = η`; every one is increasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// `η = mean`.
    Identity,
    /// `η = log mean`.
    Log,
    /// `η = log(p/(1 − p))`.
    Logit,
    /// `η = Φ⁻¹(p)`.
    Probit,
    /// `η = log(−log(1 − p))`.
    Cloglog,
    /// `η = −log(−log p)`.
    Loglog,
}

impl Link {
    /// All links.
    pub const ALL: [Self; 6] = [Self::Identity, Self::Log, Self::Logit, Self::Probit, Self::Cloglog, Self::Loglog];

    /// Its name: `logit`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Log => "log",
            Self::Logit => "logit",
            Self::Probit => "probit",
            Self::Cloglog => "cloglog",
            Self::Loglog => "loglog",
        }
    }

    /// The link of a name, one of those that `family` allows.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidLikelihood`] names the allowed ones.
    pub fn from_name(family: &'static str, name: &str, allowed: &[Self]) -> Result<Self, LaplaceError> {
        allowed.iter().copied().find(|link| link.name() == name).ok_or_else(|| {
            let names: Vec<_> = allowed.iter().map(|link| link.name()).collect();
            let reason = format!("there is no link \"{name}\"; use one of {}", names.join(", "));
            LaplaceError::InvalidLikelihood { family, reason }
        })
    }

    /// The mean at `eta`, stable for any finite `eta`.
    pub fn inverse(self, eta: f64) -> f64 {
        match self {
            Self::Identity => eta,
            Self::Log => eta.exp(),
            Self::Logit if eta >= 0.0 => 1.0 / (1.0 + (-eta).exp()),
            Self::Logit => eta.exp() / (1.0 + eta.exp()),
            Self::Probit => 0.5 * libm::erfc(-eta / SQRT_2),
            Self::Cloglog => -(-eta.exp()).exp_m1(),
            Self::Loglog => (-(-eta).exp()).exp(),
        }
    }

    /// `d mean / d η`.
    pub fn derivative(self, eta: f64) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::Log => eta.exp(),
            Self::Logit => self.inverse(eta) * self.inverse(-eta),
            Self::Probit => (-0.5 * eta * eta).exp() / (2.0 * PI).sqrt(),
            Self::Cloglog => (eta - eta.exp()).exp(),
            Self::Loglog => (-eta - (-eta).exp()).exp(),
        }
    }

    /// `η` of a mean inside the range of the link.
    pub fn apply(self, mean: f64) -> f64 {
        match self {
            Self::Identity => mean,
            Self::Log => mean.ln(),
            Self::Logit => mean.ln() - (-mean).ln_1p(),
            Self::Probit => {
                // a coarse start, then Newton: only starting values and tests need it
                let mut eta = (mean.ln() - (-mean).ln_1p()) / 1.702;
                for _ in 0..60 {
                    let step = (self.inverse(eta) - mean) / self.derivative(eta).max(1e-300);
                    eta -= step.clamp(-1.0, 1.0);
                }
                eta
            }
            Self::Cloglog => (-(-mean).ln_1p()).ln(),
            Self::Loglog => -(-mean.ln()).ln(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_inverts_and_differentiates() {
        for link in Link::ALL {
            for eta in [-3.0, -0.7, 0.2, 1.4] {
                let mean = link.inverse(eta);
                assert!((link.apply(mean) - eta).abs() < 1e-10, "{link:?} {eta}");
                let h = 6e-6;
                let difference = (link.inverse(eta + h) - link.inverse(eta - h)) / (2.0 * h);
                assert!((difference - link.derivative(eta)).abs() < 1e-8, "{link:?} {eta}");
            }
        }
    }

    #[test]
    fn extreme_predictors_stay_in_range() {
        for link in [Link::Logit, Link::Probit, Link::Cloglog, Link::Loglog] {
            for eta in [-700.0, -40.0, 40.0, 700.0] {
                let mean = link.inverse(eta);
                assert!((0.0..=1.0).contains(&mean), "{link:?} {eta}: {mean}");
                assert!(link.derivative(eta) >= 0.0);
            }
        }
    }

    #[test]
    fn an_unknown_link_names_the_allowed_ones() {
        let error = Link::from_name("poisson", "logti", &[Link::Log, Link::Identity]).unwrap_err();
        assert!(error.to_string().contains("log, identity"), "{error}");
    }
}
