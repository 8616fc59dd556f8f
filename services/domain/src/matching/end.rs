//! How an order ends in the simulated market.

/// Why an order ended without its last share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything was filled.
    Filled,
    /// Immediate or cancel: the rest found nothing at the open.
    NotImmediate,
    /// Fill or kill: not all of it could be filled at the open.
    NotWhole,
    /// On-open: the opening is over.
    OpeningOver,
    /// On-close: the session closed.
    ClosingOver,
    /// Day: the session closed.
    SessionOver,
    /// Its entry ended without a fill that is left to close.
    EntryOver,
    /// Another order of the group closed the position.
    OtherFilled,
    /// Its costs leave their range.
    Costs(&'static str),
}

impl End {
    /// Whether the order's time in force is over, in contrast to a cancellation.
    #[must_use]
    pub fn is_expiry(self) -> bool {
        matches!(self, Self::OpeningOver | Self::ClosingOver | Self::SessionOver)
    }

    /// The reason in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Filled => "",
            Self::NotImmediate => "immediate or cancel: the rest found nothing at the open",
            Self::NotWhole => "fill or kill: it could not be filled whole at the open",
            Self::OpeningOver => "on-open order: the opening is over",
            Self::ClosingOver => "on-close order: the session closed",
            Self::SessionOver => "day order: the session closed",
            Self::EntryOver => "the entry ended and nothing of it is left to close",
            Self::OtherFilled => "one cancels the other: the other exit filled",
            Self::Costs(field) => field,
        }
    }
}
