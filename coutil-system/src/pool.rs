//! Calls that block, on a pool of threads for the process.
//!
//! Why not that of the crate `blocking`: where the system refuses it a thread, its `unblock` asks for one again and again, without an
//! end and with its lock held, and later it stays for good with as few as it had then. Here whoever wants a call is told if there is
//! no thread for it.

use crate::error::Result;
use crate::sys::process;
use async_task::{Runnable, Task};
use coutil_threads::{Builder, Pool};
use std::sync::OnceLock;

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

/// How many calls [`unblock`] makes at a time: as the environment variable `UV_THREADPOOL_SIZE` said when this, or that, was
/// called first.
pub fn thread_limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let variable = std::env::var_os("UV_THREADPOOL_SIZE");
        limit(variable.map(|text| text.to_string_lossy().into_owned()).as_deref())
    })
}

/// The threads of a process. In a child of a fork there are none, so it gets others.
#[derive(Default)]
struct Threads {
    pool: OnceLock<(Pool, u32)>,
    child: OnceLock<Box<Threads>>,
}

/// The pool of this process, which has a thread at least.
fn pool() -> Result<&'static Pool> {
    static PARENT: Threads = Threads { pool: OnceLock::new(), child: OnceLock::new() };
    let forks = process::forks();
    let mut threads = &PARENT;
    loop {
        let (pool, of) = match threads.pool.get() {
            Some(pool) => pool,
            None => {
                let pool = Builder::new().name("coutil-call").build(1)?;
                // The others come with the calls for which they are needed.
                pool.resize(thread_limit(), false)?;
                threads.pool.get_or_init(|| (pool, forks))
            }
        };
        if *of == forks {
            return Ok(pool);
        }
        threads = threads.child.get_or_init(Box::default);
    }
}

/// A thread for a call, which is to be [put](Turn::put) there.
pub(crate) struct Turn(&'static Pool);

impl Turn {
    pub(crate) fn put(self, call: Runnable) {
        // If no more threads can be started, those that there are make it.
        let _ = self.0.spawn(async move {
            call.run();
        });
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
    match turn() {
        Ok(turn) => begin(turn, call).await,
        Err(_) => call(),
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

/// Fails if there is no thread, and none can be started.
pub(crate) fn turn() -> Result<Turn> {
    pool().map(Turn)
}

/// A call that is made when it is run.
pub(crate) fn prepare<T, F>(call: F) -> (Runnable, Task<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // It has no reason to be woken: it ends when it runs.
    async_task::Builder::new().propagate_panic(true).spawn(|()| async { call() }, drop)
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
