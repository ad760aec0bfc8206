//! A host for the core, and both ends of connections.

use coutil_system::core::{Attempt, Loop, Mode, Next, OpId, Outcome, SourceId};
use coutil_system::net::Side;
use coutil_system::{Error, Kind, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

pub(crate) const LOCAL: &str = "127.0.0.1:0";

/// Those who wait have names.
pub(crate) type Events = Loop<&'static str>;

/// Runs the loop as the mode says; `deliver` is called for each operation, and a false from it gives up the pass.
pub(crate) fn run_until(
    events: &mut Events,
    mode: Mode,
    mut deliver: impl FnMut(&mut Events, OpId) -> bool,
) -> Result<bool> {
    events.begin(mode)?;
    loop {
        match events.next()? {
            Next::Deliver(op) => {
                let goes_on = deliver(events, op);
                events.settle(op);
                if !goes_on {
                    return Ok(true);
                }
            }
            Next::RunTasks => {
                for task in events.take_tasks() {
                    task.run();
                }
                events.tasks_done();
            }
            Next::Finished(pending) => return Ok(pending),
            Next::Idle => unreachable!("nobody asked for it"),
        }
    }
}

pub(crate) fn run(events: &mut Events, mode: Mode, mut deliver: impl FnMut(&mut Events, OpId)) -> bool {
    let result = run_until(events, mode, |events, op| {
        deliver(events, op);
        true
    });
    result.expect("the loop is of this process")
}

/// One try of a read: its bytes, `None` if it waits again.
pub(crate) fn try_read(events: &mut Events, op: OpId, size: usize) -> Option<Result<Vec<u8>>> {
    if let Some(Outcome::Done(result)) = events.outcome(op) {
        return Some(result.map(|()| Vec::new()));
    }
    let mut buffer = vec![0; size];
    match events.try_read(op, &mut buffer) {
        Attempt::Done(result) => Some(result.map(|count| buffer[..count].to_vec())),
        Attempt::Wait => None,
    }
}

/// Runs the loop until a read is done that begins now.
pub(crate) fn read(events: &mut Events, source: SourceId, size: usize) -> Result<Vec<u8>> {
    let op = events.hold("read");
    if let Err(error) = events.read(op, source) {
        events.cancel(op);
        return Err(error);
    }
    let mut outcome = None;
    run_until(events, Mode::Loop, |events, delivered| {
        if delivered == op {
            outcome = try_read(events, op, size);
        }
        outcome.is_none()
    })?;
    outcome.expect("a read keeps the loop going")
}

/// What became of an operation that is done when it is delivered.
pub(crate) fn result(events: &Events, op: OpId) -> Result<()> {
    match events.outcome(op) {
        Some(Outcome::Done(result)) => result,
        other => panic!("{other:?}"),
    }
}

/// A connected source, and its peer.
pub(crate) fn pair(events: &mut Events) -> (SourceId, TcpStream) {
    let (ours, peer) = sockets();
    (events.add(ours, Kind::TcpStream, true), peer)
}

pub(crate) fn sockets() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind(LOCAL).expect("a free port");
    let peer = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("a connection");
    let (ours, _) = listener.accept().expect("it is there");
    peer.set_nodelay(true).expect("a socket");
    (ours.into(), peer)
}

/// A source that listens, and where.
pub(crate) fn listener(events: &mut Events) -> (SourceId, SocketAddr) {
    let source = events.tcp(Kind::TcpListener, false).expect("a socket");
    events.bind(source, LOCAL.parse().expect("an address")).expect("a free port");
    events.listen(source, 1024).expect("it is bound");
    (source, events.address(source, Side::Local).expect("it is bound"))
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind(LOCAL).expect("a free port");
    listener.local_addr().expect("it is bound")
}

/// Waits until the bytes that the peer has sent so far, and its end if it has closed, have arrived: loopback delivers them
/// in order with those of this connection.
pub(crate) fn arrived() {
    // A round trip of another connection, which is behind them in the queue of the loopback device.
    let (ours, mut peer) = sockets();
    let mut ours = TcpStream::from(ours);
    peer.write_all(b"x").expect("a connection");
    ours.read_exact(&mut [0]).expect("a connection");
}

pub(crate) const END: Error = Error::END_OF_FILE;

/// The number of this thread, for [`until_asleep`].
pub(crate) fn this_thread() -> i64 {
    #[cfg(target_os = "linux")]
    // SAFETY: it only returns a number.
    return unsafe { libc::gettid() }.into();
    #[cfg(not(target_os = "linux"))]
    0
}

/// Waits until that thread waits for something, where the system tells.
pub(crate) fn until_asleep(thread: i64) {
    if cfg!(target_os = "linux") {
        let file = format!("/proc/self/task/{thread}/stat");
        loop {
            let text = std::fs::read_to_string(&file).expect("the thread is alive");
            let state = text.rsplit(')').next().expect("the name of the program comes first");
            if state.trim_start().starts_with('S') {
                return;
            }
            std::thread::yield_now();
        }
    }
}
