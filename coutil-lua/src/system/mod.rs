//! `coutil.system`: the event loop of a Lua state, and what coroutines await on it (spec: 20 §8, 30, 50).
//!
//! The loop is a [`Loop`] with a suspended coroutine as who waits: it says which operation is next, and `run` resumes
//! the coroutine. All that knows Lua is here; order, readiness and descriptors are `coutil-system`'s.

pub(crate) mod address;
pub(crate) mod datagram;
pub(crate) mod file;
pub(crate) mod future;
pub(crate) mod held;
pub(crate) mod info;
pub(crate) mod local;
pub(crate) mod names;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod socket;
pub(crate) mod standard;
pub(crate) mod stream;
pub(crate) mod task;
pub(crate) mod terminal;
pub(crate) mod time;
pub(crate) mod wait;

use crate::memory::object::Memory;
use crate::memory::range::Span;
use crate::raw::{Functions, c_int, lua_State};
use crate::state::{self, StateRef, field};
use coutil_system::core::{ChildId, Loop, OpId};
use coutil_system::process::Exit;
use mlua::ffi;
use rustc_hash::FxHashMap;
use std::ffi::c_void;

/// The upvalues of the functions and methods of this module. The first is the state.
pub(crate) mod upvalue {
    use crate::raw::c_int;

    /// See [`wait`](super::wait).
    pub(crate) const ANCHORS: c_int = 2;
    pub(crate) const COUNT: c_int = 2;
}

/// What a coroutine waits for.
#[derive(Clone, Copy)]
pub(crate) enum What {
    /// Its turn.
    Suspend,
    /// Time.
    Sleep,
    /// Bytes, for a memory from `i` to `j` as it is when they come.
    Read {
        memory: Memory,
        i: i64,
        j: i64,
        kind: Reading,
    },
    /// A connection, on a listener of that domain.
    Accept {
        domain: socket::Domain,
    },
    Connect,
    Write,
    Shutdown,
    /// The end of a future.
    Future,
    /// A failure that was there at the start, and which the await function raises.
    Raised,
    /// A signal of that name.
    Signal(&'static std::ffi::CStr),
    /// The end of a process; and that, when it has come.
    Child(ChildId),
    Ended(Exit),
    /// The same, of one that results in bytes for a part of a memory.
    Fill {
        memory: Memory,
        span: Span,
        filled: file::Filled,
    },
    /// Somebody to exchange values with, on the channel of the object at that address.
    Channel {
        object: usize,
    },
    /// The end of a run of the state coroutine of the object at that address.
    Resume {
        object: usize,
    },
}

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Bytes,
    /// Bytes, and sockets that come with them.
    Sockets,
    Datagram,
}

/// A coroutine that waits. It is anchored, as long as it does.
#[derive(Clone, Copy)]
pub(crate) struct Waiter {
    pub(crate) thread: *mut lua_State,
    pub(crate) what: What,
}

/// The operation whose coroutine the loop resumed, while that runs.
///
/// It is kept, with its anchors, until the coroutine suspends or ends: one that awaits again gets the same one again.
#[derive(Clone, Copy)]
pub(crate) struct Delivering {
    pub(crate) thread: *mut lua_State,
    pub(crate) op: OpId,
}

impl Delivering {
    pub(crate) const NONE: Self = Self { thread: std::ptr::null_mut(), op: OpId::NONE };
}

