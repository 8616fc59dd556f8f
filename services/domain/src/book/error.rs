//! Why an event cannot be folded.

use crate::order::EvolveError;

/// An event that the book cannot fold; the book is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// A field is missing or out of range. Permanent: park the event.
    #[error("field `{field}`: {problem}")]
    Field {
        /// The field's path in the event.
        field: &'static str,
        /// Value and expectation in words.
        problem: String,
    },
    /// A sum left its range. Permanent: park the event.
    #[error("`{field}` of {key} overflows")]
    Overflow {
        /// Field of the row.
        field: &'static str,
        /// Account, position or order concerned.
        key: String,
    },
    /// The order ended long ago and left memory: load it, [`super::Book::admit`] it and fold again. An
    /// order that the read model does not know either makes the event permanent: park it.
    #[error("order {order_id} is not in memory")]
    OrderNotLoaded {
        /// Order.
        order_id: String,
    },
    /// The event contradicts its order. Permanent: park the event.
    #[error(transparent)]
    Order(#[from] EvolveError),
    /// The body does not belong on TRADING. Permanent: park the event.
    #[error("a body of this type does not belong on TRADING")]
    Foreign,
}

impl FoldError {
    pub(super) fn field(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Field { field, problem: problem.into() }
    }

    pub(super) fn overflow(field: &'static str, key: impl Into<String>) -> Self {
        Self::Overflow { field, key: key.into() }
    }
}
