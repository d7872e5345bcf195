//! Groups of rows on the same nodes, and which of them are near each other.

use std::collections::HashMap;

use gmrf::cubes;

use crate::design::Design;
use crate::model::LatentGaussianModel;

/// Rows looked at around each row or node, a group with a tensor counting as one; and neighbours from which a node is dense: no one's close
/// neighbour, such as a fixed effect.
const NEIGHBOURS: usize = 64;

/// Nodes of the widest group that has a tensor, of 2 600 numbers.
const WIDEST: usize = 24;

/// A group to be looked at, and how many of its rows where it has no tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Near {
    pub(super) group: usize,
    pub(super) members: usize,
}

/// The distinct rows by the nodes that they are on.
pub(super) struct Groups<'a> {
    design: &'a Design,
    nodes: Vec<&'a [usize]>,
    /// Where the members of each start, and the end.
    starts: Vec<usize>,
    members: Vec<u32>,
    /// Where the tensor of each starts, and the end; of no length where its rows are fewer numbers.
    tensors: Vec<usize>,
    /// The node of each group that has fewest rows.
    main: Vec<usize>,
    /// For each node the groups whose main node it is; for a dense one those that hold it.
    of_node: Vec<Vec<u32>>,
    dense: Vec<bool>,
    /// Of every node that is not dense, those that are not either.
    neighbours: Vec<Vec<u32>>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(model: &LatentGaussianModel, design: &'a Design) -> Self {
        let (mut known, mut nodes, mut group_of_run) = (HashMap::new(), Vec::new(), Vec::new());
        for run in design.each_run() {
            let group = *known.entry(run.nodes).or_insert(nodes.len());
            if group == nodes.len() {
                nodes.push(run.nodes);
            }
            group_of_run.push((group, run.kinds));
        }
        let mut starts = vec![0; nodes.len() + 1];
        group_of_run.iter().for_each(|(group, kinds)| starts[group + 1] += kinds.len());
        (0..nodes.len()).for_each(|g| starts[g + 1] += starts[g]);
        let (mut next, mut members) = (starts.clone(), vec![0; design.distinct_rows()]);
        for (kind, group) in group_of_run.into_iter().flat_map(|(group, kinds)| kinds.map(move |kind| (kind, group))) {
            members[next[group]] = kind as u32;
            next[group] += 1;
        }
        let mut tensors = vec![0];
        let mut rows_of = vec![0usize; design.nodes()];
        for (g, nodes) in nodes.iter().enumerate() {
            let (width, count) = (nodes.len(), starts[g + 1] - starts[g]);
            let length = if width <= WIDEST { cubes::length(width) } else { usize::MAX };
            tensors.push(tensors[g] + if length <= width * count { length } else { 0 });
            nodes.iter().for_each(|&j| rows_of[j] += count);
        }
        let main: Vec<usize> =
            nodes.iter().map(|nodes| nodes.iter().copied().min_by_key(|&j| rows_of[j]).unwrap_or(0)).collect();
        let (dense, neighbours) = neighbours(model);
        let mut of_node = vec![Vec::new(); design.nodes()];
        for (g, nodes) in nodes.iter().enumerate() {
            nodes.iter().filter(|&&j| dense[j] || j == main[g]).for_each(|&j| of_node[j].push(g as u32));
        }
        Self { design, nodes, starts, members, tensors, main, of_node, dense, neighbours }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn nodes(&self, group: usize) -> &'a [usize] {
        self.nodes[group]
    }

    /// The distinct rows of a group.
    pub(super) fn members(&self, group: usize) -> &[u32] {
        &self.members[self.starts[group]..self.starts[group + 1]]
    }

    /// The groups whose main node this is; one on no nodes has none.
    pub(super) fn of_main(&self, node: usize) -> impl Iterator<Item = usize> {
        self.of_node[node].iter().map(|&g| g as usize).filter(move |&g| self.main[g] == node)
    }

    pub(super) fn has_tensor(&self, group: usize) -> bool {
        self.tensors[group] < self.tensors[group + 1]
    }

    /// The tensor of a group among those of all, if it has one.
    pub(super) fn tensor<'t>(&self, group: usize, all: &'t [f64]) -> Option<&'t [f64]> {
        Some(&all[self.tensors[group]..self.tensors[group + 1]]).filter(|tensor| !tensor.is_empty())
    }

    /// The entries of some rows of one group side by side, zeros where there are fewer.
    pub(super) fn side_by_side<const L: usize>(&self, members: &[u32], x: &mut [[f64; L]]) {
        x.as_flattened_mut().fill(0.0);
        for (r, &kind) in members.iter().enumerate() {
            let (_, values) = self.design.distinct_row(kind as usize);
            values.iter().zip(&mut *x).for_each(|(value, x)| x[r] = *value);
        }
    }

    /// The groups around a group, itself first.
    pub(super) fn near_group(&self, group: usize, out: &mut Vec<Near>) {
        self.near(self.main[group], Some(group), NEIGHBOURS, out);
    }

    /// The groups around a node; all that hold it if it is dense.
    pub(super) fn near_node(&self, node: usize, out: &mut Vec<Near>) {
        self.near(node, None, if self.dense[node] { usize::MAX } else { NEIGHBOURS }, out);
    }

    /// The groups around a node that is not dense, if those whose main node it is are looked at with all of their rows.
    pub(super) fn near_all_of(&self, main: usize, out: &mut Vec<Near>) -> bool {
        if self.dense[main] || self.of_node[main].len() < 2 {
            return false;
        }
        self.near_node(main, out);
        let full = |near: &Near| self.has_tensor(near.group) || near.members == self.members(near.group).len();
        // they come first
        out.len() >= self.of_node[main].len() && out[..self.of_node[main].len()].iter().all(full)
    }

    /// The groups around a node, `own` first, while there is room for their rows.
    fn near(&self, node: usize, own: Option<usize>, mut room: usize, out: &mut Vec<Near>) {
        out.clear();
        let others = std::iter::once(node).chain(self.neighbours[node].iter().map(|&j| j as usize));
        let others = others.flat_map(|j| &self.of_node[j]).map(|&g| g as usize).filter(|&g| Some(g) != own);
        for group in own.into_iter().chain(others) {
            if room == 0 {
                break;
            }
            let members = if self.has_tensor(group) { 1 } else { self.members(group).len().min(room) };
            room -= members;
            out.push(Near { group, members });
        }
    }
}

/// Which nodes are dense, and the neighbours of the others among themselves.
fn neighbours(model: &LatentGaussianModel) -> (Vec<bool>, Vec<Vec<u32>>) {
    let entries = || model.symbolic().pattern().entries().filter(|(i, j)| i != j);
    let mut degree = vec![0usize; model.nodes()];
    entries().for_each(|(i, j)| {
        degree[i] += 1;
        degree[j] += 1;
    });
    let dense: Vec<bool> = degree.iter().map(|&degree| degree >= NEIGHBOURS).collect();
    let mut neighbours = vec![Vec::new(); model.nodes()];
    for (i, j) in entries().filter(|&(i, j)| !dense[i] && !dense[j]) {
        neighbours[i].push(j as u32);
        neighbours[j].push(i as u32);
    }
    (dense, neighbours)
}
