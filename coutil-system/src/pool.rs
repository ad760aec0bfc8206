//! Calls that block, on threads of their own.
//!
//! They are started when they are needed, and go when there was nothing to do for a while. The threads of the crate `blocking` are
//! not used: where the system refuses it a thread, its `unblock` asks for one again and again, without an end and with its lock
//! held, and later it stays for good with as few as it had then. Here whoever wants a call is told if there is no thread for it.
//!
//! The queue is one of calls, not of futures that wait for their turn: nothing is woken while a lock is held, as whoever is
//! woken may be dropped by that.

use crate::error::Result;
use crate::sys::process;
use async_task::{Builder, Runnable, Task};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// How many calls run at a time: `UV_THREADPOOL_SIZE` as libuv understands it, 4 if it is not set.
fn limit(variable: Option<&str>) -> usize {
    match variable {
        // As atoi(3): what is no number is 0.
        Some(text) => {
            let text = text.trim_start();
            let text = text.strip_prefix('+').unwrap_or(text);
            let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
            match &text[..end] {
                "" => 1,
                digits => digits.parse().unwrap_or(usize::MAX).clamp(1, 1024),
            }
        }
        None => 4,
    }
}

/// How long a thread waits for another call before it ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many calls [`unblock`] makes at a time: as the environment variable `UV_THREADPOOL_SIZE` said when this, or that, was
/// called first.
pub fn thread_limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let variable = std::env::var_os("UV_THREADPOOL_SIZE");
        limit(variable.map(|text| text.to_string_lossy().into_owned()).as_deref())
    })
}

#[derive(Default)]
struct Calls {
    /// How many threads there are.
    threads: usize,
    /// How many of them wait. As many of the calls that wait are theirs: each is woken for one, and takes the first.
    idle: usize,
    waiting: VecDeque<Runnable>,
}

struct Gate {
    limit: usize,
    calls: Mutex<Calls>,
    /// Tells a thread that waits of a call.
    more: Condvar,
    /// In a child of a fork there are no threads, and the lock may be held for ever.
    forks: u32,
    /// That of a child.
    next: OnceLock<Box<Gate>>,
}

/// There is a thread that is going to make a call, which is to be [put](Turn::put) now.
pub(crate) struct Turn {
    gate: &'static Gate,
    calls: MutexGuard<'static, Calls>,
}

impl Turn {
    /// Adds the call. A thread that has been started for it waits for the lock that this gives back.
    pub(crate) fn put(mut self, call: Runnable) {
        let waits = self.calls.idle > self.calls.waiting.len();
        self.calls.waiting.push_back(call);
        drop(self.calls);
        if waits {
            self.gate.more.notify_one();
        }
    }
}

