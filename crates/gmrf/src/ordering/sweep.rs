//! Separators that move over a graph node by node (Fiduccia and Mattheyses 1982), to one side at a time.

use super::hierarchy::Level;

/// The side of a node that separates the two others.
pub(super) const SEPARATOR: u8 = 2;

/// Sweeps to either side, at most.
const SWEEPS: usize = 6;
/// Moves without a better separator that a sweep may go on for, as a multiple of the separator's nodes: while it is not much wider, it
/// may cross several layers before it finds a place, a corner, where it shrinks.
const PATIENCE: f64 = 6.0;
/// The same once it is `WIDER` than the best one.
const IMPATIENCE: f64 = 0.5;
const WIDER: f64 = 1.1;
/// The separator's nodes count as at least so many.
const COUNTED: usize = 10;

/// How good a separator is, less being better: by how much the larger side exceeds its limit, its own weight, that of the larger side.
pub(super) type Merit = (i64, i64, i64);

/// A separator on a graph, with room that serves one graph after the other.
#[derive(Default)]
pub(super) struct Sweep {
    /// The side of each node: 0, 1 or [`SEPARATOR`].
    pub(super) side: Vec<u8>,
    /// The weights of the sides and of the separator.
    pub(super) weights: [i64; 3],
    /// What either side may weigh.
    pub(super) limit: i64,
    /// The separating nodes, in a sweep also those that were.
    pub(super) separator: Vec<u32>,
    /// The weight of the neighbours that a separating node has on the side that a sweep moves away from.
    behind: Vec<i32>,
    /// The separating nodes by what they gain.
    moves_ahead: Buckets,
    moves: Vec<Move>,
    pulled: Vec<u32>,
}

struct Move {
    node: u32,
    /// Where those that it pulled into the separator begin.
    pulled: u32,
}

/// Nodes by what their move gains, in steps of a part of the mean weight; the last that came goes first, so that a front that has begun
/// to advance goes on beside where it did. A node stands in several buckets once it came to gain more.
struct Buckets {
    nodes: Vec<Vec<u32>>,
    /// No bucket above it holds any.
    top: usize,
    /// Nor any below this one.
    bottom: usize,
    /// Buckets for each unit of weight.
    scale: f32,
}

/// Half of the buckets.
const HALF: i32 = 128;
/// Buckets for the mean weight of a node.
const FINENESS: f32 = 8.0;

impl Default for Buckets {
    fn default() -> Self {
        Self { nodes: vec![Vec::new(); 2 * HALF as usize], top: 0, bottom: 0, scale: 1.0 }
    }
}

impl Buckets {
    fn clear(&mut self, scale: f32) {
        if self.bottom <= self.top {
            self.nodes[self.bottom..=self.top].iter_mut().for_each(Vec::clear);
        }
        (self.top, self.bottom, self.scale) = (0, self.nodes.len(), scale);
    }

    #[inline]
    fn of(&self, gain: i32) -> usize {
        ((gain as f32 * self.scale) as i32).clamp(-HALF, HALF - 1).wrapping_add(HALF) as usize
    }

    #[inline]
    fn push(&mut self, gain: i32, node: u32) {
        let bucket = self.of(gain);
        self.nodes[bucket].push(node);
        self.top = self.top.max(bucket);
        self.bottom = self.bottom.min(bucket);
    }

    /// A node from the highest bucket, and which that is.
    #[inline]
    fn pop(&mut self) -> Option<(usize, u32)> {
        loop {
            if let Some(node) = self.nodes[self.top].pop() {
                return Some((self.top, node));
            }
            if self.top <= self.bottom {
                return None;
            }
            self.top -= 1;
        }
    }
}

impl Sweep {
    pub(super) fn merit(&self) -> Merit {
        let larger = self.weights[0].max(self.weights[1]);
        ((larger - self.limit).max(0), self.weights[2], larger)
    }

    /// The separator of a coarser graph on its finer one, whose weights are the same.
    pub(super) fn project(&mut self, level: &Level, sides: &[u8]) {
        self.side.clear();
        self.side.extend(level.coarser.iter().map(|&coarse| sides[coarse as usize]));
        self.list();
    }

    /// Lists the separating nodes.
    pub(super) fn list(&mut self) {
        self.separator.clear();
        for (k, &side) in self.side.iter().enumerate() {
            if side == SEPARATOR {
                self.separator.push(k as u32);
            }
        }
    }

    /// Sweeps to one side and the other while that makes the separator better.
    pub(super) fn refine(&mut self, level: &Level) {
        if self.behind.len() < level.len() {
            self.behind.resize(level.len(), 0);
        }
        let mut to = u8::from(self.weights[0] > self.weights[1]);
        let mut idle = 0;
        for _ in 0..SWEEPS {
            idle = if self.sweep(level, to) { 0 } else { idle + 1 };
            if idle == 2 {
                break;
            }
            to = 1 - to;
        }
    }

    /// Moves the separator away from the other side, node by node, and back to the best of the places that it passed; whether that is
    /// better than where it was.
    fn sweep(&mut self, level: &Level, to: u8) -> bool {
        self.begin(level, 1 - to);
        let nodes = self.separator.len().max(COUNTED) as f64;
        let (patience, impatience) = ((PATIENCE * nodes) as usize, (IMPATIENCE * nodes) as usize);
        let before = self.merit();
        let (mut best, mut count) = (before, 0);
        while let Some(node) = self.best_move(level) {
            let weight = i64::from(level.weights[node as usize]);
            let [towards, away] = [to, 1 - to].map(|side| self.weights[side as usize]);
            if towards + weight > self.limit && towards >= away {
                break;
            }
            self.advance(level, node, to);
            let merit = self.merit();
            if merit < best {
                (best, count) = (merit, self.moves.len());
            }
            let idle = self.moves.len() - count;
            if idle > patience || idle > impatience && self.weights[2] as f64 > WIDER * best.1 as f64 {
                break;
            }
        }
        self.rewind(level, count, to);
        best < before
    }

