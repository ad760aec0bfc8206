//! `system.procinfo` (30 §3).

use crate::raw::error::{DIRECT, raise, raise_byte};
use crate::raw::{Functions, args, c_int, lua_State};
use crate::state::StateRef;
use crate::system::held;
use crate::system::push_message;
use coutil_system::info::{self, Uname, Usage, User};
use coutil_system::{Error, Result};
use mlua::ffi;
use std::ffi::CStr;
use std::os::unix::ffi::OsStringExt;

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"procinfo", process_info)];

/// What was found out in a call: each thing once.
#[derive(Default)]
struct Snapshot {
    executable: Option<Vec<u8>>,
    temporary: Option<Vec<u8>>,
    uname: Option<Uname>,
    user: Option<User>,
    usage: Option<Usage>,
    load: Option<[f64; 3]>,
    uptime: Option<f64>,
    total: Option<u64>,
    available: Option<u64>,
    limit: Option<u64>,
    resident: Option<u64>,
    parent: Option<u32>,
}

/// What a letter stands for. A text is in the snapshot.
#[derive(Clone, Copy)]
enum Value {
    Integer(i64),
    Number(f64),
    Text(*const u8, usize),
}

fn text(bytes: &[u8]) -> Value {
    Value::Text(bytes.as_ptr(), bytes.len())
}

/// A number without a sign, with the bits that it has.
fn integer(number: u64) -> Value {
    Value::Integer(number as i64)
}

/// What was found out before, or is now.
fn once<T>(place: &mut Option<T>, find: impl FnOnce() -> Result<T>) -> Result<&T> {
    match place {
        Some(found) => Ok(found),
        None => Ok(place.insert(find()?)),
    }
}

impl Snapshot {
    /// `None`: there is no such letter.
    fn value(&mut self, letter: u8) -> Option<Result<Value>> {
        let value = match letter {
            b'e' => once(&mut self.executable, || Ok(info::executable()?.into_vec())).map(|path| text(path)),
            b'T' => once(&mut self.temporary, || Ok(info::temporary_directory())).map(|path| text(path)),
            b'n' | b'h' | b'k' | b'v' | b'V' => once(&mut self.uname, || Ok(info::uname())).map(|uname| {
                text(
                    match letter {
                        b'n' => uname.nodename(),
                        b'h' => uname.machine(),
                        b'k' => uname.sysname(),
                        b'v' => uname.release(),
                        _ => uname.version(),
                    }
                    .to_bytes(),
                )
            }),
            b'$' | b'H' | b'U' | b'u' | b'g' => once(&mut self.user, info::user).map(|user| match letter {
                b'$' => text(&user.shell),
                b'H' => text(&user.home),
                b'U' => text(&user.name),
                b'u' => Value::Integer(user.uid.into()),
                _ => Value::Integer(user.gid.into()),
            }),
            b'1' | b'l' | b'L' => {
                let index = match letter {
                    b'1' => 0,
                    b'l' => 1,
                    _ => 2,
                };
                once(&mut self.load, info::load).map(|load| Value::Number(load[index]))
            }
            b't' => once(&mut self.uptime, info::uptime).map(|seconds| Value::Number(*seconds)),
            b'#' => Ok(Value::Integer(std::process::id().into())),
            b'^' => once(&mut self.parent, || Ok(std::os::unix::process::parent_id()))
                .map(|pid| Value::Integer((*pid).into())),
            b'b' => once(&mut self.total, info::total_memory).map(|bytes| integer(*bytes)),
            b'f' => once(&mut self.available, info::available_memory).map(|bytes| integer(*bytes)),
            b'M' => {
                once(&mut self.limit, || Ok(info::memory_limit().unwrap_or(0))).map(|bytes| integer(*bytes))
            }
            b'r' => once(&mut self.resident, info::resident_memory).map(|bytes| integer(*bytes)),
            _ => {
                let field: fn(&Usage) -> Value = match letter {
                    b'=' => |usage| Value::Integer(usage.stack_memory),
                    b'd' => |usage| Value::Integer(usage.data_memory),
                    b'm' => |usage| Value::Integer(usage.shared_memory),
                    b'R' => |usage| Value::Integer(usage.resident_peak),
                    b'<' => |usage| Value::Integer(usage.received),
                    b'>' => |usage| Value::Integer(usage.sent),
                    b'i' => |usage| Value::Integer(usage.inputs),
                    b'o' => |usage| Value::Integer(usage.outputs),
                    b'p' => |usage| Value::Integer(usage.minor_faults),
                    b'P' => |usage| Value::Integer(usage.major_faults),
                    b'S' => |usage| Value::Integer(usage.signals),
                    b'w' => |usage| Value::Integer(usage.swaps),
                    b'x' => |usage| Value::Integer(usage.waits),
                    b'X' => |usage| Value::Integer(usage.preemptions),
                    b'c' => |usage| Value::Number(usage.user_time),
                    b's' => |usage| Value::Number(usage.system_time),
                    _ => return None,
                };
                once(&mut self.usage, info::usage).map(field)
            }
        };
        Some(value)
    }
}

/// `procinfo(which)` → a value for each letter
unsafe extern "C-unwind" fn process_info(L: *mut lua_State) -> c_int {
    // SAFETY: the letters stay on the stack. Texts are held until Lua has copied them.
    unsafe {
        let state = StateRef::of(L);
        args::check_string(L, DIRECT, 1);
        let letters = CStr::from_ptr(ffi::lua_tostring(L, 1)).to_bytes();
        let count = c_int::try_from(letters.len()).unwrap_or(c_int::MAX - 100);
        ffi::luaL_checkstack(L, count + 10, c"too many values to return".as_ptr());
        let key = held::push(L);
        state.with(L, |state| state.system().hold(key, Snapshot::default()));
        for letter in letters {
            let value = state.with(L, |state| match state.system().held::<Snapshot>(key) {
                Some(snapshot) => snapshot.value(*letter),
                None => Some(Err(Error::CANCELED)),
            });
            match value {
                Some(Ok(Value::Integer(number))) => ffi::lua_pushinteger(L, number as ffi::lua_Integer),
                Some(Ok(Value::Number(number))) => ffi::lua_pushnumber(L, number),
                Some(Ok(Value::Text(bytes, len))) => {
                    ffi::lua_pushlstring(L, bytes.cast(), len);
                }
                Some(Err(error)) => {
                    push_message(L, error);
                    raise(L, DIRECT)
                }
                None => raise_byte(L, DIRECT, c"unknown mode char", *letter),
            }
        }
        held::drop_held(state, key);
        count
    }
}
