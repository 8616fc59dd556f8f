//! The filter of log lines, read from the address; the API reads the same fields.

use projections::queries::LogFilter;

use crate::error::PageError;
use crate::pages::Params;
use crate::view::{EXPECTED_TIME, from_time, to_time};

/// Levels, the most severe first.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// Fields that filter.
pub const FIELDS: [&str; 8] = ["service", "level", "target", "run", "correlation", "text", "from", "to"];

/// What the fields ask for; one that cannot be meant is an error that names it.
pub fn read(params: &Params) -> Result<LogFilter, PageError> {
    let level = params.one_of("level", &LEVELS)?;
    params.ordered()?;
    let time = |name: &'static str, read: fn(&str) -> Option<i64>| match params.get(name) {
        None => Ok(None),
        Some(text) => read(text).map(Some).ok_or_else(|| PageError::field(name, text, EXPECTED_TIME)),
    };
    Ok(LogFilter {
        service: params.owned("service"),
        severity_max: level.as_deref().and_then(projections::severity),
        target: params.owned("target"),
        run: params.owned("run"),
        correlation_id: params.owned("correlation"),
        text: params.owned("text"),
        from_ns: time("from", from_time)?,
        to_ns: time("to", to_time)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_cannot_be_meant_is_named() {
        let error = read(&Params::from([("level", "loud")])).unwrap_err();
        assert_eq!(error.to_string(), "level = \"loud\": expected one of error, warn, info, debug, trace");
        let error = read(&Params::from([("from", "soon")])).unwrap_err();
        assert!(error.to_string().starts_with("from = \"soon\": expected a date"));
        let error = read(&Params::from([("from", "2026-01-07"), ("to", "2026-01-06")])).unwrap_err();
        assert!(error.to_string().starts_with("to = \"2026-01-06\": expected a time that is not before"));
        let filter = read(&Params::from([("level", "warn"), ("text", " late ")])).unwrap();
        assert_eq!((filter.severity_max, filter.text.as_deref()), (Some(2), Some("late")));
    }
}
