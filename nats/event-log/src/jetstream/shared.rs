//! One ordered read of a stream for everybody in a process who follows it.
//!
//! A server delivers to each reader by itself, and each decodes for itself; where nine services of one process follow
//! two streams, most of what both sides do is the same thing again. Here one reader per stream decodes once and hands
//! on; a [`Follower`] reads by itself until it has reached that reader, and whenever it has fallen behind it again.
//!
//! Invariant: a follower gets every message once and in order, whoever it has it from: it knows the next sequence that
//! it wants, and the shared reader knows the next one that it will hand on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver};
use tokio::task::JoinHandle;

use super::Connection;
use super::read::{JetStreamReader, Ordered};
use crate::{Delivery, LogError, Reader};

/// Chunks that a follower may be behind before it has to read by itself.
const CHUNKS_BEHIND: usize = 256;

/// Messages as they come, shared by all who follow.
type Chunk = Arc<Vec<Delivery>>;

/// The shared readers of one process, by stream. Clones are the same.
#[derive(Clone)]
pub struct Shared {
    connection: Connection,
    hubs: Arc<Mutex<HashMap<String, Hub>>>,
}

/// The shared reader of one stream.
struct Hub {
    line: Arc<Line>,
    task: JoinHandle<()>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a shared reader and its followers meet.
pub(super) struct Line {
    sender: broadcast::Sender<Chunk>,
    /// Next sequence that will be handed on. Held while a chunk is handed on and while a follower joins.
    next: Mutex<u64>,
}

impl Line {
    /// Hands a chunk on.
    pub fn send(&self, chunk: Vec<Delivery>) {
        let mut next = locked(&self.next);
        let Some(last) = chunk.last() else { return };
        *next = last.sequence() + 1;
        // Nobody may be there at the moment.
        self.sender.send(Arc::new(chunk)).ok();
    }

    fn join(&self) -> Joined {
        let next = locked(&self.next);
        Joined { chunks: self.sender.subscribe(), from: *next }
    }
}

/// A place among the followers: everything from a sequence on.
struct Joined {
    chunks: Receiver<Chunk>,
    from: u64,
}

/// A panic of another thread leaves nothing half done here.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, hubs: Arc::default() }
    }

    /// Joins those who follow `stream`; the first one starts the shared reader behind the last message.
    async fn join(&self, stream: &str) -> Result<Joined, LogError> {
        if let Some(joined) = self.present(stream) {
            return Ok(joined);
        }
        let from = self.connection.stream_state(stream).await?.last_sequence + 1;
        let mut ordered = Ordered::new(&self.connection, stream, &[], from);
        ordered.open().await.map_err(|error| error.into_log(format!("follow stream {stream}")))?;
        let line = Arc::new(Line { sender: broadcast::channel(CHUNKS_BEHIND).0, next: Mutex::new(from) });
        let joined = line.join();
        let mut hubs = locked(&self.hubs);
        if let Some(hub) = hubs.get(stream).filter(|hub| !hub.task.is_finished()) {
            // Somebody else was quicker.
            return Ok(hub.line.join());
        }
        let task = tokio::spawn(ordered.run_shared(Arc::clone(&line)));
        hubs.insert(stream.to_owned(), Hub { line, task });
        Ok(joined)
    }

    fn present(&self, stream: &str) -> Option<Joined> {
        let hubs = locked(&self.hubs);
        hubs.get(stream).filter(|hub| !hub.task.is_finished()).map(|hub| hub.line.join())
    }
}

/// A read of everything from a sequence on, by itself or with others.
pub(super) struct Follower {
    shared: Shared,
    /// For what it reads by itself.
    connection: Connection,
    stream: String,
    /// Next sequence wanted.
    next: u64,
    at_hand: VecDeque<Delivery>,
    upstream: Upstream,
}

/// Whom the next message comes from.
enum Upstream {
    /// The shared reader.
    Others(Receiver<Chunk>),
    /// A reader of its own, until it has reached the place taken among the others.
    Own { reader: JetStreamReader, joined: Joined },
    /// Nobody: it fell behind and has to read by itself.
    Nobody,
}

impl Follower {
    pub async fn open(
        connection: &Connection,
        shared: &Shared,
        stream: &str,
        from_sequence: u64,
    ) -> Result<Self, LogError> {
        let (shared, connection) = (shared.clone(), connection.clone());
        let (stream, next, at_hand) = (stream.to_owned(), from_sequence.max(1), VecDeque::new());
        let mut follower = Self { shared, connection, stream, next, at_hand, upstream: Upstream::Nobody };
        follower.place().await?;
        Ok(follower)
    }

    /// Takes a place among the others, and reads by itself what comes before it.
    async fn place(&mut self) -> Result<(), LogError> {
        let joined = self.shared.join(&self.stream).await?;
        self.upstream = if self.next >= joined.from {
            Upstream::Others(joined.chunks)
        } else {
            let reader = JetStreamReader::open(&self.connection, &self.stream, &[], self.next).await?;
            Upstream::Own { reader, joined }
        };
        Ok(())
    }

    /// Waits for messages that are wanted; more of them may be at hand then.
    async fn wait(&mut self, max: usize) -> Result<(), LogError> {
        match &mut self.upstream {
            Upstream::Own { reader, joined } if self.next < joined.from => {
                let batch = reader.batch(max).await?;
                self.next = batch.last().map_or(self.next, |last| last.sequence() + 1);
                self.at_hand.extend(batch);
            }
            Upstream::Own { .. } => {
                if let Upstream::Own { joined, .. } = std::mem::replace(&mut self.upstream, Upstream::Nobody)
                {
                    self.upstream = Upstream::Others(joined.chunks);
                }
            }
            Upstream::Others(chunks) => match chunks.recv().await {
                Ok(chunk) => self.take(&chunk),
                Err(RecvError::Lagged(_) | RecvError::Closed) => self.upstream = Upstream::Nobody,
            },
            Upstream::Nobody => self.place().await?,
        }
        Ok(())
    }

    fn take(&mut self, chunk: &[Delivery]) {
        for delivery in chunk.iter().filter(|delivery| delivery.sequence() >= self.next) {
            self.at_hand.push_back(delivery.clone());
        }
        self.next = self.at_hand.back().map_or(self.next, |last| last.sequence() + 1).max(self.next);
    }

    /// Takes what has come meanwhile.
    fn take_at_hand(&mut self, max: usize) {
        while self.at_hand.len() < max {
            let Upstream::Others(chunks) = &mut self.upstream else { return };
            match chunks.try_recv() {
                Ok(chunk) => self.take(&chunk),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => self.upstream = Upstream::Nobody,
            }
        }
    }
}

#[async_trait]
impl Reader for Follower {
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError> {
        let max = max.max(1);
        while self.at_hand.is_empty() {
            self.wait(max).await?;
        }
        self.take_at_hand(max);
        let count = max.min(self.at_hand.len());
        Ok(self.at_hand.drain(..count).collect())
    }
}
