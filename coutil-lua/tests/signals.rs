//! Signals and children of several Lua states of one process.
#![cfg(feature = "vendored")]

use coutil_lua::mlua::{Lua, Result};
use coutil_lua::preload;
use std::sync::Mutex;

/// Signals concern the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn lua() -> Result<Lua> {
    let lua = Lua::new();
    preload(&lua)?;
    lua.load(
        r#"
        system = require "coutil.system"
        told = 0
        function wait (signal)
            local co = coroutine.create(function () assert(system.awaitsig(signal) == signal) told = told + 1 end)
            assert(coroutine.resume(co))
            return co
        end
        "#,
    )
    .exec()?;
    Ok(lua)
}

fn is_caught(signal: i32) -> bool {
    // SAFETY: all zeros are a valid action, and it is filled in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut action), 0);
        action.sa_sigaction != libc::SIG_DFL
    }
}

/// [40 G10] [40 G14] [40 G15] [30 A10]
#[test]
fn all_states_are_told_and_a_state_that_is_closed_waits_no_more() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let states = [lua()?, lua()?, lua()?];
    for state in &states {
        state.load("wait 'userdef1' wait 'userdef1'").exec()?;
    }
    assert!(is_caught(libc::SIGUSR1));
    // SAFETY: it is caught.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    let [first, second, third] = states;
    drop(third);
    for state in [&first, &second] {
        assert!(!state.load("return system.run()").eval::<bool>()?);
        assert_eq!(state.globals().get::<u32>("told")?, 2);
    }
    assert!(!is_caught(libc::SIGUSR1));
    first.load("wait 'userdef1' wait 'userdef2'").exec()?;
    second.load("wait 'userdef1'").exec()?;
    drop(first);
    assert!(is_caught(libc::SIGUSR1) && !is_caught(libc::SIGUSR2));
    drop(second);
    assert!(!is_caught(libc::SIGUSR1));
    Ok(())
}

/// [40 X36] [40 X40] [30 A10]
#[test]
fn a_process_survives_its_state() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (closed, other) = (lua()?, lua()?);
    let start = r#"
        child = { execfile = "cat", stdin = "w", stdout = "r" }
        assert(coroutine.resume(coroutine.create(function () how, status = system.execute(child) end)))
        return child.pid
    "#;
    let (first, second): (i32, i32) = (closed.load(start).eval()?, other.load(start).eval()?);
    drop(closed);
    // Its streams are closed with the state, so it ends by itself; nobody reaps it but we.
    let mut status = 0;
    // SAFETY: the child is of this process.
    assert_eq!(unsafe { libc::waitpid(first, &mut status, 0) }, first);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
    other
        .load("child.stdin:close() assert(system.run() == false) assert(how == 'exit' and status == 0)")
        .exec()?;
    // SAFETY: nothing is sent.
    assert_eq!(unsafe { libc::kill(second, 0) }, -1);
    Ok(())
}
