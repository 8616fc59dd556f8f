//! The state of a live source and what each thing that is told comes to.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, Origin, SessionPhase};
use contracts::{Subject, event_id, to_timestamp};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market};
use event_log::{Append, Expect};
use runtime::{Context, HealthState, clock, now_ns};
use tokio::time::Instant;

use super::catch_up::CatchUp;
use super::gauge::{Gauge, State};
use super::port::{DayActions, Heard, LiveMarket, Minute};
use super::rollup::{Long, Rollup};
use super::seed::{Seed, seed, since};
use super::service::{LiveConfig, LiveError, SERVICE};
use super::sessions::Sessions;
use super::stale::Stale;
use super::ticks::Ticks;
use crate::event;
use crate::file::{RowCheck, Series};
use crate::import::Quote;
use crate::import::stream::{Stream, Telling};
use crate::quality::Found;

/// Time between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Time between two looks for stale symbols.
const STALE_EVERY: Duration = Duration::from_secs(30);

/// How minutes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// The stream.
    Stream,
    /// Asked for because the stream was interrupted.
    Gap,
    /// Asked for to compare.
    Recheck,
}

/// Everything of a live source but its connection.
pub(super) struct Desk {
    pub(super) context: Context,
    pub(super) config: LiveConfig,
    pub(super) source: String,
    stream: Stream,
    pub(super) rollup: Rollup,
    sessions: Sessions,
    pub(super) stale: Stale,
    pub(super) gauge: Gauge,
    pub(super) catch_up: CatchUp,
    ticks: Ticks,
    /// The vendor's day so far, by symbol.
    pub(super) days: BTreeMap<String, Quote>,
    wanted: HashSet<String>,
    /// Open of the session whose minutes are known. Those before it are for history: what the tape has of them is
    /// forgotten, and a longer bar would be made of a part.
    kept_ns: i64,
    /// Minutes that the source said it corrected: what it told before is not believed again.
    corrected: HashSet<(String, i64)>,
    last_frame_ns: i64,
    report_at: Instant,
    stale_at: Instant,
    reports: u32,
}

impl Desk {
    /// Reads the tape.
    pub(super) async fn load(context: &Context, config: LiveConfig, source: &str) -> Result<Self, LiveError> {
        let now = now_ns();
        let since_ns = since(Calendar::xnys(), now)?;
        // Recorded times are the machine's, whatever clock is practised with.
        let recorded_ns = since_ns.saturating_sub(clock::offset_ns());
        let Seed { floor, minutes, sessions } =
            seed(&context.tape, &config.symbols, since_ns, recorded_ns).await?;
        let timeframes = std::iter::once(Timeframe::M1).chain(config.timeframes.iter().copied());
        let series = config.symbols.iter().flat_map(|symbol| {
            timeframes.clone().map(move |timeframe| Series { symbol: symbol.clone(), timeframe })
        });
        let (tape, standards) = (&context.tape, &config.standards);
        let stream = Stream::open(tape, source, Timeframe::M1, standards, series.collect(), floor).await?;
        let newest = |symbol: &String| {
            let newest = minutes.get(symbol).and_then(|minutes| minutes.last_key_value());
            newest.map_or(since_ns, |(_, minute)| minute.close_ns)
        };
        let from_ns = config.symbols.iter().map(newest).min().unwrap_or(since_ns);
        let mut desk = Self {
            rollup: Rollup::new(config.timeframes.clone()),
            stale: Stale::default(),
            gauge: Gauge::new(source, now),
            catch_up: CatchUp::new(from_ns, config.recheck),
            ticks: Ticks::new(context.tape.clone(), source, config.ticks_every),
            days: BTreeMap::new(),
            wanted: config.symbols.iter().cloned().collect(),
            kept_ns: since_ns,
            context: context.clone(),
            source: source.to_owned(),
            config,
            stream,
            sessions,
            corrected: HashSet::new(),
            last_frame_ns: 0,
            report_at: clock::now(),
            stale_at: clock::now(),
            reports: 0,
        };
        // Longer bars that ended and are not on the tape yet come with the minutes that are.
        let mut known = Vec::new();
        for (symbol, minutes) in minutes {
            for minute in minutes.into_values() {
                desk.stale.take(&symbol, minute.close_ns);
                desk.stream.prime(&symbol, Timeframe::M1, minute);
                known.extend(desk.rollup.take(&symbol, minute));
            }
        }
        desk.put_longer(known, now).await?;
        desk.say(State::Connecting, "");
        Ok(desk)
    }

