//! The mode at a point of a lattice from those at points in line with it.

use std::collections::BTreeMap;

/// Points in line that are used at most: with four the third differences are carried on.
const MOST: usize = 4;
/// Fewer say too little.
const FEWEST: usize = 3;

/// The value at `index` of the polynomial through the values nearest to it in line, of the longest line there is; `None` if there is
/// none. The first and shortest direction counts of several that are equal.
pub(crate) fn extrapolated<'v>(
    known: impl Fn(&[i32]) -> Option<&'v [f64]>,
    index: &[i32],
    directions: &[Vec<i32>],
) -> Option<Vec<f64>> {
    let mut longest: Vec<&[f64]> = Vec::new();
    for direction in directions {
        let at = |k: usize| index.iter().zip(direction).map(|(i, d)| i - k as i32 * d).collect::<Vec<i32>>();
        let line: Vec<&[f64]> = (1..=MOST).map_while(|k| known(&at(k))).collect();
        if line.len() > longest.len() {
            longest = line;
        }
    }
    if longest.len() < FEWEST {
        return None;
    }
    let weights: &[f64] = if longest.len() == MOST { &[4.0, -6.0, 4.0, -1.0] } else { &[3.0, -3.0, 1.0] };
    let value = |i: usize| longest.iter().zip(weights).map(|(values, weight)| weight * values[i]).sum();
    Some((0..longest[0].len()).map(value).collect())
}

/// The vectors with entries of −1, 0 and 1, and twice them, by length.
pub(crate) fn directions(dimension: usize) -> Vec<Vec<i32>> {
    let mut units = vec![Vec::new()];
    for _ in 0..dimension {
        units = units.into_iter().flat_map(|d: Vec<i32>| [0, -1, 1].map(|e| [d.as_slice(), &[e]].concat())).collect();
    }
    let mut out: Vec<Vec<i32>> =
        units.iter().flat_map(|d| [1, 2].map(|by| d.iter().map(|e| by * e).collect())).collect();
    out.retain(|d| d.iter().any(|&e| e != 0));
    out.sort_by_key(|d| d.iter().map(|e| e * e).sum::<i32>());
    out
}

/// What is known at points of a lattice.
pub(crate) type Known<T> = BTreeMap<Vec<i32>, T>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_carried_on_along_the_longest_line() {
        let value = |i: i32, j: i32| f64::from(i * i * i - i * j + 2 * j);
        let mut known: Known<Vec<f64>> = Known::new();
        for i in 0..4 {
            known.insert(vec![i, 0], vec![value(i, 0), 1.0]);
            known.insert(vec![2 * i, 1], vec![value(2 * i, 1), 1.0]);
        }
        let at = |index: &[i32]| extrapolated(|i| known.get(i).map(Vec::as_slice), index, &directions(2));
        assert_eq!(at(&[4, 0]), Some(vec![value(4, 0), 1.0]));
        // every second point
        assert_eq!(at(&[8, 1]), Some(vec![value(8, 1), 1.0]));
        assert_eq!(at(&[5, 5]), None);
    }
}
