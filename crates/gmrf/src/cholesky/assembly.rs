//! Which entries of the matrix go where in each panel: a panel is filled just before its elimination, while it is near the core.

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
        Self { starts, entries }
    }

    /// Fills the panel of supernode `s` from the precision's values and what lies beyond them.
    #[inline(always)]
    pub(super) fn fill(&self, s: usize, (values, extra): (&[f64], &[f64]), panel: &mut [f64]) {
        panel.fill(0.0);
        for &(source, place) in &self.entries[self.starts[s]..self.starts[s + 1]] {
            panel[place] += if source < values.len() { values[source] } else { extra[source - values.len()] };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Assembly;

    #[test]
    fn sources_are_added_up_in_their_panels() {
        // panels of 3 and 2 values; the last source adds to the place of the first
        let assembly = Assembly::new(&[0, 3], [4, 0, 3, 4].into_iter());
        let (values, extra) = ([1.0, 2.0, 3.0], [10.0]);
        let (mut first, mut second) = ([7.0; 3], [7.0; 2]);
        assembly.fill(0, (&values, &extra), &mut first);
        assembly.fill(1, (&values, &extra), &mut second);
        assert_eq!((first, second), ([2.0, 0.0, 0.0], [3.0, 11.0]));
    }
}
