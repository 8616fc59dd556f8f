//! `tapedeck config`: what takes effect, and how one value of the file is changed.

mod set;

use std::collections::BTreeSet;

use crate::cli::{ConfigCommand, Global, Service, TelemetryOptions};
use crate::command::up;
use crate::config::Credential;
use crate::exit::Failure;
use crate::home::{Home, TapeKind};
use crate::output::Output;
use crate::terms::{Asked, Terms};

/// Does what is asked of the configuration.
pub fn run(global: &Global, command: &ConfigCommand, output: Output) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(telemetry) => check(global, telemetry, output),
        ConfigCommand::Set { field, value } => set::run(global, field, value, output),
    }
}

/// Checks the configuration, as the start of everything on a tape of the wall clock does, and prints what takes effect.
/// It holds no secrets: those come from variables and from files, and are shown as set or unset.
fn check(global: &Global, telemetry: &TelemetryOptions, output: Output) -> Result<(), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    let configuration = global.configuration()?;
    let (file, config) = (&configuration.file, &*configuration.config);
    let asked = Asked {
        tape: "main",
        manifest: &up::manifest(TapeKind::Main, 0),
        services: BTreeSet::from(Service::ALL),
        bind: None,
        live: &[],
        telemetry,
    };
    Terms::of(config, &global.servers, asked)?;
    let set = |value: &Option<String>| if value.is_some() { "set" } else { "unset" };
    let source = file.as_ref().map_or("defaults".to_owned(), |file| file.display().to_string());
    let credentials = config.credentials();
    let state = |credential: &Credential<'_>| match credential.look() {
        Ok(true) => "set".to_owned(),
        Ok(false) => "unset".to_owned(),
        Err(error) => format!("not taken: {error}"),
    };
    let credentials: Vec<(&str, String)> =
        credentials.iter().map(|credential| (&*credential.field, state(credential))).collect();
    let known = config.strategy.keys().cloned().collect::<Vec<_>>().join(", ");
    for (field, _) in config.limits_of_others() {
        output.note(&format!("{field}: expected one of {known}, or an external strategy that is registered"));
    }
    if output.json {
        return output.document(&serde_json::json!({
            "source": source,
            "home": home.root().display().to_string(),
            "nats_url": set(&global.servers.nats_url),
            "database_url": set(&global.servers.database_url),
            "credentials": credentials.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "config": config,
        }));
    }
    let text = toml::to_string_pretty(config).map_err(|error| Failure::other(error.to_string()))?;
    output.line(text.trim_end());
    output.note(&format!(
        "ok: {source}; home {}; NATS_URL {}; DATABASE_URL {}",
        home.root().display(),
        set(&global.servers.nats_url),
        set(&global.servers.database_url)
    ));
    let credentials: Vec<String> =
        credentials.iter().map(|(field, state)| format!("{field} {state}")).collect();
    output.note(&format!("credentials: {}", credentials.join(", ")));
    Ok(())
}