    /// Takes what was told, in order; minutes in a row go to the tape together.
    pub(super) async fn hear(
        &mut self,
        heard: Vec<Heard>,
        market: &mut dyn LiveMarket,
    ) -> Result<(), LiveError> {
        let mut minutes = Vec::new();
        for heard in heard {
            // What stands beside the bars does not part those that came together.
            let Some(heard) = self.beside(heard) else { continue };
            if let Heard::Minute(minute) = heard {
                minutes.push(minute);
                continue;
            }
            self.minutes(std::mem::take(&mut minutes), Via::Stream).await?;
            match heard {
                Heard::Minute(_) | Heard::Day(_) | Heard::Quote(..) | Heard::Trade(..) => {}
                Heard::Amended(amended) => self.amended(&amended).await?,
                Heard::Live => {
                    self.gauge.connected();
                    self.say(State::CatchingUp, "");
                    self.report(market).await;
                    self.fill(market).await?;
                    self.report(market).await;
                }
                Heard::Status(status) => self.status(&status).await?,
                Heard::Unreadable(what) => {
                    tracing::warn!(source = self.source, "{}: {what}", self.source);
                    self.gauge.failed(what);
                }
                Heard::Lost { why, again_in } => {
                    self.catch_up.lost();
                    self.gauge.failed(why.clone());
                    let seconds = again_in.as_secs_f64();
                    self.say(State::Waiting, format!("{why}; again in {seconds:.1} s"));
                    self.report(market).await;
                }
                Heard::Refused(words) => {
                    self.catch_up.lost();
                    tracing::error!(
                        source = self.source,
                        "{words}; nothing is streamed until the next start"
                    );
                    self.gauge.failed(words.clone());
                    self.say(State::Refused, words);
                    self.report(market).await;
                }
            }
        }
        self.minutes(minutes, Via::Stream).await?;
        if self.gauge.state == State::Live {
            self.catch_up.covered(now_ns());
        }
        Ok(())
    }

    /// Takes what is no bar and no event of its own; gives back everything else.
    fn beside(&mut self, heard: Heard) -> Option<Heard> {
        match heard {
            Heard::Quote(quote, at_ns) => {
                self.gauge.quotes += quote.told;
                if self.wanted.contains(&quote.symbol) {
                    self.ticks.quote(quote, at_ns);
                }
            }
            Heard::Trade(trade, at_ns) => {
                self.gauge.trades += trade.told;
                if self.wanted.contains(&trade.symbol) {
                    self.ticks.trade(trade, at_ns);
                }
            }
            Heard::Day(Minute { symbol, quote, .. }) => {
                if self.wanted.contains(&symbol) {
                    self.days.insert(symbol, quote);
                }
            }
            other => return Some(other),
        }
        None
    }

    /// Does what the time asks for.
    pub(super) async fn tick(&mut self, market: &mut dyn LiveMarket) -> Result<(), LiveError> {
        let now = now_ns();
        self.ticks.tick().await;
        self.change_sessions(now).await?;
        // Before everything that was missed is there, a longer bar would be made of a part.
        if self.gauge.state == State::Live {
            let due = self.rollup.due(now.saturating_sub(nanos(self.config.grace)));
            self.put_longer(due, now).await?;
        }
        if self.gauge.state == State::Live || self.gauge.state == State::CatchingUp {
            self.fill_again(market).await?;
        }
        if clock::now() >= self.stale_at {
            self.stale_at = clock::now() + STALE_EVERY;
            self.find_stale(now).await?;
        }
        if clock::now() >= self.report_at {
            self.report(market).await;
        }
        Ok(())
    }

    /// What is streamed.
    pub(super) fn symbols(&self) -> &[String] {
        &self.config.symbols
    }

    /// Stores the day's splits and dividends, and that there are other actions.
    pub(super) async fn actions(&mut self, answer: Result<DayActions, String>) -> Result<(), LiveError> {
        match answer {
            Ok(DayActions { actions, unapplied }) => {
                for told in &unapplied {
                    tracing::warn!(source = self.source, symbol = told.symbol, "not applied: {}", told.words);
                }
                self.stream.unapplied(unapplied).await?;
                let stored = self.stream.actions(actions).await?;
                tracing::info!(source = self.source, stored, "{}: {stored} actions take effect", self.source);
            }
            Err(why) => {
                tracing::warn!(source = self.source, "{}: {why}", self.source);
                self.gauge.failed(why);
            }
        }
        Ok(())
    }

