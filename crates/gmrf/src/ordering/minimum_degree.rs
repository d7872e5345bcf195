//! Approximate minimum degree (Amestoy, Davis and Duff 1996), by faer.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::SymbolicSparseColMatRef;
use faer::sparse::linalg::amd;

use super::Adjacency;
use crate::error::GmrfError;

/// `order[position] = node`.
pub(super) fn minimum_degree(adjacency: &Adjacency) -> Result<Vec<usize>, GmrfError> {
    let n = adjacency.order();
    let mut column_starts = vec![0usize; n + 1];
    let mut rows = Vec::with_capacity(adjacency.len() / 2);
    // AMD reads the upper triangle: column i holds the rows j < i
    for i in 0..n {
        let start = rows.len();
        rows.extend(adjacency.of(i).iter().map(|&j| j as usize).filter(|&j| j < i));
        rows[start..].sort_unstable();
        column_starts[i + 1] = rows.len();
    }
    let matrix = SymbolicSparseColMatRef::new_checked(n, n, &column_starts, None, &rows);
    let (mut order, mut position) = (vec![0usize; n], vec![0usize; n]);
    let too_large = |_| GmrfError::InvalidModel {
        model: "ordering",
        reason: format!("a pattern of order {n} does not fit into memory; use a smaller model"),
    };
    let scratch = amd::order_scratch::<usize>(n, rows.len());
    let mut memory = MemBuffer::try_new(scratch).map_err(|_| too_large(()))?;
    amd::order(&mut order, &mut position, matrix, amd::Control::default(), MemStack::new(&mut memory))
        .map_err(|_| too_large(()))?;
    Ok(order)
}
