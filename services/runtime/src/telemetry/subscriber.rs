//! The subscriber: a registry with one layer per destination, each behind its own filter.

use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt};

/// Form of log lines on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text {
        /// Whether levels and names are told apart by colours: on a terminal, never in a file.
        color: bool,
    },
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

impl MalformedFilter {
    /// What was expected, and why this is none: for messages that name the filter themselves.
    #[must_use]
    pub fn expected(&self) -> String {
        format!("for example `info` or `risk=debug,info` ({})", self.source)
    }
}

/// A destination of log lines and spans, with its filter.
pub type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Whether a filter can be read.
pub fn check_filter(filter: &str) -> Result<(), MalformedFilter> {
    let read = EnvFilter::try_new(filter).map(drop);
    read.map_err(|source| MalformedFilter { filter: filter.to_owned(), source })
}

/// Puts `layer` behind a filter of its own, so that what one destination leaves out does not reach
/// another less.
pub fn filtered(
    layer: impl Layer<Registry> + Send + Sync,
    filter: &str,
) -> Result<BoxedLayer, MalformedFilter> {
    let filter =
        EnvFilter::try_new(filter).map_err(|source| MalformedFilter { filter: filter.to_owned(), source })?;
    Ok(layer.with_filter(filter).boxed())
}

/// Sends log lines to stderr, and to every layer of `more`. A second call has no effect.
pub fn init(filter: &str, format: LogFormat, more: Vec<BoxedLayer>) -> Result<(), MalformedFilter> {
    let layers = layers(filter, format, std::io::stderr, more)?;
    // A subscriber that is already set is the caller's choice, for example a test's.
    drop(tracing_subscriber::registry().with(layers).try_init());
    Ok(())
}

fn layers<Writer>(
    filter: &str,
    format: LogFormat,
    writer: Writer,
    more: Vec<BoxedLayer>,
) -> Result<Vec<BoxedLayer>, MalformedFilter>
where
    Writer: for<'writer> fmt::MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = match format {
        LogFormat::Text { color } => filtered(fmt::layer().with_ansi(color).with_writer(writer), filter)?,
        LogFormat::Json => filtered(fmt::layer().json().with_ansi(false).with_writer(writer), filter)?,
    };
    let mut layers = vec![lines];
    layers.extend(more);
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::Event;
    use tracing_subscriber::layer::Context;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A destination that remembers the levels of what it is given.
    #[derive(Clone, Default)]
    struct Levels(Arc<Mutex<Vec<tracing::Level>>>);

    impl Layer<Registry> for Levels {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, Registry>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }

    const PLAIN: LogFormat = LogFormat::Text { color: false };

    fn emit(format: LogFormat, filter: &str, more: Vec<BoxedLayer>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layers = layers(filter, format, move || writer.clone(), more).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), || {
            tracing::info!(sequence = 7, "an instant passed");
            tracing::warn!("the tape is slow");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_destination_has_its_own_filter() {
        let (all, errors) = (Levels::default(), Levels::default());
        let more = vec![filtered(all.clone(), "info").unwrap(), filtered(errors.clone(), "error").unwrap()];
        let text = emit(PLAIN, "warn", more);
        assert!(text.contains("the tape is slow") && !text.contains("an instant passed"), "{text}");
        assert_eq!(*all.0.lock().unwrap(), [tracing::Level::INFO, tracing::Level::WARN]);
        assert!(errors.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_json_line_is_one_object_with_its_fields() {
        let text = emit(LogFormat::Json, "info", Vec::new());
        let line = text.lines().next().unwrap();
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
        for part in ["\"level\":\"INFO\"", "\"sequence\":7", "\"message\":\"an instant passed\""] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn lines_have_colours_where_they_are_wanted_and_nowhere_else() {
        for (format, colored) in
            [(PLAIN, false), (LogFormat::Text { color: true }, true), (LogFormat::Json, false)]
        {
            let text = emit(format, "info", Vec::new());
            assert_eq!(text.contains('\u{1b}'), colored, "{format:?}: {text:?}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = init("risk=loud", PLAIN, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("risk=loud"), "{error}");
    }
}
