//! How the tree of supernodes is shared among threads, and where every work matrix lies: decided with the pattern, so that a
//! factorisation allocates nothing and gives the same bits on any number of threads.

use std::ops::Range;

use super::supernodes::{Lists, Supernode, predicted_time};

/// A part of the tree that may run on its own: first its forks, side by side, then a range of supernodes in order. A selected
/// inversion walks it backwards.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    pub(crate) forks: Vec<Branch>,
    /// All supernodes of the branch, forks included.
    pub(crate) all: Range<usize>,
    /// Those after the forks.
    pub(crate) rest: Range<usize>,
    /// The arena of a factorisation: the forks' parts, then that of `rest`.
    pub(crate) updates: Range<usize>,
    /// The arena of a selected inversion: the forks' parts, then that of `rest`, which starts with the scratch.
    pub(crate) fronts: Range<usize>,
    /// Where the part of `rest` starts in `fronts`.
    pub(crate) own_fronts: usize,
    /// Length of the scratch.
    pub(crate) scratch: usize,
}

/// Nanoseconds of a factor with its selected inverse below which a branch is not worth another thread.
const LEAST_FORK: f64 = 6e5;
/// A fork holds at least this share of the whole, so that there are enough to balance and not more.
const SMALLEST_SHARE: f64 = 1.0 / 64.0;

/// The schedule of a forest of supernodes in postorder; fills in where updates and fronts lie.
pub(crate) fn schedule(supernodes: &mut [Supernode], children: &Lists) -> Branch {
    let mut work: Vec<f64> = supernodes.iter().map(|s| predicted_time(s.width, s.below)).collect();
    let mut first: Vec<usize> = (0..supernodes.len()).collect();
    for s in 0..supernodes.len() {
        for &child in children.of(s) {
            work[s] += work[child];
            first[s] = first[s].min(first[child]);
        }
    }
    let roots: Vec<usize> = (0..supernodes.len()).filter(|&s| supernodes[s].parent == usize::MAX).collect();
    let total: f64 = roots.iter().map(|&s| work[s]).sum();
    let planner = Planner { work, first, children, least: LEAST_FORK.max(SMALLEST_SHARE * total) };
    let mut branch = planner.forest(&roots, 0..supernodes.len());
    let mut places = Places { supernodes, children };
    places.updates(&mut branch, 0);
    places.fronts(&mut branch, 0);
    branch
}

struct Planner<'a> {
    work: Vec<f64>,
    /// The first supernode of each subtree.
    first: Vec<usize>,
    children: &'a Lists,
    least: f64,
}

impl Planner<'_> {
    fn leaf(all: Range<usize>) -> Branch {
        Branch { forks: Vec::new(), rest: all.clone(), all, updates: 0..0, fronts: 0..0, own_fronts: 0, scratch: 0 }
    }

    /// The branch of consecutive sibling subtrees `siblings` and what follows them up to `all.end`.
    fn forest(&self, siblings: &[usize], all: Range<usize>) -> Branch {
        let mut siblings = siblings.to_vec();
        loop {
            let tasks = self.tasks(&siblings);
            match tasks.as_slice() {
                [] => return Self::leaf(all),
                [task] if task.len() == 1 => siblings = self.children.of(task[0]).to_vec(),
                [_] => return Self::leaf(all),
                several => {
                    let forks: Vec<Branch> = several.iter().map(|task| self.fork(task)).collect();
                    let start = forks.last().map_or(all.start, |fork| fork.all.end);
                    return Branch { forks, rest: start..all.end, ..Self::leaf(all) };
                }
            }
        }
    }

    /// Runs of consecutive siblings worth a thread each; siblings stand in descending order of work.
    fn tasks<'s>(&self, siblings: &'s [usize]) -> Vec<&'s [usize]> {
        let (mut tasks, mut start, mut sum) = (Vec::new(), 0, 0.0);
        for (k, &s) in siblings.iter().enumerate() {
            sum += self.work[s];
            if sum >= self.least {
                tasks.push(&siblings[start..=k]);
                (start, sum) = (k + 1, 0.0);
            }
        }
        tasks
    }

    fn fork(&self, task: &[usize]) -> Branch {
        let all = self.first[task[0]]..task[task.len() - 1] + 1;
        match task {
            [root] => self.forest(self.children.of(*root), all),
            _ => Self::leaf(all),
        }
    }
}

