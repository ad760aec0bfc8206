//! What a pass delivers, when it waits, and when it does not.

use crate::util::*;
use coutil_system::core::{Mode, OpId};
use coutil_system::time;
use std::io::Write;

const MS: u64 = 1_000_000;

fn names(events: &mut Events, mode: Mode) -> (Vec<&'static str>, bool) {
    let mut names = Vec::new();
    let pending = run(events, mode, |events, op| names.extend(events.waiter(op).copied()));
    (names, pending)
}

fn suspend(events: &mut Events, name: &'static str) -> OpId {
    let op = events.hold(name);
    events.suspend(op);
    op
}

fn timer(events: &mut Events, name: &'static str, nanoseconds: u64) -> OpId {
    let op = events.hold(name);
    events.set_timer(op, nanoseconds);
    op
}

#[test]
fn a_pass_of_everything() {
    let mut events = Events::new();
    for name in ["a", "b", "c"] {
        suspend(&mut events, name);
    }
    timer(&mut events, "far", 3_600_000 * MS);
    let (source, mut peer) = pair(&mut events);
    peer.write_all(b"x").expect("a connection");
    arrived();
    let reading = events.hold("read");
    events.read(reading, source).expect("it is connected");
    assert_eq!(names(&mut events, Mode::Ready), (vec!["c", "b", "a", "read"], true));
    assert_eq!(names(&mut events, Mode::Ready), (vec![], true));
}

#[test]
fn suspensions_by_pass() {
    // [30 P7]: the i-th coroutine suspends i times.
    for mode in [Mode::Step, Mode::Ready] {
        let mut events = Events::new();
        let mut left: Vec<_> = (1..=5).map(|i| (suspend(&mut events, "zero"), i)).collect();
        for i in 1..=5 {
            let mut delivered = 0;
            let pending = run(&mut events, mode, |events, op| {
                delivered += 1;
                let (_, count) = left.iter_mut().find(|(other, _)| *other == op).expect("it is alive");
                *count -= 1;
                if *count > 0 {
                    events.suspend(op);
                }
            });
            assert_eq!((delivered, pending), (6 - i, i < 5));
        }
    }
}

#[test]
fn those_who_come_meanwhile_wait_for_the_next_pass() {
    // [30 S5]
    let mut events = Events::new();
    suspend(&mut events, "first");
    let mut order = Vec::new();
    run(&mut events, Mode::Ready, |events, op| {
        order.extend(events.waiter(op).copied());
        suspend(events, "second");
        let later = events.hold("later");
        events.suspend_later(later);
    });
    assert_eq!(order, ["first"]);
    // The one that starts when the pass ends is the newest.
    assert_eq!(names(&mut events, Mode::Ready), (vec!["later", "second"], false));
}

#[test]
fn timers_by_deadline_and_then_by_start() {
    // [30 S9]
    let mut events = Events::new();
    for (name, delay) in [("b", MS), ("c", MS), ("e", 2 * MS), ("a", MS / 2), ("d", MS)] {
        timer(&mut events, name, delay);
    }
    let cancelled = timer(&mut events, "never", MS);
    events.cancel(cancelled);
    assert_eq!(names(&mut events, Mode::Loop), (vec!["a", "b", "c", "d", "e"], false));
}

#[test]
fn a_timer_is_never_early() {
    // [30 S8]
    for _ in 0..20 {
        let mut events = Events::new();
        events.refresh();
        let start = time::monotonic();
        timer(&mut events, "timer", MS);
        assert_eq!(names(&mut events, Mode::Step), (vec!["timer"], false));
        assert!(time::monotonic() - start >= MS);
    }
}

#[test]
fn a_step_waits_until_something_is_delivered() {
    let mut events = Events::new();
    // With and without a poller.
    for _ in 0..2 {
        timer(&mut events, "timer", MS);
        assert_eq!(names(&mut events, Mode::Step).0, ["timer"]);
        let (source, _peer) = pair(&mut events);
        let op = events.hold("read");
        events.read(op, source).expect("it is connected");
        events.cancel(op);
    }
}

#[test]
fn nothing_is_pending() {
    let mut events = Events::new();
    for mode in [Mode::Loop, Mode::Step, Mode::Ready] {
        let passes = events.passes();
        assert_eq!(names(&mut events, mode), (vec![], false));
        assert_eq!(events.passes(), passes);
    }
}

#[test]
fn what_is_not_started_keeps_nothing_going() {
    let mut events = Events::new();
    let op = events.hold("not started");
    assert_eq!(events.pending(), 0);
    assert_eq!(names(&mut events, Mode::Loop), (vec![], false));
    events.set_timer(op, 1);
    assert_eq!(events.pending(), 1);
    assert_eq!(names(&mut events, Mode::Loop), (vec!["not started"], false));
}

#[test]
fn the_last_pass_of_a_halt_is_completed() {
    // [30 P10]
    let mut events = Events::new();
    timer(&mut events, "far", 3_600_000 * MS);
    for name in ["a", "b"] {
        suspend(&mut events, name);
    }
    let mut order = Vec::new();
    let pending = run(&mut events, Mode::Loop, |events, op| {
        order.extend(events.waiter(op).copied());
        events.halt();
        events.suspend(op);
    });
    assert!(pending);
    assert_eq!(order, ["b", "a"]);
    // The next run starts clean.
    order.clear();
    run(&mut events, Mode::Ready, |events, op| order.extend(events.waiter(op).copied()));
    assert_eq!(order, ["b", "a"]);
}

