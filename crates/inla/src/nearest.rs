//! The nearest known name, for errors about a name that is not known.

use crate::error::InlaError;

/// Names longer than this are compared by their first characters only, which bounds the cost on hostile input.
const LONGEST_COMPARED: usize = 64;

/// The number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, letter case ignored.
///
/// Cost is the product of the lengths, each counted up to 64 characters.
/// Optimal string alignment: a swapped pair counts once and is not edited again.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let characters = |s: &str| s.chars().flat_map(char::to_lowercase).take(LONGEST_COMPARED).collect::<Vec<char>>();
    let (a, b) = (characters(a), characters(b));
    let mut before = vec![0; b.len() + 1];
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut current = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            current[j] = replaced.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                current[j] = current[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

/// The known name nearest to `name`, the first of equals; `None` if no name is nearer than half of the longer one.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, best) = known.into_iter().map(|k| (edit_distance(name, k), k)).min_by_key(|&(d, _)| d)?;
    let longer = name.chars().count().max(best.chars().count());
    (2 * distance <= longer).then_some(best)
}

/// Checks the keys that were given for `place` (such as `[fit]` or `effect "u" (model bym2)`) against the known ones.
///
/// # Errors
/// [`InlaError::UnknownOption`] with the first key that is not known, the nearest known one and all known ones.
pub fn check_keys<'a>(place: &str, given: impl IntoIterator<Item = &'a str>, known: &[&str]) -> Result<(), InlaError> {
    for key in given {
        if !known.contains(&key) {
            return Err(InlaError::UnknownOption {
                place: place.to_owned(),
                option: key.to_owned(),
                nearest: nearest(key, known.iter().copied()).map(str::to_owned),
                known: known.iter().map(|&k| k.to_owned()).collect(),
            });
        }
    }
    Ok(())
}

/// Checks one name, of a family, a link, a latent model or a prior, against the known ones.
///
/// # Errors
/// [`InlaError::UnknownName`] with the nearest known name and all known ones.
pub fn check_name(kind: &'static str, name: &str, known: &[&str]) -> Result<(), InlaError> {
    if known.contains(&name) {
        return Ok(());
    }
    Err(InlaError::UnknownName {
        kind,
        name: name.to_owned(),
        nearest: nearest(name, known.iter().copied()).map(str::to_owned),
        known: known.iter().map(|&k| k.to_owned()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_edits_and_swaps_without_regard_to_case() {
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("gropu", "group"), 1);
        assert_eq!(edit_distance("Trials", "trials"), 0);
    }

    #[test]
    fn the_nearest_name_is_close_or_absent() {
        assert_eq!(nearest("poison", ["binomial", "poisson"]), Some("poisson"));
        assert_eq!(nearest("zzz", ["binomial", "poisson"]), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn an_unknown_key_names_itself_and_the_nearest() {
        let error = check_keys("[fit]", ["threads", "integratoin"], &["integration", "threads"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("\"integratoin\"") && text.contains("did you mean \"integration\""), "{text}");
        assert!(check_keys("[fit]", ["threads"], &["integration", "threads"]).is_ok());
    }

    #[test]
    fn very_long_names_cost_no_more_than_their_beginning() {
        let long = "x".repeat(10_000_000);
        assert!(edit_distance(&long, &long) == 0);
    }
}
