//! The thread that has the terminal: it reads lines, and waits while they run.

use super::link::{Link, Request, Wake};
use super::{signal, terminal};
use coutil_lua::mlua::chunk::ChunkMode;
use coutil_lua::mlua::{Error, Lua, LuaOptions, StdLib};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, ExternalPrinter, Helper};
use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// How long Lua has to answer that a line waits, before an error is wanted in what runs.
const PATIENCE: i32 = 100;

/// Starts the thread.
pub(crate) fn start(link: Arc<Link>) -> std::io::Result<()> {
    thread::Builder::new().name("prompt".to_owned()).spawn(move || {
        // Also if this panics.
        let _ends = Ends(Arc::clone(&link));
        match Edited::new(&link) {
            Some(edited) => converse(edited, &link),
            None => converse(Plain { syntax: Syntax::new() }, &link),
        }
    })?;
    Ok(())
}

/// Tells Lua that there are no more lines.
struct Ends(Arc<Link>);

impl Drop for Ends {
    fn drop(&mut self) {
        terminal::end_change();
        self.0.request(Request::End);
    }
}

/// What a reader found.
enum Typed {
    Line(Vec<u8>),
    /// Ctrl-C: what was typed is dropped.
    Dropped,
    End,
}

trait Reader {
    /// Reads a line, or several that belong together.
    fn read(&mut self, prompt: &str, link: &Link) -> Typed;
}

/// Reads lines and has them run, until there are no more.
fn converse(mut reader: impl Reader, link: &Link) {
    loop {
        // Not later: Ctrl-C may follow the line at once.
        link.drain();
        match reader.read(&link.prompt(), link) {
            Typed::Line(line) => {
                link.request(Request::Line(line));
                wait(link);
            }
            Typed::Dropped => {}
            Typed::End => return,
        }
    }
}

/// Waits until the line has ended.
fn wait(link: &Link) {
    let mut patience = None;
    loop {
        match link.wait(patience.take()) {
            Some(Wake::Done) => return,
            Some(Wake::Interrupt) => {
                link.request(Request::Interrupt);
                patience = Some(PATIENCE);
            }
            Some(Wake::Acknowledged) => {}
            None => signal::insist(),
        }
    }
}

/// A Lua state that runs nothing: it says whether a text is a whole chunk.
struct Syntax(Lua);

impl Syntax {
    fn new() -> Self {
        Self(Lua::new_with(StdLib::NONE, LuaOptions::new()).expect("a state without libraries is made"))
    }

    /// Whether more is to come.
    fn is_incomplete(&self, text: &[u8]) -> bool {
        let load = |text: &[u8]| self.0.load(text).set_mode(ChunkMode::Text).into_function();
        if load(&[b"return ", text].concat()).is_ok() {
            return false;
        }
        // `=` is short for `return`.
        let returned = text.strip_prefix(b"=").map(|text| [b"return ", text].concat());
        matches!(
            load(returned.as_deref().unwrap_or(text)),
            Err(Error::SyntaxError { incomplete_input: true, .. })
        )
    }
}

/// Lines without editing, as `lua` reads them where there is no terminal.
struct Plain {
    syntax: Syntax,
}

impl Plain {
    /// The next line, without its end. `None`: there is none.
    fn line(prompt: &str) -> Option<Vec<u8>> {
        let mut output = std::io::stdout();
        let _ = output.write_all(prompt.as_bytes()).and_then(|()| output.flush());
        let mut line = Vec::new();
        match std::io::stdin().lock().read_until(b'\n', &mut line) {
            Ok(1..) => Some(line.strip_suffix(b"\n").unwrap_or(&line).to_owned()),
            _ => None,
        }
    }
}

impl Reader for Plain {
    fn read(&mut self, prompt: &str, _: &Link) -> Typed {
        let Some(mut text) = Self::line(prompt) else {
            let _ = std::io::stdout().write_all(b"\n");
            return Typed::End;
        };
        while self.syntax.is_incomplete(&text) {
            let Some(more) = Self::line(">> ") else { break };
            text.push(b'\n');
            text.extend_from_slice(&more);
        }
        Typed::Line(text)
    }
}

/// Lines that can be edited, with a history.
struct Edited {
    editor: Editor<Assistant, DefaultHistory>,
    history: Option<PathBuf>,
}

impl Edited {
    /// `None` where there is no terminal, or one that cannot do it.
    fn new(link: &Arc<Link>) -> Option<Self> {
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return None;
        }
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(1000)
            .and_then(|builder| builder.history_ignore_dups(true))
            .ok()?
            .build();
        let mut editor = Editor::with_config(config).ok()?;
        let mut printer = editor.create_external_printer().ok()?;
        editor.set_helper(Some(Assistant { link: Arc::clone(link), syntax: Syntax::new() }));
        let history = history_file();
        if let Some(file) = &history {
            // There is none at the first time.
            let _ = editor.load_history(file);
        }
        let shows = Arc::clone(link);
        let show = move || {
            loop {
                let _ = printer.print(shows.output.take());
            }
        };
        thread::Builder::new().name("prompt output".to_owned()).spawn(show).ok()?;
        Some(Self { editor, history })
    }
}

impl Reader for Edited {
    fn read(&mut self, prompt: &str, link: &Link) -> Typed {
        begin_line();
        if !terminal::begin_change() {
            return Typed::End;
        }
        link.output.begin();
        let read = self.editor.readline(prompt);
        link.output.end();
        terminal::end_change();
        match read {
            Ok(line) => {
                if !line.trim().is_empty()
                    && self.editor.add_history_entry(line.as_str()).unwrap_or(false)
                    && let Some(file) = &self.history
                {
                    // A history that cannot be kept is no reason to stop.
                    let _ = self.editor.append_history(file);
                }
                Typed::Line(line.into_bytes())
            }
            Err(ReadlineError::Interrupted) => Typed::Dropped,
            Err(_) => Typed::End,
        }
    }
}

/// Moves to the next line if something was written in this one: blanks up to its end go on in the next one only then.
fn begin_line() {
    let columns = terminal::columns();
    if columns > 1 {
        let mut output = std::io::stdout();
        let blanks = format!("{:1$}\r", "", columns - 1);
        let _ = output.write_all(blanks.as_bytes()).and_then(|()| output.flush());
    }
}

/// Where lines are kept from one time to the next: in the folder for such things. None if there is no home.
fn history_file() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    let own = state.join("coutil");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&own).ok()?;
    Some(own.join("history"))
}

/// What the editor asks while a line is typed.
struct Assistant {
    link: Arc<Link>,
    syntax: Syntax,
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.link.complete(&line[..position]))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if self.syntax.is_incomplete(context.input().as_bytes()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Hinter for Assistant {
    type Hint = String;

    /// Called when the line is shown, at first when the terminal has its modes.
    fn hint(&self, _: &str, _: usize, _: &Context<'_>) -> Option<String> {
        terminal::end_change();
        None
    }
}

impl Highlighter for Assistant {}
impl Helper for Assistant {}
