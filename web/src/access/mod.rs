//! Who may do what: users, roles, sessions, API tokens and one-time links of this installation.
//!
//! All of it lives in one file beside the tapes, not on a tape: a tape can be copied, replayed and shown to
//! others, and secrets must not travel with it (see `docs/decisions/0006-access-file.md`). Only hashes are
//! kept. Every change is also an audit event, without the secret; writing that event is the caller's part.
//!
//! Deliberately absent: what a role may do at a given address, which is `gate`'s, and the pages.

mod entries;
mod gate;
pub mod manage;
mod password;
mod sign_in;
mod store;
mod throttle;

use serde::{Deserialize, Serialize};

pub use entries::{Token, User, check_name};
pub use gate::{Actor, Standing, gate, wants_page};
pub use password::generate;
pub use sign_in::{form as sign_in_page, sign_in, sign_out};
pub use store::{AccessError, MadeToken, OWNER, Store};
pub use throttle::Throttle;

/// What a person or a program may do; each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Also commands: halts, cancels, strategies.
    Operator,
    /// Also decides who may do what.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| "expected viewer, operator or admin".to_owned())
    }
}
