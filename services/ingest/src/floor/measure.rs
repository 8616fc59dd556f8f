//! Measures the hops with two connections and a scratch stream that is deleted afterwards.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer, stream};
use async_nats::{Client, HeaderMap, Subscriber};
use bytes::Bytes;
use contracts::v1::Origin;
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use event_log::{Auth, ConnectOptions};
use futures::StreamExt as _;
use secrecy::ExposeSecret as _;

use super::Floor;
use crate::event;
use crate::file::Series;

/// Round trips before measuring, and measured ones.
const WARM_UP: u32 = 100;
const ROUNDS: u32 = 1_000;
/// Longest wait for one delivery.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the floor could not be measured.
#[derive(Debug, thiserror::Error)]
#[error("measuring the floor: {doing}: {source}")]
pub struct FloorError {
    /// What was being done.
    doing: &'static str,
    /// Cause.
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl FnOnce(E) -> FloorError {
    move |source| FloorError { doing, source: source.into() }
}

/// Measures the hops on the server that `options` name; `instant` is the number of events of a market
/// hop. Takes about three seconds where the server syncs every write.
pub async fn measure(options: &ConnectOptions, instant: u32) -> Result<Floor, FloorError> {
    let (near, far) = (connect(options).await?, connect(options).await?);
    let context = jetstream::new(near.clone());
    let token = near.new_inbox().rsplit('.').next().unwrap_or("scratch").to_owned();
    let name = format!("FLOOR_{token}");
    let config = stream::Config {
        name: name.clone(),
        subjects: vec![format!("floor.{token}.stream.>")],
        storage: stream::StorageType::File,
        duplicate_window: Duration::from_secs(600),
        allow_direct: true,
        ..stream::Config::default()
    };
    let scratch = context.create_stream(config).await.map_err(failed("create the scratch stream"))?;
    let measured = hops(&near, &far, &scratch, &token, instant.max(1)).await;
    // Whatever came of it, the scratch stream goes.
    context.delete_stream(&name).await.map_err(failed("delete the scratch stream"))?;
    measured
}

async fn hops(
    near: &Client,
    far: &Client,
    scratch: &stream::Stream,
    token: &str,
    instant: u32,
) -> Result<Floor, FloorError> {
    let stored = |events| Trip {
        near,
        far,
        scratch: Some(scratch),
        prefix: format!("floor.{token}.stream.{events}"),
        events,
    };
    let stream_hop_ns = stored(1).measure().await? / 2;
    let market_hop_ns = match instant {
        1 => stream_hop_ns,
        // There with all events of an instant, back with one.
        events => stored(events).measure().await?.saturating_sub(stream_hop_ns),
    };
    let plain = Trip { near, far, scratch: None, prefix: format!("floor.{token}.plain"), events: 1 };
    Ok(Floor { stream_hop_ns, market_hop_ns, plain_hop_ns: plain.measure().await? / 2 })
}

/// A round trip between the two sides.
struct Trip<'a> {
    near: &'a Client,
    far: &'a Client,
    scratch: Option<&'a stream::Stream>,
    prefix: String,
    events: u32,
}

impl Trip<'_> {
    /// Mean time of a round trip, in nanoseconds. The far side answers from a task of its own, as a
    /// service would.
    async fn measure(&self) -> Result<u64, FloorError> {
        let (there, back) = (format!("{}.there", self.prefix), format!("{}.back", self.prefix));
        let (mut at_far, mut at_near) = match self.scratch {
            Some(scratch) => {
                (delivered(self.far, scratch, &there).await?, delivered(self.near, scratch, &back).await?)
            }
            None => (subscribe(self.far, &there).await?, subscribe(self.near, &back).await?),
        };
        let stored = self.scratch.is_some();
        let payload = Bytes::from(example());
        let out = Lane { client: self.near.clone(), subject: there, events: self.events, stored };
        let home = Lane { client: self.far.clone(), subject: back, events: 1, stored };
        let (events, answer) = (self.events, payload.clone());
        let echo = tokio::spawn(async move {
            for round in 0..WARM_UP + ROUNDS {
                receive(&mut at_far, events).await?;
                home.send(&answer, round).await?;
            }
            Ok::<_, FloorError>(())
        });
        let mut began = Instant::now();
        for round in 0..WARM_UP + ROUNDS {
            if round == WARM_UP {
                began = Instant::now();
            }
            out.send(&payload, round).await?;
            receive(&mut at_near, 1).await?;
        }
        let elapsed = began.elapsed();
        echo.await.map_err(failed("answer from the far side"))??;
        Ok(u64::try_from(elapsed.as_nanos() / u128::from(ROUNDS)).unwrap_or(u64::MAX))
    }
}

