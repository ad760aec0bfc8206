//! Futures in the core.

use crate::util::*;
use coutil_system::core::{Mode, Next};
use futures_lite::future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};

/// Counts those that are alive.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for ever, and gives its waker away.
async fn wait(wakers: mpsc::Sender<Waker>) {
    future::poll_fn(|context| {
        let _ = wakers.send(context.waker().clone());
        Poll::<()>::Pending
    })
    .await;
}

#[test]
fn a_task_ends_its_operation() {
    let mut events = Events::new();
    let op = events.hold("task");
    let task = events.spawn(op, async { 6 * 7 }).expect("descriptors");
    assert_eq!(events.pending(), 1);
    let mut delivered = Vec::new();
    assert!(!run(&mut events, Mode::Loop, |_, op| delivered.push(op)));
    assert_eq!(delivered, [op]);
    assert_eq!(future::block_on(task), 42);
}

#[test]
fn a_task_is_woken_by_another_thread() {
    // The thread wakes when the loop sleeps, as far as the system tells.
    for _ in 0..20 {
        let mut events = Events::new();
        let (sender, receiver) = mpsc::channel::<Waker>();
        let mut woken = false;
        let op = events.hold("task");
        let waiting = future::poll_fn(move |context| {
            if std::mem::replace(&mut woken, true) {
                return Poll::Ready(());
            }
            sender.send(context.waker().clone()).expect("the thread waits for it");
            Poll::Pending
        });
        let task = events.spawn(op, waiting).expect("descriptors");
        let looping = this_thread();
        let thread = std::thread::spawn(move || {
            let waker = receiver.recv().expect("the task sends it");
            until_asleep(looping);
            waker.wake();
        });
        assert!(!run(&mut events, Mode::Loop, |_, delivered| assert_eq!(delivered, op)));
        future::block_on(task);
        thread.join().expect("no panic");
    }
}

#[test]
fn no_wake_is_lost() {
    // A task and a thread wake each other, at any moment of the loop: also right before it waits.
    const ROUNDS: usize = 20_000;
    let turns = Arc::new(AtomicUsize::new(0));
    let waker = Arc::new(Mutex::new(Waker::noop().clone()));
    let mut events = Events::new();
    let op = events.hold("task");
    let (turn, slot) = (turns.clone(), waker.clone());
    let playing = future::poll_fn(move |context| {
        slot.lock().expect("no panic").clone_from(context.waker());
        // The odd turns are those of the task.
        let now = turn.load(Ordering::SeqCst);
        if now % 2 == 1 {
            turn.store(now + 1, Ordering::SeqCst);
        }
        if now >= ROUNDS { Poll::Ready(()) } else { Poll::Pending }
    });
    let task = events.spawn(op, playing).expect("descriptors");
    let looping = std::thread::spawn(move || run(&mut events, Mode::Loop, |_, _| {}));
    while !looping.is_finished() {
        let now = turns.load(Ordering::SeqCst);
        if now.is_multiple_of(2) {
            turns.store(now + 1, Ordering::SeqCst);
            let waker = waker.lock().expect("no panic").clone();
            waker.wake();
        }
        std::hint::spin_loop();
    }
    assert!(!looping.join().expect("no panic"));
    future::block_on(task);
}

#[test]
fn a_step_of_tasks() {
    // The task starts a suspension, for whoever runs it: it is the next pass that delivers it.
    let mut events = Events::new();
    let op = events.hold("task");
    let task = events.spawn(op, async {}).expect("descriptors");
    let zero = events.hold("zero");
    let mut delivered = Vec::new();
    events.begin(Mode::Step).expect("it is of this process");
    loop {
        match events.next().expect("it is of this process") {
            Next::RunTasks => {
                drop(events.take_tasks());
                events.suspend(zero);
                events.cancel(op);
                events.tasks_done();
            }
            Next::Deliver(op) => delivered.push(op),
            Next::Finished(pending) => break assert!(pending),
            Next::Idle => unreachable!("nobody asked for it"),
        }
    }
    assert_eq!(delivered, []);
    assert!(!run(&mut events, Mode::Step, |_, op| assert_eq!(op, zero)));
    drop(task);
}

#[test]
fn a_task_that_panics_ends_its_operation() {
    let mut events = Events::new();
    let op = events.hold("task");
    let task = events.spawn(op, async { panic!("on purpose") }).expect("descriptors");
    events.begin(Mode::Loop).expect("it is of this process");
    let mut delivered = Vec::new();
    let mut panics = 0;
    loop {
        match events.next().expect("it is of this process") {
            Next::Deliver(op) => {
                delivered.push(op);
                events.settle(op);
            }
            Next::RunTasks => {
                for runnable in events.take_tasks() {
                    let outcome = catch_unwind(AssertUnwindSafe(|| runnable.run()));
                    panics += usize::from(outcome.is_err());
                }
                events.tasks_done();
            }
            Next::Finished(pending) => break assert!(!pending),
            Next::Idle => unreachable!("nobody asked for it"),
        }
    }
    assert_eq!((delivered, panics), (vec![op], 1));
    assert!(catch_unwind(AssertUnwindSafe(|| future::block_on(task))).is_err());
}

