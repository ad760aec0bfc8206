//! What the library keeps for each Lua state.
//!
//! # Safety
//!
//! The [`State`] is a full userdata, anchored in the registry, and upvalue 1 of every function that needs it. It is
//! reached by a raw pointer only; [`StateRef::with`] makes the one borrow, for the length of a closure that calls no
//! Lua, so borrows never overlap. Its finalizer empties it and marks it closed, but its memory stays until Lua frees all
//! objects, after the last finalizer: an entry point that runs later finds the mark.

use crate::raw::{self, Panic, c_int, error, lua_State};
use crate::sync::queues::Queues;
use crate::system::System;
use coutil_event::core::{QueueId, WaiterId};
use coutil_mutex::core::Ownership;
use mlua::ffi;

/// A coroutine, or the main thread, as an identity. It is resumed only while something on the Lua side anchors it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thread(pub(crate) *mut lua_State);

/// What belongs to an event besides those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Event {
    /// Whether the event is a value that is never collected: a string, a number, …
    pub(crate) strong: bool,
    /// Who waits for it, if that is a single one, as a number; see `sync::queues`.
    pub(crate) alone: u64,
    /// How many emissions are taking those out who waited when they began.
    pub(crate) batches: u32,
    /// Who owns the mutex of that value.
    pub(crate) mutex: Ownership<Thread>,
    /// The stored emissions: numbers of the oldest, and of the next one.
    pub(crate) oldest: u32,
    pub(crate) next: u32,
    /// The number of the oldest one whose values are still there. Behind `oldest` for a while after `queued.awaitall`.
    pub(crate) kept: u32,
    /// The last call of `queued.awaitall` that an emission of it serves, and whether that one is in `State::serving`.
    pub(crate) served: u32,
    pub(crate) serving: bool,
}

impl Event {
    /// Whether forgetting the event would lose nothing but those who wait for it. A batch needs its queue to tell where the
    /// anchors of its members are.
    pub(crate) fn is_idle(&self) -> bool {
        !self.mutex.is_locked() && self.oldest == self.next && self.batches == 0
    }
}

/// The waiter that the innermost emission resumed, while its coroutine runs.
///
/// It is kept, with its anchor, until the coroutine suspends or ends: one that waits again at the same place, as most
/// do, is the same waiter again, and costs neither a new entry nor a new anchor.
#[derive(Clone, Copy)]
pub(crate) struct Delivery {
    /// Null from when it waits again.
    pub(crate) thread: *mut lua_State,
    /// As a number: halves that were just written cannot be read as a whole without a delay.
    pub(crate) waiter: u64,
}

impl Delivery {
    /// Nobody was resumed.
    pub(crate) const NONE: Delivery = Delivery { thread: std::ptr::null_mut(), waiter: 0 };
}

/// How many strings have the id of their queue at hand.
const CACHE: usize = 64;

/// See the [module](self).
pub(crate) struct State {
    closed: bool,
    pub(crate) events: Queues,
    pub(crate) delivery: Delivery,
    /// The queues that the waiter in preparation is about to join. Kept for its memory.
    pub(crate) joining: Vec<QueueId>,
    /// The queues of which `queued.awaitall` takes a stored emission when it starts to wait for the other ones.
    pub(crate) serving: Vec<QueueId>,
    /// The waiter in preparation.
    preparing: Option<WaiterId>,
    /// Waiters whose preparation was interrupted by a finalizer that waits too, or stopped by an error; with the queues
    /// that they are about to join.
    interrupted: Vec<(WaiterId, Vec<QueueId>)>,
    /// The waiter that a coroutine is, on versions where it has no stack slot for that.
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    threads: rustc_hash::FxHashMap<*mut lua_State, WaiterId>,
    /// How many values that are never collected have a queue, and how many may before the idle ones are swept out.
    pub(crate) strong: usize,
    pub(crate) strong_limit: usize,
    /// Address of an interned string that has a queue, and so is not collected → the queue. A string that is not found here may
    /// have one as well.
    cache: [(usize, QueueId); CACHE],
    /// A queue that was opened for a home, and is not its queue yet.
    pub(crate) opened: Option<QueueId>,
    /// Counts the calls of `queued.awaitall`.
    pub(crate) call: u32,
    /// Whether the error of a coroutine was reported since the loop looked last.
    pub(crate) failed: bool,
    /// What `coutil.system` has, from the first use on.
    system: Option<Box<System>>,
    /// How deep our resumptions are nested. Lua counts them itself, but for LuaJIT.
    #[cfg(feature = "luajit")]
    pub(crate) depth: u32,
}

