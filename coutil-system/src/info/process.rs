//! This process, its user and its machine.

use crate::error::{Error, Result};
use crate::sys::{clock, environ, passwd, process};
use rustix::process::{Resource, getrlimit};
use std::ffi::{CStr, OsString};
use std::fs;

/// What this process has used: getrusage(2). Memory is in bytes, time in seconds; what the system does not count is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// Integral shared memory size.
    pub shared_memory: i64,
    /// Integral unshared data size.
    pub data_memory: i64,
    /// Integral unshared stack size.
    pub stack_memory: i64,
    /// The most memory that was resident at a time.
    pub resident_peak: i64,
    /// Messages that were received.
    pub received: i64,
    /// Messages that were sent.
    pub sent: i64,
    /// Inputs of blocks.
    pub inputs: i64,
    /// Outputs of blocks.
    pub outputs: i64,
    /// Faults that needed no I/O.
    pub minor_faults: i64,
    /// Faults that needed I/O.
    pub major_faults: i64,
    /// Signals that were received.
    pub signals: i64,
    /// Times that it was swapped out.
    pub swaps: i64,
    /// Switches to another process as it waited.
    pub waits: i64,
    /// Switches to another process as its time was over.
    pub preemptions: i64,
    /// Time in its own code.
    pub user_time: f64,
    /// Time in the system.
    pub system_time: f64,
}

#[allow(clippy::useless_conversion)] // Elsewhere they are shorter.
fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + i64::from(time.tv_usec) as f64 / 1e6
}

/// See [`Usage`].
///
/// # Errors
///
/// Those of getrusage(2), which are not to be expected.
#[allow(clippy::useless_conversion)] // Elsewhere they are shorter.
pub fn usage() -> Result<Usage> {
    let usage = process::usage()?;
    let bytes = |kilobytes: libc::c_long| i64::from(kilobytes).wrapping_mul(1024);
    Ok(Usage {
        shared_memory: bytes(usage.ru_ixrss),
        data_memory: bytes(usage.ru_idrss),
        stack_memory: bytes(usage.ru_isrss),
        resident_peak: bytes(usage.ru_maxrss),
        received: usage.ru_msgrcv.into(),
        sent: usage.ru_msgsnd.into(),
        inputs: usage.ru_inblock.into(),
        outputs: usage.ru_oublock.into(),
        minor_faults: usage.ru_minflt.into(),
        major_faults: usage.ru_majflt.into(),
        signals: usage.ru_nsignals.into(),
        swaps: usage.ru_nswap.into(),
        waits: usage.ru_nvcsw.into(),
        preemptions: usage.ru_nivcsw.into(),
        user_time: seconds(usage.ru_utime),
        system_time: seconds(usage.ru_stime),
    })
}

/// The effective user of this process, as passwd(5) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Its name.
    pub name: Vec<u8>,
    /// Its home directory.
    pub home: Vec<u8>,
    /// Its shell.
    pub shell: Vec<u8>,
    /// Its number.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
}

/// See [`User`].
///
/// # Errors
///
/// `no such file or directory` if there is no such entry; those of getpwuid_r(3).
pub fn user() -> Result<User> {
    let passwd::Entry { name, home, shell, uid, gid } = passwd::entry()?;
    Ok(User { name, home, shell, uid, gid })
}

/// The path of the program.
///
/// # Errors
///
/// Those of readlink(2) for `/proc/self/exe`.
pub fn executable() -> Result<OsString> {
    #[cfg(target_os = "linux")]
    return Ok(fs::read_link("/proc/self/exe")?.into_os_string());
    #[cfg(not(target_os = "linux"))]
    Ok(std::env::current_exe()?.into_os_string())
}

/// The directory for temporary files: the first of the variables `TMPDIR`, `TMP`, `TEMP`, `TEMPDIR` that is set, or `/tmp`;
/// without a `/` at its end.
pub fn temporary_directory() -> Vec<u8> {
    let variables: [&CStr; 4] = [c"TMPDIR", c"TMP", c"TEMP", c"TEMPDIR"];
    let mut path = variables.into_iter().find_map(environ::get).unwrap_or(b"/tmp").to_vec();
    if path.len() > 1 && path.last() == Some(&b'/') {
        path.pop();
    }
    path
}

fn unknown() -> Error {
    Error::from_code(libc::ENOSYS)
}

/// The numbers in a file that begins with numbers.
fn numbers(path: &str) -> Result<Vec<f64>> {
    let text = fs::read_to_string(path)?;
    Ok(text.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect())
}

/// How many processes wanted to run in the last 1, 5 and 15 minutes, on average.
///
/// # Errors
///
/// Those of reading `/proc/loadavg`, where sysinfo(2) is not known either.
pub fn load() -> Result<[f64; 3]> {
    match numbers("/proc/loadavg").as_deref() {
        Ok([one, five, fifteen, ..]) => Ok([*one, *five, *fifteen]),
        _ => {
            #[cfg(target_os = "linux")]
            return Ok(rustix::system::sysinfo().loads.map(|load| load as f64 / 65536.0));
            #[cfg(not(target_os = "linux"))]
            Err(unknown())
        }
    }
}

