//! Commands about trading with money: their options.

use clap::Subcommand;

/// Trading with money.
#[derive(Debug, Subcommand)]
pub enum LiveCommand {
    /// State on the tape that an account may trade with money; the configuration and `up --live` have to say so too
    Confirm {
        /// Account
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Why, for the tape and the audit
        #[arg(long, value_name = "TEXT", value_parser = super::reason)]
        reason: String,
    },
    /// Take a confirmation back
    Revoke {
        /// Account
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Why, for the tape and the audit
        #[arg(long, value_name = "TEXT", value_parser = super::reason)]
        reason: String,
    },
    /// Show each account's broker, mode and confirmation
    Status,
}
