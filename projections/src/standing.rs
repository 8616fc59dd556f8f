//! What goes on standing where less was said of a scope: what the answer to a command tells.
//!
//! The tape is asked, not the read model: that one knows later what was said a moment ago, and not at all where nobody
//! folds.

use contracts::Subject;
use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{Event, TradingResumed, TradingState};
use domain::book::{Book, Halt};
use event_log::{LogError, STORED_MAX, Tape};

/// What stays in force of exactly this scope although `asked` was said of it: a stop that lets less pass and was not
/// resumed. An empty account is all of them, and so is an empty strategy.
pub async fn outlasting(
    tape: &Tape,
    account: &str,
    strategy: &str,
    asked: TradingState,
) -> Result<Option<Halt>, LogError> {
    let Some(filter) = said_of(account, strategy) else { return Ok(None) };
    let (mut book, mut from) = (Book::default(), 1);
    loop {
        let stored = tape.stored_from(TRADING, &filter, from, STORED_MAX).await?;
        let Some(last) = stored.last() else { break };
        from = last.sequence + 1;
        for message in &stored {
            // What is no event stops nothing, and neither does what no book can fold.
            if let Ok(event) = message.decode()
                && book.apply(message.sequence, &event).is_err()
            {
                book.skip(message.sequence);
            }
        }
    }
    Ok(book.own_halt(account, strategy).filter(|halt| halt.outlasts(asked)))
}

/// Where TRADING holds what is said of a scope.
fn said_of(account: &str, strategy: &str) -> Option<String> {
    let (account, strategy) = (account.to_owned(), strategy.to_owned());
    let resumed = Body::TradingResumed(TradingResumed { account, strategy, ..TradingResumed::default() });
    let subject = Subject::for_event(&Event { body: Some(resumed), ..Event::default() }, None)?;
    let (scope, _) = subject.as_str().rsplit_once('.')?;
    Some(format!("{scope}.*"))
}
