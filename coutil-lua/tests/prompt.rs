//! The prompt of the command, as somebody at a terminal uses it.
//!
//! Nothing sleeps: each step waits for the text that the last one leads to. What is typed is echoed, so the texts that are
//! waited for are such as only results have.
#![cfg(all(feature = "vendored", feature = "prompt"))]

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Whoever takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const UP: &str = "\x1b[A";

/// What a program has written to its terminal, without what moves the cursor.
#[derive(Default)]
struct Screen {
    text: Mutex<(String, bool)>,
    changed: Condvar,
}

/// A terminal with the command on it.
struct Terminal {
    master: File,
    child: Child,
    screen: Arc<Screen>,
    /// What came before was waited for.
    seen: usize,
}

/// The two ends of a new terminal.
fn open() -> (OwnedFd, OwnedFd) {
    // SAFETY: the calls get what they ask for, and the descriptors are new.
    unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(master >= 0);
        assert_eq!(libc::grantpt(master), 0);
        assert_eq!(libc::unlockpt(master), 0);
        let name = CStr::from_ptr(libc::ptsname(master)).to_owned();
        let slave = libc::open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(slave >= 0);
        let size = libc::winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        assert_eq!(libc::ioctl(master, libc::TIOCSWINSZ, &size), 0);
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

/// `ptsname` has one buffer for all.
static OPENING: Mutex<()> = Mutex::new(());

/// Takes away sequences that begin with ESC, and carriage returns.
fn plain(bytes: &[u8], rest: &mut Vec<u8>) -> String {
    let mut text = std::mem::take(rest);
    text.extend_from_slice(bytes);
    let mut plain = Vec::new();
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        let mut next = index + 1;
        if byte == b'\x1b' {
            // ESC [ parameters letter
            let end = text[next..].iter().skip(1).position(u8::is_ascii_alphabetic);
            let Some(end) = end else { break };
            next += 1 + end + 1;
        } else if byte != b'\r' {
            plain.push(byte);
        }
        index = next;
    }
    rest.extend_from_slice(&text[index..]);
    String::from_utf8_lossy(&plain).into_owned()
}

