//! Minimum degree: approximate (Amestoy, Davis and Duff 1996) by faer, exact where most nodes meet many others.

use faer::Index;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::SymbolicSparseColMatRef;
use faer::sparse::linalg::amd;

use super::Adjacency;
use super::leaf::Leaves;
use crate::error::GmrfError;

/// Stored directions up to which 32 bits hold every index of AMD's work space, two and a half times as many and twelve a node.
const SHORT: usize = 1 << 28;

/// Pairs of nodes for each stored direction up to which sets of nodes are quicker than lists, and no larger than 16 bytes for each.
const CROWDED: usize = 128;

/// `order[position] = node`.
pub(super) fn minimum_degree(adjacency: &Adjacency) -> Result<Vec<usize>, GmrfError> {
    let nodes = adjacency.order();
    if nodes.saturating_mul(nodes) <= CROWDED.saturating_mul(adjacency.len()) {
        let mut order = Vec::with_capacity(nodes);
        Leaves::new(adjacency).order(&(0..nodes).collect::<Vec<_>>(), &mut order);
        return Ok(order);
    }
    if adjacency.len().max(adjacency.order()) < SHORT { ordered::<u32>(adjacency) } else { ordered::<usize>(adjacency) }
}

fn ordered<I: Index>(adjacency: &Adjacency) -> Result<Vec<usize>, GmrfError> {
    let n = adjacency.order();
    let mut column_starts = Vec::with_capacity(n + 1);
    let mut rows: Vec<I> = Vec::with_capacity(adjacency.len() / 2);
    column_starts.push(I::truncate(0));
    // AMD reads the upper triangle: column i holds the rows j < i
    for i in 0..n {
        let start = rows.len();
        rows.extend(adjacency.of(i).iter().map(|&j| j as usize).filter(|&j| j < i).map(I::truncate));
        rows[start..].sort_unstable();
        column_starts.push(I::truncate(rows.len()));
    }
    let matrix = SymbolicSparseColMatRef::new_checked(n, n, &column_starts, None, &rows);
    let (mut order, mut position) = (vec![I::truncate(0); n], vec![I::truncate(0); n]);
    let too_large = |_| GmrfError::InvalidModel {
        model: "ordering",
        reason: format!("a pattern of order {n} does not fit into memory; use a smaller model"),
    };
    let scratch = amd::order_scratch::<I>(n, rows.len());
    let mut memory = MemBuffer::try_new(scratch).map_err(|_| too_large(()))?;
    amd::order(&mut order, &mut position, matrix, amd::Control::default(), MemStack::new(&mut memory))
        .map_err(|_| too_large(()))?;
    Ok(order.into_iter().map(I::zx).collect())
}
