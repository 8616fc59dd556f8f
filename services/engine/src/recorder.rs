//! What becomes of the events of a run. The loop is compiled once per recorder, so that what a recorder does
//! not want is not formed.

use contracts::v1::Event;
use contracts::{ChainStream, StreamError};

/// Takes the events of a run.
pub trait Recorder {
    /// Whether the chain's events (signals, decisions, orders, fills) are wanted.
    const CHAIN: bool;
    /// Whether marks and entries of the account are wanted too.
    const ACCOUNT: bool;

    /// Takes an event, in the order in which a tape would hold it.
    fn event(&mut self, event: &Event);

    /// The instant is over.
    fn end_instant(&mut self) -> Result<(), StreamError>;

    /// The chain hash of what was taken; `None` when it was not asked for.
    fn chain_hash(&self) -> Option<String>;

    /// The chain, where nothing is wanted of the events but their hash.
    fn chain(&mut self) -> Option<&mut ChainStream> {
        None
    }
}

/// Records nothing: statistics are all that is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Recorder for Nothing {
    const CHAIN: bool = false;
    const ACCOUNT: bool = false;

    fn event(&mut self, _event: &Event) {}

    fn end_instant(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn chain_hash(&self) -> Option<String> {
        None
    }
}

/// Forms every event of the chain and hashes it, instant by instant.
#[derive(Debug, Default)]
pub struct Hash(ChainStream);

impl Recorder for Hash {
    const CHAIN: bool = true;
    const ACCOUNT: bool = false;

    fn event(&mut self, event: &Event) {
        self.0.add(event);
    }

    fn end_instant(&mut self) -> Result<(), StreamError> {
        self.0.end_instant()
    }

    fn chain_hash(&self) -> Option<String> {
        Some(self.0.finish())
    }

    fn chain(&mut self) -> Option<&mut ChainStream> {
        Some(&mut self.0)
    }
}

/// Hands every event to a function, and hashes the chain.
#[derive(Debug)]
pub struct Events<Take> {
    chain: ChainStream,
    take: Take,
}

impl<Take: FnMut(&Event)> Events<Take> {
    /// Events go to `take`.
    pub fn new(take: Take) -> Self {
        Self { chain: ChainStream::default(), take }
    }
}

impl<Take: FnMut(&Event)> Recorder for Events<Take> {
    const CHAIN: bool = true;
    const ACCOUNT: bool = true;

    fn event(&mut self, event: &Event) {
        self.chain.add(event);
        (self.take)(event);
    }

    fn end_instant(&mut self) -> Result<(), StreamError> {
        self.chain.end_instant()
    }

    fn chain_hash(&self) -> Option<String> {
        Some(self.chain.finish())
    }
}
