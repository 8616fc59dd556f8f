//! The client: one strategy's connection to the tape.
//!
//! The rule that keeps a rehearsal deterministic is three words long: signal, await, acknowledge. A bar is
//! acknowledged after every signal that it causes is stored, and the tape clock moves on after the
//! acknowledgement.
//!
//! On every start both consumers are set back to the beginning, so that the strategy sees all of its history
//! again, in order: that is its warm-up. Only bars of the present may signal (see [`Follower::is_present`]).

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use async_nats::{Client, HeaderMap, Message, Subscriber};
use futures::StreamExt as _;
use prost::Message as _;
use serde_json::{Value, json};

use crate::sma_cross::Strategy;
use crate::tape::v1::event::Body;
use crate::tape::v1::{ActionKind, Bar, Event, Origin, Side};
use crate::tape::{self, ns};

/// Messages asked for at a time.
const BATCH: u64 = 500;
/// Silence after which a pull counts as lost; the server says every 5 seconds that it is open.
const SILENCE: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Silence after which what concerns the strategy counts as read, on the wall clock.
const SETTLE: Duration = Duration::from_millis(50);

/// What `tapedeck strategy register` told.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Credentials {
    /// Registered name.
    pub strategy: String,
    /// Account it trades on.
    pub account: String,
    /// The server.
    pub url: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Its durable consumers.
    pub consumer: String,
    /// What its inboxes begin with.
    pub inbox_prefix: String,
}

/// Connects and runs until the registration ends. `make` gives a strategy that knows nothing yet.
pub async fn run<S: Strategy>(credentials: &Credentials, make: impl Fn() -> S) -> anyhow::Result<()> {
    let options = async_nats::ConnectOptions::new()
        .user_and_password(credentials.user.clone(), credentials.password.clone())
        .name(format!("strategy {}", credentials.strategy))
        .custom_inbox_prefix(credentials.inbox_prefix.clone())
        .max_reconnects(120);
    let client = options.connect(&credentials.url).await.context("connect")?;
    eprintln!("{}: connected to {}", credentials.strategy, credentials.url);
    loop {
        match pass(&client, credentials, make()).await {
            Ok(()) => return Ok(()),
            // Deliveries may be missing after an interruption, so everything is read again. The client gives up
            // reconnecting by itself, and its error is another one.
            Err(error) if error.is::<Lost>() => eprintln!("{}: beginning again", credentials.strategy),
            Err(error) => return Err(error),
        }
    }
}

/// Reads everything from the beginning, then goes on with the present.
async fn pass(client: &Client, credentials: &Credentials, strategy: impl Strategy) -> anyhow::Result<()> {
    Follower::open(client, credentials).await?.follow(strategy).await
}

/// Deliveries may be missing.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the connection was interrupted")
    }
}

impl std::error::Error for Lost {}

/// A durable consumer, read continuously and in order.
struct Pull {
    client: Client,
    /// `<stream>.<consumer>`.
    place: String,
    inbox: String,
    messages: Subscriber,
    asked: u64,
    /// Number of the last delivery since the reset.
    delivered: u64,
    sequence: u64,
    pending: u64,
}

impl Pull {
    async fn open(client: &Client, stream: &str, consumer: &str) -> anyhow::Result<Self> {
        let inbox = client.new_inbox();
        let messages = client.subscribe(inbox.clone()).await?;
        let place = format!("{stream}.{consumer}");
        let reset = call(client, &format!("RESET.{place}"), &json!({ "seq": 1 })).await?;
        let pending = reset["num_pending"].as_u64().unwrap_or_default();
        let client = client.clone();
        Ok(Self { client, place, inbox, messages, asked: 0, delivered: 0, sequence: 0, pending })
    }

