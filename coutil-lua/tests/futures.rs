//! Rust futures that Lua code awaits.
#![cfg(feature = "vendored")]

use coutil_lua::mlua::{Function, Lua, Result, Value, Variadic};
use coutil_lua::{async_function, preload};
use futures_lite::future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// A future that is ready when somebody says so; it counts how many of its kind are dropped.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<Mutex<(bool, Option<Waker>)>>,
    dropped: Arc<AtomicUsize>,
}

struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Gate {
    fn open(&self) {
        let waker = {
            let mut open = self.open.lock().unwrap();
            open.0 = true;
            open.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn passed(&self) -> impl Future<Output = ()> + Send + use<> {
        let (open, dropped) = (self.open.clone(), Dropped(self.dropped.clone()));
        future::poll_fn(move |context| {
            let _ = &dropped;
            let mut open = open.lock().unwrap();
            if open.0 {
                return Poll::Ready(());
            }
            open.1 = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

fn lua() -> Result<Lua> {
    let lua = Lua::new();
    preload(&lua)?;
    lua.load(
        r#"
        system = require "coutil.system"
        function start (f, ...)
            local co = coroutine.create(f)
            assert(coroutine.resume(co, ...))
            return co
        end
        "#,
    )
    .exec()?;
    Ok(lua)
}

/// A function that awaits `gate`, and returns what it was called with.
fn pass(lua: &Lua, gate: &Gate) -> Result<Function> {
    let gate = gate.clone();
    async_function(lua, move |values: (String, i64)| {
        let passed = gate.passed();
        async move {
            passed.await;
            Ok::<_, String>(values)
        }
    })
}

#[test]
fn woken_from_another_thread_while_the_loop_waits() -> Result<()> {
    let lua = lua()?;
    let gate = Gate::default();
    lua.globals().set("pass", pass(&lua, &gate)?)?;
    lua.load("co = start(function (...) a, b, n = pass(...), (select('#', pass(...))) end, 'x', 7)")
        .exec()?;
    let (polled, is_polled) = mpsc::channel();
    let tell = Function::wrap(move || polled.send(()).map_err(coutil_lua::mlua::Error::external));
    lua.globals().set("tell", tell)?;
    let thread = std::thread::spawn(move || {
        is_polled.recv().unwrap();
        gate.open();
    });
    lua.load("start(function () system.suspend(); tell() end) assert(system.run() == false)").exec()?;
    thread.join().unwrap();
    assert_eq!(lua.load("return a, b").eval::<(String, i64)>()?, ("x".to_owned(), 2));
    Ok(())
}

#[test]
fn an_error_is_raised_as_a_string() -> Result<()> {
    let lua = lua()?;
    let fail = async_function(&lua, |(): ()| async { Err::<(), _>("no luck") })?;
    let panic = async_function(&lua, |(): ()| async {
        if true {
            panic!("a bug");
        }
        Ok::<(), String>(())
    })?;
    lua.globals().set("fail", fail)?;
    lua.globals().set("panic", panic)?;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = lua
        .load(
            r#"
            local errors = {}
            system.onerror(function (message) errors[#errors + 1] = tostring(message) end)
            start(function () fail() end)
            start(function () panic() end)
            assert(system.run() == false)
            return errors[1], errors[2]
            "#,
        )
        .eval::<(String, String)>();
    std::panic::set_hook(hook);
    let (first, second) = result?;
    assert_eq!(first, "no luck");
    assert!(second.contains("a bug"), "{second}");
    Ok(())
}

/// [00 1.4.2] [00 1.4.3]
#[test]
fn it_cannot_be_called_where_nothing_can_yield() -> Result<()> {
    let lua = lua()?;
    let gate = Gate::default();
    lua.globals().set("pass", pass(&lua, &gate)?)?;
    let message: String = lua.load("return select(2, pcall(function () pass('x', 1) end))").eval()?;
    assert!(message.contains("unable to yield"), "{message}");
    assert_eq!(gate.dropped.load(Ordering::SeqCst), 0, "the future was never made");
    Ok(())
}

/// [00 1.3.1] [00 1.3.6]
#[test]
fn an_explicit_resume_drops_the_future() -> Result<()> {
    let lua = lua()?;
    let gate = Gate::default();
    lua.globals().set("pass", pass(&lua, &gate)?)?;
    let values: Variadic<Value> = lua
        .load(
            r##"
            local got, count
            local co = start(function () got = { pass("x", 1) }; count = select("#", pass("x", 1)) end)
            coroutine.resume(co, 1, nil, "three")
            coroutine.resume(co)
            local one, two, three = got[1], got[2], got[3]
            assert(system.run() == false)
            return one, two, three, count
            "##,
        )
        .eval()?;
    assert_eq!(values[0].as_i64(), Some(1));
    assert!(values[1].is_nil());
    assert_eq!(values[2].as_string().map(|text| text.to_string_lossy()), Some("three".into()));
    assert_eq!(values[3].as_i64(), Some(0));
    assert_eq!(gate.dropped.load(Ordering::SeqCst), 2);
    gate.open(); // nobody is there any more
    Ok(())
}

/// [00 1.7.1]
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[test]
fn closing_the_coroutine_drops_the_future() -> Result<()> {
    let lua = lua()?;
    let gate = Gate::default();
    lua.globals().set("pass", pass(&lua, &gate)?)?;
    lua.load("assert(coroutine.close(start(function () pass('x', 1) end))); assert(system.run() == false)")
        .exec()?;
    assert_eq!(gate.dropped.load(Ordering::SeqCst), 1);
    Ok(())
}

/// [90 1.1] [00 1.6.5]
#[test]
fn closing_the_state_drops_the_futures() -> Result<()> {
    let gate = Gate::default();
    let lua = lua()?;
    lua.globals().set("pass", pass(&lua, &gate)?)?;
    lua.load("start(function () pass('x', 1) end); start(function () pass('y', 2) end); system.run('ready')")
        .exec()?;
    drop(lua);
    assert_eq!(gate.dropped.load(Ordering::SeqCst), 2);
    gate.open();
    Ok(())
}

#[test]
fn many_at_once_are_told_apart() -> Result<()> {
    let lua = lua()?;
    let double = async_function(&lua, |number: i64| async move {
        for _ in 0..number % 7 {
            future::yield_now().await;
        }
        Ok::<_, String>(2 * number)
    })?;
    lua.globals().set("double", double)?;
    lua.load(
        r#"
        local sum = 0
        for i = 1, 1000 do
            start(function () local twice = double(i); assert(twice == 2 * i); sum = sum + twice end)
        end
        assert(system.run() == false)
        assert(sum == 1001000, sum)
        "#,
    )
    .exec()
}
