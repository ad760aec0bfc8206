//! Channels, thread pools and state coroutines (spec: 20).
//!
//! Independent states are made here ([`independent`]); what crosses between states is a [`transfer`] of owned values; who meets
//! whom is up to `coutil-channel`, and which task has a thread up to `coutil-threads`.

pub(crate) mod awaitch;
pub(crate) mod channel;
pub(crate) mod chunk;
pub(crate) mod coroutine;
pub(crate) mod independent;
pub(crate) mod openers;
pub(crate) mod pool;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod shared;
pub(crate) mod task;
pub(crate) mod transfer;
pub(crate) mod warning;

use crate::raw::Functions;
use crate::system::System;
use coutil_threads::Pool;
use rustc_hash::FxHashMap;
use shared::Shared;
use std::sync::Arc;

/// The functions of `coutil.system` that are from here.
pub(crate) const AWAITS: Functions<'_> = &[(c"awaitch", awaitch::awaitch), (c"resume", resume::resume)];

/// So much stack has a thread that runs Lua: as the main thread of a program has, since Lua's limits are made for that.
pub(crate) const STACK: usize = 8 << 20;

/// What the library keeps of this for a Lua state. When the state ends, what is here ends in the order of 20 §1.14.
///
/// The objects in Lua are only names of what is here, by their addresses: so it does not matter what somebody does with their
/// metatables.
#[derive(Default)]
pub(crate) struct Related {
    pub(crate) shared: Option<Arc<Shared>>,
    pub(crate) is_root: bool,
    pub(crate) channels: FxHashMap<usize, channel::Open>,
    pub(crate) coroutines: FxHashMap<usize, coroutine::Owned>,
    /// `None` when it was closed.
    pub(crate) pools: Vec<Option<Pool>>,
    /// How often the loop looked what had come from other threads.
    pub(crate) round: u64,
    /// The chunk of the task whose `run` may yield, see [`run`].
    pub(crate) yields: bool,
    /// This is a child of a fork, and what it shared with others was left to its parent.
    pub(super) left: bool,
}

impl System {
    /// In a child of a fork: whoever had the lock of the channels then does not give it back. So what the parent shares, its channels
    /// among that, is left as it is; objects of them are closed. If something is shared from now on, it is the child's own.
    #[inline]
    pub(crate) fn leave_relatives(&mut self) {
        if self.core.is_foreign() && !self.related.left {
            self.leave_them();
        }
    }

    #[cold]
    fn leave_them(&mut self) {
        self.related.left = true;
        self.related.is_root = false;
        std::mem::forget(self.related.shared.take());
        std::mem::forget(std::mem::take(&mut self.related.channels));
        self.tasks.leave_exchanges();
    }
}

impl Drop for Related {
    fn drop(&mut self) {
        // Those that run are waited for.
        self.coroutines.clear();
        for pool in self.pools.drain(..).flatten() {
            let suspended = pool.close();
            if let Some(shared) = &self.shared {
                shared.keep(suspended);
            }
        }
        self.channels.clear();
        if self.is_root
            && let Some(shared) = &self.shared
        {
            shared.end();
        }
    }
}
