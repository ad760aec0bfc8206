//! The core against a model made of plain vectors.

use coutil_event::core::{Batch, Popped, QueueId, Registry, Wait, WaiterId};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Open,
    Close(usize),
    /// A new waiter, and the queues that it joins.
    Enroll(bool, Vec<usize>),
    Join(usize, usize),
    Leave(usize),
    Remove(usize),
    /// Pops, and removes the one that is done, or not.
    Pop(usize, bool),
    Detach(usize),
    PopFrom(usize, bool),
    Discard(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..1000usize;
    prop_oneof![
        2 => Just(Op::Open),
        1 => at.clone().prop_map(Op::Close),
        8 => (any::<bool>(), prop::collection::vec(at.clone(), 0..4)).prop_map(|(all, to)| Op::Enroll(all, to)),
        2 => (at.clone(), at.clone()).prop_map(|(waiter, queue)| Op::Join(waiter, queue)),
        2 => at.clone().prop_map(Op::Leave),
        3 => at.clone().prop_map(Op::Remove),
        6 => (at.clone(), any::<bool>()).prop_map(|(queue, remove)| Op::Pop(queue, remove)),
        2 => at.clone().prop_map(Op::Detach),
        5 => (at.clone(), any::<bool>()).prop_map(|(batch, remove)| Op::PopFrom(batch, remove)),
        1 => at.prop_map(Op::Discard),
    ]
}

/// Where a waiter stands: in a list, which it joined as that of a queue.
type Stand = (usize, usize);

/// All positions are those of these vectors, in which nothing is ever removed.
#[derive(Default)]
struct Model {
    /// The list of each queue, until it is closed.
    queues: Vec<Option<usize>>,
    /// Who stands in each list, the first first.
    lists: Vec<Vec<usize>>,
    /// Each waiter, until it is removed.
    waiters: Vec<Option<(Wait, Vec<Stand>)>>,
}

impl Model {
    fn list(&self, queue: usize) -> &[usize] {
        self.queues[queue].map_or(&[], |list| &self.lists[list])
    }

    fn join(&mut self, waiter: usize, queue: usize) -> bool {
        let (Some((_, stands)), Some(list)) = (&mut self.waiters[waiter], self.queues[queue]) else {
            return false;
        };
        if self.lists[list].last() == Some(&waiter) {
            return false;
        }
        self.lists[list].push(waiter);
        stands.push((list, queue));
        true
    }

    fn leave(&mut self, waiter: usize) -> Option<usize> {
        let (list, queue) = self.waiters[waiter].as_mut()?.1.pop()?;
        // It may stand in a list twice, if it joined while others did. The one that it joined last is behind.
        let position = self.lists[list].iter().rposition(|&other| other == waiter).expect("it stands there");
        self.lists[list].remove(position);
        Some(queue)
    }

    fn remove(&mut self, waiter: usize) -> bool {
        while self.leave(waiter).is_some() {}
        self.waiters[waiter].take().is_some()
    }

    fn pop(&mut self, list: usize) -> Option<(usize, bool, bool)> {
        let waiter = *self.lists[list].first()?;
        self.lists[list].remove(0);
        let (wait, stands) = self.waiters[waiter].as_mut().expect("who stands somewhere exists");
        let position = stands.iter().position(|stand| stand.0 == list).expect("both sides agree");
        stands.remove(position);
        Some((waiter, *wait == Wait::Any || stands.is_empty(), !stands.is_empty()))
    }

    fn clear(&mut self, list: usize) {
        while let Some(&waiter) = self.lists[list].first() {
            self.remove(waiter);
        }
    }
}

/// Both, and what leads from the positions of the model to the ids of the registry.
#[derive(Default)]
struct Both {
    model: Model,
    registry: Registry<usize, String>,
    queues: Vec<QueueId>,
    waiters: Vec<WaiterId>,
    /// The batches that were not discarded yet, and their lists.
    batches: Vec<(Batch, usize)>,
}

