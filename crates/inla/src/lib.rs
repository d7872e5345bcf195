//! inla
