//! `system.execute` (40 §5).
//!
//! What a description says is read first, by a function that is called protected: metamethods may run, and raise, at each field. The ends
//! of streams that are for the child are held meanwhile; they are closed when the process has them, or does not start.

use super::environment::{contents, is_packed, push_block, push_packed, strings};
use super::text;
use crate::raw::error::{AWAIT, raise, raise_byte, raise_text, type_error_of};
use crate::raw::{Functions, args, c_int, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use crate::system::held::{self, Key};
use crate::system::socket::{self, Domain, Socket};
use crate::system::wait::{Operation, check_process, suspend};
use crate::system::{Class, System, What, fail, push_upvalues, to_object, upvalue};
use coutil_system::core::ChildId;
use coutil_system::process::{self, Command};
use coutil_system::{Error, Result};
use mlua::ffi;
use std::ffi::{CStr, OsStr, c_void};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

pub(crate) const AWAITS: Functions<'_> = &[(c"execute", execute)];

/// The function that reads a description is called by the one that is to blame for what is wrong with it.
const READING: c_int = AWAIT + 1;

/// The standard streams of a child: `None` are those of this process.
#[derive(Default)]
struct Streams {
    streams: [Option<Stdio>; 3],
    /// Why it cannot be started, which is told when all else is right.
    failure: Option<Error>,
}

const NAMES: [&CStr; 3] = [c"stdin", c"stdout", c"stderr"];

/// `execute(program, ...)`, `execute(description)` → `"exit"`, status; or the name of a signal, its number
unsafe extern "C-unwind" fn execute(L: *mut lua_State) -> c_int {
    // SAFETY: all that is read stands on the stack until the process is started.
    unsafe {
        let state = StateRef::of(L);
        check_yieldable(L);
        let description = match ffi::lua_type(L, 1) {
            ffi::LUA_TTABLE => true,
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER => false,
            _ => args::bad(L, AWAIT, 1, c"table or string expected"),
        };
        let key = if description {
            check_process(L, state);
            ffi::lua_settop(L, 1);
            let key = held::push(L);
            state.with(L, |state| state.system().hold(key, Streams::default()));
            push_upvalues(L);
            ffi::lua_pushcclosure(L, read, upvalue::COUNT);
            ffi::lua_pushvalue(L, 1);
            ffi::lua_pushlightuserdata(L, (&raw const key).cast_mut().cast());
            if ffi::lua_pcall(L, 2, 3, 0) != ffi::LUA_OK {
                held::drop_held(state, key);
                ffi::lua_error(L);
            }
            Some(key)
        } else {
            let top = ffi::lua_gettop(L);
            for index in 2..=top {
                args::check_string(L, AWAIT, index);
            }
            check_process(L, state);
            ffi::luaL_checkstack(L, 10, std::ptr::null());
            ffi::lua_createtable(L, top, 0);
            for index in 1..=top {
                ffi::lua_pushvalue(L, index);
                ffi::lua_tolstring(L, -1, std::ptr::null_mut());
                ffi::lua_rawseti(L, -2, index.into());
            }
            push_block(L, top + 1, top.into());
            ffi::lua_pushnil(L);
            ffi::lua_pushnil(L);
            None
        };
        // stack: ..., arguments, environment, directory
        let arguments = contents(L, -3);
        let environment = (ffi::lua_type(L, -2) == ffi::LUA_TUSERDATA).then(|| contents(L, -2));
        let directory = (ffi::lua_type(L, -1) == ffi::LUA_TSTRING).then(|| text(L, -1));
        let started = state.with(L, |state| {
            let system = state.system();
            let streams = key.and_then(|key| system.take_held::<Streams>(key));
            let streams = streams.map_or(Streams::default(), |streams| *streams);
            if let Some(failure) = streams.failure {
                return Err(failure);
            }
            system.core.start_child(command(arguments, environment, directory, streams))
        });
        let (child, pid) = match started {
            Ok(started) => started,
            Err(error) => return fail(L, error),
        };
        if description {
            ffi::lua_pushcfunction(L, set_pid);
            ffi::lua_pushvalue(L, 1);
            ffi::lua_pushinteger(L, pid.into());
            if ffi::lua_pcall(L, 2, 0, 0) != ffi::LUA_OK {
                // Nobody is going to wait for it.
                abandon(L, child);
                ffi::lua_error(L);
            }
        }
        ffi::lua_settop(L, 1);
        // What ran since may have closed the state.
        let state = StateRef::of(L);
        let operation = Operation::new(What::Child(child));
        suspend(L, state, operation, move |system, op| system.core.wait_child(op, child))
    }
}

unsafe fn abandon(L: *mut lua_State, child: ChildId) {
    // SAFETY: the state may be closed.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L) {
            state.touch(|state| state.system().core.abandon_child(child));
        }
    }
}

/// `(description, pid)`
unsafe extern "C-unwind" fn set_pid(L: *mut lua_State) -> c_int {
    // SAFETY: called with these.
    unsafe {
        ffi::lua_setfield(L, 1, c"pid".as_ptr());
        0
    }
}

