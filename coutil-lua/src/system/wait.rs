//! Awaiting an operation of the loop.
//!
//! While a coroutine waits it is anchored, with the object and the buffer that it waits for, in a table: four places for
//! each index of an operation, [`THREAD`] and so on. The frame of the await function is not relied upon, as a host may
//! clear it.
//!
//! Places are filled in ahead of the operation, as a table that grows may run finalizers; from then on until the coroutine
//! suspends nothing is allocated.

use super::task::{Left, Running};
use super::{Delivering, System, Waiter, What, upvalue};
use crate::raw::{c_int, error, guard, lua_State};
use crate::state::{self, StateRef, field};
use crate::suspend::{self, Await};
use coutil_system::core::OpId;
use coutil_system::{Error, Result};
use mlua::ffi;
use std::ffi::{CStr, c_void};

const PLACES: usize = 4;
const THREAD: usize = 1;
const OBJECT: usize = 2;
const BUFFER: usize = 3;
#[cfg(any(feature = "lua54", feature = "lua55"))]
const GUARD: usize = 4;

/// What an operation keeps besides its coroutine.
const VALUES: [usize; 2] = [OBJECT, BUFFER];

/// Where the address of a datagram read is kept, which few operations have.
fn extra_key(index: usize) -> ffi::lua_Integer {
    -(index as ffi::lua_Integer) - 1
}

fn key(index: usize, place: usize) -> ffi::lua_Integer {
    (index * PLACES + place) as ffi::lua_Integer
}

/// What is known of the table of anchors.
#[derive(Default)]
pub(crate) struct Anchors {
    /// How many operations have their places.
    room: usize,
    /// The addresses of [`VALUES`], of each.
    values: Vec<[*const c_void; VALUES.len()]>,
    /// The guard of each, see [`push_guard`].
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    guards: Vec<*mut u64>,
}

/// How an await function suspends.
pub(crate) struct Operation {
    pub(crate) what: What,
    /// Stack indices of the object, the buffer and an address that are kept while it waits; 0 for none.
    pub(crate) object: c_int,
    pub(crate) buffer: c_int,
    pub(crate) extra: c_int,
}

impl Operation {
    /// One that keeps nothing.
    pub(crate) const fn new(what: What) -> Self {
        Self { what, object: 0, buffer: 0, extra: 0 }
    }

    /// One on the object at that index.
    pub(crate) const fn on(object: c_int, what: What) -> Self {
        Self { what, object, buffer: 0, extra: 0 }
    }
}

impl What {
    /// Whether it ends when the coroutine is closed, by a to-be-closed value: what may last. The rest is visited soon, and then
    /// it is looked whether its coroutine still waits.
    const fn is_guarded(self) -> bool {
        matches!(
            self,
            Self::Sleep
                | Self::Read { .. }
                | Self::Accept { .. }
                | Self::Future
                | Self::Fill { .. }
                | Self::Signal(_)
                | Self::Child(_)
                | Self::Ended(_)
                | Self::Channel { .. }
                | Self::Resume { .. }
        )
    }
}

/// Awaits of the loop.
pub(crate) struct OnLoop;

impl Await for OnLoop {
    #[inline]
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: as the callee.
        unsafe { resumed::<Self>(L, token, base) }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: as the callee.
        unsafe {
            let (state, op) = (StateRef::of(L), OpId::from_bits(token));
            #[cfg(feature = "lua52")]
            state.touch(|state| state.system().kill(op));
            cancel(L, state, op);
        }
    }
}

#[inline]
unsafe fn resumed<A: Await>(L: *mut lua_State, token: u64, base: c_int) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        let state = StateRef::of(L);
        let Delivering { thread, op } = state.touch(|state| state.system().delivering);
        if thread != L {
            withdraw(L, state, token);
        }
        // Meant for what the coroutine was before its host reset it.
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        if thread == L && op.to_bits() != token {
            ffi::lua_settop(L, (base - 1).max(0));
            return suspend::suspend::<A>(L, token, || {});
        }
        let _ = op;
        ffi::lua_gettop(L) - base
    }
}

/// As [`OnLoop`], of functions that raise their failures; see [`push_raised`].
pub(crate) struct OnLoopRaising;

impl Await for OnLoopRaising {
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: as the callees.
        unsafe {
            let count = resumed::<Self>(L, token, base);
            raise_marked(L, count)
        }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: as the callee.
        unsafe { OnLoop::impossible(L, token) }
    }
}

