//! The file of the configuration: what it says, and where in it something stands.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError, value};

/// Longest value that a message repeats, in characters.
const SHOWN_MAX: usize = 60;

/// Reads the fields of a file; an error names the file, the line, the field, its value and what is expected.
pub(super) fn read(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let unreadable = |error: toml::de::Error| ConfigError::Malformed {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    };
    let document = toml::Deserializer::parse(text).map_err(unreadable)?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        match error.span() {
            Some(span) => {
                let begins = span.start;
                let found = text.get(span).unwrap_or_default();
                at(path, text, begins, refused(field, found, error.message()))
            }
            None => unreadable(error),
        }
    })
}

/// The same refusal with its place in the file, where the field or the table that it would be in stands there.
pub(super) fn placed(path: &Path, text: &str, error: ConfigError) -> ConfigError {
    let ConfigError::Value { field, .. } = &error else { return error };
    let begins = DeTable::parse(text).ok().and_then(|document| find(document.get_ref(), field));
    match begins {
        Some(begins) => at(path, text, begins, error),
        None => error,
    }
}

/// What the parser says of a field, in the form in which every other value is refused.
fn refused(field: String, found: &str, said: &str) -> ConfigError {
    // Of anything else the place is that of a key or a table, not of a value.
    let is_of_value = |what: &str| what.starts_with("invalid ") || what.starts_with("unknown variant");
    let expected = match said.rsplit_once(", expected ") {
        Some((what, expected)) if is_of_value(what) => Some(expected),
        _ => said.strip_prefix("wanted "),
    };
    match expected {
        Some(expected) => value(field, shown(found), plain(expected)),
        None => ConfigError::Field { field, problem: said.to_owned() },
    }
}

/// The parser's words for what it expects, without the names of this program's types.
fn plain(expected: &str) -> &str {
    match expected {
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number of 0 or more",
        "i64" => "a whole number",
        "f64" => "a number",
        "path string" => "a path",
        "a map" => "a table",
        "a sequence" => "a list",
        kind if kind.starts_with("struct ") => "a table",
        other => other,
    }
}

/// A value as it is written, cut where it is long.
fn shown(found: &str) -> String {
    let line = found.lines().next().unwrap_or_default();
    if line.len() == found.len() && line.chars().count() <= SHOWN_MAX {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(SHOWN_MAX).collect::<String>())
}

fn at(path: &Path, text: &str, begins: usize, problem: ConfigError) -> ConfigError {
    let line = text.get(..begins).unwrap_or_default().matches('\n').count() + 1;
    ConfigError::At { path: path.to_owned(), line, problem: Box::new(problem) }
}