/// What is to be started. The first of the arguments is the program.
fn command(
    arguments: &[u8],
    environment: Option<&[u8]>,
    directory: Option<&CStr>,
    streams: Streams,
) -> Command {
    let mut arguments = strings(arguments).map(OsStr::from_bytes);
    let mut command = Command::new(arguments.next().unwrap_or_default());
    for argument in arguments {
        command.arg(argument);
    }
    if let Some(environment) = environment {
        command.environment(strings(environment));
    }
    if let Some(directory) = directory {
        command.directory(OsStr::from_bytes(directory.to_bytes()));
    }
    let [stdin, stdout, stderr] = streams.streams;
    if let Some(stream) = stdin {
        command.stdin(stream);
    }
    if let Some(stream) = stdout {
        command.stdout(stream);
    }
    if let Some(stream) = stderr {
        command.stderr(stream);
    }
    command
}

/// `(description, key)` → arguments, environment or nil, directory or nil
unsafe extern "C-unwind" fn read(L: *mut lua_State) -> c_int {
    // SAFETY: called by `execute`, whose frame has the key. Each field may run anything.
    unsafe {
        let state = StateRef::of(L);
        // A debugger may have got hold of this function.
        if ffi::lua_type(L, 2) != ffi::LUA_TLIGHTUSERDATA || ffi::lua_touserdata(L, 2).is_null() {
            raise_text(L, READING, c"table or string expected");
        }
        let key = *ffi::lua_touserdata(L, 2).cast::<Key>();
        ffi::lua_settop(L, 1);
        // From index 2 on: program, directory, arguments, environment.
        ffi::lua_getfield(L, 1, c"execfile".as_ptr());
        if !is_string(L, -1) {
            raise_text(L, READING, c"bad field execfile (must be a string)");
        }
        ffi::lua_getfield(L, 1, c"runpath".as_ptr());
        if ffi::lua_isnil(L, -1) == 0 && !is_string(L, -1) {
            raise_text(L, READING, c"bad field runpath (must be a string)");
        }
        for (index, name) in NAMES.into_iter().enumerate() {
            ffi::lua_getfield(L, 1, name.as_ptr());
            read_stream(L, state, key, index);
            ffi::lua_settop(L, 3);
        }
        read_arguments(L);
        ffi::lua_getfield(L, 1, c"environment".as_ptr());
        match ffi::lua_type(L, -1) {
            ffi::LUA_TNIL => {}
            ffi::LUA_TTABLE => push_packed(L, READING, 5),
            _ if is_packed(L, state, -1) => {}
            _ => type_error_of(L, READING, 3, ffi::lua_gettop(L), Class::Environment.name()),
        }
        ffi::lua_pushvalue(L, 4);
        ffi::lua_insert(L, -2);
        ffi::lua_pushvalue(L, 3);
        3
    }
}

/// Whether the value at `index` is a string, or a number, which is made one there.
unsafe fn is_string(L: *mut lua_State, index: c_int) -> bool {
    // SAFETY: any value may stand there.
    unsafe { !ffi::lua_tolstring(L, index, std::ptr::null_mut()).is_null() }
}

/// Pushes a block of the program, at 2, and the field `arguments`. [-0, +1] Raises.
unsafe fn read_arguments(L: *mut lua_State) {
    // SAFETY: the list is ours.
    unsafe {
        ffi::lua_getfield(L, 1, c"arguments".as_ptr());
        ffi::lua_createtable(L, 4, 0);
        ffi::lua_pushvalue(L, 2);
        ffi::lua_rawseti(L, 5, 1);
        let mut count = 0;
        match ffi::lua_type(L, 4) {
            ffi::LUA_TNIL => {}
            ffi::LUA_TTABLE => {
                #[allow(clippy::useless_conversion, reason = "5.2 has another type")]
                let len = i64::from(ffi::luaL_len(L, 4));
                while count < len {
                    count += 1;
                    ffi::lua_pushinteger(L, count as ffi::lua_Integer);
                    ffi::lua_gettable(L, 4);
                    if !is_string(L, -1) {
                        let format = c"bad value #%d in field 'arguments' (must be a string)";
                        ffi::lua_pushfstring(L, format.as_ptr(), count as c_int);
                        raise(L, READING);
                    }
                    ffi::lua_rawseti(L, 5, count as ffi::lua_Integer + 1);
                }
            }
            _ => crate::raw::args::bad(L, READING, 1, c"field 'arguments' must be a table"),
        }
        push_block(L, 5, count as ffi::lua_Integer + 1);
        ffi::lua_replace(L, 4);
        ffi::lua_settop(L, 4);
    }
}

