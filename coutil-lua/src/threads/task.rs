//! Tasks of pools: an independent state as a future (20 §7.6, §7.7).

use super::channel::endpoint;
use super::independent::{Independent, Stop};
use super::shared::{Exchange, Name};
use super::transfer::{Refused, Transfer, Value};
use crate::raw::c_int;
use crate::state::StateRef;
use coutil_channel::core::Endpoint;
use mlua::ffi;
use std::ffi::CStr;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What is to be done next.
enum Stage {
    /// Resume the chunk with these values, behind the flag.
    Resume(Transfer, Option<bool>),
    Exchange(Exchange),
    /// `system.run` has yielded the chunk, until something comes for its loop.
    Idle,
}

/// A chunk that a pool runs. When it has ended its state is closed, by the same thread.
pub(crate) struct Task {
    /// `None` when the chunk has ended.
    state: Option<Independent>,
    stage: Stage,
    names: Names,
}

/// The names that the chunk used last: most use few, again and again.
#[derive(Default)]
struct Names([Option<Arc<Name>>; 2]);

impl Names {
    fn get(&mut self, name: &[u8]) -> Arc<Name> {
        if let Some(known) = self.0.iter().flatten().find(|known| known[..] == *name) {
            return Arc::clone(known);
        }
        let new = Arc::new(Name::from(name));
        self.0.rotate_right(1);
        self.0[0] = Some(Arc::clone(&new));
        new
    }
}

impl Drop for Task {
    /// One whose chunk has not ended may be dropped by whoever met it after its pool was closed. That may be a descendant, whose
    /// end the state waits for; and to meet somebody does not wait.
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            state.end();
        }
    }
}

impl Task {
    pub(crate) fn new(state: Independent, values: Transfer) -> Self {
        Self { state: Some(state), stage: Stage::Resume(values, None), names: Names::default() }
    }

    /// The chunk has yielded so many values.
    fn yielded(state: &mut Independent, names: &mut Names, count: c_int, waker: &Waker) -> Stage {
        if count == 0 {
            waker.wake_by_ref();
            return Stage::Resume(Transfer::default(), None);
        }
        let stage = match Self::begin(state, names, count) {
            Ok(Some(mut exchange)) => match exchange.take(Some(waker.clone())) {
                Some(values) => Stage::Resume(values, Some(true)),
                None => return Stage::Exchange(exchange),
            },
            Ok(None) => Stage::Resume(Transfer::default(), None),
            Err(message) => Stage::Resume(Value::String(message.into()).into(), Some(false)),
        };
        // It goes to the end of the queue.
        waker.wake_by_ref();
        stage
    }

    /// Begins the exchange that was asked for, if one was. Takes the values off.
    fn begin(state: &mut Independent, names: &mut Names, count: c_int) -> Result<Option<Exchange>, Vec<u8>> {
        let chunk = state.chunk;
        // SAFETY: the values are there; numbers have become strings. Nothing here raises.
        let (name, endpoint) = unsafe {
            let first = ffi::lua_gettop(chunk) - count + 1;
            if ffi::lua_type(chunk, first) != ffi::LUA_TSTRING {
                ffi::lua_settop(chunk, first - 1);
                return Ok(None);
            }
            let mut len = 0;
            let name = ffi::lua_tolstring(chunk, first, &mut len).cast::<u8>();
            let name = names.get(std::slice::from_raw_parts(name, len));
            let kind = if count > 1 { ffi::lua_type(chunk, first + 1) } else { ffi::LUA_TNIL };
            let endpoint = match kind {
                ffi::LUA_TNIL => Ok(Endpoint::Any),
                ffi::LUA_TSTRING => {
                    let text = CStr::from_ptr(ffi::lua_tostring(chunk, first + 1));
                    endpoint(text).ok_or_else(|| {
                        [b"bad argument #2 (invalid option '", text.to_bytes(), b"')"].concat()
                    })
                }
                kind => {
                    let got = CStr::from_ptr(ffi::lua_typename(chunk, kind)).to_string_lossy();
                    Err(format!("bad argument #2 (string expected, got {got})").into_bytes())
                }
            };
            (name, endpoint)
        };
        let values = state.take(count, 3);
        let endpoint = endpoint?;
        let values = values.map_err(|refused| match refused {
            Refused::Memory => b"not enough memory".to_vec(),
            Refused::Type(index, kind) => {
                // SAFETY: the names of types are static.
                let got = unsafe { CStr::from_ptr(ffi::lua_typename(chunk, kind)) }.to_string_lossy();
                format!("unable to transfer argument #{} (got {got})", index + 2).into_bytes()
            }
        })?;
        Ok(Some(state.context.shared.channels.exchange(name, endpoint, values)))
    }

    /// Has the loop of the state wake the task. False if something came for it meanwhile.
    fn leave_loop(state: &Independent, waker: &Waker) -> bool {
        // SAFETY: nobody runs in the state, which has the library, as `run` yielded.
        unsafe {
            let Some(state) = StateRef::find(state.main()) else { return false };
            state.touch(|state| state.system().core.leave(waker.clone()))
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let waker = context.waker();
        loop {
            let (values, success) = match &mut this.stage {
                Stage::Resume(values, success) => (std::mem::take(values), *success),
                Stage::Exchange(exchange) => match exchange.take(Some(waker.clone())) {
                    Some(values) => (values, Some(true)),
                    None => return Poll::Pending,
                },
                Stage::Idle => (Transfer::default(), None),
            };
            let Some(state) = &mut this.state else { return Poll::Ready(()) };
            let (stop, count) = state.resume(&values, success);
            drop(values);
            if stop != Stop::Yielded {
                drop(this.state.take());
                return Poll::Ready(());
            }
            if !state.context.idle.take() {
                this.stage = Self::yielded(state, &mut this.names, count, waker);
                return Poll::Pending;
            }
            let _ = state.take(count, count + 1);
            this.stage = Stage::Idle;
            if Self::leave_loop(state, waker) {
                return Poll::Pending;
            }
        }
    }
}
