//! The times of files.

use crate::error::{Error, Result};
use crate::sys::clock;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use rustix::io::{Errno, retry_on_intr};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// A time that is to be set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Stamp {
    /// The current time.
    #[default]
    Now,
    /// In seconds since 1970 began, UTC.
    At(f64),
}

/// The times of a file that can be set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Of the last access.
    pub accessed: Stamp,
    /// Of the last modification.
    pub modified: Stamp,
}

impl Times {
    /// The current time is that of the exact clock: what the system takes for it itself may be some milliseconds old, and no later
    /// than what the file has.
    fn exact(&self) -> Result<Timestamps> {
        fn time(stamp: Stamp) -> Result<Timespec> {
            let seconds = match stamp {
                Stamp::Now => {
                    let (tv_sec, tv_nsec) = clock::read(libc::CLOCK_REALTIME);
                    return Ok(Timespec { tv_sec, tv_nsec: tv_nsec as _ });
                }
                Stamp::At(seconds) => seconds,
            };
            if !seconds.is_finite() {
                return Err(Error::INVALID);
            }
            let whole = seconds.floor();
            // What is beyond an i64 becomes its limit, and the file system has one of its own.
            let (tv_sec, tv_nsec) = match ((seconds - whole) * 1e9).round() as i64 {
                1_000_000_000 => ((whole as i64).saturating_add(1), 0),
                nanoseconds => (whole as i64, nanoseconds),
            };
            Ok(Timespec { tv_sec, tv_nsec: tv_nsec as _ })
        }
        Ok(Timestamps { last_access: time(self.accessed)?, last_modification: time(self.modified)? })
    }

    fn set(&self, set: impl Fn(&Timestamps) -> rustix::io::Result<()>) -> Result<()> {
        let times = self.exact()?;
        match retry_on_intr(|| set(&times)) {
            // Who does not own the file, but may write to it, may set both to what the system takes for now.
            Err(Errno::PERM | Errno::ACCESS) if *self == Times::default() => {
                let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ };
                Ok(retry_on_intr(|| set(&Timestamps { last_access: now, last_modification: now }))?)
            }
            result => Ok(result?),
        }
    }
}

/// Sets the times of access and of modification. With `follow` a symbolic link is followed. A time beyond what the file system
/// holds becomes its limit. See utimensat(2).
///
/// # Errors
///
/// `invalid argument` for a time that is not finite; `operation not permitted`.
pub fn touch(path: impl AsRef<Path>, times: &Times, follow: bool) -> Result<()> {
    let path = path.as_ref();
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    times.set(|times| rustix::fs::utimensat(CWD, path, times, flags))
}

pub(super) fn touch_file(fd: BorrowedFd<'_>, times: &Times) -> Result<()> {
    times.set(|times| rustix::fs::futimens(fd, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
    fn seconds_become_times() {
        // [60 3.8.3]
        for (seconds, expected) in [
            (0.0, (0, 0)),
            (22.25, (22, 250_000_000)),
            (1.1, (1, 100_000_000)),
            (1_700_000_000.123_456, (1_700_000_000, 123_456_001)),
            (0.999_999_999_9, (1, 0)),
            (-0.5, (-1, 500_000_000)),
            (1e300, (i64::MAX, 0)),
        ] {
            let times = Times { accessed: Stamp::At(seconds), modified: Stamp::At(0.0) }.exact().unwrap();
            assert_eq!((times.last_access.tv_sec, times.last_access.tv_nsec as i64), expected, "{seconds}");
        }
        for bad in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let times = Times { accessed: Stamp::Now, modified: Stamp::At(bad) };
            assert_eq!(times.exact().err(), Some(Error::INVALID));
        }
    }
}
