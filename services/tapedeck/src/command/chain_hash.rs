//! `tapedeck chain-hash`: one number for all that the tape decided.

use contracts::v1::Event;
use contracts::{ChainHash, stream};
use event_log::{Delivery, Tape};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// The hash and what went into it.
#[derive(Debug, Serialize)]
pub struct Chain {
    /// 64 hex digits.
    pub chain_hash: String,
    /// Signals, decisions, order events and fills counted.
    pub events: u64,
    /// Orders submitted.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Last TRADING sequence read.
    pub trading_sequence: u64,
}

/// Prints the chain hash of the tape.
pub async fn run(session: &Session, output: Output) -> Result<(), Failure> {
    let chain = of(&session.tape).await?;
    if output.json {
        return output.document(&chain);
    }
    output.line(&chain.chain_hash);
    output.note(&format!("{} events, {} orders, {} fills", chain.events, chain.orders, chain.fills));
    Ok(())
}

/// Reads TRADING from its first to its present last event.
pub async fn of(tape: &Tape) -> Result<Chain, Failure> {
    read(tape, |_| ()).await
}

/// The same, and shows `each` what goes into it.
pub async fn read(tape: &Tape, mut each: impl FnMut(&Event)) -> Result<Chain, Failure> {
    let head = tape.state(stream::TRADING).await?.last_sequence;
    let mut hash = ChainHash::default();
    let filters = ["signal.>", "risk.>", "order.>", "fill.>"].map(str::to_owned);
    // The filtered read has no message for the head itself unless it counts; ask for the last that does.
    let mut end = 0;
    for filter in &filters {
        end = end.max(tape.last_sequence(stream::TRADING, filter).await?);
    }
    if end > 0 {
        let mut reader = tape.read(stream::TRADING, &filters, 1).await?;
        let mut at = 0;
        while at < end {
            for delivery in reader.batch(10_000).await? {
                at = delivery.sequence();
                if let Delivery::Event(recorded) = delivery
                    && at <= end
                {
                    let counted = hash.events();
                    hash.add(&recorded.event);
                    if hash.events() > counted {
                        each(&recorded.event);
                    }
                }
            }
        }
    }
    let events = hash.events();
    let (orders, fills) = hash.orders_and_fills();
    let chain_hash = hash.finish().map_err(|error| Failure::mismatch(error.to_string(), "tapedeck check"))?;
    Ok(Chain { chain_hash, events, orders, fills, trading_sequence: head })
}
