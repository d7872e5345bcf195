//! What is read at a design point beside value and gradient, by rung of the ladder.

use std::sync::Arc;

use laplace::{
    Approximation, Correction, LaplaceError, LatentGaussianModel, Moments, VariationalFamily, VariationalOptions,
    Workspace,
};

use crate::exploration::Exploration;
use crate::profiled::Profiles;
use crate::requested::Requested;
use crate::rung::Rung;

/// What is read off the workspace in which a point was evaluated.
pub enum Reading {
    /// Moments by expansion around the approximation.
    Expansion(Correction),
    /// Those of the variational Gaussian.
    Variational(VariationalFamily),
    /// Moments by expansion, and of the requested nodes and linear predictors the density by Laplace's method.
    Laplace(Correction, Arc<Requested>),
    /// The same with log-densities interpolated from elsewhere.
    Interpolated(Correction, Profiles),
}

impl Reading {
    /// Reads moments and densities.
    pub(crate) fn read(
        self,
        model: &LatentGaussianModel,
        approximation: &Approximation,
        workspace: &mut Workspace,
    ) -> Result<(Moments, Option<Profiles>), LaplaceError> {
        let (correction, requested) = match self {
            Self::Expansion(correction) => {
                return Ok((Moments::read(model, approximation, workspace, &correction)?, None));
            }
            Self::Variational(family) => {
                let options = VariationalOptions::default();
                let varied = approximation.vary(model, workspace, family, &options)?;
                return Ok((varied.moments(model, workspace)?, None));
            }
            Self::Laplace(correction, requested) => (correction, Ok(requested)),
            Self::Interpolated(correction, profiles) => (correction, Err(profiles)),
        };
        let mut moments = Moments::read(model, approximation, workspace, &correction)?;
        let mut profiles = match requested {
            Ok(requested) => Profiles::compute(model, approximation, workspace, requested)?,
            Err(profiles) => profiles,
        };
        profiles.place(approximation, workspace)?;
        profiles.refine(&mut moments);
        Ok((moments, Some(profiles)))
    }
}

/// Operations of a complete correction, some tens of milliseconds, that are spent at every point.
const CHEAP: f64 = 2e7;

impl Exploration<'_> {
    /// Whether every point of a design has its own complete correction: where clusters of a few binary data are explained by one
    /// variance, the sums over pairs grow by orders of magnitude from one end of the design to the other, and no parabola follows.
    fn is_complete_everywhere(&self) -> bool {
        let model = self.engine.model();
        self.engine.propagates() && self.map.mode.len() == 1 && Moments::complete_work(model) < CHEAP
    }

    /// Whether third-order sums alone are interpolated from a skeleton.
    pub(crate) fn interpolates(&self) -> bool {
        let sums = matches!(self.approximation.rung, Rung::SimplifiedLaplace | Rung::ExpectationPropagation);
        sums && self.skeleton.is_some() && !self.is_complete_everywhere()
    }

    /// What is read at `theta`: on the rungs that have them, what costs most interpolated from the skeleton where there is one.
    pub(crate) fn reading(&self, theta: &[f64]) -> Reading {
        let correction = || match &self.skeleton {
            Some(skeleton) if !self.is_complete_everywhere() => Correction::Given(skeleton.third_order(theta)),
            _ => Correction::Complete,
        };
        match self.approximation.rung {
            Rung::Gaussian => Reading::Expansion(Correction::None),
            Rung::Variational => Reading::Variational(VariationalFamily::Mean),
            Rung::VariationalMeanVariance => Reading::Variational(VariationalFamily::MeanAndVariance),
            Rung::SimplifiedLaplace | Rung::ExpectationPropagation => Reading::Expansion(correction()),
            Rung::Laplace => match (&self.requested, self.skeleton.as_ref().and_then(|s| s.profiles(theta))) {
                (_, Some(profiles)) => Reading::Interpolated(correction(), profiles),
                (Some(requested), None) => Reading::Laplace(correction(), requested.clone()),
                (None, None) => Reading::Expansion(correction()),
            },
        }
    }
}