async fn receive(at: &mut Subscriber, events: u32) -> Result<(), FloorError> {
    for _ in 0..events {
        let next = tokio::time::timeout(TIMEOUT, at.next()).await.map_err(failed("wait for a delivery"))?;
        next.ok_or("the connection was closed").map_err(failed("wait for a delivery"))?;
    }
    Ok(())
}

/// One direction of a round trip.
struct Lane {
    client: Client,
    subject: String,
    events: u32,
    stored: bool,
}

impl Lane {
    async fn send(&self, payload: &Bytes, round: u32) -> Result<(), FloorError> {
        for event in 0..self.events {
            let (subject, payload) = (self.subject.clone(), payload.clone());
            let sent = if self.stored {
                let mut headers = HeaderMap::new();
                let id = format!("{}.{round}.{event}", self.subject);
                headers.insert(async_nats::header::NATS_MESSAGE_ID, id.as_str());
                // The answer has a reply subject, as a real one has; nobody needs to read it.
                let reply = format!("floor.answers.{round}");
                self.client.publish_with_reply_and_headers(subject, reply, headers, payload).await
            } else {
                self.client.publish(subject, payload).await
            };
            sent.map_err(failed("publish"))?;
        }
        Ok(())
    }
}

/// The bytes of an ordinary bar.
fn example() -> Vec<u8> {
    let price = Price(123_450_000_000);
    let bar = Bar {
        start_ns: 1_577_975_400_000_000_000,
        close_ns: 1_577_979_000_000_000_000,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume(1_000_000),
    };
    let series = Series { symbol: "FLOOR".to_owned(), timeframe: Timeframe::H1 };
    contracts::encode(&event::bar("floor", Origin::Rehearsal, &series, &bar))
}

/// Deliveries of a subject through an ordered push consumer.
async fn delivered(
    client: &Client,
    scratch: &stream::Stream,
    subject: &str,
) -> Result<Subscriber, FloorError> {
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

async fn subscribe(client: &Client, subject: &str) -> Result<Subscriber, FloorError> {
    let subscriber = client.subscribe(subject.to_owned()).await.map_err(failed("subscribe"))?;
    client.flush().await.map_err(failed("subscribe"))?;
    Ok(subscriber)
}

/// Connects as the tape does: an identity in the address counts where none is stated.
async fn connect(options: &ConnectOptions) -> Result<Client, FloorError> {
    let address: async_nats::ServerAddr =
        options.url.expose_secret().parse().map_err(failed::<std::io::Error>("read the address"))?;
    let builder = async_nats::ConnectOptions::new().name(&options.name);
    let builder = match (&options.auth, address.username()) {
        (Auth::None, None) => builder,
        (Auth::None, Some(user)) => {
            let password = contracts::unescape(address.password().unwrap_or_default());
            builder.user_and_password(contracts::unescape(user), password)
        }
        (Auth::Password { user, password }, _) => {
            builder.user_and_password(user.clone(), password.expose_secret().to_owned())
        }
        (Auth::Credentials(credentials), _) => {
            builder.credentials(credentials.expose_secret()).map_err(failed("read the credentials"))?
        }
    };
    builder.connect(address).await.map_err(failed("connect"))
}
