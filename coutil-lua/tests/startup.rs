//! What a program pays before it has asked for anything: no thread, no descriptor, no file.
#![cfg(all(feature = "vendored", target_os = "linux"))]

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Of the traces, for their names.
static COUNT: AtomicU32 = AtomicU32::new(0);

const PRIMITIVES: &str = r#"
    for _, name in ipairs {
        "event", "queued", "mutex", "promise", "spawn", "memory", "channel", "coroutine", "threads",
    } do
        require("coutil." .. name)
    end
"#;

/// The system calls between the lines `begin` and `end` that a script writes to its standard error; `None` if strace cannot trace here.
fn calls(script: &str) -> Option<Vec<String>> {
    let file = std::env::temp_dir().join(format!(
        "coutil-startup-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    let script = format!("io.stderr:write 'begin'\n{script}\nio.stderr:write 'end'");
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&file)
        .arg(env!("CARGO_BIN_EXE_coutil"))
        .args(["-e", &script])
        .stdin(Stdio::null())
        .output();
    let text = fs::read_to_string(&file).unwrap_or_default();
    // It may not have been made.
    let _ = fs::remove_file(&file);
    let Ok(output) = traced else {
        eprintln!("skipped: strace is not installed");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    if !text.contains("execve(") || errors.contains("ptrace") {
        eprintln!("skipped: strace may not trace here: {errors}");
        return None;
    }
    assert!(output.status.success(), "{errors}");
    let calls = text.lines().skip_while(|line| !line.contains(r#"write(2, "begin""#)).skip(1);
    let calls: Vec<String> =
        calls.take_while(|line| !line.contains(r#"write(2, "end""#)).map(str::to_owned).collect();
    assert!(text.contains(r#"write(2, "end""#), "{text}");
    Some(calls)
}

/// Whether a call only takes or gives memory back, or reads a clock.
fn is_free(call: &str) -> bool {
    // `PID CALL(...`, where the number is padded.
    let name = call.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    ["brk(", "mmap(", "munmap(", "mremap(", "madvise(", "mprotect(", "getrandom(", "clock_gettime("]
        .iter()
        .any(|free| name.starts_with(free))
}

fn assert_free(calls: &[String]) {
    let others: Vec<_> = calls.iter().filter(|call| !is_free(call)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

/// Loading starts no thread, makes no descriptor and opens no file: it only takes memory.
#[test]
fn loading_the_modules_only_takes_memory() {
    if let Some(calls) = calls(PRIMITIVES) {
        assert_free(&calls);
    }
}

/// `coutil.system` has the standard streams as values. So it looks at what they are, and has copies of them; it starts no thread, makes no
/// poller, and opens nothing else.
#[test]
fn loading_the_system_only_copies_the_standard_streams() {
    let Some(mut calls) = calls("require 'coutil.system'") else { return };
    calls.retain(|call| {
        let name = call.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let looks = ["ioctl(", "fstat(", "newfstatat(", "fcntl(", "readlink("]
            .iter()
            .any(|look| name.starts_with(look));
        let copies = name.starts_with("open") && name.contains("\"/proc/self/fd/");
        !looks && !copies
    });
    assert_free(&calls);
}

/// Neither does what has no need of the operating system: events, promises, mutexes, memory, channels within the state.
#[test]
fn primitives_only_take_memory() {
    let script = r#"
        local event, mutex = require "coutil.event", require "coutil.mutex"
        local promise, queued = require "coutil.promise", require "coutil.queued"
        local channel, memory = require "coutil.channel", require "coutil.memory"
        local log = {}
        coroutine.wrap(function ()
            mutex.lock "mutex"
            log[1] = event.await "event"
            mutex.unlock "mutex"
        end)()
        event.emitone "event"
        local p, fulfill = promise.create()
        fulfill "kept"
        assert(p() == "kept" and log[1] == "event")
        queued.emitone "stored"
        assert(queued.await "stored" == "stored")
        assert(#memory.create(100) == 100)
        local ch = channel.create "name"
        assert(ch:sync "out" == false)
        ch:close()
    "#;
    if let Some(calls) = calls(script) {
        assert_free(&calls);
    }
}

/// What counts the calls sees them: a timer needs the loop, which needs descriptors, but no thread; a file needs a thread.
#[test]
fn what_needs_the_system_takes_it_then() {
    let timer = r#"
        local system = require "coutil.system"
        coroutine.wrap(function () system.suspend(.001) end)()
        system.run()
    "#;
    if let Some(calls) = calls(timer) {
        assert!(!calls.iter().all(|call| is_free(call)), "{calls:#?}");
        assert!(!calls.iter().any(|call| call.contains(" clone")), "{calls:#?}");
    }
    let file = r#"
        local system = require "coutil.system"
        coroutine.wrap(function () assert(system.openfile("/dev/null", "r")) end)()
        system.run()
    "#;
    if let Some(calls) = calls(file) {
        assert!(calls.iter().any(|call| call.contains(" clone")), "{calls:#?}");
    }
}

/// A state on another thread opens nothing by itself: what is opened for a moment could take the number of a standard stream that is
/// closed [30 D13].
#[test]
fn threads_open_no_files() {
    let script = r#"
        local system, states = require "coutil.system", require "coutil.coroutine"
        local co, got = states.load "return ..."
        coroutine.wrap(function () got = { system.resume(co, 12) } end)()
        system.run()
        assert(got[1] == true and got[2] == 12)
    "#;
    let Some(mut calls) = calls(script) else { return };
    // The copies of the standard streams, when the module is loaded.
    calls.retain(|call| call.contains(" open") && !call.contains("\"/proc/self/fd/"));
    assert!(calls.is_empty(), "{calls:#?}");
}
