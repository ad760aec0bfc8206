//! Reading, and what edges do not tell.

use crate::util::*;
use coutil_system::Error;
use coutil_system::core::{Attempt, Mode, Outcome};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

#[test]
fn data_and_end_in_one_edge() {
    // The short read proves nothing: there is no second edge for the end.
    for times in 0..2 {
        let mut events = Events::new();
        let (source, mut peer) = pair(&mut events);
        if times == 1 {
            // As well when it was registered long before.
            peer.write_all(b"first").expect("a connection");
            assert_eq!(read(&mut events, source, 100), Ok(b"first".to_vec()));
        }
        peer.write_all(b"12345").expect("a connection");
        drop(peer);
        arrived();
        assert_eq!(read(&mut events, source, 100), Ok(b"12345".to_vec()));
        for _ in 0..3 {
            // [50 6.3.2]: as often as it is asked for.
            assert_eq!(read(&mut events, source, 100), Err(END));
        }
    }
}

#[test]
fn nothing_is_tried_that_was_just_registered() {
    // The poller tells of what is there already; a try would be a call for nothing.
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    let op = events.hold("read");
    events.read(op, source).expect("it is connected");
    for _ in 0..2 {
        assert!(run(&mut events, Mode::Ready, |_, _| panic!("there is nothing to read")));
    }
    peer.write_all(b"data").expect("a connection");
    arrived();
    let mut outcome = None;
    run(&mut events, Mode::Loop, |events, op| outcome = try_read(events, op, 10));
    assert_eq!(outcome, Some(Ok(b"data".to_vec())));
}

#[test]
fn what_is_unknown_is_tried_although_no_poll_is_due() {
    // Each read fills its buffer, so that more may be there. The last one finds nothing, and waits for the peer.
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    peer.write_all(&[b'x'; 200]).expect("a connection");
    arrived();
    let op = events.hold("read");
    events.read(op, source).expect("it is connected");
    let (mut received, mut tries) = (0, 0);
    run(&mut events, Mode::Loop, |events, op| {
        tries += 1;
        match try_read(events, op, 1) {
            Some(Ok(bytes)) => received += bytes.len(),
            None => {
                assert_eq!(received, 200);
                peer.write_all(b"y").expect("a connection");
                return;
            }
            end => panic!("{end:?}"),
        }
        if received < 201 {
            events.read(op, source).expect("it is connected");
        }
    });
    assert_eq!((received, tries), (201, 202));
}

#[test]
fn data_and_half_close_in_one_edge() {
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    peer.write_all(b"12345").expect("a connection");
    peer.shutdown(Shutdown::Write).expect("a connection");
    arrived();
    assert_eq!(read(&mut events, source, 100), Ok(b"12345".to_vec()));
    assert_eq!(read(&mut events, source, 100), Err(END));
    // Writing is still possible.
    let op = events.hold("write");
    events.write(op, source, b"answer").expect("it is connected");
    run(&mut events, Mode::Loop, |events, op| assert_eq!(result(events, op), Ok(())));
    events.close(source);
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).expect("a connection");
    assert_eq!(answer, b"answer");
}

