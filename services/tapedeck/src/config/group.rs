//! What becomes of a strategy's groups of orders, as the configuration states it.

use contracts::v1::GroupPolicy;
use serde::{Deserialize, Serialize};

/// A policy by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// A refusal takes what is left of the others with it; any other failure is recorded.
    #[default]
    None,
    /// What a failed order did not fill is ordered again.
    Complete,
    /// What is left of the others is cancelled, and what they filled is closed.
    Unwind,
    /// It is recorded.
    Alert,
}

impl Choice {
    /// As registrations state it.
    pub fn wire(self) -> GroupPolicy {
        match self {
            Self::None => GroupPolicy::Unspecified,
            Self::Complete => GroupPolicy::Complete,
            Self::Unwind => GroupPolicy::Unwind,
            Self::Alert => GroupPolicy::Alert,
        }
    }
}
