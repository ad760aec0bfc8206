//! Writing.

use crate::util::*;
use coutil_system::core::{Mode, OpId, SourceId};
use coutil_system::{Error, Result};
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;

const LARGE: usize = 16 << 20;

/// Bytes in which a gap or an exchange is seen.
fn pattern(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|i| ((i * 31 + i / 251 + seed) % 256) as u8).collect()
}

fn read_all(mut peer: TcpStream) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).expect("a connection");
        all
    })
}

fn write(events: &mut Events, source: SourceId, data: &[u8]) -> OpId {
    let op = events.hold("write");
    events.write(op, source, data).expect("it is connected");
    op
}

#[test]
fn an_abandoned_write_arrives_whole() {
    // [50 0.2.2]: and before what is written later.
    let mut events = Events::new();
    let (source, peer) = pair(&mut events);
    let op = write(&mut events, source, &pattern(LARGE, 1));
    assert_eq!(events.cancel(op), Some("write"));
    assert_eq!(events.pending(), 1, "it keeps the loop going");
    let second = write(&mut events, source, &pattern(1000, 2));
    let shutdown = events.hold("shutdown");
    events.shutdown(shutdown, source).expect("it is connected");
    assert_eq!(events.check_again(source), Err(Error::from_code(libc::EPIPE)));
    let reader = read_all(peer);
    let mut order = Vec::new();
    let pending = run(&mut events, Mode::Loop, |events, op| {
        assert_eq!(result(events, op), Ok(()));
        order.push(op);
    });
    assert!(!pending);
    assert_eq!(order, [second, shutdown]);
    let all = reader.join().expect("it read");
    assert!(all == [pattern(LARGE, 1), pattern(1000, 2)].concat());
}

