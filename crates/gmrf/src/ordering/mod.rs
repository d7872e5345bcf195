//! Elimination orders: fill-reducing for the nodes, and where the multipliers of the constraints belong.

mod adjacency;
mod alike;
mod hierarchy;
mod leaf;
mod matching;
mod minimum_degree;
mod multipliers;
mod nested_dissection;
mod reverse_cuthill_mckee;
mod separator;
mod sweep;

use std::borrow::Cow;

pub(crate) use adjacency::Adjacency;

use crate::cholesky::elimination::EliminationTree;
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::pattern::SparsityPattern;

/// How the nodes are ordered before a factorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ordering {
    /// The cheapest of the others by the operations that it predicts, nodes of very high degree last.
    #[default]
    Automatic,
    /// The caller's order: best for banded patterns such as random walks.
    Natural,
    /// Approximate minimum degree (Amestoy, Davis and Duff 1996); exact in crowded graphs.
    MinimumDegree,
    /// Nested dissection (George 1973), its last parts by minimum degree: least work and the broadest tree for large fields.
    NestedDissection,
    /// Reverse Cuthill–McKee: a narrow band for nodes along a line in any numbering.
    ReverseCuthillMcKee,
}

/// The order of elimination of nodes `0..n` and multipliers `n..n+k`.
pub(crate) struct EliminationOrder {
    /// `order[position]` is a node or a multiplier.
    pub(crate) order: Vec<usize>,
    /// The constraints whose multipliers stand behind all of their nodes.
    pub(crate) trailing: Vec<usize>,
    /// Its elimination tree, where it is known.
    pub(crate) tree: Option<EliminationTree>,
}

/// The order of elimination of nodes with these neighbours under `constraints`.
///
/// # Errors
/// [`GmrfError::RedundantConstraint`] for a constraint that the others imply.
pub(crate) fn elimination_order(
    adjacency: &Adjacency,
    constraints: &LinearConstraints,
    ordering: Ordering,
) -> Result<EliminationOrder, GmrfError> {
    let nodes = match ordering {
        Ordering::Natural => (0..adjacency.order()).collect(),
        Ordering::ReverseCuthillMcKee => reverse_cuthill_mckee::reverse_cuthill_mckee(adjacency),
        Ordering::MinimumDegree => Sparse::of(adjacency).ordered(least_degree)?,
        Ordering::NestedDissection => Sparse::of(adjacency).ordered(dissected)?,
        Ordering::Automatic => {
            let (nodes, tree) = cheapest(adjacency)?;
            let order = with_multipliers(nodes, constraints)?;
            return Ok(EliminationOrder { tree: Some(tree).filter(|_| constraints.is_empty()), ..order });
        }
    };
    with_multipliers(nodes, constraints)
}

/// The order of elimination of nodes in a given order under `constraints`.
///
/// Each multiplier stands just before the node that its constraint determines, so that every pivot of the signed
/// factor has a known sign. A constraint none of whose earlier nodes is free to balance it, such as one on a single node
/// or on two that other constraints determine, stands behind its nodes; the factor then adds `κ CᵀC` of it to `Q`.
///
/// # Errors
/// [`GmrfError::RedundantConstraint`] for a constraint that the others imply.
pub(crate) fn with_multipliers(
    nodes: Vec<usize>,
    constraints: &LinearConstraints,
) -> Result<EliminationOrder, GmrfError> {
    multipliers::insert_multipliers(nodes, constraints)
}

/// The order of `part`, which holds the nodes from `first` on, then all other nodes by ascending degree, if that is what dissecting
/// `pattern` anew would give: its entries among the nodes of the part are the part's own, and the others are dense.
pub(crate) fn around(
    pattern: &SparsityPattern,
    first: usize,
    part: &[usize],
    part_entries: usize,
) -> Option<Vec<usize>> {
    let inside = first..first + part.len();
    let among = pattern.entries().filter(|(i, j)| inside.contains(i) && inside.contains(j)).count();
    let adjacency = Adjacency::of_pattern(pattern);
    let limit = dense_limit(pattern.order());
    let mut others: Vec<usize> = (0..pattern.order()).filter(|i| !inside.contains(i)).collect();
    let same = among == part_entries && others.iter().all(|&i| adjacency.degree(i) > limit);
    others.sort_by_key(|&i| adjacency.degree(i));
    same.then(|| part.iter().map(|&i| first + i).chain(others).collect())
}

/// Nodes with more neighbours than this multiple of `√n` fill their rows whatever their place: they go last.
const DENSE: f64 = 10.0;
/// Up to this degree a node is never called dense.
const NEVER_DENSE: usize = 16;
/// Operations for each node above which the dissection's own cost, some three microseconds a node, is repaid by the tenth and more that
/// it saves of the sixty and more factors and selected inverses of one fit.
const WORTH_DISSECTING: f64 = 400.0;
/// Share of the work of the order as it came that a better one leaves.
const IMPROVED: f64 = 0.95;
/// Fewer nodes than this are dissected no better than minimum degree orders them.
const LEAST_DISSECTED: usize = 500;
/// Share of nodes that must be leaves, or become ones, for minimum degree without them to be worth a graph of its own.
const LEAST_PEELED: f64 = 0.1;
/// A band is worth looking for while the least possible work stays small: beyond it, the field has two dimensions.
const BANDED: f64 = 400.0;
/// Multiple of the work of the best order known from which the least of a band is out of reach, however loosely its levels hang together.
const WIDE: f64 = 4.0;

