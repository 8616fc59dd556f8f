//! The service: a source on a tape clock.

use event_log::Tape;
use runtime::{ClockMode, Context};

use crate::clock::{self, ClockConfig, ClockControl, ClockError, Finished};
use crate::file::FileError;
use crate::import::{self, ImportError, ImportOptions, ImportReport};
use crate::source::{Loaded, RecordedConfig, SimulatedConfig, SimulatedError, SimulatedSource, Source};
use crate::standards::Standards;

/// Where the market comes from.
#[derive(Clone, Debug)]
pub enum SourceConfig {
    /// Files of bars and of corporate actions.
    Recorded(RecordedConfig),
    /// The generator.
    Simulated(SimulatedConfig),
}

/// What the service needs.
#[derive(Debug)]
pub struct IngestConfig {
    /// Where the market comes from.
    pub source: SourceConfig,
    /// What loading its files gave, for whoever has looked at them already; else the service loads them.
    pub loaded: Option<Loaded>,
    /// For whom the clock waits.
    pub clock: ClockConfig,
    /// The clock's end of a handle, see [`clock::control`].
    pub control: ClockControl,
}

/// Why the service stopped.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The context says that time moves by itself.
    #[error("clock wall: a source needs the tape clock; live data need none")]
    WallClock,
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The simulated market cannot be set up.
    #[error(transparent)]
    Simulated(#[from] SimulatedError),
    /// The clock stopped.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The task that loads files ended early.
    #[error("loading files: {0}")]
    Task(String),
}

/// Plays the source until its end or until shutdown. Rejected rows of files are logged and left out.
pub async fn run(context: Context, config: IngestConfig) -> Result<Finished, IngestError> {
    if context.clock != ClockMode::Tape {
        return Err(IngestError::WallClock);
    }
    let IngestConfig { source, loaded, clock, control } = config;
    let opened = tokio::task::spawn_blocking(move || open(source, loaded)).await;
    let mut source = opened.map_err(|error| IngestError::Task(error.to_string()))??;
    Ok(clock::run(&context, source.as_mut(), &clock, control).await?)
}

/// Records what looks wrong with the files of a source that was played to its end, see [`import::examine()`]. A simulated
/// market has no files, and nothing wrong with them.
pub async fn examine(
    tape: &Tape,
    source: SourceConfig,
    standards: Standards,
) -> Result<ImportReport, ImportError> {
    match source {
        SourceConfig::Simulated(_) => Ok(ImportReport::default()),
        SourceConfig::Recorded(RecordedConfig { name, files, read, range }) => {
            let options = ImportOptions { read, standards, ..ImportOptions::default() };
            import::examine(tape, &name, &options, &files, range).await
        }
    }
}

fn open(config: SourceConfig, loaded: Option<Loaded>) -> Result<Box<dyn Source>, IngestError> {
    match config {
        SourceConfig::Simulated(config) => Ok(Box::new(SimulatedSource::new(config)?)),
        SourceConfig::Recorded(config) => {
            let loaded = match loaded {
                Some(loaded) => loaded,
                None => config.load()?,
            };
            for row in loaded.rejected.iter().take(20) {
                let file = row.file.as_deref().unwrap_or_default();
                let (line, field) = (row.line, row.field);
                tracing::warn!(file, line, field, "line {line}: {field} {:?}: {}", row.value, row.reason);
            }
            let (bars, rejected) = (loaded.bars, loaded.rejected.len());
            tracing::info!(bars, rejected, "loaded {bars} bars, {rejected} rows left out");
            Ok(Box::new(loaded.source))
        }
    }
}