    /// The next event with its sequence; waits for as long as there is none. `None` when the consumer is gone.
    async fn next(&mut self) -> anyhow::Result<Option<(Message, u64)>> {
        loop {
            if self.asked == 0 {
                let body = json!({ "batch": BATCH, "expires": 30_000_000_000_u64, "idle_heartbeat": 5_000_000_000_u64 });
                let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}", self.place);
                let body = body.to_string().into();
                self.client.publish_with_reply(subject, self.inbox.clone(), body).await?;
                self.asked = BATCH;
            }
            let message = match tokio::time::timeout(SILENCE, self.messages.next()).await {
                Ok(Some(message)) => message,
                Ok(None) | Err(_) => bail!(Lost),
            };
            if let Some(status) = message.status {
                if message.description.as_deref().is_some_and(|text| text.contains("Deleted")) {
                    return Ok(None);
                }
                if status.as_u16() != 100 {
                    self.asked = 0;
                }
                continue;
            }
            let [delivered, sequence, pending] = numbers(&message)?;
            if delivered != self.delivered + 1 {
                bail!(Lost);
            }
            (self.delivered, self.pending, self.asked) = (delivered, pending, self.asked - 1);
            if sequence <= self.sequence {
                // Delivered again, because its acknowledgement came late.
                let reply = message.reply.context("a delivery names its acknowledgement")?;
                self.client.publish(reply, "+ACK".into()).await?;
                continue;
            }
            self.sequence = sequence;
            return Ok(Some((message, sequence)));
        }
    }
}

/// Consumer sequence, stream sequence and pending messages, from
/// `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream>.<consumer>.<time>.<pending>`.
fn numbers(message: &Message) -> anyhow::Result<[u64; 3]> {
    let reply = message.reply.as_ref().context("a delivery names its acknowledgement")?;
    let tokens: Vec<&str> = reply.split('.').collect();
    let [stream, consumer, _, pending] = tokens[tokens.len().saturating_sub(4)..] else {
        bail!("acknowledgement {reply}: expected four numbers at its end");
    };
    Ok([consumer.parse()?, stream.parse()?, pending.parse()?])
}

/// Asks JetStream about the strategy's own consumer.
async fn call(client: &Client, api: &str, body: &Value) -> anyhow::Result<Value> {
    request(client, format!("$JS.API.CONSUMER.{api}"), HeaderMap::new(), body.to_string().into_bytes()).await
}

async fn request(
    client: &Client,
    subject: String,
    headers: HeaderMap,
    payload: Vec<u8>,
) -> anyhow::Result<Value> {
    let asked = client.request_with_headers(subject.clone(), headers, payload.into());
    let answer =
        tokio::time::timeout(TIMEOUT, asked).await.map_err(|_| Lost)?.with_context(|| subject.clone())?;
    let answer: Value = serde_json::from_slice(&answer.payload).with_context(|| subject.clone())?;
    if let Some(error) = answer.get("error") {
        bail!("{subject}: {error}");
    }
    Ok(answer)
}

/// One pass over the tape, from the beginning into the present.
struct Follower {
    client: Client,
    name: String,
    account: String,
    market: Pull,
    trading: Pull,
    enabled: bool,
    /// Shares held by account and symbol, in 1e-9.
    positions: HashMap<(String, String), i64>,
    marked_ns: i64,
    /// Id of the last signal under each subject.
    last_ids: HashMap<String, Option<String>>,
}

impl Follower {
    async fn open(client: &Client, credentials: &Credentials) -> anyhow::Result<Self> {
        Ok(Self {
            client: client.clone(),
            name: credentials.strategy.clone(),
            account: credentials.account.clone(),
            trading: Pull::open(client, "TRADING", &credentials.consumer).await?,
            market: Pull::open(client, "MARKET", &credentials.consumer).await?,
            enabled: false,
            positions: HashMap::new(),
            marked_ns: 0,
            last_ids: HashMap::new(),
        })
    }

    async fn follow(&mut self, mut strategy: impl Strategy) -> anyhow::Result<()> {
        while let Some((message, sequence)) = self.market.next().await? {
            // The system writes its bars as protobuf; whatever else is there it parks.
            if let Ok(event) = Event::decode(message.payload.clone()) {
                match &event.body {
                    Some(Body::Bar(bar)) => self.take_bar(&mut strategy, &event, bar, sequence).await?,
                    Some(Body::CorporateAction(action)) if action.kind() == ActionKind::Split => {
                        strategy.on_split(action);
                    }
                    _ => {}
                }
            }
            let reply = message.reply.context("a delivery names its acknowledgement")?;
            self.client.publish(reply, "+ACK".into()).await?;
        }
        eprintln!("{}: the registration has ended", self.name);
        Ok(())
    }

