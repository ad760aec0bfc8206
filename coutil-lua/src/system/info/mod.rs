//! What the system tells about itself (30 §3, §4).

pub(crate) mod lists;
pub(crate) mod process;