impl State {
    /// So many interrupted preparations are kept; the oldest of more have failed, as finalizers do not nest so deep.
    const INTERRUPTED: usize = 16;
    /// So many values without waiters are kept before they are swept out.
    pub(crate) const STRONG_LIMIT: usize = 64;

    fn new() -> Self {
        Self {
            closed: false,
            events: Queues::default(),
            delivery: Delivery::NONE,
            joining: Vec::new(),
            serving: Vec::new(),
            preparing: None,
            interrupted: Vec::new(),
            #[cfg(any(feature = "lua51", feature = "luajit"))]
            threads: Default::default(),
            strong: 0,
            strong_limit: Self::STRONG_LIMIT,
            cache: [(0, QueueId::NONE); CACHE],
            opened: None,
            call: 0,
            failed: false,
            system: None,
            #[cfg(feature = "luajit")]
            depth: 0,
        }
    }

    /// What `coutil.system` has.
    #[inline]
    pub(crate) fn system(&mut self) -> &mut System {
        #[cold]
        fn make(system: &mut Option<Box<System>>) -> &mut System {
            system.insert(Box::new(System::new()))
        }
        match self.system {
            Some(ref mut system) => system,
            None => make(&mut self.system),
        }
    }

    /// Makes a waiter. It counts as being prepared until [`join`](Self::join).
    pub(crate) fn prepare(&mut self, thread: *mut lua_State, all: bool) -> WaiterId {
        let id = self.events.enroll(Thread(thread), all);
        self.begin(id);
        id
    }

    /// The preparation of a waiter begins.
    pub(crate) fn begin(&mut self, waiter: WaiterId) {
        if let Some(other) = self.preparing.take() {
            // An error stopped it; or this is a finalizer in the middle of it, and it goes on afterwards.
            if self.interrupted.len() == Self::INTERRUPTED {
                let (failed, _) = self.interrupted.remove(0);
                // One that was to be used again may be in use.
                if !self.events.is_waiting(failed) && self.delivery.waiter != failed.to_bits() {
                    self.events.remove(failed);
                }
            }
            self.interrupted.push((other, std::mem::take(&mut self.joining)));
        }
        self.joining.clear();
        self.preparing = Some(waiter);
    }

    /// The waiter in preparation joins its queues: from now on it waits.
    pub(crate) fn join(&mut self, waiter: WaiterId) {
        self.started(waiter);
        let mut strong = 0;
        for index in 0..self.joining.len() {
            let queue = self.joining[index];
            if self.events.join(waiter, queue) && self.events.data(queue).is_some_and(|event| event.strong) {
                strong += 1;
            }
        }
        if let Some(waiter) = self.events.get_mut(waiter) {
            waiter.strong = strong;
        }
    }

    /// Takes the stored emissions of the queues in `serving`, or gives them back.
    pub(crate) fn serve(&mut self, take: bool) {
        for index in 0..self.serving.len() {
            if let Some(event) = self.events.data_mut(self.serving[index]) {
                if take && event.oldest == event.next {
                    continue;
                }
                event.oldest = if take { event.oldest.wrapping_add(1) } else { event.oldest.wrapping_sub(1) };
            }
        }
    }

    /// A call of `queued.awaitall` begins; returns its number.
    pub(crate) fn begin_serving(&mut self) -> u32 {
        while let Some(queue) = self.serving.pop() {
            if let Some(event) = self.events.data_mut(queue) {
                event.serving = false;
            }
        }
        self.call = self.call.wrapping_add(1);
        self.call
    }

    /// The waiter whose coroutine runs, if that is this one, and its anchor is at that place.
    #[inline]
    pub(crate) fn delivered(&self, thread: *mut lua_State, queue: QueueId, strong: bool) -> Option<WaiterId> {
        if self.delivery.thread != thread {
            return None;
        }
        let id = WaiterId::from_bits(self.delivery.waiter);
        let waiter = self.events.get(id)?;
        let same = waiter.queue == queue
            || (strong && self.events.data(waiter.queue).is_some_and(|event| event.strong));
        same.then_some(id)
    }

