//! Coarser graphs by matching neighbours over heavy edges (Karypis and Kumar 1998).

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::hierarchy::{Level, NONE};

/// Multiple of the mean weight that two matched nodes may have together.
const HEAVIEST: f64 = 4.0;
/// Share of nodes left alone from which those beside the same neighbour are matched, as around a hub.
const LONELY: f64 = 0.1;

/// Pairs of nodes that become one.
pub(super) struct Matching {
    /// The number of the pair of each node, ascending with its first node.
    pub(super) coarser: Vec<u32>,
    /// How many there are, nodes alone included.
    pub(super) count: usize,
    partner: Vec<u32>,
}

impl Matching {
    /// Of a graph whose edges have these weights, all one if none are given: nodes in a random order, of few neighbours first, choose
    /// among those that are left.
    pub(super) fn of(level: &Level, edges: &[u32]) -> Self {
        let total: f64 = level.weights.iter().map(|&weight| f64::from(weight)).sum();
        let heaviest = (HEAVIEST * total / level.len() as f64) as u32;
        let mut partner = vec![NONE; level.len()];
        let mut lonely = Vec::new();
        for k in by_degree(level) {
            if partner[k as usize] != NONE {
                continue;
            }
            match chosen(level, edges, &partner, heaviest, k as usize) {
                NONE => lonely.push(k),
                other => (partner[k as usize], partner[other as usize]) = (other, k),
            }
        }
        if lonely.len() as f64 > LONELY * level.len() as f64 {
            match_around_hubs(level, &mut partner, heaviest, &lonely);
        }
        Self::numbered(partner)
    }

    fn numbered(partner: Vec<u32>) -> Self {
        let mut coarser = vec![NONE; partner.len()];
        let mut count = 0;
        for (k, &other) in partner.iter().enumerate() {
            if coarser[k] == NONE {
                coarser[k] = count;
                if other != NONE {
                    coarser[other as usize] = count;
                }
                count += 1;
            }
        }
        Self { coarser, count: count as usize, partner }
    }

    /// The coarser graph, whose own `coarser` is empty, and the weights of its edges.
    pub(super) fn contracted(&self, level: &Level, edges: &[u32]) -> (Level, Vec<u32>) {
        let room = level.neighbours.len() * 2 / 3;
        let (mut neighbours, mut sums) = (Vec::<u32>::with_capacity(room), Vec::<u32>::with_capacity(room));
        let (mut starts, mut weights) = (Vec::with_capacity(self.count + 1), Vec::with_capacity(self.count));
        starts.push(0);
        // one more than the place of the last edge to each pair
        let mut last = vec![0u32; self.count];
        for (k, &own) in self.coarser.iter().enumerate() {
            if (own as usize) < weights.len() {
                continue;
            }
            let first = neighbours.len() as u32;
            let mut weight = 0;
            for k in [k as u32, self.partner[k]].into_iter().filter(|&k| k != NONE).map(|k| k as usize) {
                weight += level.weights[k];
                for e in level.starts[k] as usize..level.starts[k + 1] as usize {
                    let other = self.coarser[level.neighbours[e] as usize];
                    if other == own {
                        continue;
                    }
                    let edge = edges.get(e).copied().unwrap_or(1);
                    let place = &mut last[other as usize];
                    if *place > first {
                        sums[*place as usize - 1] += edge;
                    } else {
                        neighbours.push(other);
                        sums.push(edge);
                        *place = neighbours.len() as u32;
                    }
                }
            }
            weights.push(weight);
            starts.push(neighbours.len() as u32);
        }
        (Level { starts, neighbours, weights, coarser: Vec::new() }, sums)
    }
}

/// The neighbour that is left over the heaviest edge, the lightest of those.
fn chosen(level: &Level, edges: &[u32], partner: &[u32], heaviest: u32, k: usize) -> u32 {
    let (mut best, mut with) = (-1.0, NONE);
    for e in level.starts[k] as usize..level.starts[k + 1] as usize {
        let other = level.neighbours[e];
        let weight = level.weights[other as usize];
        if partner[other as usize] == NONE && level.weights[k] + weight <= heaviest {
            let edge = edges.get(e).map_or(1.0, |&edge| edge as f32);
            let rating = edge * edge / weight as f32;
            if rating > best {
                (best, with) = (rating, other);
            }
        }
    }
    with
}

/// Pairs of nodes left alone that share a neighbour.
fn match_around_hubs(level: &Level, partner: &mut [u32], heaviest: u32, lonely: &[u32]) {
    let mut waiting = vec![NONE; level.len()];
    for &k in lonely {
        for &hub in level.of(k as usize) {
            let other = waiting[hub as usize];
            let free = other != NONE && other != k && partner[other as usize] == NONE;
            if free && level.weights[k as usize] + level.weights[other as usize] <= heaviest {
                (partner[k as usize], partner[other as usize]) = (other, k);
                break;
            }
            waiting[hub as usize] = k;
        }
    }
}

/// All nodes by degree, those of equal degree in a random order: the same for every graph of this size.
fn by_degree(level: &Level) -> Vec<u32> {
    const MOST: usize = 63;
    let degree = |k: usize| level.of(k).len().min(MOST);
    let mut next = [0; MOST + 2];
    (0..level.len()).for_each(|k| next[degree(k) + 1] += 1);
    for d in 0..=MOST {
        next[d + 1] += next[d];
    }
    let mut shuffled: Vec<u32> = (0..level.len() as u32).collect();
    shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
    let mut order = vec![0; level.len()];
    for k in shuffled {
        let place = &mut next[degree(k as usize)];
        order[*place] = k;
        *place += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::{HEAVIEST, Matching, NONE};
    use crate::ordering::Adjacency;
    use crate::ordering::hierarchy::tests::{lattice, level};

    #[test]
    fn pairs_are_light_and_their_graph_has_every_edge_between_them() {
        let fine = level(&Adjacency::from_entries(400, lattice(20).into_iter()), |k| 1 + k as u32 % 3);
        let matching = Matching::of(&fine, &[]);
        let (coarse, sums) = matching.contracted(&fine, &[]);
        let mean = fine.weights.iter().sum::<u32>() as f64 / 400.0;
        for (k, &other) in matching.partner.iter().enumerate().filter(|&(_, &other)| other != NONE) {
            assert!(matching.partner[other as usize] == k as u32 && fine.of(k).contains(&other));
            assert!(f64::from(fine.weights[k] + fine.weights[other as usize]) <= HEAVIEST * mean);
        }
        assert_eq!((coarse.len(), coarse.weights.iter().sum::<u32>()), (matching.count, fine.weights.iter().sum()));
        // a lattice leaves few nodes alone
        assert!(matching.count < 240);
        let between = |a: usize, b: u32| {
            let of_a = (0..400).filter(|&k| matching.coarser[k] == a as u32);
            of_a.flat_map(|k| fine.of(k)).filter(|&&j| matching.coarser[j as usize] == b).count() as u32
        };
        for a in 0..coarse.len() {
            for (e, &b) in coarse.of(a).iter().enumerate() {
                assert_eq!(sums[coarse.starts[a] as usize + e], between(a, b));
            }
            let degree = coarse.of(a).len();
            assert_eq!((0..coarse.len() as u32).filter(|&b| b != a as u32 && between(a, b) > 0).count(), degree);
        }
    }

    #[test]
    fn what_a_hub_leaves_alone_is_matched_around_it() {
        let star = level(&Adjacency::from_entries(101, (1..101).map(|k| (0, k))), |_| 1);
        assert!(Matching::of(&star, &[]).count <= 52);
    }
}
