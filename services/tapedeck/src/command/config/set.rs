//! `tapedeck config set`: one value of the configuration file. Everything else in it stays as it is written.

use std::io::ErrorKind;
use std::path::Path;

use toml_edit::{DocumentMut, InlineTable, Item, Table, TomlError, Value};

use crate::cli::Global;
use crate::config::{Config, ConfigError, built_in};
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
    let (after, value) = stated(&file, &before, field, value)?;
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let beside = file.with_extension("toml.new");
    std::fs::write(&beside, &after)?;
    if let Ok(before) = std::fs::metadata(&file) {
        std::fs::set_permissions(&beside, before.permissions())?;
    }
    std::fs::rename(&beside, &file)?;
    let file = file.display().to_string();
    if output.json {
        return output.document(&serde_json::json!({"file": file, "field": field, "value": value}));
    }
    output.line(&format!("{field} = {value} in {file}"));
    Ok(())
}

/// The text with the field in it, and the field's value as it is written there: as TOML reads what is stated, else as plain
/// text where that alone is taken, as of a date, which is a type of its own in TOML.
fn stated(file: &Path, before: &str, field: &str, value: &str) -> Result<(String, String), Failure> {
    let (after, written) = with(before, field, literal(value))?;
    let Err(refused) = check(file, &after, &format!("{field} = {written}")) else {
        return Ok((after, written));
    };
    let (after, written) = with(before, field, Value::from(value))?;
    check(file, &after, field).map(|()| (after, written)).map_err(|_| refused)
}

/// Refuses what the file would not be taken with. A line that is named is that of the file as it would be.
fn check(file: &Path, after: &str, stated: &str) -> Result<(), Failure> {
    let refused = |error: ConfigError| {
        let failure = Failure::from(error);
        let message = format!("with {stated}, {}; the file stays as it was", failure.message);
        Failure { message, ..failure }
    };
    Config::of_text(file, after).map(drop).map_err(refused)
}

/// The text with the field in it, and the field's value as it is written there.
fn with(text: &str, field: &str, value: Value) -> Result<(String, String), Failure> {
    let is_bare = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let path: Vec<&str> = field.split('.').collect();
    let named = path.split_last().filter(|(_, tables)| !tables.is_empty() && path.iter().all(is_bare));
    let Some((key, tables)) = named else {
        let message = format!("{field}: expected a table and a key, as account.paper.broker");
        return Err(Failure::usage(message, EXAMPLE));
    };
    let mut document: DocumentMut =
        text.parse().map_err(|error: TomlError| Failure::config(format!("the configuration: {error}")))?;
    state_built_in(&mut document, tables);
    let written = value.to_string();
    if !put(&mut document, tables, key, value) {
        let message =
            format!("{field}: the file states a table, or several, in the place of a value or a table");
        return Err(Failure { hint: format!("state {key} = {written} there"), ..Failure::config(message) });
    }
    Ok((document.to_string(), written))
}

/// States the strategies that there are by default, where one of them is meant and the file names none: a file that names
/// one has no others, and says of each what kind it is.
fn state_built_in(document: &mut DocumentMut, tables: &[&str]) {
    let ["strategy", name, ..] = tables else { return };
    let known = built_in();
    if document.contains_key("strategy") || !known.contains_key(*name) {
        return;
    }
    for (name, strategy) in known {
        put(document, &["strategy", name.as_str()], "kind", Value::from(strategy.kind));
    }
}

/// A value as TOML writes it; what is none is text.
fn literal(text: &str) -> Value {
    text.parse().unwrap_or_else(|_: TomlError| Value::from(text))
}

/// Puts a value into a table, which is made at the end where there is none. False where something else stands there.
fn put(document: &mut DocumentMut, tables: &[&str], key: &str, value: Value) -> bool {
    let last_words = document.trailing().as_str().unwrap_or_default().trim_end().to_owned();
    let (mut item, mut is_new) = (document.as_item_mut(), false);
    for name in tables {
        is_new = item.get(name).is_none();
        match inner(item, name) {
            Some(next) => item = next,
            None => return false,
        }
    }
    if !state(item, key, value) {
        return false;
    }
    if let Item::Table(table) = item
        && is_new
    {
        table.set_position(Some(isize::MAX));
        if !last_words.is_empty() {
            // What ends the file is about what is above it.
            table.decor_mut().set_prefix(format!("{last_words}\n\n"));
            document.set_trailing("");
        }
    }
    true
}

