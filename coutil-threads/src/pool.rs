//! Pools, from outside.

use crate::patience::Patience;
use crate::sync::{AtomicBool, Condvar, JoinHandle, Mutex, MutexGuard, Ordering};
use crate::task::{Suspended, Task, stage};
use slab::Slab;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, PoisonError};

#[derive(Default)]
pub(crate) struct State {
    /// All tasks that have not ended.
    pub(crate) tasks: Slab<Arc<Task>>,
    pub(crate) pending: VecDeque<Arc<Task>>,
    pub(crate) running: usize,
    /// How many threads there may be, how many there are, and how many of those sleep.
    pub(crate) size: usize,
    pub(crate) threads: usize,
    pub(crate) asleep: usize,
    /// One of the others looks for something to do, and is going to lock this.
    pub(crate) looks: bool,
    pub(crate) patience: Patience,
    pub(crate) handles: Slab<JoinHandle<()>>,
    /// Threads that have ended since the pool was closed.
    pub(crate) ended: Vec<JoinHandle<()>>,
    /// Nothing runs any more.
    pub(crate) closed: bool,
    /// The [`Pool`] is gone: threads end when there is no task.
    pub(crate) detached: bool,
    /// So is every [`Handle`]: nobody adds tasks, or changes the size.
    forsaken: bool,
    /// How many wait to close the pool.
    closers: usize,
}

impl State {
    /// How many threads have no task, those included that have just been started, or woken.
    pub(crate) fn idle(&self) -> usize {
        self.threads - self.running
    }

    /// A task has ended.
    pub(crate) fn forget(&mut self, task: &Task) {
        task.set_stage(stage::ENDED);
        self.tasks.remove(task.key);
    }

    /// Whether no task ever runs again, as there is no thread, and will be none.
    pub(crate) fn is_over(&self) -> bool {
        self.forsaken && self.size == 0 && self.threads == 0
    }

    /// Closes it, where no task runs: takes those that are pending, and those that are suspended.
    fn close(&mut self) -> (VecDeque<Arc<Task>>, Suspended) {
        self.closed = true;
        let pending = std::mem::take(&mut self.pending);
        for task in &pending {
            self.forget(task);
        }
        (pending, Suspended { tasks: self.tasks.iter().map(|(_, task)| Arc::clone(task)).collect() })
    }
}

/// Alone in its line of memory: whoever looks at it does not hinder who has the lock.
#[repr(align(128))]
struct Apart<T>(T);

pub(crate) struct Inner {
    state: Mutex<State>,
    /// Something is pending: for a thread that looks for it without the lock.
    news: Apart<AtomicBool>,
    /// There is something to do, or too many threads.
    pub(crate) work: Condvar,
    /// There may be no tasks or no threads any more.
    changed: Condvar,
    pub(crate) name: String,
    pub(crate) stack_size: Option<usize>,
    /// The process whose threads they are.
    process: u32,
}

impl Inner {
    /// Whether this is a child of the process that made the pool: it has none of the threads, the lock may be held for ever, and
    /// tasks may have been left in the middle.
    fn is_foreign(&self) -> bool {
        self.process != std::process::id()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has one thread without a task look what there is to do. It is told without the lock, which it takes first.
    pub(crate) fn call(&self, state: MutexGuard<'_, State>) {
        // One that looks has seen it, or will before it sleeps.
        let asleep = state.asleep > 0 && state.pending.len() > usize::from(state.looks);
        drop(state);
        if asleep {
            self.work.notify_one();
        }
    }

    /// Puts a task at the end of the queue.
    pub(crate) fn push(&self, state: &mut State, task: Arc<Task>) {
        state.pending.push_back(task);
        self.news.0.store(true, Ordering::Release);
    }

    /// Takes the first task of the queue.
    pub(crate) fn pop(&self, state: &mut State) -> Option<Arc<Task>> {
        let task = state.pending.pop_front()?;
        if state.pending.is_empty() {
            self.news.0.store(false, Ordering::Release);
        }
        Some(task)
    }

    /// Whether something is pending, at this moment.
    pub(crate) fn has_news(&self) -> bool {
        self.news.0.load(Ordering::Acquire)
    }

    /// There may be no tasks or no threads any more.
    pub(crate) fn change(&self, state: &State) {
        if state.closers > 0 {
            self.changed.notify_all();
        }
    }

    /// Drops all tasks of a pool that [is over](State::is_over): they and the pool keep each other.
    pub(crate) fn end(&self, mut state: MutexGuard<'_, State>) {
        let (pending, suspended) = state.close();
        drop(state);
        for task in pending {
            task.destroy();
        }
        drop(suspended);
    }

    /// Waits for such a change.
    fn await_change<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.closers += 1;
        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.closers -= 1;
        state
    }
}

/// How many tasks and threads a pool has at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// Tasks that have not ended: pending, running and suspended ones.
    pub tasks: usize,
    /// Tasks that a thread runs, or drops.
    pub running: usize,
    /// Tasks that wait for a thread.
    pub pending: usize,
    /// Tasks that wait to be woken.
    pub suspended: usize,
    /// How many threads there may be.
    pub size: usize,
    /// How many threads there are, idle ones included.
    pub threads: usize,
}

/// How a pool is to be made.
#[derive(Clone, Debug)]
#[must_use = "no pool is made before `build`"]
pub struct Builder {
    name: String,
    stack_size: Option<usize>,
}

