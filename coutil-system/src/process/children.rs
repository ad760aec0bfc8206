//! The processes that a loop has started, and waits for.
//!
//! A child is waited for by its own descriptor (pidfd_open(2)) where there is one; otherwise each one is looked at when `SIGCHLD` was
//! caught. It is reaped by its number, only while the loop runs, and right before somebody is told. Other children of
//! the program are left alone.

use super::{Command, Exit};
use crate::core::{Attempt, Class, Loop, OpId, Outcome};
use crate::error::{Error, Result};
use crate::sys::signal;
use crate::table::{Id, Table};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::os::fd::{AsFd, OwnedFd};

/// Names a child.
pub type ChildId = Id;

/// Marks the keys of children among those of the poller.
pub(crate) const KEY: u64 = 1 << 62;

/// A process that was started and not reaped.
struct Child {
    pid: Pid,
    /// Readable when it has ended; registered with the poller.
    pidfd: Option<OwnedFd>,
    waiter: Option<OpId>,
    /// Nobody waits any more, nor will.
    abandoned: bool,
    /// Whether the poller has told that it has ended, which it does once.
    told: bool,
    /// Whether `SIGCHLD` is watched for its sake.
    watches: bool,
}

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Children {
    table: Table<Child>,
    /// Those to be looked at after the next poll.
    unknown: Vec<ChildId>,
    abandoned: usize,
    /// How many have no descriptor, and how many `SIGCHLD` were caught when those were looked at.
    blind: usize,
    caught: u64,
}

impl Children {
    /// Whether one is to be looked at before the loop may wait.
    pub(crate) fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    pub(crate) fn has_abandoned(&self) -> bool {
        self.abandoned > 0
    }

    pub(crate) fn describe(&self, mut line: impl FnMut(String)) {
        for (id, child) in self.table.iter() {
            let waits = match (child.waiter, child.abandoned) {
                (Some(_), _) => ", awaited",
                (None, true) => ", abandoned",
                (None, false) => "",
            };
            line(format!("child {} process {}{waits}\n", id.index(), child.pid.as_raw_nonzero()));
        }
    }
}

/// A descriptor that tells when the process has ended.
#[cfg(all(target_os = "linux", not(coutil_portable_poller)))]
fn open_pidfd(pid: Pid) -> Option<OwnedFd> {
    use rustix::io::Errno;
    use rustix::process::{PidfdFlags, pidfd_open};
    use std::sync::atomic::{AtomicBool, Ordering};
    /// An old kernel has none, nor have some sandboxes: it is asked once.
    static MISSING: AtomicBool = AtomicBool::new(false);
    if MISSING.load(Ordering::Relaxed) {
        return None;
    }
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => super::above_standard(fd).ok(),
        // For lack of descriptors there is the other way, too.
        Err(error) => {
            if matches!(error, Errno::NOSYS | Errno::PERM) {
                MISSING.store(true, Ordering::Relaxed);
            }
            None
        }
    }
}

#[cfg(not(all(target_os = "linux", not(coutil_portable_poller))))]
fn open_pidfd(_: Pid) -> Option<OwnedFd> {
    None
}

impl<W> Loop<W> {
    /// Starts a process: fork(2), execve(2). It runs when this returns, and counts as somebody's who is going to
    /// [wait](Self::wait_child) for it, or to [abandon](Self::abandon_child) it. Returns its number too.
    ///
    /// # Errors
    ///
    /// Those of fork(2), chdir(2), execve(2), also of the child before it became the program: `no such file or
    /// directory`, `permission denied`, `argument list too long`, … For lack of descriptors. No process is left then.
    pub fn start_child(&mut self, command: Command) -> Result<(ChildId, i32)> {
        self.poller()?;
        // With SIGCHLD ignored, as the program may have inherited it, children would leave nothing to be waited for.
        let mut watches = signal::ignores_children();
        if watches {
            self.watch(libc::SIGCHLD)?;
        }
        let pid = command.spawn().and_then(|pid| Pid::from_raw(pid).ok_or(Error::INVALID));
        let pid = match pid {
            Ok(pid) => pid,
            Err(error) => {
                if watches {
                    self.unwatch(libc::SIGCHLD);
                }
                return Err(error);
            }
        };
        let mut pidfd = open_pidfd(pid);
        let child = Child { pid, pidfd: None, waiter: None, abandoned: false, told: false, watches: false };
        let id = self.children.table.insert(child);
        if let (Some(fd), Some(poller)) = (&pidfd, &self.poller)
            && poller.add(fd.as_fd(), KEY | id.to_bits()).is_err()
        {
            pidfd = None;
        }
        if pidfd.is_none() {
            watches = watches || self.watch(libc::SIGCHLD).is_ok();
            self.children.blind += 1;
            // It may have ended before the signal was watched.
            self.children.unknown.push(id);
        }
        if let Some(child) = self.children.table.get_mut(id) {
            (child.pidfd, child.watches) = (pidfd, watches);
        }
        Ok((id, pid.as_raw_nonzero().get()))
    }

