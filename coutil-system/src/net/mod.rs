//! Addresses, and the calls of the system for sockets that never wait.

pub mod address;
mod tcp;

pub use tcp::Side;
