//! Awaiting Rust futures from Lua, for programs that embed it: see [`async_function`](crate::async_function).
//!
//! What Lua calls is a Lua function around four others. `start` converts the arguments and makes the future, which waits
//! in the state under a number; `await` suspends the coroutine while the loop runs the future; what it resolves to waits
//! in the same way for `finish`, which converts it. Conversions are `mlua`'s, and run while nothing of ours is borrowed.

use super::System;
use super::task::{self, AnyOutput, Output};
use super::wait::{check_process, suspend};
use crate::raw::{Functions, args, c_int, compat, error, guard, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use coutil_system::core::OpId;
use mlua::ffi;
use mlua::{Error, FromLuaMulti, Function, IntoLuaMulti, Lua, MultiValue, Result, Value};
use rustc_hash::FxHashMap;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"check", check)];
pub(crate) const AWAITS: Functions<'_> = &[(c"await", await_future)];

/// How to make Lua values of what a future resolved to.
type Give = Box<dyn FnOnce(&Lua) -> Result<MultiValue> + Send>;

/// What a future resolves to, or the message of its error.
type Resolved = std::result::Result<Give, String>;

/// Futures that are about to be awaited, and what became of those that were.
#[derive(Default)]
pub(crate) struct Futures {
    made: FxHashMap<i64, Pin<Box<dyn Future<Output = AnyOutput> + Send>>>,
    resolved: FxHashMap<i64, Resolved>,
    last: i64,
}

impl Futures {
    fn number(&mut self) -> i64 {
        self.last += 1;
        self.last
    }
}

/// By the address of this the results of `await` are known that come from the loop.
static RESOLVED: u8 = 0;

/// `check()`: raises `unable to yield` before anything else is done.
unsafe extern "C-unwind" fn check(L: *mut lua_State) -> c_int {
    // SAFETY: the function that called this one is to blame.
    unsafe {
        if !compat::is_yieldable(L) {
            error::raise_text(L, 1, c"unable to yield");
        }
        0
    }
}

/// `await(number)` → [`RESOLVED`], number; or whatever the coroutine is resumed with
unsafe extern "C-unwind" fn await_future(L: *mut lua_State) -> c_int {
    // SAFETY: the number is checked.
    unsafe {
        let state = StateRef::of(L);
        let number = args::check_integer(L, error::AWAIT, 1);
        check_yieldable(L);
        check_process(L, state);
        suspend(L, state, task::OPERATION, move |system, op| start(system, op, number))
    }
}

fn start(system: &mut System, op: OpId, number: i64) -> coutil_system::Result<()> {
    match system.futures.made.remove(&number) {
        Some(future) => system.spawn(op, future),
        None => Err(coutil_system::Error::from_code(libc::EINVAL)),
    }
}

/// The results of `await`: where `finish` finds it.
impl Output for Option<Resolved> {
    unsafe fn push(&mut self, L: *mut lua_State, state: StateRef) -> c_int {
        // SAFETY: what has a destructor goes into the state before Lua is called.
        unsafe {
            let number = state.touch(|state| {
                let futures = &mut state.system().futures;
                let number = futures.number();
                if let Some(resolved) = self.take() {
                    futures.resolved.insert(number, resolved);
                }
                number
            });
            ffi::lua_pushlightuserdata(L, (&raw const RESOLVED).cast_mut().cast());
            ffi::lua_pushinteger(L, number as ffi::lua_Integer);
            2
        }
    }
}

/// The state of the library in a Lua state, on which `f` is run.
fn with_system<R>(lua: &Lua, f: impl FnOnce(&mut System) -> R) -> Result<R> {
    let mut f = Some(f);
    let mut result = None;
    // SAFETY: `push` leaves the state on the stack; it is borrowed while no Lua is called.
    unsafe {
        lua.exec_raw::<()>((), |L| {
            if let (Some(state), Some(f)) = (StateRef::find(L), f.take()) {
                result = state.try_with(|state| f(state.system())).ok();
            }
        })?;
    }
    result.ok_or_else(|| Error::runtime("coutil: closed state"))
}

