//! What the schedule would gain on so many threads: a model of its running time, for machines that are not at hand.

use super::schedule::Branch;
use super::supernodes::{Supernode, predicted_time};
use super::symbolic::SymbolicFactor;

/// Multiplications from which a front's products are shared by another thread.
const SHARED: f64 = 4e6;

impl SymbolicFactor {
    /// The predicted time of a factor with its selected inverse on one thread over that on `threads`.
    ///
    /// Branches of the tree go to the first idle thread, the longest path to the root first; the fronts of what follows them are
    /// shared by as many threads as their products can be cut for, out of those that the branch's siblings leave. Memory bandwidth
    /// is not modelled. Cost: `O(supernodes)`.
    pub fn predicted_speed_up(&self, threads: usize) -> f64 {
        let one: f64 = self.supernodes.iter().map(|s| predicted_time(s.width, s.below)).sum();
        let mut tasks = Vec::new();
        self.collect(&self.branch, threads as f64, None, &mut tasks);
        one / makespan(&mut tasks, threads)
    }

    /// Adds the task of what follows a branch's forks, then those of the forks.
    fn collect(&self, branch: &Branch, threads: f64, parent: Option<usize>, tasks: &mut Vec<Task>) {
        let time =
            |s: &Supernode| predicted_time(s.width, s.below) / (s.operations() / SHARED).clamp(1.0, threads.max(1.0));
        let time = self.supernodes[branch.rest.clone()].iter().map(time).sum::<f64>();
        let path = time + parent.map_or(0.0, |parent| tasks[parent].path);
        let index = tasks.len();
        tasks.push(Task { time, path, parent, waits_for: branch.forks.len(), ready: 0.0 });
        for fork in &branch.forks {
            self.collect(fork, threads / branch.forks.len() as f64, Some(index), tasks);
        }
    }
}

struct Task {
    time: f64,
    /// Its time and that of all that must follow it.
    path: f64,
    parent: Option<usize>,
    waits_for: usize,
    /// When the last of those that it waits for ends.
    ready: f64,
}

/// When the last task ends if every idle thread takes the ready task of the longest path.
fn makespan(tasks: &mut [Task], threads: usize) -> f64 {
    let mut free = vec![0.0_f64; threads.max(1)];
    let mut waiting: Vec<usize> = (0..tasks.len()).filter(|&k| tasks[k].waits_for == 0).collect();
    let mut end = 0.0_f64;
    while !waiting.is_empty() {
        let thread = (0..free.len()).min_by(|&a, &b| free[a].total_cmp(&free[b])).unwrap_or(0);
        let earliest = waiting.iter().map(|&k| tasks[k].ready).fold(f64::INFINITY, f64::min).max(free[thread]);
        let ready = |&place: &usize| tasks[waiting[place]].ready <= earliest;
        let longest = |a: &usize, b: &usize| tasks[waiting[*a]].path.total_cmp(&tasks[waiting[*b]].path);
        let Some(place) = (0..waiting.len()).filter(ready).max_by(longest) else { break };
        let task = waiting.swap_remove(place);
        let done = earliest + tasks[task].time;
        (free[thread], end) = (done, end.max(done));
        if let Some(parent) = tasks[task].parent {
            tasks[parent].ready = tasks[parent].ready.max(done);
            tasks[parent].waits_for -= 1;
            if tasks[parent].waits_for == 0 {
                waiting.push(parent);
            }
        }
    }
    end
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // what fails in a helper fails the test
    use std::sync::Arc;

    use crate::{LinearConstraints, SparsityPattern, SymbolicFactor};

    #[test]
    fn more_threads_are_never_predicted_to_be_slower_nor_better_than_ideal() {
        let side = 200;
        let node = |i: usize, j: usize| i * side + j;
        let right = (0..side).flat_map(|i| (1..side).map(move |j| (node(i, j), node(i, j - 1))));
        let down = (1..side).flat_map(|i| (0..side).map(move |j| (node(i, j), node(i - 1, j))));
        let pattern = Arc::new(SparsityPattern::from_entries(side * side, right.chain(down)).unwrap());
        let symbolic = SymbolicFactor::analyze(&pattern, &LinearConstraints::none(side * side)).unwrap();
        let gains: Vec<f64> = [1, 2, 4, 8, 16].map(|threads| symbolic.predicted_speed_up(threads)).to_vec();
        assert!((gains[0] - 1.0).abs() < 1e-12);
        assert!(gains.windows(2).all(|pair| pair[1] >= pair[0] - 1e-12), "{gains:?}");
        // dissection halves a lattice: two threads find work throughout but for the last separator
        assert!(
            gains[1] > 1.5 && gains.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0]).all(|(g, t)| *g <= t + 1e-12),
            "{gains:?}"
        );
    }
}