/// Keeps a stream for the child, or why there is none.
unsafe fn keep(
    L: *mut lua_State,
    state: StateRef,
    key: Key,
    index: usize,
    stream: impl FnOnce(&System) -> Result<Stdio>,
) {
    // SAFETY: no Lua is called.
    unsafe {
        state.with(L, |state| {
            let system = state.system();
            let stream = stream(system);
            if let Some(streams) = system.held::<Streams>(key) {
                match stream {
                    Ok(stream) => streams.streams[index] = Some(stream),
                    Err(error) => streams.failure = streams.failure.or(Some(error)),
                }
            }
        });
    }
}

/// Reads a stream, whose field is on the top. Raises.
unsafe fn read_stream(L: *mut lua_State, state: StateRef, key: Key, index: usize) {
    // SAFETY: the value stays on the stack.
    unsafe {
        let name = NAMES[index];
        match ffi::lua_type(L, -1) {
            ffi::LUA_TNIL => return,
            ffi::LUA_TBOOLEAN if ffi::lua_toboolean(L, -1) != 0 => {
                ffi::lua_pushfstring(L, c"bad field %s (got true)".as_ptr(), name.as_ptr());
                raise(L, READING);
            }
            ffi::LUA_TSTRING => return make_stream(L, state, key, index),
            ffi::LUA_TUSERDATA => {
                if let Some(fd) = file_descriptor(L, -1) {
                    // SAFETY: a file that is open has its descriptor.
                    let stream = |_: &System| match fd {
                        Some(fd) => process::stream(BorrowedFd::borrow_raw(fd)),
                        None => Err(Error::from_code(libc::EINVAL)),
                    };
                    return keep(L, state, key, index, stream);
                }
                for class in [Class::TcpStream, Class::LocalStream] {
                    if let Some(socket) = to_object::<Socket>(L, state, -1, class) {
                        let source = (*socket).source();
                        let stream = |system: &System| {
                            let fd = system.core.fd(source).ok_or(Error::from_code(libc::EINVAL))?;
                            process::stream(fd)
                        };
                        return keep(L, state, key, index, stream);
                    }
                }
            }
            _ => {}
        }
        if ffi::lua_getmetatable(L, -1) != 0 {
            ffi::lua_pushfstring(L, c"bad field %s (invalid stream)".as_ptr(), name.as_ptr());
            raise(L, READING);
        }
        keep(L, state, key, index, |_| Ok(Stdio::null()));
    }
}

/// Makes a pair of streams as the letters on the top say, and puts this end into their place. Raises.
unsafe fn make_stream(L: *mut lua_State, state: StateRef, key: Key, index: usize) {
    // SAFETY: the object is there before the streams are, so that nothing is lost.
    unsafe {
        let name = NAMES[index];
        let (mut read, mut write, mut share) = (false, false, false);
        for letter in text(L, -1).to_bytes() {
            match letter {
                b'r' => read = true,
                b'w' => write = true,
                b's' => share = true,
                other => {
                    let message = ffi::lua_pushfstring(L, c"unknown '%s' mode char".as_ptr(), name.as_ptr());
                    raise_byte(L, READING, CStr::from_ptr(message), *other);
                }
            }
        }
        let (class, domain) = match share {
            true => (Class::ShareStream, Domain::Share),
            false => (Class::LocalStream, Domain::Local),
        };
        let socket = socket::push_empty(L, class, domain);
        (*socket).set_closed();
        let made = state.with(L, |state| {
            let system = state.system();
            let made = system.core.local_pair(read, write);
            let streams = system.held::<Streams>(key)?;
            match made {
                Ok((source, theirs)) => {
                    streams.streams[index] = Some(Stdio::from(theirs));
                    Some(source)
                }
                Err(error) => {
                    streams.failure = streams.failure.or(Some(error));
                    None
                }
            }
        });
        if let Some(source) = made {
            (*socket).open(source);
            ffi::lua_setfield(L, 1, name.as_ptr());
        }
    }
}

/// The descriptor of the Lua file at `index`: `None` if it is no such file, or that if it is closed.
unsafe fn file_descriptor(L: *mut lua_State, index: c_int) -> Option<Option<c_int>> {
    // SAFETY: a userdata with the metatable of Lua's files has a stream in it, if it is large enough.
    unsafe {
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        const WORDS: usize = 1;
        // The stream, and the function that closes it, which is null for one that is closed.
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        const WORDS: usize = 2;
        if ffi::lua_getmetatable(L, index) == 0 {
            return None;
        }
        ffi::lua_getfield(L, ffi::LUA_REGISTRYINDEX, c"FILE*".as_ptr());
        let is_file = ffi::lua_rawequal(L, -1, -2) != 0;
        ffi::lua_pop(L, 2);
        if !is_file || (ffi::lua_rawlen(L, index) as usize) < WORDS * size_of::<*mut c_void>() {
            return None;
        }
        let words = ffi::lua_touserdata(L, index).cast::<*mut libc::FILE>();
        if (0..WORDS).any(|word| (*words.add(word)).is_null()) {
            return Some(None);
        }
        let fd = libc::fileno(*words);
        Some((fd >= 0).then_some(fd))
    }
}