/// Assigns places in the arenas.
struct Places<'a> {
    supernodes: &'a mut [Supernode],
    children: &'a Lists,
}

impl Places<'_> {
    /// Each update lives from its supernode to the parent's.
    fn updates(&mut self, branch: &mut Branch, base: usize) {
        let mut start = base;
        for fork in &mut branch.forks {
            self.updates(fork, start);
            start = fork.updates.end;
        }
        let mut arena = Arena::default();
        for s in branch.rest.clone() {
            let size = self.supernodes[s].below.pow(2);
            self.supernodes[s].update_start = start + arena.take(size);
            for &child in self.children.of(s).iter().filter(|child| branch.rest.contains(child)) {
                let child = &self.supernodes[child];
                arena.give_back(child.update_start - start, child.below.pow(2));
            }
        }
        branch.updates = base..start + arena.end;
    }

    /// Each front lives from its supernode down to its first child, which is reached last.
    fn fronts(&mut self, branch: &mut Branch, base: usize) {
        let mut start = base;
        for fork in &mut branch.forks {
            self.fronts(fork, start);
            start = fork.fronts.end;
        }
        let mut arena = Arena::default();
        branch.own_fronts = start;
        branch.scratch =
            branch.rest.clone().map(|s| self.supernodes[s].height() * self.supernodes[s].width).max().unwrap_or(0);
        arena.take(branch.scratch);
        for s in branch.rest.clone().rev() {
            let size = self.supernodes[s].height().pow(2);
            self.supernodes[s].front_start = start + arena.take(size);
            let parent = self.supernodes[s].parent;
            if parent != usize::MAX && branch.rest.contains(&parent) && self.children.of(parent)[0] == s {
                let above = &self.supernodes[parent];
                arena.give_back(above.front_start - start, above.height().pow(2));
            }
            if self.children.of(s).is_empty() {
                arena.give_back(self.supernodes[s].front_start - start, size);
            }
        }
        branch.fronts = base..start + arena.end;
    }
}

/// First fit over a growing range: few matrices are alive at a time.
#[derive(Default)]
struct Arena {
    /// Free pieces `(start, length)`, ascending, never adjacent.
    free: Vec<(usize, usize)>,
    end: usize,
}

impl Arena {
    fn take(&mut self, size: usize) -> usize {
        if size == 0 {
            return 0;
        }
        if let Some(k) = self.free.iter().position(|&(_, length)| length >= size) {
            let (start, length) = self.free[k];
            if length == size {
                self.free.remove(k);
            } else {
                self.free[k] = (start + size, length - size);
            }
            return start;
        }
        let start = match self.free.last() {
            Some(&(start, length)) if start + length == self.end => {
                self.free.pop();
                start
            }
            _ => self.end,
        };
        self.end = start + size;
        start
    }

    fn give_back(&mut self, start: usize, size: usize) {
        if size == 0 {
            return;
        }
        let k = self.free.partition_point(|&(other, _)| other < start);
        self.free.insert(k, (start, size));
        if k + 1 < self.free.len() && start + size == self.free[k + 1].0 {
            self.free[k].1 += self.free[k + 1].1;
            self.free.remove(k + 1);
        }
        if k > 0 && self.free[k - 1].0 + self.free[k - 1].1 == start {
            self.free[k - 1].1 += self.free[k].1;
            self.free.remove(k);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arena;

    #[test]
    fn pieces_given_back_are_joined_and_taken_again() {
        let mut arena = Arena::default();
        let (a, b, c) = (arena.take(4), arena.take(3), arena.take(5));
        assert_eq!((a, b, c, arena.end), (0, 4, 7, 12));
        arena.give_back(a, 4);
        arena.give_back(b, 3);
        assert_eq!(arena.take(6), 0);
        assert_eq!(arena.take(2), 12);
        arena.give_back(c, 5);
        assert_eq!(arena.take(6), 6);
    }
}