    /// A waiter that was used again turned out to be unable to wait: it is as it was before. False if it is a new one.
    #[cfg_attr(not(feature = "lua52"), allow(dead_code))]
    pub(crate) fn delivered_again(&mut self, thread: *mut lua_State, waiter: WaiterId) -> bool {
        if self.delivery.waiter != waiter.to_bits() {
            return false;
        }
        self.events.leave(waiter);
        if let Some(waiter) = self.events.get_mut(waiter) {
            waiter.strong = 0;
        }
        self.delivery.thread = thread;
        true
    }

    /// The preparation of a waiter is over, if there was one.
    pub(crate) fn started(&mut self, _waiter: WaiterId) {
        let mut _prepared = self.preparing.take_if(|preparing| *preparing == _waiter).is_some();
        if !_prepared && let Some(index) = self.interrupted.iter().rposition(|(other, _)| *other == _waiter) {
            self.joining = self.interrupted.swap_remove(index).1;
            _prepared = true;
        }
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        if _prepared && let Some(waiter) = self.events.get(_waiter) {
            let former = self.threads.insert(waiter.thread.0, _waiter);
            if let Some(former) = former
                && former != _waiter
            {
                self.events.remove(former);
            }
        }
    }

    /// Whether somebody is about to join queues that may look idle.
    pub(crate) fn is_preparing(&self) -> bool {
        let exists = |waiter: WaiterId| self.events.get(waiter).is_some();
        self.preparing.is_some_and(exists) || self.interrupted.iter().any(|(waiter, _)| exists(*waiter))
    }

    /// Ends a waiter.
    #[inline]
    pub(crate) fn forget(&mut self, waiter: WaiterId) {
        let _ended = self.events.remove(waiter);
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        if let Some(ended) = _ended
            && self.threads.get(&ended.thread.0) == Some(&waiter)
        {
            self.threads.remove(&ended.thread.0);
        }
    }

    /// Ends a queue, and those who wait in it.
    pub(crate) fn close_queue(&mut self, queue: QueueId) -> bool {
        while let Some(popped) = self.events.pop(queue) {
            // One that waits for others as well goes on with those.
            if !self.events.is_waiting(popped.waiter) {
                self.forget(popped.waiter);
            }
        }
        self.events.close(queue).is_some()
    }

    /// The waiter that a coroutine is, for versions where it has no stack slot for that.
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    pub(crate) fn waiter_of(&self, thread: *mut lua_State) -> Option<WaiterId> {
        self.threads.get(&thread).copied()
    }

    /// The waiter of that id, if it still waits and is that coroutine.
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    #[inline]
    pub(crate) fn is_waiter(&self, waiter: WaiterId, thread: *mut lua_State) -> bool {
        self.events.get(waiter).is_some_and(|waiter| waiter.thread.0 == thread)
    }

    /// The queue of the string at that address, if it is at hand.
    #[inline]
    pub(crate) fn cached(&self, address: usize) -> Option<QueueId> {
        let (found, queue) = self.cache[Self::line(address)];
        (found == address).then_some(queue)
    }

    /// Keeps the queue of a string at hand. The string is a key of [`field::STRONG`].
    #[inline]
    pub(crate) fn cache(&mut self, address: usize, queue: QueueId) {
        self.cache[Self::line(address)] = (address, queue);
    }

    /// Forgets all that is at hand: strings may be collected from now on.
    pub(crate) fn clear_cache(&mut self) {
        self.cache = [(0, QueueId::NONE); CACHE];
    }

    #[inline]
    fn line(address: usize) -> usize {
        (address >> 4 ^ address >> 10) % CACHE
    }
}

/// The tables and values on the Lua side, as fields of the user value of the [`State`].
pub(crate) mod field {
    use crate::raw::c_int;

