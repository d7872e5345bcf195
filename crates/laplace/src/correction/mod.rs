//! What lies beyond the Gaussian at the mode: the shift of the mean, the third cumulants, the normalising constant.

mod conditional;
mod cumulants;
mod groups;
mod moments;
mod nearby;
mod one_loop;
mod profile;

pub(crate) use conditional::Conditional;
pub use conditional::{Determinant, Held};
pub(crate) use moments::second_order;
pub use moments::{Cavity, Correction, Moment, Moments, SecondOrder, ThirdOrder};
pub(crate) use one_loop::OneLoop;