/// By the addresses of these results are known that mean something to the library.
static RAISED: u8 = 0;
#[cfg(any(feature = "lua51", feature = "luajit"))]
static NOTHING: u8 = 0;

/// Pushes the results of a failure that the await function raises. [-0, +2] Raises for memory.
pub(crate) unsafe fn push_raised(L: *mut lua_State, error: Error) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        ffi::lua_pushlightuserdata(L, (&raw const RAISED).cast_mut().cast());
        super::push_message(L, error);
        2
    }
}

/// As [`push_raised`], of a text. [-0, +2] Raises for memory.
pub(crate) unsafe fn push_raised_text(L: *mut lua_State, text: &CStr) -> c_int {
    // SAFETY: two slots are free.
    unsafe {
        ffi::lua_pushlightuserdata(L, (&raw const RAISED).cast_mut().cast());
        ffi::lua_pushstring(L, text.as_ptr());
        2
    }
}

/// The number of the results on the top; raises if they are those of [`push_raised`].
pub(crate) unsafe fn raise_marked(L: *mut lua_State, count: c_int) -> c_int {
    // SAFETY: so many values are there.
    unsafe {
        if count == 2 && ffi::lua_touserdata(L, -2).cast_const() == (&raw const RAISED).cast() {
            error::raise(L, error::AWAIT);
        }
        count
    }
}

/// No results, at once: where a Lua function is around the await function it takes nothing for a suspension, so there it is
/// told by a mark. [-0, +some]
pub(crate) unsafe fn push_nothing(_L: *mut lua_State) -> c_int {
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    // SAFETY: as the callee.
    unsafe {
        push_nothing_mark(_L);
        1
    }
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    0
}

/// Pushes that mark. [-0, +1]
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe fn push_nothing_mark(L: *mut lua_State) {
    // SAFETY: pushes a pointer.
    unsafe { ffi::lua_pushlightuserdata(L, (&raw const NOTHING).cast_mut().cast()) }
}

/// Pushes the buffer of an operation, called by `run`. [-0, +1]
pub(super) unsafe fn push_buffer(L: *mut lua_State, op: OpId) {
    // SAFETY: the table is ours alone.
    unsafe {
        ffi::lua_rawgeti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(op.index(), BUFFER));
    }
}

/// Ends a wait of the running coroutine, if the loop has not done so: somebody else resumed it.
#[inline]
unsafe fn withdraw(L: *mut lua_State, state: StateRef, token: u64) {
    // SAFETY: any number is fine as a token: what it finds has to be an operation of this very coroutine.
    unsafe {
        let found = state.touch(|state| {
            let system = state.system();
            #[cfg(any(feature = "lua51", feature = "luajit"))]
            let op = system.threads.get(&L).copied();
            #[cfg(not(any(feature = "lua51", feature = "luajit")))]
            let op = Some(OpId::from_bits(token));
            op.filter(|op| system.core.waiter(*op).is_some_and(|waiter| waiter.thread == L))
        });
        let _ = token;
        if let Some(op) = found {
            // First, whatever raises after it: then the anchors go with the next operation that has its places.
            let goes_on = forget(L, state, op);
            ffi::luaL_checkstack(L, 8, std::ptr::null());
            if goes_on {
                release_thread(L, op.index());
            } else {
                release(L, state, op.index());
            }
            mark_cancelled(L, state);
        }
    }
}

/// Remembers that the wait of the running coroutine was ended by somebody else, until the pass ends: its next suspension
/// without delay starts then (30 A6). [-0, +0] Raises for memory.
unsafe fn mark_cancelled(L: *mut lua_State, state: StateRef) {
    // SAFETY: a table with weak keys, so that no other coroutine is taken for this one.
    unsafe {
        let pass = state.touch(|state| {
            let system = state.system();
            system.cancelled = system.pass();
            system.cancelled
        });
        state::push_field(L, field::CANCELLED);
        ffi::lua_pushthread(L);
        ffi::lua_pushnumber(L, pass as ffi::lua_Number);
        ffi::lua_rawset(L, -3);
        ffi::lua_pop(L, 1);
    }
}