    /// Values that are never collected → the id of their queue.
    pub(crate) const STRONG: c_int = 1;
    /// Other values, as weak keys → their `Home`.
    pub(crate) const WEAK: c_int = 2;
    /// Anchors of the queues of values that are never collected; see `sync::place`.
    pub(crate) const ANCHORS: c_int = 3;
    /// Index of a queue → its `Home`, as weak values.
    pub(crate) const HOMES: c_int = 4;
    /// The metatable of `Home`.
    pub(crate) const HOME_META: c_int = 5;
    /// Name → module table, as far as loaded, as weak values: a module that nobody has any more is collected.
    pub(crate) const MODULES: c_int = 6;
    /// The error handler: a function, `"raise"`, or nil for the default.
    pub(crate) const HANDLER: c_int = 7;
    /// Errors that `system.run` is to raise, oldest first.
    pub(crate) const ERRORS: c_int = 8;
    /// Coroutine → its handler (5.1: `spawn` without `xpcall`). Both are weak: the coroutine itself has its handler on its
    /// stack, and may be all that the handler refers to.
    pub(crate) const SPAWNED: c_int = 9;
    /// What anchors the operations of the loop; see `system::wait`.
    pub(crate) const SYSTEM_ANCHORS: c_int = 10;
    /// The metatables of the classes of `coutil.system`; at 0 that of the guards of waits.
    pub(crate) const CLASSES: c_int = 11;
    /// Closed objects that are kept until the loop runs.
    pub(crate) const CLOSED: c_int = 12;
    /// Coroutine → the pass in which somebody else ended its wait, as weak keys.
    pub(crate) const CANCELLED: c_int = 13;
    /// `report::handle` and `write_failure`, as values: on 5.1 and LuaJIT to push a function takes memory.
    pub(crate) const HANDLE: c_int = 14;
    pub(crate) const WRITE_FAILURE: c_int = 15;
    /// `spawn::call_handler`, likewise.
    #[cfg(feature = "lua51")]
    pub(crate) const CALL_HANDLER: c_int = 16;
    /// The await functions of versions without continuations, by module.
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    pub(crate) const AWAITS: c_int = 17;
    /// Strings that are lent to other threads; see `system::file::loan`.
    pub(crate) const LOANS: c_int = 18;
}

static KEY: u8 = 0;

/// A pointer to the [`State`] of the Lua state that is running.
#[derive(Clone, Copy)]
pub(crate) struct StateRef(*mut State);

impl StateRef {
    /// The one of the running function, which has it as upvalue 1. Raises `closed state`.
    #[inline]
    pub(crate) unsafe fn of(L: *mut lua_State) -> Self {
        // SAFETY: upvalue 1 is set to the userdata by whoever made the function; no borrow is live (see the module).
        unsafe {
            let state = ffi::lua_touserdata(L, ffi::lua_upvalueindex(1)).cast::<State>();
            if (*state).closed {
                error::raise_text(L, error::DIRECT, c"closed state");
            }
            Self(state)
        }
    }

    /// The one of the running finalizer. `None` when the state is closed already.
    pub(crate) unsafe fn of_finalizer(L: *mut lua_State) -> Option<Self> {
        // SAFETY: as `of`.
        unsafe {
            let state = ffi::lua_touserdata(L, ffi::lua_upvalueindex(1)).cast::<State>();
            (!(*state).closed).then_some(Self(state))
        }
    }

    /// The one of a Lua state in which the library may not be in use. [-0, +1 while it runs] Raises for memory.
    pub(crate) unsafe fn find(L: *mut lua_State) -> Option<Self> {
        // SAFETY: as `of`.
        unsafe {
            push(L);
            let state = ffi::lua_touserdata(L, -1).cast::<State>();
            ffi::lua_pop(L, 1);
            (!(*state).closed).then_some(Self(state))
        }
    }

    /// Whether that is the address of the state.
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    pub(crate) fn is_at(self, address: *mut std::ffi::c_void) -> bool {
        self.0.cast() == address
    }

    /// The *do* phase on the state: `f` calls no Lua. A panic is raised as a Lua error.
    #[inline]
    pub(crate) unsafe fn with<R: Copy>(self, L: *mut lua_State, f: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: the pointer is valid as long as the Lua state; `f` calls no Lua, so this is the only borrow.
        unsafe { raw::run(L, || f(&mut *self.0)) }
    }

    /// As [`with`](Self::with), for what cannot panic: reads and writes of fields.
    #[inline]
    pub(crate) unsafe fn touch<R>(self, f: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: as `with`.
        unsafe { f(&mut *self.0) }
    }

    /// As [`with`](Self::with), where nothing may raise.
    pub(crate) unsafe fn try_with<R>(self, f: impl FnOnce(&mut State) -> R) -> Result<R, Panic> {
        // SAFETY: as `with`.
        raw::guard(|| f(unsafe { &mut *self.0 }))
    }
}