/// What the library keeps of this for a Lua state.
pub(crate) struct System {
    /// Dropped before the loop: a task that is woken when that is gone is dropped by whoever wakes it, whatever that holds.
    pub(crate) tasks: task::Tasks,
    pub(crate) core: Loop<Waiter>,
    /// Dropped after those: nothing waits any more while that ends.
    pub(crate) related: crate::threads::Related,
    pub(crate) delivering: Delivering,
    /// The operation that a coroutine is about to start.
    #[cfg(feature = "lua51")]
    pub(crate) preparing: OpId,
    /// Operations with a guard that coroutines are about to start, the last one first.
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    pub(crate) prepared: Vec<OpId>,
    /// The operation that the loop is about to deliver, until its coroutine is resumed.
    pub(crate) current: OpId,
    /// Whether `system.run` is on the stack.
    pub(crate) running: bool,
    /// Whether the last run left operations behind, as it was to.
    pub(crate) left: bool,
    /// The last pass for which [`field::CANCELLED`] has a coroutine.
    pub(crate) cancelled: u64,
    /// The anchors; see [`wait`].
    pub(crate) anchors: wait::Anchors,
    /// Closed objects that are kept until the loop runs (50 §5.1.4), since this pass.
    pub(crate) closed: u32,
    pub(crate) closed_in: u64,
    /// The metatables of the classes, by which their objects are known.
    pub(crate) classes: [*const c_void; Class::COUNT],
    /// The operation that a coroutine waits for, on versions where it has no stack slot for that.
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    pub(crate) threads: FxHashMap<*mut lua_State, OpId>,
    pub(crate) futures: future::Futures,
    pub(crate) held: held::Held,
    pub(crate) files: file::Files,
    /// Where the sender of a datagram that is read is to be put, by the index of the operation. They are anchored as it is.
    pub(crate) senders: FxHashMap<usize, *mut address::Address>,
}

impl Drop for System {
    fn drop(&mut self) {
        if self.core.is_foreign() {
            self.files.loans.leave();
            self.leave_relatives();
        }
    }
}

impl System {
    pub(crate) fn new() -> Self {
        Self {
            tasks: task::Tasks::default(),
            core: Loop::new(),
            related: crate::threads::Related::default(),
            delivering: Delivering::NONE,
            #[cfg(feature = "lua51")]
            preparing: OpId::NONE,
            #[cfg(any(feature = "lua54", feature = "lua55"))]
            prepared: Vec::new(),
            current: OpId::NONE,
            running: false,
            left: false,
            cancelled: 0,
            anchors: wait::Anchors::default(),
            closed: 0,
            closed_in: 0,
            classes: [std::ptr::null(); Class::COUNT],
            #[cfg(any(feature = "lua51", feature = "luajit"))]
            threads: FxHashMap::default(),
            futures: future::Futures::default(),
            held: held::Held::default(),
            files: file::Files::default(),
            senders: FxHashMap::default(),
        }
    }

    /// The pass that runs, or is the next one.
    pub(crate) fn pass(&self) -> u64 {
        self.core.passes() + u64::from(!self.running)
    }
}

/// The classes of objects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Address,
    AddressList,
    TcpStream,
    TcpListener,
    Udp,
    LocalStream,
    ShareStream,
    LocalListener,
    Terminal,
    Environment,
    CpuList,
    InterfaceList,
    /// Of values of Rust; see [`held`].
    Held,
    File,
    Directory,
    Channel,
    Coroutine,
    Threads,
}

impl Class {
    pub(crate) const COUNT: usize = 18;

    pub(crate) const fn name(self) -> &'static std::ffi::CStr {
        match self {
            Self::Address => c"coutil:netaddress",
            Self::AddressList => c"coutil:netaddrlist",
            Self::TcpStream => c"coutil:tcpactive",
            Self::TcpListener => c"coutil:tcppassive",
            Self::Udp => c"coutil:udp",
            Self::LocalStream => c"coutil:pipeactive",
            Self::ShareStream => c"coutil:pipeshare",
            Self::LocalListener => c"coutil:pipepassive",
            Self::Terminal => c"coutil:terminal",
            Self::Environment => c"coutil:procesenv",
            Self::CpuList => c"coutil:cpustats",
            Self::InterfaceList => c"coutil:netifaces",
            Self::Held => c"coutil:held",
            Self::File => c"coutil:file",
            Self::Directory => c"coutil:dirlist",
            Self::Channel => c"coutil:channel",
            Self::Coroutine => c"coutil:coroutine",
            Self::Threads => c"coutil:threads",
        }
    }
}

