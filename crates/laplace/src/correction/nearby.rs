//! Third cumulants over neighbouring rows, in models too large for all pairs of rows.
//!
//! Rows on the same nodes, as those of one level with its covariates, are a group. Where a group has many rows, their sum of cubes is kept
//! as `T_abc = Σ_m ℓ‴_m a_ma a_mb a_mc` over its nodes: it adds `T(u, u, u)` to the third cumulant of anything whose covariances with
//! these nodes are `u`, whatever the number of rows. In a group's own coordinates the sum over all groups nearby is one such tensor, of
//! which each of its rows is a form.

use std::ops::Range;

use gmrf::cubes;

use super::cumulants::ThirdCumulants;
use super::groups::{Groups, Near};
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// Rows that are worked on together.
const LANES: usize = 8;
/// Groups or nodes that one thread works on.
const PIECE: usize = 128;

/// Third cumulants over rows whose nodes are neighbours in the pattern of `H`; every covariance they need is selected.
pub(super) fn third_cumulants(model: &LatentGaussianModel, workspace: &mut Workspace) -> ThirdCumulants {
    let groups = Groups::new(model, &workspace.design);
    let weights = workspace.design.sums(&workspace.third, &mut workspace.row_sums).to_vec();
    let workspace = &*workspace;
    let joined = |mut left: Vec<f64>, right: Vec<f64>| {
        left.extend(right);
        left
    };
    let tensors = |range: Range<usize>| {
        let mut out = Vec::new();
        range.filter(|&g| groups.has_tensor(g)).for_each(|g| add_tensor(&groups, &weights, g, &mut out));
        out
    };
    let tensors = workspace.parallelism.halves(0..groups.len(), PIECE, &tensors, &joined);
    let sums = Sums { model, workspace, groups: &groups, weights: &weights, tensors: &tensors };
    let of_groups = |range: Range<usize>| {
        let (mut room, mut out) = (Room::default(), Vec::new());
        range.for_each(|j| sums.of_groups(j, &mut room, &mut out));
        out
    };
    let of_nodes = |range: Range<usize>| {
        let (mut near, mut u) = (Vec::new(), Vec::new());
        range.map(|j| sums.of_node(j, &mut near, &mut u)).collect()
    };
    let by_node = workspace.parallelism.halves(0..model.nodes(), PIECE, &of_groups, &joined);
    let nodes = workspace.parallelism.halves(0..model.nodes(), PIECE, &of_nodes, &joined);
    let mut kinds = vec![0.0; weights.len()];
    let members = (0..model.nodes()).flat_map(|j| groups.of_main(j)).flat_map(|g| groups.members(g));
    members.zip(by_node).for_each(|(&kind, kappa)| kinds[kind as usize] = kappa);
    let predictors: Vec<f64> = (0..model.rows()).map(|i| kinds[workspace.design.kind(i)]).collect();
    let pairs = workspace.third.iter().zip(&predictors).map(|(third, kappa)| third * kappa).sum();
    ThirdCumulants { nodes, predictors, pairs, exact: false, variances: None }
}

/// Appends `Σ_m w_m a_m a_m a_m` over the rows of a group.
fn add_tensor(groups: &Groups<'_>, weights: &[f64], group: usize, out: &mut Vec<f64>) {
    let width = groups.nodes(group).len();
    let mut x = vec![[0.0; LANES]; width];
    let mut sums = vec![[0.0; LANES]; cubes::length(width)];
    for members in groups.members(group).chunks(LANES) {
        let mut lanes = [0.0; LANES];
        for (r, &kind) in members.iter().enumerate() {
            lanes[r] = weights[kind as usize];
        }
        groups.side_by_side(members, &mut x);
        cubes::add_weighted(&lanes, &x, &mut sums);
    }
    out.extend(sums.iter().map(|sum| sum.iter().sum::<f64>()));
}

/// Buffers of one thread.
#[derive(Default)]
struct Room {
    near: Vec<Near>,
    /// The covariances of the nodes of every group nearby with those of the group at hand, one block after the other.
    blocks: Vec<f64>,
    /// The nodes of all groups around a main node and their covariances, where these are shared, and the places of some among them.
    union: Vec<usize>,
    shared: Vec<f64>,
    places: Vec<usize>,
    tensor: Vec<f64>,
    work: Vec<f64>,
    u: Vec<[f64; 1]>,
}

#[derive(Clone, Copy)]
struct Sums<'a> {
    model: &'a LatentGaussianModel,
    workspace: &'a Workspace,
    groups: &'a Groups<'a>,
    /// `ℓ‴` of every distinct row.
    weights: &'a [f64],
    tensors: &'a [f64],
}