    /// Stores minutes and the longer bars that are known with them.
    pub(super) async fn minutes(&mut self, minutes: Vec<Minute>, from: Via) -> Result<u64, LiveError> {
        let now = now_ns();
        let mut tellings = Vec::with_capacity(minutes.len());
        let mut findings = Vec::new();
        let mut closes = Vec::new();
        let mut earlier = 0_u64;
        for minute in minutes {
            if from == Via::Stream {
                self.gauge.messages += 1;
            }
            let Some(telling) = self.check(&minute, now, &mut findings) else { continue };
            if telling.bar.start_ns < self.kept_ns {
                earlier += 1;
                continue;
            }
            let (symbol, bar) = (&telling.symbol, telling.bar);
            let key = (symbol.clone(), bar.start_ns);
            if minute.revised {
                self.corrected.insert(key);
            } else if from == Via::Stream && self.corrected.contains(&key) {
                continue;
            }
            let held = self.rollup.minute(symbol, bar.start_ns);
            let (held, differs) = (held.is_some(), held.is_some_and(|held| *held != bar));
            if from == Via::Recheck && !held {
                let detail = "not told by the stream, found in the vendor's history";
                let found = Found::new("missing_bar", detail);
                findings.extend(self.finding(symbol, Some(&bar), bar.close_ns, found));
            }
            if !held {
                closes.push(bar.close_ns);
                self.stale.take(symbol, bar.close_ns);
            } else if from == Via::Stream && !minute.revised && differs {
                let detail = "other values for a minute, without a word that they correct it";
                let found = Found::new("changed_without_update", detail);
                findings.extend(self.finding(symbol, Some(&bar), bar.close_ns, found));
            }
            let known = self.rollup.take(symbol, bar);
            tellings.push(telling);
            tellings.extend(known.into_iter().map(|long| self.longer(long, now)));
        }
        if earlier > 0 {
            let source = &self.source;
            tracing::info!(source, earlier, "{source}: {earlier} minutes of an earlier session left out");
        }
        // Who has read a bar has read what is wrong with it.
        self.find(findings).await?;
        let stored = self.put(&tellings).await?;
        if from == Via::Stream {
            let stored_ns = now_ns();
            closes.iter().for_each(|close_ns| self.gauge.lag(stored_ns - close_ns));
        }
        Ok(stored)
    }

    /// The minute as a bar of the session; `None` where it is none.
    fn check(&self, minute: &Minute, now: i64, findings: &mut Vec<Event>) -> Option<Telling> {
        let Minute { symbol, quote, .. } = minute;
        if !self.wanted.contains(symbol) {
            return None;
        }
        let end_ns = quote.start_ns.saturating_add(Timeframe::M1.nanos());
        // Outside of the session nothing is wanted; a date that the calendar does not know is refused below.
        if matches!(Calendar::xnys().overlapping(quote.start_ns, end_ns), Ok(None)) {
            return None;
        }
        let prices = [quote.open, quote.high, quote.low, quote.close];
        let latest_ns = now.saturating_add(self.config.standards.ahead_ns());
        let checked =
            RowCheck::new(Timeframe::M1, Market::Xnys).row(0, 0, quote.start_ns, prices, quote.volume);
        let (rule, detail) = match checked {
            Ok(Some(row)) if row.bar.close_ns <= latest_ns => {
                let (bar, after_early_close) = (row.bar, row.after_early_close);
                let (symbol, timeframe) = (symbol.clone(), Timeframe::M1);
                let origin = self.origin(bar.close_ns, now);
                return Some(Telling { symbol, timeframe, bar, origin, after_early_close });
            }
            Ok(_) => ("from_the_future", "a minute that has not ended by this machine's clock".to_owned()),
            Err(rejected) => {
                let wrong = format!("{} {:?}: {}", rejected.field, rejected.value, rejected.reason);
                ("inconsistent_bar", wrong)
            }
        };
        tracing::warn!(source = self.source, symbol, "{symbol}: {detail}");
        let bar = quote.bar(end_ns);
        findings.extend(self.finding(symbol, Some(&bar), end_ns.min(now), Found::new(rule, detail)));
        None
    }

