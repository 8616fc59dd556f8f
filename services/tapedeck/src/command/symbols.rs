//! Symbols as commands are given them: groups of the configuration in the form `@name`, in any case.

use crate::cli::{Command, Global, IngestCommand, NewsCommand, ReferenceCommand, UniverseCommand};
use crate::exit::Failure;

/// Puts symbols in the place of groups, wherever a command lists symbols. The configuration is read where a group is
/// named.
pub fn expand(global: &Global, command: &mut Command) -> Result<(), Failure> {
    let listed = match command {
        Command::Backfill(options) => &mut options.symbols,
        Command::Ingest(IngestCommand::Status { symbols, .. }) => symbols,
        Command::Universe(UniverseCommand::Check(options)) => &mut options.symbols,
        Command::Quotes(options) => &mut options.symbols,
        Command::Reference(ReferenceCommand::Fetch(options)) => &mut options.symbols,
        Command::News(NewsCommand::Fetch(options)) => &mut options.symbols,
        Command::Backtest(options) => &mut options.run.symbols,
        Command::Sweep(options) => &mut options.run.symbols,
        Command::WalkForward(options) => &mut options.run.symbols,
        _ => return Ok(()),
    };
    if listed.iter().any(|entry| entry.trim().starts_with('@')) {
        let universe = &global.configuration()?.config.universe;
        *listed = universe
            .expand("--symbols", listed)
            .map_err(|error| Failure::usage(error.to_string(), "tapedeck universe list"))?;
    }
    Ok(())
}

/// The symbols of an option, in capitals and each once.
pub fn listed(given: &[String], help: &str) -> Result<Vec<String>, Failure> {
    let mut symbols: Vec<String> = Vec::with_capacity(given.len());
    for symbol in given.iter().map(|symbol| symbol.trim().to_ascii_uppercase()) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if !(1..=32).contains(&symbol.len()) || !symbol.bytes().all(plain) {
            let message = format!("--symbols: {symbol:?}, expected 1 to 32 letters, digits, `.` and `-`");
            return Err(Failure::usage(message, help));
        }
        if !symbols.contains(&symbol) {
            symbols.push(symbol);
        }
    }
    Ok(symbols)
}
