//! Files and the file system: functions that block, for whoever may block, or for [`unblock`](crate::unblock).
//!
//! - [`File`]: an open file; [`OpenOptions`] says how it is opened. All its methods take `&self`, so an `Arc` of it can be
//!   used by several threads.
//! - [`link`], [`rename`], [`remove_file`], [`make_directory`], [`touch`], …: what is done to a path.
//! - [`copy`], [`File::copy_from`]: copies that the kernel makes where it can.
//! - [`info`], [`file_system`], [`real_path`], [`read_link`]: what is known of a path.
//! - [`list`]: the entries of a directory.
//! - [`temporary_file`], [`temporary_directory`]: with names that nobody has.
//!
//! ```
//! use coutil_system::{EventLoop, fs, unblock};
//! use std::sync::Arc;
//!
//! let events = EventLoop::new()?;
//! let text = events.block_on(async {
//!     let options = fs::OpenOptions::new();
//!     let file = Arc::new(unblock(move || fs::File::open("Cargo.toml", &options)).await?);
//!     let reader = file.clone();
//!     unblock(move || {
//!         let mut text = [0; 9];
//!         reader.read(&mut text, Some(0)).map(|_| text)
//!     })
//!     .await
//! })??;
//! assert_eq!(&text, b"[package]");
//! # Ok::<(), coutil_system::Error>(())
//! ```
//!
//! A call that is interrupted by a signal is made again, but for close(2). Errors are those of the system. Each item names
//! the page of the manual that says what they are.

mod copy;
mod directory;
mod file;
mod info;
mod path;
mod temporary;
mod times;

pub use copy::{CopyOnWrite, CopyOptions, copy};
pub use directory::{Entries, list};
pub use file::{Create, File, OpenOptions};
pub use info::{FileSystem, FileType, Info, Time, file_system, info, read_link, real_path};
pub use path::{
    change_mode, change_owner, link, make_directory, remove_directory, remove_file, rename, symlink,
};
pub use temporary::{temporary_directory, temporary_file};
pub use times::{Stamp, Times, touch};
