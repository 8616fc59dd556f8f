//! The configuration of this run: read once, whoever asks; and where each of its values comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use toml::Value;

use crate::cli::{Global, TelemetryOptions};
use crate::config::{Config, ConfigError};
use crate::exit::Failure;
use crate::home::Home;

/// The configuration with the file that it comes from.
#[derive(Debug)]
pub struct Configuration {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// What takes effect, but for what options and the environment say.
    pub config: Arc<Config>,
}

/// The configuration, read when it is first asked for.
#[derive(Clone, Debug, Default)]
pub struct Once(OnceLock<Result<Arc<Configuration>, Arc<ConfigError>>>);

/// A value with its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Path of the field, for example `web.bind`.
    pub field: String,
    /// The value that takes effect.
    pub value: String,
    /// The default; `None` for what has none, such as a strategy of the file's own.
    pub default: Option<String>,
    /// `default`, `file`, or the option and variable that say it.
    pub source: String,
}

impl Global {
    /// The configuration; the file is read once.
    pub fn configuration(&self) -> Result<Arc<Configuration>, Failure> {
        let home = Home::locate(self.home.as_deref())?;
        let read = self.once.0.get_or_init(|| {
            let file = home.config_file(self.config.as_deref());
            let config = Arc::new(Config::load(file.as_deref()).map_err(Arc::new)?);
            // Every command of a practised market reads the clock alike.
            runtime::clock::set_offset_ns(config.live.clock_offset_s.saturating_mul(1_000_000_000));
            Ok(Arc::new(Configuration { file, config }))
        });
        read.clone().map_err(|error| Failure::config(error.to_string()))
    }
}

/// Every value that takes effect, by field.
pub fn settings(
    global: &Global,
    bind: Option<&str>,
    telemetry: &TelemetryOptions,
) -> Result<Vec<Setting>, Failure> {
    let configuration = global.configuration()?;
    let effective = flat(&Value::try_from(&*configuration.config).map_err(unwritable)?);
    let defaults = flat(&Value::try_from(Config::load(None)?).map_err(unwritable)?);
    let stated = match &configuration.file {
        Some(file) => flat(
            &std::fs::read_to_string(file)?.parse::<toml::Table>().map(Value::Table).map_err(unwritable)?,
        ),
        None => BTreeMap::new(),
    };
    let over = overriding(global, bind, telemetry);
    let settings = effective.into_iter().map(|(field, value)| {
        let default = defaults.get(&field).cloned();
        match over.iter().find(|(name, _, _)| *name == field) {
            Some((_, value, source)) => {
                Setting { field, value: value.clone(), default, source: (*source).to_owned() }
            }
            None => {
                let source = if stated.contains_key(&field) { "file" } else { "default" };
                Setting { field, value, default, source: source.to_owned() }
            }
        }
    });
    Ok(settings.collect())
}

/// What options and the environment say instead of the configuration.
fn overriding(
    global: &Global,
    bind: Option<&str>,
    telemetry: &TelemetryOptions,
) -> Vec<(&'static str, String, &'static str)> {
    let options = [
        ("log.filter", global.log.clone(), "--log or TAPEDECK_LOG"),
        (
            "log.format",
            global.log_format.map(|format| format.name().to_owned()),
            "--log-format or TAPEDECK_LOG_FORMAT",
        ),
        ("web.bind", bind.map(str::to_owned), "--bind"),
        ("telemetry.metrics_bind", telemetry.metrics.clone(), "--metrics"),
        (
            "telemetry.otlp_endpoint",
            telemetry.otlp_endpoint.clone().filter(|value| !value.is_empty()),
            "--otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            "telemetry.service_name",
            telemetry.service_name.clone().filter(|value| !value.is_empty()),
            "--service-name or OTEL_SERVICE_NAME",
        ),
        ("telemetry.trace_ratio", telemetry.trace_ratio.map(|ratio| ratio.to_string()), "--trace-ratio"),
    ];
    options.into_iter().filter_map(|(field, value, source)| Some((field, value?, source))).collect()
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::config(error.to_string())
}

/// Leaves of a table by their dotted path; a list is one leaf.
fn flat(value: &Value) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
        match value {
            Value::Table(table) => {
                for (name, value) in table {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(&path, value, leaves);
                }
            }
            Value::String(text) => drop(leaves.insert(path.to_owned(), text.clone())),
            other => drop(leaves.insert(path.to_owned(), other.to_string())),
        }
    }
    let mut leaves = BTreeMap::new();
    walk("", value, &mut leaves);
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_documented() {
        let page = include_str!("../../../docs/configuration.md");
        let fields = flat(&Value::try_from(Config::load(None).unwrap()).unwrap());
        assert!(fields.contains_key("news.every_minutes"), "{fields:?}");
        let missing = |field: &&String| {
            let name = field.rsplit('.').next().unwrap_or_default();
            !page.contains(&format!("{name} = ")) && !page.contains(&format!("[[{name}]]"))
        };
        assert_eq!(fields.keys().filter(missing).collect::<Vec<_>>(), [] as [&String; 0]);
    }

    #[test]
    fn a_table_is_its_leaves() {
        let table =
            "[web]\nbind = \"127.0.0.1:1\"\n[strategy.x]\nsymbols = [\"A\", \"B\"]".parse::<toml::Table>();
        let leaves = flat(&Value::Table(table.unwrap()));
        let leaves: Vec<_> = leaves.iter().map(|(field, value)| (field.as_str(), value.as_str())).collect();
        assert_eq!(leaves, [("strategy.x.symbols", "[\"A\", \"B\"]"), ("web.bind", "127.0.0.1:1")]);
    }
}
