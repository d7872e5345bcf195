//! Priors by the names that users of R-INLA know.

use std::sync::Arc;

use super::{
    BetaOn, Improper, LogGamma, LogTNormal, Normal, PcCorrelation0, PcCorrelation1, PcGammaMixture, PcPrecision,
    PcWeibull, Prior, Tabulated, invalid,
};
use crate::error::GmrfError;
use crate::hyperparameter::Transform;
use crate::suggestion::did_you_mean;

/// The names of the priors; `pc` belongs to the mixing parameter of bym2 alone, whose model makes it.
pub const NAMES: [&str; 17] = [
    "pc.prec",
    "loggamma",
    "normal",
    "gaussian",
    "pc.cor0",
    "pc.cor1",
    "pc.mgamma",
    "pc.alphaw",
    "logitbeta",
    "betacorrelation",
    "uniform",
    "logtnormal",
    "flat",
    "logflat",
    "logiflat",
    "table",
    "pc",
];

/// The prior `name(arguments…)` of a hyperparameter reported through `transform`.
///
/// # Errors
/// [`GmrfError::InvalidPrior`] for an unknown name (the nearest known one is named), a wrong number of arguments, or
/// arguments out of range.
pub fn from_name(name: &str, arguments: &[f64], transform: Transform) -> Result<Arc<dyn Prior>, GmrfError> {
    let two = || match arguments {
        &[a, b] => Ok((a, b)),
        _ => Err(invalid(name, format!("two arguments are needed, {} given", arguments.len()))),
    };
    let one = || match arguments {
        &[rate] => Ok(rate),
        _ => Err(invalid(name, format!("one argument is needed, {} given", arguments.len()))),
    };
    let none = |prior: Improper| {
        if arguments.is_empty() { Ok(Arc::new(prior)) } else { Err(invalid(name, "it takes no argument")) }
    };
    let on = |needed: Transform, what: &str| match transform == needed {
        true => Ok(()),
        false => Err(invalid(name, format!("this prior is for a {what}; use another one for this hyperparameter"))),
    };
    let on_precision = || on(Transform::Exp, "precision");
    let on_correlation = || on(Transform::Correlation, "correlation");
    let on_shape = || on(Transform::Exp, "positive shape");
    Ok(match name {
        "pc.prec" => {
            on_precision()?;
            two().and_then(|(u, alpha)| PcPrecision::new(u, alpha)).map(Arc::new)?
        }
        "logtnormal" => {
            on_precision()?;
            two().and_then(|(mean, precision)| LogTNormal::new(mean, precision)).map(Arc::new)?
        }
        "loggamma" => two().and_then(|(shape, rate)| LogGamma::new(shape, rate)).map(Arc::new)?,
        "normal" | "gaussian" => two().and_then(|(mean, precision)| Normal::new(mean, precision)).map(Arc::new)?,
        "pc.cor0" => {
            on_correlation()?;
            two().and_then(|(u, alpha)| PcCorrelation0::new(u, alpha)).map(Arc::new)?
        }
        "pc.cor1" => {
            on_correlation()?;
            two().and_then(|(u, alpha)| PcCorrelation1::new(u, alpha)).map(Arc::new)?
        }
        "pc.mgamma" => on_shape().and_then(|()| one()).and_then(PcGammaMixture::new).map(Arc::new)?,
        "pc.alphaw" => on_shape().and_then(|()| one()).and_then(PcWeibull::new).map(Arc::new)?,
        "logitbeta" => two().and_then(|(a, b)| BetaOn::new("logitbeta", a, b, transform)).map(Arc::new)?,
        "betacorrelation" => two().and_then(|(a, b)| BetaOn::new("betacorrelation", a, b, transform)).map(Arc::new)?,
        "uniform" if arguments.is_empty() => Arc::new(BetaOn::new("uniform", 1.0, 1.0, transform)?),
        "uniform" => return Err(invalid(name, "it takes no argument: it is uniform on the whole range")),
        "flat" => none(Improper::FLAT)?,
        "logflat" => none(Improper::LOG_FLAT)?,
        "logiflat" => none(Improper::LOG_IFLAT)?,
        "table" => {
            let column = |start: usize| arguments.iter().skip(start).step_by(2).copied().collect();
            Arc::new(Tabulated::new(column(0), column(1))?)
        }
        "pc" => return Err(invalid(name, "only phi of a bym2 effect has this prior")),
        _ => {
            let reason = format!("there is no such prior{}; known are {}", did_you_mean(name, NAMES), NAMES.join(", "));
            return Err(invalid(name, reason));
        }
    })
}
