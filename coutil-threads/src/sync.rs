//! What threads meet in: the standard library's; with `--cfg loom` that of loom, whose models (tests/loom.rs) go through all orders
//! in which threads may meet. `Arc` is always the standard one, as `std::task::Wake` needs it.

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    sync::{Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
};
#[cfg(not(loom))]
pub(crate) use std::{
    panic::catch_unwind,
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    sync::{Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
};

/// In a model a panic is a model that fails, not one of a task.
#[cfg(loom)]
pub(crate) fn catch_unwind<T>(function: impl FnOnce() -> T) -> std::thread::Result<T> {
    Ok(function())
}
