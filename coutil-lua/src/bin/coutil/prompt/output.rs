//! What Lua code writes while a line is being typed: it is shown above that line.
//!
//! Whole lines only, by a thread of its own: the editor takes one message at a time, when it is ready for it.

use super::link::lock;
use std::io::Write;
use std::sync::{Condvar, Mutex, PoisonError};

/// More is not kept: then it is better to spoil the line.
const LIMIT: usize = 1 << 20;

#[derive(Default)]
struct State {
    typing: bool,
    /// Whole lines.
    ready: Vec<u8>,
    /// The beginning of one.
    partial: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

impl Output {
    /// A line is being typed.
    pub(crate) fn begin(&self) {
        lock(&self.state).typing = true;
    }

    /// It is not any more. What was not shown yet is written.
    pub(crate) fn end(&self) {
        let mut state = lock(&self.state);
        state.typing = false;
        let mut rest = std::mem::take(&mut state.ready);
        rest.append(&mut state.partial);
        if !rest.is_empty() {
            let mut output = std::io::stdout();
            let _ = output.write_all(&rest).and_then(|()| output.flush());
        }
    }

    pub(crate) fn is_typing(&self) -> bool {
        lock(&self.state).typing
    }

    /// Shows it above the line. False: none is being typed, so it can be written as usual.
    pub(crate) fn show(&self, text: &[u8]) -> bool {
        let mut state = lock(&self.state);
        if !state.typing || state.ready.len() + state.partial.len() > LIMIT {
            return false;
        }
        state.partial.extend_from_slice(text);
        if let Some(end) = state.partial.iter().rposition(|&byte| byte == b'\n') {
            let rest = state.partial.split_off(end + 1);
            let mut lines = std::mem::replace(&mut state.partial, rest);
            state.ready.append(&mut lines);
            self.changed.notify_one();
        }
        true
    }

    /// Waits for lines to be shown. Called by the thread that shows them.
    pub(crate) fn take(&self) -> String {
        let mut state = lock(&self.state);
        while state.ready.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        String::from_utf8_lossy(&std::mem::take(&mut state.ready)).into_owned()
    }
}
