//! All that parses, in one Lua state: the bytes of an input are the choices of a case of `fuzz_parsers.lua` and `fuzz_values.lua`, which
//! compares with a model. The first byte says of which.
#![no_main]
#![forbid(unsafe_code)]

use coutil_lua::mlua::{Function, Lua};
use libfuzzer_sys::fuzz_target;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../coutil-lua/tests/lua/support/?.lua");

/// Gives the function that runs one case.
const PROGRAM: &str = r#"
    package.path = ...
    local choices = require "fuzz_choices"
    local parsers = require "fuzz_values"
    local only = os.getenv "COUTIL_TEST_PARSER"
    return function (bytes)
      local c = choices.from(bytes)
      local parser = parsers[(bytes:byte(1) or 0) % #parsers + 1]
      if only and not parser.name:find(only, 1, true) then return end
      c.at = 1
      local ok, text = pcall(parser.case, c)
      if not ok then error(parser.name .. ": " .. tostring(text), 0) end
    end
"#;

thread_local! {
    static CASE: (Lua, Function) = case();
}

fn case() -> (Lua, Function) {
    let lua = Lua::new();
    let function = coutil_lua::preload(&lua).and_then(|()| lua.load(PROGRAM).call::<Function>(TESTS));
    match function {
        Ok(function) => (lua, function),
        Err(error) => panic!("{error}"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    CASE.with(|(lua, case)| {
        let bytes = lua.create_string(bytes).expect("there is memory");
        if let Err(error) = case.call::<()>(bytes) {
            panic!("{error}");
        }
    });
});