    async fn take_bar(
        &mut self,
        strategy: &mut impl Strategy,
        event: &Event,
        bar: &Bar,
        sequence: u64,
    ) -> anyhow::Result<()> {
        let present = self.is_present(event, bar).await?;
        let held =
            self.positions.get(&(self.account.clone(), bar.symbol.clone())).copied().unwrap_or_default();
        let wishes = strategy.on_bar(bar, ns(event.event_time.as_ref()), held);
        if present && self.enabled {
            for (index, wish) in wishes.into_iter().enumerate() {
                println!("{} {} {}: {}", bar.timeframe, wish.intent.as_str_name(), wish.symbol, wish.reason);
                let subject = format!("signal.{}.{}", self.name, tape::escape(&wish.symbol));
                self.publish(subject, tape::signal_event(&self.name, event, sequence, index, wish)).await?;
            }
        }
        Ok(())
    }

    /// Whether a bar may signal: history warms up and never does.
    ///
    /// On a tape clock a bar belongs to an instant, and the instant is present while its mark is the account's
    /// last one; waiting for that mark also brings every fill of the instant. On the wall clock a bar is present
    /// for as long as it is the newest one of its timeframe.
    async fn is_present(&mut self, event: &Event, bar: &Bar) -> anyhow::Result<bool> {
        if !matches!(bar.origin(), Origin::Live | Origin::Rehearsal) {
            return Ok(false);
        }
        let close_ns = ns(event.event_time.as_ref());
        if event.instant.is_some() {
            while self.marked_ns <= close_ns && (self.marked_ns < close_ns || self.trading.pending > 0) {
                self.read_trading().await?;
            }
            return Ok(self.marked_ns == close_ns);
        }
        self.read_all_trading().await?;
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let length_ns = close_ns - ns(bar.start.as_ref());
        Ok(i128::try_from(now_ns)? - i128::from(close_ns) < i128::from(length_ns))
    }

    /// Reads whatever concerns this strategy up to now.
    async fn read_all_trading(&mut self) -> anyhow::Result<()> {
        while self.trading.pending > 0 {
            self.read_trading().await?;
        }
        // What was stored just now is on its way.
        while let Ok(read) = tokio::time::timeout(SETTLE, self.read_trading()).await {
            read?;
        }
        Ok(())
    }

    /// Folds the next event that concerns this strategy: fills, splits, marks, controls.
    async fn read_trading(&mut self) -> anyhow::Result<()> {
        let Some((message, _)) = self.trading.next().await? else { bail!("the registration has ended") };
        let Ok(event) = Event::decode(message.payload) else { return Ok(()) };
        let time_ns = ns(event.event_time.as_ref());
        match event.body {
            Some(Body::Fill(fill)) => {
                let sign = if fill.side() == Side::Buy { 1 } else { -1 };
                *self.positions.entry((fill.account, fill.symbol)).or_default() += sign * fill.quantity_e9;
            }
            // The only entries of this consumer are splits, of whatever strategy.
            Some(Body::AccountEntry(entry)) if entry.strategy == self.name => {
                self.positions.insert((entry.account, entry.symbol), entry.quantity_after_e9);
            }
            Some(Body::AccountMarked(mark)) if mark.account == self.account => {
                self.marked_ns = self.marked_ns.max(time_ns);
            }
            Some(Body::StrategyRegistered(registered)) => self.account = registered.account,
            Some(Body::StrategyEnabled(_)) => self.enabled = true,
            Some(Body::StrategyDisabled(_) | Body::StrategyRemoved(_)) => self.enabled = false,
            _ => {}
        }
        Ok(())
    }

    /// Stores a signal once, and returns when the tape has it.
    async fn publish(&mut self, subject: String, event: Event) -> anyhow::Result<()> {
        if !self.last_ids.contains_key(&subject) {
            // The server knows repeated ids for minutes; beyond that the last signal tells.
            let asked = self.client.request(format!("$JS.API.DIRECT.GET.TRADING.{subject}"), "".into());
            let answer = tokio::time::timeout(TIMEOUT, asked).await.map_err(|_| Lost)??;
            let id = answer.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
            self.last_ids.insert(subject.clone(), id.map(ToString::to_string));
        }
        if self.last_ids[&subject].as_ref() == Some(&event.id) {
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", event.id.as_str());
        request(&self.client, subject.clone(), headers, tape::encode(&event)).await?;
        self.last_ids.insert(subject, Some(event.id));
        Ok(())
    }
}
