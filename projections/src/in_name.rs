//! What is in a strategy's name now: the read model's answer, once it has folded what the tape holds of that strategy.
//!
//! A command on a strategy asks this: whether the name is within reach although it is no longer registered, and what is
//! left behind when it goes.

use std::time::Duration;

use contracts::stream::TRADING;
use domain::book::{Book, InName};
use event_log::{LogError, Tape};
use sqlx::PgPool;
use tokio::time::Instant;

use crate::queries::{QueryError, load_book};

/// Longest name asked for, in bytes: a subject of any length would cost the connection.
const NAME_BYTES_MAX: usize = 200;
/// How long the read model may take to fold what happened a moment ago.
const FOLD_WAIT: Duration = Duration::from_secs(2);
/// Time between two looks at it.
const LOOK: Duration = Duration::from_millis(50);
/// What is left behind where the read model cannot say.
const NOT_FOLDED: &str = "what the read models have not folded yet";

/// What is in a name could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum InNameError {
    /// The read model could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What is in the name of a strategy; `None` where the read model does not fold within two seconds what the tape holds
/// of it.
pub async fn in_name(pool: &PgPool, tape: &Tape, strategy: &str) -> Result<Option<InName>, InNameError> {
    if strategy.len() > NAME_BYTES_MAX {
        return Ok(Some(InName::default()));
    }
    let mut last = 0;
    for filter in filters(strategy) {
        last = last.max(tape.last_sequence(TRADING, &filter).await?);
    }
    Ok(book_from(pool, last).await?.map(|book| book.in_name(strategy)))
}

/// What a strategy that goes leaves behind, in words: nothing where it holds nothing, or where it was said before that
/// all of it is closed or handed over. Where nobody knows it is not nothing.
#[must_use]
pub fn left_behind(found: Option<&InName>) -> String {
    match found {
        Some(found) if found.leaving => String::new(),
        Some(found) => found.to_string(),
        None => NOT_FOLDED.to_owned(),
    }
}

/// The book once it has folded TRADING up to `sequence`; `None` where that takes longer than two seconds.
pub async fn book_from(pool: &PgPool, sequence: u64) -> Result<Option<Book>, QueryError> {
    let until = Instant::now() + FOLD_WAIT;
    loop {
        let book = Box::pin(load_book(pool)).await?;
        if book.sequence() >= sequence {
            return Ok(Some(book));
        }
        if Instant::now() > until {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Where TRADING holds what puts something into a strategy's name, or takes it out.
fn filters(strategy: &str) -> [String; 5] {
    let name = contracts::escape(strategy);
    [
        format!("order.*.{name}.>"),
        format!("fill.*.{name}.>"),
        format!("control.strategy.{name}.>"),
        format!("control.limits.*.{name}.*"),
        "account.*.transferred".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use domain::money::Quantity;

    use super::*;

    #[test]
    fn what_is_left_behind_is_told_unless_it_is_on_its_way() {
        let found =
            InName { positions: vec![("ACMEX".to_owned(), Quantity(20_000_000_000))], ..InName::default() };
        assert_eq!(left_behind(Some(&found)), "20 ACMEX");
        assert_eq!(left_behind(Some(&InName { leaving: true, ..found })), "");
        assert_eq!(left_behind(Some(&InName::default())), "");
        assert_eq!(left_behind(None), NOT_FOLDED);
    }
}
