//! Pools, from outside.

use crate::task::{Stage, Suspended, Task};
use slab::Slab;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub(crate) struct Entry {
    pub(crate) task: Arc<Task>,
    pub(crate) stage: Stage,
}

#[derive(Default)]
pub(crate) struct State {
    /// All tasks that have not ended.
    pub(crate) tasks: Slab<Entry>,
    pub(crate) pending: VecDeque<Arc<Task>>,
    pub(crate) running: usize,
    /// How many threads there may be, how many there are, and how many of those sleep.
    pub(crate) size: usize,
    pub(crate) threads: usize,
    pub(crate) asleep: usize,
    pub(crate) handles: Slab<JoinHandle<()>>,
    /// Threads that have ended since the pool was closed.
    pub(crate) ended: Vec<JoinHandle<()>>,
    /// Nothing runs any more.
    pub(crate) closed: bool,
    /// The [`Pool`] is gone: threads end when there is no task.
    pub(crate) detached: bool,
}

impl State {
    /// How many threads have no task, those included that have just been started, or woken.
    pub(crate) fn idle(&self) -> usize {
        self.threads - self.running
    }
}

pub(crate) struct Inner {
    state: Mutex<State>,
    /// There is something to do, or too many threads.
    pub(crate) work: Condvar,
    /// There may be no tasks or no threads any more.
    pub(crate) changed: Condvar,
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
        let asleep = state.asleep > 0;
        drop(state);
        if asleep {
            self.work.notify_one();
        }
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
            work: Condvar::new(),
            changed: Condvar::new(),
            name,
            stack_size,
            process: std::process::id(),
        };
        let pool = Pool { handle: Handle { inner: Arc::new(inner) } };
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
/// on, and the threads end when no task is left.
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
            state = inner.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.closed = true;
        state.size = 0;
        inner.work.notify_all();
        let pending = std::mem::take(&mut state.pending);
        for task in &pending {
            state.tasks.remove(task.key);
        }
        let suspended =
            Suspended { tasks: state.tasks.iter().map(|(_, entry)| Arc::clone(&entry.task)).collect() };
        while state.threads > 0 {
            state = inner.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
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

/// A way to a pool.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
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
        entry.insert(Entry { task: Arc::clone(&task), stage: Stage::Pending });
        state.pending.push_back(task);
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
