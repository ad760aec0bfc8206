//! Signals. In a program of its own, as they are of the whole process; one test at a time.

use coutil_system::core::{Loop, Mode, Next, OpId};
use coutil_system::process::kill;
use coutil_system::signal::Watch;
use coutil_system::{Error, EventLoop};
use futures_lite::future::poll_once;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

const ONE: i32 = libc::SIGUSR1;
const TWO: i32 = libc::SIGUSR2;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// To this thread: so it is caught when this returns, whatever other threads there are.
fn emit(signal: i32) {
    // SAFETY: it takes any number.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

fn is_caught(signal: i32) -> bool {
    // SAFETY: all zeros are a valid action, and it is filled in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut action), 0);
        assert_ne!(action.sa_sigaction, libc::SIG_IGN);
        action.sa_sigaction != libc::SIG_DFL
    }
}

type Events = Loop<usize>;

/// One pass without waiting; `deliver` may start the operation again.
fn pass(events: &mut Events, mode: Mode, mut deliver: impl FnMut(&mut Events, OpId)) -> Vec<usize> {
    let mut told = Vec::new();
    events.begin(mode).expect("this process");
    while let Next::Deliver(op) = events.next().expect("this process") {
        told.push(*events.waiter(op).expect("it is delivered"));
        deliver(events, op);
        events.settle(op);
    }
    told
}

fn start(events: &mut Events, who: usize, signal: i32) -> OpId {
    let op = events.hold(who);
    events.await_signal(op, signal).expect("it can be caught");
    op
}

#[test]
fn one_delivery_is_for_all_who_wait() {
    // [40 G10] [40 G14] [40 G15]
    let _alone = alone();
    let (mut events, mut other) = (Events::new(), Events::new());
    start(&mut events, 0, ONE);
    start(&mut events, 1, ONE);
    start(&mut events, 2, TWO);
    start(&mut other, 3, ONE);
    emit(ONE);
    assert_eq!(pass(&mut events, Mode::Ready, |_, _| {}), [0, 1]);
    assert!(is_caught(ONE), "the other loop has not told yet");
    assert_eq!(pass(&mut other, Mode::Step, |_, _| {}), [3]);
    assert!(!is_caught(ONE) && is_caught(TWO));
    drop(events);
    assert!(!is_caught(TWO), "the loop is gone");
}

#[test]
fn each_that_was_caught_is_told_to_whoever_goes_on_waiting() {
    // [40 G11] In one pass.
    let _alone = alone();
    let mut events = Events::new();
    start(&mut events, 0, ONE);
    start(&mut events, 1, ONE);
    (0..3).for_each(|_| emit(ONE));
    let mut left = 5;
    let told = pass(&mut events, Mode::Ready, |events, op| {
        if *events.waiter(op).unwrap() == 0 && left > 0 {
            left -= 1;
            events.await_signal(op, ONE).unwrap();
        }
    });
    assert_eq!(told, [0, 1, 0, 0]);
    assert_eq!(events.pending(), 1);
    // What is caught while they are told is for a later pass.
    emit(ONE);
    let again = |events: &mut Events, op| {
        emit(ONE);
        events.await_signal(op, ONE).unwrap();
    };
    assert_eq!(pass(&mut events, Mode::Ready, again), [0]);
    assert_eq!(pass(&mut events, Mode::Ready, again), [0]);
    drop(events);
    assert!(!is_caught(ONE));
}

#[test]
fn what_else_is_started_ends_the_watch() {
    // [40 G12] [40 G14]
    let _alone = alone();
    let mut events = Events::new();
    start(&mut events, 0, ONE);
    emit(ONE);
    emit(ONE);
    pass(&mut events, Mode::Ready, |events, op| {
        assert!(is_caught(ONE));
        events.suspend(op);
        assert!(!is_caught(ONE));
    });
    assert_eq!(pass(&mut events, Mode::Ready, |events, op| events.await_signal(op, ONE).unwrap()), [0]);
    // It does not see the one from before.
    assert_eq!(pass(&mut events, Mode::Ready, |_, _| {}), []);
    emit(ONE);
    assert_eq!(pass(&mut events, Mode::Ready, |events, op| events.set_timer(op, u64::MAX / 2)), [0]);
    assert!(!is_caught(ONE));
}