/// Makes a Lua function that awaits a Rust future.
///
/// When Lua code calls it, `function` is called with the arguments, and returns a future; the calling coroutine is
/// suspended until that is ready, and gets its result; its error is raised, as a string. The future runs on the thread that calls
/// `system.run`, while that does, so it may be woken by anything: another thread, a channel, the reactor of another crate.
/// It must not block.
///
/// The function is an await function like those of `coutil.system`: outside a coroutine it raises `unable to yield`; when
/// somebody else resumes the coroutine, or closes it, the future is dropped.
///
/// ```
/// # #[cfg(feature = "vendored")]
/// # fn main() -> mlua::Result<()> {
/// # use coutil_lua::mlua;
/// let lua = mlua::Lua::new();
/// coutil_lua::preload(&lua)?;
/// let (sender, receiver) = std::sync::mpsc::channel::<String>();
/// let ask = coutil_lua::async_function(&lua, |question: String| async move {
///     // Any future will do; this one is ready at once.
///     Ok::<_, String>(format!("{question}? 42!"))
/// })?;
/// lua.globals().set("ask", ask)?;
/// lua.globals().set("tell", mlua::Function::wrap(move |answer: String| sender.send(answer).map_err(mlua::Error::external)))?;
/// lua.load(
///     r#"
///     coroutine.wrap(function () tell(ask("what")) end)()
///     require("coutil.system").run()
///     "#,
/// )
/// .exec()?;
/// assert_eq!(receiver.try_recv().unwrap(), "what? 42!");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "vendored"))]
/// # fn main() {}
/// ```
///
/// # Errors
///
/// For lack of memory.
pub fn async_function<A, R, E, F, T>(lua: &Lua, function: F) -> Result<Function>
where
    A: FromLuaMulti,
    R: IntoLuaMulti + Send + 'static,
    E: Display,
    F: Fn(A) -> T + mlua::MaybeSend + 'static,
    T: Future<Output = std::result::Result<R, E>> + Send + 'static,
{
    let start = lua.create_function(move |lua, arguments: A| {
        let mut future = Box::pin(function(arguments));
        let guarded = std::future::poll_fn(move |context| match guard(|| future.as_mut().poll(context)) {
            Ok(poll) => poll.map(|result| result.map_err(|error| error.to_string())),
            Err(panic) => Poll::Ready(Err(format!("internal error: {}", panic.message()))),
        });
        let future = Box::pin(async move {
            let resolved: Resolved = match guarded.await {
                Ok(result) => Ok(Box::new(move |lua| result.into_lua_multi(lua))),
                Err(message) => Err(message),
            };
            Box::new(Some(resolved)) as AnyOutput
        });
        with_system(lua, |system| {
            let number = system.futures.number();
            system.futures.made.insert(number, future);
            number
        })
    })?;
    let finish = lua.create_function(|lua, mut values: MultiValue| {
        if let Some(Value::LightUserData(mark)) = values.front()
            && std::ptr::eq(mark.0, (&raw const RESOLVED).cast())
        {
            let number = values.get(1).and_then(Value::as_i64).unwrap_or(0);
            let output = with_system(lua, |system| system.futures.resolved.remove(&number))?;
            return match output {
                Some(Ok(give)) => {
                    let mut values = give(lua)?;
                    values.push_front(Value::Boolean(true));
                    Ok(values)
                }
                Some(Err(message)) => (false, message).into_lua_multi(lua),
                None => (false, "the future was cancelled").into_lua_multi(lua),
            };
        }
        values.push_front(Value::Boolean(true));
        Ok(values)
    })?;
    // SAFETY: an opener is a function for Lua, with nothing to be said about its arguments.
    let open = unsafe { lua.create_c_function(crate::modules::open_native_future)? };
    let loaded: mlua::Table = lua.named_registry_value("_LOADED")?;
    let native: mlua::Table = open.call(())?;
    let error: Function = loaded.get::<mlua::Table>("_G")?.get("error")?;
    lua.load(
        "local check, start, await, finish, error = ...
        local function give (ok, ...)
            if not ok then error((...), 0) end
            return ...
        end
        return function (...)
            check()
            return give(finish(await(start(...))))
        end",
    )
    .set_name("=coutil")
    .call((native.get::<Function>("check")?, start, native.get::<Function>("await")?, finish, error))
}
