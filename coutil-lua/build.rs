//! What the linker has to be told.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    // The command exports the functions of the Lua in it, for the C modules that scripts load.
    println!("cargo:rustc-link-arg-bins=-rdynamic");
    if target == "macos" {
        // A module finds Lua in the interpreter that loads it.
        println!("cargo:rustc-cdylib-link-arg=-undefined");
        println!("cargo:rustc-cdylib-link-arg=dynamic_lookup");
    }
}
