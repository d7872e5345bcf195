//! The algebraic connectivity of a graph (Fiedler 1973): the least eigenvalue of its Laplacian that is not zero.

use crate::cholesky::CholeskyFactor;
use crate::error::GmrfError;

/// Steps of the inverse iteration: the estimate only has to have the right size.
const STEPS: usize = 6;

/// An estimate from above of the connectivity of the least connected component, by inverse iteration with a factor of the Laplacian and
/// a multiple `shift` of the identity; `None` if no component has two nodes. Cost: six solves.
///
/// # Errors
/// Those of [`CholeskyFactor::solve_in_place`].
pub(super) fn connectivity(
    (factor, shift): (&CholeskyFactor, f64),
    components: &[Vec<usize>],
) -> Result<Option<f64>, GmrfError> {
    let mut work = vec![0.0; factor.work_length()];
    // any vector that is not orthogonal to what is sought: fractional parts of multiples of the golden section
    let mut x: Vec<f64> =
        (1..=factor.symbolic().order()).map(|i| (i as f64 * 0.618_033_988_749_894_9).fract() - 0.5).collect();
    let mut inverse = 0.0;
    for _ in 0..STEPS {
        centre(&mut x, components);
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm == 0.0 {
            return Ok(None);
        }
        x.iter_mut().for_each(|x| *x /= norm);
        let before = x.clone();
        factor.solve_in_place(&mut x, &mut work)?;
        inverse = x.iter().zip(&before).map(|(x, before)| x * before).sum();
    }
    Ok(Some(1.0 / inverse - shift).filter(|gap| gap.is_finite() && *gap > 0.0))
}

/// Takes the mean off every component.
fn centre(x: &mut [f64], components: &[Vec<usize>]) {
    for component in components {
        let mean = component.iter().map(|&i| x[i]).sum::<f64>() / component.len() as f64;
        component.iter().for_each(|&i| x[i] -= mean);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // what fails in a helper fails the test
    use super::*;
    use crate::graph::Graph;
    use crate::latent::areal::laplacian;
    use crate::{LinearConstraints, SymbolicFactor};

    fn of(order: usize, edges: impl Iterator<Item = (usize, usize)>) -> Option<f64> {
        let graph = Graph::from_edges(order, edges).unwrap();
        let (pattern, mut values) = laplacian(&graph).unwrap();
        let shift = 1e-6;
        (0..order).for_each(|j| values[pattern.column_start(j)] += shift);
        let symbolic = SymbolicFactor::analyze(&pattern, &LinearConstraints::none(order)).unwrap();
        let mut factor = CholeskyFactor::new(symbolic);
        factor.refactor(&values).unwrap();
        connectivity((&factor, shift), &graph.components()).unwrap()
    }

    #[test]
    fn paths_and_their_unions_have_the_connectivity_of_the_longest() {
        let path = |n: usize| 4.0 * (0.5 * std::f64::consts::PI / n as f64).sin().powi(2);
        // an estimate: a tenth will do
        let gap = of(200, (1..200).map(|i| (i, i - 1))).unwrap();
        assert!((gap / path(200) - 1.0).abs() < 0.1, "{gap} {}", path(200));
        let gap = of(60, (1..40).chain(41..59).map(|i| (i, i - 1))).unwrap();
        assert!((gap / path(40) - 1.0).abs() < 0.1, "{gap} {}", path(40));
        assert!(of(5, std::iter::empty()).is_none());
    }
}
