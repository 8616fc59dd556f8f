//! What a rehearsal plays, settled before a tape is made for it: its files, looked at and loaded, and the tape's name.

use std::hash::Hasher as _;
use std::path::{Path, PathBuf};

use analytics::warnings::Warning;
use backtest::checks;
use ingest::file::{ReadOptions, Rejected};
use ingest::source::Loaded;
use runtime::command::{STRATEGY_NAME, is_strategy_name};

use super::HELP;
use crate::cli::{Rehearse, Speed};
use crate::command::import::{
    check_kinds, check_order, check_readable, check_stated, format_note, hours, left_out, read_options,
};
use crate::command::up::manifest;
use crate::config::Config;
use crate::exit::Failure;
use crate::home::{Manifest, TapeKind, calendar_note};
use crate::services::recorded;

/// The files that are played, read once.
pub(super) struct Files {
    /// What they hold.
    pub(super) loaded: Loaded,
    /// Splits that none of them states and such as no price shows, of which a backtest of the same files warns.
    pub(super) splits: Vec<Warning>,
}

/// Loads the files. One that cannot be read to its end or has the newest bars first, and files without a bar to play, are
/// refused.
pub(super) async fn load(manifest: Manifest) -> Result<Files, Failure> {
    let loading = tokio::task::spawn_blocking(move || -> Result<Files, Failure> {
        let config = recorded(&manifest)?;
        check_kinds(&manifest.bars, &manifest.actions, &config.read, HELP)?;
        check_readable(&config.files, &config.read, HELP)?;
        let loaded = config.load().map_err(|error| Failure::usage(error.to_string(), HELP))?;
        check_order(&loaded.rejected, loaded.read, HELP)?;
        if loaded.bars == 0 {
            return Err(no_bars(&loaded.rejected));
        }
        let splits = checks::of_prices(&loaded.source.data(), config.read.market.calendar(), None);
        Ok(Files { loaded, splits })
    });
    loading.await.map_err(|error| Failure::other(error.to_string()))?
}

/// Nothing lies between the dates that are asked for, which may be because of rows that are left out.
pub(super) fn no_bars(rejected: &[Rejected]) -> Failure {
    let why = left_out(rejected).map_or_else(String::new, |note| format!("; {note}"));
    Failure::not_found(format!("no bar was played: --bars holds none between --from and --to{why}"), HELP)
}

/// What the options ask for, as the tape keeps it.
pub(super) fn manifest_of(options: &Rehearse) -> Result<Manifest, Failure> {
    if let (Some(from), Some(to)) = (options.from, options.to)
        && to < from
    {
        return Err(Failure::usage(format!("--to {to}: expected a date from {from} on"), HELP));
    }
    if let Some(name) = options.wait_for.iter().find(|name| !is_strategy_name(name)) {
        let message = format!("--wait-for {name:?}: expected {STRATEGY_NAME}");
        return Err(Failure::usage(message, HELP));
    }
    let bars = absolute(&options.bars)?;
    let market = hours(options.calendar.as_deref(), HELP)?;
    check_stated(&bars, &ReadOptions { market, ..read_options(&options.format)? }, HELP)?;
    Ok(Manifest {
        speed: match options.speed {
            Speed::Max => None,
            Speed::Times(times) => Some(times),
        },
        bars,
        actions: absolute(&options.actions)?,
        from: options.from,
        to: options.to,
        format: format_note(&options.format),
        calendar: calendar_note(market),
        ..manifest(TapeKind::Rehearsal, options.seed)
    })
}

fn absolute(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    files
        .iter()
        .map(|file| {
            std::fs::canonicalize(file)
                .map_err(|error| Failure::not_found(format!("{}: {error}", file.display()), ""))
        })
        .collect()
}

/// A name made of everything that decides the outcome, so that equal inputs resume and others do not mix.
pub(super) fn name_of(manifest: &Manifest, config: &Config) -> Result<String, Failure> {
    let mut hasher = Fnv::default();
    let text =
        |value: &dyn Fn() -> serde_json::Result<String>| value().map_err(|e| Failure::other(e.to_string()));
    let mut plan = manifest.clone();
    plan.speed = None;
    hasher.write(text(&|| serde_json::to_string(&plan))?.as_bytes());
    hasher.write(text(&|| serde_json::to_string(&(&config.account, &config.strategy)))?.as_bytes());
    // Without any, a tape keeps the name that it has had.
    if !config.limits.is_empty() {
        hasher.write(text(&|| serde_json::to_string(&config.limits))?.as_bytes());
    }
    for file in manifest.bars.iter().chain(&manifest.actions) {
        hasher.write(stamp(file)?.as_bytes());
    }
    Ok(format!("rehearsal-{:016x}", hasher.finish()))
}

/// Size and time of change: a file that was replaced is another input.
fn stamp(file: &Path) -> Result<String, Failure> {
    let data = std::fs::metadata(file)?;
    let changed = data.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{}/{}", data.len(), changed.as_nanos()))
}

/// FNV-1a: stable between builds, which the standard hasher does not promise.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_limits_by_scope_are_another_rehearsal() {
        let named = |limits: &str| {
            let config: Config = toml::from_str(limits).unwrap();
            name_of(&manifest(TapeKind::Rehearsal, 1), &config).unwrap()
        };
        let of = |most: u32| format!("[[limits]]\nsymbol = \"SPY\"\nmax_order_quantity = {most}\n");
        assert_ne!(named(""), named(&of(10)));
        assert_ne!(named(&of(10)), named(&of(20)));
        assert_eq!(named(&of(10)), named(&of(10)));
    }
}
