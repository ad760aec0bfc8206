//! A child of a fork that has the parent's loop: it must leave the parent's alone (R32).
//!
//! In a program of its own, as the child has but one thread.

use coutil_system::core::{Loop, Mode, Next, OpId, SourceId};
use coutil_system::{Error, EventLoop, Kind};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::task::{Poll, Waker};

/// The number of this thread, for [`until_asleep`].
fn this_thread() -> i64 {
    #[cfg(target_os = "linux")]
    // SAFETY: it only returns a number.
    return unsafe { libc::gettid() }.into();
    #[cfg(not(target_os = "linux"))]
    0
}

/// Waits until that thread waits for something, where the system tells.
fn until_asleep(thread: i64) {
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

/// Runs `child` in a child of this process, and tells whether it went well.
fn in_child(child: impl FnOnce()) -> bool {
    // SAFETY: the child has the one thread that it needs; it ends without any destructor of this program.
    unsafe {
        match libc::fork() {
            -1 => panic!("no fork"),
            0 => {
                let outcome = catch_unwind(AssertUnwindSafe(child));
                libc::_exit(i32::from(outcome.is_err()))
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                status == 0
            }
        }
    }
}

struct Served {
    events: Loop<()>,
    source: SourceId,
    reading: OpId,
    peer: TcpStream,
    /// Ends without being woken.
    timer: OpId,
}

fn serve() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let peer = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("a connection");
    let (ours, _) = listener.accept().expect("it is there");
    let mut events = Loop::new();
    let source = events.add(ours.into(), Kind::TcpStream, true);
    let (reading, timer) = (events.hold(()), events.hold(()));
    events.read(reading, source).expect("it is connected");
    // It is registered, and known to have nothing.
    events.begin(Mode::Ready).expect("this process");
    while let Next::Deliver(op) = events.next().expect("this process") {
        assert!(matches!(events.try_read(op, &mut [0]), coutil_system::core::Attempt::Wait));
    }
    Served { events, source, reading, peer, timer }
}

/// Runs the loop, in which nothing is left but a task.
fn run_tasks(events: &mut Loop<()>, op: OpId) {
    events.begin(Mode::Loop).expect("this process");
    loop {
        match events.next().expect("this process") {
            Next::RunTasks => {
                for task in events.take_tasks() {
                    task.run();
                }
                events.tasks_done();
            }
            Next::Deliver(delivered) => {
                assert_eq!(delivered, op);
                events.settle(op);
            }
            Next::Finished(pending) => break assert!(!pending),
            Next::Idle => unreachable!("nobody asked for it"),
        }
    }
}

/// All that can wake the loop of the parent still does: a descriptor, a timer, another thread.
fn still_works(served: &mut Served) {
    let Served { events, reading, peer, timer, .. } = served;
    peer.write_all(b"x").expect("a connection");
    events.begin(Mode::Step).expect("this process");
    assert_eq!(events.next(), Ok(Next::Deliver(*reading)));
    events.settle(*reading);
    while !matches!(events.next(), Ok(Next::Finished(_))) {}

    events.set_timer(*timer, 2_000_000);
    events.begin(Mode::Step).expect("this process");
    while events.next() != Ok(Next::Deliver(*timer)) {}
    events.settle(*timer);

    let op = events.hold(());
    let (sender, receiver) = mpsc::channel::<Waker>();
    let mut woken = false;
    let task = events.spawn(
        op,
        std::future::poll_fn(move |context| {
            if std::mem::replace(&mut woken, true) {
                return Poll::Ready(());
            }
            sender.send(context.waker().clone()).expect("it is received");
            Poll::Pending
        }),
    );
    let thread = std::thread::spawn(move || receiver.recv().expect("it is sent").wake());
    run_tasks(events, op);
    drop(task);
    thread.join().expect("no panic");
}

fn a_child_that_drops_the_loop() {
    let mut served = serve();
    let mut dropped = Some(std::mem::take(&mut served.events));
    assert!(in_child(|| drop(dropped.take())));
    served.events = dropped.take().expect("it was dropped in the child");
    still_works(&mut served);
}

