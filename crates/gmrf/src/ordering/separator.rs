//! Vertex separators on a hierarchy of graphs: found where it is coarse, refined where it is fine.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::hierarchy::{Hierarchy, Level};
use super::sweep::{Merit, SEPARATOR, Sweep};

/// Share of the weight that one side may have. Much room finds narrow separators, around corners; too much leaves trees that threads
/// share badly and takes more levels.
const LARGEST: f64 = 0.7;

/// Finds separators, with room that serves one part after the other.
#[derive(Default)]
pub(super) struct Separators {
    sweep: Sweep,
    /// Nodes in the order in which a growing side reached them.
    reached: Vec<u32>,
}

/// What a part is given: a good separator saves more where it is large.
struct Effort {
    /// Sides that are grown.
    tries: usize,
    /// Separators that are refined side by side, as which will be the narrowest shows late.
    kept: usize,
}

impl Effort {
    fn worth(nodes: usize) -> Self {
        let (tries, kept) = match nodes {
            ..=1500 => (2, 2),
            1501..=6000 => (4, 4),
            6001..=25_000 => (6, 4),
            _ => (8, 4),
        };
        Self { tries, kept }
    }
}

struct Candidate {
    merit: Merit,
    weights: [i64; 3],
    sides: Vec<u8>,
}

impl Separators {
    /// The side of each node of the finest graph. Both sides have nodes, unless nothing separates the graph.
    pub(super) fn find(&mut self, hierarchy: &Hierarchy) -> Vec<u8> {
        let Some((coarsest, finer)) = hierarchy.levels.split_last() else { return Vec::new() };
        let total: i64 = coarsest.weights.iter().map(|&weight| i64::from(weight)).sum();
        self.sweep.limit = (LARGEST * total as f64) as i64;
        let mut random = ChaCha8Rng::seed_from_u64(total as u64);
        let effort = Effort::worth(hierarchy.finest().len());
        let mut candidates: Vec<Candidate> = (0..effort.tries)
            .map(|attempt| {
                self.sweep.weights = [0, total, 0];
                self.grow(coarsest, attempt % 2 == 0, &mut random);
                self.sweep.refine(coarsest);
                self.candidate()
            })
            .collect();
        keep(&mut candidates, effort.kept);
        for level in finer.iter().rev() {
            for candidate in &mut candidates {
                self.sweep.weights = candidate.weights;
                self.sweep.project(level, &candidate.sides);
                self.sweep.refine(level);
                *candidate = self.candidate();
            }
        }
        keep(&mut candidates, 1);
        candidates.pop().map(|best| best.sides).unwrap_or_default()
    }

    fn candidate(&mut self) -> Candidate {
        let sides = std::mem::take(&mut self.sweep.side);
        Candidate { merit: self.sweep.merit(), weights: self.sweep.weights, sides }
    }

    /// A side that grows from one node outwards while it may, then shrinks to where its front was best. All weight is on side one before.
    fn grow(&mut self, level: &Level, from_afar: bool, random: &mut ChaCha8Rng) {
        let mut seed = random.random_range(0..level.len());
        if from_afar {
            seed = farthest(level, farthest(level, seed));
        }
        let sweep = &mut self.sweep;
        sweep.side.clear();
        sweep.side.resize(level.len(), 1);
        self.reached.clear();
        let (mut best, mut inside, mut front) = (None, 0, 0..0);
        while sweep.weights[0] <= sweep.limit {
            if inside == self.reached.len() {
                // the component is used up, or nothing is reached yet
                let from = if inside == 0 { seed } else { random.random_range(0..level.len()) };
                let mut others = (from..level.len()).chain(0..from);
                let Some(other) = others.find(|&k| sweep.side[k] == 1) else { break };
                sweep.change(level, other as u32, 1, SEPARATOR);
                self.reached.push(other as u32);
            }
            let node = self.reached[inside];
            inside += 1;
            sweep.change(level, node, SEPARATOR, 0);
            for &other in level.of(node as usize) {
                if sweep.side[other as usize] == 1 {
                    sweep.change(level, other, 1, SEPARATOR);
                    self.reached.push(other);
                }
            }
            let merit = sweep.merit();
            if best.is_none_or(|best| merit < best) {
                (best, front) = (Some(merit), inside..self.reached.len());
            }
        }
        for (k, &node) in self.reached.iter().enumerate().skip(front.start) {
            sweep.change(level, node, sweep.side[node as usize], if k < front.end { SEPARATOR } else { 1 });
        }
        sweep.list();
    }
}

/// Keeps the best candidates, and of those that look the same the first.
fn keep(candidates: &mut Vec<Candidate>, most: usize) {
    candidates.sort_by_key(|candidate| candidate.merit);
    candidates.dedup_by_key(|candidate| candidate.merit);
    candidates.truncate(most);
}

/// One of the nodes farthest from another in its component.
fn farthest(level: &Level, from: usize) -> usize {
    let mut seen = vec![false; level.len()];
    seen[from] = true;
    let mut queue = vec![from];
    let mut next = 0;
    while next < queue.len() {
        for other in level.of(queue[next]).iter().map(|&k| k as usize) {
            if !std::mem::replace(&mut seen[other], true) {
                queue.push(other);
            }
        }
        next += 1;
    }
    queue[queue.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::{SEPARATOR, Separators};
    use crate::ordering::Adjacency;
    use crate::ordering::hierarchy::Hierarchy;
    use crate::ordering::hierarchy::tests::lattice;
    use crate::ordering::sweep::tests::check;

    fn found(n: usize, edges: &[(usize, usize)]) -> [usize; 3] {
        let hierarchy = Hierarchy::new(&Adjacency::from_entries(n, edges.iter().copied()), &vec![1; n]).unwrap();
        let sides = Separators::default().find(&hierarchy);
        check(hierarchy.finest(), &sides);
        [0, 1, SEPARATOR].map(|side| sides.iter().filter(|&&own| own == side).count())
    }

    #[test]
    fn lattices_are_cut_across_or_around_a_corner() {
        for side in [25, 40, 64] {
            let [left, right, separator] = found(side * side, &lattice(side));
            // a diagonal around three tenths of the nodes has 0.78 of a side's
            assert!(separator <= side, "{separator} of {side}");
            assert!(left.max(right) * 10 <= side * side * 7);
        }
    }

    #[test]
    fn what_is_in_two_needs_no_separator() {
        let one = lattice(20);
        let two: Vec<(usize, usize)> = one.iter().flat_map(|&(i, j)| [(i, j), (i + 400, j + 400)]).collect();
        assert_eq!(found(800, &two), [400, 400, 0]);
        let [left, right, separator] = found(700, &[]);
        assert!(separator == 0 && left.max(right) <= 490);
    }

    #[test]
    fn a_complete_graph_has_one_side() {
        let complete: Vec<(usize, usize)> = (0..150).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        let [left, right, _] = found(150, &complete);
        assert_eq!(left.min(right), 0);
    }
}
