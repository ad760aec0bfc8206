//! Random programs: whatever happens, each task runs to its end exactly once.

use crate::util::{numbers, reaches};
use coutil_threads::Pool;
use futures_lite::future::yield_now;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug)]
enum Step {
    /// A task that yields so many times.
    Spawn(usize),
    Resize(usize, bool),
    Count,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_task_runs_once(
        size in 0..4usize,
        steps in prop::collection::vec(
            prop_oneof![
                4 => (0..5usize).prop_map(Step::Spawn),
                2 => (0..5usize, any::<bool>()).prop_map(|(size, create)| Step::Resize(size, create)),
                1 => Just(Step::Count),
            ],
            0..60,
        ),
    ) {
        let pool = Pool::new(size).unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let (mut spawned, mut size) = (0, size);
        for step in steps {
            match step {
                Step::Spawn(yields) => {
                    let runs = Arc::clone(&runs);
                    pool.spawn(async move {
                        for _ in 0..yields {
                            yield_now().await;
                        }
                        runs.fetch_add(1, Ordering::SeqCst);
                    }).unwrap();
                    spawned += 1;
                }
                Step::Resize(new, create) => {
                    pool.resize(new, create).unwrap();
                    size = new;
                }
                Step::Count => {}
            }
            let count = pool.count();
            prop_assert_eq!(count.size, size);
            prop_assert!(count.running <= count.threads);
            prop_assert_eq!(count.tasks, count.running + count.pending + count.suspended);
            if size > 0 && count.pending > 0 {
                prop_assert!(count.threads > 0, "{:?}", count);
            }
        }
        pool.resize(2, true).unwrap();
        reaches(&pool, [0, 0, 0, 0, 2, 2]);
        prop_assert_eq!(runs.load(Ordering::SeqCst), spawned);
        pool.close();
        prop_assert_eq!(numbers(pool.count()), [0; 6]);
    }
}