#[test]
fn a_halt_does_not_wait() {
    for mode in [Mode::Loop, Mode::Step] {
        let mut events = Events::new();
        timer(&mut events, "far", 3_600_000 * MS);
        suspend(&mut events, "zero");
        // With a poller, and without.
        let (source, _peer) = pair(&mut events);
        if mode == Mode::Loop {
            let op = events.hold("read");
            events.read(op, source).expect("it is connected");
            run(&mut events, Mode::Ready, |events, op| match op.index() {
                1 => events.suspend(op),
                _ => assert_eq!(try_read(events, op, 1), None),
            });
        }
        assert!(run(&mut events, mode, |events, op| {
            assert_eq!(events.waiter(op), Some(&"zero"));
            events.halt();
        }));
    }
}

#[test]
fn a_step_does_not_wait_for_what_starts_when_it_ends() {
    // [30 A6]
    let mut events = Events::new();
    let op = events.hold("later");
    events.suspend_later(op);
    assert_eq!(names(&mut events, Mode::Step), (vec![], true));
    assert_eq!(names(&mut events, Mode::Step), (vec!["later"], false));
    // In a loop it is but the next pass.
    let op = events.hold("later");
    events.suspend_later(op);
    assert_eq!(names(&mut events, Mode::Loop), (vec!["later"], false));
}

#[test]
fn an_abandoned_pass_is_begun_again() {
    // As when what was delivered raises an error through the host: nobody is left out, and nobody comes twice.
    let mut events = Events::new();
    for name in ["a", "b", "c"] {
        suspend(&mut events, name);
    }
    let mut peers = Vec::new();
    for name in ["x", "y", "z"] {
        let (source, mut peer) = pair(&mut events);
        peer.write_all(b"x").expect("a connection");
        peers.push(peer);
        let op = events.hold(name);
        events.read(op, source).expect("it is connected");
    }
    arrived();
    let mut order = Vec::new();
    while events.pending() > 0 {
        run_until(&mut events, Mode::Loop, |events, op| {
            order.extend(events.waiter(op).copied());
            false
        })
        .expect("a pass");
    }
    assert_eq!(order, ["c", "b", "a", "x", "y", "z"]);
}

#[test]
fn polls_are_left_out_while_there_is_something_to_deliver() {
    // A suspension goes on and on; how many times until a source is looked at that became ready in between?
    let deliveries = || {
        let mut events = Events::new();
        let (source, mut peer) = pair(&mut events);
        let op = events.hold("read");
        events.read(op, source).expect("it is connected");
        // It is tried, and known to have nothing.
        run(&mut events, Mode::Ready, |events, op| assert_eq!(try_read(events, op, 1), None));
        suspend(&mut events, "zero");
        let (mut count, mut ended) = (0, false);
        let before = time::coarse();
        run(&mut events, Mode::Loop, |events, op| match *events.waiter(op).expect("it is delivered") {
            "zero" if ended => {}
            "zero" => {
                count += 1;
                // The first pass has polled when this is the second.
                if count == 2 {
                    peer.write_all(b"x").expect("a connection");
                    arrived();
                }
                events.suspend(op);
            }
            _ => {
                assert!(try_read(events, op, 1).is_some());
                ended = true;
            }
        });
        assert!(ended);
        (count - 2, before == time::coarse())
    };
    for _ in 0..1000 {
        let (count, same_tick) = deliveries();
        assert!(count <= 64, "{count}");
        // The clock ticks now and then, which is a reason to poll.
        if same_tick && cfg!(target_os = "linux") {
            assert!(count >= 60, "{count}");
            return;
        }
    }
    if cfg!(target_os = "linux") {
        panic!("1000 times the clock ticked meanwhile");
    }
}

#[test]
fn step_and_ready_always_poll() {
    for mode in [Mode::Step, Mode::Ready] {
        let mut events = Events::new();
        let (source, mut peer) = pair(&mut events);
        let op = events.hold("read");
        events.read(op, source).expect("it is connected");
        run(&mut events, Mode::Ready, |events, op| assert_eq!(try_read(events, op, 1), None));
        for _ in 0..3 {
            let zero = suspend(&mut events, "zero");
            run(&mut events, mode, |_, op| assert_eq!(op, zero));
        }
        suspend(&mut events, "zero");
        peer.write_all(b"x").expect("a connection");
        arrived();
        assert_eq!(names(&mut events, mode), (vec!["zero", "read"], false));
    }
}

#[test]
fn timers_and_suspensions_share_the_loop() {
    // [30 S5]: suspensions never wait for the clock, nor do they hold it up.
    let mut events = Events::new();
    timer(&mut events, "timer", 2 * MS);
    let zero = suspend(&mut events, "zero");
    let mut count = 0;
    run(&mut events, Mode::Loop, |events, op| {
        if op == zero {
            count += 1;
            events.suspend(op);
        } else {
            events.cancel(zero);
        }
    });
    assert!(count > 100, "{count}");
}

#[test]
fn everything_can_be_described() {
    let mut events = Events::new();
    timer(&mut events, "timer", 3600 * 1000 * MS);
    let (source, _peer) = pair(&mut events);
    let op = events.hold("reader");
    events.read(op, source).expect("it is connected");
    let mut text = String::new();
    events.describe(&mut text, |name| (*name).to_owned()).expect("memory");
    assert!(text.contains("tcp stream") && text.contains("reader waiting on source 0"), "{text}");
    assert!(text.contains("timer timer in 3600.000 s") || text.contains("timer timer in 3599.99"), "{text}");
}