/// Whether that happened to the running coroutine in this pass, or before the first one. [-0, +0]
#[inline]
pub(crate) unsafe fn is_cancelled(L: *mut lua_State, state: StateRef) -> bool {
    // SAFETY: as `mark_cancelled`.
    unsafe {
        let pass = state.touch(|state| {
            let system = state.system();
            (system.cancelled == system.pass()).then_some(system.cancelled)
        });
        let Some(pass) = pass else { return false };
        state::push_field(L, field::CANCELLED);
        ffi::lua_pushthread(L);
        ffi::lua_rawget(L, -2);
        let cancelled = ffi::lua_tonumber(L, -1) == pass as ffi::lua_Number;
        ffi::lua_pop(L, 2);
        cancelled
    }
}

/// Ends an operation, and lets its anchors go. [-0, +0] Needs a slot.
pub(crate) unsafe fn cancel(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: the coroutine runs, is closed or is anchored by the caller.
    unsafe {
        if forget(L, state, op) {
            release_thread(L, op.index());
        } else {
            release(L, state, op.index());
        }
    }
}

/// Lets go the coroutine of an operation that goes on without it. [-0, +0] Never raises.
unsafe fn release_thread(L: *mut lua_State, index: usize) {
    // SAFETY: as `release`.
    unsafe {
        ffi::lua_pushboolean(L, 0);
        ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(index, THREAD));
    }
}

/// Ends an operation. True if it goes on without its coroutine. [-0, +0]
unsafe fn forget(L: *mut lua_State, state: StateRef, op: OpId) -> bool {
    // SAFETY: nothing is live.
    unsafe {
        let forgotten = state.try_with(|state| {
            let system = state.system();
            let left = system.forget(op);
            (left, system.core.waiter(op).is_some())
        });
        let (left, goes_on) = match forgotten {
            Ok(forgotten) => forgotten,
            Err(panic) => panic.raise(L),
        };
        // Not under the borrow: it may hold anything.
        let _ = guard(|| drop(left));
        goes_on
    }
}

impl System {
    /// Ends an operation. What is left of its task is to be dropped.
    pub(crate) fn forget(&mut self, op: OpId) -> Option<Left> {
        let waiter = self.core.waiter(op).copied()?;
        match (waiter.what, self.tasks.running(op)) {
            // A run that has begun cannot be stopped, and its owner waits for its end (20 §4.10).
            (What::Resume { .. }, Some(Running::Run(run))) => {
                run.withdraw();
                #[cfg(any(feature = "lua51", feature = "luajit"))]
                self.ended(waiter.thread, op);
                if let Some(waiter) = self.core.waiter_mut(op) {
                    waiter.thread = std::ptr::null_mut();
                }
                return Some(Left::NOTHING);
            }
            (What::Channel { object }, Some(Running::Exchange(exchange))) if !exchange.is_waiting() => {
                crate::threads::channel::linger(self, object, waiter.thread);
            }
            (What::Channel { object }, None | Some(Running::Values(_))) if !self.core.is_held(op) => {
                crate::threads::channel::linger(self, object, waiter.thread);
            }
            _ => {}
        }
        let left = self.tasks.take(op);
        if let What::Child(child) = waiter.what {
            // Also one that it did not begin to wait for.
            self.core.abandon_child(child);
        }
        if !self.core.is_foreign() {
            self.files.loans.give_up(op);
        }
        self.core.cancel_as(op, Some(waiter.thread as usize));
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        self.ended(waiter.thread, op);
        Some(left)
    }

    /// Whoever was about to wait for a process cannot: it ends at once, as there is no way to have it not started (90 §4.12).
    #[cfg(any(feature = "lua51", feature = "lua52"))]
    fn kill(&mut self, op: OpId) {
        if let Some(Waiter { what: What::Child(child), .. }) = self.core.waiter(op) {
            let child = *child;
            if let Some(pid) = self.core.child_pid(child) {
                let _ = coutil_system::process::kill(pid, libc::SIGKILL);
            }
            self.core.abandon_child(child);
        }
    }

    /// Forgets the address that a datagram read has, if it has one.
    #[inline]
    pub(crate) fn takes_sender(&mut self, index: usize) -> bool {
        !self.senders.is_empty() && self.senders.remove(&index).is_some()
    }

    /// Ends an operation that was delivered, unless it was started again.
    #[inline]
    pub(crate) fn settle(&mut self, op: OpId) -> bool {
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        let thread = self.core.waiter(op).map(|waiter| waiter.thread);
        let ended = self.core.settle(op);
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        if ended && let Some(thread) = thread {
            self.ended(thread, op);
        }
        ended
    }

