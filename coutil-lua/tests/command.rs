//! The command `coutil`.
#![cfg(feature = "vendored")]

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

fn coutil(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coutil"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // A command that reads nothing may have ended by now.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("the command ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the command writes UTF-8 here")
}

#[test]
fn a_script_gets_its_arguments() {
    let output = coutil(&["-", "one", "two words"], "print(select('#', ...), ..., arg[0], arg[2])");
    assert_eq!(text(&output.stdout), "2\tone\t-\ttwo words\n");
    assert!(output.status.success());
}

#[test]
fn the_library_is_in_it_unless_it_is_left_out() {
    let script = "print(pcall(require, 'coutil.event'))";
    assert!(text(&coutil(&["-"], script).stdout).starts_with("true"));
    assert!(text(&coutil(&["--bare", "-"], script).stdout).starts_with("false"));
}

#[test]
fn errors_are_shown_with_a_traceback() {
    let output = coutil(&["-"], "local function f() error('oops') end\nf()");
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.starts_with("coutil: stdin:1: oops\nstack traceback:"), "{error}");

    let error = coutil(&["-"], "error({})");
    assert!(text(&error.stderr).contains("error object is a table value"), "{error:?}");
    let error = coutil(&["-"], "error(setmetatable({}, { __tostring = function () return 'mine' end }))");
    assert_eq!(text(&error.stderr), "coutil: mine\n");
    let error = coutil(&["-"], "x = = 1");
    assert_eq!(error.status.code(), Some(1));
    assert!(text(&error.stderr).contains("stdin:1:"), "{error:?}");
    let error = coutil(&["no such file.lua"], "");
    assert_eq!(error.status.code(), Some(1));
    assert!(text(&error.stderr).contains("no such file.lua"), "{error:?}");
}

#[test]
fn exit_codes_and_usage() {
    assert_eq!(coutil(&["-"], "os.exit(7)").status.code(), Some(7));
    assert_eq!(coutil(&[], "").status.code(), Some(2));
    assert!(text(&coutil(&["--help"], "").stdout).starts_with("usage:"));
    assert!(text(&coutil(&["--version"], "").stdout).contains(coutil_lua::LUA_VERSION));
}

/// As any other filter: it is ended by the signal, not by an error message.
#[test]
fn nobody_reads_the_output() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coutil"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(b"for _ = 1, 100000 do io.write(('x'):rep(1000)) end")
        .expect("the command reads it");
    let status = child.wait().expect("the command ends");
    let mut error = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut error).expect("it is text");
    assert_eq!(status.signal(), Some(13));
    assert_eq!(error, "");
}

/// [90 2.3] One write for the whole report: reports of several processes with one standard error do not mix.
#[test]
fn a_report_is_written_at_once() {
    let script = r#"
        local event = require "coutil.event"
        coroutine.wrap(function () event.await "e"; error "reported" end)()
        event.emitall "e""#;
    let output = coutil(&["-"], script);
    assert!(text(&output.stderr).starts_with("coutil: stdin:3: reported\nstack traceback:\n"));

    // A pipe in packet mode would show each write; here `strace` does, where it is installed.
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=write", env!("CARGO_BIN_EXE_coutil"), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut traced) = traced else { return };
    traced.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("the command reads it");
    let output = traced.wait_with_output().expect("the command ends");
    let writes = text(&output.stderr).lines().filter(|line| line.starts_with("write(2,")).count();
    assert_eq!(writes, 1);
}

/// Errors in coroutines that were resumed near the limit of C calls, where there is hardly room for a report, are told all
/// the same. [90 2.3]
#[test]
fn near_the_limit_of_c_calls_reports_have_their_message() {
    // Each level takes more than one C call, so the levels begin at different depths.
    let script = r#"
        local event = require "coutil.event"
        local marks, handled = {}, {}
        require("coutil.system").onerror(function (err) handled[err] = true end)
        local function down (k, n)
            if n == 250 then return end
            local bad, deeper = {}, {}
            local mark = "mark " .. k .. "/" .. n .. "."
            coroutine.wrap(function () event.await(bad); marks[#marks + 1] = mark; error(mark, 0) end)()
            coroutine.wrap(function () event.await(deeper); down(k, n + 1) end)()
            event.emitone(bad)
            event.emitone(deeper)
        end
        local function offset (k, more)
            if more == 0 then down(k, 1) else pcall(offset, k, more - 1) end
        end
        for k = 0, 5 do coroutine.wrap(offset)(k, k) end
        for _, mark in ipairs(marks) do print(handled[mark] and "handled" or mark) end
    "#;
    let output = coutil(&["-"], script);
    assert!(output.status.success());
    let (raised, reported) = (text(&output.stdout), text(&output.stderr));
    assert!(raised.lines().count() > 300);
    for mark in raised.lines().filter(|mark| *mark != "handled") {
        assert!(reported.contains(mark), "{mark} was lost");
    }
}