#[test]
fn what_cannot_be_caught() {
    let _alone = alone();
    let mut events = Events::new();
    let op = events.hold(0);
    for signal in [libc::SIGKILL, libc::SIGSTOP, 0, -1, 65, i32::MAX] {
        assert_eq!(events.await_signal(op, signal), Err(Error::from_code(libc::EINVAL)), "{signal}");
    }
    events.cancel(op);
    assert_eq!(events.pending(), 0);
}

#[test]
fn a_loop_that_waits_is_woken() {
    // [40 G9] By a signal to any thread.
    let _alone = alone();
    let events = EventLoop::new().expect("descriptors");
    let mut watch = Watch::new(&events, ONE).expect("it can be caught");
    let (tell, told) = mpsc::channel::<()>();
    let sender = std::thread::spawn(move || {
        for () in told {
            kill(std::process::id() as i32, ONE).expect("it is this process");
        }
    });
    for _ in 0..100 {
        tell.send(()).expect("it lives");
        assert_eq!(events.block_on(watch.wait()), Ok(Ok(())));
    }
    drop(tell);
    sender.join().expect("no panic");
    // A future that was dropped has taken none.
    emit(ONE);
    events
        .block_on(async {
            let mut next = pin!(watch.wait());
            assert!(poll_once(&mut next).await.is_none());
        })
        .expect("it runs");
    assert_eq!(events.block_on(watch.wait()), Ok(Ok(())));
    let mut second = Watch::new(&events, ONE).expect("it can be caught");
    emit(ONE);
    assert_eq!(events.block_on(async { watch.wait().await.and(second.wait().await) }), Ok(Ok(())));
    drop(watch);
    assert!(is_caught(ONE));
    drop(second);
    assert!(!is_caught(ONE));
}

#[test]
fn a_loop_that_moves_between_threads() {
    // [40 G10] It waits in another thread than the one in which it began to watch.
    let _alone = alone();
    let mut events = Events::new();
    start(&mut events, 0, ONE);
    for round in 0..20 {
        let (ready, waits) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            ready.send(()).expect("it lives");
            let told = pass(&mut events, Mode::Step, |events, op| events.await_signal(op, ONE).unwrap());
            (events, told)
        });
        waits.recv().expect("it lives");
        kill(std::process::id() as i32, ONE).expect("it is this process");
        let told;
        (events, told) = thread.join().expect("no panic");
        assert_eq!(told, [0], "{round}");
    }
    drop(events);
    assert!(!is_caught(ONE));
}

#[test]
fn loops_that_come_and_go_while_signals_arrive() {
    // [40 G10] The descriptor of a loop is never written to after it was closed.
    let _alone = alone();
    let keeper = EventLoop::new().expect("descriptors");
    let _watch = Watch::new(&keeper, ONE).expect("it can be caught");
    let (stop, stopped) = mpsc::channel::<()>();
    let sender = std::thread::spawn(move || {
        let mut count = 0u32;
        while stopped.try_recv().is_err() {
            emit(ONE);
            count += 1;
        }
        count
    });
    let threads: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..200 {
                    let mut events = Events::new();
                    start(&mut events, 0, ONE);
                    assert_eq!(pass(&mut events, Mode::Step, |_, _| {}), [0]);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    stop.send(()).expect("it lives");
    assert!(sender.join().expect("no panic") > 0);
}

#[test]
fn a_child_of_a_fork_has_the_default_action() {
    // [90 5.3] [40 G15]
    let _alone = alone();
    let mut events = Events::new();
    start(&mut events, 0, ONE);
    let fork = |child: fn()| {
        // SAFETY: the child makes system calls only.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                child();
                libc::_exit(0);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
            status
        }
    };
    let status = fork(|| emit(ONE));
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == ONE, "{status}");
    assert_eq!(pass(&mut events, Mode::Ready, |_, _| {}), []);
    emit(ONE);
    assert_eq!(pass(&mut events, Mode::Ready, |_, _| {}), [0]);
}

