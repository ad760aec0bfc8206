//! The workloads on threads as a Rust program does them that has nothing but the standard library and Lua's own interface: the
//! other side of `bench/exchange2.lua` and others. A module for Lua, so that both sides have the same Lua.
//!
//! It checks nothing that these workloads do not need, and keeps no promise of Coutil: states are only entered by one thread at a
//! time, but errors in chunks end the process.
#![allow(non_snake_case)]
#![allow(clippy::undocumented_unsafe_blocks)] // All of it is calls of Lua's interface, on states that one thread has.

mod pool;
mod state;

use mlua::ffi::{self, lua_State};
use pool::Pool;
use state::State;
use std::ffi::{CStr, c_int};
use std::sync::mpsc;
use std::time::Instant;

type Function = unsafe extern "C-unwind" fn(*mut lua_State) -> c_int;

/// `now()` → seconds since some time
unsafe extern "C-unwind" fn now(L: *mut lua_State) -> c_int {
    thread_local!(static START: Instant = Instant::now());
    unsafe { ffi::lua_pushnumber(L, START.with(|start| start.elapsed().as_secs_f64())) };
    1
}

/// The number at `arg`.
unsafe fn number(L: *mut lua_State, arg: c_int) -> usize {
    unsafe { ffi::luaL_checknumber(L, arg) as usize }
}

/// The text at `arg`.
unsafe fn text<'a>(L: *mut lua_State, arg: c_int) -> &'a [u8] {
    unsafe { CStr::from_ptr(ffi::luaL_checkstring(L, arg)).to_bytes() }
}

/// `state(count, chunk)`: makes and closes states.
unsafe extern "C-unwind" fn state(L: *mut lua_State) -> c_int {
    let (count, chunk) = unsafe { (number(L, 1), text(L, 2)) };
    for _ in 0..count {
        drop(State::new(chunk));
    }
    0
}

/// `dispatch(threads, count, chunk)`: a pool runs a chunk, each time in a new state, with two numbers.
unsafe extern "C-unwind" fn dispatch(L: *mut lua_State) -> c_int {
    let (threads, count, chunk) = unsafe { (number(L, 1), number(L, 2), text(L, 3)) };
    let pool = Pool::new(threads);
    for index in 0..count {
        let mut state = State::new(chunk);
        state.push(index as f64);
        state.push(1.0);
        pool.add(state);
    }
    pool.close();
    0
}

/// `tasks(threads, count, chunk [, chunk])`: a pool runs so many states with each chunk. What they yield is exchanged; if they yield
/// nothing they go to the end of the queue.
unsafe extern "C-unwind" fn tasks(L: *mut lua_State) -> c_int {
    unsafe {
        let pool = Pool::new(number(L, 1));
        for _ in 0..number(L, 2) {
            for arg in 3..=ffi::lua_gettop(L) {
                pool.add(State::new(text(L, arg)));
            }
        }
        pool.close();
    }
    0
}

/// `resume(count, chunk)`: another thread resumes a chunk with what this one sends, and sends back what it yields.
unsafe extern "C-unwind" fn resume(L: *mut lua_State) -> c_int {
    let (count, chunk) = unsafe { (number(L, 1), text(L, 2)) };
    let mut state = State::new(chunk);
    let (to, there) = mpsc::channel::<f64>();
    let (back, from) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        for value in there {
            state.push(value);
            state.resume();
            if back.send(state.pop().unwrap_or_default()).is_err() {
                break;
            }
        }
    });
    let mut value = 0.0;
    for _ in 0..count {
        to.send(value).expect("it waits");
        value = from.recv().expect("it answers");
    }
    drop(to);
    thread.join().expect("nothing panics");
    unsafe { ffi::lua_pushnumber(L, value) };
    1
}

/// `idle(count, chunk)`: states whose chunk has yielded, which stay.
unsafe extern "C-unwind" fn idle(L: *mut lua_State) -> c_int {
    let (count, chunk) = unsafe { (number(L, 1), text(L, 2)) };
    let states: Vec<State> = (0..count)
        .map(|_| {
            let mut state = State::new(chunk);
            state.resume();
            state
        })
        .collect();
    std::mem::forget(states);
    0
}

const FUNCTIONS: &[(&CStr, Function)] = &[
    (c"now", now),
    (c"state", state),
    (c"dispatch", dispatch),
    (c"tasks", tasks),
    (c"resume", resume),
    (c"idle", idle),
];

/// The module.
///
/// # Safety
///
/// Called by `require`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn luaopen_plain(L: *mut lua_State) -> c_int {
    unsafe {
        ffi::lua_createtable(L, 0, FUNCTIONS.len() as c_int);
        for (name, function) in FUNCTIONS {
            ffi::lua_pushcfunction(L, *function);
            ffi::lua_setfield(L, -2, name.as_ptr());
        }
    }
    1
}
