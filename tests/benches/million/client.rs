//! A program with a token: asks for pages and answers, and follows `/live`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

/// How a client follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stays connected.
    Steady,
    /// Leaves, and comes back with the last version it has.
    Leaving,
    /// Leaves, and comes back with a version of long ago.
    Forgetful,
}

/// How long one that leaves stays, at least.
const STAY: Duration = Duration::from_secs(4);
/// Leaving times are spread over so many steps.
const CLIENT_STEPS: usize = 50;
/// A version that no server of today remembers.
const LONG_AGO: u64 = 1;

/// See the module.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    end: CancellationToken,
    end_reference: CancellationToken,
}

/// What a client has seen.
#[derive(Default)]
pub struct Seen {
    /// Newest version of each element.
    newest: HashMap<String, u64>,
    /// Everything up to here was on a page that was taken anew.
    floor: u64,
    last: u64,
    /// How often it was told to take its page again.
    pub resyncs: usize,
    /// How often it came back.
    pub returns: usize,
}

impl Seen {
    /// Elements of which `other` has seen a newer version than this one.
    pub fn missed(&self, other: &Self) -> usize {
        let has = |key: &String| self.newest.get(key).copied().unwrap_or_default().max(self.floor);
        other.newest.iter().filter(|(key, version)| has(key) < **version).count()
    }

    /// How many elements it has seen.
    pub fn elements(&self) -> usize {
        self.newest.len()
    }
}

impl Client {
    /// Asks the server at `address` with `token`.
    pub fn new(address: &str, token: &str) -> anyhow::Result<Self> {
        // It wants to know who would do TLS, which is never spoken here.
        let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            base: format!("http://{address}"),
            token: token.to_owned(),
            end: CancellationToken::new(),
            end_reference: CancellationToken::new(),
        })
    }

    /// The answer's text, which must be a 200.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        anyhow::ensure!(status == reqwest::StatusCode::OK, "{path}: {status}: {text}");
        Ok(text)
    }

    /// Ends the client that the others are compared with.
    pub fn end_reference(&self) {
        self.end_reference.cancel();
    }

    /// Ends all clients.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Follows `topics` until the end; `number` spreads the times of leaving.
    pub async fn follow(
        self,
        kind: Kind,
        topics: String,
        number: usize,
        reference: bool,
    ) -> anyhow::Result<Seen> {
        let mut seen = Seen { last: self.version().await?, ..Seen::default() };
        seen.floor = seen.last;
        let end = if reference { self.end_reference.clone() } else { self.end.clone() };
        // They leave at different times.
        let stay =
            STAY + Duration::from_millis(u64::try_from(number % CLIENT_STEPS).unwrap_or_default() * 60);
        while !end.is_cancelled() {
            let after = if kind == Kind::Forgetful && seen.returns > 0 { LONG_AGO } else { seen.last };
            let until = (kind != Kind::Steady).then(|| Instant::now() + stay);
            self.connected(&topics, after, until, &end, &mut seen).await?;
            seen.returns += usize::from(!end.is_cancelled());
        }
        Ok(seen)
    }

    /// The version of a page taken now.
    async fn version(&self) -> anyhow::Result<u64> {
        let page = self.text("/").await?;
        let version = page.split("data-v=\"").nth(1).and_then(|rest| rest.split('"').next());
        version.and_then(|text| text.parse().ok()).ok_or_else(|| anyhow::anyhow!("a page without data-v"))
    }

    /// One connection, until the time is over or the end.
    async fn connected(
        &self,
        topics: &str,
        after: u64,
        until: Option<Instant>,
        end: &CancellationToken,
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        let request = self.http.get(format!("{}/live?topics={topics}", self.base)).bearer_auth(&self.token);
        let answer = request.header("last-event-id", after.to_string()).send().await?;
        anyhow::ensure!(answer.status() == reqwest::StatusCode::OK, "/live: {}", answer.status());
        let mut stream = answer.bytes_stream();
        let mut text = String::new();
        let far = Instant::now() + Duration::from_secs(3_600);
        loop {
            let part = tokio::select! {
                () = end.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(until.unwrap_or(far).into()) => return Ok(()),
                part = stream.next() => part,
            };
            let Some(part) = part else { anyhow::bail!("/live ended by itself") };
            text.push_str(&String::from_utf8_lossy(&part?));
            while let Some((event, rest)) = text.split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned()))
            {
                text = rest;
                self.take(&event, seen).await?;
            }
        }
    }

    async fn take(&self, event: &str, seen: &mut Seen) -> anyhow::Result<()> {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let (kind, id) = (field("event:").unwrap_or_default(), field("id:").unwrap_or_default());
        let Ok(version) = id.parse::<u64>() else { return Ok(()) };
        match kind {
            "beat" => {}
            "resync" => {
                seen.resyncs += 1;
                seen.last = version;
                // What is on the page now holds everything up to the version that was told.
                let page = self.version().await?;
                anyhow::ensure!(page >= version, "the page holds {page}, the resync said {version}");
                seen.floor = seen.floor.max(version);
            }
            topic => {
                anyhow::ensure!(version > seen.last, "version {version} came after {}", seen.last);
                seen.last = version;
                let html = field("data:").unwrap_or_default();
                let element = html.split(" id=\"").nth(1).and_then(|rest| rest.split('"').next());
                seen.newest.insert(format!("{topic} {}", element.unwrap_or_default()), version);
            }
        }
        Ok(())
    }
}
