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
    assert!(text(&coutil(&["--help"], "").stdout).starts_with("usage:"));
    let version = if cfg!(feature = "luajit") { "LuaJIT 2.1" } else { coutil_lua::LUA_VERSION };
    let library = coutil(&["-e", "io.write(require 'coutil'._VERSION)"], "");
    for option in ["--version", "-v"] {
        let output = coutil(&[option], "print 'not run'");
        let version_line = text(&output.stdout);
        assert!(version_line.contains(version) && version_line.ends_with('\n'), "{version_line}");
        assert!(version_line.starts_with(&format!("{} with ", text(&library.stdout))), "{version_line}");
        assert_eq!(version_line.lines().count(), 1);
    }
    for (args, message) in [
        (&["-x"][..], "coutil: unrecognized option '-x'\nusage: coutil [options] [script [args]]\n"),
        (&["-vv"], "coutil: unrecognized option '-vv'\nusage:"),
        (&["-e"], "coutil: '-e' needs argument\nusage:"),
        (&["-l"], "coutil: '-l' needs argument\nusage:"),
    ] {
        let output = coutil(args, "");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).starts_with(message), "{output:?}");
        assert_eq!(text(&output.stdout), "");
    }
}

/// A script in a file.
struct Script(std::path::PathBuf);

impl Script {
    fn new(name: &str, source: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coutil-command-{name}-{}.lua", std::process::id()));
        std::fs::write(&path, source).expect("there is a folder for it");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("it is text")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The version has what came with 5.2.
const AFTER_51: bool = cfg!(not(any(feature = "lua51", feature = "luajit")));
/// The version has warnings.
const WARNINGS: bool = cfg!(any(feature = "lua54", feature = "lua55"));

#[test]
fn options_are_done_in_their_order() {
    let script = Script::new("order", "#!/usr/bin/env coutil\nprint('script', ...)");
    let output =
        coutil(&["-e", "print 'one'", "-eprint 'two'", script.path(), "-e", "three"], "print 'input'");
    assert_eq!(text(&output.stdout), "one\ntwo\nscript\t-e\tthree\n");
    assert!(output.status.success());
    // Nothing is read where `-e` was given, but where `-l` was.
    assert_eq!(text(&coutil(&["-e", "print(1)"], "print(2)").stdout), "1\n");
    assert_eq!(text(&coutil(&["-lstring"], "print(2)").stdout), "2\n");
    assert_eq!(text(&coutil(&[], "print(...) print(2)").stdout), "\n2\n");
    assert_eq!(text(&coutil(&["--", script.path(), "x"], "").stdout), "script\tx\n");
    assert_eq!(text(&coutil(&["--", "-"], "").stderr).lines().count(), 1);
    // An error ends it.
    let output = coutil(&["-e", "error 'first'", "-e", "print 'second'"], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert!(
        text(&output.stderr).starts_with("coutil: (command line):1: first\nstack traceback:\n\t[C]: in ")
    );
}

#[test]
fn the_table_of_arguments() {
    let script = Script::new("arg", "print(#arg, arg[-2], arg[-1], arg[0] == SCRIPT, arg[1], ...)");
    let set = format!("SCRIPT = {:?}", script.path());
    let output = coutil(&["-e", &set, script.path(), "a", "b"], "");
    let wanted = format!("2\t-e\t{set}\ttrue\ta\ta\tb\n");
    assert_eq!(text(&output.stdout), wanted);
    // The script gets what is in it.
    let output = coutil(&["-e", "arg[2] = 'changed'", "-", "a", "b"], "print(...)");
    assert_eq!(text(&output.stdout), "a\tchanged\n");
    let output = coutil(&["-e", "arg = nil", "-"], "print(...)");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("'arg' is not a table"), "{output:?}");
    // Without a script the command itself is `arg[0]`.
    let output = coutil(&["-e", "print(arg[0], arg[1], arg[-1])"], "");
    assert!(text(&output.stdout).ends_with("coutil\t-e\tnil\n"), "{output:?}");
}

#[test]
fn modules_of_options() {
    let value = |args: &[&str]| text(&coutil(args, "").stdout).to_owned();
    let module = "package.preload['a-v2'] = function (name) loaded = name return { 'a module' } end";
    let show = "print(loaded, type(a) == 'table' and a[1], type(g) == 'table' and g[1])";
    let named = if WARNINGS { "a-v2\ta module\tfalse\n" } else { "a-v2\tfalse\tfalse\n" };
    assert_eq!(value(&["-e", module, "-l", "a-v2", "-e", show]), named);
    if WARNINGS {
        assert_eq!(value(&["-e", module, "-lg=a-v2", "-e", show]), "a-v2\tfalse\ta module\n");
    }
    let show = "print(rawget(_G, 'coutil.event') ~= nil)";
    assert_eq!(value(&["-l", "coutil.event", "-e", show]), format!("{AFTER_51}\n"));
    let output = coutil(&["-l", "no such module"], "print 'not run'");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("coutil: module 'no such module' not found:"), "{output:?}");
    assert_eq!(text(&output.stdout), "");
}

/// Runs the command with these variables.
fn with_variables(variables: &[(&str, &str)], args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coutil"));
    command.args(args).stdin(Stdio::null()).envs(variables.iter().copied());
    let output = command.output().expect("the command runs");
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn variables_of_the_environment() {
    let own = coutil_lua::LUA_VERSION.replace("Lua ", "LUA_INIT_").replace('.', "_");
    assert_eq!(with_variables(&[("LUA_INIT", "print 'init'")], &["-e", "print 'code'"]), "init\ncode\n");
    let both = [("LUA_INIT", "print 'any'"), (own.as_str(), "print 'own'")];
    assert_eq!(with_variables(&both, &["-e", ""]), if AFTER_51 { "own\n" } else { "any\n" });
    let script = Script::new("init", "print('a file', ...)");
    let file = format!("@{}", script.path());
    assert_eq!(with_variables(&[("LUA_INIT", &file)], &["-e", ""]), "a file\n");
    let failed = with_variables(&[("LUA_INIT", "error 'bad'")], &["-e", "print 'not run'"]);
    assert!(failed.starts_with("coutil: LUA_INIT:1: bad\nstack traceback:"), "{failed}");
    if AFTER_51 || cfg!(feature = "luajit") {
        let variables = [("LUA_INIT", "print 'init'"), ("LUA_PATH", "/nowhere/?")];
        let args = ["-E", "-e", "print(package.path:find('nowhere', 1, true))"];
        assert_eq!(with_variables(&variables, &args), "nil\n");
    }
}

#[cfg(any(feature = "lua54", feature = "lua55"))]
#[test]
fn warnings_are_off_unless_wanted() {
    assert_eq!(text(&coutil(&["-e", "warn 'x'"], "").stderr), "");
    assert_eq!(text(&coutil(&["-W", "-e", "warn('x', 'y')"], "").stderr), "Lua warning: xy\n");
    assert_eq!(text(&coutil(&["-e", "print(collectgarbage 'incremental')"], "").stdout), "generational\n");
}

#[cfg(feature = "luajit")]
#[test]
fn the_compiler_can_be_controlled() {
    assert_eq!(text(&coutil(&["-joff", "-e", "print((jit.status()))"], "").stdout), "false\n");
    assert_eq!(text(&coutil(&["-j", "on", "-O3", "-Ohotloop=10", "-e", "print(1)"], "").stdout), "1\n");
    assert_eq!(coutil(&["-j", "nonsense"], "").status.code(), Some(1));
}

/// [00 1.2.2]
#[test]
fn the_loop_runs_after_the_script() {
    let wait = "local system = require 'coutil.system'
        coroutine.wrap(function () system.suspend(0.001) print 'later' end)()
        print 'now' ";
    assert_eq!(text(&coutil(&["-"], wait).stdout), "now\nlater\n");
    assert_eq!(text(&coutil(&["-e", wait, "-e", "print 'then'"], "").stdout), "now\nthen\nlater\n");
    // Its errors are reported, and stop nothing.
    let output =
        coutil(&["-"], &format!("{wait} coroutine.wrap(function () system.suspend() error 'bad' end)()"));
    assert_eq!(text(&output.stdout), "now\nlater\n");
    assert!(text(&output.stderr).starts_with("coutil: stdin:3: bad\n"), "{output:?}");
    assert!(output.status.success());
    // Those that it is to raise, it raises.
    let raise = "local system = require 'coutil.system' system.onerror 'raise'
        coroutine.wrap(function () system.suspend() error 'bad' end)()";
    let output = coutil(&["-"], raise);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("coutil: stdin:2: bad\n"), "{output:?}");
    // What a script has left behind stays there.
    let left = "local system = require 'coutil.system'
        coroutine.wrap(function () system.suspend(1000) print 'never' end)()
        coroutine.wrap(function () system.suspend() system.halt() end)()
        assert(system.run())
        print 'end'";
    assert_eq!(text(&coutil(&["-"], left).stdout), "end\n");
    let left = left.replace("system.run()", "system.run 'ready'");
    assert_eq!(text(&coutil(&["-"], &left).stdout), "end\n");
    // Nor does the loop run where it is not wanted.
    let source = format!("{wait} io.stdout:flush()");
    assert_eq!(with_variables(&[("COUTIL_LOOP", "no")], &["-e", &source]), "now\n");
    // After an error nobody waits.
    let output = coutil(&["-"], &format!("{wait} error 'no'"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "now\n");
}

/// A script with this input, to which `signal` is sent once it has written a line.
fn signalled(source: &str, signal: libc::c_int) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coutil"))
        .args(["-e", source])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut byte = [0];
    let mut output = child.stdout.take().expect("it is piped");
    while byte != *b"\n" {
        output.read_exact(&mut byte).expect("it writes a line");
    }
    // SAFETY: the child is of this process, and was not waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
    child.wait_with_output().expect("the command ends")
}

#[test]
fn ctrl_c() {
    // Compiled code takes no notice.
    let jit = if cfg!(feature = "luajit") { "jit.off()" } else { "" };
    let busy = format!("{jit} io.write('x\\n') io.flush() while true do end");
    let output = signalled(&busy, libc::SIGINT);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // A position comes first if a C function was running, as for `lua`.
    let error = text(&output.stderr);
    assert!(
        error.starts_with("coutil: ") && error.contains("interrupted!\nstack traceback:\n"),
        "{output:?}"
    );
    // The loop waits when the child sends the signal. The child ends with its input.
    let waits = "local system = require 'coutil.system'
        local child = { execfile = 'sh', arguments = { '-c', 'read x; kill -INT $PPID; cat' }, stdin = 'w' }
        coroutine.wrap(function () system.execute(child) end)()
        coroutine.wrap(function () system.suspend() child.stdin:write '\\n' system.suspend(1000) end)() ";
    for run in ["", "system.run()"] {
        let output = coutil(&["-e", &format!("{waits}{run}")], "");
        // The child may be so fast that the coroutine is still running.
        let early = text(&output.stderr).contains("interrupted!");
        assert!(early || output.status.signal() == Some(libc::SIGINT), "{output:?}");
    }
    // A coroutine that awaits it gets it.
    let awaits = "local system = require 'coutil.system'
        coroutine.wrap(function () system.awaitsig 'interrupt' os.exit(5) end)()
        io.write('x\\n') io.flush()";
    assert_eq!(signalled(awaits, libc::SIGINT).status.code(), Some(5));
}

/// Without a terminal, lines are read as they come.
#[cfg(feature = "prompt")]
#[test]
fn lines_without_a_terminal() {
    let lines = "6 * 7\nfor i = 1, 2 do\nprint(i)\nend\n= 'x'\nx = = 1\nsystem.suspend(0.001) print 'waited'\nlocal t = {";
    let output = coutil(&["-i"], lines);
    assert!(output.status.success());
    let (version, shown) = text(&output.stdout).split_once('\n').expect("a version comes first");
    assert!(version.contains("Lua"));
    assert_eq!(shown, "> 42\n> >> >> 1\n2\n> \"x\"\n> > waited\n> >> > \n");
    let errors: Vec<&str> = text(&output.stderr).lines().collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("stdin:1: unexpected symbol near"), "{errors:?}");
    assert!(errors[1].starts_with("stdin:1: ") && errors[1].contains("<eof>"), "{errors:?}");
}

/// A filter of which only the beginning is read.
#[test]
fn head_ends_it() {
    let coutil = env!("CARGO_BIN_EXE_coutil");
    let pipe = format!("'{coutil}' -e 'while true do print(1) end' | head -n 1; echo \"$?\"");
    let output = Command::new("sh").args(["-c", &pipe]).output().expect("there is a shell");
    assert_eq!(text(&output.stdout), "1\n0\n");
    assert_eq!(text(&output.stderr), "");
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