impl Sums<'_> {
    /// Appends the third cumulants of the rows of every group whose main node this is.
    fn of_groups(self, main: usize, room: &mut Room, out: &mut Vec<f64>) {
        room.shared.clear();
        if self.groups.near_all_of(main, &mut room.near) {
            self.share(main, room);
        }
        for group in self.groups.of_main(main) {
            self.of_group(group, room, out);
        }
    }

    /// Keeps the covariances of all nodes of the groups around a main node, where groups on it would look for more of them one by one.
    fn share(self, main: usize, room: &mut Room) {
        let nodes = |group: usize| self.groups.nodes(group);
        room.union.clear();
        room.union.extend(room.near.iter().flat_map(|near| nodes(near.group)));
        let around = room.union.len();
        room.union.sort_unstable();
        room.union.dedup();
        let own: usize = self.groups.of_main(main).map(|group| nodes(group).len()).sum();
        let count = room.union.len();
        if count * count >= own * around {
            return;
        }
        room.shared.resize(count * count, 0.0);
        for (a, &i) in room.union.iter().enumerate() {
            for (b, &j) in room.union[..=a].iter().enumerate() {
                let covariance = self.covariance(i, j);
                (room.shared[a * count + b], room.shared[b * count + a]) = (covariance, covariance);
            }
        }
    }

    /// The covariances of the nodes of all groups nearby with these.
    fn fill_blocks(self, group: usize, room: &mut Room) {
        let nodes = self.groups.nodes(group);
        room.blocks.clear();
        if room.shared.is_empty() {
            self.groups.near_group(group, &mut room.near);
            for &j in room.near.iter().flat_map(|near| self.groups.nodes(near.group)) {
                room.blocks.extend(nodes.iter().map(|&l| self.covariance(j, l)));
            }
            return;
        }
        let place = |node: &usize| room.union.partition_point(|other| other < node);
        room.places.clear();
        room.places.extend(nodes.iter().map(place));
        for j in room.near.iter().flat_map(|near| self.groups.nodes(near.group)) {
            let row = &room.shared[place(j) * room.union.len()..][..room.union.len()];
            room.blocks.extend(room.places.iter().map(|&l| row[l]));
        }
    }

    /// Appends the third cumulant of every row of a group.
    fn of_group(self, group: usize, room: &mut Room, out: &mut Vec<f64>) {
        let (nodes, members) = (self.groups.nodes(group), self.groups.members(group));
        self.fill_blocks(group, room);
        if self.groups.has_tensor(group) {
            self.fill_tensor(nodes.len(), room);
            let mut x = vec![[0.0; LANES]; nodes.len()];
            for members in members.chunks(LANES) {
                self.groups.side_by_side(members, &mut x);
                out.extend_from_slice(&cubes::forms(&room.tensor, &x)[..members.len()]);
            }
            return;
        }
        for (place, &kind) in members.iter().enumerate() {
            let (_, own) = self.workspace.design.distinct_row(kind as usize);
            let mut kappa = 0.0;
            let mut blocks = &room.blocks[..];
            for near in &room.near {
                let block;
                (block, blocks) = blocks.split_at(self.groups.nodes(near.group).len() * own.len());
                room.u.clear();
                room.u.extend(block.chunks_exact(own.len()).map(|row| [dot(row, own)]));
                kappa += self.cubes(near, &room.u);
                // a group of more rows than are looked at holds the row itself too
                if near.group == group && place >= near.members {
                    kappa += self.cube(kind, &room.u);
                }
            }
            out.push(kappa);
        }
    }

    /// The tensor of all groups nearby in the coordinates of the group at hand.
    fn fill_tensor(self, width: usize, room: &mut Room) {
        room.tensor.clear();
        room.tensor.resize(cubes::length(width), 0.0);
        let mut blocks = &room.blocks[..];
        for near in &room.near {
            let block;
            (block, blocks) = blocks.split_at(self.groups.nodes(near.group).len() * width);
            if let Some(tensor) = self.groups.tensor(near.group, self.tensors) {
                cubes::add_transformed(tensor, block, width, &mut room.work, &mut room.tensor);
                continue;
            }
            for &kind in &self.groups.members(near.group)[..near.members] {
                let (_, values) = self.workspace.design.distinct_row(kind as usize);
                room.u.clear();
                room.u.resize(width, [0.0]);
                for (value, row) in values.iter().zip(block.chunks_exact(width)) {
                    room.u.iter_mut().zip(row).for_each(|(u, covariance)| u[0] += value * covariance);
                }
                cubes::add_weighted(&[self.weights[kind as usize]], &room.u, room.tensor.as_chunks_mut().0);
            }
        }
    }

    /// The third cumulant of a node.
    fn of_node(self, node: usize, near: &mut Vec<Near>, u: &mut Vec<[f64; 1]>) -> f64 {
        self.groups.near_node(node, near);
        let mut kappa = 0.0;
        for near in &*near {
            u.clear();
            u.extend(self.groups.nodes(near.group).iter().map(|&j| [self.covariance(j, node)]));
            kappa += self.cubes(near, u);
        }
        kappa
    }

    /// `Σ_m ℓ‴_m (a_mᵀu)³` over the rows of a group that are looked at.
    fn cubes(self, near: &Near, u: &[[f64; 1]]) -> f64 {
        match self.groups.tensor(near.group, self.tensors) {
            Some(tensor) => cubes::forms(tensor, u)[0],
            None => self.groups.members(near.group)[..near.members].iter().map(|&kind| self.cube(kind, u)).sum(),
        }
    }

    fn cube(self, kind: u32, u: &[[f64; 1]]) -> f64 {
        let (_, values) = self.workspace.design.distinct_row(kind as usize);
        self.weights[kind as usize] * dot(values, u.as_flattened()).powi(3)
    }

    /// `Σ_ij`; one beyond the factor's pattern counts as zero.
    fn covariance(self, i: usize, j: usize) -> f64 {
        // most are on the pattern of H, whose columns are short
        match self.model.symbolic().pattern().position(i, j) {
            Some(place) => self.workspace.inverse.values()[place],
            None => self.workspace.inverse.entry(i, j).unwrap_or(0.0),
        }
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
