//! Lua tables as LuaRocks writes them: in manifests, which are files of assignments.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A value in a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<Value>),
    Table(BTreeMap<String, Value>),
}

impl Value {
    /// The table at that place of a table, which is made if there is none.
    pub(super) fn table(&mut self, key: &str) -> &mut Value {
        match self {
            Value::Table(entries) => entries.entry(key.to_owned()).or_insert_with(Value::empty),
            _ => unreachable!("a name in a manifest is either a table or a value"),
        }
    }

    pub(super) fn set(&mut self, key: &str, value: Value) {
        match self {
            Value::Table(entries) => drop(entries.insert(key.to_owned(), value)),
            _ => unreachable!("a name in a manifest is either a table or a value"),
        }
    }

    pub(super) fn empty() -> Value {
        Value::Table(BTreeMap::new())
    }

    fn write(&self, out: &mut String, depth: usize) {
        let indent = "   ".repeat(depth + 1);
        let entries: Vec<(Option<&String>, &Value)> = match self {
            Value::Text(text) => return out.push_str(&quoted(text)),
            Value::List(values) => values.iter().map(|value| (None, value)).collect(),
            Value::Table(entries) => entries.iter().map(|(key, value)| (Some(key), value)).collect(),
        };
        if entries.is_empty() {
            return out.push_str("{}");
        }
        out.push('{');
        for (at, (key, value)) in entries.into_iter().enumerate() {
            out.push_str(if at == 0 { "\n" } else { ",\n" });
            out.push_str(&indent);
            match key {
                Some(key) if is_name(key) => write!(out, "{key} = "),
                Some(key) => write!(out, "[{}] = ", quoted(key)),
                None => Ok(()),
            }
            .expect("a string takes everything");
            value.write(out, depth + 1);
        }
        out.push('\n');
        out.push_str(&indent[3..]);
        out.push('}');
    }
}

/// `name = value`.
pub(super) fn assignment(name: &str, value: &Value) -> String {
    let mut out = format!("{name} = ");
    value.write(&mut out, 0);
    out.push('\n');
    out
}

/// A literal string. What is written here are names of files and versions, and sums: nothing needs more than that.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Whether a key can stand in a table without brackets. No key of ours is a word of the language.
fn is_name(key: &str) -> bool {
    let mut characters = key.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_written_as_luarocks_does() {
        let mut manifest = Value::empty();
        manifest.table("coutil").table("3.0.0-1");
        let entry = Value::Table([("arch".to_owned(), Value::Text("linux-x86_64".to_owned()))].into());
        manifest.table("coutil").set("3.0.0-1", Value::List(vec![entry]));
        let text = "repository = {\n   coutil = {\n      [\"3.0.0-1\"] = {\n         {\n            arch = \"linux-x86_64\"\n         \
                    }\n      }\n   }\n}\n";
        assert_eq!(assignment("repository", &manifest), text);
        assert_eq!(assignment("modules", &Value::empty()), "modules = {}\n");
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
    }
}