impl Both {
    fn run(&mut self, op: Op) {
        match op {
            Op::Open => {
                let position = self.queues.len();
                self.queues.push(self.registry.open(position.to_string()));
                self.model.queues.push(Some(self.model.lists.len()));
                self.model.lists.push(Vec::new());
            }
            Op::Enroll(all, queues) => {
                let wait = if all { Wait::All } else { Wait::Any };
                let waiter = self.waiters.len();
                self.waiters.push(self.registry.enroll(waiter, wait));
                self.model.waiters.push(Some((wait, Vec::new())));
                for queue in queues {
                    self.join(waiter, queue);
                }
            }
            Op::Join(waiter, queue) if !self.waiters.is_empty() => {
                self.join(waiter % self.waiters.len(), queue);
            }
            Op::Leave(waiter) if !self.waiters.is_empty() => {
                let waiter = waiter % self.waiters.len();
                let expected = self.model.leave(waiter).map(|queue| self.queues[queue]);
                assert_eq!(self.registry.leave(self.waiters[waiter]), expected);
            }
            Op::Remove(waiter) if !self.waiters.is_empty() => self.remove(waiter % self.waiters.len()),
            Op::Close(queue) if !self.queues.is_empty() => {
                let queue = queue % self.queues.len();
                let list = self.model.queues[queue];
                let expected = list.map(|list| {
                    self.model.clear(list);
                    self.model.queues[queue] = None;
                    queue.to_string()
                });
                assert_eq!(self.registry.close(self.queues[queue]), expected);
            }
            Op::Pop(queue, remove) if !self.queues.is_empty() => {
                let queue = queue % self.queues.len();
                let popped = self.registry.pop(self.queues[queue]);
                let expected = self.model.queues[queue].and_then(|list| self.model.pop(list));
                self.popped(popped, expected, remove);
            }
            Op::Detach(queue) if !self.queues.is_empty() => {
                let queue = queue % self.queues.len();
                let batch = self.registry.detach(self.queues[queue]);
                assert_eq!(batch.is_some(), !self.model.list(queue).is_empty());
                if let Some(batch) = batch {
                    let list = self.model.queues[queue].replace(self.model.lists.len()).expect("it is open");
                    self.model.lists.push(Vec::new());
                    self.batches.push((batch, list));
                }
            }
            Op::PopFrom(batch, remove) if !self.batches.is_empty() => {
                let (batch, list) = &self.batches[batch % self.batches.len()];
                let popped = self.registry.pop_from(batch);
                let expected = self.model.pop(*list);
                self.popped(popped, expected, remove);
            }
            Op::Discard(batch) if !self.batches.is_empty() => {
                let (batch, list) = self.batches.swap_remove(batch % self.batches.len());
                self.model.clear(list);
                self.registry.discard(batch);
            }
            // There is nothing yet to do it with.
            _ => {}
        }
    }

    fn join(&mut self, waiter: usize, queue: usize) {
        if self.queues.is_empty() {
            return;
        }
        let queue = queue % self.queues.len();
        let joined = self.registry.join(self.waiters[waiter], self.queues[queue]);
        assert_eq!(joined, self.model.join(waiter, queue));
    }

    fn remove(&mut self, waiter: usize) {
        let expected = self.model.remove(waiter).then_some(waiter);
        assert_eq!(self.registry.remove(self.waiters[waiter]), expected);
    }

    fn popped(&mut self, popped: Option<Popped>, expected: Option<(usize, bool, bool)>, remove: bool) {
        let expected_pop = expected.map(|(waiter, done, elsewhere)| Popped {
            waiter: self.waiters[waiter],
            done,
            elsewhere,
        });
        assert_eq!(popped, expected_pop);
        if let Some((waiter, true, _)) = expected
            && remove
        {
            self.remove(waiter);
        }
    }

    /// All that can be seen is the same, through ids that are out of date as well.
    fn compare(&mut self) {
        for (queue, &id) in self.queues.iter().enumerate() {
            let open = self.model.queues[queue].is_some();
            let list = self.model.list(queue);
            assert_eq!(self.registry.len(id), list.len());
            assert_eq!(self.registry.is_empty(id), list.is_empty());
            assert_eq!(
                self.registry.front(id),
                list.first().map(|waiter| (self.waiters[*waiter], waiter)),
                "the front of queue {queue}"
            );
            assert_eq!(self.registry.data(id).cloned(), open.then(|| queue.to_string()));
            assert_eq!(self.registry.data_mut(id).cloned(), open.then(|| queue.to_string()));
        }
        for (waiter, &id) in self.waiters.iter().enumerate() {
            let expected = self.model.waiters[waiter].is_some().then_some(waiter);
            assert_eq!(self.registry.get(id).copied(), expected);
            assert_eq!(self.registry.get_mut(id).copied(), expected);
            let stands = self.model.waiters[waiter].as_ref().is_some_and(|waiter| !waiter.1.is_empty());
            assert_eq!(self.registry.is_waiting(id), stands);
            assert_eq!(WaiterId::from_bits(id.to_bits()), id);
        }
        assert_eq!(self.registry.queues(), self.model.queues.iter().flatten().count());
        assert_eq!(self.registry.waiters(), self.model.waiters.iter().flatten().count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(ops in prop::collection::vec(op(), 0..80)) {
        let mut both = Both::default();
        for op in ops {
            both.run(op);
            both.compare();
        }
    }
}