    /// Starts to wait for the end of a child. When the operation is delivered the host [tries](Self::try_wait_child) it. One
    /// operation at a time can. If it is cancelled, the child is [abandoned](Self::abandon_child).
    ///
    /// # Errors
    ///
    /// `no such process` if the child was reaped, or abandoned; `resource busy or locked` if somebody waits for it.
    pub fn wait_child(&mut self, op: OpId, id: ChildId) -> Result<()> {
        self.check_process()?;
        let child = self.children.table.get_mut(id).ok_or(Error::from_code(libc::ESRCH))?;
        match (child.waiter, child.abandoned) {
            (Some(_), _) => return Err(Error::BUSY),
            (None, true) => return Err(Error::from_code(libc::ESRCH)),
            (None, false) => child.waiter = Some(op),
        }
        let told = child.told;
        self.start(op, crate::core::SourceId::NONE, Outcome::Try);
        if let Some(entry) = self.schedule.waiter_mut(op) {
            entry.child = id;
        }
        if told {
            self.schedule.make_due(op, Class::Other);
        }
        Ok(())
    }

    /// Nobody is going to wait for a child: it goes on, and is reaped by a later run when it has ended. That keeps no run going.
    pub fn abandon_child(&mut self, id: ChildId) {
        let Some(child) = self.children.table.get_mut(id) else { return };
        child.waiter = None;
        if !std::mem::replace(&mut child.abandoned, true) {
            self.children.abandoned += 1;
        }
        // Without a descriptor it is looked at in each run; the handler is not to last for its sake.
        let watches = std::mem::take(&mut child.watches);
        if child.told || child.pidfd.is_none() {
            self.children.unknown.push(id);
        }
        if watches {
            self.unwatch(libc::SIGCHLD);
        }
    }

    /// The number of the process; `None` if it was reaped.
    pub fn child_pid(&self, id: ChildId) -> Option<i32> {
        self.children.table.get(id).map(|child| child.pid.as_raw_nonzero().get())
    }

    /// An operation is given up.
    pub(crate) fn abandon_by(&mut self, op: OpId, id: ChildId) {
        if self.children.table.get(id).is_some_and(|child| child.waiter == Some(op)) {
            self.abandon_child(id);
        }
    }

    /// Reaps the child of an operation that is to be delivered with [`Outcome::Try`], if it has ended: waitpid(2). If somebody
    /// else reaped it, its end is never told.
    pub fn try_wait_child(&mut self, op: OpId) -> Attempt<Exit> {
        let id = self.schedule.waiter(op).map_or(ChildId::NONE, |entry| entry.child);
        let Some(child) = self.children.table.get_mut(id) else {
            return Attempt::Done(Err(Error::from_code(libc::ESRCH)));
        };
        match waitpid(Some(child.pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => {
                self.remove_child(id);
                Attempt::Done(Ok(Exit::of(status)))
            }
            _ => {
                child.told = false;
                self.not_delivered(op);
                Attempt::Wait
            }
        }
    }

    fn remove_child(&mut self, id: ChildId) {
        let Some(child) = self.children.table.remove(id) else { return };
        match &child.pidfd {
            Some(fd) => {
                if let Some(poller) = &self.poller {
                    poller.remove(fd.as_fd());
                }
            }
            None => self.children.blind -= 1,
        }
        self.children.abandoned -= usize::from(child.abandoned);
        if child.watches {
            self.unwatch(libc::SIGCHLD);
        }
    }

    /// A child may have ended.
    fn look_at(&mut self, id: ChildId) {
        let Some(child) = self.children.table.get_mut(id) else { return };
        child.told = true;
        match child.waiter {
            Some(op) => self.schedule.make_due(op, Class::Other),
            None if child.abandoned => {
                let reaped = waitpid(Some(child.pid), WaitOptions::NOHANG);
                child.told = false;
                if !matches!(reaped, Ok(None)) {
                    self.remove_child(id);
                }
            }
            None => {}
        }
    }

    /// The poller has told about the child of that key.
    pub(crate) fn child_told(&mut self, key: u64) {
        self.look_at(ChildId::from_bits(key & !KEY));
    }

    /// After a poll: looks at those children of which the poller does not tell.
    pub(crate) fn look_at_children(&mut self) {
        if self.children.blind > 0 {
            let caught = signal::caught(libc::SIGCHLD);
            if std::mem::replace(&mut self.children.caught, caught) != caught {
                let blind = self.children.table.iter().filter(|(_, child)| child.pidfd.is_none());
                let blind = blind.map(|(id, _)| id);
                self.children.unknown.extend(blind);
            }
        }
        for id in std::mem::take(&mut self.children.unknown) {
            self.look_at(id);
        }
    }

    /// A run begins: abandoned children without a descriptor are looked at in it.
    pub(crate) fn begin_children(&mut self) {
        if self.children.blind > 0 && self.children.abandoned > 0 {
            let blind =
                self.children.table.iter().filter(|(_, child)| child.pidfd.is_none() && child.abandoned);
            let blind = blind.map(|(id, _)| id);
            self.children.unknown.extend(blind);
        }
    }
}
