//! Work on all cores, results in the order of the items.

/// Calls `work` with one run of neighbouring items a core and joins what it returns, in order.
///
/// # Panics
/// When `work` does.
pub fn flat_map<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(1);
    if items.len() <= share {
        return work(items);
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = items.chunks(share).map(|run| scope.spawn(|| work(run))).collect();
        let joined =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn order_is_kept() {
        let items: Vec<u32> = (0..1000).collect();
        let doubled = super::flat_map(&items, |run| run.iter().map(|item| item * 2).collect());
        assert!(doubled.iter().zip(&items).all(|(double, item)| *double == item * 2) && doubled.len() == 1000);
        assert!(super::flat_map(&[] as &[u32], <[u32]>::to_vec).is_empty());
    }
}
