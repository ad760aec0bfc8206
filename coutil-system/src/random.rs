//! Random bytes.

use crate::error::{Error, Result};

/// Fills a buffer with random bytes of the system, fit for secrets. It blocks only where the system has just started and has none
/// yet. See getrandom(2).
///
/// ```
/// let mut key = [0; 32];
/// coutil_system::random(&mut key)?;
/// assert_ne!(key, [0; 32]);
/// # Ok::<(), coutil_system::Error>(())
/// ```
///
/// # Errors
///
/// `argument list too long` for more than 2^31-1 bytes; nothing is written then.
pub fn random(buffer: &mut [u8]) -> Result<()> {
    if i32::try_from(buffer.len()).is_err() {
        return Err(Error::from_code(libc::E2BIG));
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::rand::{GetRandomFlags, getrandom};
        let mut filled = 0;
        while filled < buffer.len() {
            filled +=
                rustix::io::retry_on_intr(|| getrandom(&mut buffer[filled..], GetRandomFlags::empty()))?;
        }
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    {
        use std::io::Read;
        Ok(std::fs::File::open("/dev/urandom")?.read_exact(buffer)?)
    }
}
