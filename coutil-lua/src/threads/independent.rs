//! Independent states (20 §1): Lua states made by other ones, each with a chunk that runs on a thread of its own in it.

use super::chunk::Source;
use super::openers::{OPENERS, open_package};
use super::shared::{Context, Shared};
use super::transfer::{Transfer, Value};
use crate::modules::{Module, NATIVE};
use crate::raw::{c_int, compat, lua_CFunction, lua_State};
use crate::state::StateRef;
use coutil_threads::Handle;
use mlua::ffi;
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Arc;

/// A state with a chunk. It is closed when this is dropped, which may take as long as its pools do.
pub(crate) struct Independent {
    main: *mut lua_State,
    pub(crate) chunk: *mut lua_State,
    pub(crate) context: Box<Context>,
}

// SAFETY: the state is only reached by this, or by those who run in it, so by one thread at a time; nothing of it, of Lua's or
// of ours, is bound to a thread. What it shares with other states is `Send` and `Sync` (`Shared`, `Handle`).
unsafe impl Send for Independent {}

/// So many states are closed inside of each other by one thread.
const MOST_CLOSED: u32 = 16;

impl Drop for Independent {
    fn drop(&mut self) {
        thread_local! {
            /// How many states this thread closes, each in the end of another.
            static DEPTH: Cell<u32> = const { Cell::new(0) };
        }
        let depth = DEPTH.get();
        let main = self.main as usize;
        // SAFETY: nobody runs in it. The context is dropped afterwards.
        let close = move || unsafe { ffi::lua_close(main as *mut lua_State) };
        // A state may own one that owns one, and so on: the stack must not end before that.
        let apart = depth >= MOST_CLOSED
            && std::thread::scope(|scope| {
                std::thread::Builder::new().stack_size(super::STACK).spawn_scoped(scope, close).is_ok()
            });
        if !apart {
            DEPTH.set(depth + 1);
            close();
            DEPTH.set(depth);
        }
    }
}

static CHUNK: u8 = 0;
static STEP: u8 = 0;

/// An entry of `package.preload`.
struct Entry {
    name: Box<[u8]>,
    opener: Opener,
}

enum Opener {
    C(lua_CFunction),
    /// A function of Lua, dumped.
    Lua(Vec<u8>),
}

/// Copies `package.preload` of the creator into the list that its argument points to.
unsafe extern "C-unwind" fn collect(L: *mut lua_State) -> c_int {
    unsafe extern "C-unwind" fn write(
        _: *mut lua_State,
        bytes: *const c_void,
        len: usize,
        to: *mut c_void,
    ) -> c_int {
        // SAFETY: Lua writes so many bytes, to what `lua_dump` was given.
        unsafe {
            if len > 0 {
                (*to.cast::<Vec<u8>>()).extend_from_slice(std::slice::from_raw_parts(bytes.cast(), len));
            }
        }
        0
    }
    // SAFETY: called by `preload`. What has a destructor is in the list, or was moved there, when Lua is called. The table is not
    // changed while it is traversed; keys are not converted.
    unsafe {
        let entries = ffi::lua_touserdata(L, 1).cast::<Vec<Entry>>();
        #[cfg(not(feature = "lua51"))]
        ffi::lua_getfield(L, ffi::LUA_REGISTRYINDEX, c"_PRELOAD".as_ptr());
        #[cfg(feature = "lua51")]
        {
            ffi::lua_getfield(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
            ffi::lua_getfield(L, -1, c"package".as_ptr());
            if ffi::lua_istable(L, -1) != 0 {
                ffi::lua_getfield(L, -1, c"preload".as_ptr());
            }
        }
        if ffi::lua_istable(L, -1) == 0 {
            return 0;
        }
        ffi::lua_pushnil(L);
        while ffi::lua_next(L, -2) != 0 {
            if ffi::lua_type(L, -2) == ffi::LUA_TSTRING && ffi::lua_type(L, -1) == ffi::LUA_TFUNCTION {
                let mut len = 0;
                let name = ffi::lua_tolstring(L, -2, &mut len).cast::<u8>();
                let name = std::slice::from_raw_parts(name, len);
                match ffi::lua_tocfunction(L, -1) {
                    Some(function) => {
                        (*entries).push(Entry { name: name.into(), opener: Opener::C(function) })
                    }
                    None => {
                        (*entries).push(Entry { name: name.into(), opener: Opener::Lua(Vec::new()) });
                        if let Some(Entry { opener: Opener::Lua(bytes), .. }) = (*entries).last_mut() {
                            let bytes: *mut Vec<u8> = bytes;
                            if ffi::lua_iscfunction(L, -1) != 0
                                || ffi::lua_dump(L, write, bytes.cast(), 0) != 0
                                || (*bytes).is_empty()
                            {
                                (*entries).pop();
                            }
                        }
                    }
                }
            }
            ffi::lua_pop(L, 1);
        }
        0
    }
}

/// What [`build`] needs, and gives.
struct Build<'a> {
    entries: Vec<Entry>,
    context: *mut Context,
    source: &'a Source,
    chunk: *mut lua_State,
    /// The message of the compiler.
    error: Option<Value>,
}

