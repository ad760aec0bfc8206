//! `file:read` and `file:write` (60 §4.2, §4.3).
//!
//! A memory may be changed, resized, closed or collected while another thread is at work, and a call that was given up goes on.
//! So what is read comes into a buffer of the library, and is copied to what is still there of the memory when the coroutine gets
//! it; and what is written is copied before, but for long strings, which are [lent](super::loan). In blocking mode nothing can happen meanwhile, and the bytes are used where they are.

use super::Shared;
use super::call::{check_manner, operation, perform, perform_op};
use super::loan::{Loan, lend};
use super::object::{check_open, to_file};
use crate::memory::object::{Memory, check_array};
use crate::memory::range::{Span, span};
use crate::raw::error::{AWAIT, type_error};
use crate::raw::{args, c_int, lua_State};
use crate::state::StateRef;
use crate::system::stream::Data;
use crate::system::task::Output;
use crate::system::time::check_blocking;
use crate::system::wait::Operation;
use crate::system::{System, What, push_failure};
use coutil_system::{Error, Result};
use mlua::ffi;
use std::sync::Arc;

/// What is to be told of bytes that came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    /// How many were placed.
    Count,
    /// The memory.
    Memory,
}

/// Bytes for a memory.
pub(super) struct Bytes {
    pub(super) buffer: Vec<u8>,
    /// How many of them there are.
    pub(super) result: Result<usize>,
}

impl Output for Bytes {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: as the callee. What is pushed for success `place` says.
        unsafe {
            match self.result {
                Ok(_) => 0,
                Err(error) => push_failure(L, error),
            }
        }
    }

    fn take_buffer(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.buffer), self.result.unwrap_or(0))
    }
}

/// Copies bytes to where they are to be in a memory, as far as that is still there, and returns how many they were.
pub(crate) unsafe fn place(memory: Memory, span: Span, bytes: &[u8]) -> usize {
    // SAFETY: the memory is anchored by the operation.
    unsafe {
        let (memory, len) = memory.bytes();
        let span = span.within(len);
        let count = span.len.min(bytes.len());
        memory.add(span.start).copy_from_nonoverlapping(bytes.as_ptr(), count);
        count
    }
}

impl super::Files {
    /// A buffer of that length, maybe with bytes of an earlier one.
    pub(super) fn buffer(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut buffer = std::mem::take(&mut self.spare);
        if buffer.len() < len {
            // As zeros from the system they cost nothing until they are used. Where there is no memory `vec!` would end the process.
            buffer = Vec::new();
            buffer.try_reserve_exact(len).map_err(|_| Error::from_code(libc::ENOMEM))?;
            drop(buffer);
            buffer = vec![0; len];
        }
        Ok(buffer)
    }

    /// Keeps a buffer for the next call.
    pub(crate) fn keep(&mut self, buffer: Vec<u8>) {
        /// Longer ones are not kept.
        const LIMIT: usize = 1 << 20;
        if buffer.len() <= LIMIT && buffer.len() > self.spare.len() {
            self.spare = buffer;
        }
    }
}

/// The offset at `arg`; `None` is the position of the file. Raises.
unsafe fn opt_offset(L: *mut lua_State, arg: c_int) -> Option<u64> {
    // SAFETY: as the callee.
    unsafe { u64::try_from(args::opt_integer(L, AWAIT, arg, -1)).ok() }
}

/// The results of a call that was made at once. [-0, +1 or 3]
unsafe fn push_count(L: *mut lua_State, result: Result<usize>) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        match result {
            Ok(count) => {
                ffi::lua_pushinteger(L, count as ffi::lua_Integer);
                1
            }
            Err(error) => push_failure(L, error),
        }
    }
}

/// `read(buffer [, i [, j [, offset [, mode]]]])` → count
pub(super) unsafe extern "C-unwind" fn read(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The memory is anchored while the coroutine waits.
    unsafe {
        let state = StateRef::of(L);
        let blocking = check_blocking(L, AWAIT, 6);
        check_manner(L, blocking);
        let id = check_open(L, state);
        let offset = opt_offset(L, 5);
        let Some(memory) = Memory::find(L, 2) else { type_error(L, AWAIT, 2, c"memory") };
        let i = args::opt_integer(L, AWAIT, 3, 1);
        let j = args::opt_integer(L, AWAIT, 4, -1);
        let (bytes, len) = memory.bytes();
        let span = span(i, j, len);
        if blocking {
            let result = state.with(L, |state| {
                let buffer = std::slice::from_raw_parts_mut(bytes.add(span.start), span.len);
                match state.system().files.get(id) {
                    Some(file) => file.read(buffer, offset),
                    None => Err(Error::from_code(libc::EBADF)),
                }
            });
            return push_count(L, result);
        }
        let what = What::Fill { memory, span, filled: Filled::Count };
        let operation = Operation { what, ..operation(1, 2) };
        perform(L, state, false, operation, move |system: &mut System| {
            let file = system.files.share(id);
            let buffer = system.files.buffer(span.len);
            move || match (file, buffer) {
                (Ok(file), Ok(mut buffer)) => {
                    let result = file.read(&mut buffer[..span.len], offset);
                    Bytes { buffer, result }
                }
                (Err(error), _) | (_, Err(error)) => Bytes { buffer: Vec::new(), result: Err(error) },
            }
        })
    }
}

