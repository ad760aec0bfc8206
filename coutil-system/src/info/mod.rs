//! What the system tells about itself: this process, the processors, the network interfaces.

mod cpu;
mod net;
mod process;

pub use cpu::{Cpu, cpus};
pub use net::{Interface, interface_name, interfaces};
pub use process::{
    Usage, User, available_memory, executable, load, memory_limit, resident_memory, temporary_directory,
    total_memory, uptime, usage, user,
};
pub use rustix::system::{Uname, uname};
