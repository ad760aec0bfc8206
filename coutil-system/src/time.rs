//! Clocks.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

fn nanoseconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// The monotonic clock in nanoseconds since an arbitrary moment: `CLOCK_MONOTONIC` of clock_gettime(2).
#[inline]
pub fn monotonic() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// The monotonic clock as of its last tick, a few milliseconds ago at most. Cheaper than [`monotonic`] where the system
/// has it.
#[inline]
pub fn coarse() -> u64 {
    #[cfg(target_os = "linux")]
    return nanoseconds(clock_gettime(ClockId::MonotonicCoarse));
    #[cfg(not(target_os = "linux"))]
    monotonic()
}

/// The time of day in seconds since 1970 began, UTC, with microseconds.
pub fn epoch() -> f64 {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec as f64 + (time.tv_nsec / 1000) as f64 / 1e6
}

/// Blocks the thread for at least that long, whatever signals arrive.
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
