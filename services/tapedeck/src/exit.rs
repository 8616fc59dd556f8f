//! Exit codes and the one place where an error becomes a message.

use std::num::{IntErrorKind, ParseFloatError, ParseIntError};
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::output::message;

/// Why a command ended other than well.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// Short name of the code, for programs.
    pub name: &'static str,
    /// What went wrong.
    pub message: String,
    /// What mends it; empty when nothing general can be said.
    pub hint: String,
}

impl Failure {
    /// A failure of any other kind.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(1, "failure", message, "")
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(2, "usage", message, hint)
    }

    /// Something named does not exist.
    pub fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(3, "not_found", message, hint)
    }

    /// The configuration or the credentials are wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(4, "config", message, "tapedeck config check")
    }

    /// A server cannot be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(5, "unreachable", message, "tapedeck doctor")
    }

    /// A condition that was to fail the command holds.
    pub fn condition(message: impl Into<String>) -> Self {
        Self::new(6, "condition", message, "")
    }

    /// A proof failed: read model and tape, or two hashes, differ.
    pub fn mismatch(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(7, "verify_mismatch", message, hint)
    }

    /// Something recorded does not follow from its inputs.
    pub fn diverged(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(7, "diverged", message, hint)
    }

    /// The user interrupted.
    pub fn interrupted() -> Self {
        Self::new(130, "interrupted", "interrupted", "")
    }

    /// The same with another hint in the place of `hint`, for commands that share what they do.
    pub fn hinting(self, hint: &str, other: &str) -> Self {
        if self.hint == hint { Self { hint: other.to_owned(), ..self } } else { self }
    }

    fn new(code: u8, name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, name, message: message.into(), hint: hint.into() }
    }

    /// Writes the failure to stderr, as JSON when the command speaks JSON, and gives the exit code.
    pub fn report(self, json: bool) -> ExitCode {
        if json {
            let document = serde_json::json!({
                "code": self.name, "message": self.message, "hint": self.hint,
            });
            message(&format!("{document}\n"));
        } else {
            message(&format!("error: {}\n", self.message));
            if !self.hint.is_empty() {
                message(&format!("  try: {}\n", self.hint));
            }
        }
        ExitCode::from(self.code)
    }
}

/// Says why a command line was not taken: as the parser says it or, where the line asks for JSON, as every other failure
/// is said. Help and version that were asked for are none.
pub fn refused(error: &clap::Error) -> ExitCode {
    let asked =
        std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json");
    if asked && error.use_stderr() {
        return usage_of(error).report(true);
    }
    // A closed stream is nobody's loss.
    let _nobody_reads = error.print();
    if let Some(expected) = expected(error) {
        message(&format!("  expected {expected}\n"));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What was expected where the parser says of a text only that it is no number.
fn expected(error: &clap::Error) -> Option<&'static str> {
    let source = std::error::Error::source(error)?;
    if let Some(error) = source.downcast_ref::<ParseIntError>() {
        return Some(match error.kind() {
            IntErrorKind::Zero => "1 or more",
            IntErrorKind::PosOverflow => "a smaller number",
            _ => "a whole number of 0 or more",
        });
    }
    source.is::<ParseFloatError>().then_some("a number")
}

/// The parser's error as a failure: its first paragraph, and its tip where it has one.
fn usage_of(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut paragraphs = text.trim().split("\n\n");
    let words: Vec<&str> = paragraphs.next().unwrap_or_default().split_whitespace().collect();
    let expected = expected(error).map_or_else(String::new, |expected| format!("; expected {expected}"));
    let message = words.join(" ") + &expected;
    let tip = paragraphs.find_map(|paragraph| paragraph.trim().strip_prefix("tip: "));
    Failure::usage(message.trim_start_matches("error: "), tip.unwrap_or("tapedeck --help"))
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        // The whole chain of causes on one line; the first is what was being done.
        Self::other(format!("{error:#}"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(error.to_string())
    }
}

impl From<event_log::LogError> for Failure {
    fn from(error: event_log::LogError) -> Self {
        Self::unreachable(error.to_string())
    }
}

impl From<event_log::AppendError> for Failure {
    fn from(error: event_log::AppendError) -> Self {
        match error {
            event_log::AppendError::Unavailable(error) => error.into(),
            other => Self::other(other.to_string()),
        }
    }
}

impl From<web::access::AccessError> for Failure {
    fn from(error: web::access::AccessError) -> Self {
        use web::access::AccessError;
        let message = error.to_string();
        match error {
            AccessError::Name(_) | AccessError::Password => Self::usage(message, "tapedeck user --help"),
            AccessError::Missing(kind, _) => Self::not_found(message, format!("tapedeck {kind} list")),
            AccessError::File(_) | AccessError::Malformed(_) => Self::config(message),
            _ => Self::other(message),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::other(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_line_that_is_not_taken_is_a_failure_with_message_and_hint() {
        let of = |line: &[&str]| usage_of(&Cli::try_parse_from(line).unwrap_err());
        let unknown = of(&["tapedeck", "order", "list", "--limt", "3"]);
        assert_eq!((unknown.code, unknown.name), (2, "usage"));
        assert_eq!(unknown.message, "unexpected argument '--limt' found");
        assert!(unknown.hint.contains("--limit"), "{}", unknown.hint);
        let missing = of(&["tapedeck", "parity"]);
        assert!(missing.message.contains("--session <DATE>"), "{}", missing.message);
        assert_eq!(missing.hint, "tapedeck --help");
    }

    #[test]
    fn of_a_text_that_is_no_number_it_is_said_that_one_was_expected() {
        let of = |line: &[&str]| usage_of(&Cli::try_parse_from(line).unwrap_err()).message;
        let seed = of(&["tapedeck", "rehearse", "--bars", "x.csv", "--seed", "one"]);
        assert!(
            seed.contains("'one' for '--seed <N>'")
                && seed.ends_with("; expected a whole number of 0 or more"),
            "{seed}"
        );
        let threads = of(&["tapedeck", "chain-hash", "--threads", "0"]);
        assert!(threads.ends_with("; expected 1 or more"), "{threads}");
        let threads = of(&["tapedeck", "chain-hash", "--threads", "70000"]);
        assert!(threads.ends_with("; expected a smaller number"), "{threads}");
        let ratio = of(&["tapedeck", "up", "--trace-ratio", "half"]);
        assert!(ratio.ends_with("; expected a number"), "{ratio}");
        let date = of(&["tapedeck", "rehearse", "--bars", "x.csv", "--from", "soon"]);
        assert!(date.ends_with("expected a date, YYYY-MM-DD"), "{date}");
    }
}
