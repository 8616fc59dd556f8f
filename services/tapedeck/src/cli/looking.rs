//! Commands that look at a system and keep it in order: their options.

use clap::{Args, Subcommand};

use super::TelemetryOptions;

/// Options of `tail`.
#[derive(Clone, Debug, Args)]
pub struct Tail {
    /// Subject or filter, for example 'order.>' [default: all of TRADING]
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Vec<String>,
    /// Begin at this sequence of the stream
    #[arg(long, value_name = "N", conflicts_with = "since")]
    pub from_seq: Option<u64>,
    /// Begin at this time (RFC 3339) or so long ago (30s, 5m, 2h, 1d), by recorded time
    #[arg(long, value_name = "TIME|AGO")]
    pub since: Option<String>,
    /// Print the whole chain that an event id belongs to, and end
    #[arg(long, value_name = "ID", conflicts_with_all = ["from_seq", "since", "subject", "limit"], value_parser = id)]
    pub chain: Option<String>,
    /// End at the head of the stream instead of following it
    #[arg(long)]
    pub no_follow: bool,
    /// End after so many events
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Reads an id. An empty one is no event's: it would be the cause of every event that has none.
fn id(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected an event's id".to_owned()) } else { Ok(text.to_owned()) }
}

/// Options of `logs`.
#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// Only of this service
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// At least this severe: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Only of modules whose name begins so
    #[arg(long, value_name = "MODULE")]
    pub target: Option<String>,
    /// Only of this run of a process, as a line's `run` names it
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Only of this chain of events
    #[arg(long, value_name = "ID")]
    pub correlation: Option<String>,
    /// Only lines that contain this, whatever the case
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Begin at this time (RFC 3339) or so long ago (30s, 5m, 2h, 1d) [default: the last lines]
    #[arg(long, value_name = "TIME|AGO")]
    pub since: Option<String>,
    /// At most so many lines to begin with
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub limit: u32,
    /// Go on with lines as they come, until Ctrl-C
    #[arg(long, short = 'f')]
    pub follow: bool,
}

/// Options of `status`.
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// Show again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// Configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration, the environment and these options as `up` does, and print what takes effect
    Check(TelemetryOptions),
    /// State one value in the configuration file, and leave the rest of it as it is written
    Set {
        /// Its path, for example account.paper.broker
        field: String,
        /// The value, as TOML writes it or as plain text
        #[arg(allow_negative_numbers = true)]
        value: String,
    },
}

/// Read models.
#[derive(Debug, Subcommand)]
pub enum ProjectionCommand {
    /// List projections with position, head and lag
    List,
    /// Fold what is on the tape and not in the read models yet, and end
    Fold {
        /// Projection's name [default: all]
        name: Option<String>,
    },
    /// Build a projection anew beside the live one and swap it in
    Rebuild {
        /// Projection's name
        name: String,
    },
    /// Prove that a read model equals the fold of its stream; exit 7 with the first difference if not
    Verify {
        /// Projection's name [default: all]
        name: Option<String>,
    },
}

/// Streams of the tape.
#[derive(Debug, Subcommand)]
pub enum StreamCommand {
    /// List streams with their counts
    List,
    /// Make the streams and consumers that are missing
    Apply,
    /// Show where the server differs from the definitions; exit 1 if it does
    Diff,
}

/// Messages that could not be handled.
#[derive(Debug, Subcommand)]
pub enum ParkedCommand {
    /// List parked messages, newest first
    List {
        /// Also those replayed or dismissed
        #[arg(long)]
        all: bool,
        /// At most so many, up to 200
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        /// Only older than this cursor, printed by the page before
        #[arg(long, value_name = "CURSOR")]
        before: Option<u64>,
    },
    /// Show one with its payload
    Show {
        /// Parked event's id
        id: String,
    },
    /// Handle it again after a fix: publish its event again at the end of its stream
    Replay {
        /// Parked event's id
        id: String,
    },
    /// Close it without handling it
    Dismiss {
        /// Parked event's id
        id: String,
        /// Why, for the record
        #[arg(long, value_name = "TEXT", value_parser = super::reason)]
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use clap::error::ErrorKind;

    use super::ConfigCommand;
    use crate::cli::{Cli, Command};

    #[test]
    fn no_id_is_no_chain() {
        let refused = Cli::try_parse_from(["tapedeck", "tail", "--chain", ""]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ValueValidation, "{refused}");
        assert!(Cli::try_parse_from(["tapedeck", "tail", "--chain", "x"]).is_ok());
        // A chain is shown whole.
        let cut = Cli::try_parse_from(["tapedeck", "tail", "--chain", "x", "--limit", "2"]).unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::ArgumentConflict, "{cut}");
    }

    #[test]
    fn a_negative_value_is_a_value() {
        for value in ["-5", "-0.05"] {
            let line = ["tapedeck", "config", "set", "live.clock_offset_s", value, "--json"];
            let read = Cli::try_parse_from(line).unwrap();
            let Command::Config(ConfigCommand::Set { value: taken, .. }) = read.command else {
                panic!("{line:?} is another command")
            };
            assert_eq!((taken.as_str(), read.global.json), (value, true));
        }
        assert!(Cli::try_parse_from(["tapedeck", "config", "set", "live.clock_offset_s", "-x"]).is_err());
    }
}
