//! UDP sockets for futures.

use crate::util::LOCAL;
use coutil_system::{Error, EventLoop, UdpSocket};
use futures_lite::future::{block_on, poll_once};
use std::pin::pin;

const BUSY: Error = Error::from_code(libc::EBUSY);
const CANCELED: Error = Error::from_code(libc::ECANCELED);

fn new() -> EventLoop {
    EventLoop::new().expect("descriptors")
}

fn socket(events: &EventLoop) -> UdpSocket {
    UdpSocket::bind(events, LOCAL.parse().expect("an address")).expect("a free port")
}

#[test]
fn a_datagram_is_sent_and_received_whole() {
    let events = new();
    let (one, other) = (socket(&events), socket(&events));
    let to = other.local_addr().unwrap();
    let mut buffer = [0; 8];
    events
        .block_on(async {
            one.send_to(b"", to).await.unwrap();
            one.send_to(b"short", to).await.unwrap();
            one.send_to(b"too long for it", to).await.unwrap();
            let empty = other.receive(&mut buffer).await.unwrap();
            assert_eq!((empty.len, empty.truncated, empty.from), (0, false, one.local_addr().ok()));
            // There is one, which is left.
            let error = other.receive(&mut []).await.unwrap_err();
            assert_eq!(error.code(), libc::ENOBUFS);
            let short = other.receive(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..short.len], short.truncated), (&b"short"[..], false));
            let cut = other.receive(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..cut.len], cut.truncated), (&b"too long"[..], true));
            let error = one.send_to(&[0; 70_000], to).await.unwrap_err();
            assert_eq!(error.code(), libc::EMSGSIZE);
        })
        .unwrap();
    assert_eq!(events.pending(), 0);
}

#[test]
fn with_a_peer_there_is_nobody_else() {
    let events = new();
    let (one, other, third) = (socket(&events), socket(&events), socket(&events));
    let mut buffer = [0; 8];
    assert_eq!(block_on(poll_once(one.send(b"x"))), None);
    let error = events.block_on(one.send(b"to whom?")).unwrap().unwrap_err();
    assert_eq!(error.code(), libc::EDESTADDRREQ);
    assert_eq!(one.peer_addr(), Err(Error::from_code(libc::ENOTCONN)));
    one.set_peer(other.local_addr().ok()).unwrap();
    assert_eq!(one.peer_addr(), other.local_addr());
    assert_eq!(one.set_peer(third.local_addr().ok()), Err(Error::from_code(libc::EISCONN)));
    let to = one.local_addr().unwrap();
    events
        .block_on(async {
            third.send_to(b"third", to).await.unwrap();
            other.send_to(b"other", to).await.unwrap();
            let received = one.receive(&mut buffer).await.unwrap();
            assert_eq!(received.from, other.local_addr().ok());
            one.send(b"answer").await.unwrap();
            let received = other.receive(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..received.len], b"answer");
        })
        .unwrap();
    one.set_peer(None).unwrap();
    assert_eq!(one.set_peer(None), Err(Error::from_code(libc::ENOTCONN)));
    assert_eq!(one.local_addr(), Ok(to));
}

#[test]
fn one_future_receives_and_one_that_is_dropped_has_taken_nothing() {
    let events = new();
    let socket = socket(&events);
    let to = socket.local_addr().unwrap();
    let (mut first, mut second) = ([0; 8], [0; 8]);
    {
        let mut given_up = pin!(socket.receive(&mut first));
        assert!(block_on(poll_once(&mut given_up)).is_none());
        assert_eq!(block_on(socket.receive(&mut second)), Err(BUSY));
        events.block_on(socket.send_to(b"hello", to)).unwrap().unwrap();
        events.run().unwrap();
    }
    let received = events.block_on(socket.receive(&mut second)).unwrap().unwrap();
    assert_eq!(&second[..received.len], b"hello");

    let mut waits = pin!(socket.receive(&mut first));
    assert!(block_on(poll_once(&mut waits)).is_none());
    socket.close();
    assert_eq!(events.block_on(waits).unwrap(), Err(CANCELED));
    assert_eq!(socket.local_addr(), Err(Error::from_code(libc::EBADF)));
    drop(events);
    assert_eq!(block_on(socket.send_to(b"x", to)), Err(CANCELED));
}

#[test]
fn an_address_in_use_is_told_of() {
    let events = new();
    let socket = socket(&events);
    let error = UdpSocket::bind(&events, socket.local_addr().unwrap()).unwrap_err();
    assert_eq!(error.code(), libc::EADDRINUSE);
}
