//! Which entries of the matrix go where in each panel: a panel is filled just before its elimination, while it is near the core.

use std::ops::Range;

use super::Parallelism;

/// The entries of every supernode's panel. Their sources are the values of the precision in pattern order, then what the
/// constraints add.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// Where the entries of each supernode start, and an end.
    starts: Vec<usize>,
    /// Source and place in the panel: 32 bits hold those of every panel that a factor of 34 GB has.
    entries: Vec<(u32, u32)>,
}

impl Assembly {
    /// Of `sources`, each a row and a column of the factor in its lower triangle, `order` columns in all; `panels` gives the columns and
    /// the length of each panel. `place` tells where in it a source belongs, asked column by column, and within one in the order of the
    /// sources; sources and places are below [`MOST`].
    pub(super) fn new(
        panels: impl Iterator<Item = (Range<usize>, usize)>,
        order: usize,
        sources: impl Iterator<Item = (usize, usize)> + Clone,
        mut place: impl FnMut(usize, usize, (usize, usize)) -> usize,
    ) -> Self {
        // the start of each column, moved on to its end as the column fills
        let mut next = vec![0; order + 1];
        sources.clone().for_each(|(_, column)| next[column + 1] += 1);
        for column in 0..order {
            next[column + 1] += next[column];
        }
        let mut entries = vec![(0, 0); next[order]];
        sources.enumerate().for_each(|(source, (row, column))| {
            entries[next[column]] = (source as u32, row as u32);
            next[column] += 1;
        });
        let (mut starts, mut at) = (vec![0], 0);
        for (s, (columns, length)) in panels.enumerate() {
            let start = at;
            for column in columns {
                for (source, row) in &mut entries[at..next[column]] {
                    *row = place(s, *source as usize, (*row as usize, column)) as u32;
                }
                at = next[column];
            }
            if length >= 2 * LARGE {
                // for their pieces, those of one place in the order of their sources
                entries[start..at].sort_unstable_by_key(|&(source, place)| (place, source));
            }
            starts.push(at);
        }
        Self { starts, entries }
    }

    /// Fills the panel of supernode `s` from the precision's values and what lies beyond them.
    #[inline(always)]
    pub(super) fn fill(
        &self,
        s: usize,
        (values, extra): (&[f64], &[f64]),
        panel: &mut [f64],
        parallelism: Parallelism,
    ) {
        let entries = &self.entries[self.starts[s]..self.starts[s + 1]];
        // most panels are small: they are not searched
        if parallelism == Parallelism::Sequential || panel.len() < 2 * LARGE {
            return add(entries, (values, extra), 0, panel);
        }
        parallelism.pieces(panel, (1, LARGE), &|start, piece| {
            let from = entries.partition_point(|&(_, place)| (place as usize) < start);
            let to = entries.partition_point(|&(_, place)| (place as usize) < start + piece.len());
            add(&entries[from..to], (values, extra), start, piece);
        });
    }
}

/// Fewer sources, and fewer entries of a panel, are told apart.
pub(super) const MOST: usize = u32::MAX as usize;

/// Entries of a panel that are worth a thread.
const LARGE: usize = 50_000;

/// Clears a piece of a panel that starts at `start` and adds its entries.
#[inline(always)]
fn add(entries: &[(u32, u32)], (values, extra): (&[f64], &[f64]), start: usize, piece: &mut [f64]) {
    piece.fill(0.0);
    for &(source, place) in entries {
        let (source, place) = (source as usize, place as usize);
        piece[place - start] += if source < values.len() { values[source] } else { extra[source - values.len()] };
    }
}

#[cfg(test)]
mod tests {
    use super::{Assembly, Parallelism};

    #[test]
    fn sources_are_added_up_in_their_panels() {
        // panels of 3 and 2 values; the last source adds to the place of the first
        let sources = [(2, 1), (0, 0), (1, 1), (2, 1)];
        let mut asked = Vec::new();
        let place = |supernode: usize, source: usize, (row, column): (usize, usize)| {
            asked.push((supernode, source));
            row - column
        };
        let assembly = Assembly::new([(0..1, 3), (1..2, 2)].into_iter(), 2, sources.into_iter(), place);
        assert_eq!(asked, [(0, 1), (1, 0), (1, 2), (1, 3)]);
        let (values, extra) = ([1.0, 2.0, 3.0], [10.0]);
        let (mut first, mut second) = ([7.0; 3], [7.0; 2]);
        assembly.fill(0, (&values, &extra), &mut first, Parallelism::Sequential);
        assembly.fill(1, (&values, &extra), &mut second, Parallelism::Sequential);
        assert_eq!((first, second), ([2.0, 0.0, 0.0], [3.0, 11.0]));
    }
}