/// The seconds since the machine was started.
///
/// # Errors
///
/// Where the system does not tell.
pub fn uptime() -> Result<f64> {
    match numbers("/proc/uptime").as_deref() {
        Ok([seconds, ..]) => Ok(*seconds),
        _ => {
            #[cfg(target_os = "linux")]
            {
                let (seconds, nanoseconds) = clock::read(libc::CLOCK_BOOTTIME);
                Ok(seconds as f64 + nanoseconds as f64 / 1e9)
            }
            #[cfg(not(target_os = "linux"))]
            {
                let _ = clock::read;
                Err(unknown())
            }
        }
    }
}

/// A line of `/proc/meminfo`, in bytes.
fn meminfo(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The memory of the machine, in bytes.
///
/// # Errors
///
/// Where the system does not tell.
pub fn total_memory() -> Result<u64> {
    #[cfg(target_os = "linux")]
    let other = || {
        let info = rustix::system::sysinfo();
        Ok(info.totalram as u64 * u64::from(info.mem_unit))
    };
    #[cfg(not(target_os = "linux"))]
    let other = || Err(unknown());
    meminfo("MemTotal").map_or_else(other, Ok)
}

/// The memory that programs can get without swapping, in bytes.
///
/// # Errors
///
/// Where the system does not tell.
pub fn available_memory() -> Result<u64> {
    #[cfg(target_os = "linux")]
    let other = || {
        let info = rustix::system::sysinfo();
        Ok(info.freeram as u64 * u64::from(info.mem_unit))
    };
    #[cfg(not(target_os = "linux"))]
    let other = || Err(unknown());
    meminfo("MemAvailable").map_or_else(other, Ok)
}

/// The memory that this process has at the moment, in bytes: the field `rss` of `/proc/self/stat`.
///
/// # Errors
///
/// Where the system does not tell.
pub fn resident_memory() -> Result<u64> {
    let text = fs::read("/proc/self/stat")?;
    let text = String::from_utf8_lossy(&text);
    // The name of the program may have anything in it.
    let (_, fields) = text.rsplit_once(')').ok_or_else(unknown)?;
    let pages: u64 =
        fields.split_ascii_whitespace().nth(21).and_then(|field| field.parse().ok()).ok_or_else(unknown)?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// A limit of a control group: a number, or `max`.
fn limit(path: &str) -> Option<u64> {
    match fs::read_to_string(path).ok()?.trim() {
        "max" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// The smaller of the limits that the control group has, if they can be read.
fn group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = |matches: fn(&str, &str) -> bool| {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            matches(number, controllers).then_some(path.trim_end_matches('/'))
        })
    };
    let (path, root, names) = match path(|_, controllers| controllers.split(',').any(|name| name == "memory"))
    {
        Some(path) => {
            (path, "/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.soft_limit_in_bytes"])
        }
        None => (path(|number, _| number == "0")?, "/sys/fs/cgroup", ["memory.max", "memory.high"]),
    };
    // In a container the group may be the root of what can be seen.
    [path, ""]
        .into_iter()
        .find_map(|path| names.into_iter().filter_map(|name| limit(&format!("{root}{path}/{name}"))).min())
}

/// The memory that this process may have, in bytes: the smallest of the limits of its control group, and that of its
/// address space. `u64::MAX` if there is none, `None` if that cannot be told.
pub fn memory_limit() -> Option<u64> {
    let space = getrlimit(Resource::As).current;
    match (group_limit(), space) {
        (Some(group), space) => Some(group.min(space.unwrap_or(u64::MAX))),
        (None, space) => space,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_directories() {
        // [30 I1] This test alone changes these.
        let path = |value: Option<&[u8]>| {
            environ::set(b"TMPDIR", value).unwrap();
            temporary_directory()
        };
        let former = environ::get(c"TMPDIR").map(<[u8]>::to_vec);
        assert_eq!(path(Some(b"/somewhere/")), b"/somewhere");
        assert_eq!(path(Some(b"/somewhere//")), b"/somewhere/");
        assert_eq!(path(Some(b"/")), b"/");
        assert_eq!(path(Some(b"")), b"");
        path(former.as_deref());
    }

    #[test]
    fn numbers_of_the_machine() {
        let [one, ..] = load().unwrap();
        assert!(one >= 0.0);
        assert!(uptime().unwrap() > 0.0);
        assert!(total_memory().unwrap() >= available_memory().unwrap());
        let usage = usage().unwrap();
        assert!(resident_memory().unwrap() > 0 && usage.resident_peak > 0);
        assert!(usage.user_time + usage.system_time >= 0.0);
        assert!(executable().unwrap().len() > 1);
    }
}
