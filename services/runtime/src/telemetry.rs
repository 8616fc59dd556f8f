//! Telemetry: log lines, traces and metrics of this process, and where they go.
//!
//! [`start`] composes the one subscriber of the process: stderr always, OTLP where a collector is
//! configured, and whatever further layers the binary hands in, each behind its own filter. A layer that
//! needs something which does not exist yet when logging begins (a tape, say) holds the sending end of a
//! bounded channel and is drained later. [`observer`] is what a tape handle shows its messages to.
//!
//! Deliberately absent: reading the environment or files; the binary passes plain values. Nothing here may
//! hold up trading: queues are bounded, what does not fit is dropped.

mod chain;
mod client;
mod export;
mod kind;
mod logs;
mod mirror;
mod room;
mod subscriber;
mod tape;

use std::sync::{Arc, OnceLock};

use event_log::Observer;

use chain::Chains;
use export::Export;
pub use export::{ExportError, ExportSettings};
pub use logs::{LogLayer, LogPublisher, keep_publisher, log_stream, take_publisher};
pub use subscriber::{BoxedLayer, LogFormat, MalformedFilter, check_filter, filtered};
use tape::TapeObserver;

/// What a process logs and exports.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Filter of the lines on stderr, for example `info` or `risk=debug,info`.
    pub filter: String,
    /// Form of the lines on stderr.
    pub format: LogFormat,
    /// The collector, where there is one.
    pub export: Option<ExportSettings>,
}

/// The chains that are traced, when any are: the tape's observer is made later than logging.
static CHAINS: OnceLock<Arc<Chains>> = OnceLock::new();

/// The telemetry of a process; [`Telemetry::end`] sends what is left.
#[derive(Debug)]
pub struct Telemetry {
    export: Option<Export>,
}

/// Starts logging and, where configured, exporting; once per process, inside a Tokio runtime.
///
/// `more` are further destinations of log lines. A subscriber that is set already stays.
pub fn start(settings: &Settings, more: Vec<BoxedLayer>) -> Result<Telemetry, ExportError> {
    crate::metrics::started();
    let mut layers = Vec::new();
    let mut export = None;
    if let Some(settings) = &settings.export {
        let (started, exporting, chains) = Export::start(settings)?;
        layers.extend(exporting);
        export = Some(started);
        drop(CHAINS.set(chains));
    }
    layers.extend(more);
    subscriber::init(&settings.filter, settings.format, layers)?;
    Ok(Telemetry { export })
}

/// What a tape handle of this process shows its appends and deliveries to.
#[must_use]
pub fn observer() -> Arc<dyn Observer> {
    TapeObserver::new(CHAINS.get().cloned())
}

impl Telemetry {
    /// Sends what is left to the collector, within bounded time.
    pub async fn end(self) {
        let Some(export) = self.export else { return };
        // The exporters end on their own threads and need this runtime meanwhile.
        if let Err(error) = tokio::task::spawn_blocking(|| export.end()).await {
            tracing::debug!(%error, "telemetry was not flushed");
        }
    }
}
