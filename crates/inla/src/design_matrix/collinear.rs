//! Columns that are linear combinations of others.

/// A column whose part outside the span of the columns before it is shorter than this part of its own length is taken to be in
/// that span. Twice orthogonalised columns carry errors of a few `n ε ≤ 1e-10`, for up to a million rows; data that are rounded
/// to seven digits and are collinear before rounding stay below it.
const TOLERANCE: f64 = 1e-7;

/// A column that the columns before it determine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependence {
    /// The column.
    pub column: usize,
    /// The columns of which it is a linear combination, ascending; none for a column of zeros.
    pub on: Vec<usize>,
}

/// The columns that are linear combinations of columns before them, within a relative tolerance of 1e-7.
///
/// The remaining columns are linearly independent. A column with a value that is not finite depends on nothing.
/// Gram–Schmidt with one reorthogonalisation on the columns as they stand, cost `O(n p²)`, memory `O(n p)`.
pub fn collinear_columns(columns: &[Vec<f64>]) -> Vec<Dependence> {
    let mut basis: Vec<Basis> = Vec::new();
    let mut dependences = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        // Scaling by the largest value keeps squares from overflow.
        let scale = column.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
        if column.iter().any(|v| !v.is_finite()) {
            continue;
        }
        if scale == 0.0 {
            dependences.push(Dependence { column: index, on: Vec::new() });
            continue;
        }
        let mut residual: Vec<f64> = column.iter().map(|v| v / scale).collect();
        let length = norm(&residual);
        residual.iter_mut().for_each(|v| *v /= length);
        let mut coefficients = vec![0.0; basis.len()];
        for _ in 0..2 {
            for (direction, coefficient) in basis.iter().zip(&mut coefficients) {
                let product = dot(&direction.values, &residual);
                *coefficient += product;
                residual.iter_mut().zip(&direction.values).for_each(|(r, d)| *r -= product * d);
            }
        }
        let rest = norm(&residual);
        if rest < TOLERANCE {
            dependences.push(Dependence { column: index, on: combination(&basis, coefficients) });
        } else {
            residual.iter_mut().for_each(|v| *v /= rest);
            basis.push(Basis { column: index, values: residual, coefficients, diagonal: rest });
        }
    }
    dependences
}

/// One column of the triangular decomposition: `columnⱼ / |columnⱼ| = Σ coefficientᵢ basisᵢ + diagonal basisⱼ`.
struct Basis {
    column: usize,
    values: Vec<f64>,
    coefficients: Vec<f64>,
    diagonal: f64,
}

/// The columns that enter `Σ rᵢ basisᵢ` once the basis is written in terms of the columns, by backward substitution.
fn combination(basis: &[Basis], mut r: Vec<f64>) -> Vec<usize> {
    /// Coefficients of unit columns below this are rounding errors of the ones that are not.
    const NEGLIGIBLE: f64 = 1e-6;
    let mut on = Vec::new();
    for (index, direction) in basis.iter().enumerate().rev() {
        let weight = r[index] / direction.diagonal;
        r.iter_mut().zip(&direction.coefficients).for_each(|(r, c)| *r -= weight * c);
        if weight.abs() > NEGLIGIBLE {
            on.push(direction.column);
        }
    }
    on.reverse();
    on
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_constant_beside_an_intercept_and_a_sum_are_found() {
        let one = vec![1.0; 5];
        let x = vec![1.0, 2.0, 4.0, 3.0, 7.0];
        let z = vec![0.5, -1.0, 0.0, 2.0, 1e3];
        let sum: Vec<f64> = x.iter().zip(&z).map(|(x, z)| 1e9 * (x - 3.0 * z)).collect();
        let columns = [one, vec![1e-30; 5], x, vec![0.0; 5], z, sum];
        assert_eq!(
            collinear_columns(&columns),
            [
                Dependence { column: 1, on: vec![0] },
                Dependence { column: 3, on: vec![] },
                Dependence { column: 5, on: vec![2, 4] },
            ]
        );
    }

    #[test]
    fn more_columns_than_rows_depend() {
        let columns = [vec![1.0, 0.0], vec![1.0, 1.0], vec![3.0, -2.0]];
        assert_eq!(collinear_columns(&columns), [Dependence { column: 2, on: vec![0, 1] }]);
    }

    #[test]
    fn a_trend_far_from_zero_is_not_a_constant() {
        let years: Vec<f64> = (0..20).map(|i| 1990.0 + f64::from(i)).collect();
        assert!(collinear_columns(&[vec![1.0; 20], years]).is_empty());
        assert!(collinear_columns(&[vec![f64::MAX, f64::MIN], vec![f64::NAN, 1.0], vec![1e-300, 1e-300]]).is_empty());
    }

    proptest! {
        #[test]
        fn columns_of_a_triangular_matrix_are_independent_and_their_combinations_are_not(
            lower in proptest::collection::vec(-1.0_f64..1.0, 36),
            weights in proptest::collection::vec(0.5_f64..2.0, 6),
        ) {
            let mut columns: Vec<Vec<f64>> = (0..6)
                .map(|j| (0..6).map(|i| if i == j { 1.0 } else if i > j { lower[6 * i + j] } else { 0.0 }).collect())
                .collect();
            prop_assert!(collinear_columns(&columns).is_empty());
            columns.push((0..6).map(|i| (0..6).map(|j| weights[j] * columns[j][i]).sum()).collect());
            prop_assert_eq!(collinear_columns(&columns), [Dependence { column: 6, on: vec![0, 1, 2, 3, 4, 5] }]);
        }
    }
}
