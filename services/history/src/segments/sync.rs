//! Catching up with MARKET: what lies beyond the last segment is read once and kept.

use std::time::{Duration, Instant};

use contracts::from_timestamp;
use contracts::stream::MARKET;
use contracts::v1::Event;
use event_log::{Delivery, Tape};

use super::collect::{Collected, Newest};
use super::format::{self, Content, Mapped};
use super::{ROWS_MAX, SegmentError, SegmentFile, Segments, directory, merge};
use crate::tape::HistoryError;

/// Messages taken over at a time.
const BATCH: usize = 8_192;

/// What a catch-up did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Stats {
    /// Messages read from the stream.
    pub messages: u64,
    /// Bars and revisions among them.
    pub bars: u64,
    /// Messages that are no events, or whose fields are not as the schema says; they are parked elsewhere.
    pub undecodable: u64,
    /// Segments written.
    pub written: usize,
    /// Merges of two segments into one.
    pub merged: usize,
    /// Last sequence that the segments cover now.
    pub last_sequence: u64,
    /// Time it took.
    pub seconds: f64,
    /// Damage found and mended, in words.
    pub notes: Vec<String>,
}

impl Segments {
    /// Reads what the stream holds beyond the segments. Damaged files, and those of another stream, are removed
    /// and what they held is read again.
    ///
    /// Cancel-safe: what is written stays, the rest is read the next time.
    pub async fn catch_up(&self, log: &Tape) -> Result<Stats, HistoryError> {
        let began = Instant::now();
        let dir = self.dir.clone();
        // Others may hold the lock for as long as a million bars take.
        let lock = blocking(move || directory::lock(&dir)).await?;
        let mut stats = Stats::default();
        let head = log.state(MARKET).await?.last_sequence;
        let mut chain = self.sound(log, head, &mut stats.notes).await?;
        let mut next = chain.last().map_or(1, |file| file.last + 1);
        if next <= head {
            let mut reader = log.read(MARKET, &[], next).await?;
            while next <= head {
                let files = chain.clone();
                let collected = Collected::after(blocking(move || newest(&files)).await?);
                let (collected, content) =
                    gather(reader.as_mut(), collected, (next, head), &mut stats).await?;
                next = content.last + 1;
                if collected.rows == 0 && collected.actions.is_empty() && next > head {
                    break;
                }
                let (dir, mut files) = (self.dir.clone(), chain);
                let (files, merged) = blocking(move || {
                    let mut collected = collected;
                    files.push(format::write(&dir, content, collected.batches())?);
                    let merged = merge::merge_due(&dir, &mut files)?;
                    Ok((files, merged))
                })
                .await?;
                chain = files;
                stats.written += 1;
                stats.merged += merged;
            }
        }
        drop(lock);
        stats.last_sequence = chain.last().map_or(0, |file| file.last);
        stats.seconds = began.elapsed().max(Duration::from_nanos(1)).as_secs_f64();
        Ok(stats)
    }

    /// The segments that can be built upon. The others are removed.
    async fn sound(
        &self,
        log: &Tape,
        head: u64,
        notes: &mut Vec<String>,
    ) -> Result<Vec<SegmentFile>, HistoryError> {
        let dir = self.dir.clone();
        let (mut chain, mut told, last) = blocking(move || {
            directory::sweep(&dir)?;
            let mut told = Vec::new();
            let (sound, damaged): (Vec<_>, Vec<_>) = directory::files(&dir)?
                .into_iter()
                .map(|file| (Mapped::open(&file), file))
                .partition(|(outcome, _)| outcome.is_ok());
            for (outcome, file) in damaged {
                if let Err(error) = outcome {
                    told.push(format!("{error}; read again from the tape"));
                }
                directory::remove(&file.path)?;
            }
            let last_events: Vec<(u64, String)> = sound
                .iter()
                .filter_map(|(outcome, _)| outcome.as_ref().ok())
                .map(|segment| (segment.content().last, segment.content().last_event.clone()))
                .collect();
            let (chain, rest) = directory::chain(sound.into_iter().map(|(_, file)| file).collect());
            for file in rest {
                directory::remove(&file.path)?;
            }
            let last = chain.last().and_then(|file| {
                last_events.into_iter().find(|(last, _)| *last == file.last).map(|(_, event)| event)
            });
            Ok((chain, told, last))
        })
        .await?;
        if let (Some(file), Some(expected)) = (chain.last(), last) {
            let found = match log.get(MARKET, file.last).await {
                Ok(found) => found.map_or_else(String::new, |recorded| mark_of(&recorded.event)),
                Err(error) if error.is_undecodable() => String::new(),
                Err(error) => return Err(error.into()),
            };
            if file.last > head || found != expected {
                told.push(format!(
                    "{}: the stream is another one than the segments were made from; read anew",
                    self.dir.display()
                ));
                for file in chain.drain(..) {
                    directory::remove(&file.path)?;
                }
            }
        }
        notes.append(&mut told);
        Ok(chain)
    }
}

/// What an event is known again by. An id alone would not say: a stream that is made anew gives the same ones.
fn mark_of(event: &Event) -> String {
    let recorded_ns = event.recorded_time.as_ref().and_then(from_timestamp).unwrap_or_default();
    format!("{}@{recorded_ns}", event.id)
}

/// The newest bars of the series that the segments hold.
fn newest(files: &[SegmentFile]) -> Result<Newest, SegmentError> {
    let mut newest = Newest::new();
    for file in files {
        for batch in &Mapped::open(file)?.content().batches {
            let known = newest.entry((batch.symbol.clone(), batch.timeframe.clone())).or_insert(i64::MIN);
            *known = (*known).max(batch.last_close_ns);
        }
    }
    Ok(newest)
}

/// Gathers the messages from `first` on, until a segment is full or the head is reached.
async fn gather(
    reader: &mut dyn event_log::Reader,
    mut collected: Collected,
    (first, head): (u64, u64),
    stats: &mut Stats,
) -> Result<(Collected, Content), HistoryError> {
    let mut content = Content { first, last: first, ..Content::empty() };
    loop {
        // Never beyond what fills the segment: what the reader has given is not given again.
        let room = (ROWS_MAX - collected.rows).min(BATCH);
        for delivery in reader.batch(room).await? {
            stats.messages += 1;
            match &delivery {
                Delivery::Event(recorded) => {
                    collected.event(&recorded.event);
                    content.last_event = mark_of(&recorded.event);
                }
                Delivery::Undecodable { .. } => {
                    content.undecodable += 1;
                    content.last_event.clear();
                }
            }
            content.last = delivery.sequence();
        }
        if content.last >= head || collected.rows >= ROWS_MAX {
            break;
        }
    }
    stats.bars += collected.rows as u64;
    content.undecodable += collected.malformed;
    stats.undecodable += content.undecodable;
    content.actions = std::mem::take(&mut collected.actions);
    // The caller asks whether there is anything to write.
    collected.actions.clone_from(&content.actions);
    Ok((collected, content))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SegmentError> + Send + 'static,
) -> Result<T, HistoryError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    Ok(outcome.map_err(|error| HistoryError::Task(error.to_string()))??)
}
