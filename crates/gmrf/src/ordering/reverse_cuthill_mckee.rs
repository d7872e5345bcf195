//! Reverse Cuthill–McKee (George and Liu 1981, ch. 4): narrow bands for patterns whose nodes lie along a line.

use super::Adjacency;

/// `order[position] = node`. Each component starts at an end of a longest breadth-first search found by a few trials.
/// Cost `O(e log d)` for `e` edges and degrees `d`.
pub(super) fn reverse_cuthill_mckee(adjacency: &Adjacency) -> Vec<usize> {
    let n = adjacency.order();
    let mut order = Vec::with_capacity(n);
    let mut level = vec![usize::MAX; n];
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

/// Searches that move the start to the far end: more than a few never help.
const TRIALS: usize = 4;

/// A node far out in the component of `start`; `level` is left unset.
fn peripheral(adjacency: &Adjacency, start: usize, level: &mut [usize], queue: &mut Vec<usize>) -> usize {
    let (mut node, mut depth) = (start, 0);
    for _ in 0..TRIALS {
        queue.clear();
        queue.push(node);
        level[node] = 0;
        let mut next = 0;
        while next < queue.len() {
            let at = queue[next];
            for &k in adjacency.of(at) {
                if level[k as usize] == usize::MAX {
                    level[k as usize] = level[at] + 1;
                    queue.push(k as usize);
                }
            }
            next += 1;
        }
        let last = queue.last().map_or(0, |&k| level[k]);
        let farthest = queue.iter().copied().filter(|&k| level[k] == last).min_by_key(|&k| adjacency.degree(k));
        queue.iter().for_each(|&k| level[k] = usize::MAX);
        if last <= depth {
            break;
        }
        depth = last;
        node = farthest.unwrap_or(node);
    }
    node
}
