//! What can go wrong with a vendor. Whether it may pass is the variant.

use std::time::Duration;

/// An answer that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VendorError {
    /// Not reached, too slow, or broken at the vendor's end; asking later may do.
    #[error("{vendor}: {what}, after {attempts} attempts")]
    Transient {
        /// The vendor.
        vendor: &'static str,
        /// What happened last.
        what: String,
        /// How often it was asked.
        attempts: u32,
    },
    /// The vendor, or this program after too many failures, wants to be left alone for a while.
    #[error("{vendor}: {why}; again in {} s", after.as_secs().max(1))]
    Limited {
        /// The vendor.
        vendor: &'static str,
        /// Why.
        why: String,
        /// How long.
        after: Duration,
    },
    /// The vendor understood and will not.
    #[error("{vendor} refuses ({status}): {message}")]
    Refused {
        /// The vendor.
        vendor: &'static str,
        /// Status of HTTP.
        status: u16,
        /// What is refused.
        kind: Refusal,
        /// The vendor's words.
        message: String,
    },
    /// An answer that cannot be read.
    #[error("{vendor} sent an answer that cannot be read: {what}")]
    Broken {
        /// The vendor.
        vendor: &'static str,
        /// The field, and what was expected of it.
        what: String,
    },
    /// The client itself cannot be made.
    #[error("{vendor}: {what}")]
    Setup {
        /// The vendor.
        vendor: &'static str,
        /// What is missing.
        what: String,
    },
}

/// What a vendor refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The credentials, or what they may see.
    Credentials,
    /// There is no such thing.
    Unknown,
    /// Anything else about the request.
    Request,
}

impl Refusal {
    pub(crate) const fn of(status: u16) -> Self {
        match status {
            401 | 403 => Self::Credentials,
            404 => Self::Unknown,
            _ => Self::Request,
        }
    }
}