impl Default for Builder {
    fn default() -> Self {
        Self { name: "coutil-pool".to_owned(), stack_size: None }
    }
}

impl Builder {
    /// As the system has it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the threads.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// How many bytes of stack a thread has.
    pub fn stack_size(mut self, size: usize) -> Self {
        self.stack_size = Some(size);
        self
    }

    /// Makes a pool of `size` threads, all of which exist when this returns.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started. Then none is left.
    pub fn build(self, size: usize) -> io::Result<Pool> {
        let Self { name, stack_size } = self;
        let inner = Inner {
            state: Mutex::default(),
            news: Apart(AtomicBool::new(false)),
            work: Condvar::new(),
            changed: Condvar::new(),
            name,
            stack_size,
            process: std::process::id(),
        };
        let inner = Arc::new(inner);
        let pool = Pool { handle: Handle { _outside: Arc::new(Outside(Arc::clone(&inner))), inner } };
        if let Err(error) = pool.resize(size, true) {
            pool.close();
            return Err(error);
        }
        Ok(pool)
    }
}

/// Threads that run futures.
///
/// All that a [`Handle`] does, this does. When it is dropped without being [closed](Pool::close), the tasks that there are go
/// on, and the threads end when no task is left. If its size is 0 then, the tasks are dropped with the last [`Handle`].
#[derive(Debug)]
pub struct Pool {
    handle: Handle,
}

impl Pool {
    /// A pool of `size` threads, all of which exist when this returns. See [`Builder`] for more.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started. Then none is left.
    pub fn new(size: usize) -> io::Result<Self> {
        Builder::new().build(size)
    }

    /// Another way to the same pool, which does not keep its threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until there are no tasks or no threads any more, and then ends it all: tasks that are pending (there are no
    /// threads then) are dropped; those that are suspended are in the result. Until then tasks can be added, woken, and the
    /// pool be resized, from elsewhere.
    ///
    /// In a child of fork(2) there are no threads of the pool: there this does nothing, and the tasks are never dropped.
    ///
    /// A task of the pool itself must not call this: it would wait for itself.
    pub fn close(&self) -> Suspended {
        let inner = &self.handle.inner;
        if inner.is_foreign() {
            return Suspended { tasks: Vec::new() };
        }
        let mut state = inner.lock();
        while !(state.tasks.is_empty() || state.threads == 0) {
            state = inner.await_change(state);
        }
        state.size = 0;
        let (pending, suspended) = state.close();
        inner.work.notify_all();
        while state.threads > 0 {
            state = inner.await_change(state);
        }
        let ended = std::mem::take(&mut state.ended);
        drop(state);
        for thread in ended {
            let _ = thread.join();
        }
        for task in pending {
            task.destroy();
        }
        suspended
    }
}

impl Deref for Pool {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.handle.inner.is_foreign() {
            return;
        }
        self.handle.inner.lock().detached = true;
        self.handle.inner.work.notify_all();
    }
}

/// What all handles have: it is dropped with the last of them.
struct Outside(Arc<Inner>);

impl Drop for Outside {
    fn drop(&mut self) {
        if self.0.is_foreign() {
            return;
        }
        let mut state = self.0.lock();
        state.forsaken = true;
        if state.is_over() {
            self.0.end(state);
        }
    }
}

/// A way to a pool.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
    _outside: Arc<Outside>,
}

impl Handle {
    /// Adds a task, behind those that are pending. On a closed pool the future is dropped.
    ///
    /// If no thread is idle and there may be one more, it is started.
    ///
    /// # Errors
    ///
    /// When that thread cannot be started. The task was added all the same.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let future = Box::pin(future);
        let mut state = self.inner.lock();
        if state.closed {
            drop(state);
            drop(future);
            return Ok(());
        }
        let entry = state.tasks.vacant_entry();
        let task = Task::new(Arc::clone(&self.inner), entry.key(), future);
        entry.insert(Arc::clone(&task));
        self.inner.push(&mut state, task);
        self.inner.provide(state)
    }

    /// Changes how many threads there may be. This does not wait.
    ///
    /// Threads in excess end as soon as they have no task, and before they take another. If there may be more than before,
    /// threads are started for the tasks that are pending; with `create`, until there are `size`.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started. The size is the new one, and threads that were started stay.
    pub fn resize(&self, size: usize, create: bool) -> io::Result<()> {
        let mut state = self.inner.lock();
        if state.closed {
            return Ok(());
        }
        let growth = size.saturating_sub(state.size);
        state.size = size;
        let missing = size.saturating_sub(state.threads);
        let needed = state.pending.len().saturating_sub(state.idle());
        let new = if create { missing } else { missing.min(growth).min(needed) };
        for _ in 0..new {
            self.inner.start(&mut state)?;
        }
        if state.threads > size {
            self.inner.work.notify_all();
        }
        Ok(())
    }

    /// How many tasks and threads there are, all at the same moment.
    pub fn count(&self) -> Count {
        let state = self.inner.lock();
        let (tasks, running, pending) = (state.tasks.len(), state.running, state.pending.len());
        Count {
            tasks,
            running,
            pending,
            suspended: tasks - running - pending,
            size: state.size,
            threads: state.threads,
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count().fmt(f)
    }
}
