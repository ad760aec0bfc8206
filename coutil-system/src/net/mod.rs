//! Addresses and names, and the calls of the system for sockets that never wait.

pub mod address;
mod local;
pub mod names;
mod options;
mod tcp;
mod udp;

pub use local::Received;
pub use options::{Interface, interface_index};
pub use tcp::Side;
pub use udp::Datagram;
