//! What related states share, and what an independent state knows of where it comes from.

use super::STACK;
use super::independent::Independent;
use super::transfer::Transfer;
use super::warning::Warnings;
use crate::raw::{guard, lua_State};
use crate::state::{State, StateRef};
use coutil_threads::{Handle, Suspended};
use mlua::ffi;
use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub(crate) type Name = Box<[u8]>;
pub(crate) type Channel = coutil_channel::Channel<Name, Transfer>;
pub(crate) type Channels = coutil_channel::Channels<Name, Transfer>;
pub(crate) type Exchange = coutil_channel::Exchange<Name, Transfer>;

/// One for a root state and all its descendants (20 §1.11).
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) channels: Channels,
    /// Tasks that wait on channels, of pools that were closed (20 §7.8.4).
    left: Mutex<Vec<Suspended>>,
    /// Threads that end states, see [`Independent::end`]; with the process that they are of.
    ending: Mutex<Vec<(u32, JoinHandle<()>)>>,
    /// States for which there was no such thread.
    stuck: Mutex<Vec<Independent>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Keeps what a pool left when it was closed.
    pub(crate) fn keep(&self, suspended: Suspended) {
        if !suspended.is_empty() {
            let mut left = lock(&self.left);
            // To drop one whose tasks have ended runs nothing.
            left.retain(|other| !other.is_empty());
            left.push(suspended);
        }
    }

    /// Closes a state on a thread of its own.
    pub(crate) fn end_apart(&self, state: Independent) {
        let state = Arc::new(Mutex::new(Some(state)));
        let its = Arc::clone(&state);
        let thread =
            std::thread::Builder::new().name("coutil-end".to_owned()).stack_size(STACK).spawn(move || {
                let state = lock(&its).take();
                let _ = guard(|| drop(state));
            });
        match thread {
            Ok(thread) => {
                let mut ending = lock(&self.ending);
                ending.retain(|(_, thread)| !thread.is_finished());
                ending.push((std::process::id(), thread));
            }
            Err(_) => lock(&self.stuck).extend(lock(&state).take()),
        }
    }

    /// The root state ends: so do the tasks that still wait (20 §1.14.6).
    pub(crate) fn end(&self) {
        loop {
            // One that ends may leave others.
            let left = std::mem::take(&mut *lock(&self.left));
            let ending = std::mem::take(&mut *lock(&self.ending));
            let stuck = std::mem::take(&mut *lock(&self.stuck));
            if left.is_empty() && ending.is_empty() && stuck.is_empty() {
                break;
            }
            drop((left, stuck));
            for (process, thread) in ending {
                // In a child of a fork there is no such thread.
                if process == std::process::id() {
                    let _ = thread.join();
                }
            }
        }
        self.channels.forget();
    }
}

/// What an independent state has. It is in the registry as a pointer, and lives longer than the state.
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) warnings: Warnings,
    /// The pool whose task it is.
    pub(crate) pool: Option<Handle>,
    /// The thread of the chunk of a task.
    pub(crate) chunk: *mut lua_State,
    /// `system.run` yielded the chunk (20 §8.9).
    pub(crate) idle: Cell<bool>,
    /// It has made a pool or a state coroutine.
    pub(crate) owns: Cell<bool>,
}

static KEY: u8 = 0;

impl Context {
    /// Makes it that of a new state. [-0, +0] Raises for memory.
    pub(crate) unsafe fn set(L: *mut lua_State, context: *const Self) {
        // SAFETY: the key is ours alone.
        unsafe {
            ffi::lua_pushlightuserdata(L, context.cast_mut().cast());
            ffi::lua_rawsetp(L, ffi::LUA_REGISTRYINDEX, (&raw const KEY).cast());
        }
    }

    /// That of the state, if it is independent. [-0, +0]
    pub(crate) unsafe fn of<'a>(L: *mut lua_State) -> Option<&'a Self> {
        // SAFETY: as `set`. It lives as long as the state, which runs; only one thread at a time does that.
        unsafe {
            ffi::lua_rawgetp(L, ffi::LUA_REGISTRYINDEX, (&raw const KEY).cast());
            let context = ffi::lua_touserdata(L, -1).cast::<Self>();
            ffi::lua_pop(L, 1);
            context.as_ref()
        }
    }

    /// The state makes a pool or a state coroutine. [-0, +0]
    pub(crate) unsafe fn owns(L: *mut lua_State) {
        // SAFETY: as `of`.
        if let Some(context) = unsafe { Self::of(L) } {
            context.owns.set(true);
        }
    }
}

/// What the state shares with its relatives. The first state that needs it, of those that are not independent, is the root.
pub(crate) unsafe fn shared(L: *mut lua_State, state: StateRef) -> Arc<Shared> {
    // SAFETY: no Lua is called while the state is borrowed.
    unsafe {
        let inherited = Context::of(L).map(|context| Arc::clone(&context.shared));
        state.touch(|state: &mut State| {
            let system = state.system();
            system.leave_relatives();
            let related = &mut system.related;
            if related.shared.is_none() {
                let inherited = inherited.filter(|_| !related.left);
                related.is_root = inherited.is_none();
                related.shared = Some(inherited.unwrap_or_default());
            }
            related.shared.clone().unwrap_or_default()
        })
    }
}
