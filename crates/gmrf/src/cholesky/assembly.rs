//! Which entries of the matrix go where in each panel: a panel is filled just before its elimination, while it is near the core.

use super::Parallelism;

/// The entries of every supernode's panel. Their sources are the values of the precision in pattern order, then what the
/// constraints add.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// Where the entries of each supernode start, and an end.
    starts: Vec<usize>,
    /// Source and place in the panel.
    entries: Vec<(usize, usize)>,
}

impl Assembly {
    /// From the place of every source among the values of `L`; panel `s` starts at `panels[s]`.
    pub(super) fn new(panels: &[usize], slots: impl Iterator<Item = usize> + Clone) -> Self {
        let owner = |slot: usize| panels.partition_point(|&start| start <= slot) - 1;
        let mut starts = vec![0; panels.len() + 1];
        slots.clone().for_each(|slot| starts[owner(slot) + 1] += 1);
        for s in 0..panels.len() {
            starts[s + 1] += starts[s];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0); starts[panels.len()]];
        for (source, slot) in slots.enumerate() {
            let s = owner(slot);
            entries[next[s]] = (source, slot - panels[s]);
            next[s] += 1;
        }
        for s in 0..panels.len() {
            // in the order of their places, those of one place in the order of their sources
            entries[starts[s]..starts[s + 1]].sort_by_key(|&(_, place)| place);
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
        if parallelism == Parallelism::Sequential || panel.len() < 2 * LARGE {
            return add(entries, (values, extra), 0, panel);
        }
        parallelism.pieces(panel, (1, LARGE), &|start, piece| {
            let from = entries.partition_point(|&(_, place)| place < start);
            let to = entries.partition_point(|&(_, place)| place < start + piece.len());
            add(&entries[from..to], (values, extra), start, piece);
        });
    }
}

/// Entries of a panel that are worth a thread.
const LARGE: usize = 50_000;

/// Clears a piece of a panel that starts at `start` and adds its entries.
#[inline(always)]
fn add(entries: &[(usize, usize)], (values, extra): (&[f64], &[f64]), start: usize, piece: &mut [f64]) {
    piece.fill(0.0);
    for &(source, place) in entries {
        piece[place - start] += if source < values.len() { values[source] } else { extra[source - values.len()] };
    }
}

#[cfg(test)]
mod tests {
    use super::{Assembly, Parallelism};

    #[test]
    fn sources_are_added_up_in_their_panels() {
        // panels of 3 and 2 values; the last source adds to the place of the first
        let assembly = Assembly::new(&[0, 3], [4, 0, 3, 4].into_iter());
        let (values, extra) = ([1.0, 2.0, 3.0], [10.0]);
        let (mut first, mut second) = ([7.0; 3], [7.0; 2]);
        assembly.fill(0, (&values, &extra), &mut first, Parallelism::Sequential);
        assembly.fill(1, (&values, &extra), &mut second, Parallelism::Sequential);
        assert_eq!((first, second), ([2.0, 0.0, 0.0], [3.0, 11.0]));
    }
}
