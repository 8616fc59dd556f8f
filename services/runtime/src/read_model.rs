//! What services say about read models, wherever those are kept.

/// A read model could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read model: {doing}: {source}")]
pub struct ReadError {
    /// What was being read.
    pub doing: &'static str,
    /// Cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl ReadError {
    /// Turns a cause into the error of `doing`, for `map_err`.
    pub fn of<E: std::error::Error + Send + Sync + 'static>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self { doing, source: Box::new(source) }
    }
}

/// Rows as of a checkpoint.
#[derive(Clone, Debug)]
pub struct AsOf<Row> {
    /// Last sequence of the stream that is folded into the rows.
    pub checkpoint: u64,
    /// The rows, oldest first where they have a time.
    pub rows: Vec<Row>,
}

impl<Row> Default for AsOf<Row> {
    fn default() -> Self {
        Self { checkpoint: 0, rows: Vec::new() }
    }
}
