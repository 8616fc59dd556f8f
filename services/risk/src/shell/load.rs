//! Starting: from the read models where they answer, from the tape where they do not.

use contracts::stream;
use domain::book::Book;
use event_log::LogError;
use runtime::{Context, ReadError};

use super::ahead::Ahead;
use super::appending::Decisions;
use super::patience::Patience;
use super::{BATCH, COMMITTED, Config, DECIDE, Error, Shell};
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
        let (behind, book) = answered(beginning(read_model)).await.unwrap_or_default();
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

/// TRADING sequence up to which every signal has its decision, and the book of the read model.
async fn beginning(read_model: &dyn ReadModel) -> Result<(u64, Book), ReadError> {
    let book = read_model.snapshot(&[]).await?.book;
    let checkpoint = book.sequence();
    let pending: Vec<_> = book.pending_signals().map(|signal| signal.event.id.clone()).collect();
    if pending.is_empty() {
        return Ok((checkpoint, book));
    }
    // A signal that came twice waits in the book for ever; its decision tells.
    let decided = read_model.snapshot(&pending).await?.decided;
    let behind = first_undecided(&book, &decided).map_or(checkpoint, |sequence| sequence - 1);
    Ok((behind, book))
}

fn first_undecided(book: &Book, decided: &[String]) -> Option<u64> {
    let undecided = book.pending_signals().filter(|signal| !decided.contains(&signal.event.id));
    undecided.map(|signal| signal.sequence.max(1)).min()
}

/// Last sequences of TRADING and MARKET.
async fn heads(context: &Context) -> Result<(u64, u64), LogError> {
    let trading = context.tape.state(stream::TRADING).await?;
    let market = context.tape.state(stream::MARKET).await?;
    Ok((trading.last_sequence, market.last_sequence))
}