    #[cfg(any(feature = "lua51", feature = "luajit"))]
    fn ended(&mut self, thread: *mut lua_State, op: OpId) {
        if self.threads.get(&thread) == Some(&op) {
            self.threads.remove(&thread);
        }
    }
}

/// Lets go what was kept for an operation that has ended. [-0, +0] Never raises.
#[inline]
pub(crate) unsafe fn release(L: *mut lua_State, state: StateRef, index: usize) {
    // SAFETY: the places exist, so nothing is allocated.
    unsafe {
        let anchors = ffi::lua_upvalueindex(upvalue::ANCHORS);
        if state.touch(|state| state.system().anchors.room <= index) {
            return;
        }
        let values = state.touch(|state| {
            let values = state.system().anchors.values.get_mut(index);
            values.map(|values| std::mem::replace(values, [std::ptr::null(); VALUES.len()]))
        });
        ffi::lua_pushboolean(L, 0);
        ffi::lua_rawseti(L, anchors, key(index, THREAD));
        if state.touch(|state| state.system().takes_sender(index)) {
            ffi::lua_pushnil(L);
            ffi::lua_rawseti(L, anchors, extra_key(index));
        }
        for (place, value) in VALUES.into_iter().zip(values.unwrap_or([std::ptr::null(); VALUES.len()])) {
            if !value.is_null() {
                ffi::lua_pushboolean(L, 0);
                ffi::lua_rawseti(L, anchors, key(index, place));
            }
        }
    }
}

/// Makes places for the next operation. [-0, +0] Raises for memory. May run finalizers.
#[cold]
unsafe fn make_room(L: *mut lua_State, state: StateRef, guarded: bool) {
    // SAFETY: the table is ours alone.
    unsafe {
        let anchors = ffi::lua_upvalueindex(upvalue::ANCHORS);
        loop {
            let room = state.touch(|state| {
                let system = state.system();
                (system.anchors.room <= system.core.next_index()).then_some(system.anchors.room)
            });
            if let Some(room) = room {
                let new = (room * 2).max(16);
                for key in key(room, THREAD)..=key(new - 1, PLACES) {
                    ffi::lua_pushboolean(L, 0);
                    ffi::lua_rawseti(L, anchors, key);
                }
                state.with(L, |state| {
                    let anchors = &mut state.system().anchors;
                    anchors.room = anchors.room.max(new);
                    anchors.values.resize(anchors.room, [std::ptr::null(); VALUES.len()]);
                    #[cfg(any(feature = "lua54", feature = "lua55"))]
                    anchors.guards.resize(anchors.room, std::ptr::null_mut());
                });
                continue;
            }
            if guarded && needs_guard(L, state, anchors) {
                continue;
            }
            return;
        }
    }
}

/// Whether the next operation had no guard; it has one now.
#[cfg(any(feature = "lua54", feature = "lua55"))]
unsafe fn needs_guard(L: *mut lua_State, state: StateRef, anchors: c_int) -> bool {
    // SAFETY: a guard is a userdata that lives as long as the table.
    unsafe {
        let index = state.touch(|state| state.system().core.next_index());
        if state.touch(|state| !state.system().anchors.guards[index].is_null()) {
            return false;
        }
        let guard = ffi::lua_newuserdatauv(L, size_of::<u64>(), 0).cast::<u64>();
        guard.write(OpId::NONE.to_bits());
        state::push_field(L, field::CLASSES);
        ffi::lua_rawgeti(L, -1, 0);
        ffi::lua_setmetatable(L, -3);
        ffi::lua_pop(L, 1);
        ffi::lua_rawseti(L, anchors, key(index, GUARD));
        state.touch(|state| state.system().anchors.guards[index] = guard);
        true
    }
}

#[cfg(not(any(feature = "lua54", feature = "lua55")))]
unsafe fn needs_guard(_: *mut lua_State, _: StateRef, _: c_int) -> bool {
    false
}

/// Pushes the guard of an operation, a to-be-closed value: when the coroutine is closed, its wait is cancelled at once.
/// [-0, +1]
#[cfg(any(feature = "lua54", feature = "lua55"))]
unsafe fn push_guard(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: the guard was made, and is a userdata with `__close`.
    unsafe {
        let guard = state.touch(|state| state.system().anchors.guards[op.index()]);
        guard.write(op.to_bits());
        ffi::lua_rawgeti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(op.index(), GUARD));
        ffi::lua_toclose(L, -1);
    }
}