/// The functions of the module that do not await.
pub(crate) const FUNCTIONS: &[Functions<'_>] = &[
    run::FUNCTIONS,
    time::FUNCTIONS,
    address::FUNCTIONS,
    socket::FUNCTIONS,
    process::signal::FUNCTIONS,
    process::priority::FUNCTIONS,
    process::environment::FUNCTIONS,
    info::process::FUNCTIONS,
    info::lists::FUNCTIONS,
];

/// The functions of the module that await.
pub(crate) const AWAITS: &[Functions<'_>] = &[
    time::AWAITS,
    names::AWAITS,
    file::AWAITS,
    process::signal::AWAITS,
    process::execute::AWAITS,
    crate::threads::AWAITS,
];

/// Makes the classes, at the first call. [-0, +0] Raises for memory.
pub(crate) unsafe fn make_classes(L: *mut lua_State) {
    // SAFETY: called when the module is loaded.
    unsafe {
        state::push_field(L, field::CLASSES);
        let made = ffi::lua_rawgeti(L, -1, Class::Address as ffi::lua_Integer + 1) != ffi::LUA_TNIL;
        ffi::lua_pop(L, 2);
        if made {
            // The module was collected, and is loaded again.
            return;
        }
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        {
            state::push_field(L, field::CLASSES);
            ffi::lua_createtable(L, 0, 1);
            set_functions(L, &[(c"__close", wait::close_guard)]);
            ffi::lua_rawseti(L, -2, 0);
            ffi::lua_pop(L, 1);
        }
        use socket::{LOCAL, LOCAL_LISTENER, SHARE, TCP, TCP_LISTENER, TERMINAL, UDP, metamethods};
        new_class(L, Class::Address, address::METAMETHODS, &[], &[]);
        new_class(L, Class::AddressList, names::METAMETHODS, names::METHODS, &[]);
        new_class(L, Class::TcpStream, &metamethods::<TCP>(), socket::TCP_METHODS, stream::TCP_AWAITS);
        new_class(
            L,
            Class::TcpListener,
            &metamethods::<TCP_LISTENER>(),
            socket::TCP_LISTENER_METHODS,
            stream::TCP_LISTENER_AWAITS,
        );
        new_class(L, Class::Udp, &metamethods::<UDP>(), datagram::METHODS, datagram::AWAITS);
        new_class(L, Class::LocalStream, &metamethods::<LOCAL>(), local::LOCAL_METHODS, local::LOCAL_AWAITS);
        new_class(L, Class::ShareStream, &metamethods::<SHARE>(), local::SHARE_METHODS, local::SHARE_AWAITS);
        new_class(
            L,
            Class::LocalListener,
            &metamethods::<LOCAL_LISTENER>(),
            local::LISTENER_METHODS,
            local::LISTENER_AWAITS,
        );
        new_class(L, Class::Terminal, &metamethods::<TERMINAL>(), terminal::METHODS, terminal::AWAITS);
        new_class(L, Class::Environment, process::environment::METAMETHODS, &[], &[]);
        new_class(L, Class::CpuList, info::lists::CPU_METAMETHODS, &[], &[]);
        new_class(L, Class::InterfaceList, info::lists::INTERFACE_METAMETHODS, &[], &[]);
        new_class(L, Class::Held, held::METAMETHODS, &[], &[]);
        new_class(L, Class::File, file::METAMETHODS, &[], file::METHODS);
        new_class(L, Class::Directory, file::DIRECTORY_METAMETHODS, &[], &[]);
    }
}

/// Sets `run` in the table on the top. [-0, +0] Raises for memory.
pub(crate) unsafe fn set_run(L: *mut lua_State) {
    // SAFETY: each function has its inner function as one more upvalue.
    unsafe {
        let push = |function| {
            push_upvalues(L);
            push_upvalues(L);
            ffi::lua_pushcclosure(L, run::passes, upvalue::COUNT);
            ffi::lua_pushcclosure(L, function, upvalue::COUNT + 1);
        };
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        if crate::threads::run::may_yield(L) {
            // It yields the chunk of the task, for which there it has to be a Lua function.
            push(run::run_in_task);
            push(run::run_on);
            ffi::lua_pushcfunction(L, crate::threads::run::park);
            crate::modules::run(L, include_str!("../threads/run.lua"), c"=coutil", 3);
            ffi::lua_setfield(L, -2, c"run".as_ptr());
            return;
        }
        push(run::run);
        ffi::lua_setfield(L, -2, c"run".as_ptr());
    }
}

