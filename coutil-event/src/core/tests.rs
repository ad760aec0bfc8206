//! What the public interface does not show: how much work an operation does, and what stays behind.

use super::*;
use std::cell::Cell;

thread_local! {
    /// How many nodes were looked at by this thread.
    pub(super) static VISITS: Cell<usize> = const { Cell::new(0) };
}

/// The number of nodes that `work` looks at.
fn visits<R>(work: impl FnOnce() -> R) -> usize {
    let before = VISITS.get();
    work();
    VISITS.get() - before
}

impl<W, D> Registry<W, D> {
    /// The lengths of the four tables: queues, waiters, nodes, lists.
    fn sizes(&self) -> [usize; 4] {
        [self.queues.len(), self.waiters.len(), self.nodes.len(), self.lists.len()]
    }
}

/// R18, and the reason for this structure: whoever gives up costs the same wherever it stands.
#[test]
fn cancellation_looks_at_a_few_nodes_among_a_million() {
    const N: usize = 1_000_000;
    let mut registry = Registry::<usize>::new();
    let queue = registry.open(());
    let waiters: Vec<_> = (0..N).map(|i| registry.enroll(i, Wait::Any)).collect();
    for &waiter in &waiters {
        assert!(registry.join(waiter, queue));
    }
    assert_eq!(registry.len(queue), N);
    assert_eq!(registry.sizes(), [1, N, N, 1]);

    // From the ends and around the middle, some hundred each.
    for i in 0..300 {
        for gone in [i, N / 2 + i, N - 1 - i] {
            let cost = visits(|| assert_eq!(registry.remove(waiters[gone]), Some(gone)));
            assert!(cost <= 5, "removing {gone} looked at {cost} nodes");
        }
    }
    let cost = visits(|| assert_eq!(registry.leave(waiters[N / 4]), Some(queue)));
    assert!(cost <= 6, "leaving looked at {cost} nodes");
    let cost = visits(|| assert!(registry.join(waiters[N / 4], queue)));
    assert!(cost <= 3, "joining looked at {cost} nodes");
    let cost = visits(|| assert_eq!(registry.front(queue).map(|front| *front.1), Some(300)));
    assert!(cost <= 1, "the front looked at {cost} nodes");
    let mut batch = None;
    let cost = visits(|| batch = registry.detach(queue));
    assert_eq!(cost, 0, "detaching looks at nobody");
    let batch = batch.expect("many wait");

    // The order of the others is what it was, but for the one that joined anew.
    let expected = (300..N / 4).chain(N / 4 + 1..N / 2).chain(N / 2 + 300..N - 300).chain([N / 4]);
    for i in expected {
        let popped = registry.pop_from(&batch).expect("one that did not give up");
        assert_eq!(popped, Popped { waiter: waiters[i], done: true, elsewhere: false });
        registry.remove(popped.waiter);
    }
    assert_eq!(registry.pop_from(&batch), None);
    registry.discard(batch);
    assert_eq!(registry.sizes(), [1, 0, 0, 1]);
}

/// [10 1.5.4]: to be resumed takes a waiter out of all its other queues, at a cost that does not grow with them.
#[test]
fn removal_costs_the_queues_of_the_waiter_only() {
    let mut registry = Registry::<usize>::new();
    let queues: Vec<_> = (0..10).map(|_| registry.open(())).collect();
    let mut middle = Vec::new();
    for i in 0..1000 {
        let waiter = registry.enroll(i, Wait::Any);
        middle.push(waiter);
        for &queue in &queues {
            registry.join(waiter, queue);
        }
    }
    let cost = visits(|| registry.remove(middle[500]));
    assert!(cost <= 5 * queues.len(), "looked at {cost} nodes");
    assert_eq!(registry.sizes(), [10, 999, 9990, 10]);
}

#[test]
fn nothing_stays_behind() {
    let mut registry = Registry::<u8, &str>::new();
    let queues = [registry.open("a"), registry.open("b"), registry.open("c")];
    let waiters: Vec<_> =
        (0..20).map(|i| registry.enroll(i, if i % 2 == 0 { Wait::Any } else { Wait::All })).collect();
    for &waiter in &waiters {
        for queue in queues {
            registry.join(waiter, queue);
        }
    }
    let batch = registry.detach(queues[1]).expect("all wait");
    assert_eq!(registry.close(queues[0]), Some("a"));
    // All stood in the queue that was closed.
    assert_eq!(registry.sizes(), [2, 0, 0, 3]);
    assert_eq!(registry.pop_from(&batch), None);
    registry.discard(batch);
    assert_eq!(registry.close(queues[1]), Some("b"));
    assert_eq!(registry.close(queues[2]), Some("c"));
    assert_eq!(registry.close(queues[2]), None);
    assert_eq!(registry.sizes(), [0; 4]);
}

/// A queue that is gone is not mistaken for the one that took its place.
#[test]
fn leaving_the_batch_of_a_closed_queue_names_that_queue() {
    let mut registry = Registry::<(), &str>::new();
    let old = registry.open("old");
    let waiter = registry.enroll((), Wait::Any);
    registry.join(waiter, old);
    let batch = registry.detach(old).expect("one waits");
    registry.close(old);
    let new = registry.open("new");
    assert_eq!(new.index(), old.index());

    let left = registry.leave(waiter).expect("it stands in the batch");
    assert_eq!(left, old);
    assert_eq!(registry.data(left), None);
    registry.discard(batch);
}

/// Generations wrap, and never reach zero nor bits that an id has not.
#[test]
fn generations_wrap() {
    let mut registry = Registry::<()>::new();
    registry.generation = GENERATION_MASK - 1;
    let last = registry.open(());
    let first = registry.open(());
    assert_eq!((last.generation, first.generation), (GENERATION_MASK, 1));
    for id in [last, first] {
        assert!(id.to_bits() < 1 << 52);
        assert_eq!(QueueId::from_bits(id.to_bits()), id);
        assert_eq!(QueueId::from_bits(id.to_bits() as f64 as u64), id);
    }
    assert_eq!(registry.data(QueueId::from_bits(0)), None);
}

#[test]
#[should_panic(expected = "too many waiters")]
fn positions_do_not_wrap() {
    position(NIL as usize);
}
