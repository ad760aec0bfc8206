//! Errors of the system, with messages that are the same on every system.

use rustix::io::Errno;
use std::fmt;

/// What a result of this crate is.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the system: a number, and a fixed text for it.
///
/// The number is that of `errno(3)`, or one above 3000 for what the system has no number for, as the end of a stream.
///
/// ```
/// let error = coutil_system::Error::from_code(111);
/// # #[cfg(target_os = "linux")]
/// assert_eq!(error.to_string(), "connection refused");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Error(i32);

macro_rules! errors {
    ($name:ident: $($code:expr => $text:literal,)*) => {
        fn $name(code: i32) -> Option<&'static str> {
            match code {
                $(code if code == $code => Some($text),)*
                _ => None,
            }
        }
    };
}

errors! {
    text:
    libc::EPERM => "operation not permitted",
    libc::ENOENT => "no such file or directory",
    libc::ESRCH => "no such process",
    libc::EINTR => "interrupted system call",
    libc::EIO => "i/o error",
    libc::ENXIO => "no such device or address",
    libc::E2BIG => "argument list too long",
    libc::ENOEXEC => "exec format error",
    libc::EBADF => "bad file descriptor",
    libc::EAGAIN => "resource temporarily unavailable",
    libc::ENOMEM => "not enough memory",
    libc::EACCES => "permission denied",
    libc::EFAULT => "bad address in system call argument",
    libc::EBUSY => "resource busy or locked",
    libc::EEXIST => "file already exists",
    libc::EXDEV => "cross-device link not permitted",
    libc::ENODEV => "no such device",
    libc::ENOTDIR => "not a directory",
    libc::EISDIR => "illegal operation on a directory",
    libc::EINVAL => "invalid argument",
    libc::ENFILE => "file table overflow",
    libc::EMFILE => "too many open files",
    libc::ENOTTY => "inappropriate ioctl for device",
    libc::ETXTBSY => "text file is busy",
    libc::EFBIG => "file too large",
    libc::ENOSPC => "no space left on device",
    libc::ESPIPE => "invalid seek",
    libc::EROFS => "read-only file system",
    libc::EMLINK => "too many links",
    libc::EPIPE => "broken pipe",
    libc::ERANGE => "result too large",
    libc::ENAMETOOLONG => "name too long",
    libc::ENOSYS => "function not implemented",
    libc::ENOTEMPTY => "directory not empty",
    libc::ELOOP => "too many symbolic links encountered",
    libc::EPROTO => "protocol error",
    libc::EOVERFLOW => "value too large for defined data type",
    libc::EILSEQ => "illegal byte sequence",
    libc::ENOTSOCK => "socket operation on non-socket",
    libc::EDESTADDRREQ => "destination address required",
    libc::EMSGSIZE => "message too long",
    libc::EPROTOTYPE => "protocol wrong type for socket",
    libc::ENOPROTOOPT => "protocol not available",
    libc::EPROTONOSUPPORT => "protocol not supported",
    libc::ESOCKTNOSUPPORT => "socket type not supported",
    libc::EOPNOTSUPP => "operation not supported on socket",
    libc::ENOTSUP => "operation not supported on socket",
    libc::EAFNOSUPPORT => "address family not supported",
    libc::EADDRINUSE => "address already in use",
    libc::EADDRNOTAVAIL => "address not available",
    libc::ENETDOWN => "network is down",
    libc::ENETUNREACH => "network is unreachable",
    libc::ECONNABORTED => "software caused connection abort",
    libc::ECONNRESET => "connection reset by peer",
    libc::ENOBUFS => "no buffer space available",
    libc::EISCONN => "socket is already connected",
    libc::ENOTCONN => "socket is not connected",
    libc::ESHUTDOWN => "cannot send after transport endpoint shutdown",
    libc::ETIMEDOUT => "connection timed out",
    libc::ECONNREFUSED => "connection refused",
    libc::EHOSTDOWN => "host is down",
    libc::EHOSTUNREACH => "host is unreachable",
    libc::EALREADY => "connection already in progress",
    libc::ECANCELED => "operation canceled",
    3000 => "address family not supported",
    3001 => "temporary failure",
    3002 => "bad ai_flags value",
    3003 => "request canceled",
    3004 => "permanent failure",
    3005 => "ai_family not supported",
    3006 => "out of memory",
    3007 => "no address",
    3008 => "unknown node or service",
    3009 => "argument buffer overflow",
    3010 => "service not available for socket type",
    3011 => "socket type not supported",
    3013 => "invalid value for hints",
    3014 => "resolved protocol is unknown",
    4028 => "inappropriate file type or format",
    4080 => "invalid Unicode character",
    4094 => "unknown error",
    4095 => "end of file",
    4096 => "loop of another process",
}

#[cfg(target_os = "linux")]
errors! {
    text_of_linux:
    libc::EUNATCH => "protocol driver not attached",
    libc::ENODATA => "no data available",
    libc::ENONET => "machine is not on the network",
    libc::EREMOTEIO => "remote I/O error",
}

#[cfg(not(target_os = "linux"))]
errors! {
    text_of_linux:
}

impl Error {
    /// The stream has ended: 4095.
    pub const END_OF_FILE: Self = Self(4095);
    /// Such a socket does not exist: 3011.
    pub const SOCKET_TYPE: Self = Self(3011);

    /// The loop belongs to another process, of which this one is a child: 4096.
    pub const FOREIGN_LOOP: Self = Self(4096);

    /// The operation was cancelled, as what it is about was closed: 125 on Linux.
    pub const CANCELED: Self = Self(libc::ECANCELED);

    pub(crate) const BUSY: Self = Self(libc::EBUSY);
    pub(crate) const NOT_CONNECTED: Self = Self(libc::ENOTCONN);
    pub(crate) const ALREADY_CONNECTED: Self = Self(libc::EISCONN);
    pub(crate) const IN_PROGRESS: Self = Self(libc::EALREADY);
    pub(crate) const BROKEN_PIPE: Self = Self(libc::EPIPE);
    pub(crate) const NO_BUFFER_SPACE: Self = Self(libc::ENOBUFS);
    pub(crate) const INVALID: Self = Self(libc::EINVAL);
    pub(crate) const BAD_DESCRIPTOR: Self = Self(libc::EBADF);
    pub(crate) const ADDRESS_IN_USE: Self = Self(libc::EADDRINUSE);

    /// The error of that number.
    pub const fn from_code(code: i32) -> Self {
        Self(code)
    }

    /// Its number, which is positive.
    pub const fn code(self) -> i32 {
        self.0
    }

    /// Its text, if it has one of its own.
    pub fn message(self) -> Option<&'static str> {
        text(self.0).or_else(|| text_of_linux(self.0))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(text) => f.write_str(text),
            None => write!(f, "Unknown system error -{}", self.0),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {self})", self.0)
    }
}

impl std::error::Error for Error {}

// For `?` in this crate; it takes part in its version, as does `rustix` 1.
impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Self(code),
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => Self::END_OF_FILE,
            None => Self(4094),
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        if error == Error::END_OF_FILE {
            Self::new(std::io::ErrorKind::UnexpectedEof, error)
        } else if error.0 < 3000 {
            Self::from_raw_os_error(error.0)
        } else {
            Self::other(error)
        }
    }
}