/// The cheapest order by the operations of the factor, to which those of the selected inverse are proportional, and its tree.
fn cheapest(adjacency: &Adjacency) -> Result<(Vec<usize>, EliminationTree), GmrfError> {
    let n = adjacency.order() as f64;
    let sparse = Sparse::of(adjacency);
    let order = sparse.ordered(least_degree)?;
    let tree = EliminationTree::new(adjacency, &order);
    let mut best = (tree.operations(), order, tree);
    let natural = sparse.ordered(|sparse| Ok((0..sparse.order()).collect()))?;
    let given = EliminationTree::within(adjacency, &natural, best.0 / IMPROVED);
    let as_given = given.as_ref().map_or(f64::INFINITY, EliminationTree::operations);
    if let Some(tree) = given.filter(|_| as_given <= best.0) {
        best = (as_given, natural, tree);
    }
    let work = best.0;
    let mut consider = |order: Vec<usize>| {
        let tree = EliminationTree::within(adjacency, &order, best.0).filter(|tree| tree.operations() < best.0);
        if let Some(tree) = tree {
            best = (tree.operations(), order, tree);
        }
    };
    if work < BANDED * n && reverse_cuthill_mckee::least_operations(&sparse.graph) < WIDE * work {
        consider(sparse.ordered(|sparse| Ok(reverse_cuthill_mckee::reverse_cuthill_mckee(sparse)))?);
    }
    // where minimum degree finds nothing better than the order as it came, as between crossed effects, there is nothing to dissect
    let promising = work <= IMPROVED * as_given && work > WORTH_DISSECTING * n;
    if promising && adjacency.order() >= LEAST_DISSECTED {
        consider(sparse.ordered(dissected)?);
    }
    Ok((best.1, best.2))
}

/// Minimum degree; trees, whose leaves have least, need no search.
fn least_degree(adjacency: &Adjacency) -> Result<Vec<usize>, GmrfError> {
    peeled(adjacency, LEAST_PEELED, minimum_degree::minimum_degree)
}

/// Trees are eliminated from their leaves without fill; what is left is dissected.
fn dissected(adjacency: &Adjacency) -> Result<Vec<usize>, GmrfError> {
    peeled(adjacency, 0.0, |core| {
        nested_dissection::nested_dissection(core).map_or_else(|| minimum_degree::minimum_degree(core), Ok)
    })
}

/// Nodes of at most one neighbour, which have least degree, then the others in an order of their own; all by `ordering` if those are less
/// than a share `least` of the nodes.
fn peeled(
    adjacency: &Adjacency,
    least: f64,
    ordering: impl Fn(&Adjacency) -> Result<Vec<usize>, GmrfError>,
) -> Result<Vec<usize>, GmrfError> {
    let (mut order, core) = adjacency.peeled();
    if order.is_empty() || (order.len() as f64) < least * adjacency.order() as f64 {
        return ordering(adjacency);
    }
    if !core.is_empty() {
        order.extend(ordering(&adjacency.restricted(&core))?.into_iter().map(|k| core[k]));
    }
    Ok(order)
}

/// The degree above which a node is called dense.
fn dense_limit(n: usize) -> usize {
    ((DENSE * (n as f64).sqrt()) as usize).max(NEVER_DENSE).min(n / 2)
}

/// The sparse nodes of a graph, and the dense ones by ascending degree, which come last.
struct Sparse<'a> {
    nodes: Vec<usize>,
    /// Their graph, the whole one if there is no dense node.
    graph: Cow<'a, Adjacency>,
    dense: Vec<usize>,
}

impl<'a> Sparse<'a> {
    fn of(adjacency: &'a Adjacency) -> Self {
        let n = adjacency.order();
        let limit = dense_limit(n);
        let (mut dense, nodes): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| adjacency.degree(i) > limit);
        dense.sort_by_key(|&i| adjacency.degree(i));
        let graph = if dense.is_empty() { Cow::Borrowed(adjacency) } else { Cow::Owned(adjacency.restricted(&nodes)) };
        Self { nodes, graph, dense }
    }

    fn ordered(&self, ordering: impl Fn(&Adjacency) -> Result<Vec<usize>, GmrfError>) -> Result<Vec<usize>, GmrfError> {
        let sparse = ordering(&self.graph)?.into_iter().map(|k| self.nodes[k]);
        Ok(sparse.chain(self.dense.iter().copied()).collect())
    }
}

/// `position[node]` from `order[position]`.
pub(crate) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut position = vec![0; order.len()];
    for (p, &node) in order.iter().enumerate() {
        position[node] = p;
    }
    position
}