/// `__close` of a guard.
#[cfg(any(feature = "lua54", feature = "lua55"))]
pub(crate) unsafe extern "C-unwind" fn close_guard(L: *mut lua_State) -> c_int {
    // SAFETY: only a full userdata of its size is looked into. The operation that it names has to be one of this
    // coroutine that still waits.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L)
            && ffi::lua_type(L, 1) == ffi::LUA_TUSERDATA
            && ffi::lua_rawlen(L, 1) == size_of::<u64>()
        {
            let op = OpId::from_bits(ffi::lua_touserdata(L, 1).cast::<u64>().read());
            // One that is held, and not because it is delivered, was about to be started when an error came in between.
            let waits = state.touch(|state| {
                let system = state.system();
                system.core.waiter(op).is_some_and(|waiter| waiter.thread == L)
                    && (!system.core.is_held(op) || system.delivering.op != op)
            });
            if waits {
                cancel(L, state, op);
            }
        }
    }
    0
}

/// Ends an operation that was about to be started when it turned out that its coroutine cannot yield: nobody waits for it. On
/// the other versions nothing comes in between, or [`close_guard`] or [`Await::impossible`] end it. [-0, +0] Never raises.
#[cfg(feature = "lua51")]
pub(crate) unsafe fn drop_orphan(L: *mut lua_State, state: StateRef) {
    // SAFETY: as the callees.
    unsafe {
        let orphan = state.touch(|state| std::mem::replace(&mut state.system().preparing, OpId::NONE));
        state.touch(|state| state.system().kill(orphan));
        if orphan != OpId::NONE && state.touch(|state| state.system().settle(orphan)) {
            let left = state.touch(|state| state.system().tasks.take(orphan));
            let _ = guard(|| drop(left));
            release(L, state, orphan.index());
        }
    }
}

/// As [`drop_orphan`] of 5.1: a coroutine that dies in between, as by the error of a hook, has its guard closed only when somebody
/// closes it. Those that are about to start are told from it by their status. [-0, +0] Never raises.
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[inline]
pub(crate) unsafe fn drop_orphans(L: *mut lua_State, state: StateRef) {
    // SAFETY: the coroutine of an operation is anchored.
    unsafe {
        while let Some(op) = state.touch(|state| {
            let system = state.system();
            let op = *system.prepared.last()?;
            // One that is closed has ended its operation.
            let dead = system
                .core
                .waiter(op)
                .is_none_or(|waiter| !matches!(ffi::lua_status(waiter.thread), ffi::LUA_OK | ffi::LUA_YIELD));
            if dead { system.prepared.pop() } else { None }
        }) {
            if state.touch(|state| state.system().core.waiter(op).is_some()) {
                cancel(L, state, op);
            }
        }
    }
}

