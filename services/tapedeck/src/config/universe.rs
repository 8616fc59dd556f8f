//! Groups of symbols by name, usable wherever symbols are listed, as `@name`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConfigError, check_name, value};

/// Most symbols of one list, all groups counted in.
const SYMBOLS_MAX: usize = 10_000;

/// Checks symbols that are followed: at most `most` of them, each once.
pub(super) fn check_symbols(field: &str, symbols: &[String], most: usize) -> Result<(), ConfigError> {
    if symbols.len() > most {
        return Err(value(field, symbols.len(), format!("at most {most}")));
    }
    for (index, symbol) in symbols.iter().enumerate() {
        if !is_symbol(symbol) {
            return Err(value(field, format!("{symbol:?}"), "1 to 32 capital letters, digits, `.` and `-`"));
        }
        if symbols[..index].contains(symbol) {
            return Err(value(field, format!("{symbol:?}"), "each symbol once"));
        }
    }
    Ok(())
}

/// Checks symbols that are looked for among bars, which files may name in more ways than a vendor does: each in the form in
/// which it stands on the tape. One with small letters is a slip, and one with a blank is that of no bar.
pub(super) fn check_traded(field: &str, symbols: &[String]) -> Result<(), ConfigError> {
    let good = |symbol: &String| contracts::read_symbol(symbol).is_ok_and(|read| read == *symbol);
    match symbols.iter().find(|symbol| !good(symbol)) {
        Some(symbol) => {
            let expected = "an upper-case symbol of 1 to 32 characters without blanks and commas";
            Err(value(field, format!("{symbol:?}"), expected))
        }
        None => Ok(()),
    }
}

fn is_symbol(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    (1..=contracts::SYMBOL_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// The groups: symbols, and other groups with an `@` before their names.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Universe(BTreeMap<String, Vec<String>>);

impl Universe {
    /// The groups with their symbols, each once, by name.
    pub fn groups(&self) -> Result<BTreeMap<&str, Vec<String>>, ConfigError> {
        let group = |name: &String| {
            let mut symbols = Vec::new();
            self.collect(&format!("universe.{name}"), name, &mut vec![], &mut symbols)?;
            Ok(symbols)
        };
        self.0.keys().map(|name| Ok((name.as_str(), group(name)?))).collect()
    }

    /// A list in which every group is replaced by its symbols; each symbol of a group once. `field` is where it stands.
    pub fn expand(&self, field: &str, listed: &[String]) -> Result<Vec<String>, ConfigError> {
        let mut symbols = Vec::with_capacity(listed.len());
        for entry in listed {
            match entry.trim().strip_prefix('@') {
                Some(name) => self.collect(field, name, &mut vec![], &mut symbols)?,
                None => symbols.push(entry.clone()),
            }
        }
        Ok(symbols)
    }

    /// Adds the symbols of a group that are not there yet. `within` are the groups that it is part of.
    fn collect<'name>(
        &'name self,
        field: &str,
        name: &'name str,
        within: &mut Vec<&'name str>,
        symbols: &mut Vec<String>,
    ) -> Result<(), ConfigError> {
        let Some(listed) = self.0.get(name) else {
            let known: Vec<String> = self.0.keys().map(|name| format!("@{name}")).collect();
            let known = if known.is_empty() { "a group of [universe]".to_owned() } else { known.join(", ") };
            return Err(value(field, format!("@{name}"), known));
        };
        if within.contains(&name) {
            return Err(value(format!("universe.{name}"), format!("@{name}"), "no group within itself"));
        }
        within.push(name);
        for entry in listed {
            match entry.trim().strip_prefix('@') {
                Some(inner) => self.collect(&format!("universe.{name}"), inner, within, symbols)?,
                None if symbols.contains(entry) => {}
                None => symbols.push(entry.clone()),
            }
            if symbols.len() > SYMBOLS_MAX {
                return Err(value(field, symbols.len(), format!("at most {SYMBOLS_MAX} symbols")));
            }
        }
        within.pop();
        Ok(())
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (name, listed) in &self.0 {
            check_name("universe", name)?;
            if listed.is_empty() {
                return Err(value(format!("universe.{name}"), "[]", "at least one symbol"));
            }
            let symbols = listed.iter().filter(|entry| !entry.starts_with('@'));
            for symbol in symbols {
                if !is_symbol(symbol) {
                    let expected = "1 to 32 capital letters, digits, `.` and `-`, or @ and a group";
                    return Err(value(format!("universe.{name}"), format!("{symbol:?}"), expected));
                }
            }
        }
        self.groups().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn universe(text: &str) -> Universe {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_group_stands_for_its_symbols_once() {
        let universe = universe("tech = [\"AAPL\", \"MSFT\"]\nall = [\"@tech\", \"SPY\", \"AAPL\"]");
        universe.validate().unwrap();
        let expand = |listed: &[&str]| {
            let listed: Vec<String> = listed.iter().map(|entry| (*entry).to_owned()).collect();
            universe.expand("--symbols", &listed).map(|symbols| symbols.join(" "))
        };
        assert_eq!(expand(&["IBM", "@all", "@tech"]).unwrap(), "IBM AAPL MSFT SPY");
        let error = expand(&["@tec"]).unwrap_err().to_string();
        assert_eq!(error, "--symbols = @tec: expected @all, @tech");
    }

    #[test]
    fn what_is_no_group_is_refused_by_name() {
        let problem = |text: &str| universe(text).validate().unwrap_err().to_string();
        assert!(problem("a = []").starts_with("universe.a = []"));
        assert!(problem("a = [\"x\"]").contains("capital letters"));
        assert!(problem("a = [\"@b\"]\nb = [\"@a\"]").contains("no group within itself"));
        assert!(problem("a = [\"@c\"]").starts_with("universe.a = @c: expected @a"));
    }
}