#[test]
fn data_around_an_urgent_byte() {
    // A read stops at the urgent byte although there is more, and no edge tells of what is behind.
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    peer.write_all(b"ab").expect("a connection");
    // SAFETY: the byte is one.
    let sent = unsafe { libc::send(peer.as_raw_fd(), [b'!'].as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
    peer.write_all(b"cd").expect("a connection");
    arrived();
    let mut all = Vec::new();
    while all.len() < 4 {
        all.extend(read(&mut events, source, 100).expect("data"));
    }
    assert_eq!(all, b"abcd");
    drop(peer);
    assert_eq!(read(&mut events, source, 100), Err(END));
}

#[test]
fn an_urgent_byte_alone_ends_no_read() {
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    let op = events.hold("read");
    events.read(op, source).expect("it is connected");
    // SAFETY: the byte is one.
    unsafe { libc::send(peer.as_raw_fd(), [b'!'].as_ptr().cast(), 1, libc::MSG_OOB) };
    arrived();
    let mut outcome = None;
    for _ in 0..3 {
        assert!(run(&mut events, Mode::Ready, |events, op| outcome = try_read(events, op, 10)));
        assert_eq!(outcome, None);
    }
    peer.write_all(b"data").expect("a connection");
    while outcome.is_none() {
        run(&mut events, Mode::Step, |events, op| outcome = try_read(events, op, 10));
    }
    assert_eq!(outcome, Some(Ok(b"data".to_vec())));
}

#[test]
fn a_full_buffer_and_more_without_an_edge() {
    // After the read nothing is known: the next one is tried, in the same pass in which it can be.
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    peer.write_all(b"12345678").expect("a connection");
    arrived();
    for part in [b"1234", b"5678"] {
        let op = events.hold("read");
        events.read(op, source).expect("it is connected");
        let mut outcome = None;
        assert!(!run(&mut events, Mode::Ready, |events, op| outcome = try_read(events, op, 4)));
        assert_eq!(outcome, Some(Ok(part.to_vec())));
    }
    // Now there is no more: it is tried, and waits.
    let op = events.hold("read");
    events.read(op, source).expect("it is connected");
    assert!(run(&mut events, Mode::Ready, |events, op| assert_eq!(try_read(events, op, 4), None)));
    peer.write_all(b"9").expect("a connection");
    let mut outcome = None;
    run(&mut events, Mode::Step, |events, op| outcome = try_read(events, op, 4));
    assert_eq!(outcome, Some(Ok(b"9".to_vec())));
}

#[test]
fn cancelled_between_readiness_and_delivery() {
    // [50 0.2.2]: nothing was taken.
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    peer.write_all(b"data").expect("a connection");
    arrived();
    // Two are due in one pass; the first that is delivered cancels the other.
    let (other, mut other_peer) = pair(&mut events);
    other_peer.write_all(b"x").expect("a connection");
    arrived();
    let (first, second) = (events.hold("first"), events.hold("second"));
    events.read(first, other).expect("it is connected");
    events.read(second, source).expect("it is connected");
    let mut delivered = Vec::new();
    let pending = run(&mut events, Mode::Loop, |events, op| {
        delivered.extend(events.waiter(op).copied());
        assert_eq!(events.cancel(second), Some("second"));
        assert_eq!(events.reader(source), None);
        assert_eq!(try_read(events, op, 10), Some(Ok(b"x".to_vec())));
    });
    assert!(!pending);
    assert_eq!(delivered, ["first"]);
    assert_eq!(read(&mut events, source, 10), Ok(b"data".to_vec()));
}

#[test]
fn the_next_reader_starts_while_the_first_is_delivered() {
    // [50 6.3.3]
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    peer.write_all(b"abc").expect("a connection");
    let op = events.hold("first");
    events.read(op, source).expect("it is connected");
    let mut all = Vec::new();
    run(&mut events, Mode::Loop, |events, op| {
        let Some(bytes) = try_read(events, op, 1) else { return };
        all.extend(bytes.expect("data"));
        assert_eq!(events.reader(source), None);
        if all.len() < 3 {
            let op = events.hold("next");
            events.read(op, source).expect("it is connected");
            assert_eq!(events.reader(source), Some(op));
        }
    });
    assert_eq!(all, b"abc");
}

#[test]
fn an_empty_buffer_leaves_the_data() {
    // [50 6.3.6]
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    peer.write_all(b"data").expect("a connection");
    assert_eq!(read(&mut events, source, 0), Err(Error::from_code(libc::ENOBUFS)));
    assert_eq!(read(&mut events, source, 10), Ok(b"data".to_vec()));
}

#[test]
fn closing_gives_the_reader_to_the_host() {
    // [50 5.1.2]
    let mut events = Events::new();
    let (source, _peer) = pair(&mut events);
    let op = events.hold("read");
    events.read(op, source).expect("it is connected");
    run(&mut events, Mode::Ready, |events, op| assert_eq!(try_read(events, op, 10), None));
    assert_eq!(events.close(source), Some(op));
    assert!(events.is_held(op));
    assert!(events.settle(op));
    assert_eq!(events.pending(), 0);
    assert_eq!(events.close(source), None);
    // The id is out of date.
    let op = events.hold("late");
    assert_eq!(events.read(op, source), Err(Error::from_code(libc::EBADF)));
    events.cancel(op);
    assert!(matches!(events.try_read(op, &mut [0]), Attempt::Done(Err(_))));
}

#[test]
fn a_closed_source_is_not_told_about() {
    // Its description lives on in another descriptor: what becomes of that is nobody's business here.
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    let kept = events.fd(source).expect("it is open").try_clone_to_owned().expect("a descriptor");
    let op = events.hold("read");
    events.read(op, source).expect("it is connected");
    run(&mut events, Mode::Ready, |events, op| assert_eq!(try_read(events, op, 10), None));
    events.close(source);
    events.settle(op);
    let (next, mut next_peer) = pair(&mut events);
    peer.write_all(b"for the kept one").expect("a connection");
    arrived();
    let op = events.hold("next");
    events.read(op, next).expect("it is connected");
    for _ in 0..3 {
        // It is tried once, as nothing is known of it, and not again.
        run(&mut events, Mode::Ready, |events, op| assert_eq!(try_read(events, op, 10), None));
    }
    next_peer.write_all(b"y").expect("a connection");
    let mut outcome = None;
    run(&mut events, Mode::Step, |events, op| outcome = try_read(events, op, 10));
    assert_eq!(outcome, Some(Ok(b"y".to_vec())));
    drop(kept);
}

#[test]
fn more_ready_sources_than_the_poller_takes_at_once() {
    // R16
    const COUNT: usize = 300;
    let mut events = Events::new();
    let mut peers = Vec::new();
    for _ in 0..COUNT {
        let (source, peer) = pair(&mut events);
        let op = events.hold("read");
        events.read(op, source).expect("it is connected");
        peers.push((op, peer));
    }
    // All are known to the poller, and known to have nothing.
    while events.pending() == COUNT && {
        let mut tried = 0;
        run(&mut events, Mode::Ready, |events, op| {
            tried += 1;
            assert_eq!(try_read(events, op, 10), None);
        });
        tried > 0
    } {}
    for (_, peer) in peers.iter_mut().rev() {
        peer.write_all(b"x").expect("a connection");
    }
    arrived();
    let mut order = Vec::new();
    let mut passes = 0;
    while events.pending() > 0 {
        passes += 1;
        run(&mut events, Mode::Step, |events, op| {
            assert_eq!(events.outcome(op), Some(Outcome::Try));
            assert_eq!(try_read(events, op, 10), Some(Ok(b"x".to_vec())));
            order.push(op);
        });
    }
    assert_eq!(order.len(), COUNT);
    assert_eq!(passes, 1, "one pass takes all");
    // In the order in which they were started, whatever the order in which they became ready.
    assert!(order.iter().eq(peers.iter().map(|(op, _)| op)));
}

#[test]
fn a_hot_source_starves_neither_timers_nor_suspensions() {
    // R16: the peer's data never ends, and each read starts the next one.
    let mut events = Events::new();
    let (source, mut peer) = pair(&mut events);
    let writer = std::thread::spawn(move || while peer.write_all(&[7; 1 << 16]).is_ok() {});
    let (reading, zero, timer) = (events.hold("read"), events.hold("zero"), events.hold("timer"));
    events.read(reading, source).expect("it is connected");
    events.suspend(zero);
    events.set_timer(timer, 1);
    let (mut reads, mut zeros, mut timers) = (0, 0, 0);
    run(&mut events, Mode::Loop, |events, op| {
        match *events.waiter(op).expect("it is delivered") {
            "read" => {
                if let Some(bytes) = try_read(events, op, 64) {
                    bytes.expect("data");
                    reads += 1;
                    let op = events.hold("read");
                    events.read(op, source).expect("it is connected");
                }
            }
            "zero" => {
                zeros += 1;
                events.suspend(op);
            }
            _ => {
                timers += 1;
                events.set_timer(op, 1);
            }
        }
        // It ends when all have had their turn.
        if reads > 100 && zeros > 100 && timers > 100 {
            let reader = events.close(source).expect("it reads");
            for op in [reader, zero, timer] {
                events.cancel(op);
            }
        }
    });
    writer.join().expect("it ends when the connection does");
}