/// Takes an operation for the running coroutine: the one that is being delivered to it, or a new one. It is held. Raises for
/// memory.
#[inline]
unsafe fn take(L: *mut lua_State, state: StateRef, operation: &Operation) -> OpId {
    // SAFETY: from `hold` on nothing is allocated.
    unsafe {
        let waiter = Waiter { thread: L, what: operation.what };
        let again = state.touch(|state| {
            let system = state.system();
            let Delivering { thread, op } = system.delivering;
            #[cfg(any(feature = "lua54", feature = "lua55"))]
            if operation.what.is_guarded() && thread == L && system.anchors.guards[op.index()].is_null() {
                // It began without one.
                return None;
            }
            if thread != L || !system.core.is_held(op) {
                return None;
            }
            if let Some(old) = system.core.waiter_mut(op) {
                *old = waiter;
            }
            Some(op)
        });
        let op = match again {
            Some(op) => op,
            None => {
                #[cfg(feature = "lua51")]
                drop_orphan(L, state);
                #[cfg(any(feature = "lua54", feature = "lua55"))]
                drop_orphans(L, state);
                let ready = state.touch(|state| {
                    let system = state.system();
                    let index = system.core.next_index();
                    #[cfg(any(feature = "lua54", feature = "lua55"))]
                    let guarded = !operation.what.is_guarded()
                        || system.anchors.guards.get(index).is_some_and(|guard| !guard.is_null());
                    #[cfg(not(any(feature = "lua54", feature = "lua55")))]
                    let guarded = true;
                    index < system.anchors.room && guarded
                });
                if !ready {
                    make_room(L, state, operation.what.is_guarded());
                }
                if operation.extra != 0 {
                    // The only one that may raise for memory.
                    let index = state.touch(|state| state.system().core.next_index());
                    ffi::lua_pushvalue(L, operation.extra);
                    ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), extra_key(index));
                }
                let op = state.with(L, |state| {
                    let system = state.system();
                    let op = system.core.hold(waiter);
                    #[cfg(feature = "lua51")]
                    {
                        system.preparing = op;
                    }
                    #[cfg(any(feature = "lua54", feature = "lua55"))]
                    if operation.what.is_guarded() {
                        system.prepared.push(op);
                    }
                    op
                });
                ffi::lua_pushthread(L);
                ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(op.index(), THREAD));
                op
            }
        };
        let indices = [operation.object, operation.buffer];
        let values = indices.map(|index| match index {
            0 => std::ptr::null(),
            index => ffi::lua_topointer(L, index),
        });
        let old = state.touch(|state| {
            let kept = state.system().anchors.values.get_mut(op.index());
            kept.map_or(values, |kept| std::mem::replace(kept, values))
        });
        for (at, place) in VALUES.into_iter().enumerate() {
            if old[at] != values[at] {
                match indices[at] {
                    0 => ffi::lua_pushboolean(L, 0),
                    index => ffi::lua_pushvalue(L, index),
                }
                ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(op.index(), place));
            }
        }
        if operation.extra != 0 {
            let address = ffi::lua_touserdata(L, operation.extra).cast();
            ffi::lua_pushvalue(L, operation.extra);
            ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), extra_key(op.index()));
            state.with(L, |state| {
                state.system().senders.insert(op.index(), address);
            });
        } else if state.touch(|state| state.system().takes_sender(op.index())) {
            ffi::lua_pushnil(L);
            ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), extra_key(op.index()));
        }
        op
    }
}

/// Suspends the running coroutine, which can yield, until the operation ends that `start` starts. `start` calls no Lua, and
/// does not panic; what it fails with the coroutine gets from the loop.
#[inline]
pub(crate) unsafe fn suspend(
    L: *mut lua_State,
    state: StateRef,
    operation: Operation,
    start: impl FnOnce(&mut System, OpId) -> Result<()>,
) -> c_int {
    // SAFETY: as the callee.
    unsafe { suspend_as::<OnLoop>(L, state, operation, start) }
}

/// As [`suspend`], with another end.
#[inline]
pub(crate) unsafe fn suspend_as<A: Await>(
    L: *mut lua_State,
    state: StateRef,
    operation: Operation,
    start: impl FnOnce(&mut System, OpId) -> Result<()>,
) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let op = take(L, state, &operation);
        suspend_prepared::<A>(L, state, op, operation.what.is_guarded(), start)
    }
}

/// The first half of [`suspend`]: an operation that is held. What follows calls no Lua, and ends with
/// [`suspend_prepared`] or [`give_up`]. Raises for memory.
pub(crate) unsafe fn prepare(L: *mut lua_State, state: StateRef, operation: &Operation) -> OpId {
    // SAFETY: as the callee.
    unsafe { take(L, state, operation) }
}

/// Ends an operation that was prepared, and is not needed. [-0, +0] Never raises.
pub(crate) unsafe fn give_up(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: as the callees. One that is delivered to this coroutine stays, as it was.
    unsafe {
        #[cfg(feature = "lua51")]
        state.touch(|state| state.system().preparing = OpId::NONE);
        if state.touch(|state| state.system().delivering.op != op && state.system().settle(op)) {
            release(L, state, op.index());
        }
    }
}

