//! The feed: listens for commits of the projections and renders what somebody watches.
//!
//! A hint only says that there is something to read; what is read comes from the read models. A lost
//! hint costs at most a second. Of a panel that each page fetches with its own filters only the news is
//! published that it changed: one small message per commit, whatever the number of filters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use event_log::LogError;
use futures::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior};

use crate::app::App;
use crate::attached;
use crate::pages::{Panel, Params, Refresh, Topic};

const COMMITS: &str = "projection.*.committed";
/// How far running backtests are; panels of the source `progress` show it.
const PROGRESS: &str = "backtest.*.progress";
/// Panels that age are rendered this often; all of them, in case a hint was lost.
const TICK: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(1);
/// After a round the feed rests as long as the round took, so that watching a tape at full speed never
/// takes more than half of what the read models can give.
const REST: u32 = 1;
/// Panels read at once.
const AT_ONCE: usize = 4;

/// Renders what changes until the server stops.
pub async fn feed(app: Arc<App>) {
    loop {
        let tape = &app.context.tape;
        let heard = tokio::try_join!(
            tape.hints(COMMITS),
            tape.hints(PROGRESS),
            tape.hints(attached::BROKERS),
            tape.hints(attached::WORDS),
        );
        match heard {
            Ok((mut hints, mut progress, mut brokers, mut words)) => {
                app.attached.listen(true);
                let mut rounds = Rounds::new(Arc::clone(&app));
                let mut tick = tokio::time::interval(TICK);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut wanted = app.hub.wanted();
                loop {
                    rounds.run().await;
                    tokio::select! {
                        hint = hints.next() => match hint {
                            Ok(hint) => {
                                rounds.committed(&hint.subject, &hint.payload);
                                while let Some(hint) = hints.ready() {
                                    rounds.committed(&hint.subject, &hint.payload);
                                }
                            }
                            Err(error) => {
                                tracing::warn!(%error, "live feed: {error}");
                                break;
                            }
                        },
                        hint = progress.next() => match hint {
                            Ok(hint) => {
                                rounds.progressed(&hint.subject, &hint.payload);
                                while let Some(hint) = progress.ready() {
                                    rounds.progressed(&hint.subject, &hint.payload);
                                }
                            }
                            // The next one says more than those that were missed.
                            Err(error) => tracing::debug!(%error, "progress of backtests: {error}"),
                        },
                        said = brokers.next() => forget(&app, said.err()),
                        said = words.next() => forget(&app, said.err()),
                        _ = wanted.changed() => rounds.all(),
                        _ = tick.tick() => {
                            let lags = app.freshness.refresh(&app).await;
                            rounds.tick(lags.iter().map(|lag| (lag.name.as_str(), lag.sequence)));
                        }
                        () = tokio::time::sleep_until(rounds.due()) => {}
                    }
                }
                app.attached.listen(false);
            }
            Err(error) => tracing::warn!(%error, "live feed cannot listen for commits: {error}"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// What is known of the accounts may have changed, or what was said of them was missed.
fn forget(app: &App, missed: Option<LogError>) {
    if let Some(error) = missed {
        tracing::warn!(%error, "what is said of accounts was missed: {error}");
    }
    app.attached.forget();
}

struct Rounds {
    app: Arc<App>,
    /// Names of panels that may have changed.
    pending: BTreeSet<&'static str>,
    rendered: BTreeMap<&'static str, Instant>,
    /// Checkpoints of the projections, as far as they are known.
    sequences: BTreeMap<String, u64>,
    ticks: u64,
    not_before: Instant,
}

impl Rounds {
    fn new(app: Arc<App>) -> Self {
        let mut rounds = Self {
            app,
            pending: BTreeSet::new(),
            rendered: BTreeMap::new(),
            sequences: BTreeMap::new(),
            ticks: 0,
            not_before: Instant::now(),
        };
        rounds.all();
        rounds
    }

    /// `projection.<name>.committed`, with the sequence in decimal.
    fn committed(&mut self, subject: &str, payload: &[u8]) {
        let name = subject.split('.').nth(1).unwrap_or_default();
        if let Some(sequence) = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok()) {
            self.sequences.insert(name.to_owned(), sequence);
        }
        let concerned = Panel::all().filter(|panel| panel.sources.contains(&name));
        self.pending.extend(concerned.map(|panel| panel.name));
    }

    /// `backtest.<run_id>.progress`.
    fn progressed(&mut self, subject: &str, payload: &[u8]) {
        let heard = self.app.runs.take(subject, payload);
        self.sequences.insert("progress".to_owned(), heard);
        let concerned = Panel::all().filter(|panel| panel.sources.contains(&"progress"));
        self.pending.extend(concerned.map(|panel| panel.name));
    }

    fn tick<'a>(&mut self, checkpoints: impl Iterator<Item = (&'a str, u64)>) {
        self.ticks += 1;
        self.sequences.extend(checkpoints.map(|(name, sequence)| (name.to_owned(), sequence)));
        self.all();
    }

    fn all(&mut self) {
        self.pending.extend(Panel::all().map(|panel| panel.name));
    }

    fn ready_at(&self, panel: &'static str) -> Instant {
        let cadence = Panel::named(panel).map_or(Duration::ZERO, |panel| panel.cadence);
        let own = self.rendered.get(panel).map_or(self.not_before, |last| *last + cadence);
        own.max(self.not_before)
    }

    /// When the next pending panel may be rendered.
    fn due(&self) -> Instant {
        let soonest = self.pending.iter().map(|panel| self.ready_at(panel)).min();
        soonest.unwrap_or_else(|| Instant::now() + TICK)
    }

    async fn run(&mut self) {
        let start = Instant::now();
        let due: BTreeSet<&'static str> =
            self.pending.iter().copied().filter(|panel| self.ready_at(panel) <= start).collect();
        if due.is_empty() {
            return;
        }
        let topics = self.app.hub.topics();
        let wanted = topics.iter().filter_map(|topic| Some((topic, Topic::parse(topic)?)));
        futures::stream::iter(wanted.filter(|(_, parsed)| due.contains(parsed.panel.name)))
            .for_each_concurrent(AT_ONCE, async |(topic, parsed)| match parsed.panel.refresh {
                Refresh::Pushed => self.render(topic, &parsed).await,
                Refresh::Fetched => self.nudge(topic, parsed.panel),
            })
            .await;
        for panel in due {
            self.pending.remove(panel);
            self.rendered.insert(panel, start);
        }
        self.not_before = Instant::now() + start.elapsed() * REST;
    }

    async fn render(&self, topic: &str, parsed: &Topic) {
        let params = Params::default();
        match parsed.panel.render(&parsed.scope(&self.app, &params)).await {
            Ok(html) => self.publish(topic, parsed.panel, &html),
            Err(error) => tracing::error!(%error, "panel {} not rendered: {error}", parsed.panel.name),
        }
    }

    /// Says how far what a panel depends on has come; the hub passes on only what differs from before.
    fn nudge(&self, topic: &str, panel: &Panel) {
        let known = |source: &&str| self.sequences.get(*source).copied().unwrap_or_default().to_string();
        let at = match panel.sources {
            [] => self.ticks.to_string(),
            sources => sources.iter().map(known).collect::<Vec<_>>().join(" "),
        };
        let name = panel.name;
        let html = format!("<i id=\"nudge-{name}\" data-nudge=\"{name}\" data-at=\"{at}\" data-v=\"0\"></i>");
        self.publish(topic, panel, &html);
    }

    fn publish(&self, topic: &str, panel: &Panel, html: &str) {
        let stated = |version: u64| html.replace("data-v=\"0\"", &format!("data-v=\"{version}\""));
        self.app.hub.publish(topic, panel.name, html, stated);
    }
}
