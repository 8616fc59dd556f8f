//! Starting: from the read models where they answer, from the tape where they do not.

use std::collections::BTreeSet;

use contracts::stream;
use domain::book::Book;
use event_log::{LogError, Tape};
use runtime::{Context, ReadError};

use super::ahead::Ahead;
use super::appending::Decisions;
use super::patience::Patience;
use super::{BATCH, COMMITTED, Config, DECIDE, Error, Shell};
use crate::SERVICE;
use crate::machine::Machine;
use crate::read_model::ReadModel;
use crate::start::{self, answered};

impl Shell {
    /// Reads both streams to their heads; `None` when shutdown came first.
    pub(super) async fn load(context: Context, config: Config) -> Result<Option<Self>, Error> {
        let tape = &context.tape;
        let read_model = config.read_model.as_ref();
        // Listening begins before anything is read, so that no word of the clock falls in between.
        let decide = tape.hints(DECIDE).await?;
        let committed = tape.hints(COMMITTED).await?;
        let (trading_head, market_head) = heads(&context).await?;
        let (book, decided) = answered(beginning(read_model)).await.unwrap_or_default();
        let behind = behind(tape, &book, &decided).await?;
        let pricing = start::pricing(tape, read_model).await?;
        let trading = tape.follow(stream::TRADING, behind + 1).await?;
        let market = tape.follow(stream::MARKET, pricing.sequence() + 1).await?;
        let account = &config.fallback_account;
        let machine = Machine::new(context.clock, account, config.calendar, pricing, behind);
        let mut patience = Patience::default();
        patience.committed(book.sequence());
        let mut shell = Self {
            context,
            read_model: config.read_model,
            machine,
            trading,
            market,
            decide,
            committed,
            decisions: Decisions::default(),
            patience,
            ahead: Ahead::default(),
        };
        while shell.machine.trading_sequence() < trading_head || shell.machine.market_sequence() < market_head
        {
            tokio::select! {
                biased;
                () = shell.context.shutdown.cancelled() => return Ok(None),
                batch = shell.trading.batch(BATCH) => shell.fold(batch?).await?,
                batch = shell.market.batch(BATCH) => shell.price(batch?).await?,
            }
        }
        shell.machine.hold(book);
        Ok(Some(shell))
    }
}

/// The book of the read model, and which of the signals that wait in it have a decision: one that came twice waits there
/// for ever.
async fn beginning(read_model: &dyn ReadModel) -> Result<(Book, Vec<String>), ReadError> {
    let book = read_model.snapshot(&[]).await?.book;
    let pending: Vec<_> = book.pending_signals().map(|signal| signal.event.id.clone()).collect();
    if pending.is_empty() {
        return Ok((book, Vec::new()));
    }
    let decided = read_model.snapshot(&pending).await?.decided;
    Ok((book, decided))
}

/// TRADING sequence up to which every signal has its decision or is parked.
async fn behind(tape: &Tape, book: &Book, decided: &[String]) -> Result<u64, LogError> {
    let undecided = book.pending_signals().filter(|signal| !decided.contains(&signal.event.id));
    let mut undecided: BTreeSet<u64> = undecided.map(|signal| signal.sequence.max(1)).collect();
    if !undecided.is_empty() {
        // That is an answer too, and the only one: such a signal waits in the book for ever.
        let parked = runtime::parked(tape, Some(SERVICE), stream::TRADING).await?;
        undecided.retain(|sequence| !parked.contains(sequence));
    }
    Ok(undecided.first().map_or(book.sequence(), |sequence| sequence - 1))
}

/// Last sequences of TRADING and MARKET.
async fn heads(context: &Context) -> Result<(u64, u64), LogError> {
    let trading = context.tape.state(stream::TRADING).await?;
    let market = context.tape.state(stream::MARKET).await?;
    Ok((trading.last_sequence, market.last_sequence))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use contracts::v1::Event;
    use domain::book::{Parts, PendingSignal};
    use event_log::MemoryLog;

    use super::*;

    #[tokio::test]
    async fn what_is_parked_is_not_read_again_at_every_start() {
        let tape: Tape = Arc::new(MemoryLog::new());
        let pending = |sequence: u64| {
            let event = Event { id: format!("signal-{sequence}"), ..Event::default() };
            PendingSignal { sequence, event }
        };
        let parts = Parts { sequence: 9, pending: [2, 4, 6].map(pending).to_vec(), ..Parts::default() };
        let (book, decided) = (Book::from_parts(parts), ["signal-4".to_owned()]);
        let begins = async || behind(&tape, &book, &decided).await.unwrap();
        let park = async |sequence| {
            let subject = "signal.alpha.SPY";
            runtime::park(&tape, SERVICE, stream::TRADING, sequence, subject, b"", "wrong").await.unwrap();
        };
        assert_eq!(begins().await, 1);
        park(2).await;
        assert_eq!(begins().await, 5);
        park(6).await;
        assert_eq!(begins().await, 9);
    }
}
