//! One ordered read of a stream for everybody in a process who follows it.
//!
//! A server delivers to each reader by itself, and each decodes for itself; where nine services of one process follow
//! two streams, most of what both sides do is the same thing again. Here one reader per stream decodes once and hands
//! on; a [`Follower`] reads by itself until it has reached that reader, and whenever it has fallen behind it again.
//!
//! Invariant: a follower gets every message once and in order, whoever it has it from: it knows the last one that it
//! has taken, and the shared reader knows the next one that it will hand on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver};
use tokio::task::JoinHandle;

use super::Connection;
use super::read::{JetStreamReader, Ordered};
use crate::{Bookmark, Delivery, LogError, Reader};

/// Chunks that a follower may be behind before it has to read by itself.
const CHUNKS_BEHIND: usize = 256;

/// Messages as they come, shared by all who follow; `None` at the end.
type Chunk = Option<Arc<Vec<Delivery>>>;

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

impl Hub {
    fn join(&self) -> Option<Joined> {
        if self.task.is_finished() { None } else { self.line.join() }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a shared reader and its followers meet.
pub(super) struct Line {
    sender: broadcast::Sender<Chunk>,
    /// Next sequence that will be handed on; `None` at the end. Held while a chunk is handed on and while a follower
    /// joins.
    next: Mutex<Option<u64>>,
}

impl Line {
    /// Hands a chunk on.
    pub fn send(&self, chunk: Vec<Delivery>) {
        let mut next = locked(&self.next);
        let Some(last) = chunk.last() else { return };
        *next = Some(last.sequence() + 1);
        // Nobody may be there at the moment.
        self.sender.send(Some(Arc::new(chunk))).ok();
    }

    /// Sends everybody away: nothing comes any more.
    pub fn end(&self) {
        let mut next = locked(&self.next);
        *next = None;
        self.sender.send(None).ok();
    }

    fn join(&self) -> Option<Joined> {
        let next = locked(&self.next);
        next.map(|from| Joined { chunks: self.sender.subscribe(), from })
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
        let mut ordered = Ordered::new(&self.connection, stream, &[], Bookmark::before(from));
        ordered.open().await.map_err(|error| error.into_log(format!("follow stream {stream}")))?;
        let (sender, chunks) = broadcast::channel(CHUNKS_BEHIND);
        let line = Arc::new(Line { sender, next: Mutex::new(Some(from)) });
        let mut hubs = locked(&self.hubs);
        if let Some(joined) = hubs.get(stream).and_then(Hub::join) {
            // Somebody else was quicker.
            return Ok(joined);
        }
        let task = tokio::spawn(ordered.run_shared(Arc::clone(&line)));
        hubs.insert(stream.to_owned(), Hub { line, task });
        Ok(Joined { chunks, from })
    }

    fn present(&self, stream: &str) -> Option<Joined> {
        locked(&self.hubs).get(stream).and_then(Hub::join)
    }
}

/// A read of everything from a sequence on, by itself or with others.
pub(super) struct Follower {
    shared: Shared,
    /// For what it reads by itself.
    connection: Connection,
    stream: String,
    /// The last message that it has taken.
    read: Bookmark,
    at_hand: VecDeque<Delivery>,
    upstream: Upstream,
}

/// Whom the next message comes from.
enum Upstream {
    /// The shared reader.
    Others(Receiver<Chunk>),
    /// A reader of its own, until it has reached the place taken among the others.
    Own { reader: JetStreamReader, joined: Joined },
    /// Nobody: it fell behind, or the shared reader has ended, and it has to read by itself.
    Nobody,
}

impl Follower {
    pub async fn open(
        connection: &Connection,
        shared: &Shared,
        stream: &str,
        after: Bookmark,
    ) -> Result<Self, LogError> {
        let (shared, connection) = (shared.clone(), connection.clone());
        let (stream, read, at_hand) = (stream.to_owned(), after, VecDeque::new());
        let mut follower = Self { shared, connection, stream, read, at_hand, upstream: Upstream::Nobody };
        follower.place().await?;
        Ok(follower)
    }

    /// Takes a place among the others, and reads by itself what comes before it.
    async fn place(&mut self) -> Result<(), LogError> {
        let joined = self.shared.join(&self.stream).await?;
        self.upstream = if self.read.next() >= joined.from {
            self.read = self.connection.check(&self.stream, &self.read).await?;
            Upstream::Others(joined.chunks)
        } else {
            let after = self.read.clone();
            let reader = JetStreamReader::open(&self.connection, &self.stream, &[], after).await?;
            Upstream::Own { reader, joined }
        };
        Ok(())
    }

    /// Waits for messages that are wanted; more of them may be at hand then.
    async fn wait(&mut self, max: usize) -> Result<(), LogError> {
        match &mut self.upstream {
            Upstream::Own { reader, joined } if self.read.next() < joined.from => {
                let batch = reader.batch(max).await?;
                if let Some(last) = batch.last() {
                    self.read = Bookmark::at(last);
                }
                self.at_hand.extend(batch);
            }
            Upstream::Own { .. } => {
                if let Upstream::Own { joined, .. } = std::mem::replace(&mut self.upstream, Upstream::Nobody)
                {
                    self.upstream = Upstream::Others(joined.chunks);
                }
            }
            Upstream::Others(chunks) => match chunks.recv().await {
                Ok(Some(chunk)) => self.take(&chunk),
                Ok(None) | Err(RecvError::Lagged(_) | RecvError::Closed) => self.upstream = Upstream::Nobody,
            },
            Upstream::Nobody => self.place().await?,
        }
        Ok(())
    }

    fn take(&mut self, chunk: &[Delivery]) {
        let wanted = chunk.iter().filter(|delivery| delivery.sequence() > self.read.sequence);
        self.at_hand.extend(wanted.cloned());
        if let Some(last) = chunk.last().filter(|last| last.sequence() > self.read.sequence) {
            self.read = Bookmark::at(last);
        }
    }

    /// Takes what has come meanwhile.
    fn take_at_hand(&mut self, max: usize) {
        while self.at_hand.len() < max {
            let Upstream::Others(chunks) = &mut self.upstream else { return };
            match chunks.try_recv() {
                Ok(Some(chunk)) => self.take(&chunk),
                Err(TryRecvError::Empty) => return,
                Ok(None) | Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => {
                    self.upstream = Upstream::Nobody;
                }
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