fn a_child_that_closes_everything() {
    let mut served = serve();
    let Served { events, source, reading, .. } = &mut served;
    assert!(in_child(|| {
        assert_eq!(events.close(*source), Some(*reading));
        // SAFETY: nothing is used any more but the exit of the process.
        (3..1000).for_each(|fd| unsafe {
            libc::close(fd);
        });
    }));
    still_works(&mut served);
}

fn a_child_that_uses_the_loop() {
    let mut served = serve();
    let Served { events, source, reading, timer, .. } = &mut served;
    assert!(in_child(|| {
        let foreign = Some(Error::FOREIGN_LOOP);
        assert!(events.is_foreign());
        assert_eq!(events.begin(Mode::Ready).err(), foreign);
        assert_eq!(events.next().err(), foreign);
        assert_eq!(events.read(*timer, *source).err(), foreign);
        assert_eq!(events.write(*timer, *source, b"x").err(), foreign);
        assert_eq!(events.shutdown(*timer, *source).err(), foreign);
        assert_eq!(
            events.connect(*timer, *source, "127.0.0.1:1".parse().expect("it is one"), 0).err(),
            foreign
        );
        assert_eq!(events.tcp(Kind::TcpStream, false).err(), foreign);
        assert_eq!(events.spawn(*timer, async {}).err(), foreign);
        assert!(events.cancel(*reading).is_some());
        events.close(*source);
        // A loop of its own is another matter.
        let mut own = Loop::new();
        let op = own.hold(());
        own.suspend(op);
        own.begin(Mode::Step).expect("its own");
        assert_eq!(own.next(), Ok(Next::Deliver(op)));
    }));
    still_works(&mut served);
}

fn a_child_that_wakes_while_the_parent_waits() {
    let passes = |in_between: &dyn Fn(&Waker)| {
        let mut events = Loop::new();
        let op = events.hold(());
        let (sender, receiver) = mpsc::channel::<(i64, Waker)>();
        let mut woken = false;
        let waiting = std::future::poll_fn(move |context| {
            if std::mem::replace(&mut woken, true) {
                return Poll::Ready(());
            }
            sender.send((this_thread(), context.waker().clone())).expect("it is received");
            Poll::Pending
        });
        let task = events.spawn(op, waiting).expect("descriptors");
        let looping = std::thread::spawn(move || {
            run_tasks(&mut events, op);
            events.passes()
        });
        let (thread, waker) = receiver.recv().expect("it is sent");
        until_asleep(thread);
        in_between(&waker);
        // If it was woken, it is awake until it waits again.
        until_asleep(thread);
        waker.wake();
        drop(task);
        looping.join().expect("no panic")
    };
    let undisturbed = passes(&|_| {});
    assert_eq!(passes(&|waker| assert!(in_child(|| waker.wake_by_ref()))), undisturbed);
}

fn a_child_with_futures() {
    let events = EventLoop::new().expect("descriptors");
    let listener =
        coutil_system::TcpListener::bind(&events, "127.0.0.1:0".parse().expect("it is one")).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut kept = Some((events.clone(), listener));
    assert!(in_child(|| {
        let foreign = Some(Error::FOREIGN_LOOP);
        let (events, listener) = kept.take().expect("it is there");
        assert_eq!(events.run().err(), foreign);
        assert_eq!(events.block_on(listener.accept()).err(), foreign);
        let connect = coutil_system::TcpStream::connect(&events, address);
        assert_eq!(futures_lite::future::block_on(connect).err(), foreign);
        drop((events, listener));
    }));
    let (_, listener) = kept.take().expect("it was taken in the child");
    let peer = TcpStream::connect(address).expect("it listens");
    let accepted = events.block_on(listener.accept()).expect("this process").expect("a connection");
    assert_eq!(accepted.peer_addr().ok(), peer.local_addr().ok());
}

#[test]
fn children_leave_the_loop_of_the_parent_alone() {
    // One after the other: a child of another test would have its descriptors too.
    a_child_that_drops_the_loop();
    a_child_that_closes_everything();
    a_child_that_uses_the_loop();
    a_child_that_wakes_while_the_parent_waits();
    a_child_with_futures();
}
