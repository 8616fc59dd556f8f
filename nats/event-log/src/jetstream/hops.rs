//! Measures how long messages take from publisher to consumer, alone on the server.
//!
//! Two connections play ping-pong over a scratch stream that is deleted afterwards. It shows what the
//! server and the client library cost, before anyone does any work.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer, stream};
use async_nats::{Client, HeaderMap, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;

use super::connect::{ConnectError, ConnectOptions, connect};

/// Round trips before measuring: one for so many that are measured.
const WARM_UP_FOR: u32 = 10;
/// Longest wait for one delivery.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Time from publisher to consumer, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hops {
    /// One stored message.
    pub stream_ns: u64,
    /// A burst of stored messages, until the last one is delivered.
    pub burst_ns: u64,
    /// One plain message.
    pub plain_ns: u64,
}

/// Why hops could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum HopError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A step failed.
    #[error("measuring hops: {doing}: {source}")]
    Step {
        /// What was being done.
        doing: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl FnOnce(E) -> HopError {
    move |source| HopError::Step { doing, source: source.into() }
}

/// Measures hops of `payload` on the server that `options` name, with `burst` messages in a burst, each in the mean of
/// `rounds` round trips. A thousand take about three seconds where the server syncs every write.
pub async fn measure_hops(
    options: &ConnectOptions,
    payload: Vec<u8>,
    burst: u32,
    rounds: u32,
) -> Result<Hops, HopError> {
    let (near, far) = (connect(options.clone()).await?, connect(options.clone()).await?);
    let (near, far) = (near.client(), far.client());
    let context = jetstream::new(near.clone());
    let token = near.new_inbox().rsplit('.').next().unwrap_or("scratch").to_owned();
    let name = format!("HOPS_{token}");
    let config = stream::Config {
        name: name.clone(),
        subjects: vec![format!("hops.{token}.stream.>")],
        storage: stream::StorageType::File,
        duplicate_window: Duration::from_secs(600),
        allow_direct: true,
        ..stream::Config::default()
    };
    let scratch = context.create_stream(config).await.map_err(failed("create the scratch stream"))?;
    let payload = Bytes::from(payload);
    let measured = hops(near, far, &scratch, &token, &payload, burst.max(1), rounds.max(1)).await;
    // Whatever came of it, the scratch stream goes.
    context.delete_stream(&name).await.map_err(failed("delete the scratch stream"))?;
    measured
}

async fn hops(
    near: &Client,
    far: &Client,
    scratch: &stream::Stream,
    token: &str,
    payload: &Bytes,
    burst: u32,
    rounds: u32,
) -> Result<Hops, HopError> {
    let trip = |scratch, kind: &str, messages| Trip {
        near,
        far,
        scratch,
        prefix: format!("hops.{token}.{kind}.{messages}"),
        payload: payload.clone(),
        messages,
        rounds,
    };
    let stream_ns = trip(Some(scratch), "stream", 1).measure().await? / 2;
    let burst_ns = match burst {
        1 => stream_ns,
        // There with the whole burst, back with one.
        burst => trip(Some(scratch), "stream", burst).measure().await?.saturating_sub(stream_ns),
    };
    Ok(Hops { stream_ns, burst_ns, plain_ns: trip(None, "plain", 1).measure().await? / 2 })
}

/// A round trip between the two sides.
struct Trip<'a> {
    near: &'a Client,
    far: &'a Client,
    scratch: Option<&'a stream::Stream>,
    prefix: String,
    payload: Bytes,
    messages: u32,
    rounds: u32,
}

impl Trip<'_> {
    /// Mean time of a round trip, in nanoseconds. The far side answers from a task of its own, as a
    /// service would.
    async fn measure(&self) -> Result<u64, HopError> {
        let (there, back) = (format!("{}.there", self.prefix), format!("{}.back", self.prefix));
        let (mut at_far, mut at_near) = match self.scratch {
            Some(scratch) => {
                (delivered(self.far, scratch, &there).await?, delivered(self.near, scratch, &back).await?)
            }
            None => (subscribe(self.far, &there).await?, subscribe(self.near, &back).await?),
        };
        let stored = self.scratch.is_some();
        let payload = self.payload.clone();
        let out = Lane { client: self.near.clone(), subject: there, messages: self.messages, stored };
        let home = Lane { client: self.far.clone(), subject: back, messages: 1, stored };
        let (messages, answer) = (self.messages, payload.clone());
        let warm_up = self.rounds / WARM_UP_FOR;
        let all = self.rounds.saturating_add(warm_up);
        let echo = tokio::spawn(async move {
            for round in 0..all {
                receive(&mut at_far, messages).await?;
                home.send(&answer, round).await?;
            }
            Ok::<_, HopError>(())
        });
        let mut began = Instant::now();
        for round in 0..all {
            if round == warm_up {
                began = Instant::now();
            }
            out.send(&payload, round).await?;
            receive(&mut at_near, 1).await?;
        }
        let elapsed = began.elapsed();
        echo.await.map_err(failed("answer from the far side"))??;
        Ok(u64::try_from(elapsed.as_nanos() / u128::from(self.rounds)).unwrap_or(u64::MAX))
    }
}

async fn receive(at: &mut Subscriber, messages: u32) -> Result<(), HopError> {
    for _ in 0..messages {
        let next = tokio::time::timeout(TIMEOUT, at.next()).await.map_err(failed("wait for a delivery"))?;
        next.ok_or("the connection was closed").map_err(failed("wait for a delivery"))?;
    }
    Ok(())
}

/// One direction of a round trip.
struct Lane {
    client: Client,
    subject: String,
    messages: u32,
    stored: bool,
}

impl Lane {
    async fn send(&self, payload: &Bytes, round: u32) -> Result<(), HopError> {
        for number in 0..self.messages {
            let (subject, payload) = (self.subject.clone(), payload.clone());
            let sent = if self.stored {
                let mut headers = HeaderMap::new();
                let id = format!("{}.{round}.{number}", self.subject);
                headers.insert(async_nats::header::NATS_MESSAGE_ID, id.as_str());
                // The answer has a reply subject, as a real one has; nobody needs to read it.
                let reply = format!("hops.answers.{round}");
                self.client.publish_with_reply_and_headers(subject, reply, headers, payload).await
            } else {
                self.client.publish(subject, payload).await
            };
            sent.map_err(failed("publish"))?;
        }
        Ok(())
    }
}

/// Deliveries of a subject through an ordered push consumer.
async fn delivered(client: &Client, scratch: &stream::Stream, subject: &str) -> Result<Subscriber, HopError> {
    let inbox = client.new_inbox();
    let subscriber = subscribe(client, &inbox).await?;
    let config = consumer::push::Config {
        deliver_subject: inbox,
        filter_subject: subject.to_owned(),
        ack_policy: consumer::AckPolicy::None,
        memory_storage: true,
        ..consumer::push::Config::default()
    };
    scratch.create_consumer(config).await.map_err(failed("create a scratch consumer"))?;
    Ok(subscriber)
}

async fn subscribe(client: &Client, subject: &str) -> Result<Subscriber, HopError> {
    let subscriber = client.subscribe(subject.to_owned()).await.map_err(failed("subscribe"))?;
    client.flush().await.map_err(failed("subscribe"))?;
    Ok(subscriber)
}
