//! For lack of threads. In a child, as a limit of threads is one of the user, and root has none.

use coutil_system::{Error, EventLoop, try_unblock, unblock};
use futures_lite::future::block_on;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// A user who has no processes.
const NOBODY: libc::uid_t = 54_321;

/// How many threads there may be: none, or as many as ever.
fn limit(none: bool) {
    // SAFETY: the structure is valid; the limit that can be reached again is left.
    unsafe {
        let mut limit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NPROC, &mut limit), 0);
        limit.rlim_cur = if none { 0 } else { limit.rlim_max };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &limit), 0);
    }
}

/// False if threads are not limited here.
fn calls_without_threads() -> bool {
    limit(true);
    if thread::Builder::new().spawn(|| ()).is_ok() {
        return false;
    }
    let none = Err(Error::from_code(libc::EAGAIN));
    let this = thread::current().id();
    for _ in 0..3 {
        assert_eq!(block_on(try_unblock(|| ())), none);
        assert_eq!(block_on(unblock(|| thread::current().id())), this);
    }
    let events = EventLoop::new().expect("descriptors");
    assert_eq!(events.block_on(try_unblock(|| ())), Ok(none));
    limit(false);
    let thread = block_on(try_unblock(|| thread::current().id())).expect("threads");
    assert_ne!(thread, this);
    // From now on there is one, for all.
    limit(true);
    let calls: Vec<_> = (0..20).map(|_| events.spawn(try_unblock(|| thread::current().id()))).collect();
    for call in calls {
        assert_eq!(events.block_on(call).expect("this process").expect("a thread"), thread);
    }
    // While it makes a call that waits for another one, that gets a thread as soon as there can be one.
    let (send, receive) = std::sync::mpsc::channel();
    let first = events.spawn(try_unblock(move || receive.recv()));
    let second = events.spawn(try_unblock(move || send.send(1)));
    let third = events.spawn(async {
        limit(false);
        try_unblock(|| ()).await
    });
    events.run().expect("this process");
    assert_eq!(block_on(first), Ok(Ok(1)));
    assert_eq!(block_on(second), Ok(Ok(())));
    assert_eq!(block_on(third), Ok(()));
    true
}

#[test]
fn for_lack_of_threads() {
    // SAFETY: the child has the one thread that it needs; it ends without any destructor of this program.
    let child = unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::alarm(60);
            if libc::geteuid() == 0 && libc::setuid(NOBODY) != 0 {
                libc::_exit(2);
            }
            let outcome = catch_unwind(AssertUnwindSafe(calls_without_threads));
            libc::_exit(match outcome {
                Ok(true) => 0,
                Ok(false) => 2,
                Err(_) => 1,
            });
        }
        child
    };
    let mut status = 0;
    // SAFETY: the child is ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 2 {
        return eprintln!("skipped: threads are not limited here");
    }
    assert_eq!(status, 0, "the child failed");
}
