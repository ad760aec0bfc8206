//! Operations that are ended from elsewhere, and hosts that leave their loop meanwhile.

use crate::util::{Events, run};
use coutil_system::core::{Mode, Next};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Wake, Waker};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn ended_before_and_while_the_loop_waits() {
    let mut events = Events::new();
    let (early, late) = (events.hold("early"), events.hold("late"));
    events.park(early).end();
    let ender = events.park(late);
    let barrier = Arc::new(Barrier::new(2));
    let seen = barrier.clone();
    let other = std::thread::spawn(move || {
        seen.wait();
        ender.end();
    });
    let mut delivered = Vec::new();
    assert!(!run(&mut events, Mode::Loop, |_, op| {
        if op == early {
            barrier.wait();
        }
        delivered.push(op);
    }));
    assert_eq!(delivered, [early, late]);
    other.join().unwrap();
}

/// Many times, so that the end comes at every moment of falling asleep.
#[test]
fn no_end_is_missed() {
    let (sender, receiver) = std::sync::mpsc::channel::<coutil_system::core::Ender>();
    let other = std::thread::spawn(move || receiver.iter().for_each(|ender| ender.end()));
    let mut events = Events::new();
    for _ in 0..5000 {
        let op = events.hold("op");
        sender.send(events.park(op)).unwrap();
        assert!(!run(&mut events, Mode::Loop, |_, _| {}));
    }
    drop(sender);
    other.join().unwrap();
}

#[test]
fn a_timer_is_due_while_something_is_parked() {
    let mut events = Events::new();
    let (parked, timer) = (events.hold("parked"), events.hold("timer"));
    let ender = events.park(parked);
    events.set_timer(timer, 1_000_000);
    let mut delivered = Vec::new();
    assert!(!run(&mut events, Mode::Loop, |_, op| {
        delivered.push(op);
        if op == timer {
            ender.end();
        }
    }));
    assert_eq!(delivered, [timer, parked]);
}

#[test]
fn an_end_that_comes_too_late_harms_nothing() {
    let mut events = Events::new();
    let op = events.hold("op");
    let ender = events.park(op);
    assert_eq!(events.cancel(op), Some("op"));
    let next = events.hold("next");
    let keeps = events.park(next);
    ender.end();
    assert!(run(&mut events, Mode::Ready, |_, _| unreachable!("it was cancelled")));
    drop(events);
    ender.end();
    keeps.end();
}

#[test]
fn the_host_leaves_and_is_called_back_once() {
    let mut events = Events::new();
    let ops = [events.hold("a"), events.hold("b")];
    let enders = ops.map(|op| events.park(op));
    events.begin(Mode::Loop).unwrap();
    events.idle_at(Some(2));
    assert_eq!(events.next(), Ok(Next::Idle));
    assert_eq!(events.next(), Ok(Next::Idle), "until something comes");
    let count = Arc::new(Count::default());
    assert!(events.leave(Waker::from(count.clone())));
    enders[1].end();
    enders[0].end();
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert!(!events.leave(Waker::from(count.clone())), "something is there already");
    let mut delivered = Vec::new();
    loop {
        match events.next().unwrap() {
            Next::RunTasks => {
                assert!(events.take_tasks().is_empty());
                events.tasks_done();
            }
            Next::Deliver(op) => {
                delivered.push(op);
                events.settle(op);
            }
            Next::Finished(pending) => break assert!(!pending),
            Next::Idle => unreachable!("nothing is left"),
        }
    }
    assert_eq!(delivered, ops);
    assert_eq!(Arc::strong_count(&count), 1, "the waker is not kept");
}

#[test]
fn with_anything_else_pending_it_waits() {
    let mut events = Events::new();
    let (parked, timer) = (events.hold("parked"), events.hold("timer"));
    let ender = events.park(parked);
    events.set_timer(timer, 1_000_000);
    events.begin(Mode::Loop).unwrap();
    events.idle_at(Some(1));
    assert_eq!(events.next(), Ok(Next::Deliver(timer)));
    events.settle(timer);
    assert_eq!(events.next(), Ok(Next::Idle), "now it is the only one");
    events.idle_at(None);
    ender.end();
    assert_eq!(events.next(), Ok(Next::RunTasks));
}

/// The waker may be all that keeps the loop.
#[test]
fn the_host_may_drop_the_loop_when_it_is_woken() {
    struct Host(std::sync::Mutex<Option<Events>>);
    impl Wake for Host {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    let mut events = Events::new();
    let op = events.hold("op");
    let ender = events.park(op);
    events.begin(Mode::Loop).unwrap();
    events.idle_at(Some(1));
    assert_eq!(events.next(), Ok(Next::Idle));
    let host = Arc::new(Host(std::sync::Mutex::default()));
    assert!(events.leave(Waker::from(host.clone())));
    *host.0.lock().unwrap() = Some(events);
    ender.end();
    assert!(host.0.lock().unwrap().is_none());
}
