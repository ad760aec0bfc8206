//! For Rust programs that embed Lua with `mlua`.

use crate::modules::{ALL, Module, open_system};
use crate::state::{self, StateRef, field};
use mlua::{Error, Function, Lua, Result, Table, ffi};
use std::path::Path;

/// Makes all modules of the library available to `require` in `lua`, under their names (`coutil.event`, …).
///
/// The short form of `Builder::new().preload(lua)`. Nothing is loaded before Lua code requires it, and no global is
/// set.
///
/// # Errors
///
/// If `lua` has no library `package`, as in a sandbox without it.
pub fn preload(lua: &Lua) -> Result<()> {
    Builder::new().preload(lua)
}

/// The function `system.run`, if coroutines of `lua` may wait on its event loop: what an interpreter calls after a script, so
/// that they go on.
///
/// `None` if the event loop was not used; if the script left it itself, as its last `system.run` returned `true` (it was halted, or
/// ran in a mode that does not wait); and in a process that was forked from that of the loop.
///
/// ```
/// # #[cfg(feature = "vendored")]
/// # fn main() -> mlua::Result<()> {
/// # use coutil_lua::mlua;
/// let lua = mlua::Lua::new();
/// coutil_lua::preload(&lua)?;
/// lua.load(
///     r#"
///     local system = require "coutil.system"
///     coroutine.wrap(function () system.suspend(0.001); done = true end)()
///     "#,
/// )
/// .exec()?;
/// if let Some(run) = coutil_lua::unfinished(&lua)? {
///     run.call::<()>(())?;
/// }
/// assert!(lua.globals().get::<bool>("done")?);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "vendored"))]
/// # fn main() {}
/// ```
///
/// # Errors
///
/// For lack of memory.
pub fn unfinished(lua: &Lua) -> Result<Option<Function>> {
    // SAFETY: nothing with a destructor is live while Lua is called; the result is on the top.
    unsafe {
        lua.exec_raw((), |L| {
            let (mut waits, mut left) = (false, true);
            if let Some(state) = StateRef::find(L) {
                (waits, left) = state.touch(|state| {
                    let system = state.system();
                    (system.core.pending() > 0, system.left || system.core.is_foreign())
                });
            }
            state::push_field(L, field::MODULES);
            let used = ffi::lua_getfield(L, -1, c"system".as_ptr()) != ffi::LUA_TNIL;
            if left || !(used || waits) {
                ffi::lua_pushnil(L);
            } else {
                open_system(L);
                ffi::lua_getfield(L, -1, c"run".as_ptr());
            }
            ffi::lua_replace(L, 1);
            ffi::lua_settop(L, 1);
        })
    }
}

/// Chooses what [`preload`](Builder::preload) makes available.
///
/// ```
/// # #[cfg(feature = "vendored")]
/// # fn main() -> mlua::Result<()> {
/// # use coutil_lua::mlua;
/// let lua = mlua::Lua::new();
/// coutil_lua::Builder::new().modules(&["coutil.event", "coutil.promise"]).preload(&lua)?;
/// assert!(lua.load("require 'coutil.promise'").exec().is_ok());
/// assert!(lua.load("require 'coutil.mutex'").exec().is_err());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "vendored"))]
/// # fn main() {}
/// ```
#[derive(Debug, Default)]
#[must_use = "nothing happens before `preload`"]
pub struct Builder {
    modules: Option<Vec<String>>,
    confined: bool,
}

impl Builder {
    /// All modules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these modules, by the names that Lua code requires them by: for a sandbox.
    pub fn modules(mut self, names: &[&str]) -> Self {
        self.modules = Some(names.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// Whether Lua code may make other Lua states, by the modules `coutil.coroutine` and `coutil.threads`: yes, unless this is
    /// called with `false`.
    ///
    /// An independent state has all standard libraries of its own, whatever `lua` has, and is not counted in its memory limit. So
    /// who made a sandbox wants none.
    pub fn independent_states(mut self, allowed: bool) -> Self {
        self.confined = !allowed;
        self
    }

    /// Sets `package.preload` of `lua` accordingly. `memory` is set too, for `coutil.memory`, unless a module of that
    /// name is found.
    ///
    /// # Errors
    ///
    /// If `lua` has no library `package`, or a module of [`modules`](Self::modules) does not exist; then nothing is
    /// set.
    pub fn preload(self, lua: &Lua) -> Result<()> {
        let loaded: Table = lua.named_registry_value("_LOADED")?;
        let package: Table = loaded
            .get("package")
            .map_err(|_| Error::runtime("coutil: the library `package` is not loaded in this Lua state"))?;
        let preload: Table = package.get("preload")?;

        let name_of = |module: &Module| module.name.to_str().expect("names of modules are ASCII");
        if let Some(names) = &self.modules
            && let Some(unknown) =
                names.iter().find(|name| !ALL.iter().any(|module| name_of(module) == *name))
        {
            return Err(Error::runtime(format!("coutil: there is no module `{unknown}`")));
        }
        let chosen = |name: &str| {
            // The parts that are not Lua come with the module that needs them.
            let name = name.replace(".native.", ".");
            let makes_states = matches!(name.as_str(), "coutil.coroutine" | "coutil.threads");
            !(self.confined && makes_states)
                && self.modules.as_ref().is_none_or(|names| names.contains(&name))
        };
        for module in ALL.iter().filter(|module| chosen(name_of(module))) {
            // SAFETY: an opener is a function for Lua, with nothing to be said about its arguments.
            let open = unsafe { lua.create_c_function(module.open)? };
            if name_of(module) == "coutil.memory" && !is_found(&package, &loaded, "memory")? {
                preload.set("memory", &open)?;
            }
            preload.set(name_of(module), open)?;
        }
        Ok(())
    }
}

/// Whether `require(name)` would find a module: loaded, preloaded, or a file on one of the paths.
fn is_found(package: &Table, loaded: &Table, name: &str) -> Result<bool> {
    if loaded.contains_key(name)? || package.get::<Table>("preload")?.contains_key(name)? {
        return Ok(true);
    }
    for field in ["path", "cpath"] {
        let path: mlua::Value = package.get(field)?;
        let Some(path) = path.as_string() else { continue };
        let path = path.to_string_lossy();
        if path.split(';').any(|template| Path::new(&template.replace('?', name)).is_file()) {
            return Ok(true);
        }
    }
    Ok(false)
}