/// Pushes the upvalues of this module. [-0, +2] Raises for memory.
pub(crate) unsafe fn push_upvalues(L: *mut lua_State) {
    // SAFETY: in the order of `upvalue`.
    unsafe {
        state::push(L);
        state::push_field(L, field::SYSTEM_ANCHORS);
    }
}

/// Sets functions as fields of the table on the top. [-0, +0] Raises for memory.
pub(crate) unsafe fn set_functions(L: *mut lua_State, functions: Functions<'_>) {
    // SAFETY: as above.
    unsafe {
        push_upvalues(L);
        crate::raw::set_functions(L, functions, upvalue::COUNT);
    }
}

/// Sets functions that await as fields of the table on the top: C functions, or Lua functions around them where there are
/// no continuations. [-0, +0] May raise.
pub(crate) unsafe fn set_awaits(L: *mut lua_State, functions: Functions<'_>) {
    // SAFETY: a table is on the top.
    unsafe {
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        set_functions(L, functions);
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        {
            // A table of them, whose fields are replaced.
            ffi::lua_createtable(L, 0, functions.len() as c_int);
            set_functions(L, functions);
            push_upvalues(L);
            ffi::lua_pushcclosure(L, wait::finish, upvalue::COUNT);
            crate::modules::push_yield(L);
            push_upvalues(L);
            ffi::lua_pushcclosure(L, wait::finish_raising, upvalue::COUNT);
            wait::push_nothing_mark(L);
            crate::modules::run(L, include_str!("await.lua"), c"=coutil", 5);
            for (name, _) in functions {
                ffi::lua_getfield(L, -1, name.as_ptr());
                ffi::lua_setfield(L, -3, name.as_ptr());
            }
            ffi::lua_pop(L, 1);
        }
    }
}

/// Creates a class: its metatable, with the methods, as far as there are any, in its `__index`. [-0, +0] May raise.
unsafe fn new_class(
    L: *mut lua_State,
    class: Class,
    metamethods: Functions<'_>,
    methods: Functions<'_>,
    awaits: Functions<'_>,
) {
    // SAFETY: the metatable is anchored in a table that lives as long as the state.
    unsafe {
        ffi::lua_createtable(L, 0, 8);
        ffi::lua_pushstring(L, class.name().as_ptr());
        ffi::lua_setfield(L, -2, c"__name".as_ptr());
        set_functions(L, metamethods);
        if !(methods.is_empty() && awaits.is_empty()) {
            ffi::lua_createtable(L, 0, 16);
            set_functions(L, methods);
            set_awaits(L, awaits);
            ffi::lua_setfield(L, -2, c"__index".as_ptr());
        }
        let address = ffi::lua_topointer(L, -1);
        state::push_field(L, field::CLASSES);
        ffi::lua_insert(L, -2);
        ffi::lua_rawseti(L, -2, class as ffi::lua_Integer + 1);
        ffi::lua_pop(L, 1);
        if let Some(state) = StateRef::find(L) {
            state.touch(|state| state.system().classes[class as usize] = address);
        }
    }
}

/// Creates a class whose methods are the functions of the module on the top. [-0, +0] May raise.
pub(crate) unsafe fn new_module_class(L: *mut lua_State, class: Class, metamethods: Functions<'_>) {
    // SAFETY: as `new_class`.
    unsafe {
        new_class(L, class, metamethods, &[], &[]);
        push_class(L, class);
        ffi::lua_pushvalue(L, -2);
        ffi::lua_setfield(L, -2, c"__index".as_ptr());
        ffi::lua_pop(L, 1);
    }
}

