//! `tapedeck config set`: one value of the configuration file. Everything else in it stays as it is written.

use std::io::ErrorKind;

use toml::{Table, Value};

use crate::cli::Global;
use crate::config::Config;
use crate::exit::Failure;
use crate::home::Home;
use crate::output::Output;

const EXAMPLE: &str = "tapedeck config set account.paper.broker alpaca";

/// States `field` as `value` in the configuration file, which is made where there is none. A file that would not be
/// taken with it stays as it was.
pub fn run(global: &Global, field: &str, value: &str, output: Output) -> Result<(), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    let known = home.config_file(global.config.as_deref());
    let file = known.unwrap_or_else(|| home.root().join("tapedeck.toml"));
    let before = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| Failure::config(format!("{}: {error}", file.display())))?,
    };
    let (after, value) = with(&before, field, value)?;
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let beside = file.with_extension("toml.new");
    std::fs::write(&beside, &after)?;
    if let Ok(before) = std::fs::metadata(&file) {
        std::fs::set_permissions(&beside, before.permissions())?;
    }
    if let Err(error) = Config::load(Some(&beside)) {
        std::fs::remove_file(&beside)?;
        return Err(error.into());
    }
    std::fs::rename(&beside, &file)?;
    let file = file.display().to_string();
    if output.json {
        return output
            .document(&serde_json::json!({"file": file, "field": field, "value": value.to_string()}));
    }
    output.line(&format!("{field} = {value} in {file}"));
    Ok(())
}

/// The text with the field in it, and the field's value.
fn with(text: &str, field: &str, value: &str) -> Result<(String, Value), Failure> {
    let usage = |message: String| Failure::usage(message, EXAMPLE);
    let is_bare = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let path: Vec<&str> = field.split('.').collect();
    let named = field.rsplit_once('.').filter(|_| path.iter().all(|part| is_bare(part)));
    let Some((table, key)) = named else {
        return Err(usage(format!("{field}: expected a table and a key, as account.paper.broker")));
    };
    let value = literal(value);
    let before =
        text.parse::<Table>().map_err(|error| Failure::config(format!("the configuration: {error}")))?;
    let mut wanted = before;
    let after = stated(text, table, key, &value.to_string());
    let stands =
        put(&mut wanted, &path, value.clone()) && after.parse::<Table>().is_ok_and(|after| after == wanted);
    if !stands {
        let message =
            format!("{field}: the file has no table [{table}] of its own, and states it in another form");
        return Err(Failure { hint: format!("state {key} = {value} there"), ..Failure::config(message) });
    }
    Ok((after, value))
}

/// A value as TOML writes it; what is none is text.
fn literal(text: &str) -> Value {
    let read = format!("value = {text}").parse::<Table>().ok().filter(|read| read.len() == 1);
    read.and_then(|mut read| read.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Puts a value at a path; false where something else than a table is on the way.
fn put(table: &mut Table, path: &[&str], value: Value) -> bool {
    match path {
        [] => false,
        [key] => {
            table.insert((*key).to_owned(), value);
            true
        }
        [first, rest @ ..] => {
            if !table.contains_key(*first) {
                table.insert((*first).to_owned(), Value::Table(Table::new()));
            }
            match table.get_mut(*first) {
                Some(Value::Table(inner)) => put(inner, rest, value),
                _ => false,
            }
        }
    }
}

/// The text with a line of a table: in the place of the one that states the key, else behind the table's heading, else
/// in a table at the end.
fn stated(text: &str, table: &str, key: &str, value: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let heading = |line: &String| {
        let name = line.trim().strip_prefix('[')?;
        name.split_once(']').map(|(name, _)| name.trim().to_owned())
    };
    let line = format!("{key} = {value}");
    let Some(place) = lines.iter().position(|line| heading(line).as_deref() == Some(table)) else {
        lines.extend([format!("[{table}]"), line]);
        return lines.join("\n") + "\n";
    };
    let of_table = lines[place + 1..].iter().take_while(|line| heading(line).is_none());
    let states = |line: &String| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
    let known = of_table.enumerate().find(|(_, line)| states(line)).map(|(index, _)| place + 1 + index);
    match known {
        Some(known) => lines[known] = line,
        None => lines.insert(place + 1, line),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, field: &str, value: &str) -> Result<String, String> {
        with(text, field, value).map(|(text, _)| text).map_err(|failure| failure.message)
    }

    #[test]
    fn one_line_changes_and_no_table_comes_twice() {
        let broker = |text: &str| after(text, "account.paper.broker", "alpaca").unwrap();
        assert_eq!(broker(""), "[account.paper]\nbroker = \"alpaca\"\n");
        let other = "# mine\n[web]\nbind = \"127.0.0.1:1\"";
        assert_eq!(broker(other), format!("{other}\n[account.paper]\nbroker = \"alpaca\"\n"));
        let known =
            "[account.paper] # mine\ncash = 5 # dollars\n\n[account.paper.alpaca]\nbase_url = \"x\"\n";
        let line = "[account.paper] # mine\nbroker = \"alpaca\"\n";
        assert_eq!(broker(known), known.replace("[account.paper] # mine\n", line));
        assert_eq!(broker(&broker(known)), broker(known));
        let set = after(&broker(known), "account.paper.broker", "simulated").unwrap();
        assert_eq!(set, broker(known).replace("\"alpaca\"", "\"simulated\""));
    }

    #[test]
    fn values_are_what_they_look_like() {
        for (text, written) in [
            ("5", "cash = 5"),
            ("0.5", "cash = 0.5"),
            ("true", "cash = true"),
            ("\"5\"", "cash = \"5\""),
            ("some words", "cash = \"some words\""),
        ] {
            let text = after("", "account.paper.cash", text).unwrap();
            assert!(text.contains(written), "{text}");
        }
    }

    #[test]
    fn what_it_cannot_write_is_refused() {
        for field in ["cash", "", "a..b", "account.paper.", "account.[x].y"] {
            let refused = after("", field, "1").unwrap_err();
            assert!(refused.contains("expected a table and a key"), "{refused}");
        }
        for text in ["account.paper.cash = 5\n", "account = { paper = { cash = 5 } }\n"] {
            let refused = after(text, "account.paper.cash", "6").unwrap_err();
            assert!(refused.contains("no table [account.paper] of its own"), "{refused}");
        }
        assert!(after("[account", "account.paper.cash", "6").unwrap_err().contains("the configuration"));
    }
}
