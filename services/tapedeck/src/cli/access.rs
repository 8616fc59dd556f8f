//! Commands about who may do what: their options.

use clap::Subcommand;

/// Users of the dashboard.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List users
    List,
    /// Add a user; prints a password once unless one is read
    Add {
        /// User's name
        name: String,
        /// What the user may do
        #[arg(long, default_value = "viewer", value_name = "viewer|operator|admin")]
        role: web::access::Role,
        /// Read the password from the first line of stdin instead of making one
        #[arg(long)]
        stdin: bool,
    },
    /// Remove a user, whose sessions end
    Remove {
        /// User's name
        name: String,
    },
    /// Set a password, printed once unless one is read; the user's sessions end
    SetPassword {
        /// User's name
        name: String,
        /// Read the password from the first line of stdin instead of making one
        #[arg(long)]
        stdin: bool,
    },
    /// Set what a user may do; the user's sessions end
    SetRole {
        /// User's name
        name: String,
        /// viewer, operator or admin
        role: web::access::Role,
    },
    /// Let a user no longer sign in; the user's sessions end
    Disable {
        /// User's name
        name: String,
    },
    /// Let a disabled user sign in again
    Enable {
        /// User's name
        name: String,
    },
    /// Print a link to the running dashboard that signs in once, within 10 minutes
    Link {
        /// User's name [default: owner, else the first admin]
        name: Option<String>,
    },
}

/// API tokens for programs.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// List tokens
    List,
    /// Make a token and print it once
    Create {
        /// Token's name
        name: String,
        /// What the program may do
        #[arg(long, default_value = "viewer", value_name = "viewer|operator|admin")]
        role: web::access::Role,
        /// Days until it expires, 1 to 3660
        #[arg(long, default_value_t = 90, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3660))]
        days: u32,
    },
    /// Revoke a token
    Revoke {
        /// Token's name
        name: String,
    },
}