/// The second half of [`suspend`].
#[inline]
pub(crate) unsafe fn suspend_prepared<A: Await>(
    L: *mut lua_State,
    state: StateRef,
    op: OpId,
    _guarded: bool,
    start: impl FnOnce(&mut System, OpId) -> Result<()>,
) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let begin = || {
            state.touch(|state| {
                let system = state.system();
                #[cfg(feature = "lua51")]
                {
                    system.preparing = OpId::NONE;
                }
                #[cfg(any(feature = "lua54", feature = "lua55"))]
                system.prepared.pop_if(|prepared| *prepared == op);
                #[cfg(any(feature = "lua51", feature = "luajit"))]
                if let Some(former) = system.threads.insert(L, op)
                    && former != op
                {
                    // An error ended that wait where nothing told us.
                    system.forget(former);
                }
                if let Err(error) = start(system, op) {
                    system.core.fail(op, error);
                }
            });
        };
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        if _guarded {
            push_guard(L, state, op);
            return suspend::sheltered::<A>(L, op.to_bits(), begin);
        }
        suspend::suspend::<A>(L, op.to_bits(), begin)
    }
}

/// Raises `loop of another process` in a child of the process that made the loop.
#[inline]
pub(crate) unsafe fn check_process(L: *mut lua_State, state: StateRef) {
    // SAFETY: nothing is live.
    unsafe {
        if state.touch(|state| state.system().core.is_foreign()) {
            error::raise_text(L, error::AWAIT, c"loop of another process");
        }
    }
}

/// The failure that a call returns at once, on the same terms as [`check_process`]. [-0, +3]
pub(crate) unsafe fn fail(L: *mut lua_State, failure: Error) -> c_int {
    // SAFETY: as `push_failure`.
    unsafe { super::push_failure(L, failure) }
}

/// Whether a coroutine is still suspended: it may have been closed meanwhile.
#[inline]
pub(crate) unsafe fn is_suspended(thread: *mut lua_State) -> bool {
    // SAFETY: the coroutine is anchored.
    unsafe { ffi::lua_status(thread) == ffi::LUA_YIELD }
}

/// Whether a coroutine still waits for this operation of its: it may have been closed, or a host may have reset it, and used
/// it for something else.
#[inline]
pub(crate) unsafe fn is_waiting(thread: *mut lua_State, op: OpId, what: What, state: StateRef) -> bool {
    // SAFETY: the coroutine is anchored.
    unsafe {
        // Where there are guards, both would have ended a guarded one.
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        return is_suspended(thread) && (what.is_guarded() || is_at(thread, op, state));
        #[cfg(not(any(feature = "lua54", feature = "lua55")))]
        {
            let _ = (op, what, state);
            is_suspended(thread)
        }
    }
}

/// Whether a suspended coroutine is in a function of ours: its frame has the token, unless the host cleared it.
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[inline]
unsafe fn is_at(thread: *mut lua_State, op: OpId, state: StateRef) -> bool {
    // SAFETY: the coroutine is anchored; what is pushed is popped.
    unsafe {
        if ffi::lua_gettop(thread) > 0 && crate::raw::compat::to_id(thread, -1) == op.to_bits() {
            return true;
        }
        let mut ar: ffi::lua_Debug = std::mem::zeroed();
        if ffi::lua_checkstack(thread, 2) == 0 || ffi::lua_getstack(thread, 0, &mut ar) == 0 {
            return false;
        }
        ffi::lua_getinfo(thread, c"f".as_ptr(), &mut ar);
        let ours = !ffi::lua_getupvalue(thread, -1, 1).is_null() && {
            let owner = ffi::lua_touserdata(thread, -1);
            ffi::lua_pop(thread, 1);
            state.is_at(owner)
        };
        ffi::lua_pop(thread, 1);
        ours
    }
}

/// The operation of the running coroutine, if the loop resumed it from a suspension without delay: to suspend again in the
/// same way needs nothing new.
#[inline]
pub(crate) unsafe fn suspended_before(L: *mut lua_State, state: StateRef) -> Option<OpId> {
    // SAFETY: no Lua is called.
    unsafe {
        state.touch(|state| {
            let system = state.system();
            let Delivering { thread, op } = system.delivering;
            (thread == L && system.core.is_suspension(op) && !system.core.is_foreign()).then_some(op)
        })
    }
}

/// `finish(...)` → ..., for the Lua functions around await functions: what follows the suspension.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn finish(L: *mut lua_State) -> c_int {
    // SAFETY: called with what the coroutine was resumed with.
    unsafe { OnLoop::resumed(L, 0, 0) }
}

/// As [`finish`], for those that raise their failures.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn finish_raising(L: *mut lua_State) -> c_int {
    // SAFETY: as `finish`.
    unsafe { OnLoopRaising::resumed(L, 0, 0) }
}
