//! The parts that differ between systems, and the only ones with unsafe code.

pub(crate) mod clock;
pub(crate) mod descriptor;
pub(crate) mod environ;
pub(crate) mod ifaddrs;
pub(crate) mod multicast;
pub(crate) mod passwd;
pub(crate) mod poller;
pub(crate) mod process;
pub(crate) mod signal;
