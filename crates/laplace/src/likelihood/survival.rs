//! Times to an event with the hazard `α t^{α−1} e^η`: Weibull (`θ = log α`), or exponential (`α = 1`); censored and truncated.
//!
//! With `H(t) = e^η t^α` and entry at `t₀`: an event gives `log h(t) − H(t) + H(t₀)`, right censoring `−H(t) + H(t₀)`, left censoring
//! `log(1 − e^{−(H(t) − H(t₀))})`, an interval `−H(t) + H(t₀) + log(1 − e^{−(H(u) − H(t))})`.

use gmrf::HyperparameterBlock;

use super::data;
use super::from_density::{FromDensity, LogDensity, MOST_COMMON};
use super::jet::Real;
use crate::error::LaplaceError;
use crate::link::Link;

/// What is known of one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Censoring {
    /// The event happened at the time.
    Event,
    /// It had not happened by the time.
    Right,
    /// It had happened by the time.
    Left,
    /// It happened between the time and this later one.
    Interval(f64),
}

impl Censoring {
    /// From the code that survival data use: 0 right censored, 1 event, 2 left censored, 3 censored between the time and `upper`.
    ///
    /// # Errors
    /// What is wrong with the code, in words.
    pub fn from_code(code: f64, upper: Option<f64>) -> Result<Self, String> {
        match (code, upper) {
            (0.0, _) => Ok(Self::Right),
            (1.0, _) => Ok(Self::Event),
            (2.0, _) => Ok(Self::Left),
            (3.0, Some(upper)) => Ok(Self::Interval(upper)),
            (3.0, None) => Err("an interval (event 3) needs its end: give the column time2".to_owned()),
            _ => Err(format!("the event is {code}; it is 0 (right censored), 1 (event), 2 (left) or 3 (interval)")),
        }
    }
}

/// Times to an event.
#[derive(Debug)]
pub struct Survival {
    times: Vec<f64>,
    censoring: Vec<Censoring>,
    /// `log t` and `log t₀`.
    logs: Vec<(f64, f64)>,
    /// Whether the shape is a hyperparameter.
    weibull: bool,
}

impl Survival {
    /// From positive times (NaN is missing), what is known of each (`None`: all are events), times of entry (`None`: 0), and the block of
    /// `log α`; without it the times are exponential.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::LengthMismatch`].
    pub fn likelihood(
        times: &[f64],
        censoring: Option<&[Censoring]>,
        entries: Option<&[f64]>,
        shape: Option<HyperparameterBlock>,
    ) -> Result<FromDensity<Self>, LaplaceError> {
        let family = if shape.is_some() { "weibull" } else { "exponential" };
        let times = data::responses(family, times, data::positive_response)?;
        let (events, zeros) = (vec![Censoring::Event; times.len()], vec![0.0; times.len()]);
        let (censoring, entries) = (censoring.unwrap_or(&events), entries.unwrap_or(&zeros));
        crate::model::expect_length("censoring", times.len(), censoring.len())?;
        crate::model::expect_length("times of entry", times.len(), entries.len())?;
        for (row, time) in times.iter().enumerate().filter(|(_, time)| !time.is_nan()) {
            let refused = |reason: String| Err(LaplaceError::InvalidObservation { family, row, reason });
            if !(entries[row] >= 0.0 && entries[row] < *time) {
                return refused(format!("it entered at {}, which is not before its time {time}", entries[row]));
            }
            if let Censoring::Interval(upper) = censoring[row]
                && !(upper > *time && upper.is_finite())
            {
                return refused(format!("its interval ends at {upper}, which is not after its start {time}"));
            }
        }
        let logs = times.iter().zip(entries).map(|(time, entry)| (time.ln(), entry.ln())).collect();
        let density = Self { times, censoring: censoring.to_vec(), logs, weibull: shape.is_some() };
        FromDensity::new(density, Link::Log, shape.into_iter().collect())
    }
}

/// `H(t)` of `log t`, zero at `t = 0`.
fn hazard<R: Real>(eta: R, shape: R, log_time: f64) -> R {
    if log_time == f64::NEG_INFINITY { R::constant(0.0) } else { (eta + shape * log_time).exp() }
}

impl LogDensity for Survival {
    fn family(&self) -> &'static str {
        if self.weibull { "weibull" } else { "exponential" }
    }

    fn len(&self) -> usize {
        self.times.len()
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.times[row].is_nan()
    }

    /// `log α` and `α`.
    fn common<R: Real>(&self, theta: &[R]) -> [R; MOST_COMMON] {
        let zero = R::constant(0.0);
        let log_shape = if self.weibull { theta[0] } else { zero };
        [log_shape, log_shape.exp(), zero, zero]
    }

    fn log_density<R: Real>(&self, row: usize, eta: R, &[log_shape, shape, ..]: &[R; MOST_COMMON]) -> R {
        let (log_time, log_entry) = self.logs[row];
        let passed = hazard(eta, shape, log_time);
        let before = hazard(eta, shape, log_entry);
        match self.censoring[row] {
            Censoring::Event => log_shape + (shape - 1.0) * log_time + eta - passed + before,
            Censoring::Right => before - passed,
            Censoring::Left => (passed - before).ln_1m_exp_neg(),
            Censoring::Interval(upper) => before - passed + (hazard(eta, shape, upper.ln()) - passed).ln_1m_exp_neg(),
        }
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let shape = if self.weibull { theta[0].exp() } else { 1.0 };
        let (log_time, log_entry) = self.logs[row];
        let passed = hazard(eta, shape, log_time) - hazard(eta, shape, log_entry);
        // of a censored time only bounds are known
        (self.censoring[row] == Censoring::Event).then(|| -(-passed).exp_m1())
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        Some(-self.times[row].ln())
    }

    fn response_grows(&self) -> Option<bool> {
        Some(false)
    }
}
