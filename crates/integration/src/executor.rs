//! Who evaluates a batch of points: a batch of indices in, results in the same order out.

use rayon::prelude::*;

/// Runs independent tasks. Results stand in the order of the tasks, so that sums over them have the same bits on any
/// number of threads.
pub trait Executor: Sync {
    /// Calls `task(i)` for `i` in `0..count`, in any order and on any thread.
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync));

    /// How many tasks may run at the same time. Where there are fewer points than that, a factor uses the idle threads.
    fn threads(&self) -> usize;
}

/// One task after the other on the calling thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sequential;

impl Executor for Sequential {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }

    fn threads(&self) -> usize {
        1
    }
}

/// Tasks on the threads of the rayon pool in which the caller runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parallel;

impl Executor for Parallel {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        // a task is worth a theft
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }

    fn threads(&self) -> usize {
        rayon::current_num_threads()
    }
}

/// The results of `count` tasks in order.
pub(crate) fn map<T: Send>(executor: &dyn Executor, count: usize, task: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let slots: Vec<std::sync::Mutex<Option<T>>> = (0..count).map(|_| std::sync::Mutex::new(None)).collect();
    executor.run(count, &|i| {
        let result = task(i);
        if let Ok(mut slot) = slots[i].lock() {
            *slot = Some(result);
        }
    });
    slots.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_tasks() {
        let squares: Vec<usize> = (0..100).map(|i| i * i).collect();
        assert_eq!(map(&Sequential, 100, |i| i * i), squares);
        assert_eq!(map(&Parallel, 100, |i| i * i), squares);
    }
}
