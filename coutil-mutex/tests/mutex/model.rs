//! The mutexes against a model: for each key a line, whose first is the owner.

use crate::util::{Count, poll_with};
use coutil_mutex::{Guard, Lock, Mutexes};
use proptest::prelude::*;
use std::sync::Arc;
use std::task::{Poll, Waker};

const KEYS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Lock(usize),
    TryLock(usize),
    Poll(usize),
    /// Gives up, or releases.
    Drop(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..KEYS).prop_map(Op::Lock),
        1 => (0..KEYS).prop_map(Op::TryLock),
        4 => (0..1000usize).prop_map(Op::Poll),
        4 => (0..1000usize).prop_map(Op::Drop),
    ]
}

enum Claim {
    Lock(Lock<usize>),
    Guard(#[expect(dead_code)] Guard<usize>),
}

#[derive(Default)]
struct Request {
    key: usize,
    claim: Option<Claim>,
    count: Arc<Count>,
    /// Whether it was found waiting.
    polled: bool,
}

fn check(ops: Vec<Op>) {
    let mutexes = Mutexes::new();
    let mut lines: [Vec<usize>; KEYS] = Default::default();
    let mut requests: Vec<Request> = Vec::new();
    for op in ops {
        match op {
            Op::Lock(key) => {
                lines[key].push(requests.len());
                let claim = Some(Claim::Lock(mutexes.lock(key)));
                requests.push(Request { key, claim, ..Request::default() });
            }
            Op::TryLock(key) => {
                let guard = mutexes.try_lock(key);
                assert_eq!(guard.is_some(), lines[key].is_empty());
                if let Some(guard) = guard {
                    lines[key].push(requests.len());
                    requests.push(Request { key, claim: Some(Claim::Guard(guard)), ..Request::default() });
                }
            }
            Op::Poll(at) if !requests.is_empty() => {
                let at = at % requests.len();
                let request = &mut requests[at];
                if let Some(Claim::Lock(lock)) = &mut request.claim {
                    let polled = poll_with(lock, &Waker::from(Arc::clone(&request.count)));
                    assert_eq!(polled.is_ready(), lines[request.key][0] == at);
                    match polled {
                        Poll::Ready(guard) => {
                            assert_eq!(*guard.key(), request.key);
                            request.claim = Some(Claim::Guard(guard));
                        }
                        Poll::Pending => request.polled = true,
                    }
                }
            }
            Op::Drop(at) if !requests.is_empty() => {
                let at = at % requests.len();
                lines[requests[at].key].retain(|&other| other != at);
                requests[at].claim = None;
            }
            Op::Poll(_) | Op::Drop(_) => {}
        }
        for (key, line) in lines.iter().enumerate() {
            assert_eq!(mutexes.is_locked(&key), !line.is_empty());
            for (place, &at) in line.iter().enumerate() {
                let request = &requests[at];
                assert_eq!(request.count.get(), usize::from(place == 0 && request.polled));
            }
        }
    }
    drop(requests);
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 0, waiting: 0, .. }");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(ops in prop::collection::vec(op(), 0..80)) {
        check(ops);
    }
}
