//! `system.random` (30 §2).

use super::call::{check_manner, operation, perform};
use super::transfer::{Bytes, Filled};
use crate::memory::object::Memory;
use crate::memory::range::span;
use crate::raw::error::{AWAIT, type_error};
use crate::raw::{args, c_int, lua_State};
use crate::state::StateRef;
use crate::system::time::check_blocking;
use crate::system::wait::Operation;
use crate::system::{System, What, push_result};
use coutil_system::{Error, Result, random as fill};
use mlua::ffi;

/// More cannot be asked for at a time.
const LIMIT: usize = 0x7fff_ffff;

/// `random(buffer [, i [, j [, mode]]])` → buffer
pub(super) unsafe extern "C-unwind" fn random(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The memory is anchored while the coroutine waits.
    unsafe {
        let state = StateRef::of(L);
        let blocking = check_blocking(L, AWAIT, 4);
        check_manner(L, blocking);
        let Some(memory) = Memory::find(L, 1) else { type_error(L, AWAIT, 1, c"memory") };
        let i = args::opt_integer(L, AWAIT, 2, 1);
        let j = args::opt_integer(L, AWAIT, 3, -1);
        let (bytes, len) = memory.bytes();
        let span = span(i, j, len);
        if blocking {
            let result =
                crate::raw::run(L, || fill(std::slice::from_raw_parts_mut(bytes.add(span.start), span.len)));
            if result.is_err() {
                return push_result(L, result);
            }
            ffi::lua_pushvalue(L, 1);
            return 1;
        }
        let what = What::Fill { memory, span, filled: Filled::Memory };
        let operation = Operation { what, ..operation(0, 1) };
        perform(L, state, false, operation, move |system: &mut System| {
            let buffer: Result<Vec<u8>> = match span.len {
                0..=LIMIT => system.files.buffer(span.len),
                _ => Err(Error::from_code(libc::E2BIG)),
            };
            move || match buffer {
                Ok(mut buffer) => {
                    let result = fill(&mut buffer[..span.len]).map(|()| span.len);
                    Bytes { buffer, result }
                }
                Err(error) => Bytes { buffer: Vec::new(), result: Err(error) },
            }
        })
    }
}
