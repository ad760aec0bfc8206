//! The options of the command: those that `lua` of the same version has.

use std::ffi::CString;

/// Whether this is a version whose `lua` has what came with 5.2: `-E`, and `-l` setting a global.
const AFTER_51: bool = cfg!(not(any(feature = "lua51", feature = "luajit")));
/// Whether Lua has warnings.
pub(crate) const WARNINGS: bool = cfg!(any(feature = "lua54", feature = "lua55"));

/// What is done before the script, in the order of the options.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// `-e CODE`
    Execute(CString),
    /// `-l NAME`
    Require(CString),
    /// `-W`
    WarningsOn,
    /// `-j COMMAND` and `-O LEVEL` of LuaJIT
    #[cfg(feature = "luajit")]
    Compiler(CString),
}

/// What the arguments say.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// `-i`: a prompt after everything else.
    pub(crate) interactive: bool,
    /// `-v`, also when `-i` implies it.
    pub(crate) version: bool,
    /// `-E`: the environment is not asked.
    pub(crate) no_environment: bool,
    /// `--bare`: without the library.
    pub(crate) bare: bool,
    pub(crate) help: bool,
    pub(crate) actions: Vec<Action>,
    /// Which argument is the script. None: there is none.
    pub(crate) script: Option<usize>,
    /// The script is standard input.
    pub(crate) standard_input: bool,
}

/// Reads the arguments, of which the first is the name of the command.
///
/// # Errors
///
/// The message about an option that is not one.
pub(crate) fn parse(args: &[CString]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut index = 1;
    while let Some(arg) = args.get(index) {
        let bytes = arg.as_bytes();
        if bytes.first() != Some(&b'-') {
            options.script = Some(index);
            return Ok(options);
        }
        // The value of an option: the rest of this argument, or the next one.
        let mut value = || {
            if bytes.len() > 2 {
                return Ok(CString::new(&bytes[2..]).expect("it is part of one"));
            }
            index += 1;
            match args.get(index) {
                Some(value) if !AFTER_51 || value.as_bytes().first() != Some(&b'-') => Ok(value.clone()),
                _ => Err(format!("'{}' needs argument", arg.to_string_lossy())),
            }
        };
        match bytes {
            b"-" => {
                options.script = Some(index);
                options.standard_input = true;
                return Ok(options);
            }
            b"--" => {
                options.script = Some(index + 1).filter(|&script| script < args.len());
                return Ok(options);
            }
            b"--bare" => options.bare = true,
            b"--help" | b"-h" => options.help = true,
            b"--version" | b"-v" => options.version = true,
            b"-i" => {
                options.interactive = true;
                options.version = true;
            }
            b"-E" if AFTER_51 || cfg!(feature = "luajit") => options.no_environment = true,
            b"-W" if WARNINGS => options.actions.push(Action::WarningsOn),
            [b'-', b'e', ..] => options.actions.push(Action::Execute(value()?)),
            [b'-', b'l', ..] => options.actions.push(Action::Require(value()?)),
            #[cfg(feature = "luajit")]
            [b'-', b'j', ..] => options.actions.push(Action::Compiler(value()?)),
            #[cfg(feature = "luajit")]
            [b'-', b'O', level @ ..] => {
                let level: &[u8] = if level.is_empty() { b"3" } else { level };
                let command = [b"opt=", level].concat();
                options.actions.push(Action::Compiler(CString::new(command).expect("it is part of one")));
            }
            _ => return Err(format!("unrecognized option '{}'", arg.to_string_lossy())),
        }
        index += 1;
    }
    Ok(options)
}

/// How the command is used, in the words of `lua`.
pub(crate) fn usage() -> String {
    let mut text = String::from(
        "usage: coutil [options] [script [args]]
Available options are:
  -e stat   execute string 'stat'
  -i        enter interactive mode after executing 'script'
",
    );
    text += if AFTER_51 {
        "  -l mod    require library 'mod' into global 'mod'\n"
    } else {
        "  -l mod    require library 'mod'\n"
    };
    if cfg!(any(feature = "lua54", feature = "lua55")) {
        text += "  -l g=mod  require library 'mod' into global 'g'\n";
    }
    if cfg!(feature = "luajit") {
        text += "  -j cmd    perform JIT control command\n  -O[opt]   control JIT optimizations\n";
    }
    text += "  -v        show version information\n";
    if AFTER_51 || cfg!(feature = "luajit") {
        text += "  -E        ignore environment variables\n";
    }
    if WARNINGS {
        text += "  -W        turn warnings on\n";
    }
    text += "  --bare    leave the library out: an interpreter as any other
  --help    show this text
  --        stop handling options
  -         stop handling options and execute stdin
";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Options, String> {
        let mut all = vec![c"coutil".to_owned()];
        all.extend(args.iter().map(|arg| CString::new(*arg).unwrap()));
        parse(&all)
    }

    #[test]
    fn the_script_ends_the_options() {
        let options = parsed(&["-i", "x.lua", "-v"]).unwrap();
        assert!(options.interactive && options.version);
        assert_eq!(options.script, Some(2));
        assert_eq!(parsed(&["--", "-x"]).unwrap().script, Some(2));
        assert_eq!(parsed(&["--"]).unwrap().script, None);
        let options = parsed(&["-", "-v"]).unwrap();
        assert!(options.standard_input && !options.version);
    }
}