    /// Whether a bar that comes now may cause trades.
    fn origin(&self, close_ns: i64, now: i64) -> Origin {
        let old = now.saturating_sub(close_ns) > nanos(self.config.fresh);
        if old { Origin::Backfill } else { Origin::Live }
    }

    fn longer(&self, (symbol, timeframe, bar): Long, now: i64) -> Telling {
        let origin = self.origin(bar.close_ns, now);
        Telling { symbol, timeframe, bar, origin, after_early_close: false }
    }

    async fn put_longer(&mut self, known: Vec<Long>, now: i64) -> Result<(), LiveError> {
        let tellings: Vec<_> = known.into_iter().map(|long| self.longer(long, now)).collect();
        self.put(&tellings).await.map(drop)
    }

    async fn put(&mut self, tellings: &[Telling]) -> Result<u64, LiveError> {
        if tellings.is_empty() {
            return Ok(0);
        }
        let outcome = self.stream.put(tellings).await?;
        self.gauge.stored(outcome);
        if outcome.withheld > 0 {
            let (source, withheld) = (&self.source, outcome.withheld);
            tracing::info!(source, withheld, "{source}: {withheld} bars left out: they are another source's");
        }
        Ok(outcome.bars + outcome.revisions)
    }

    pub(super) async fn append(&self, event: Event) -> Result<(), LiveError> {
        let Some(subject) = Subject::for_event(&event, None) else { return Ok(()) };
        let append = Append { subject, event, expect: Expect::Nothing };
        runtime::append(&self.context.tape, &self.context.shutdown, append).await?;
        Ok(())
    }

    async fn change_sessions(&mut self, now: i64) -> Result<(), LiveError> {
        let calendar = Calendar::xnys();
        for (session, phase) in self.sessions.due(calendar, now)? {
            if phase == SessionPhase::Closed {
                self.compare_days(&session).await?;
            }
            self.append(event::session(&self.source, calendar.exchange(), &session, phase)).await?;
            self.sessions.note(session.date, phase);
            if phase == SessionPhase::Opened {
                // Of the sessions before nothing is told any more.
                self.kept_ns = session.open_ns;
                self.rollup.forget_before(session.open_ns);
                self.stream.forget_before(session.open_ns);
                self.corrected.retain(|(_, start_ns)| *start_ns >= session.open_ns);
            }
        }
        Ok(())
    }

    /// Comes into a state, which health shows.
    pub(super) fn say(&mut self, state: State, detail: impl Into<String>) {
        if !self.gauge.enter(state, detail, now_ns()) {
            return;
        }
        let detail = self.gauge.detail();
        let words = match detail {
            "" => format!("{}: {}", self.source, state.name()),
            detail => format!("{}: {}: {detail}", self.source, state.name()),
        };
        tracing::info!(source = self.source, state = state.name(), "{words}");
        let health = match state {
            State::Live if detail.is_empty() => HealthState::Ready,
            State::Connecting | State::CatchingUp => HealthState::Starting,
            State::Live | State::Waiting | State::Refused => HealthState::Degraded,
        };
        let words = if health == HealthState::Ready { String::new() } else { words };
        self.context.health.set(SERVICE, health, words);
    }

    /// Tells the tape how the source is. A report that cannot be written is logged: the next one follows.
    async fn report(&mut self, market: &mut dyn LiveMarket) {
        self.report_at = clock::now() + REPORT_EVERY;
        self.last_frame_ns = self.last_frame_ns.max(market.last_frame_ns());
        let paused = market.paused_for().is_some();
        let mut report = self.gauge.report();
        report.ticks = self.ticks.stored();
        report.source.clone_from(&self.source);
        report.instance.clone_from(&self.config.instance);
        report.symbols.clone_from(&self.config.symbols);
        report.last_message = (self.last_frame_ns > 0).then(|| to_timestamp(self.last_frame_ns));
        (if paused { "open" } else { "closed" }).clone_into(&mut report.breaker);
        let cause = format!("{}/{}", self.config.instance, self.source);
        let id = event_id(&cause, "source/reported", self.reports);
        self.reports = self.reports.wrapping_add(1);
        let event = event::first_cause(&self.source, id, now_ns(), Body::SourceReported(report));
        let Some(subject) = Subject::for_event(&event, None) else { return };
        let append = Append { subject, event, expect: Expect::Nothing };
        if let Err(error) = self.context.tape.append(append).await {
            tracing::warn!(%error, "report of {} not written: {error}", self.source);
        }
    }
}

/// Nanoseconds of a span.
pub(super) fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
