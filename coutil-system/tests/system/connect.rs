//! Connecting and accepting.

use crate::util::*;
use coutil_system::core::{Attempt, Mode, OpId, SourceId};
use coutil_system::net::Side;
use coutil_system::{Error, Kind, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const CANCELED: Error = Error::from_code(libc::ECANCELED);
const NOT_CONNECTED: Error = Error::from_code(libc::ENOTCONN);
const REFUSED: Error = Error::from_code(libc::ECONNREFUSED);

fn stream(events: &mut Events) -> SourceId {
    events.tcp(Kind::TcpStream, false).expect("a socket")
}

fn connect(events: &mut Events, source: SourceId, address: SocketAddr) -> OpId {
    let op = events.hold("connect");
    events.connect(op, source, address, 0).expect("it has started");
    op
}

fn accept(events: &mut Events, source: SourceId) -> OpId {
    let op = events.hold("accept");
    events.read(op, source).expect("it listens");
    op
}

fn try_accept(events: &mut Events, op: OpId) -> Option<Result<SourceId>> {
    match events.try_accept(op) {
        Attempt::Done(result) => Some(result),
        Attempt::Wait => None,
    }
}

#[test]
fn a_connect_is_delivered_after_its_accept() {
    // [50 6.1.6]: in one step, also when the accept has started last.
    for accept_last in [false, true] {
        for _ in 0..20 {
            let mut events = Events::new();
            let listeners: Vec<_> = (0..20).map(|_| listener(&mut events)).collect();
            let mut accepts = Vec::new();
            if !accept_last {
                accepts.extend(listeners.iter().map(|(source, _)| accept(&mut events, *source)));
            }
            let connects: Vec<_> = listeners
                .iter()
                .map(|(_, address)| {
                    let source = stream(&mut events);
                    connect(&mut events, source, *address)
                })
                .collect();
            if accept_last {
                accepts.extend(listeners.iter().rev().map(|(source, _)| accept(&mut events, *source)));
            }
            arrived();
            let mut order = Vec::new();
            let pending = run(&mut events, Mode::Step, |events, op| {
                order.push(op);
                if accepts.contains(&op) {
                    try_accept(events, op).expect("one has come").expect("descriptors");
                } else {
                    assert_eq!(result(events, op), Ok(()));
                }
            });
            assert!(!pending, "one step is enough");
            // Each kind in the order of the starts.
            assert_eq!(order, [accepts, connects].concat());
        }
    }
}

#[test]
fn connections_are_accepted_in_order() {
    // [50 6.7.3]: also when their peers are gone meanwhile.
    let mut events = Events::new();
    let (source, address) = listener(&mut events);
    for i in 0..5u8 {
        TcpStream::connect(address).expect("it listens").write_all(&[i]).expect("a connection");
    }
    arrived();
    accept(&mut events, source);
    let mut accepted = Vec::new();
    run(&mut events, Mode::Loop, |events, op| {
        if let Some(result) = try_accept(events, op) {
            accepted.push(result.expect("descriptors"));
            if accepted.len() < 5 {
                accept(events, source);
            }
        }
    });
    for (i, source) in accepted.into_iter().enumerate() {
        assert_eq!(read(&mut events, source, 10), Ok(vec![i as u8]));
        assert_eq!(read(&mut events, source, 10), Err(END));
    }
}

#[test]
fn a_cancelled_accept_leaves_the_connection() {
    // [50 0.2.2] [50 6.7.5]
    let mut events = Events::new();
    let (source, address) = listener(&mut events);
    for _ in 0..3 {
        let op = accept(&mut events, source);
        run(&mut events, Mode::Ready, |events, op| assert!(try_accept(events, op).is_none()));
        events.cancel(op);
    }
    let mut client = TcpStream::connect(address).expect("it listens");
    arrived();
    let op = accept(&mut events, source);
    // Ready, but never delivered: the pass is given up before.
    let other = events.hold("zero");
    events.suspend(other);
    run_until(&mut events, Mode::Ready, |events, op| {
        assert_eq!(op, other);
        events.cancel(op);
        false
    })
    .expect("a pass");
    events.cancel(op);
    accept(&mut events, source);
    let mut accepted = None;
    run(&mut events, Mode::Loop, |events, op| accepted = try_accept(events, op));
    let accepted = accepted.expect("it is delivered").expect("descriptors");
    assert_eq!(events.address(accepted, Side::Peer), Ok(client.local_addr().expect("connected")));
    client.write_all(b"hello").expect("a connection");
    assert_eq!(read(&mut events, accepted, 10), Ok(b"hello".to_vec()));
}

#[test]
fn what_waits_for_a_connect_that_fails() {
    // [50 6.1.7]
    let mut events = Events::new();
    let source = stream(&mut events);
    let connecting = connect(&mut events, source, nobody());
    let [reading, writing, shutting] = ["read", "write", "shutdown"].map(|name| events.hold(name));
    events.write(writing, source, b"data").expect("it waits");
    events.read(reading, source).expect("it waits");
    events.shutdown(shutting, source).expect("it waits");
    let mut outcomes = Vec::new();
    let pending = run(&mut events, Mode::Loop, |events, op| outcomes.push((op, result(events, op))));
    assert!(!pending);
    let expected = [
        (connecting, Err(REFUSED)),
        (writing, Err(CANCELED)),
        (reading, Err(NOT_CONNECTED)),
        (shutting, Err(NOT_CONNECTED)),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(read(&mut events, source, 10), Err(NOT_CONNECTED));
    // Linux lets the same socket try again, the second time, and nothing of the first attempt is left.
    let (_listening, address) = listener(&mut events);
    let again = events.hold("again");
    if events.connect(again, source, address, 0) == Err(Error::from_code(libc::ECONNABORTED)) {
        assert_eq!(events.connect(again, source, address, 0), Ok(()));
    }
    let write = events.hold("write");
    events.write(write, source, b"data").expect("it waits");
    let mut outcomes = Vec::new();
    run(&mut events, Mode::Loop, |events, op| outcomes.push((op, result(events, op))));
    assert_eq!(outcomes, [(again, Ok(())), (write, Ok(()))]);
}

#[test]
fn what_waits_for_a_connect_that_succeeds() {
    // [50 6.1.7]: and data that is there already when it does.
    let server = std::net::TcpListener::bind(LOCAL).expect("a free port");
    let mut events = Events::new();
    let source = stream(&mut events);
    let connecting = connect(&mut events, source, server.local_addr().expect("it is bound"));
    let [reading, writing, shutting] = ["read", "write", "shutdown"].map(|name| events.hold(name));
    events.read(reading, source).expect("it waits");
    events.write(writing, source, b"data").expect("it waits");
    events.shutdown(shutting, source).expect("it waits");
    let (mut peer, _) = server.accept().expect("a connection");
    peer.write_all(b"hello").expect("a connection");
    arrived();
    let mut order = Vec::new();
    let mut data = None;
    run(&mut events, Mode::Loop, |events, op| {
        if op == reading {
            data = try_read(events, op, 10);
        } else {
            assert_eq!(result(events, op), Ok(()));
            order.push(op);
        }
    });
    assert_eq!(order, [connecting, writing, shutting]);
    assert_eq!(data, Some(Ok(b"hello".to_vec())));
    let mut all = Vec::new();
    peer.read_to_end(&mut all).expect("a connection");
    assert_eq!(all, b"data");
}

#[test]
fn an_abandoned_attempt_is_taken_over() {
    // [50 0.2.3]: by who gave it up, and by nobody else.
    let mut events = Events::new();
    let (_listening, address) = listener(&mut events);
    let source = stream(&mut events);
    let first = events.hold("first");
    events.connect(first, source, address, 7).expect("it has started");
    let op = events.hold("other");
    let in_progress = Err(Error::from_code(libc::EALREADY));
    assert_eq!(events.connect(op, source, address, 7), in_progress);
    assert_eq!(events.cancel_as(first, Some(7)), Some("first"));
    assert_eq!(events.connect(op, source, address, 8), in_progress);
    assert_eq!(events.pending(), 1, "the attempt goes on, and keeps the loop going");
    assert_eq!(events.connect(op, source, address, 7), Ok(()));
    assert_eq!(events.pending(), 1);
    let mut delivered = Vec::new();
    run(&mut events, Mode::Loop, |events, op| delivered.push((op, result(events, op))));
    assert_eq!(delivered, [(op, Ok(()))]);
    let op = events.hold("late");
    assert_eq!(events.connect(op, source, address, 7), Err(Error::from_code(libc::EISCONN)));
}

#[test]
fn an_abandoned_attempt_goes_on() {
    // [50 0.2.2]: and so does what was written behind it.
    let mut events = Events::new();
    let server = std::net::TcpListener::bind(LOCAL).expect("a free port");
    let source = stream(&mut events);
    let op = connect(&mut events, source, server.local_addr().expect("it is bound"));
    events.cancel(op);
    let write = events.hold("write");
    events.write(write, source, b"data").expect("it waits");
    events.cancel(write);
    assert_eq!(events.pending(), 2);
    assert!(!run(&mut events, Mode::Loop, |_, _| panic!("nobody waits")));
    events.close(source);
    let mut all = Vec::new();
    server.accept().expect("a connection").0.read_to_end(&mut all).expect("a connection");
    assert_eq!(all, b"data");
}

#[test]
fn an_address_in_use_is_told_later() {
    // [50 5.3.3]
    let mut events = Events::new();
    let (_listening, address) = listener(&mut events);
    let in_use = Error::from_code(libc::EADDRINUSE);
    let source = stream(&mut events);
    assert_eq!(events.bind(source, address), Ok(()));
    assert_eq!(events.address(source, Side::Local), Err(in_use));
    let op = events.hold("connect");
    assert_eq!(events.connect(op, source, address, 0), Err(in_use));
    assert_eq!(events.bind(source, LOCAL.parse().expect("an address")), Ok(()));
    assert_eq!(events.connect(op, source, address, 0), Ok(()));
    // [50 5.3.2]
    let invalid = Err(Error::from_code(libc::EINVAL));
    assert_eq!(events.bind(source, LOCAL.parse().expect("an address")), invalid);
}
