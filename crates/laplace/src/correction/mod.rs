//! What lies beyond the Gaussian at the mode: the shift of the mean, the third cumulants, the normalising constant.

mod cumulants;
mod moments;
mod one_loop;
mod profile;

pub use moments::{Cavity, Correction, Moment, Moments, SecondOrder, ThirdOrder};
