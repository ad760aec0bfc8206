//! Readiness of descriptors.
//!
//! On Linux descriptors are registered with, and waited for on, the epoll descriptor of a [`polling::Poller`], by epoll(7)
//! itself: its `wait` takes four to five system calls, and it cannot ask for `EPOLLRDHUP`. Elsewhere, or with
//! `--cfg coutil_portable_poller`, the poller is used as it is.

#![allow(unsafe_code)]

use crate::sys::process;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// What became of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) key: u64,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// It was hung up, failed or has urgent data: from now on a short transfer proves nothing.
    pub(crate) sticky: bool,
}

/// No descriptor has it.
const WAKE: u64 = u64::MAX;

/// Longer waits are cut: they return early, with nothing ready.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) use version::{Poller, Waker};

/// The poller of this process. In a child of a fork it is left as it is, open: its destructor would take descriptors out of
/// it, which is the parent's too.
struct Owned {
    poller: Option<polling::Poller>,
    forks: u32,
}

impl Owned {
    fn new() -> std::io::Result<Self> {
        Ok(Self { poller: Some(polling::Poller::new()?), forks: process::forks() })
    }
}

impl Deref for Owned {
    type Target = polling::Poller;

    fn deref(&self) -> &polling::Poller {
        self.poller.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.forks != process::forks() {
            std::mem::forget(self.poller.take());
        }
    }
}

#[cfg(all(target_os = "linux", not(coutil_portable_poller)))]
mod version {
    use super::*;
    use crate::error::Result;
    use rustix::event::epoll::{self, EventData, EventFlags};
    use rustix::event::{EventfdFlags, Timespec, eventfd};
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;

    /// So many events are taken at once; there is more of them as long as it is full.
    const EVENTS: usize = 256;

    pub(crate) struct Poller {
        poller: Owned,
        wake: Arc<OwnedFd>,
    }

    /// Ends a wait of the poller, from any thread.
    #[derive(Clone)]
    pub(crate) struct Waker(Arc<OwnedFd>);

    impl Poller {
        pub(crate) fn new() -> Result<Self> {
            let poller = Owned::new()?;
            let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            epoll::add(&*poller, &wake, EventData::new_u64(WAKE), EventFlags::IN | EventFlags::ET)?;
            Ok(Self { poller, wake: Arc::new(wake) })
        }

        pub(crate) fn waker(&self) -> Waker {
            Waker(self.wake.clone())
        }

        /// A descriptor that ends a wait when eight bytes are written to it, as by a signal handler. It does not block.
        pub(crate) fn signal_fd(&mut self) -> Result<Arc<OwnedFd>> {
            Ok(self.wake.clone())
        }

        /// From now on everything that becomes of the descriptor is told once.
        pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> Result<()> {
            let flags =
                EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::PRI | EventFlags::ET;
            Ok(epoll::add(&*self.poller, fd, EventData::new_u64(key), flags)?)
        }

        /// To be called before the descriptor is closed: its description may live on elsewhere, and would be told about.
        pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
            let _ = epoll::delete(&*self.poller, fd);
        }

        /// On this system a registration lasts.
        pub(crate) fn rearm(&self, _: BorrowedFd<'_>, _: u64) {}

        /// Appends what has become ready to `ready`; waits for something if there is nothing yet, at most for `timeout`.
        pub(crate) fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<()> {
            let mut timeout = timeout.map(|timeout| {
                // In whole milliseconds, which is what epoll_wait(2) has, and not too early.
                let milliseconds = timeout.min(LONGEST).as_nanos().div_ceil(1_000_000) as i64;
                Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 }
            });
            // They are kept on the stack, as they have pointers in them: the loop moves between threads.
            let mut events = [const { MaybeUninit::uninit() }; EVENTS];
            loop {
                let (events, _) = match epoll::wait(&*self.poller, &mut events, timeout.as_ref()) {
                    Err(rustix::io::Errno::INTR) => return Ok(()),
                    result => result?,
                };
                for event in &*events {
                    let (flags, key) = (event.flags, event.data.u64());
                    // The poller's own descriptors have the same key.
                    if key == WAKE {
                        continue;
                    }
                    let over = flags.intersects(EventFlags::HUP | EventFlags::ERR);
                    ready.push(Ready {
                        key,
                        read: over || flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::PRI),
                        write: over || flags.intersects(EventFlags::OUT),
                        sticky: over || flags.intersects(EventFlags::RDHUP | EventFlags::PRI),
                    });
                }
                if events.len() < EVENTS {
                    return Ok(());
                }
                timeout = Some(Timespec { tv_sec: 0, tv_nsec: 0 });
            }
        }
    }

    impl Waker {
        pub(crate) fn wake(&self) {
            // It can only fail when it is awake so many times already.
            let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
        }
    }
}

