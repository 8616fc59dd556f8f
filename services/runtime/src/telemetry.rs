//! Logging. Traces and metrics join here.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Form of log lines on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("log filter {filter:?}: {source}; expected for example `info` or `risk=debug,info`")]
pub struct MalformedFilter {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Sends log lines to stderr. A second call has no effect.
pub fn init(filter: &str, format: LogFormat) -> Result<(), MalformedFilter> {
    let parsed =
        EnvFilter::try_new(filter).map_err(|source| MalformedFilter { filter: filter.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(parsed);
    let outcome = match format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(std::io::stderr)).try_init(),
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init(),
    };
    // A subscriber that is already set is the caller's choice, for example a test's.
    drop(outcome);
    Ok(())
}