impl Gate {
    /// The one of the process.
    fn get() -> &'static Self {
        static FIRST: OnceLock<Box<Gate>> = OnceLock::new();
        let forks = process::forks();
        let mut place = &FIRST;
        loop {
            let gate = place.get_or_init(|| Box::new(Self::new(forks)));
            if gate.forks == forks {
                return gate;
            }
            place = &gate.next;
        }
    }

    fn new(forks: u32) -> Self {
        let (calls, more, next) = (Mutex::default(), Condvar::new(), OnceLock::new());
        Self { limit: thread_limit(), calls, more, forks, next }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread for one more call, which may have others to make before. Fails if there is none, and none can be started.
    fn turn(&'static self) -> Result<Turn> {
        let mut calls = self.calls();
        if let Err(error) = self.provide(&mut calls, 1)
            && calls.threads == 0
        {
            return Err(error);
        }
        Ok(Turn { gate: self, calls })
    }

    /// Starts a thread if there are, with so many more, more calls than threads without one, and there may be another.
    fn provide(&'static self, calls: &mut Calls, more: usize) -> Result<()> {
        if calls.waiting.len() + more > calls.idle && calls.threads < self.limit {
            thread::Builder::new().name("coutil-call".to_owned()).spawn(|| self.work())?;
            calls.threads += 1;
        }
        Ok(())
    }

    /// Makes calls until none is left. One whose future was dropped is not made.
    fn work(&'static self) {
        while let Some(call) = self.next() {
            // The panic of a call is passed on; others are of those who are woken.
            let _ = catch_unwind(AssertUnwindSafe(|| call.run()));
        }
    }

    /// The next call for a thread that has none; `None` if there has been none for a while, and the thread is to go.
    fn next(&'static self) -> Option<Runnable> {
        let mut calls = self.calls();
        if calls.waiting.is_empty() {
            calls.idle += 1;
            let waited = self.more.wait_timeout_while(calls, PATIENCE, |calls| calls.waiting.is_empty());
            calls = waited.unwrap_or_else(PoisonError::into_inner).0;
            calls.idle -= 1;
        }
        let next = calls.waiting.pop_front();
        if next.is_none() {
            calls.threads -= 1;
        } else {
            // Where one could not be started before, perhaps it can be now. If not, this thread makes the other calls as well.
            let _ = self.provide(&mut calls, 0);
        }
        next
    }
}

/// Makes a call that blocks, on another thread, which is started if it is needed. It can be awaited on any executor.
///
/// At most as many of these calls run at a time, in the whole process, as the environment variable `UV_THREADPOOL_SIZE` said
/// at the first one (1 to 1024; 4 if it is not set); the others wait for their turn. So they do when no more threads can be
/// started. If the future is dropped, a call that has not begun is not made; one that has begun goes on, and what it returns
/// is dropped.
///
/// If there is no thread at all, and none can be started, the call is made here, by whoever polls the future: [`try_unblock`]
/// tells of that instead.
///
/// In a child of fork(2) the threads of the parent do not exist: there a future that was polled in the parent never is ready.
///
/// ```
/// use coutil_system::EventLoop;
///
/// let events = EventLoop::new()?;
/// let length = events.block_on(coutil_system::unblock(|| std::fs::metadata("Cargo.toml").map(|file| file.len())))?;
/// assert!(length? > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// The future panics if the call did.
pub async fn unblock<T, F>(call: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let begun = {
        match Gate::get().turn() {
            Ok(turn) => Ok(begin(turn, call)),
            Err(_) => Err(call),
        }
    };
    match begun {
        Ok(task) => task.await,
        Err(call) => call(),
    }
}

/// As [`unblock`], but fails if there is no thread for the call.
///
/// ```
/// use coutil_system::{EventLoop, try_unblock};
///
/// let events = EventLoop::new()?;
/// assert_eq!(events.block_on(try_unblock(|| 6 * 7))?, Ok(42));
/// # Ok::<(), coutil_system::Error>(())
/// ```
///
/// # Errors
///
/// `resource temporarily unavailable` if no such thread runs, and none can be started: pthread_create(3). The call is not made.
///
/// # Panics
///
/// As [`unblock`].
pub async fn try_unblock<T, F>(call: F) -> Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let task = begin(turn()?, call);
    Ok(task.await)
}

fn begin<T, F>(turn: Turn, call: F) -> Task<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (runnable, task) = prepare(call);
    turn.put(runnable);
    task
}

/// The turn of a call that is to be put at once: nobody else gets one before.
pub(crate) fn turn() -> Result<Turn> {
    Gate::get().turn()
}