/// What stands in a table under `name`, where there is nothing a table that is made; `None` of what is no table.
fn inner<'a>(item: &'a mut Item, name: &str) -> Option<&'a mut Item> {
    let made = if item.is_inline_table() {
        Item::Value(Value::InlineTable(InlineTable::new()))
    } else {
        let mut table = Table::new();
        // Of a table that holds only tables nothing is written.
        table.set_implicit(true);
        Item::Table(table)
    };
    Some(item.as_table_like_mut()?.entry(name).or_insert(made))
}

/// States a value in a table, with the comment of the one that it takes the place of.
fn state(item: &mut Item, key: &str, mut value: Value) -> bool {
    let Some(table) = item.as_table_like_mut() else { return false };
    match table.get_mut(key) {
        Some(Item::Value(stated)) => {
            *value.decor_mut() = stated.decor().clone();
            *stated = value;
        }
        Some(_) => return false,
        None => {
            table.insert(key, Item::Value(value));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, field: &str, value: &str) -> Result<String, String> {
        with(text, field, literal(value)).map(|(text, _)| text).map_err(|failure| failure.message)
    }

    fn broker(text: &str) -> String {
        after(text, "account.paper.broker", "alpaca").unwrap()
    }

    #[test]
    fn one_value_changes_and_the_rest_stays_as_it_is_written() {
        let known =
            "[account.paper] # mine\ncash   = 5 # dollars\n\n[account.paper.alpaca]\nbase_url = 'x'\n# end\n";
        let line = "cash   = 5 # dollars\nbroker = \"alpaca\"\n";
        assert_eq!(broker(known), known.replace("cash   = 5 # dollars\n", line));
        assert_eq!(broker(&broker(known)), broker(known));
        let set = after(&broker(known), "account.paper.broker", "simulated").unwrap();
        assert_eq!(set, broker(known).replace("\"alpaca\"", "\"simulated\""));
        let set = after(known, "account.paper.cash", "7").unwrap();
        assert_eq!(set, known.replace("= 5 #", "= 7 #"), "the comment behind it stays");
        let list = "# names\n[web]\npublic_hosts = [\n  \"a\", # one\n]\nbind = \"x\"\n";
        let set = after(list, "web.bind", "127.0.0.1:1").unwrap();
        assert_eq!(set, list.replace("\"x\"", "\"127.0.0.1:1\""));
    }

    #[test]
    fn a_table_that_is_not_there_is_made_at_the_end() {
        let table = "[account.paper]\nbroker = \"alpaca\"\n";
        assert_eq!(broker(""), table);
        let other = "# mine\n[web]\nbind = \"127.0.0.1:1\"";
        assert_eq!(broker(other), format!("{other}\n\n{table}"));
        let last_words = "[account.alt]\ncash = 5\n[web]\nbind = \"x\"\n\n# about the web";
        assert_eq!(broker(last_words), format!("{last_words}\n\n{table}"));
        let deeper = "[account.paper.alpaca]\nbase_url = \"x\"\n";
        let after = broker(deeper);
        assert_eq!(after.matches("[account.paper]\nbroker = \"alpaca\"\n").count(), 1, "{after}");
        assert!(after.contains(deeper), "{after}");
    }

    #[test]
    fn a_table_in_another_form_is_met_in_that_form() {
        let set = |text: &str, field: &str| after(text, field, "6").unwrap();
        let dotted = "account.paper.cash = 5 # dollars\n";
        assert_eq!(set(dotted, "account.paper.cash"), dotted.replace('5', "6"));
        let inline = "account = { paper = { cash = 5 } }\n";
        assert_eq!(set(inline, "account.paper.cash"), inline.replace('5', "6"));
        let read = set(inline, "account.alt.cash").parse::<toml::Table>().unwrap();
        assert_eq!(read["account"]["alt"]["cash"].as_integer(), Some(6));
        assert_eq!(read["account"]["paper"]["cash"].as_integer(), Some(5));
    }

    #[test]
    fn values_are_what_they_look_like() {
        for (text, written) in [
            ("5", "cash = 5"),
            ("0.5", "cash = 0.5"),
            ("true", "cash = true"),
            ("\"5\"", "cash = \"5\""),
            ("[1, 2]", "cash = [1, 2]"),
            ("some words", "cash = \"some words\""),
            ("5\nfee = 6", "cash = "),
        ] {
            let text = after("", "account.paper.cash", text).unwrap();
            assert!(text.contains(written), "{text}");
            let read = text.parse::<toml::Table>().unwrap();
            assert_eq!(read["account"]["paper"].as_table().map(toml::Table::len), Some(1), "{text}");
        }
    }

    #[test]
    fn what_looks_like_another_type_is_text_where_text_is_asked_for() {
        let file = Path::new("tapedeck.toml");
        for (field, value) in [("demo.from", "2024-03-01"), ("telemetry.service_name", "5")] {
            let (text, written) = stated(file, "", field, value).unwrap();
            assert_eq!(written, format!("{value:?}"));
            assert!(text.ends_with(&format!(" = {value:?}\n")), "{text}");
        }
        let (_, written) = stated(file, "", "demo.seed", "5").unwrap();
        assert_eq!(written, "5");
        // What is taken in neither way is told as it was stated.
        let refused = stated(file, "", "demo.from", "5").unwrap_err().message;
        assert!(refused.starts_with("with demo.from = 5, "), "{refused}");
    }

    #[test]
    fn a_strategy_that_there_is_by_default_keeps_its_kind_and_the_other() {
        let text = after("", "strategy.sma_cross.params.fast", "5").unwrap();
        let read = Config::of_text(Path::new("tapedeck.toml"), &text).unwrap();
        let known: Vec<_> = read.strategy.keys().cloned().collect();
        assert_eq!(known, built_in().into_keys().collect::<Vec<_>>(), "{text}");
        assert_eq!(read.strategy["sma_cross"].parameters()[0].value, "5", "{text}");
        let own = "[strategy.mine]\nkind = \"momentum\"\n";
        let text = after(own, "strategy.mine.sizing", "fixed:1").unwrap();
        assert_eq!(text, format!("{own}sizing = \"fixed:1\"\n"), "a file that names one has no others");
    }

    #[test]
    fn a_value_that_is_not_taken_is_refused_by_the_name_of_the_file() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("tapedeck.toml");
        let text = after("", "account.paper.broker", "nobody").unwrap();
        let refused = check(&file, &text, "account.paper.broker = \"nobody\"").unwrap_err();
        assert_eq!(refused.code, 4);
        let start = format!("with account.paper.broker = \"nobody\", {}:", file.display());
        assert!(refused.message.starts_with(&start), "{refused:?}");
        assert!(refused.message.ends_with("; the file stays as it was"), "{refused:?}");
    }

    #[test]
    fn what_it_cannot_write_is_refused() {
        for field in ["cash", "", "a..b", "account.paper.", "account.[x].y"] {
            let refused = after("", field, "1").unwrap_err();
            assert!(refused.contains("expected a table and a key"), "{refused}");
        }
        for (text, field) in [
            ("[[limits]]\nmax_leverage = 2\n", "limits.max_leverage"),
            ("[account.paper.alpaca]\nbase_url = \"x\"\n", "account.paper.alpaca"),
            ("[account]\npaper = 5\n", "account.paper.cash"),
        ] {
            let refused = after(text, field, "6").unwrap_err();
            assert!(refused.contains("in the place of a value or a table"), "{refused}");
        }
        assert!(after("[account", "account.paper.cash", "6").unwrap_err().contains("the configuration"));
    }
}
