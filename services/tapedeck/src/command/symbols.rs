//! Symbols as commands are given them: groups of the configuration in the form `@name`, in any case.

use crate::cli::{Command, Global, IngestCommand, NewsCommand, ReferenceCommand, UniverseCommand};
use crate::exit::Failure;

/// Puts symbols in the place of groups, wherever a command lists symbols. The configuration is read where a group is
/// named. What a run over files or a tape is of is put in the form of the tape, too: others do that with [`listed`].
pub fn expand(global: &Global, command: &mut Command) -> Result<(), Failure> {
    let is_run = matches!(command, Command::Backtest(_) | Command::Sweep(_) | Command::WalkForward(_));
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
    if is_run {
        for symbol in listed {
            *symbol = one("--symbols", symbol.trim(), "tapedeck backtest --help")?;
        }
    }
    Ok(())
}

/// A symbol in the form of the tape; an error names the option.
pub fn one(option: &str, text: &str, help: &str) -> Result<String, Failure> {
    contracts::read_symbol(text).map_err(|_| {
        Failure::usage(format!("{option} {text:?}: expected {}", contracts::EXPECTED_SYMBOL), help)
    })
}

/// The symbols of an option, in capitals and each once.
pub fn listed(given: &[String], help: &str) -> Result<Vec<String>, Failure> {
    let mut symbols: Vec<String> = Vec::with_capacity(given.len());
    // Vendors name what they have with fewer signs than a symbol may have.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    for text in given.iter().map(|text| text.trim()) {
        let symbol = contracts::read_symbol(text).ok().filter(|symbol| symbol.bytes().all(plain));
        let Some(symbol) = symbol else {
            let message = format!("--symbols: {text:?}, expected 1 to 32 letters, digits, `.` and `-`");
            return Err(Failure::usage(message, help));
        };
        if !symbols.contains(&symbol) {
            symbols.push(symbol);
        }
    }
    Ok(symbols)
}
