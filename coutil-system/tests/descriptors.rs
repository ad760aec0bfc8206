//! For lack of descriptors. In a program of its own, as the limit is that of the process.

use coutil_system::core::{Attempt, Loop, Mode, Next, OpId};
use coutil_system::net::Side;
use coutil_system::{Error, EventLoop, Kind, TcpListener};
use std::fs::File;
use std::io::Read;
use std::net::TcpStream;

const TOO_MANY: Error = Error::from_code(libc::EMFILE);

/// As many descriptors as there can be.
fn exhaust() -> Vec<File> {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files
}

/// One pass; what was accepted, or why not.
fn accept(events: &mut Loop<()>, mode: Mode, accepting: OpId) -> Option<Result<(), Error>> {
    let mut outcome = None;
    events.begin(mode).expect("this process");
    while let Next::Deliver(op) = events.next().expect("this process") {
        if op == accepting {
            outcome = match events.try_accept(op) {
                Attempt::Done(result) => Some(result.map(|source| assert_eq!(events.close(source), None))),
                Attempt::Wait => None,
            };
        }
        events.settle(op);
    }
    outcome
}

/// [50 6.7]: the failure is told, the connection is left, and nothing spins meanwhile.
fn accept_without_descriptors() {
    let mut events = Loop::new();
    let source = events.tcp(Kind::TcpListener, false).expect("a socket");
    events.bind(source, "127.0.0.1:0".parse().expect("it is one")).expect("a free port");
    events.listen(source, 10).expect("it is bound");
    let first = events.hold(());
    events.read(first, source).expect("it listens");
    assert_eq!(accept(&mut events, Mode::Ready, first), None);
    let mut peer =
        TcpStream::connect(events.address(source, Side::Local).expect("it is bound")).expect("it listens");

    let files = exhaust();
    assert_eq!(accept(&mut events, Mode::Step, first), Some(Err(TOO_MANY)));
    assert_eq!(events.pending(), 0);
    // It is told each time, and once.
    for _ in 0..3 {
        let op = events.hold(());
        events.read(op, source).expect("it listens");
        assert_eq!(accept(&mut events, Mode::Loop, op), Some(Err(TOO_MANY)));
    }
    // Nobody accepts: the loop waits for the timer.
    let timer = events.hold(());
    events.set_timer(timer, 10_000_000);
    let passes = events.passes();
    accept(&mut events, Mode::Loop, OpId::NONE);
    assert!(events.passes() - passes < 5);

    drop(files);
    let op = events.hold(());
    events.read(op, source).expect("it listens");
    assert_eq!(accept(&mut events, Mode::Ready, op), Some(Ok(())), "nothing new has to come for it");
    assert_eq!(peer.read(&mut [0]).expect("a connection"), 0);
}

fn without_a_poller() {
    let mut events = Loop::new();
    let (timer, zero) = (events.hold(()), events.hold(()));
    events.set_timer(timer, 1_000_000);
    events.suspend(zero);
    let files = exhaust();
    assert_eq!(EventLoop::new().err(), Some(TOO_MANY));
    // Time needs no descriptor.
    let op = events.hold(());
    assert_eq!(events.spawn(op, async {}).err(), Some(TOO_MANY));
    events.cancel(op);
    let mut order = Vec::new();
    events.begin(Mode::Loop).expect("this process");
    while let Next::Deliver(op) = events.next().expect("this process") {
        order.push(op);
        events.settle(op);
    }
    // The timer is first if it took so long until here.
    assert!(order == [zero, timer] || order == [timer, zero], "{order:?}");
    drop(files);
}

fn futures_without_descriptors() {
    let events = EventLoop::new().expect("descriptors");
    let listener =
        TcpListener::bind(&events, "127.0.0.1:0".parse().expect("it is one")).expect("a free port");
    let mut peer = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let files = exhaust();
    assert_eq!(events.block_on(listener.accept()).expect("this process").err(), Some(TOO_MANY));
    drop(files);
    drop(events.block_on(listener.accept()).expect("this process").expect("descriptors"));
    assert_eq!(peer.read(&mut [0]).expect("a connection"), 0);
}

#[test]
fn for_lack_of_descriptors() {
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: the limit is valid.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    accept_without_descriptors();
    without_a_poller();
    futures_without_descriptors();
}