/// Pushes the metatable of a class. [-0, +1]
pub(crate) unsafe fn push_class(L: *mut lua_State, class: Class) {
    // SAFETY: `new_class` was called when its module was loaded.
    unsafe {
        state::push_field(L, field::CLASSES);
        ffi::lua_rawgeti(L, -1, class as ffi::lua_Integer + 1);
        ffi::lua_remove(L, -2);
    }
}

/// Gives the userdata on the top its class. [-0, +0]
pub(crate) unsafe fn set_class(L: *mut lua_State, class: Class) {
    // SAFETY: as the callee.
    unsafe {
        push_class(L, class);
        ffi::lua_setmetatable(L, -2);
    }
}

/// The object of a class at `index`, if it is one. It may be a stranger's userdata with our metatable: the size is checked,
/// and any contents are valid. [-0, +0]
pub(crate) unsafe fn to_object<T>(
    L: *mut lua_State,
    state: StateRef,
    index: c_int,
    class: Class,
) -> Option<*mut T> {
    // SAFETY: what is pushed is popped.
    unsafe {
        if ffi::lua_getmetatable(L, index) == 0 {
            return None;
        }
        let address = ffi::lua_topointer(L, -1);
        ffi::lua_pop(L, 1);
        if address != state.touch(|state| state.system().classes[class as usize]) {
            return None;
        }
        // Null for what is no userdata, and a light one has no length.
        let object = ffi::lua_touserdata(L, index);
        (!object.is_null() && ffi::lua_rawlen(L, index) >= size_of::<T>()).then(|| object.cast())
    }
}

/// As [`to_object`], or raises `CLASS expected, got T`.
pub(crate) unsafe fn check_object<T>(
    L: *mut lua_State,
    frame: c_int,
    state: StateRef,
    arg: c_int,
    class: Class,
) -> *mut T {
    // SAFETY: as the callees.
    unsafe {
        match to_object(L, state, arg, class) {
            Some(object) => object,
            None => crate::raw::error::type_error(L, frame, arg, class.name()),
        }
    }
}

/// Pushes a failure: `false`, a message, a code. [-0, +3] Raises for memory.
pub(crate) unsafe fn push_failure(L: *mut lua_State, error: coutil_system::Error) -> c_int {
    // SAFETY: three slots are free.
    unsafe {
        ffi::lua_pushboolean(L, 0);
        push_message(L, error);
        ffi::lua_pushinteger(L, error.code() as ffi::lua_Integer);
        3
    }
}

/// Pushes the text of an error. [-0, +1] Raises for memory.
pub(crate) unsafe fn push_message(L: *mut lua_State, error: coutil_system::Error) {
    // SAFETY: the text is static, or a number that Lua formats.
    unsafe {
        match error.message() {
            Some(text) => {
                ffi::lua_pushlstring(L, text.as_ptr().cast(), text.len());
            }
            None => {
                ffi::lua_pushfstring(L, c"Unknown system error -%d".as_ptr(), error.code());
            }
        }
    }
}

/// The results of a call that does not await: `true`, or a failure.
pub(crate) unsafe fn push_result(L: *mut lua_State, result: coutil_system::Result<()>) -> c_int {
    // SAFETY: as `push_failure`.
    unsafe {
        match result {
            Ok(()) => {
                ffi::lua_pushboolean(L, 1);
                1
            }
            Err(error) => fail(L, error),
        }
    }
}

/// The results of a failure. That of a loop of another process is raised (90 §5.5).
pub(crate) unsafe fn fail(L: *mut lua_State, error: coutil_system::Error) -> c_int {
    // SAFETY: as `push_failure`.
    unsafe {
        if error == coutil_system::Error::FOREIGN_LOOP {
            raise_foreign(L);
        }
        push_failure(L, error)
    }
}

/// Raises `loop of another process`.
#[cold]
pub(crate) unsafe fn raise_foreign(L: *mut lua_State) -> ! {
    // SAFETY: the text is static.
    unsafe { crate::raw::error::raise_text(L, crate::raw::error::DIRECT, c"loop of another process") }
}
