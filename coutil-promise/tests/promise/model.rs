//! Promises against a model: a value, or none, and who has looked in vain.

use crate::util::{Count, poll_with};
use coutil_promise::{Abandoned, Fulfiller, Promise, promise};
use proptest::prelude::*;
use std::sync::Arc;
use std::task::{Poll, Waker};

#[derive(Clone, Debug)]
enum Op {
    Fulfill,
    Abandon,
    Clone(usize),
    Poll(usize),
    TryGet(usize),
    Drop(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..1000usize;
    prop_oneof![
        1 => Just(Op::Fulfill),
        1 => prop::bool::weighted(0.2).prop_map(|abandon| if abandon { Op::Abandon } else { Op::Fulfill }),
        5 => at.clone().prop_map(Op::Clone),
        10 => at.clone().prop_map(Op::Poll),
        2 => at.clone().prop_map(Op::TryGet),
        4 => at.prop_map(Op::Drop),
    ]
}

#[derive(Default)]
struct Handle {
    promise: Option<Promise<u32>>,
    count: Arc<Count>,
    /// Whether it waits.
    waits: bool,
    /// How often it is to be woken.
    wakes: usize,
}

fn check(ops: Vec<Op>) {
    let (fulfiller, first) = promise();
    let mut fulfiller: Option<Fulfiller<u32>> = Some(fulfiller);
    let mut value = None;
    let mut handles = vec![Handle { promise: Some(first), ..Handle::default() }];
    for (next, op) in (0..).zip(ops) {
        let mut settles = false;
        match op {
            Op::Fulfill => {
                if let Some(fulfiller) = &fulfiller {
                    settles = value.is_none();
                    assert_eq!(fulfiller.fulfill(next), settles);
                    value = Some(next);
                }
            }
            Op::Abandon => settles = fulfiller.take().is_some() && value.is_none(),
            Op::Clone(at) => {
                let at = at % handles.len();
                if let Some(promise) = handles[at].promise.clone() {
                    handles.push(Handle { promise: Some(promise), ..Handle::default() });
                }
            }
            Op::Poll(at) => {
                let at = at % handles.len();
                let handle = &mut handles[at];
                if let Some(promise) = &mut handle.promise {
                    let expected = match value {
                        Some(value) => Poll::Ready(Ok(value)),
                        None if fulfiller.is_none() => Poll::Ready(Err(Abandoned)),
                        None => Poll::Pending,
                    };
                    assert_eq!(poll_with(promise, &Waker::from(Arc::clone(&handle.count))), expected);
                    handle.waits = expected.is_pending();
                }
            }
            Op::TryGet(at) => {
                let at = at % handles.len();
                if let Some(promise) = &handles[at].promise {
                    assert_eq!(promise.try_get(), value);
                }
            }
            Op::Drop(at) => {
                let at = at % handles.len();
                handles[at].promise = None;
                handles[at].waits = false;
            }
        }
        if settles {
            for handle in &mut handles {
                handle.wakes += usize::from(std::mem::take(&mut handle.waits));
            }
        }
        for handle in &handles {
            assert_eq!(handle.count.get(), handle.wakes);
            if let Some(promise) = &handle.promise {
                assert_eq!(promise.is_fulfilled(), value.is_some());
                assert_eq!(promise.is_abandoned(), value.is_none() && fulfiller.is_none());
            }
        }
        if let Some(fulfiller) = &fulfiller {
            assert_eq!(fulfiller.is_awaited(), handles.iter().any(|handle| handle.waits));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(ops in prop::collection::vec(op(), 0..50)) {
        check(ops);
    }
}