/// A call that is made when it is run.
pub(crate) fn prepare<T, F>(call: F) -> (Runnable, Task<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // It has no reason to be woken: it ends when it runs.
    Builder::new().propagate_panic(true).spawn(|()| async { call() }, drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier, mpsc};

    /// The tests share the queue, and need all of it.
    fn alone() -> std::sync::MutexGuard<'static, ()> {
        static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    #[test]
    fn the_limit_is_that_of_libuv() {
        for (variable, expected) in [
            (None, 4),
            (Some("8"), 8),
            (Some(" 12 threads"), 12),
            (Some("+3"), 3),
            (Some("1024"), 1024),
            (Some("1025"), 1024),
            (Some("99999999999999999999999"), 1024),
            (Some("0"), 1),
            (Some("-1"), 1),
            (Some(""), 1),
            (Some("many"), 1),
        ] {
            assert_eq!(limit(variable), expected, "{variable:?}");
        }
    }

    #[test]
    fn no_more_calls_run_than_the_limit_says() {
        let _alone = alone();
        let limit = limit(std::env::var("UV_THREADPOOL_SIZE").ok().as_deref());
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // The first ones wait for each other, so that many do run at a time.
        let together = Arc::new(Barrier::new(limit));
        let calls = (0..limit * 4).map(|number| {
            let (running, most, together) = (running.clone(), most.clone(), together.clone());
            unblock(move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                if number < limit {
                    together.wait();
                }
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        let threads: Vec<_> = calls.map(|call| std::thread::spawn(|| block_on(call))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(most.load(Ordering::SeqCst) <= limit);
    }

    #[test]
    fn what_has_not_begun_is_not_called() {
        let _alone = alone();
        let limit = limit(std::env::var("UV_THREADPOOL_SIZE").ok().as_deref());
        let (go, gone) = mpsc::channel::<()>();
        let gone = Arc::new(std::sync::Mutex::new(gone));
        let blockers: Vec<_> = (0..limit)
            .map(|_| {
                let gone = gone.clone();
                let mut call = Box::pin(unblock(move || {
                    let _ = gone.lock().unwrap().recv();
                }));
                assert!(block_on(poll_once(&mut call)).is_none());
                call
            })
            .collect();
        let (called, calls) = mpsc::channel();
        {
            let called = called.clone();
            let mut late = pin!(unblock(move || called.send("dropped").unwrap()));
            assert!(block_on(poll_once(&mut late)).is_none());
        }
        drop(go);
        blockers.into_iter().for_each(block_on);
        block_on(unblock(move || called.send("last").unwrap()));
        assert_eq!(calls.iter().collect::<Vec<_>>(), ["last"]);
    }

    #[test]
    fn a_call_that_has_begun_goes_on_and_its_result_is_dropped() {
        let _alone = alone();
        struct Result(mpsc::Sender<&'static str>);
        impl Drop for Result {
            fn drop(&mut self) {
                let _ = self.0.send("dropped");
            }
        }
        let (tell, told) = mpsc::channel();
        let (begin, begun) = mpsc::channel::<()>();
        let (go, gone) = mpsc::channel::<()>();
        let mut call = Box::pin(unblock(move || {
            begin.send(()).unwrap();
            gone.recv().unwrap();
            Result(tell)
        }));
        assert!(block_on(poll_once(&mut call)).is_none());
        begun.recv().unwrap();
        drop(call);
        go.send(()).unwrap();
        assert_eq!(told.recv(), Ok("dropped"));
    }

    #[test]
    fn whoever_is_woken_may_be_dropped_by_that() {
        let _alone = alone();
        for _ in 0..20 {
            let schedule = |runnable: Runnable| drop(runnable);
            let tasks: Vec<_> = (0..50)
                .map(|_| {
                    let (runnable, task) = async_task::spawn(unblock(std::thread::yield_now), schedule);
                    runnable.run();
                    task
                })
                .collect();
            block_on(unblock(|| ()));
            drop(tasks);
        }
    }

    #[test]
    fn a_panic_is_passed_on_and_gives_its_turn_back() {
        let _alone = alone();
        for _ in 0..8 {
            let result = std::panic::catch_unwind(|| block_on(unblock(|| panic!("of the test"))));
            assert!(result.is_err());
        }
        assert_eq!(block_on(unblock(|| 1)), 1);
    }
}
