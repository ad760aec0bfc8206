//! Waiting for several promises.

use crate::util::{Count, poll, poll_with};
use coutil_promise::{Abandoned, Fulfiller, Promise, all, any, promise};
use futures_lite::future::block_on;
use std::sync::Arc;
use std::task::{Poll, Waker};

fn promises<const N: usize>() -> ([Option<Fulfiller<usize>>; N], [Promise<usize>; N]) {
    let pairs = [(); N].map(|()| promise());
    let mut fulfillers = [const { None }; N];
    let mut position = 0;
    let promises = pairs.map(|(fulfiller, promise)| {
        fulfillers[position] = Some(fulfiller);
        position += 1;
        promise
    });
    (fulfillers, promises)
}

fn fulfill(fulfiller: &Option<Fulfiller<usize>>, value: usize) {
    assert!(fulfiller.as_ref().expect("not dropped").fulfill(value));
}

/// [10 4.6.1]
#[test]
fn all_in_their_order() {
    let (fulfillers, promises) = promises::<4>();
    fulfill(&fulfillers[2], 2);
    let mut all = all(promises);
    for position in [3, 0, 1] {
        let count = Arc::new(Count::default());
        assert_eq!(poll_with(&mut all, &Waker::from(Arc::clone(&count))), Poll::Pending);
        assert_eq!(count.get(), 0);
        fulfill(&fulfillers[position], position);
        assert_eq!(count.get(), 1);
    }
    assert_eq!(poll(&mut all), Poll::Ready(Ok(vec![0, 1, 2, 3])));
}

#[test]
fn all_but_one() {
    let (mut fulfillers, promises) = promises::<3>();
    let mut all = all(promises);
    assert_eq!(poll(&mut all), Poll::Pending);
    fulfill(&fulfillers[0], 0);
    // It does not take the others to know.
    fulfillers[1] = None;
    assert_eq!(poll(&mut all), Poll::Ready(Err(Abandoned)));
    assert!(!fulfillers[2].as_ref().expect("not dropped").is_awaited());
}

/// [10 4.7.1]
#[test]
fn any_that_is_there_already() {
    let (fulfillers, promises) = promises::<4>();
    fulfill(&fulfillers[3], 3);
    fulfill(&fulfillers[1], 1);
    assert_eq!(block_on(any(promises)), Ok((1, 1)));
}

/// [10 4.7.2]
#[test]
fn any_that_comes_first() {
    let (mut fulfillers, promises) = promises::<4>();
    let mut any = any(promises);
    let count = Arc::new(Count::default());
    assert_eq!(poll_with(&mut any, &Waker::from(Arc::clone(&count))), Poll::Pending);
    fulfillers[1] = None;
    fulfill(&fulfillers[2], 2);
    fulfill(&fulfillers[0], 0);
    assert_eq!(count.get(), 1, "it was told once that there is something");
    assert_eq!(poll(&mut any), Poll::Ready(Ok((2, 2))));
    // R18: it does not wait for the others any more.
    assert!(!fulfillers[3].as_ref().expect("not dropped").is_awaited());
}

#[test]
fn any_of_those_that_are_abandoned() {
    let (mut fulfillers, promises) = promises::<3>();
    let mut any = any(promises);
    for fulfiller in &mut fulfillers {
        assert_eq!(poll(&mut any), Poll::Pending);
        *fulfiller = None;
    }
    assert_eq!(poll(&mut any), Poll::Ready(Err(Abandoned)));
}

/// R20: lua-nginx-module 1356.
#[test]
fn of_nothing() {
    assert_eq!(block_on(all::<u32>([])), Ok(vec![]));
    assert_eq!(block_on(any::<u32>([])), Err(Abandoned));
}

/// R18
#[test]
fn dropped() {
    let (fulfillers, promises) = promises::<3>();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut all = all(promises.clone());
    let mut any = any(promises);
    assert_eq!(poll_with(&mut all, &waker), Poll::Pending);
    assert_eq!(poll_with(&mut any, &waker), Poll::Pending);
    let awaited = || fulfillers.iter().flatten().filter(|fulfiller| fulfiller.is_awaited()).count();
    assert_eq!(awaited(), 3);
    drop((all, any));
    assert_eq!(awaited(), 0);
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1);
}

/// A promise stands for its value wherever it stands.
#[test]
fn repeated() {
    let (fulfiller, promise) = promise();
    let mut all = all([promise.clone(), promise.clone(), promise]);
    assert_eq!(poll(&mut all), Poll::Pending);
    fulfiller.fulfill(1);
    assert_eq!(poll(&mut all), Poll::Ready(Ok(vec![1, 1, 1])));
}

#[test]
#[should_panic(expected = "must not be polled after it was ready")]
fn all_polled_again() {
    let mut all = all::<u32>([]);
    assert!(poll(&mut all).is_ready());
    let _again = poll(&mut all);
}

#[test]
#[should_panic(expected = "must not be polled after it was ready")]
fn any_polled_again() {
    let mut any = any::<u32>([]);
    assert!(poll(&mut any).is_ready());
    let _again = poll(&mut any);
}