impl Terminal {
    /// Starts the command with these arguments, and a state folder for its history.
    fn start(args: &[&str], state: Option<&Path>) -> Self {
        let (master, slave) = {
            let _alone = OPENING.lock().unwrap();
            open()
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_coutil"));
        let stream = || Stdio::from(slave.try_clone().unwrap());
        command.args(args).stdin(stream()).stdout(stream()).stderr(stream());
        command.env("TERM", "xterm").env_remove("HOME").env_remove("XDG_STATE_HOME").env_remove("LUA_INIT");
        if let Some(state) = state {
            command.env("XDG_STATE_HOME", state);
        }
        // SAFETY: both calls are allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                // So that Ctrl-C is a signal for it.
                match libc::ioctl(0, libc::TIOCSCTTY as _, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().expect("the command starts");
        drop((command, slave));
        let master = File::from(master);
        let screen = Arc::new(Screen::default());
        let (mut output, shared) = (master.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let (mut buffer, mut rest) = ([0; 4096], Vec::new());
            loop {
                // It fails when nobody has the other end any more.
                let count = output.read(&mut buffer).unwrap_or(0);
                let mut text = shared.text.lock().unwrap();
                text.0 += &plain(&buffer[..count], &mut rest);
                text.1 = count == 0;
                shared.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self { master, child, screen, seen: 0 }
    }

    /// Starts it without arguments, and waits until it asks for a line.
    fn new() -> Self {
        let mut terminal = Self::start(&[], None);
        terminal.expect("Lua");
        terminal.expect("> ");
        terminal
    }

    fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("the terminal is there");
    }

    /// Types a line, and ENTER.
    fn line(&mut self, line: &str) {
        self.keys(&format!("{line}\r"));
    }

    /// Waits for a text, after that which was waited for last.
    #[track_caller]
    fn expect(&mut self, wanted: &str) {
        let begun = Instant::now();
        let mut text = self.screen.text.lock().unwrap();
        loop {
            if let Some(at) = text.0[self.seen..].find(wanted) {
                self.seen += at + wanted.len();
                return;
            }
            assert!(!text.1, "{wanted:?} did not come before the end: {}", &text.0[self.seen..]);
            let left = LIMIT.checked_sub(begun.elapsed());
            let Some(left) = left else { panic!("{wanted:?} did not come: {}", &text.0[self.seen..]) };
            text = self.screen.changed.wait_timeout(text, left).unwrap().0;
        }
    }

    /// Types an expression, and waits for its value: the command listens.
    #[track_caller]
    fn listens(&mut self) {
        self.line("'lis' .. 'tens'");
        self.expect("\"listens\"");
        self.expect("> ");
    }

    /// Waits until the command has ended.
    #[track_caller]
    fn ended(mut self) -> ExitStatus {
        {
            let begun = Instant::now();
            let mut text = self.screen.text.lock().unwrap();
            while !text.1 {
                let left = LIMIT.checked_sub(begun.elapsed()).expect("it ends");
                text = self.screen.changed.wait_timeout(text, left).unwrap().0;
            }
        }
        self.child.wait().expect("it has ended")
    }
}

/// Whether lines are edited by the terminal itself, as at the start.
fn is_cooked(master: &File) -> bool {
    // SAFETY: all zeros are valid modes, and they are filled in.
    unsafe {
        let mut modes: libc::termios = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(master.as_raw_fd(), &mut modes), 0);
        modes.c_lflag & libc::ICANON != 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of this test, which is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coutil-prompt-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn results_are_shown() {
    let mut terminal = Terminal::new();
    terminal.line("6 * 7, nil");
    terminal.expect("42\tnil");
    terminal.line("'a' .. '\\n', { 'b', x = 2, t = {}, ['c d'] = { 1 } }");
    terminal.expect("\"a\\n\"\t{\"b\", [\"c d\"] = {...}, t = {}, x = 2}");
    terminal.line("= 'equ' .. 'als'");
    terminal.expect("\"equals\"");
    terminal.line("x = 'no ' .. 'result'");
    terminal.line("print(x)");
    terminal.expect("no result\n");
    terminal.line("setmetatable({}, { __tostring = function () return 'its' .. ' own' end })");
    terminal.expect("its own\n");
    terminal.line("io.write('unfin', 'ished') and nil");
    terminal.expect("unfinishednil");
    terminal.listens();
}

#[test]
fn a_chunk_of_several_lines() {
    let mut terminal = Terminal::new();
    terminal.line("for i = 1, 2 do");
    terminal.line("print('line ' .. i)");
    terminal.line("end");
    terminal.expect("line 1\n");
    terminal.expect("line 2\n");
    terminal.line("_PROMPT = 'lua' .. '# '");
    terminal.expect("lua# ");
    terminal.line("= [[a");
    terminal.line("b]]");
    terminal.expect("\"a\\nb\"");
}

#[test]
fn errors_are_shown_with_a_traceback() {
    let mut terminal = Terminal::new();
    terminal.line("local function inner () error('o' .. 'ops') end inner()");
    terminal.expect("stdin:1: oops\nstack traceback:\n\t[C]: in ");
    terminal.expect("'error'\n");
    terminal.expect("inner'");
    terminal.expect("stdin:1: in main chunk\n");
    terminal.line("error('again')");
    terminal.expect("again\nstack traceback:\n\t[C]: in ");
    terminal.line("x = = 1");
    terminal.expect("stdin:1: unexpected symbol near");
    terminal.line("error(setmetatable({}, { __tostring = function () return 'its' .. ' own' end }))");
    terminal.expect("its own\n");
    terminal.line("error()");
    terminal.expect("(error object is a nil value)");
    terminal.line("system.suspend(0) error('af' .. 'ter')");
    terminal.expect("stdin:1: after");
    terminal.expect("main chunk");
    terminal.listens();
}

/// [00 1.2.2]
#[test]
fn a_line_can_wait_while_others_go_on() {
    let mut terminal = Terminal::new();
    terminal.line("function twice (f) f() f() return 'bo' .. 'th' end");
    terminal.line("twice(function () system.suspend(0.01) end)");
    terminal.expect("\"both\"");
    terminal.line(
        "spawn.catch(print, function () system.suspend(0.01) print('tic' .. 'k') event.emitall('go', 6 * 7) end) \
         return event.await 'go'",
    );
    terminal.expect("tick\n");
    terminal.expect("\"go\"\t42\n");
    terminal.line("system.run()");
    terminal.expect("already running");
    terminal.line("system.halt()");
    terminal.listens();
}

#[test]
fn output_of_others_is_shown_above_the_line() {
    let mut terminal = Terminal::new();
    terminal.line(
        "n = 0 coroutine.wrap(function () while true do system.suspend(0.05) n = n + 1 \
         print('coun' .. 'ted', n) io.stdout:write('in ', 'pie') io.write('ces\\n') io.stderr:write('and er', 'rors\\n') \
         event.emitall 'counted' end end)()",
    );
    terminal.keys("6 *");
    for _ in 0..3 {
        terminal.expect("counted\t");
        terminal.expect("in pieces\n");
        terminal.expect("and errors\n");
        // It is there again, below.
        terminal.expect("> 6 *");
    }
    terminal.line(" 7, 'the ' .. 'end'");
    terminal.expect("42\t\"the end\"\n");
    // An error that nobody handles.
    terminal.line("coroutine.wrap(function () event.await 'counted' error('un' .. 'seen') end)()");
    terminal.expect("coutil: stdin:1: unseen\nstack traceback:");
}

#[test]
fn ctrl_c_interrupts_a_line_that_runs() {
    let mut terminal = Terminal::new();
    terminal.line("print('run' .. 'ning') while true do end");
    terminal.expect("running\n");
    terminal.keys(CTRL_C);
    terminal.expect("interrupted!\nstack traceback:\n");
    terminal.expect("stdin:1: in main chunk");
    terminal.listens();
    // In a coroutine that the line runs.
    terminal.line("coroutine.wrap(function () print('in' .. 'side') while true do end end)()");
    terminal.expect("inside\n");
    terminal.keys(CTRL_C);
    terminal.expect("interrupted!");
    terminal.listens();
    // In another coroutine, which the loop runs: the line after it has to wait for that.
    terminal.line("spawn.catch(print, function () system.suspend(0.01) print('bu' .. 'sy') while true do end end) and nil");
    terminal.expect("busy\n");
    terminal.line("print('la' .. 'ter')");
    // The end of the line is shown when Ctrl-C is a signal again.
    terminal.expect("print('la' .. 'ter')\n");
    terminal.keys(CTRL_C);
    terminal.expect("interrupted!");
    terminal.expect("later\n");
    terminal.listens();
}

#[test]
fn ctrl_c_interrupts_a_line_that_waits() {
    let mut terminal = Terminal::new();
    for wait in ["system.suspend(1000)", "event.await 'never'", "coroutine.yield()"] {
        terminal.line(&format!("print('wai' .. 'ting') {wait} print('on' .. 'ward')"));
        terminal.expect("waiting\n");
        terminal.keys(CTRL_C);
        terminal.expect("interrupted!\nstack traceback:\n");
        terminal.listens();
    }
    // One that waits again. (On 5.1 nothing waits inside of `pcall`.)
    if cfg!(not(feature = "lua51")) {
        terminal.line("print('wai' .. 'ting') pcall(system.suspend, 1000) system.suspend(1000)");
        terminal.expect("waiting\n");
        terminal.keys(CTRL_C);
        terminal.expect("interrupted!");
        terminal.listens();
    }
    // A function that reads.
    terminal.line("print('rea' .. 'ding') io.read()");
    terminal.expect("reading\n");
    terminal.keys(CTRL_C);
    terminal.expect("> ");
    terminal.listens();
}

#[test]
fn ctrl_c_drops_what_was_typed() {
    let mut terminal = Terminal::new();
    for keys in ["not a line of Lua", "for i = 1, 2 do\r  x("] {
        terminal.keys(keys);
        terminal.keys(CTRL_C);
        terminal.expect(&keys.replace('\r', "\n"));
        terminal.expect("\n");
        terminal.expect("> ");
        terminal.listens();
    }
}

/// [40 G15]
#[test]
fn a_coroutine_that_awaits_the_signal_gets_it() {
    let mut terminal = Terminal::new();
    for _ in 0..2 {
        // It is awaited when the line writes.
        terminal.line(
            "coroutine.wrap(function () told = system.awaitsig 'interrupt' event.emitall 'told' end)() \
             print('awai' .. 'ting') event.await 'told' return 'got ' .. told",
        );
        terminal.expect("awaiting\n");
        terminal.keys(CTRL_C);
        terminal.expect("got interrupt");
    }
    terminal.line("print('wai' .. 'ting') system.suspend(1000)");
    terminal.expect("waiting\n");
    terminal.keys(CTRL_C);
    terminal.expect("interrupted!");
    terminal.listens();
}

#[test]
fn names_are_completed() {
    let mut terminal = Terminal::new();
    terminal.line("object = setmetatable({ own = 1 }, { __index = { inherited = print } })");
    terminal.keys("string.forma\t('%d%d', 4, 2)\r");
    terminal.expect("\"42\"");
    terminal.keys("obj\t.ow\t + 41\r");
    terminal.expect("42\n");
    terminal.keys("object:inh\t('me', 'th' .. 'od')\r");
    terminal.expect("\tme\tthod\n");
    terminal.keys("event.e\t\t");
    terminal.expect("event.emitall");
    terminal.expect("event.emitone");
    terminal.keys(CTRL_C);
    terminal.expect("\n");
    terminal.expect("\n");
    terminal.expect("> ");
    // Nothing of the program is called.
    terminal.line("trap = setmetatable({}, { __index = function () print 'called' end })");
    terminal.keys("trap.x.y\t = 1\r");
    terminal.expect("attempt to index");
    terminal.listens();
    // Once, by the line itself.
    assert_eq!(terminal.screen.text.lock().unwrap().0.matches("called\n").count(), 1);
}

#[test]
fn ctrl_d_ends() {
    let mut terminal = Terminal::new();
    terminal.line("coroutine.wrap(function () system.suspend(1000) end)()");
    terminal.listens();
    assert!(!is_cooked(&terminal.master));
    terminal.keys(CTRL_D);
    assert!(terminal.ended().success());
}

#[test]
fn the_terminal_is_as_it_was_after_exit() {
    let mut terminal = Terminal::new();
    // The next line is being typed when it comes.
    terminal.line("coroutine.wrap(function () event.await 'end' system.suspend(0) os.exit(7) end)()");
    terminal.line("event.emitall 'end'");
    let master = terminal.master.try_clone().unwrap();
    assert_eq!(terminal.ended().code(), Some(7));
    assert!(is_cooked(&master));
}

#[test]
fn the_history_is_kept() {
    let folder = Folder::new("history");
    for keys in ["first = 4 .. 2\r", UP] {
        let mut terminal = Terminal::start(&[], Some(&folder.0));
        terminal.expect("> ");
        terminal.keys(keys);
        if keys != UP {
            terminal.expect("\n");
        } else {
            terminal.expect("first = 4 .. 2");
            terminal.keys("\rfirst .. '!'\r");
            terminal.expect("\"42!\"");
        }
        // Before that it would be for the program.
        terminal.expect("> ");
        terminal.keys(CTRL_D);
        assert!(terminal.ended().success());
    }
    let history = std::fs::read_to_string(folder.0.join("coutil/history")).unwrap();
    assert!(history.contains("first = 4 .. 2\n"), "{history}");
}

#[test]
fn after_a_script() {
    let folder = Folder::new("script");
    let script = folder.0.join("script.lua");
    let source = "local system = require 'coutil.system'
        given = ...
        coroutine.wrap(function () system.suspend(0.01) print('from ' .. 'the script') end)()";
    std::fs::write(&script, source).unwrap();
    let mut terminal = Terminal::start(&["-i", script.to_str().unwrap(), "value"], None);
    terminal.expect("Lua");
    terminal.expect("from the script");
    terminal.line("given .. 's'");
    terminal.expect("\"values\"");
    terminal.line("coroutine.wrap(function () event.await 'x' end)() os.exit(9, true)");
    assert_eq!(terminal.ended().code(), Some(9));
}

#[test]
fn without_the_library() {
    let mut terminal = Terminal::start(&["--bare"], None);
    terminal.expect("> ");
    terminal.line("6 * 7, system, (pcall(require, 'coutil.event'))");
    terminal.expect("42\tnil\tfalse\n");
}
