//! Files and the file system (60): `openfile`, `fileinfo`, `listdir`, …, and the class `coutil:file`.
//!
//! The work is that of [`coutil_system::fs`], whose functions block. `call` has them made on the calling thread, or on another
//! one, and the rest is arguments and results.

mod bits;
mod call;
mod directory;
mod info;
mod loan;
mod mode;
mod object;
mod open;
mod path;
mod random;
mod times;
mod transfer;

pub(crate) use bits::set_filebits;
pub(crate) use loan::sweep as sweep_loans;
pub(crate) use object::{Files, METAMETHODS, METHODS, push};
pub(crate) use transfer::{Filled, place};

use crate::raw::Functions;
use coutil_system::fs;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// The functions of the module.
pub(crate) const AWAITS: Functions<'_> = &[
    (c"linkfile", path::link),
    (c"copyfile", path::copy),
    (c"movefile", path::rename),
    (c"removefile", path::remove),
    (c"makedir", path::make_directory),
    (c"maketemp", open::make_temporary),
    (c"listdir", directory::list),
    (c"touchfile", times::touch),
    (c"ownfile", path::own),
    (c"grantfile", path::grant),
    (c"openfile", open::open),
    (c"fileinfo", info::info),
    (c"random", random::random),
];

/// The metamethods of what `listdir` results in.
pub(crate) const DIRECTORY_METAMETHODS: Functions<'_> = directory::METAMETHODS;

/// A path of the system.
fn as_path(text: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(text))
}

/// A file that is in use by a call, also when its object is closed meanwhile.
type Shared = Arc<fs::File>;
