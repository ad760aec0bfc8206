//! The prompt: lines of Lua are typed and run while the event loop goes on.
//!
//! Two threads take part. The main one has the Lua state, and is in its event loop all the time; `prompt.lua` is a coroutine
//! there that awaits what the other thread wants: a line to be run, the completions of a word, an interruption. The other one
//! has the terminal (`editor.rs`). Between them is the `Link`.
//!
//! Each line runs in a coroutine of its own, so it can call await functions. The next one is asked for when it has ended.

mod editor;
mod link;
mod output;
mod signal;
mod terminal;

use coutil_channel::buffered::{Receiver, unbounded};
use coutil_lua::async_function;
use coutil_lua::mlua::{BString, Error, Function, Lua, Result, Table};
use link::{Link, Request};
use std::sync::Arc;

/// The file of a part that is written in Lua.
macro_rules! part {
    ($lua:expr, $file:literal) => {
        $lua.load(include_str!($file)).set_name(concat!("=(", $file, ")"))
    };
}

/// Asks for lines and runs them, until there are no more.
pub(crate) fn run(lua: &Lua, bare: bool) -> Result<bool> {
    if bare {
        // The loop is needed all the same; `prompt.lua` takes the library back.
        coutil_lua::preload(lua)?;
    }
    let (requests, receiver) = unbounded();
    let link = Arc::new(Link::new(requests).map_err(Error::external)?);
    let host = host(lua, &link, receiver)?;
    host.set("bare", bare)?;
    host.set("describe", part!(lua, "print.lua").eval::<Function>()?)?;
    host.set("complete", part!(lua, "complete.lua").eval::<Function>()?)?;
    let serve: Function = part!(lua, "prompt.lua").call(host)?;

    signal::install(lua, &link)?;
    terminal::restore_at_exit();
    editor::start(link).map_err(Error::external)?;
    serve.call::<()>(())?;
    Ok(true)
}

/// What `prompt.lua` needs.
fn host(lua: &Lua, link: &Arc<Link>, receiver: Receiver<Request>) -> Result<Table> {
    let host = lua.create_table()?;
    // `next()` → what is wanted, a text, a number
    let next = async_function(lua, move |(): ()| {
        let receiver = receiver.clone();
        async move {
            Ok::<_, String>(match receiver.receive().await {
                Ok(Request::Line(line)) => ("line", Some(BString::from(line)), None),
                Ok(Request::Complete(text, ticket)) => ("complete", Some(BString::from(text)), Some(ticket)),
                Ok(Request::Interrupt) => ("interrupt", None, None),
                Ok(Request::End) | Err(_) => ("end", None, None),
            })
        }
    })?;
    host.set("next", next)?;
    let shared = Arc::clone(link);
    // `done(prompt)`: the line has ended.
    let done = lua.create_function(move |_, prompt: BString| {
        terminal::flush();
        signal::forget_line();
        shared.done(String::from_utf8_lossy(&prompt).into_owned());
        Ok(())
    })?;
    host.set("done", done)?;
    let shared = Arc::clone(link);
    // `answer(ticket, start, candidates)`
    let answer = lua.create_function(move |_, (ticket, start, candidates): (u64, usize, Vec<String>)| {
        shared.answer(ticket, start, candidates);
        Ok(())
    })?;
    host.set("answer", answer)?;
    let shared = Arc::clone(link);
    // `calm()`: the interruption has arrived, and nothing is to be raised for it.
    let calm = lua.create_function(move |_, ()| {
        signal::calm();
        shared.acknowledge();
        Ok(())
    })?;
    host.set("calm", calm)?;
    let shared = Arc::clone(link);
    host.set("typing", lua.create_function(move |_, ()| Ok(shared.output.is_typing()))?)?;
    let shared = Arc::clone(link);
    // `show(text)` → whether it is shown above the line that is being typed; else it is to be written.
    let show = lua.create_function(move |_, text: BString| Ok(shared.output.show(&text)))?;
    host.set("show", show)?;
    signal::set_functions(lua, &host)?;
    Ok(host)
}