/// Where a field begins; one that is left out, where its table does. `path` is written as `limits[0].max_leverage`.
fn find(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let indexed = head.strip_suffix(']').and_then(|head| head.split_once('['));
    let (key, stated) = table.get_key_value(indexed.map_or(head, |(name, _)| name))?;
    let (mut begins, mut stated) = (key.span().start, stated.get_ref());
    if let Some((_, index)) = indexed {
        let item = stated.as_array()?.get(index.parse::<usize>().ok()?)?;
        (begins, stated) = (item.span().start, item.get_ref());
    }
    match (rest, stated) {
        (Some(rest), DeValue::Table(inner)) => {
            find(inner, rest).or_else(|| (!rest.contains('.')).then_some(begins))
        }
        // Which of a table's lines is meant nobody knows.
        (None, DeValue::Table(_)) | (Some(_), _) => None,
        (None, _) => Some(begins),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a file that holds `text`; nothing where it is good.
    fn problem(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tapedeck.toml");
        std::fs::write(&path, text).unwrap();
        let said = Config::load(Some(&path)).err().map(|error| error.to_string()).unwrap_or_default();
        said.replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn a_value_of_another_kind_is_named_with_its_place_and_what_is_expected() {
        let decimal = "a decimal number of at most nine places and at most 9223372036";
        for (text, expected) in [
            ("[account.paper]\ncash = true\n", format!("FILE:2: account.paper.cash = true: expected {decimal}")),
            (
                "[account.paper]\n\ncash = \"ten\"",
                format!("FILE:3: account.paper.cash = \"ten\": expected {decimal}"),
            ),
            (
                "account.paper.cash = 0.0000000001",
                format!("FILE:1: account.paper.cash = 0.0000000001: expected {decimal}"),
            ),
            (
                "[account.paper]\nkind = \"cash\"\nallow_short = true",
                "FILE:3: account.paper.allow_short = true: expected false, because an account of kind cash holds no \
                 short positions"
                    .to_owned(),
            ),
            ("[web]\nbind = 5", "FILE:2: web.bind = 5: expected a string".to_owned()),
            (
                "[web]\npublic_hosts = [\"a\", 7]",
                "FILE:2: web.public_hosts[1] = 7: expected a string".to_owned(),
            ),
            (
                "[servers]\nnats_port = 70000",
                "FILE:2: servers.nats_port = 70000: expected a whole number from 0 to 65535".to_owned(),
            ),
            (
                "[demo]\nfrom = 2024-01-02",
                "FILE:2: demo.from = 2024-01-02: expected a string".to_owned(),
            ),
            ("# nothing\nweb = 5", "FILE:2: web = 5: expected a table".to_owned()),
            (
                "[strategy.x]\nkind = \"momentum\"\ngroup_policy = \"undo\"",
                "FILE:3: strategy.x.group_policy = \"undo\": expected one of `none`, `complete`, `unwind`, `alert`"
                    .to_owned(),
            ),
            (
                "[strategy.x]\nkind = \"momentum\"\ngroup_policy = 5",
                "FILE:3: strategy.x.group_policy = 5: expected string or table".to_owned(),
            ),
            (
                "[web]\ntls = true",
                "FILE:2: web.tls: unknown field `tls`, expected one of `bind`, `tls_cert`, `tls_key`, `public_hosts`"
                    .to_owned(),
            ),
            ("\n[strategy.x]\nmode = \"off\"", "FILE:2: strategy.x: missing field `kind`".to_owned()),
        ] {
            assert_eq!(problem(text), expected);
        }
        assert!(problem("[web").starts_with("FILE: TOML parse error at line 1"), "{}", problem("[web"));
        assert_eq!(problem("[account.paper]\ncash = \"12.5\"\nmax_position = 1\nmax_exposure = 0.1"), "");
    }

    #[test]
    fn a_value_out_of_its_range_has_its_place_too() {
        for (text, expected) in [
            (
                "[account.paper]\nmax_position = 11",
                "FILE:2: account.paper.max_position = 11: expected 0 to 10",
            ),
            ("\n[[limits]]\nmax_leverage = []", "FILE:3: limits[0].max_leverage = []: expected a share"),
            (
                "[[limits]]\nmax_open_orders = 1\n[[limits]]\nmax_leverage = [2]",
                "FILE:4: limits[1].max_leverage = [2]: expected",
            ),
            ("[[limits]]\nsymbol = \"SPY\"", "limits[0] = nothing: expected at least one limit"),
            (
                "[[limits]]\nsymbol = \"bad symbol\"\nmax_open_orders = 1",
                "FILE:2: limits[0].symbol = \"bad symbol\": expected an upper-case symbol",
            ),
            (
                "[[limits]]\nsymbol = \"spy\"\nmax_open_orders = 1\n[[limits]]\nsymbol = \"SPY\"\nmax_leverage = 1",
                "limits[1] = limits of ",
            ),
            (
                "[[limits]]\nbreaker_drawdown = \"2:halt\"",
                "FILE:2: limits[0].breaker_drawdown = 2:halt: expected a share above 0 and at most 1",
            ),
            ("[demo]\nfrom = \"2099-01-01\"", "FILE:2: demo.from = 2099-01-01: expected a date from "),
            (
                "[strategy.x]\nkind = \"momentum\"\nsymbols = [\"aapl\"]",
                "FILE:3: strategy.x.symbols = \"aapl\": expected an upper-case symbol",
            ),
            (
                "[strategy.x]\nkind = \"momentum\"\nsymbols = [\"A B\"]",
                "FILE:3: strategy.x.symbols = \"A B\": expected an upper-case symbol",
            ),
            (
                "[strategy.x]\nkind = \"momentum\"\ntimeframe = \"2h\"",
                "FILE:3: strategy.x.timeframe = 2h: expected one of 1m, 5m",
            ),
            (
                "[strategy.manual]\nkind = \"momentum\"",
                "strategy = \"manual\": expected 1 to 40 lowercase letters, digits and _, and not `manual`",
            ),
            (
                "[account.all]\ncash = 5",
                "account = \"all\": expected 1 to 40 lowercase letters, digits and _, and not `all`",
            ),
            ("\n[live]\nsource = \"alpaca\"", "FILE:2: live.symbols = []: expected at least one symbol"),
            ("[live]\nsymbols = [\n\"@tech\"]", "FILE:2: live.symbols = @tech: expected a group"),
            ("[[authority]]\nsource = \"x\"", "FILE:2: authority[0].source = \"x\": expected yahoo"),
            (
                "[strategy.x]\nkind = \"sma_cross\"\nparams = { fast = 50, slow = 20 }",
                "FILE:3: strategy.x.params.",
            ),
            ("[strategy.x]\nkind = \"none\"", "FILE:2: strategy.x.kind = none: expected one of"),
            (
                "[strategy.x]\nkind = \"momentum\"\naccount = \"y\"",
                "FILE:3: strategy.x.account = y: expected",
            ),
            (
                "[telemetry]\nlog_filter = \"risk=loud\"",
                "FILE:2: telemetry.log_filter = \"risk=loud\": expected for example",
            ),
            ("[strategy.X]\nkind = \"momentum\"", "strategy = \"X\": expected 1 to 40"),
        ] {
            assert!(problem(text).starts_with(expected), "{text:?}: {}", problem(text));
        }
    }
}