/// Pushes the userdata of the state, made at the first call. [-0, +1] Raises for memory.
pub(crate) unsafe fn push(L: *mut lua_State) {
    // SAFETY: the registry entry is ours alone, as its key is an address of ours.
    unsafe {
        if ffi::lua_rawgetp(L, ffi::LUA_REGISTRYINDEX, (&raw const KEY).cast()) == ffi::LUA_TUSERDATA {
            return;
        }
        ffi::lua_pop(L, 1);
        let memory = ffi::lua_newuserdata(L, size_of::<State>()).cast::<State>();
        memory.write(State::new());
        let index = ffi::lua_gettop(L);

        ffi::lua_createtable(L, field::WRITE_FAILURE, 0);
        for (field, mode) in [
            (field::STRONG, c""),
            (field::WEAK, c"k"),
            (field::ANCHORS, c""),
            (field::HOMES, c"v"),
            (field::MODULES, c"v"),
            (field::ERRORS, c""),
            (field::SPAWNED, c"kv"),
            (field::SYSTEM_ANCHORS, c""),
            (field::CLASSES, c""),
            (field::CLOSED, c""),
            (field::CANCELLED, c"k"),
            (field::LOANS, c""),
        ] {
            ffi::lua_createtable(L, 0, 0);
            if !mode.is_empty() {
                ffi::lua_createtable(L, 0, 1);
                ffi::lua_pushstring(L, mode.as_ptr());
                ffi::lua_setfield(L, -2, c"__mode".as_ptr());
                ffi::lua_setmetatable(L, -2);
            }
            ffi::lua_rawseti(L, -2, field.into());
        }
        ffi::lua_createtable(L, 0, 1);
        ffi::lua_pushvalue(L, index);
        ffi::lua_pushcclosure(L, crate::sync::place::collect, 1);
        ffi::lua_setfield(L, -2, c"__gc".as_ptr());
        ffi::lua_rawseti(L, -2, field::HOME_META.into());
        ffi::lua_pushcfunction(L, crate::report::handle);
        ffi::lua_rawseti(L, -2, field::HANDLE.into());
        ffi::lua_pushcfunction(L, crate::report::write_failure);
        ffi::lua_rawseti(L, -2, field::WRITE_FAILURE.into());
        #[cfg(feature = "lua51")]
        {
            ffi::lua_pushcfunction(L, crate::spawn::call_handler);
            ffi::lua_rawseti(L, -2, field::CALL_HANDLER.into());
        }
        ffi::lua_setuservalue(L, index);

        ffi::lua_createtable(L, 0, 1);
        ffi::lua_pushvalue(L, index);
        ffi::lua_pushcclosure(L, close, 1);
        ffi::lua_setfield(L, -2, c"__gc".as_ptr());
        ffi::lua_setmetatable(L, index);

        ffi::lua_pushvalue(L, index);
        ffi::lua_rawsetp(L, ffi::LUA_REGISTRYINDEX, (&raw const KEY).cast());
    }
}

/// Pushes one of the values of [`field`]. [-0, +1] Raises only when the state was never made.
pub(crate) unsafe fn push_field(L: *mut lua_State, field: c_int) {
    // SAFETY: the user value is the table that `push` made.
    unsafe {
        push(L);
        ffi::lua_getuservalue(L, -1);
        ffi::lua_rawgeti(L, -1, field.into());
        ffi::lua_replace(L, -3);
        ffi::lua_pop(L, 1);
    }
}

/// Sets one of the values of [`field`] to the one on the top. [-1, +0] Raises for memory.
pub(crate) unsafe fn set_field(L: *mut lua_State, field: c_int) {
    // SAFETY: as `push_field`.
    unsafe {
        push(L);
        ffi::lua_getuservalue(L, -1);
        ffi::lua_pushvalue(L, -3);
        ffi::lua_rawseti(L, -2, field.into());
        ffi::lua_pop(L, 3);
    }
}

/// `__gc` of the state: frees what it holds, resumes nothing.
unsafe extern "C-unwind" fn close(L: *mut lua_State) -> c_int {
    // SAFETY: nothing else runs on this state; what is left behind is a valid, empty state.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L) {
            // What it held is dropped when it is closed already: destructors of futures may do anything.
            let held = state.touch(|state| std::mem::replace(state, State { closed: true, ..State::new() }));
            let _ = raw::guard(|| drop(held));
        }
    }
    0
}