/// What happens in the test of random programs.
#[derive(Clone, Debug)]
enum Act {
    /// Somebody starts to wait, if it does not yet. When it is told it does this next: waits for one of the two again, or ends.
    Await {
        who: usize,
        signal: usize,
        then: Vec<Option<usize>>,
    },
    Cancel(usize),
    Emit(usize),
    Pass,
}

fn act() -> impl Strategy<Value = Act> {
    let then = prop::collection::vec(prop::option::of(0..2usize), 0..4);
    prop_oneof![
        3 => (0..4usize, 0..2usize, then).prop_map(|(who, signal, then)| Act::Await { who, signal, then }),
        1 => (0..4usize).prop_map(Act::Cancel),
        4 => (0..2usize).prop_map(Act::Emit),
        2 => Just(Act::Pass),
    ]
}

/// Who waits in the model: for what, how many were caught before, and what it does when it is told.
type Waiting = (usize, u64, Vec<Option<usize>>);

proptest! {
    #[test]
    fn random_programs(acts in prop::collection::vec(act(), 1..60)) {
        // [40 G9] to [40 G17]
        let _alone = alone();
        let signals = [ONE, TWO];
        let mut events = Events::new();
        let mut ops: BTreeMap<usize, OpId> = BTreeMap::new();
        let mut model: BTreeMap<usize, Waiting> = BTreeMap::new();
        let mut caught = [0u64; 2];
        for act in acts {
            match act {
                Act::Await { who, signal, then } => {
                    if let std::collections::btree_map::Entry::Vacant(place) = model.entry(who) {
                        ops.insert(who, start(&mut events, who, signals[signal]));
                        place.insert((signal, caught[signal], then));
                    }
                }
                Act::Cancel(who) => {
                    let removed = ops.remove(&who).and_then(|op| events.cancel(op));
                    prop_assert_eq!(removed.is_some(), model.remove(&who).is_some());
                }
                // With the default action it would end this program.
                Act::Emit(signal) => {
                    if model.values().any(|(waiting, ..)| *waiting == signal) {
                        emit(signals[signal]);
                        caught[signal] += 1;
                    }
                }
                Act::Pass => {
                    let mut told: BTreeMap<usize, u32> = BTreeMap::new();
                    let mut plans: BTreeMap<usize, Vec<Option<usize>>> =
                        model.iter().map(|(who, (.., then))| (*who, then.clone())).collect();
                    pass(&mut events, Mode::Ready, |events, op| {
                        let who = *events.waiter(op).unwrap();
                        *told.entry(who).or_default() += 1;
                        let plan = plans.get_mut(&who).unwrap();
                        match if plan.is_empty() { None } else { plan.remove(0) } {
                            Some(signal) => events.await_signal(op, signals[signal]).unwrap(),
                            None => drop(ops.remove(&who)),
                        }
                    });
                    let mut expected: BTreeMap<usize, u32> = BTreeMap::new();
                    for who in model.keys().copied().collect::<Vec<_>>() {
                        while let Some((signal, seen, then)) = model.get_mut(&who)
                            && *seen < caught[*signal]
                        {
                            *expected.entry(who).or_default() += 1;
                            match if then.is_empty() { None } else { then.remove(0) } {
                                Some(next) if next == *signal => *seen += 1,
                                Some(next) => (*signal, *seen) = (next, caught[next]),
                                None => {
                                    model.remove(&who);
                                }
                            }
                        }
                    }
                    prop_assert_eq!(told, expected);
                }
            }
            prop_assert_eq!(events.pending(), model.len());
            for (index, signal) in signals.into_iter().enumerate() {
                let waits = model.values().any(|(waiting, ..)| *waiting == index);
                prop_assert_eq!(is_caught(signal), waits);
            }
        }
    }
}
