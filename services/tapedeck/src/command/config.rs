//! `tapedeck config check`.

use crate::cli::{ConfigCommand, Global};
use crate::exit::Failure;
use crate::home::Home;
use crate::output::Output;

/// Checks the configuration and prints what takes effect. It holds no secrets: those come from files
/// that the program makes itself, and are shown as set or unset.
pub fn run(global: &Global, command: &ConfigCommand, output: Output) -> Result<(), Failure> {
    let ConfigCommand::Check = command;
    let home = Home::locate(global.home.as_deref())?;
    let configuration = global.configuration()?;
    let (file, config) = (&configuration.file, &*configuration.config);
    let set = |value: &Option<String>| if value.is_some() { "set" } else { "unset" };
    let source = file.as_ref().map_or("defaults".to_owned(), |file| file.display().to_string());
    let credentials = config.credentials();
    let credentials: Vec<(&str, &str)> = credentials
        .iter()
        .map(|credential| (&*credential.field, if credential.is_set() { "set" } else { "unset" }))
        .collect();
    if output.json {
        return output.document(&serde_json::json!({
            "source": source,
            "home": home.root().display().to_string(),
            "nats_url": set(&global.servers.nats_url),
            "database_url": set(&global.servers.database_url),
            "credentials": credentials.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
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
