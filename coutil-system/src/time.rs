//! Clocks.

use crate::sys::clock::read;
use std::time::Duration;

fn nanoseconds((seconds, nanoseconds): (i64, i64)) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanoseconds as u64)
}

/// The monotonic clock in nanoseconds since an arbitrary moment: `CLOCK_MONOTONIC` of clock_gettime(2).
#[inline]
pub fn monotonic() -> u64 {
    nanoseconds(read(libc::CLOCK_MONOTONIC))
}

/// The monotonic clock as of its last tick, a few milliseconds ago at most. Cheaper than [`monotonic`] where the system
/// has it.
#[inline]
pub fn coarse() -> u64 {
    #[cfg(target_os = "linux")]
    return nanoseconds(read(libc::CLOCK_MONOTONIC_COARSE));
    #[cfg(not(target_os = "linux"))]
    monotonic()
}

/// The time of day in seconds since 1970 began, UTC, with microseconds.
pub fn epoch() -> f64 {
    let (seconds, nanoseconds) = read(libc::CLOCK_REALTIME);
    seconds as f64 + (nanoseconds / 1000) as f64 / 1e6
}

/// Blocks the thread for at least that long, whatever signals arrive.
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
