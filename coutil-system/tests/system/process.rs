//! Processes: started, waited for, abandoned.

use crate::util::{Events, run, this_thread, until_asleep};
use coutil_system::core::{Attempt, Loop, Mode, OpId, Outcome};
use coutil_system::process::{self, Child, Command, Exit};
use coutil_system::{Error, EventLoop};
use futures_lite::future::{self, poll_once};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

const GONE: Error = Error::from_code(libc::ESRCH);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    command
}

/// A process that lasts until the other end of the stream is closed.
fn lasting() -> (Command, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("descriptors");
    let mut command = Command::new("cat");
    command.stdin(std::os::fd::OwnedFd::from(theirs)).stdout(Stdio::null());
    (command, ours)
}

fn exists(pid: i32) -> bool {
    process::kill(pid, 0).is_ok()
}

/// Waits until the process has ended, and leaves it for whoever waits for it.
fn until_ended(pid: i32) {
    let pid = WaitId::Pid(Pid::from_raw(pid).expect("a process"));
    waitid(pid, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("it is a child");
}

/// Runs, and collects how the children ended.
fn ends(events: &mut Events, mode: Mode) -> (bool, Vec<(&'static str, Exit)>) {
    let mut ends = Vec::new();
    let pending = run(events, mode, |events, op| {
        if events.outcome(op) == Some(Outcome::Try)
            && let Attempt::Done(result) = events.try_wait_child(op)
        {
            let who = *events.waiter(op).expect("it is delivered");
            ends.push((who, result.expect("it is ours")));
        }
    });
    (pending, ends)
}

fn wait(events: &mut Events, who: &'static str, command: Command) -> (OpId, i32) {
    let (child, pid) = events.start_child(command).expect("it starts");
    let op = events.hold(who);
    events.wait_child(op, child).expect("it is there");
    (op, pid)
}

#[test]
fn how_processes_end() {
    // [40 X29] [40 X30] [40 Q3]
    let events = EventLoop::new().expect("descriptors");
    for (script, exit) in [
        ("exit 0", Exit::Status(0)),
        ("exit 127", Exit::Status(127)),
        ("exit 255", Exit::Status(255)),
        ("kill -TERM $$", Exit::Signal(libc::SIGTERM)),
        ("kill -KILL $$", Exit::Signal(libc::SIGKILL)),
        ("kill -32 $$", Exit::Signal(32)),
        ("kill -64 $$", Exit::Signal(64)),
    ] {
        let child = Child::start(&events, shell(script)).expect("it starts");
        assert_eq!(events.block_on(child.wait()), Ok(Ok(exit)), "{script}");
    }
}

#[test]
fn what_cannot_be_started() {
    // [40 X31]
    let events = EventLoop::new().expect("descriptors");
    let fails = |command| Child::start(&events, command).err().map(Error::code);
    assert_eq!(fails(Command::new("/no/such/program")), Some(libc::ENOENT));
    assert_eq!(fails(Command::new("no-such-program")), Some(libc::ENOENT));
    assert_eq!(fails(Command::new("")), Some(libc::ENOENT));
    assert_eq!(fails(Command::new("/")), Some(libc::EACCES));
    assert_eq!(fails(Command::new("/dev/null/program")), Some(libc::ENOTDIR));
    assert_eq!(fails(Command::new("a\0b")), Some(libc::EINVAL));
    let mut command = Command::new("true");
    command.directory("/no/such/directory");
    assert_eq!(fails(command), Some(libc::ENOENT));
    let mut command = Command::new("true");
    command.directory("");
    assert_eq!(fails(command), Some(libc::ENOENT));
    let mut command = Command::new("true");
    command.arg("x".repeat(4 << 20));
    assert_eq!(fails(command), Some(libc::E2BIG));
}

#[test]
fn nothing_is_reaped_but_by_a_run() {
    // [40 X34] [40 O6]
    let mut events = Loop::new();
    let (_, pid) = wait(&mut events, "one", shell("exit 3"));
    until_ended(pid);
    assert!(exists(pid));
    assert_eq!(process::priority(pid), Ok(process::priority(0).expect("it is this process")));
    assert_eq!(ends(&mut events, Mode::Step), (false, vec![("one", Exit::Status(3))]));
    assert!(!exists(pid));
    assert_eq!(process::priority(pid), Err(GONE));
}

#[test]
fn a_step_lasts_until_somebody_is_told() {
    // [40 Q8] [40 X33]
    let mut events = Loop::new();
    let (command, stream) = lasting();
    wait(&mut events, "one", command);
    let thread = this_thread();
    let closer = std::thread::spawn(move || {
        until_asleep(thread);
        drop(stream);
    });
    assert_eq!(ends(&mut events, Mode::Step), (false, vec![("one", Exit::Status(0))]));
    closer.join().expect("no panic");
}

#[test]
fn ends_are_told_in_the_order_in_which_the_waits_began() {
    // [30 P3]
    let mut events = Loop::new();
    let names = ["a", "b", "c", "d"];
    let pids = names.map(|name| wait(&mut events, name, shell("exit 1")).1);
    pids.into_iter().rev().for_each(until_ended);
    let (pending, ended) = ends(&mut events, Mode::Ready);
    assert!(!pending);
    assert_eq!(ended.into_iter().map(|(who, _)| who).collect::<Vec<_>>(), names);
}

#[test]
fn abandoned_children_are_reaped_by_a_later_run() {
    // [40 X38]
    let mut events: Events = Loop::new();
    // One that has ended when it is abandoned, and was told about;
    let (op, ended) = wait(&mut events, "ended", shell("exit 1"));
    until_ended(ended);
    events.cancel(op);
    // one that ends later;
    let (command, stream) = lasting();
    let (op, lasts) = wait(&mut events, "lasts", command);
    events.cancel(op);
    // and one that nobody ever waited for.
    let (child, never) = events.start_child(shell("exit 2")).expect("it starts");
    until_ended(never);
    assert_eq!(ends(&mut events, Mode::Ready), (false, vec![]));
    assert!(exists(never) && exists(lasts) && !exists(ended));
    events.abandon_child(child);
    assert_eq!(ends(&mut events, Mode::Loop), (false, vec![]));
    assert!(!exists(never) && exists(lasts));
    let op = events.hold("late");
    assert_eq!(events.wait_child(op, child), Err(GONE));
    events.cancel(op);
    drop(stream);
    until_ended(lasts);
    assert_eq!(ends(&mut events, Mode::Loop), (false, vec![]));
    assert!(!exists(lasts));
}

#[test]
fn a_cancelled_wait_is_told_nothing() {
    // [40 X38] [40 X39] Between readiness and delivery, too.
    let mut events: Events = Loop::new();
    let (first, first_pid) = wait(&mut events, "first", shell("exit 1"));
    let (second, second_pid) = wait(&mut events, "second", shell("exit 2"));
    until_ended(first_pid);
    until_ended(second_pid);
    let mut told = Vec::new();
    run(&mut events, Mode::Loop, |events, op| {
        told.push(op);
        assert!(matches!(events.try_wait_child(op), Attempt::Done(Ok(Exit::Status(1)))));
        events.cancel(second);
    });
    assert_eq!(told, [first]);
    assert!(!exists(first_pid));
    ends(&mut events, Mode::Loop);
    assert!(!exists(second_pid));
}

#[test]
fn somebody_else_reaps_a_child() {
    // [40 X35]
    let mut events: Events = Loop::new();
    let (op, pid) = wait(&mut events, "one", shell("exit 1"));
    assert!(waitpid(Pid::from_raw(pid), WaitOptions::empty()).is_ok());
    for _ in 0..3 {
        assert_eq!(ends(&mut events, Mode::Ready), (true, vec![]));
    }
    events.cancel(op);
    assert_eq!(ends(&mut events, Mode::Loop), (false, vec![]));
}

#[test]
fn other_children_are_left_alone() {
    // R34
    // [40 X35]
    let mut events: Events = Loop::new();
    let mut others: Vec<_> = (0..3)
        .map(|number| {
            let child = std::process::Command::new("sh").arg("-c").arg(format!("exit {number}")).spawn();
            child.expect("it starts")
        })
        .collect();
    others.iter().for_each(|child| until_ended(child.id() as i32));
    wait(&mut events, "ours", shell("exit 9"));
    assert_eq!(ends(&mut events, Mode::Loop), (false, vec![("ours", Exit::Status(9))]));
    for (number, child) in others.iter_mut().enumerate() {
        assert_eq!(child.wait().expect("it is there").code(), Some(number as i32));
    }
}

#[test]
fn a_child_has_its_streams_and_its_environment() {
    // [40 X8] [40 X11] [40 E5]
    let events = EventLoop::new().expect("descriptors");
    let (mut ours, theirs) = UnixStream::pair().expect("descriptors");
    let mut command = Command::new("sh");
    command.arg("-c").arg(r#"cat; printf '[%s]' "$0" "$@"; env"#).arg("a  b").arg("\"c\"").arg("");
    command.environment(["PATH=/bin:/usr/bin", "TWICE=1", "TWICE=2", "EMPTY="]);
    command.stdin(std::os::fd::OwnedFd::from(theirs.try_clone().expect("descriptors")));
    command.stdout(std::os::fd::OwnedFd::from(theirs));
    let child = Child::start(&events, command).expect("it starts");
    ours.write_all(b"in").expect("it reads");
    ours.shutdown(std::net::Shutdown::Write).expect("it is connected");
    assert_eq!(events.block_on(child.wait()), Ok(Ok(Exit::Status(0))));
    let mut text = String::new();
    ours.read_to_string(&mut text).expect("it has ended");
    assert!(text.starts_with("in[a  b][\"c\"][]"), "{text}");
    assert!(text.contains("EMPTY=\n") && text.contains("TWICE="), "{text}");
    assert!(!text.contains("HOME="), "{text}");
}

#[test]
fn all_entries_of_the_environment_arrive() {
    // [40 E5] Also those of which `std` would keep one.
    let events = EventLoop::new().expect("descriptors");
    let (mut ours, theirs) = UnixStream::pair().expect("descriptors");
    let mut command = Command::new("cat");
    command.arg("/proc/self/environ").environment(["B=2", "A=1", "B=3", "=x", "none"]);
    command.stdout(std::os::fd::OwnedFd::from(theirs));
    let child = Child::start(&events, command).expect("it is found without a PATH");
    assert_eq!(events.block_on(child.wait()), Ok(Ok(Exit::Status(0))));
    let mut text = String::new();
    ours.read_to_string(&mut text).expect("it has ended");
    assert_eq!(text, "B=2\0A=1\0B=3\0=x\0none\0");
}

#[test]
fn streams_of_a_child_block() {
    // [40 X27]
    let events = EventLoop::new().expect("descriptors");
    let (ours, theirs) = UnixStream::pair().expect("descriptors");
    theirs.set_nonblocking(true).expect("it is open");
    let mut command = shell("grep flags /proc/self/fdinfo/0");
    let (mut output, end) = UnixStream::pair().expect("descriptors");
    command.stdin(std::os::fd::OwnedFd::from(theirs)).stdout(std::os::fd::OwnedFd::from(end));
    let child = Child::start(&events, command).expect("it starts");
    assert_eq!(events.block_on(child.wait()), Ok(Ok(Exit::Status(0))));
    let mut text = String::new();
    output.read_to_string(&mut text).expect("it has ended");
    let flags = i32::from_str_radix(text.trim().rsplit(['\t', ' ']).next().expect("a number"), 8);
    assert_eq!(flags.expect("octal") & libc::O_NONBLOCK, 0, "{text}");
    drop(ours);
}

#[test]
fn futures_of_children() {
    let events = EventLoop::new().expect("descriptors");
    // Dropped before it is polled, and while it waits.
    let (command, stream) = lasting();
    let child = Child::start(&events, command).expect("it starts");
    let first = child.id();
    drop(child);
    let (command, other) = lasting();
    let child = Child::start(&events, command).expect("it starts");
    let second = child.id();
    events
        .block_on(async {
            let mut wait = pin!(child.wait());
            assert!(poll_once(&mut wait).await.is_none());
        })
        .expect("it runs");
    drop((stream, other));
    until_ended(first);
    until_ended(second);
    events.run().expect("it runs");
    assert!(!exists(first) && !exists(second));
    // One among other things; the loop is gone.
    let (command, _stream) = lasting();
    let child = Child::start(&events, command).expect("it starts");
    let pid = child.id();
    let timeout = async {
        events.sleep(Duration::from_millis(1)).await;
        None
    };
    let ended = events.block_on(future::or(async { Some(child.wait().await) }, timeout));
    assert_eq!(ended, Ok(None));
    let child = Child::start(&events, shell("exit 0")).expect("it starts");
    drop(events);
    assert_eq!(future::block_on(child.wait()), Err(Error::CANCELED));
    process::kill(pid, libc::SIGKILL).expect("it survives");
}

#[test]
fn hundreds_at_once() {
    // [40 X36]
    let mut events: Events = Loop::new();
    for number in 0..300 {
        wait(&mut events, "one", shell(&format!("exit {}", number % 256)));
    }
    let (pending, ended) = ends(&mut events, Mode::Loop);
    assert!(!pending);
    let mut statuses: Vec<_> = ended.into_iter().map(|(_, exit)| format!("{exit}")).collect();
    let mut expected: Vec<_> = (0..300).map(|number| format!("status {}", number % 256)).collect();
    statuses.sort();
    expected.sort();
    assert_eq!(statuses, expected);
}

/// The descriptors of a child, besides the one that it opens to look.
fn descriptors(events: &EventLoop) -> String {
    let (mut output, end) = UnixStream::pair().expect("descriptors");
    let mut command = shell("cd /proc/$$/fd && echo *");
    command.stdout(std::os::fd::OwnedFd::from(end)).stdin(Stdio::null());
    let child = Child::start(events, command).expect("it starts");
    assert_eq!(events.block_on(child.wait()), Ok(Ok(Exit::Status(0))));
    let mut text = String::new();
    output.read_to_string(&mut text).expect("it has ended");
    text
}

#[test]
#[cfg(target_os = "linux")]
fn children_of_several_threads_get_nothing_of_each_other() {
    // [40 X25] [40 X36]
    let expected = descriptors(&EventLoop::new().expect("descriptors"));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whatever the library opens meanwhile.
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let mut events: Events = Loop::new();
                let _pair = events.local_pair(true, true).expect("descriptors");
                let _socket = events.tcp(coutil_system::Kind::TcpStream, false).expect("descriptors");
                wait(&mut events, "one", shell("exit 0"));
                ends(&mut events, Mode::Loop);
            }
        });
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let events = EventLoop::new().expect("descriptors");
                    (0..20).for_each(|_| assert_eq!(descriptors(&events), expected));
                })
            })
            .collect();
        let failed = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(failed, 0);
    });
}
