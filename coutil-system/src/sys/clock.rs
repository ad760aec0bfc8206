//! Clocks, by the C library: that of `rustix` finds the functions of the kernel's vDSO by itself, and reads outside of what
//! valgrind knows of for that.

#![allow(unsafe_code)]

use libc::{clockid_t, timespec};

/// Seconds and nanoseconds of a clock of clock_gettime(2).
#[inline]
#[allow(clippy::useless_conversion)] // Elsewhere they are shorter.
pub(crate) fn read(clock: clockid_t) -> (i64, i64) {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid. It cannot fail for the clocks that are used here; if it does, the time is 0.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (i64::from(time.tv_sec), i64::from(time.tv_nsec))
}
