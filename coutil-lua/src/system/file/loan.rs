//! Texts that another thread writes from where they are: strings do not move, and do not change.
//!
//! A string that is lent is anchored in a table of the state until the thread is done with it, whatever becomes of the coroutine.
//! When that gives up, a call that has not begun never looks at the string. When the Lua state is closed, that waits for
//! the calls that have begun: they are writes to files on disks, which come to an end.

use crate::raw::{c_int, lua_State};
use crate::state::{self, StateRef, field};
use coutil_system::core::OpId;
use mlua::ffi;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    /// The thread reads the text.
    Running,
    /// Nobody is to look at it any more.
    Over,
}

/// A text that is lent to another thread.
pub(super) struct Loan {
    phase: Mutex<Phase>,
    over: Condvar,
    bytes: *const u8,
    len: usize,
}

// SAFETY: the bytes are read by one thread only, in `with`, and not before `Running`, nor after `Over`. Until then the string is
// anchored, or the Lua state waits before it frees it.
unsafe impl Send for Loan {}
// SAFETY: as above.
unsafe impl Sync for Loan {}

impl Loan {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f` with the text; `None` if it is too late for that.
    pub(super) fn with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        /// Ends the loan also when `f` panics.
        struct End<'a>(&'a Loan);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                *self.0.phase() = Phase::Over;
                self.0.over.notify_all();
            }
        }
        {
            let mut phase = self.phase();
            if *phase != Phase::Waiting {
                return None;
            }
            *phase = Phase::Running;
        }
        let _end = End(self);
        // SAFETY: the phase is `Running`.
        Some(f(unsafe { std::slice::from_raw_parts(self.bytes, self.len) }))
    }

    /// A call that has not begun never does. Whether nobody looks at the text any more.
    fn revoke(&self) -> bool {
        let mut phase = self.phase();
        if *phase == Phase::Waiting {
            *phase = Phase::Over;
        }
        *phase == Phase::Over
    }

    /// Waits until nobody looks at the text.
    fn wait(&self) {
        let mut phase = self.phase();
        while *phase == Phase::Running {
            phase = self.over.wait(phase).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Lent {
    /// The key of its anchor.
    id: u64,
    op: OpId,
    loan: Arc<Loan>,
}

/// What is lent.
#[derive(Default)]
pub(crate) struct Loans {
    list: Vec<Lent>,
    last: u64,
    /// The one whose operation is about to start.
    lending: u64,
}

impl Drop for Loans {
    fn drop(&mut self) {
        for lent in &self.list {
            if !lent.loan.revoke() {
                lent.loan.wait();
            }
        }
    }
}

impl Loans {
    /// The loan that was prepared, for the thread; `None` if it was forgotten meanwhile.
    pub(super) fn begin(&mut self, id: u64, op: OpId) -> Option<Arc<Loan>> {
        self.lending = 0;
        let lent = self.list.iter_mut().find(|lent| lent.id == id)?;
        lent.op = op;
        Some(lent.loan.clone())
    }

    /// In a child of a fork: the threads that look at texts are not there, nor do they give locks back.
    pub(crate) fn leave(&mut self) {
        std::mem::forget(std::mem::take(&mut self.list));
    }

    /// Nobody waits for an operation any more.
    pub(crate) fn give_up(&mut self, op: OpId) {
        for lent in &self.list {
            if lent.op == op {
                lent.loan.revoke();
            }
        }
    }

    /// One that is over.
    fn ended(&self) -> Option<usize> {
        self.list.iter().position(|lent| {
            lent.id != self.lending
                && (Arc::strong_count(&lent.loan) == 1 || *lent.loan.phase() == Phase::Over)
        })
    }

    /// Whether there is something for [`sweep`].
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        !self.list.is_empty() && self.ended().is_some()
    }
}

/// Prepares a loan of bytes of the string at `index`. Returns its number. [-0, +0] Raises for memory.
pub(super) unsafe fn lend(L: *mut lua_State, state: StateRef, index: c_int, bytes: &[u8]) -> u64 {
    // SAFETY: the string is anchored before anybody can begin with it.
    unsafe {
        let (bytes, len) = (bytes.as_ptr(), bytes.len());
        let id = state.with(L, |state| {
            let loans = &mut state.system().files.loans;
            loans.last += 1;
            let loan = Loan { phase: Mutex::new(Phase::Waiting), over: Condvar::new(), bytes, len };
            loans.list.push(Lent { id: loans.last, op: OpId::NONE, loan: Arc::new(loan) });
            loans.lending = loans.last;
            loans.last
        });
        state::push_field(L, field::LOANS);
        ffi::lua_pushvalue(L, index);
        ffi::lua_rawseti(L, -2, id as ffi::lua_Integer);
        ffi::lua_pop(L, 1);
        id
    }
}

/// Lets go the strings that nobody looks at any more. [-0, +0]
pub(crate) unsafe fn sweep(L: *mut lua_State, state: StateRef) {
    // SAFETY: to set nil takes no memory.
    unsafe {
        state::push_field(L, field::LOANS);
        loop {
            let ended = state.touch(|state| {
                let loans = &mut state.system().files.loans;
                let index = loans.ended()?;
                Some(loans.list.swap_remove(index).id)
            });
            let Some(id) = ended else { break };
            ffi::lua_pushnil(L);
            ffi::lua_rawseti(L, -2, id as ffi::lua_Integer);
        }
        ffi::lua_pop(L, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(text: &[u8]) -> Arc<Loan> {
        let (bytes, len) = (text.as_ptr(), text.len());
        Arc::new(Loan { phase: Mutex::new(Phase::Waiting), over: Condvar::new(), bytes, len })
    }

    #[test]
    fn what_was_given_up_is_never_looked_at() {
        let loan = lent(b"text");
        assert!(loan.revoke());
        assert_eq!(loan.with(<[u8]>::len), None);
        loan.wait();
    }

    #[test]
    fn what_has_begun_is_waited_for() {
        let text = b"text".to_vec();
        let loan = lent(&text);
        let (begin, begun) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let thread = {
            let loan = loan.clone();
            std::thread::spawn(move || {
                loan.with(|text| {
                    begin.send(()).unwrap();
                    gone.recv().unwrap();
                    text.to_vec()
                })
            })
        };
        begun.recv().unwrap();
        assert!(!loan.revoke());
        let loans = Loans { list: vec![Lent { id: 1, op: OpId::NONE, loan }], last: 1, lending: 0 };
        assert!(!loans.has_ended());
        go.send(()).unwrap();
        drop(loans);
        drop(text);
        assert_eq!(thread.join().unwrap().unwrap(), b"text");
    }

    #[test]
    fn a_panic_ends_a_loan() {
        let loan = lent(b"text");
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| loan.with(|_| panic!("of the test"))));
        assert!(panicked.is_err());
        loan.wait();
        assert!(loan.revoke());
    }
}
