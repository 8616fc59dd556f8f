//! Ordered reads and durable consumers of the in-memory tape.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch as signal;

use super::watch::acknowledged;
use super::{Shared, delivered};
use crate::filter::any_covers;
use crate::{Consumer, Delivery, LogError, Reader};

/// Messages looked at under one lock, so that a long read does not shut out the writers.
const STRIDE: u64 = 4_096;

pub(super) struct MemoryReader {
    shared: Arc<Shared>,
    changed: signal::Receiver<u64>,
    stream: String,
    filters: Vec<String>,
    /// Next sequence to look at.
    next: u64,
}

impl MemoryReader {
    pub fn new(shared: &Arc<Shared>, stream: &str, filters: &[String], from_sequence: u64) -> Self {
        Self {
            shared: Arc::clone(shared),
            changed: shared.changed.subscribe(),
            stream: stream.to_owned(),
            filters: filters.to_vec(),
            next: from_sequence.max(1),
        }
    }

    /// What is at hand, and whether more may be.
    fn at_hand(&mut self, max: usize) -> Result<(Vec<Delivery>, bool), LogError> {
        let mut state = self.shared.lock();
        let log = state.stream_mut(&self.stream)?;
        let last = log.last_sequence();
        let until = last.min(self.next.saturating_add(STRIDE - 1));
        let mut found = Vec::new();
        while self.next <= until && found.len() < max {
            let wanted = log.get(self.next).is_some_and(|stored| any_covers(&self.filters, &stored.subject));
            if wanted {
                found.extend(delivered(&self.shared.hook, &self.stream, log, self.next));
            }
            self.next += 1;
        }
        Ok((found, self.next <= last))
    }
}

#[async_trait]
impl Reader for MemoryReader {
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError> {
        loop {
            self.changed.mark_unchanged();
            let (found, more) = self.at_hand(max.max(1))?;
            if !found.is_empty() {
                return Ok(found);
            }
            if !more {
                self.changed.changed().await.map_err(|error| LogError::new("follow the tape", error))?;
            }
        }
    }
}

pub(super) struct MemoryConsumer {
    shared: Arc<Shared>,
    changed: signal::Receiver<u64>,
    stream: String,
    durable: String,
    generation: u64,
}

impl MemoryConsumer {
    pub fn open(shared: &Arc<Shared>, stream: &str, durable: &str) -> Result<Self, LogError> {
        let generation = shared.lock().stream_mut(stream)?.durable_mut(durable)?.reset();
        // Whoever held the consumer before must notice that it was replaced.
        shared.signal();
        Ok(Self {
            shared: Arc::clone(shared),
            changed: shared.changed.subscribe(),
            stream: stream.to_owned(),
            durable: durable.to_owned(),
            generation,
        })
    }

    fn replaced(&self, generation: u64) -> Result<(), LogError> {
        if generation == self.generation {
            return Ok(());
        }
        Err(LogError::new(format!("read consumer {}", self.durable), "another client opened it"))
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError> {
        loop {
            self.changed.mark_unchanged();
            let found: Vec<Delivery> = {
                let mut state = self.shared.lock();
                let log = state.stream_mut(&self.stream)?;
                self.replaced(log.durable_mut(&self.durable)?.generation)?;
                let taken = log.take(&self.durable, max.max(1))?;
                let hook = &self.shared.hook;
                taken
                    .into_iter()
                    .filter_map(|sequence| delivered(hook, &self.stream, log, sequence))
                    .collect()
            };
            if !found.is_empty() {
                return Ok(found);
            }
            self.changed.changed().await.map_err(|error| LogError::new("follow the tape", error))?;
        }
    }

    async fn ack(&mut self, sequence: u64) -> Result<(), LogError> {
        let mut state = self.shared.lock();
        let log = state.stream_mut(&self.stream)?;
        let durable = log.durable_mut(&self.durable)?;
        let generation = durable.generation;
        if generation == self.generation && durable.acknowledge(sequence) {
            acknowledged(&mut log.acks, &self.durable, sequence);
        }
        drop(state);
        self.shared.signal();
        self.replaced(generation)
    }
}
