//! Nested dissection by METIS (Karypis and Kumar 1998).

use std::sync::{Mutex, PoisonError};

use super::Adjacency;

/// METIS draws from the C library's generator and is not reentrant; with the lock held and its default seed, its result
/// depends on the graph alone.
static METIS: Mutex<()> = Mutex::new(());

/// `order[position] = node`, or `None` where METIS cannot: more than 2³¹ entries, or out of memory.
#[allow(unsafe_code)] // the one foreign function of the workspace
pub(super) fn nested_dissection(adjacency: &Adjacency) -> Option<Vec<usize>> {
    use metis_sys::{METIS_NodeND, METIS_SetDefaultOptions, idx_t, rstatus_et_METIS_OK};
    let n = adjacency.order();
    let mut order = idx_t::try_from(n).ok().filter(|&n| n > 0)?;
    idx_t::try_from(adjacency.len()).ok()?;
    let mut starts: Vec<idx_t> = Vec::with_capacity(n + 1);
    let mut neighbours: Vec<idx_t> = Vec::with_capacity(adjacency.len());
    starts.push(0);
    for node in 0..n {
        neighbours.extend(adjacency.of(node).iter().map(|&k| k as idx_t));
        starts.push(neighbours.len() as idx_t);
    }
    let mut options: [idx_t; metis_sys::METIS_NOPTIONS as usize] = [0; metis_sys::METIS_NOPTIONS as usize];
    let (mut permutation, mut inverse): (Vec<idx_t>, Vec<idx_t>) = (vec![0; n], vec![0; n]);
    let guard = METIS.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: `starts` has n + 1 ascending entries that index `neighbours`, whose entries lie in 0..n; both permutations
    // hold n entries, `options` as many as METIS names; null weights are allowed. METIS keeps none of the pointers.
    let status = unsafe {
        METIS_SetDefaultOptions(options.as_mut_ptr());
        METIS_NodeND(
            &mut order,
            starts.as_mut_ptr(),
            neighbours.as_mut_ptr(),
            std::ptr::null_mut(),
            options.as_mut_ptr(),
            permutation.as_mut_ptr(),
            inverse.as_mut_ptr(),
        )
    };
    drop(guard);
    (status == rstatus_et_METIS_OK).then(|| permutation.into_iter().map(|node| node as usize).collect())
}
