//! Reverse Cuthill–McKee (George and Liu 1981, ch. 4): narrow bands for patterns whose nodes lie along a line.

use super::Adjacency;

/// `order[position] = node`. Each component starts at an end of a longest breadth-first search found by a few trials.
/// Cost `O(e log d)` for `e` edges and degrees `d`.
pub(super) fn reverse_cuthill_mckee(adjacency: &Adjacency) -> Vec<usize> {
    let n = adjacency.order();
    let mut order = Vec::with_capacity(n);
    let mut level = vec![NONE; n];
    let mut placed = vec![false; n];
    let mut queue = Vec::new();
    for node in 0..n {
        if placed[node] {
            continue;
        }
        let start = peripheral(adjacency, node, &mut level, &mut queue);
        let first = order.len();
        order.push(start);
        placed[start] = true;
        let mut next = first;
        while next < order.len() {
            let fresh = order.len();
            for &k in adjacency.of(order[next]) {
                if !std::mem::replace(&mut placed[k as usize], true) {
                    order.push(k as usize);
                }
            }
            order[fresh..].sort_by_key(|&k| adjacency.degree(k));
            next += 1;
        }
    }
    order.reverse();
    order
}

/// Operations below which no factor in such an order falls by much, unless the nodes of a level are hardly connected, as in a tree. A
/// component of `n` nodes, none farther than `e` from some node, has at most `2 e + 1` levels whatever the start, and the cubes of their
/// widths sum to least where all are alike. Cost `O(e)`.
pub(super) fn least_operations(adjacency: &Adjacency) -> f64 {
    let n = adjacency.order();
    let mut level = vec![NONE; n];
    let mut queue = Vec::new();
    let mut sum = 0.0;
    for node in 0..n {
        if level[node] == NONE {
            let depth = search(adjacency, node, &mut level, &mut queue);
            let size = queue.len() as f64;
            sum += size * (size / (2.0 * f64::from(depth) + 1.0)).powi(2);
        }
    }
    sum
}

/// A node that no search has met.
const NONE: u32 = u32::MAX;

/// Visits the component of `start`, whose levels are unset, breadth first; returns the last level.
fn search(adjacency: &Adjacency, start: usize, level: &mut [u32], queue: &mut Vec<u32>) -> u32 {
    queue.clear();
    queue.push(start as u32);
    level[start] = 0;
    let mut next = 0;
    while next < queue.len() {
        let at = queue[next] as usize;
        for &k in adjacency.of(at) {
            if level[k as usize] == NONE {
                level[k as usize] = level[at] + 1;
                queue.push(k);
            }
        }
        next += 1;
    }
    queue.last().map_or(0, |&k| level[k as usize])
}

/// Searches that move the start to the far end: more than a few never help.
const TRIALS: usize = 4;

/// A node far out in the component of `start`; `level` is left unset.
fn peripheral(adjacency: &Adjacency, start: usize, level: &mut [u32], queue: &mut Vec<u32>) -> usize {
    let (mut node, mut depth) = (start, 0);
    for _ in 0..TRIALS {
        let last = search(adjacency, node, level, queue);
        let far = queue.iter().map(|&k| k as usize).filter(|&k| level[k] == last);
        let farthest = far.min_by_key(|&k| adjacency.degree(k));
        queue.iter().for_each(|&k| level[k as usize] = NONE);
        if last <= depth {
            break;
        }
        depth = last;
        node = farthest.unwrap_or(node);
    }
    node
}

#[cfg(test)]
mod tests {
    use super::{least_operations, reverse_cuthill_mckee};
    use crate::cholesky::elimination::EliminationTree;
    use crate::ordering::{Adjacency, hierarchy::tests::lattice};

    #[test]
    fn no_band_takes_fewer_operations_than_the_least() {
        let strip = |rows: usize| {
            (0..rows * 6).flat_map(move |k| [(k % 6 > 0).then(|| (k, k - 1)), (k >= 6).then(|| (k, k - 6))])
        };
        let graphs = [
            Adjacency::from_entries(900, lattice(30).into_iter()),
            Adjacency::from_entries(600, strip(100).flatten()),
            // in two components, and a node apart
            Adjacency::from_entries(
                401,
                strip(30).flatten().chain(lattice(14).into_iter().map(|(i, j)| (i + 180, j + 180))),
            ),
        ];
        for graph in graphs {
            let operations = EliminationTree::new(&graph, &reverse_cuthill_mckee(&graph)).operations();
            let least = least_operations(&graph);
            // levels as seen from the middle count as half as many as there are, which costs a factor of four
            assert!(least <= operations && least > 0.05 * operations, "{least} of {operations}");
        }
    }
}