/// Strings of that length are lent to the thread that writes, and not copied.
const LENT: usize = 32 * 1024;

/// What is to be written, and where.
enum Writing {
    Copied(Result<Shared>, Result<Vec<u8>>, usize, Option<u64>),
    Lent(Result<Shared>, Arc<Loan>, Option<u64>),
}

impl Writing {
    fn run(self) -> Written {
        match self {
            Self::Copied(Ok(file), Ok(buffer), len, offset) => {
                Written { result: file.write(&buffer[..len], offset), buffer }
            }
            Self::Lent(Ok(file), loan, offset) => {
                let result = loan.with(|bytes| file.write(bytes, offset)).unwrap_or(Err(Error::CANCELED));
                Written { result, buffer: Vec::new() }
            }
            Self::Copied(Err(error), ..) | Self::Copied(_, Err(error), ..) | Self::Lent(Err(error), ..) => {
                Written { result: Err(error), buffer: Vec::new() }
            }
        }
    }
}

/// What `write` results in.
struct Written {
    result: Result<usize>,
    buffer: Vec<u8>,
}

impl Output for Written {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: as the callee.
        unsafe { push_count(L, self.result) }
    }

    fn take_buffer(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.buffer), 0)
    }
}

/// `write(data [, i [, j [, offset [, mode]]]])` → count
pub(super) unsafe extern "C-unwind" fn write(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The data stand on the stack until they are copied.
    unsafe {
        let state = StateRef::of(L);
        let blocking = check_blocking(L, AWAIT, 6);
        check_manner(L, blocking);
        let id = check_open(L, state);
        if let Some(source) = to_file(L, state, 2) {
            return write_file(L, state, blocking, id, source);
        }
        let offset = opt_offset(L, 5);
        let memory = Memory::find(L, 2);
        if memory.is_none() {
            check_array(L, AWAIT, 2);
        }
        let i = args::opt_integer(L, AWAIT, 3, 1);
        let j = args::opt_integer(L, AWAIT, 4, -1);
        let data = memory.map_or_else(|| Data::of(L, 2), Data::Memory);
        if blocking {
            let result = state.with(L, |state| match state.system().files.get(id) {
                Some(file) => file.write(data.region(i, j), offset),
                None => Err(Error::from_code(libc::EBADF)),
            });
            return push_count(L, result);
        }
        let mut loan = 0;
        if let Data::String(..) = data {
            let bytes = data.region(i, j);
            let storage = |file: &Shared| file.is_storage();
            if bytes.len() >= LENT && state.with(L, |state| state.system().files.get(id).is_some_and(storage))
            {
                loan = lend(L, state, 2, bytes);
            }
        }
        perform_op(
            L,
            state,
            operation(1, 2),
            move |system: &mut System, op| {
                let file = system.files.share(id);
                let bytes = data.region(i, j);
                let lent = if loan > 0 { system.files.loans.begin(loan, op) } else { None };
                if let Some(lent) = lent {
                    return Writing::Lent(file, lent, offset);
                }
                let buffer = system.files.buffer(bytes.len()).map(|mut buffer| {
                    buffer[..bytes.len()].copy_from_slice(bytes);
                    buffer
                });
                Writing::Copied(file, buffer, bytes.len(), offset)
            },
            Writing::run,
        )
    }
}

/// `write(file, i, j)`: copies bytes of another file.
unsafe fn write_file(L: *mut lua_State, state: StateRef, blocking: bool, id: u64, source: u64) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let i = args::check_integer(L, AWAIT, 3);
        let j = args::check_integer(L, AWAIT, 4);
        if j < i {
            args::bad(L, AWAIT, 4, c"invalid range");
        }
        perform(L, state, blocking, operation(1, 2), move |system: &mut System| {
            let files: Result<(Shared, Shared)> =
                system.files.share(id).and_then(|file| Ok((file, system.files.share(source)?)));
            move || -> Result<u64> {
                let (file, source) = files?;
                // Counted from 1; there is nothing before.
                let offset =
                    u64::try_from(i.saturating_sub(1)).map_err(|_| Error::from_code(libc::EINVAL))?;
                file.copy_from(&source, Some(offset), j.abs_diff(i).saturating_add(1))
            }
        })
    }
}