#[test]
fn a_task_woken_early_and_often_is_polled_once_for_all() {
    let mut events = Events::new();
    let polls = Arc::new(AtomicUsize::new(0));
    let op = events.hold("task");
    let counted = polls.clone();
    let waiting = future::poll_fn(move |context| {
        for _ in 0..10 {
            // While it is being polled: once more, whatever the number.
            context.waker().wake_by_ref();
        }
        if counted.fetch_add(1, Ordering::SeqCst) == 2 { Poll::Ready(()) } else { Poll::Pending }
    });
    let task = events.spawn(op, waiting).expect("descriptors");
    run(&mut events, Mode::Loop, |_, _| {});
    assert_eq!(polls.load(Ordering::SeqCst), 3);
    future::block_on(task);
}

#[test]
fn a_task_that_wakes_itself_lets_others_go_on() {
    let mut events = Events::new();
    let task_op = events.hold("task");
    let task = events.spawn(task_op, async {
        loop {
            future::yield_now().await;
        }
    });
    let task = task.map(Some).expect("descriptors");
    let mut task = task;
    let (source, mut peer) = pair(&mut events);
    std::io::Write::write_all(&mut peer, b"x").expect("a connection");
    let (timer, reading) = (events.hold("timer"), events.hold("read"));
    events.set_timer(timer, 1_000_000);
    events.read(reading, source).expect("it is connected");
    let mut delivered = Vec::new();
    run(&mut events, Mode::Loop, |events, op| {
        delivered.extend(events.waiter(op).copied());
        if delivered.len() == 2 {
            drop(task.take());
        }
    });
    delivered.sort_unstable();
    assert_eq!(delivered, ["read", "task", "timer"]);
}

#[test]
fn a_task_that_is_dropped_ends_its_operation() {
    let mut events = Events::new();
    let alive = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::channel();
    let op = events.hold("task");
    let guard = Alive::new(&alive);
    let task = events.spawn(op, async move {
        let _guard = guard;
        wait(sender).await;
    });
    run(&mut events, Mode::Ready, |_, _| panic!("it waits"));
    drop(task);
    assert!(!run(&mut events, Mode::Loop, |_, delivered| assert_eq!(delivered, op)));
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    receiver.recv().expect("it was polled").wake();
}

#[test]
fn a_cancelled_operation_is_not_delivered_with_its_task() {
    let mut events = Events::new();
    let op = events.hold("task");
    let task = events.spawn(op, async {}).expect("descriptors");
    events.cancel(op);
    drop(task);
    assert!(!run(&mut events, Mode::Loop, |_, _| panic!("it was cancelled")));
}

#[test]
fn a_loop_that_is_dropped_drops_its_tasks() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut events = Events::new();
    let (sender, receiver) = mpsc::channel();
    // One that waits for another thread, and has been polled.
    let (op, guard) = (events.hold("waits"), Alive::new(&alive));
    let waiting = events.spawn(op, async move {
        let _guard = guard;
        wait(sender).await;
    });
    waiting.expect("descriptors").detach();
    run(&mut events, Mode::Ready, |_, _| panic!("it waits"));
    // One that never was polled, and one more whose handle is kept.
    let mut kept = None;
    for name in ["detached", "kept"] {
        let (op, guard) = (events.hold(name), Alive::new(&alive));
        let task = events.spawn(op, async move { drop(guard) }).expect("descriptors");
        kept.replace(task).into_iter().for_each(async_task_detach);
    }
    assert_eq!(alive.load(Ordering::SeqCst), 3);
    drop(events);
    assert_eq!(alive.load(Ordering::SeqCst), 1, "only who can still be woken is left");
    // Its waker finds no loop: the future is dropped.
    receiver.recv().expect("it was polled").wake();
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    drop(kept);
}

fn async_task_detach<T>(task: coutil_system::Task<T>) {
    task.detach();
}

#[test]
fn tasks_that_are_woken_while_the_loop_is_dropped() {
    let alive = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let mut events = Events::new();
        let (sender, receiver) = mpsc::channel();
        let (op, guard) = (events.hold("task"), Alive::new(&alive));
        let task = events.spawn(op, async move {
            let _guard = guard;
            wait(sender).await;
        });
        task.expect("descriptors").detach();
        run(&mut events, Mode::Ready, |_, _| panic!("it waits"));
        let waker = receiver.recv().expect("it was polled");
        let thread = std::thread::spawn(move || waker.wake());
        drop(events);
        thread.join().expect("no panic");
    }
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}