/// Makes a new state what it is to be. Its argument is a [`Build`].
unsafe extern "C-unwind" fn build(L: *mut lua_State) -> c_int {
    // SAFETY: called by `create`, protected. What has a destructor is in the `Build`.
    unsafe {
        let build = ffi::lua_touserdata(L, 1).cast::<Build<'_>>();
        ffi::lua_settop(L, 0);
        Context::set(L, (*build).context);
        open_package(L);
        #[cfg(not(feature = "lua51"))]
        ffi::luaL_getsubtable(L, ffi::LUA_REGISTRYINDEX, c"_PRELOAD".as_ptr());
        #[cfg(feature = "lua51")]
        {
            ffi::luaL_getsubtable(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
            ffi::lua_getfield(L, -1, c"package".as_ptr());
            ffi::lua_getfield(L, -1, c"preload".as_ptr());
        }
        for (name, opener) in OPENERS {
            ffi::lua_pushcfunction(L, *opener);
            ffi::lua_setfield(L, -2, name.as_ptr());
        }
        give_natives(L);
        let entries: *const [Entry] = (*build).entries.as_slice();
        for entry in &*entries {
            ffi::lua_pushlstring(L, entry.name.as_ptr().cast(), entry.name.len());
            match &entry.opener {
                Opener::C(function) => ffi::lua_pushcfunction(L, *function),
                Opener::Lua(bytes) => {
                    let status = ffi::luaL_loadbufferx(
                        L,
                        bytes.as_ptr().cast(),
                        bytes.len(),
                        c"=preload".as_ptr(),
                        c"b".as_ptr(),
                    );
                    if status != ffi::LUA_OK {
                        ffi::lua_pop(L, 2);
                        continue;
                    }
                    set_globals(L);
                }
            }
            ffi::lua_rawset(L, -3);
        }
        ffi::lua_settop(L, 0);
        let chunk = ffi::lua_newthread(L);
        (*build).chunk = chunk;
        ffi::lua_rawsetp(L, ffi::LUA_REGISTRYINDEX, (&raw const CHUNK).cast());
        ffi::lua_pushcfunction(L, step);
        ffi::lua_rawsetp(L, ffi::LUA_REGISTRYINDEX, (&raw const STEP).cast());
        if (*build).source.load(L) != ffi::LUA_OK {
            (*build).error = Some(Value::take(L, -1).unwrap_or(Value::Nil));
            return 0;
        }
        set_globals(L);
        ffi::lua_xmove(L, chunk, 1);
        0
    }
}

/// Has `require` find what the Lua files of our modules need: these may come from `package.preload` of the creator, to a state whose
/// paths lead nowhere (20 §0.6, §0.7). They are not in the table itself, which has what 20 §1.2 says. [-0, +0]
unsafe fn give_natives(L: *mut lua_State) {
    // SAFETY: the table of preloaded modules is on the top.
    unsafe {
        ffi::lua_createtable(L, 0, 1);
        ffi::lua_createtable(L, 0, NATIVE.len() as c_int);
        for Module { name, open } in NATIVE {
            ffi::lua_pushcfunction(L, *open);
            ffi::lua_setfield(L, -2, name.as_ptr());
        }
        ffi::lua_setfield(L, -2, c"__index".as_ptr());
        ffi::lua_setmetatable(L, -2);
    }
}

/// Has the first upvalue of the function on the top be the table of globals, where there is `_ENV`. 5.2 does that only when
/// there is no other. [-0, +0]
unsafe fn set_globals(_L: *mut lua_State) {
    #[cfg(feature = "lua52")]
    // SAFETY: a function is on the top.
    unsafe {
        ffi::lua_rawgeti(_L, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        if ffi::lua_setupvalue(_L, -2, 1).is_null() {
            ffi::lua_pop(_L, 1);
        }
    }
}

/// What becomes of a resumption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Yielded,
    Returned,
    Failed,
}

/// What [`step`] needs, and gives.
struct Step {
    chunk: *mut lua_State,
    values: *const Transfer,
    success: Option<bool>,
    is_task: bool,
    status: c_int,
    count: c_int,
}

impl Step {
    /// Resumes the chunk with the `count` values on the top of its thread. Raises nothing.
    unsafe fn resume(&mut self, from: *mut lua_State, count: c_int) {
        // SAFETY: the values are there, and nobody else runs in the state.
        unsafe {
            self.status = compat::resume(from, self.chunk, count, &mut self.count);
            // What it left may be more than its frame has room for, and is looked at by its index.
            #[cfg(not(any(feature = "lua51", feature = "luajit")))]
            ffi::lua_checkstack(self.chunk, 5);
        }
    }

    /// The numbers, from which to which, of the values that may be a name and an endpoint.
    unsafe fn names(&self) -> std::ops::Range<c_int> {
        // SAFETY: the values are there.
        let first = unsafe { ffi::lua_gettop(self.chunk) } - self.count + 1;
        first..first + self.count.min(2)
    }

    /// Whether there is something for [`settle`](Self::settle) to do.
    unsafe fn is_unsettled(&self) -> bool {
        // SAFETY: as `names`.
        let has_numbers =
            || unsafe { self.names().any(|index| ffi::lua_type(self.chunk, index) == ffi::LUA_TNUMBER) };
        self.is_task
            && match self.status {
                ffi::LUA_OK => false,
                ffi::LUA_YIELD => has_numbers(),
                _ => true,
            }
    }

    /// Has names and endpoints be strings, and reports errors, if it is a task. Raises for memory.
    unsafe fn settle(&self, L: *mut lua_State) {
        let chunk = self.chunk;
        // SAFETY: the values, or the error, are there.
        unsafe {
            match self.status {
                _ if !self.is_task => {}
                ffi::LUA_OK => {}
                ffi::LUA_YIELD => {
                    for index in self.names() {
                        if ffi::lua_type(chunk, index) == ffi::LUA_TNUMBER {
                            ffi::lua_pushvalue(chunk, index);
                            ffi::lua_xmove(chunk, L, 1);
                            ffi::lua_tolstring(L, -1, std::ptr::null_mut());
                            ffi::lua_xmove(L, chunk, 1);
                            ffi::lua_replace(chunk, index);
                        }
                    }
                }
                _ => {
                    ffi::lua_xmove(chunk, L, 1);
                    #[cfg(any(feature = "lua54", feature = "lua55"))]
                    crate::report::warn(L, c"threads");
                    crate::report::report(L, chunk);
                }
            }
        }
    }
}

/// Resumes the chunk. Its argument is a [`Step`].
unsafe extern "C-unwind" fn step(L: *mut lua_State) -> c_int {
    // SAFETY: called by `resume`, protected. Nothing here has a destructor.
    unsafe {
        let step = ffi::lua_touserdata(L, 1).cast::<Step>();
        ffi::lua_settop(L, 0);
        let chunk = (*step).chunk;
        let count = match (*step).success {
            Some(success) => (*(*step).values).push_results(L, success),
            None => {
                let count = (*(*step).values).len() as c_int;
                ffi::luaL_checkstack(L, count, c"too many values".as_ptr());
                (*(*step).values).push(L);
                count
            }
        };
        if ffi::lua_checkstack(chunk, count + 5) == 0 {
            ffi::lua_pushstring(L, super::transfer::TOO_MANY.as_ptr());
            ffi::lua_error(L);
        }
        ffi::lua_xmove(L, chunk, count);
        (*step).resume(L, count);
        (*step).settle(L);
        0
    }
}

/// What is left of [`step`] where the chunk was resumed without it.
unsafe extern "C-unwind" fn settle(L: *mut lua_State) -> c_int {
    // SAFETY: called by `resume`, protected.
    unsafe {
        let step = ffi::lua_touserdata(L, 1).cast::<Step>();
        ffi::lua_settop(L, 0);
        (*step).settle(L);
        0
    }
}

impl Independent {
    /// Makes a state with that chunk. The creator is `L`.
    ///
    /// Fails with the message of the compiler, or for lack of memory. Never raises. [-0, +0] Needs 5 slots.
    pub(crate) unsafe fn create(
        L: *mut lua_State,
        shared: Arc<Shared>,
        source: &Source,
        pool: Option<Handle>,
    ) -> Result<Self, Transfer> {
        // SAFETY: the calls on the creator are protected, so nothing is left behind; those on the new state are `build`'s, or
        // cannot raise. Its panic function is that of the creator.
        unsafe {
            let mut entries: Vec<Entry> = Vec::new();
            if protected(L, collect, (&raw mut entries).cast()) != ffi::LUA_OK {
                let error = Value::take(L, -1).unwrap_or(Value::Nil);
                ffi::lua_pop(L, 1);
                return Err(error.into());
            }
            let main = ffi::luaL_newstate();
            if main.is_null() {
                return Err("not enough memory".into());
            }
            let context = Context {
                shared,
                warnings: Default::default(),
                pool,
                chunk: std::ptr::null_mut(),
                idle: Cell::new(false),
                owns: Cell::new(false),
            };
            let mut this = Self { main, chunk: std::ptr::null_mut(), context: Box::new(context) };
            copy_panic(L, main);
            #[cfg(any(feature = "lua54", feature = "lua55"))]
            ffi::lua_setwarnf(
                main,
                Some(super::warning::warn),
                (&raw const this.context.warnings).cast_mut().cast(),
            );
            let mut plan = Build {
                entries,
                context: &raw mut *this.context,
                source,
                chunk: std::ptr::null_mut(),
                error: None,
            };
            let status = protected(main, build, (&raw mut plan).cast());
            if status != ffi::LUA_OK {
                let error = Value::take(main, -1).unwrap_or(Value::Nil);
                return Err(error.into());
            }
            if let Some(error) = plan.error {
                return Err(error.into());
            }
            this.chunk = plan.chunk;
            if this.context.pool.is_some() {
                this.context.chunk = plan.chunk;
            }
            // For `resume`.
            ffi::lua_rawgetp(main, ffi::LUA_REGISTRYINDEX, (&raw const STEP).cast());
            Ok(this)
        }
    }

    /// Resumes the chunk, with the values, behind `success` if there is one. Afterwards what it yielded or returned, or its
    /// error, is on the top of its thread; how many values that are is the second result. The error of a task was reported.
    pub(crate) fn resume(&mut self, values: &Transfer, success: Option<bool>) -> (Stop, c_int) {
        let is_task = self.context.pool.is_some();
        let mut plan =
            Step { chunk: self.chunk, values, success, is_task, status: ffi::LUA_ERRRUN, count: 0 };
        // SAFETY: nobody else runs in the state. The function `step` is on the stack of the main thread.
        let status = unsafe {
            match self.resume_plainly(&mut plan) {
                Some(status) => status,
                None => {
                    ffi::lua_pushvalue(self.main, 1);
                    ffi::lua_pushlightuserdata(self.main, (&raw mut plan).cast());
                    ffi::lua_pcall(self.main, 1, 0, 0)
                }
            }
        };
        if status != ffi::LUA_OK {
            // For lack of memory, or of room for the values.
            if is_task {
                // SAFETY: the error is on the top of the main thread.
                unsafe { self.tell_failure() };
                return (Stop::Failed, 0);
            }
            // SAFETY: as above; there was room for a resumption.
            unsafe { ffi::lua_xmove(self.main, self.chunk, 1) };
            return (Stop::Failed, 1);
        }
        match plan.status {
            ffi::LUA_OK => (Stop::Returned, plan.count),
            ffi::LUA_YIELD => (Stop::Yielded, plan.count),
            // That of a task was taken off.
            _ => (Stop::Failed, c_int::from(!is_task)),
        }
    }

    /// As [`step`], where nothing can raise: to protect that would take as long as the resumption. `None` where something can; then
    /// nothing was done.
    unsafe fn resume_plainly(&mut self, plan: &mut Step) -> Option<c_int> {
        // SAFETY: `values` are there. From 5.2 on, to make room raises nothing; before, it may for memory.
        unsafe {
            let values = &*plan.values;
            let count = values.len() as c_int + c_int::from(plan.success.is_some());
            if cfg!(any(feature = "lua51", feature = "luajit")) {
                if count > 0 {
                    return None;
                }
            } else if !values.is_plain() || ffi::lua_checkstack(self.chunk, count + 5) == 0 {
                return None;
            }
            if let Some(success) = plan.success {
                ffi::lua_pushboolean(self.chunk, success.into());
            }
            values.push(self.chunk);
            plan.resume(self.main, count);
            let unsettled = plan.is_unsettled();
            Some(if unsettled {
                protected(self.main, settle, std::ptr::from_mut(plan).cast())
            } else {
                ffi::LUA_OK
            })
        }
    }

    /// Writes why a task could not be resumed, which is on the top of the main thread: nothing that takes memory can be tried.
    unsafe fn tell_failure(&self) {
        // SAFETY: to copy the value raises nothing.
        let error = unsafe {
            let error = Value::take(self.main, -1);
            ffi::lua_pop(self.main, 1);
            error
        };
        let text = match &error {
            Ok(Value::String(text)) => text,
            _ => &b"not enough memory"[..],
        };
        let _ = crate::raw::guard(|| {
            std::io::Write::write_all(&mut std::io::stderr(), &[b"coutil: ", text, b"\n"].concat())
        });
    }

    /// Takes the `count` values off the top of the thread of the chunk, from the one with that number on. None of them is there
    /// afterwards.
    pub(crate) fn take(&mut self, count: c_int, first: c_int) -> Result<Transfer, super::transfer::Refused> {
        // SAFETY: they are there, and to take them raises nothing.
        unsafe {
            let bottom = ffi::lua_gettop(self.chunk) - count;
            let values = Transfer::take(self.chunk, bottom + first);
            ffi::lua_settop(self.chunk, bottom);
            values
        }
    }

    /// Closes it: on a thread of its own if that may wait for others, which the root state waits for when it ends.
    pub(crate) fn end(self) {
        // SAFETY: nobody runs in it. It has the library if it has made such things, so nothing is allocated.
        let waits = self.context.owns.get()
            && unsafe {
                StateRef::find(self.main).is_some_and(|state| {
                    state.touch(|state| {
                        let related = &state.system().related;
                        !related.coroutines.is_empty() || related.pools.iter().any(Option::is_some)
                    })
                })
            };
        if waits {
            let shared = Arc::clone(&self.context.shared);
            shared.end_apart(self);
        }
    }

    /// The main thread, to look at what the library keeps for the state.
    pub(crate) fn main(&self) -> *mut lua_State {
        self.main
    }
}

/// Calls a C function with a pointer, protected.
unsafe fn protected(L: *mut lua_State, function: lua_CFunction, data: *mut c_void) -> c_int {
    // SAFETY: on 5.1 and LuaJIT to push the function may raise, so there it is done inside.
    unsafe {
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        return ffi::lua_cpcall(L, function, data);
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        {
            ffi::lua_pushcfunction(L, function);
            ffi::lua_pushlightuserdata(L, data);
            ffi::lua_pcall(L, 1, 0, 0)
        }
    }
}

/// The panic function of a state is that of its creator.
unsafe fn copy_panic(from: *mut lua_State, to: *mut lua_State) {
    // `mlua` declares it without the null that it may be.
    type AtPanic =
        unsafe extern "C-unwind" fn(*mut lua_State, Option<lua_CFunction>) -> Option<lua_CFunction>;
    // SAFETY: that is its type in C.
    unsafe {
        let at_panic: AtPanic = std::mem::transmute(ffi::lua_atpanic as *const ());
        let panic = at_panic(from, None);
        at_panic(from, panic);
        at_panic(to, panic);
    }
}
