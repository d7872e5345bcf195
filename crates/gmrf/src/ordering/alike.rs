//! Nodes that no elimination tells apart: several fields at the same places, the coefficients of one group.

use super::Adjacency;
use crate::cholesky::supernodes::{Lists, group_by};

/// Groups of nodes that have the same neighbours, each other included.
pub(super) struct Alike {
    /// The first node of each group.
    leaders: Vec<usize>,
    /// The nodes of each group.
    members: Lists,
}

/// Groups are worth while they leave at most this share of the nodes.
const WORTH: f64 = 0.85;

impl Alike {
    /// The groups of a graph, or `None` if they would leave most of its nodes. Cost linear in the edges.
    pub(super) fn find(adjacency: &Adjacency) -> Option<Self> {
        let n = adjacency.order();
        let hash: Vec<u64> =
            (0..n).map(|i| adjacency.of(i).iter().fold(mixed(i as u32), |a, &k| a.wrapping_add(mixed(k)))).collect();
        const UNKNOWN: usize = usize::MAX;
        let (mut group, mut leaders) = (vec![UNKNOWN; n], Vec::new());
        let mut seen = vec![UNKNOWN; n];
        for i in 0..n {
            if group[i] != UNKNOWN {
                continue;
            }
            let own = leaders.len();
            group[i] = own;
            leaders.push(i);
            let candidate = |k: usize| k > i && hash[k] == hash[i] && adjacency.degree(k) == adjacency.degree(i);
            if !adjacency.of(i).iter().any(|&k| candidate(k as usize)) {
                continue;
            }
            seen[i] = own;
            adjacency.of(i).iter().for_each(|&k| seen[k as usize] = own);
            for k in adjacency.of(i).iter().map(|&k| k as usize).filter(|&k| candidate(k)) {
                // as many neighbours, all of them shared: the same
                if group[k] == UNKNOWN && adjacency.of(k).iter().all(|&j| seen[j as usize] == own) {
                    group[k] = own;
                }
            }
        }
        (leaders.len() as f64 <= WORTH * n as f64).then(|| Self { members: group_by(leaders.len(), &group), leaders })
    }

    /// The graph of the groups.
    pub(super) fn graph(&self, adjacency: &Adjacency) -> Adjacency {
        adjacency.restricted(&self.leaders)
    }

    /// How many nodes each group has.
    pub(super) fn sizes(&self) -> Vec<usize> {
        (0..self.leaders.len()).map(|g| self.members.of(g).len()).collect()
    }

    /// The order of all nodes from that of the groups.
    pub(super) fn expanded(&self, order: &[usize]) -> Vec<usize> {
        order.iter().flat_map(|&g| self.members.of(g)).copied().collect()
    }
}

/// Numbers whose sums tell sets of nodes apart, but for rare accidents: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mixed(node: u32) -> u64 {
    let mut z = (u64::from(node) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Adjacency, Alike};

    #[test]
    fn fields_at_the_same_places_are_found_in_any_numbering() {
        // three fields on a path of seven places: all joined at a place and with the places beside it
        let node = |place: usize, field: usize| field * 7 + place;
        let mut edges = Vec::new();
        for place in 0..7 {
            for a in 0..3 {
                edges.extend((0..a).map(|b| (node(place, a), node(place, b))));
                edges.extend((0..3).filter(|_| place > 0).map(|b| (node(place, a), node(place - 1, b))));
            }
        }
        let adjacency = Adjacency::from_entries(21, edges.into_iter());
        let alike = Alike::find(&adjacency).unwrap();
        assert_eq!(alike.sizes(), vec![3; 7]);
        let graph = alike.graph(&adjacency);
        assert_eq!((graph.order(), graph.len()), (7, 12));
        let expanded = alike.expanded(&[6, 0, 1, 2, 3, 4, 5]);
        assert_eq!(expanded[..6], [6, 13, 20, 0, 7, 14]);
        // a path alone has no two nodes alike
        assert!(Alike::find(&Adjacency::from_entries(7, (1..7).map(|i| (i, i - 1)))).is_none());
    }
}
