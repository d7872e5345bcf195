//! Rows without a response: linear combinations of the latent field whose posterior is asked for.

use std::ops::Range;

use gmrf::HyperparameterBlock;

use super::{Derivatives, Likelihood, Order};
use crate::error::LaplaceError;
use crate::link::Link;

/// `ℓ ≡ 0` in every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unobserved {
    rows: usize,
}

impl Unobserved {
    /// So many rows.
    pub fn new(rows: usize) -> Self {
        Self { rows }
    }
}

impl Likelihood for Unobserved {
    fn family(&self) -> &'static str {
        "unobserved"
    }

    fn len(&self) -> usize {
        self.rows
    }

    fn link(&self) -> Link {
        Link::Identity
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &[]
    }

    fn is_observed(&self, _row: usize) -> bool {
        false
    }

    fn is_gaussian(&self) -> bool {
        true
    }

    fn evaluate(
        &self,
        _theta: &[f64],
        rows: Range<usize>,
        _eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        let n = rows.len();
        out.value[..n].fill(0.0);
        if order >= Order::Second {
            out.first[..n].fill(0.0);
            out.second[..n].fill(0.0);
        }
        if order >= Order::Fourth {
            out.third[..n].fill(0.0);
            out.fourth[..n].fill(0.0);
        }
        Ok(())
    }

    fn cumulative(&self, _theta: &[f64], _row: usize, _eta: f64) -> Option<f64> {
        None
    }

    fn initial_predictor(&self, _row: usize) -> Option<f64> {
        None
    }
}
