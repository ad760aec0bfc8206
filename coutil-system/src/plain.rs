//! Bytes in and out of what is no socket: terminals and pipes.
//!
//! For those there is no flag that keeps a call from waiting, but `O_NONBLOCK`, which belongs to the description: whoever else has
//! that, as a parent or a child, would have it too. So that is set only on a description of our own. On others (`Source::waits`)
//! a call is made only after poll(2) said that it will not wait, and little is written at a time.

use crate::source::{Kind, Source};
use crate::sys::signal::without_sigpipe;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{self, Errno};

/// What is written at a time, if a call may wait: a pipe that poll(2) calls ready takes as much (`PIPE_BUF`, pipe(7)).
const PIPE: usize = 4096;
/// A terminal may take less.
const TERMINAL: usize = 256;

impl Source {
    fn poll(&self, wanted: PollFlags) -> io::Result<PollFlags> {
        let mut fds = [PollFd::new(&self.fd, wanted)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        match fds[0].revents() {
            told if told.is_empty() => Err(Errno::AGAIN),
            told => Ok(told),
        }
    }

    pub(crate) fn read_plain(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            // It cannot be looked at what there is.
            return Ok(usize::from(self.poll(PollFlags::IN)?.contains(PollFlags::IN)));
        }
        if self.waits {
            self.poll(PollFlags::IN)?;
        }
        io::read(&self.fd, buffer)
    }

    pub(crate) fn write_plain(&self, mut data: &[u8]) -> io::Result<usize> {
        let most = if self.kind == Kind::Pipe { PIPE } else { TERMINAL };
        if self.waits {
            self.poll(PollFlags::OUT)?;
            data = &data[..data.len().min(most)];
        }
        match self.kind {
            Kind::Pipe => without_sigpipe(|| io::write(&self.fd, data)),
            _ => io::write(&self.fd, data),
        }
    }
}
