//! The signed Cholesky factor of a precision matrix under exact linear constraints.
//!
//! For `K = [[Q, Cᵀ], [C, 0]]` in an order in which each multiplier stands just before the node that its constraint
//! determines, `P K Pᵀ = L S Lᵀ` with `S` diagonal, `+1` at nodes and `−1` at multipliers. `Q` itself may be singular, as
//! long as it is positive definite on `ker C`. The node block of `K⁻¹` is the constrained covariance, and
//! `log |VᵀQV| = 2 Σ log l_jj − log |C Cᵀ|` for an orthonormal basis `V` of `ker C`.
//!
//! The factor is multifrontal and supernodal (Duff and Reid 1983; Liu 1992): one dense panel a supernode, its update
//! handed to the parent.

mod assembly;
mod block_substitution;
pub(crate) mod dense;
pub(crate) mod elimination;
mod kkt;
mod multifrontal;
mod numeric;
mod parallelism;
mod prefetch;
pub(crate) mod schedule;
mod solve;
mod speed_up;
mod substitution;
pub(crate) mod supernodes;
mod symbolic;
pub(crate) mod vector;

pub use numeric::CholeskyFactor;
pub use parallelism::Parallelism;
pub use symbolic::SymbolicFactor;
