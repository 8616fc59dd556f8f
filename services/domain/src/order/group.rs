//! Where a group of orders stands: the orders of one signal of several legs, or of one bracket.

use contracts::v1::GroupPolicy;
use serde::{Deserialize, Serialize};

/// What is expected of the name of a policy.
pub const POLICY_EXPECTED: &str = "none, complete, unwind or alert";

/// The policy a name stands for, as the command line, the API and forms write it.
#[must_use]
pub fn policy_from_name(name: &str) -> Option<GroupPolicy> {
    let all = [GroupPolicy::Unspecified, GroupPolicy::Complete, GroupPolicy::Unwind, GroupPolicy::Alert];
    all.into_iter().find(|policy| policy_name(*policy) == name)
}

/// The name of a policy.
#[must_use]
pub const fn policy_name(policy: GroupPolicy) -> &'static str {
    match policy {
        GroupPolicy::Unspecified => "none",
        GroupPolicy::Complete => "complete",
        GroupPolicy::Unwind => "unwind",
        GroupPolicy::Alert => "alert",
    }
}

/// Where the group of an order stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GroupStage {
    /// It belongs to none.
    #[default]
    None,
    /// Its failure was stated, or it had ended by then, and others of its group are under way still.
    Stated,
    /// Its orders are under way.
    Watched,
    /// What is left is being cancelled, and what was filled closed.
    Unwinding,
    /// What a failed order did not fill is ordered again.
    Completing,
    /// Nothing is left to be done.
    Done,
}

impl GroupStage {
    /// Every stage.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Stated, Self::Watched, Self::Unwinding, Self::Completing, Self::Done];

    /// The name that read models and pages use; empty for an order of no group.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Stated => "stated",
            Self::Watched => "watched",
            Self::Unwinding => "unwinding",
            Self::Completing => "completing",
            Self::Done => "done",
        }
    }

    /// The stage a name stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// Whether something may still have to be done.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Stated | Self::Watched | Self::Unwinding | Self::Completing)
    }
}