#[cfg(not(all(target_os = "linux", not(coutil_portable_poller))))]
mod version {
    use super::*;
    use crate::error::Result;
    use polling::{Event, Events, PollMode};
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// Of the descriptor that signal handlers write to.
    const SIGNAL: u64 = WAKE - 1;

    #[cfg(not(target_pointer_width = "64"))]
    compile_error!("the keys of `polling` are too short for the ids of sources on this system");

    pub(crate) struct Poller {
        poller: Arc<Owned>,
        mode: PollMode,
        events: Events,
        /// What signal handlers write to, and where that is read.
        signals: Option<(UnixStream, Arc<OwnedFd>)>,
    }

    /// Ends a wait of the poller, from any thread.
    #[derive(Clone)]
    pub(crate) struct Waker(Arc<Owned>);

    impl Poller {
        pub(crate) fn new() -> Result<Self> {
            let poller = Owned::new()?;
            let mode = if poller.supports_edge() { PollMode::Edge } else { PollMode::Oneshot };
            Ok(Self { poller: Arc::new(poller), mode, events: Events::new(), signals: None })
        }

        pub(crate) fn waker(&self) -> Waker {
            Waker(self.poller.clone())
        }

        /// A descriptor that ends a wait when something is written to it, as by a signal handler. It does not block.
        pub(crate) fn signal_fd(&mut self) -> Result<Arc<OwnedFd>> {
            if let Some((_, fd)) = &self.signals {
                return Ok(fd.clone());
            }
            let (read, write) = UnixStream::pair()?;
            read.set_nonblocking(true)?;
            write.set_nonblocking(true)?;
            // SAFETY: it is taken out before it is closed.
            unsafe { self.poller.add_with_mode(&read, Event::readable(SIGNAL as usize), self.mode)? };
            let write = Arc::new(OwnedFd::from(write));
            self.signals = Some((read, write.clone()));
            Ok(write)
        }

        /// Reads what signal handlers have written.
        fn drain(&mut self) {
            let Some((read, _)) = &mut self.signals else { return };
            let mut bytes = [0; 256];
            while matches!(read.read(&mut bytes), Ok(1..)) {}
            if self.mode == PollMode::Oneshot {
                let _ = self.poller.modify_with_mode(&*read, Event::readable(SIGNAL as usize), self.mode);
            }
        }

        /// From now on everything that becomes of the descriptor is told once.
        pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> Result<()> {
            // SAFETY: a source takes itself out before it closes its descriptor.
            unsafe { self.poller.add_with_mode(&fd, Event::all(key as usize), self.mode)? };
            Ok(())
        }

        /// To be called before the descriptor is closed.
        pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
            let _ = self.poller.delete(fd);
        }

        /// To be called after something was told, before the next wait.
        pub(crate) fn rearm(&self, fd: BorrowedFd<'_>, key: u64) {
            if self.mode == PollMode::Oneshot {
                let _ = self.poller.modify_with_mode(fd, Event::all(key as usize), self.mode);
            }
        }

        /// Appends what has become ready to `ready`; waits for something if there is nothing yet, at most for `timeout`.
        pub(crate) fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<()> {
            self.events.clear();
            match self.poller.wait(&mut self.events, timeout.map(|timeout| timeout.min(LONGEST))) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
                result => result?,
            };
            let mut caught = false;
            for event in self.events.iter() {
                let key = event.key as u64;
                caught |= key == SIGNAL;
                if key != WAKE && key != SIGNAL {
                    // What the poller does not tell apart has to be taken for the worst.
                    ready.push(Ready { key, read: event.readable, write: event.writable, sticky: true });
                }
            }
            if caught {
                self.drain();
            }
            Ok(())
        }
    }

    impl Drop for Poller {
        fn drop(&mut self) {
            if let Some((read, _)) = &self.signals
                && self.poller.forks == process::forks()
            {
                let _ = self.poller.delete(read);
            }
        }
    }

    impl Waker {
        pub(crate) fn wake(&self) {
            let _ = self.0.notify();
        }
    }
}
