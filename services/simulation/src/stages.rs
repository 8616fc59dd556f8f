//! Which stages of an order follow each other, and which of these steps every few hundred seeds must show.
//!
//! What may follow is said by the domain ([`OrderStage::may_become`]). Everything of it is demanded but for what stands in
//! [`EXCUSED`], with the reason.

use domain::order::OrderStage;
use domain::order::OrderStage::{
    Accepted, Approved, CancelRequested, Cancelled, Expired, Filled, PartiallyFilled, Rejected,
    ReplaceRequested, Replaced, Requested, Submitted, Suspended, Unknown,
};

use crate::fate::Extra;

/// From and to which stage an order went; the first is `None` where it begins.
pub type Transition = (Option<OrderStage>, OrderStage);

/// Stages in which an order may begin: asked for by a signal, approved by what is done about a group or a stopped
/// strategy, sent by a kill switch.
pub const FIRST: [OrderStage; 3] = [Requested, Approved, Submitted];

/// Steps that nobody demands: from each of the first stages to each of the second, and why.
pub const EXCUSED: [(&[OrderStage], &[OrderStage], &str); 16] = [
    (
        &[Approved],
        &[Cancelled],
        "what was never sent ends by itself only at a broker that wants entries first, or with a reverse split",
    ),
    (
        &[Unknown, Accepted, PartiallyFilled, Suspended, ReplaceRequested, Replaced],
        &[Submitted],
        "nothing takes back that the broker answered",
    ),
    (
        &[Accepted, PartiallyFilled, Suspended, ReplaceRequested, Replaced],
        &[Rejected],
        "no broker here refuses what it took",
    ),
    (&[Replaced], &[Accepted], "terms are never the first ones again"),
    (&[Submitted], &[Replaced], "new terms wait for the broker's answer to the first ones"),
    (
        &[Accepted, PartiallyFilled, Suspended, Replaced],
        &[Unknown],
        "what has no answer was asked for first; only a second execution that sends meanwhile says otherwise",
    ),
    (&[Accepted, Suspended], &[Replaced], "only where the broker takes what it had refused"),
    (
        &[Filled, Cancelled, Rejected, Expired],
        &[Unknown, Accepted, PartiallyFilled, Suspended, CancelRequested, ReplaceRequested, Replaced],
        "the exchange never works again what it has ended",
    ),
    (&[Rejected], &[Filled, Cancelled, Expired], "no broker here fills what it refused"),
    (
        &[Filled, Cancelled, Expired],
        &[Cancelled, Rejected, Expired],
        "an end stays what it is but for a fill that comes late",
    ),
    (&[Expired], &[Filled], "seldom: an end said in error overtakes the fill"),
    (
        &[Submitted],
        &[PartiallyFilled, Suspended, CancelRequested, ReplaceRequested, Filled, Cancelled, Expired],
        "seldom: something crosses the answer, or execution dies between it and the tape",
    ),
    (
        &[Unknown],
        &[PartiallyFilled, Suspended, CancelRequested, ReplaceRequested, Filled, Rejected, Expired],
        "seldom: something happens within the seconds until the broker is asked",
    ),
    (
        &[PartiallyFilled, Suspended],
        &[
            Accepted,
            PartiallyFilled,
            Suspended,
            CancelRequested,
            ReplaceRequested,
            Replaced,
            Filled,
            Cancelled,
            Expired,
        ],
        "seldom: something happens between two fills, or while an order is held",
    ),
    (
        &[CancelRequested, ReplaceRequested],
        &[
            Submitted,
            Accepted,
            PartiallyFilled,
            Suspended,
            CancelRequested,
            ReplaceRequested,
            Replaced,
            Filled,
            Cancelled,
            Rejected,
            Expired,
        ],
        "seldom: something crosses a request",
    ),
    (
        &[Replaced],
        &[PartiallyFilled, Suspended, CancelRequested, Cancelled, Expired],
        "seldom: something other than a fill or new terms follows new terms",
    ),
];

/// Steps within the rows above that happen often enough to be demanded all the same.
const DEMANDED: [(OrderStage, OrderStage); 7] = [
    (PartiallyFilled, Filled),
    (PartiallyFilled, Cancelled),
    (Suspended, Accepted),
    (CancelRequested, Cancelled),
    (ReplaceRequested, Replaced),
    (ReplaceRequested, Accepted),
    // A fill that was heard of after the end.
    (Cancelled, Filled),
];

/// Why a step is not demanded; none where it is.
#[must_use]
pub fn excuse((from, to): Transition) -> Option<&'static str> {
    let from = from?;
    if DEMANDED.contains(&(from, to)) {
        return None;
    }
    EXCUSED.iter().find(|(before, after, _)| before.contains(&from) && after.contains(&to)).map(|row| row.2)
}

/// Whether the domain says that one event can lead from one to the other.
#[must_use]
pub fn may_happen((from, to): Transition) -> bool {
    from.map_or_else(|| FIRST.contains(&to), |from| from.may_become(to))
}

/// Every step that may happen, demanded or not.
pub fn all() -> impl Iterator<Item = Transition> {
    let first = FIRST.into_iter().map(|stage| (None, stage));
    let steps = OrderStage::ALL.into_iter().flat_map(|from| {
        let next = OrderStage::ALL.into_iter().filter(move |to| from != *to && from.may_become(*to));
        next.map(move |to| (Some(from), to))
    });
    first.chain(steps)
}

/// Every step that must happen now and then, but for those of what no run holds.
pub fn demanded() -> impl Iterator<Item = Transition> {
    all().filter(|step| excuse(*step).is_none() && needs(*step).is_none_or(Extra::is_on))
}

/// What a run has to hold for a step to happen.
fn needs((from, to): Transition) -> Option<Extra> {
    let within =
        |stages: &[OrderStage]| stages.contains(&to) || from.is_some_and(|from| stages.contains(&from));
    match (from, to) {
        (None, Approved) => Some(Extra::Groups),
        // Only a broker outside leaves a request for new terms without an answer.
        _ if within(&[Unknown]) && within(&[ReplaceRequested, Replaced]) => Some(Extra::Replaces),
        _ if within(&[ReplaceRequested, Replaced]) => Some(Extra::Terms),
        _ => None,
    }
}

/// A step in words.
#[must_use]
pub fn words((from, to): Transition) -> String {
    format!("{} -> {}", from.map_or("new", OrderStage::name), to.name())
}
