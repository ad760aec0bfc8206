//! `system.awaitch` (20 §5): an exchange that may wait.

use super::channel::{check, check_endpoint, is_in_use, raise_refused};
use super::shared::Exchange;
use super::transfer::{Refused, Transfer};
use crate::raw::error::AWAIT;
use crate::raw::{args, c_int, guard, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use crate::system::task::{AnyOutput, Output, Running};
use crate::system::wait::{self, OnLoop, Operation};
use crate::system::{System, What};
use coutil_channel::core::Endpoint;
use coutil_system::Result;
use coutil_system::core::OpId;
use std::sync::Arc;
use std::task::Waker;

/// `awaitch(ch [, endpoint, ...])` → true, ...
///
/// The operation is prepared before it is looked whether somebody waits to be met, as that may run finalizers; if somebody does,
/// it is given up.
pub(super) unsafe extern "C-unwind" fn awaitch(L: *mut lua_State) -> c_int {
    enum Met {
        Yes(Transfer),
        No,
        Refused(Refused),
        Closed,
    }
    // SAFETY: arguments are checked. The channel is not closed while the exchange is tried, which calls nothing of this state.
    unsafe {
        check_yieldable(L);
        let state = StateRef::of(L);
        let object = check(L, AWAIT, state, 1);
        if state.touch(|state| is_in_use(state.system(), object, L)) {
            args::bad(L, AWAIT, 1, c"in use");
        }
        let endpoint = check_endpoint(L, AWAIT);
        wait::check_process(L, state);
        let operation = Operation::on(1, What::Channel { object });
        let op = wait::prepare(L, state, &operation);
        let met = guard(|| {
            let values = match Transfer::take(L, 3) {
                Ok(values) => values,
                Err(refused) => return Met::Refused(refused),
            };
            let channel = state.touch(|state| {
                state.system().related.channels.get(&object).map(|open| &raw const open.channel)
            });
            let Some(channel) = channel else { return Met::Closed };
            match (*channel).try_exchange(endpoint, values) {
                Ok(values) => Met::Yes(values),
                Err(values) => {
                    state.touch(|state| state.system().tasks.put(op, Running::Values(values)));
                    Met::No
                }
            }
        });
        if !matches!(met, Ok(Met::No)) {
            wait::give_up(L, state, op);
        }
        match met {
            Ok(Met::Yes(values)) => values.give(L, true),
            Ok(Met::No) => wait::suspend_prepared::<OnLoop>(L, state, op, true, move |system, op| {
                start(system, op, object, endpoint)
            }),
            Ok(Met::Refused(refused)) => raise_refused(L, refused),
            // By a finalizer.
            Ok(Met::Closed) => args::bad(L, AWAIT, 1, c"closed channel"),
            Err(panic) => panic.raise(L),
        }
    }
}

/// Joins the queue; or is matched, if somebody came meanwhile.
fn start(system: &mut System, op: OpId, object: usize, endpoint: Endpoint) -> Result<()> {
    let ender = system.core.park(op);
    let Some(Running::Values(values)) = system.tasks.take_running(op) else { return Ok(()) };
    let Some(open) = system.related.channels.get_mut(&object) else { return Ok(()) };
    open.op = op;
    open.lingers = None;
    let mut exchange = open.channel.exchange(endpoint, values);
    let ender = Arc::new(ender);
    let running = match exchange.take(Some(Waker::from(Arc::clone(&ender)))) {
        Some(values) => {
            ender.end();
            Running::Values(values)
        }
        None => Running::Exchange(exchange),
    };
    system.tasks.put(op, running);
    Ok(())
}

/// What an exchange gave.
pub(crate) fn output(mut exchange: Exchange) -> Option<AnyOutput> {
    exchange.take(None).map(|values| Box::new(values) as AnyOutput)
}

impl Output for Transfer {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: as the callee.
        unsafe { self.push_results(L, true) }
    }
}