/// As often as it is there the pointer is cloned.
struct Lent(Arc<Vec<u8>>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[test]
fn what_is_lent_is_given_back() {
    let mut events = Events::new();
    let (source, peer) = pair(&mut events);
    let texts = [1, 2, 3].map(|seed| Arc::new(pattern(LARGE, seed)));
    let ops = texts.each_ref().map(|text| {
        let op = events.hold("write");
        events.write_from(op, source, Lent(Arc::clone(text))).expect("it is connected");
        op
    });
    let lent = || texts.each_ref().map(|text| Arc::strong_count(text) - 1);
    assert_eq!(lent(), [1, 1, 1]);
    // Nobody waits any more, so it is nobody's. [50 0.2.2]
    events.cancel(ops[0]);
    events.cancel(ops[2]);
    assert_eq!(lent(), [0, 1, 0]);
    let shutdown = events.hold("shutdown");
    events.shutdown(shutdown, source).expect("it is connected");
    let reader = read_all(peer);
    run(&mut events, Mode::Loop, |events, op| assert_eq!(result(events, op), Ok(())));
    assert_eq!(lent(), [0, 0, 0]);
    let all = reader.join().expect("it read");
    assert!(all == texts.map(|text| text.to_vec()).concat());

    let (source, _peer) = pair(&mut events);
    let text = Arc::new(pattern(LARGE, 4));
    let op = events.hold("write");
    events.write_from(op, source, Lent(Arc::clone(&text))).expect("it is connected");
    events.close(source);
    assert_eq!(Arc::strong_count(&text), 1);
    run(&mut events, Mode::Loop, |events, op| assert_eq!(result(events, op), Err(Error::CANCELED)));
}

#[test]
fn an_abandoned_write_and_an_abandoned_shutdown() {
    let mut events = Events::new();
    let (source, peer) = pair(&mut events);
    let op = write(&mut events, source, &pattern(LARGE, 3));
    let shutdown = events.hold("shutdown");
    events.shutdown(shutdown, source).expect("it is connected");
    events.cancel(op);
    events.cancel(shutdown);
    let reader = read_all(peer);
    assert!(!run(&mut events, Mode::Loop, |_, _| panic!("nobody waits")));
    assert!(reader.join().expect("it read") == pattern(LARGE, 3));
}

#[test]
fn many_writes_keep_their_order() {
    // [50 6.2.3]
    let mut events = Events::new();
    let (source, peer) = pair(&mut events);
    let ops: Vec<OpId> = (0..40).map(|i| write(&mut events, source, &pattern(i * 10_000, i))).collect();
    for &op in ops.iter().step_by(3) {
        events.cancel(op);
    }
    let shutdown = events.hold("shutdown");
    events.shutdown(shutdown, source).expect("it is connected");
    let reader = read_all(peer);
    let mut done = Vec::new();
    run(&mut events, Mode::Loop, |events, op| {
        assert_eq!(result(events, op), Ok(()));
        done.push(op);
    });
    let expected = ops.iter().enumerate().filter(|(i, _)| i % 3 != 0).map(|(_, op)| *op);
    assert!(done.into_iter().eq(expected.chain([shutdown])));
    let bytes: Vec<u8> = (0..40).flat_map(|i| pattern(i * 10_000, i)).collect();
    assert!(reader.join().expect("it read") == bytes);
}

#[test]
fn a_write_is_delivered_once_and_never_at_once() {
    // [50 6.2.2]: also an empty one.
    let mut events = Events::new();
    let (source, _peer) = pair(&mut events);
    for data in [&b"data"[..], b""] {
        let op = write(&mut events, source, data);
        assert!(!events.is_held(op));
        let mut delivered = Vec::new();
        assert!(!run(&mut events, Mode::Step, |events, op| {
            assert_eq!(result(events, op), Ok(()));
            delivered.push(op);
        }));
        assert_eq!(delivered, [op]);
    }
}

#[test]
fn closing_cancels_what_is_not_sent() {
    // [50 5.1.3]
    let mut events = Events::new();
    let (source, peer) = pair(&mut events);
    let abandoned = write(&mut events, source, &pattern(LARGE, 4));
    let second = write(&mut events, source, b"never sent");
    let shutdown = events.hold("shutdown");
    events.shutdown(shutdown, source).expect("it is connected");
    events.cancel(abandoned);
    assert_eq!(events.pending(), 3);
    assert_eq!(events.close(source), None);
    assert_eq!(events.pending(), 2);
    let mut order = Vec::new();
    run(&mut events, Mode::Loop, |events, op| {
        assert_eq!(result(events, op), Err(Error::from_code(libc::ECANCELED)));
        order.push(op);
    });
    assert_eq!(order, [second, shutdown]);
    drop(peer);
}

#[test]
fn a_peer_that_is_gone_fails_all_writes() {
    let mut events = Events::new();
    let (source, peer) = pair(&mut events);
    let ops: Vec<OpId> = (0..3).map(|_| write(&mut events, source, &pattern(LARGE, 5))).collect();
    events.cancel(ops[1]);
    // Data that was not read: this resets the connection.
    drop(peer);
    let mut failed = Vec::new();
    let pending = run(&mut events, Mode::Loop, |events, op| {
        let code = result(events, op).expect_err("the peer is gone").code();
        assert!(matches!(code, libc::EPIPE | libc::ECONNRESET), "{code}");
        failed.push(op);
    });
    assert_eq!(failed, [ops[0], ops[2]]);
    assert!(!pending);
}

#[test]
fn reading_does_not_wait_for_writing() {
    // Both directions are full of data, and each side reads only when it has nothing to write: full duplex.
    let mut events = Events::new();
    let (source, peer) = pair(&mut events);
    let mut clone = peer.try_clone().expect("a descriptor");
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut clone, &pattern(LARGE, 6)));
    let writing = write(&mut events, source, &pattern(LARGE, 7));
    let reading = events.hold("read");
    events.read(reading, source).expect("it is connected");
    let mut all = Vec::new();
    run(&mut events, Mode::Loop, |events, op| {
        if op == writing {
            return assert_eq!(result(events, op), Ok(()));
        }
        let Some(bytes) = try_read(events, op, 1 << 20) else { return };
        all.extend(bytes.expect("data"));
        if all.len() < LARGE {
            let op = events.hold("read");
            events.read(op, source).expect("it is connected");
        } else {
            // Only now the peer reads.
            let mut peer = peer.try_clone().expect("a descriptor");
            std::thread::spawn(move || peer.read_exact(&mut vec![0; LARGE]));
        }
    });
    assert!(all == pattern(LARGE, 6));
    sender.join().expect("no panic").expect("a connection");
}

trait CheckAgain {
    fn check_again(&mut self, source: SourceId) -> Result<()>;
}

impl CheckAgain for Events {
    /// Whether another write can be started.
    fn check_again(&mut self, source: SourceId) -> Result<()> {
        let op = self.hold("another");
        let result = self.write(op, source, b"");
        self.cancel(op);
        result
    }
}
