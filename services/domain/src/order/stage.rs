//! The stage of an order: one name for where it stands, and which may follow which.
//!
//! An order's state has independent parts (its status, what was filled, what was asked of the broker and not
//! answered yet). A stage is what a person, a filter or a list calls their combination.

use super::{OrderState, OrderStatus};
use crate::money::Quantity;

/// Where an order stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderStage {
    /// Asked for; risk has not answered.
    Requested,
    /// Ended: risk said no. There never was an order.
    Denied,
    /// Approved by risk; nothing was sent.
    Approved,
    /// The intent is on the tape; the broker has not answered.
    Submitted,
    /// A request to the broker had no answer; what became of it is being asked.
    Unknown,
    /// The broker works it; nothing is filled.
    Accepted,
    /// The broker works it; some of it is filled.
    PartiallyFilled,
    /// The broker holds it without working it.
    Suspended,
    /// A cancel was asked for and is not answered.
    CancelRequested,
    /// New terms were asked for and are not answered.
    ReplaceRequested,
    /// The broker works it with new terms; nothing is filled.
    Replaced,
    /// Ended: everything was filled.
    Filled,
    /// Ended: cancelled; what was filled stays filled.
    Cancelled,
    /// Ended: the broker refused it.
    Rejected,
    /// Ended: its time in force is over.
    Expired,
}

impl OrderStage {
    /// Every stage, in the order in which an order may pass through them.
    pub const ALL: [Self; 15] = [
        Self::Requested,
        Self::Denied,
        Self::Approved,
        Self::Submitted,
        Self::Unknown,
        Self::Accepted,
        Self::PartiallyFilled,
        Self::Suspended,
        Self::CancelRequested,
        Self::ReplaceRequested,
        Self::Replaced,
        Self::Filled,
        Self::Cancelled,
        Self::Rejected,
        Self::Expired,
    ];

    /// The name that read models, pages and filters use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Denied => "denied",
            Self::Approved => "approved",
            Self::Submitted => "submitted",
            Self::Unknown => "unknown",
            Self::Accepted => "accepted",
            Self::PartiallyFilled => "partially_filled",
            Self::Suspended => "suspended",
            Self::CancelRequested => "cancel_requested",
            Self::ReplaceRequested => "replace_requested",
            Self::Replaced => "replaced",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// The stage a name stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// Whether the order is over.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Denied | Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired)
    }

    /// Whether one event can lead from here to `next`. Staying where one is is always possible.
    ///
    /// The tape is the truth, so that an end may still become another one: a late fill completes an order that was
    /// cancelled, a bust takes a fill back, and a broker that works an order which had ended is believed.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use OrderStage::{
            Accepted, Approved, CancelRequested, Cancelled, Denied, Expired, Filled, PartiallyFilled,
            Rejected, ReplaceRequested, Replaced, Requested, Submitted, Suspended, Unknown,
        };
        let working = |stage| {
            matches!(
                stage,
                Accepted
                    | PartiallyFilled
                    | Suspended
                    | CancelRequested
                    | ReplaceRequested
                    | Replaced
                    | Unknown
            )
        };
        self == next
            || match self {
                Requested => matches!(next, Approved | Denied),
                Denied => false,
                Approved => matches!(next, Submitted | CancelRequested | Cancelled),
                // An order whose cancel was asked for before its submission was answered.
                Submitted | Unknown => next != Requested && next != Approved && next != Denied,
                stage if working(stage) => {
                    working(next) || matches!(next, Submitted | Filled | Cancelled | Rejected | Expired)
                }
                // What has ended is changed only by a late fill, a correction or a broker that knows better.
                _ => working(next) || matches!(next, Filled | Cancelled | Rejected | Expired),
            }
    }
}

impl OrderState {
    /// Where the order stands, in one word.
    #[must_use]
    pub fn stage(&self) -> OrderStage {
        match self.status {
            OrderStatus::Filled => OrderStage::Filled,
            OrderStatus::Cancelled => OrderStage::Cancelled,
            OrderStatus::Rejected => OrderStage::Rejected,
            OrderStatus::Expired => OrderStage::Expired,
            _ if !self.resolving.is_empty() => OrderStage::Unknown,
            _ if self.cancel_requested => OrderStage::CancelRequested,
            OrderStatus::Approved => OrderStage::Approved,
            OrderStatus::Submitted => OrderStage::Submitted,
            _ if self.replace.is_some() => OrderStage::ReplaceRequested,
            OrderStatus::Suspended => OrderStage::Suspended,
            OrderStatus::Accepted if self.filled > Quantity::ZERO => OrderStage::PartiallyFilled,
            OrderStatus::Accepted if self.spec.revision > 0 => OrderStage::Replaced,
            OrderStatus::Accepted => OrderStage::Accepted,
        }
    }
}
