//! The feed: listens for commits of the projections and renders what somebody watches.
//!
//! A hint only says that there is something to read; what is read comes from the read models. A lost
//! hint costs at most a second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior};

use crate::app::App;
use crate::pages::{Panel, Scope, Topic, overview};
use crate::session::FormKeys;

const COMMITS: &str = "projection.*.committed";
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
        match app.context.tape.hints(COMMITS).await {
            Ok(mut hints) => {
                let mut rounds = Rounds::new(Arc::clone(&app));
                let mut tick = tokio::time::interval(TICK);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut wanted = app.hub.wanted();
                loop {
                    rounds.run().await;
                    tokio::select! {
                        hint = hints.next() => match hint {
                            Ok(hint) => {
                                rounds.committed(&hint.subject);
                                while let Some(hint) = hints.ready() {
                                    rounds.committed(&hint.subject);
                                }
                            }
                            Err(error) => {
                                tracing::warn!(%error, "live feed: {error}");
                                break;
                            }
                        },
                        _ = wanted.changed() => rounds.all(),
                        _ = tick.tick() => {
                            app.freshness.refresh(&app).await;
                            rounds.all();
                        }
                        () = tokio::time::sleep_until(rounds.due()) => {}
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "live feed cannot listen for commits: {error}"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

struct Rounds {
    app: Arc<App>,
    pending: BTreeSet<Panel>,
    rendered: BTreeMap<Panel, Instant>,
    not_before: Instant,
}

impl Rounds {
    fn new(app: Arc<App>) -> Self {
        Self {
            app,
            pending: BTreeSet::from(Panel::ALL),
            rendered: BTreeMap::new(),
            not_before: Instant::now(),
        }
    }

    /// `projection.<name>.committed`
    fn committed(&mut self, subject: &str) {
        let name = subject.split('.').nth(1).unwrap_or_default();
        self.pending.extend(Panel::ALL.into_iter().filter(|panel| panel.sources().contains(&name)));
    }

    fn all(&mut self) {
        self.pending.extend(Panel::ALL);
    }

    fn ready_at(&self, panel: Panel) -> Instant {
        let own = self.rendered.get(&panel).map_or(self.not_before, |last| *last + panel.cadence());
        own.max(self.not_before)
    }

    /// When the next pending panel may be rendered.
    fn due(&self) -> Instant {
        let soonest = self.pending.iter().map(|panel| self.ready_at(*panel)).min();
        soonest.unwrap_or_else(|| Instant::now() + TICK)
    }

    async fn run(&mut self) {
        let start = Instant::now();
        let due: BTreeSet<Panel> =
            self.pending.iter().copied().filter(|panel| self.ready_at(*panel) <= start).collect();
        if due.is_empty() {
            return;
        }
        let topics = self.app.hub.topics();
        let wanted = topics.iter().filter_map(|topic| Some((topic, Topic::parse(topic)?)));
        futures::stream::iter(wanted.filter(|(_, parsed)| due.contains(&parsed.panel)))
            .for_each_concurrent(AT_ONCE, async |(topic, parsed)| self.render(topic, &parsed).await)
            .await;
        for panel in due {
            self.pending.remove(&panel);
            self.rendered.insert(panel, start);
        }
        self.not_before = Instant::now() + start.elapsed() * REST;
    }

    async fn render(&self, topic: &str, parsed: &Topic) {
        let scope = Scope { app: &self.app, account: &parsed.account, version: 0, keys: FormKeys::default() };
        match overview::render(parsed.panel, &scope).await {
            Ok(html) => {
                let stated = |version: u64| html.replace("data-v=\"0\"", &format!("data-v=\"{version}\""));
                self.app.hub.publish(topic, parsed.panel.name(), &html, stated);
            }
            Err(error) => tracing::error!(%error, "panel {} not rendered: {error}", parsed.panel.name()),
        }
    }
}
