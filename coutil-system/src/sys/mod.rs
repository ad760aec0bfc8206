//! The parts that differ between systems, and the only ones with unsafe code.

pub(crate) mod clock;
pub(crate) mod descriptor;
pub(crate) mod multicast;
pub(crate) mod poller;
pub(crate) mod process;