    fn begin(&mut self, level: &Level, from: u8) {
        self.moves.clear();
        self.pulled.clear();
        let total: i64 = self.weights.iter().sum();
        self.moves_ahead.clear(FINENESS * level.len() as f32 / total as f32);
        for &node in &self.separator {
            let behind = self.weight_on(level, node, from);
            self.behind[node as usize] = behind;
            self.moves_ahead.push(level.weights[node as usize] as i32 - behind, node);
        }
    }

    /// The weight of the neighbours of a node on one side.
    fn weight_on(&self, level: &Level, node: u32, side: u8) -> i32 {
        let on = |&j: &u32| if self.side[j as usize] == side { level.weights[j as usize] as i32 } else { 0 };
        level.of(node as usize).iter().map(on).sum()
    }

    /// The separating node that gains most by leaving.
    fn best_move(&mut self, level: &Level) -> Option<u32> {
        while let Some((bucket, node)) = self.moves_ahead.pop() {
            let k = node as usize;
            // what a move gains only rises in a sweep, and every rise is offered
            let gain = || level.weights[k] as i32 - self.behind[k];
            if self.side[k] == SEPARATOR && self.moves_ahead.of(gain()) == bucket {
                return Some(node);
            }
        }
        None
    }

    /// A node leaves the separator; its neighbours on the other side come into it.
    fn advance(&mut self, level: &Level, node: u32, to: u8) {
        let from = 1 - to;
        self.moves.push(Move { node, pulled: self.pulled.len() as u32 });
        self.change(level, node, SEPARATOR, to);
        for &j in level.of(node as usize) {
            if self.side[j as usize] != from {
                continue;
            }
            self.change(level, j, from, SEPARATOR);
            self.pulled.push(j);
            let own = level.weights[j as usize] as i32;
            let mut behind = 0;
            for &i in level.of(j as usize) {
                let (side, weight) = (self.side[i as usize], level.weights[i as usize] as i32);
                if side == from {
                    behind += weight;
                } else if side == SEPARATOR {
                    self.behind[i as usize] -= own;
                    self.moves_ahead.push(weight - self.behind[i as usize], i);
                }
            }
            self.behind[j as usize] = behind;
            self.moves_ahead.push(own - behind, j);
        }
    }

    #[inline]
    pub(super) fn change(&mut self, level: &Level, node: u32, from: u8, to: u8) {
        let weight = i64::from(level.weights[node as usize]);
        self.side[node as usize] = to;
        self.weights[from as usize] -= weight;
        self.weights[to as usize] += weight;
    }

    /// Takes back the moves after the first `count`, and lists the separating nodes, each once.
    fn rewind(&mut self, level: &Level, count: usize, to: u8) {
        while self.moves.len() > count {
            let Some(Move { node, pulled }) = self.moves.pop() else { break };
            while self.pulled.len() > pulled as usize {
                let Some(j) = self.pulled.pop() else { break };
                self.change(level, j, SEPARATOR, 1 - to);
            }
            self.change(level, node, to, SEPARATOR);
        }
        // a node is pulled at most once in a sweep: it never comes back behind the separator
        self.separator.append(&mut self.pulled);
        let side = &self.side;
        self.separator.retain(|&k| side[k as usize] == SEPARATOR);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Level, SEPARATOR, Sweep};
    use crate::ordering::Adjacency;
    use crate::ordering::hierarchy::tests::{lattice, level};

    pub(in super::super) fn check(level: &Level, sides: &[u8]) {
        for k in 0..level.len() {
            assert!(sides[k] == SEPARATOR || level.of(k).iter().all(|&j| sides[j as usize] + sides[k] != 1));
        }
    }

    #[test]
    fn a_separator_gets_better_and_stays_one() {
        let graph = level(&Adjacency::from_entries(900, lattice(30).into_iter()), |k| 1 + u32::from(k % 7 == 0));
        let mut sweep = Sweep { limit: 720, ..Sweep::default() };
        // three lines, then a thick zigzag
        let starts: [fn(usize) -> u8; 2] = [
            |k| [0, 2, 2, 2, 1][((k % 30).clamp(9, 13)) - 9],
            |k| {
                let middle = 10 + (k / 30 % 8).abs_diff(4);
                if (k % 30).abs_diff(middle) < 2 { SEPARATOR } else { u8::from(k % 30 > middle) }
            },
        ];
        for start in starts {
            sweep.side = (0..900).map(start).collect();
            check(&graph, &sweep.side);
            sweep.weights = [0; 3];
            (0..900).for_each(|k| sweep.weights[sweep.side[k] as usize] += i64::from(graph.weights[k]));
            sweep.list();
            let before = sweep.merit();
            sweep.refine(&graph);
            assert!(sweep.merit() < before);
            check(&graph, &sweep.side);
            let mut weights = [0; 3];
            (0..900).for_each(|k| weights[sweep.side[k] as usize] += i64::from(graph.weights[k]));
            assert_eq!(weights, sweep.weights);
            let mut listed = std::mem::take(&mut sweep.separator);
            listed.sort_unstable();
            sweep.list();
            assert_eq!(listed, sweep.separator);
            // no wider than a straight line through the heavy nodes
            assert!(weights[2] <= 36, "{weights:?}");
        }
    }
}
