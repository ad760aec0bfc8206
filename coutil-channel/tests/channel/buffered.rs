//! The channels with a buffer.

use coutil_channel::buffered::{self, ReceiveError, SendError, TrySendError};
use futures_lite::future::{block_on, poll_once};
use std::pin::pin;

#[test]
fn full_and_empty() {
    let (sender, receiver) = buffered::bounded(1);
    assert_eq!(receiver.try_receive(), Ok(None));
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    assert_eq!((sender.len(), receiver.len()), (1, 1));
    {
        let mut third = pin!(sender.send(3));
        assert_eq!(block_on(poll_once(&mut third)), None);
        // Given up: it is not sent.
    }
    assert_eq!(receiver.receive_blocking(), Ok(1));
    assert!(receiver.is_empty() && sender.is_empty());
}

#[test]
fn an_end_is_gone() {
    let (sender, receiver) = buffered::unbounded();
    block_on(sender.send(1)).unwrap();
    drop(sender);
    assert_eq!(block_on(receiver.receive()), Ok(1));
    assert_eq!(receiver.try_receive(), Err(ReceiveError));
    assert_eq!(block_on(receiver.receive()), Err(ReceiveError));
    let (sender, receiver) = buffered::bounded(0);
    drop(receiver);
    assert_eq!(sender.try_send(1), Err(TrySendError::Closed(1)));
    assert_eq!(sender.send_blocking(1), Err(SendError(1)));
}

#[test]
fn an_error_gives_the_value_back() {
    let (sender, receiver) = buffered::bounded(1);
    sender.try_send("first").unwrap();
    let full = sender.try_send("second").unwrap_err();
    assert!(full.is_full() && !full.is_closed());
    assert_eq!(full.into_inner(), "second");
    drop(receiver);
    let closed = sender.try_send("third").unwrap_err();
    assert!(closed.is_closed() && !closed.is_full());
    assert_eq!(closed.into_inner(), "third");
    assert_eq!(sender.send_blocking("fourth").unwrap_err().into_inner(), "fourth");
}

/// A future that is given up neither leaves its value behind nor takes one.
#[test]
fn a_future_that_is_dropped_has_done_nothing() {
    let (sender, receiver) = buffered::bounded(1);
    sender.try_send(1).unwrap();
    assert_eq!(block_on(poll_once(sender.send(2))), None);
    assert_eq!(receiver.try_receive(), Ok(Some(1)));
    assert_eq!(receiver.try_receive(), Ok(None));

    let mut given_up = Box::pin(receiver.receive());
    assert_eq!(block_on(poll_once(&mut given_up)), None);
    let mut patient = Box::pin(receiver.receive());
    assert_eq!(block_on(poll_once(&mut patient)), None);
    // It was for the first, which passes it on.
    sender.try_send(3).unwrap();
    drop(given_up);
    assert_eq!(block_on(poll_once(&mut patient)), Some(Ok(3)));
}
