//! What is between the thread of the editor and that of Lua.

use super::output::Output;
use coutil_channel::buffered::Sender;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the editor wants from the thread of Lua.
#[derive(Debug)]
pub(crate) enum Request {
    /// Run this line, and say when it has ended.
    Line(Vec<u8>),
    /// The completions at the end of this text, to be answered with this number.
    Complete(String, u64),
    /// Ctrl-C, while a line runs.
    Interrupt,
    End,
}

/// What the editor waits for, a byte in the pipe each.
#[derive(Clone, Copy, PartialEq)]
#[repr(u8)]
pub(crate) enum Wake {
    /// The line has ended.
    Done = b'd',
    /// Ctrl-C.
    Interrupt = b'i',
    /// Lua has been told of the interruption.
    Acknowledged = b'a',
}

/// From where in the line, and by what it can be replaced.
pub(crate) type Completions = (usize, Vec<String>);

/// The completion that was asked for last.
#[derive(Default)]
struct Asked {
    ticket: u64,
    reply: Option<mpsc::Sender<Completions>>,
}

pub(crate) struct Link {
    requests: Sender<Request>,
    /// A pipe, as a signal handler can write to one.
    wakes: (PipeReader, PipeWriter),
    asked: Mutex<Asked>,
    prompt: Mutex<String>,
    pub(crate) output: Output,
}

/// No lock is held while anything may panic that leaves what it protects in a bad state.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(crate) fn new(requests: Sender<Request>) -> std::io::Result<Self> {
        Ok(Self {
            requests,
            wakes: std::io::pipe()?,
            asked: Mutex::default(),
            prompt: Mutex::new("> ".to_owned()),
            output: Output::default(),
        })
    }

    pub(crate) fn request(&self, request: Request) {
        // Where nobody receives the program ends.
        let _ = self.requests.try_send(request);
    }

    /// The descriptor that a signal handler writes to.
    pub(crate) fn descriptor(&self) -> i32 {
        self.wakes.1.as_raw_fd()
    }

    fn wake(&self, wake: Wake) {
        let _ = (&self.wakes.1).write_all(&[wake as u8]);
    }

    pub(crate) fn done(&self, prompt: String) {
        *lock(&self.prompt) = prompt;
        self.wake(Wake::Done);
    }

    pub(crate) fn acknowledge(&self) {
        self.wake(Wake::Acknowledged);
    }

    pub(crate) fn prompt(&self) -> String {
        lock(&self.prompt).clone()
    }

    /// Waits for the next of them, or at most so many milliseconds.
    pub(crate) fn wait(&self, milliseconds: Option<i32>) -> Option<Wake> {
        if !super::terminal::is_readable(self.wakes.0.as_raw_fd(), milliseconds.unwrap_or(-1)) {
            return None;
        }
        let mut byte = [0];
        (&self.wakes.0).read_exact(&mut byte).ok()?;
        [Wake::Done, Wake::Interrupt, Wake::Acknowledged].into_iter().find(|wake| *wake as u8 == byte[0])
    }

    /// Forgets what has come for a line that is over.
    pub(crate) fn drain(&self) {
        while self.wait(Some(0)).is_some() {}
    }

    /// The completions at the end of `text`; none if Lua is busy.
    pub(crate) fn complete(&self, text: &str) -> Completions {
        let (reply, completions) = mpsc::channel();
        let ticket = {
            let mut asked = lock(&self.asked);
            asked.ticket += 1;
            asked.reply = Some(reply);
            asked.ticket
        };
        self.request(Request::Complete(text.to_owned(), ticket));
        completions.recv_timeout(Duration::from_secs(1)).unwrap_or((text.len(), Vec::new()))
    }

    pub(crate) fn answer(&self, ticket: u64, start: usize, candidates: Vec<String>) {
        let mut asked = lock(&self.asked);
        if asked.ticket == ticket
            && let Some(reply) = asked.reply.take()
        {
            // It may have waited long enough.
            let _ = reply.send((start, candidates));
        }
    }
}
