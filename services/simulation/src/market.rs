//! The market of a seed: generated bars with gaps, splits and dividends, all of it known before the run so that
//! any part of it can be given again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::NaiveDate;
use contracts::v1::event::Body;
use contracts::v1::{ActionKind, CorporateAction, Event, Instant as Frame, Origin, SessionPhase};
use contracts::{Subject, event_id, to_timestamp};
use domain::bar::Timeframe;
use ingest::source::{Instant, SimulatedConfig, SimulatedError, SimulatedSource, Source};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::fate::{Fate, Fault};

const E9: i64 = 1_000_000_000;

/// What a market is made of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its random numbers.
    pub seed: u64,
    /// Instants left out at the beginning.
    pub skip: usize,
    /// Instants at most.
    pub instants: usize,
    /// Instants at least.
    pub least: usize,
    /// Symbols.
    pub symbols: usize,
    /// Timeframe of the bars.
    pub timeframe: Timeframe,
    /// Whether additional splits and dividends happen.
    pub actions: bool,
    /// Whether the source's own splits happen.
    pub splits: bool,
}

/// Instants from memory.
#[derive(Clone, Debug)]
pub struct Market {
    instants: Arc<Vec<Instant>>,
    subjects: Vec<Subject>,
    at: usize,
    /// The market is over when this says so, and not before as many instants.
    enough: Arc<AtomicBool>,
    least: usize,
    /// Instants given so far by any copy: one that was begun is given again after a restart, whatever is enough.
    begun: Arc<AtomicUsize>,
}

impl Market {
    /// The market of a shape; `fate` says which bars are missing.
    pub fn generate(shape: &Shape, rng: &mut ChaCha8Rng, fate: &Fate) -> Result<Self, SimulatedError> {
        let from = NaiveDate::from_ymd_opt(2023, 1, 3).unwrap_or_default();
        let from = from + chrono::Duration::days(rng.random_range(0..500));
        let config = SimulatedConfig {
            name: "sim".to_owned(),
            seed: shape.seed,
            symbols: shape.symbols,
            timeframe: shape.timeframe,
            from,
        };
        let mut source = SimulatedSource::new(config)?;
        let subjects = source.subjects();
        let mut instants = Vec::with_capacity(shape.instants);
        let mut splits = BTreeMap::new();
        for _ in 0..shape.skip {
            source.next();
        }
        while instants.len() < shape.instants {
            let Some(mut instant) = source.next() else { break };
            let before = instant.events.len();
            if shape.actions {
                act(&mut instant, rng, &mut splits);
                restate(&mut instant, &splits);
            }
            if !shape.splits {
                unsplit(&mut instant, &mut splits);
            }
            instant.events.retain(|(subject, event)| {
                !matches!(event.body, Some(Body::Bar(_)))
                    || !fate.strikes(Fault::BarMissing, subject.as_str())
            });
            if instant.events.is_empty() {
                continue;
            }
            if instant.events.len() != before || shape.actions {
                number(&mut instant);
            }
            instants.push(instant);
        }
        Ok(Self::new(instants, subjects, shape.least))
    }

    /// The first instants of another source.
    pub fn of(source: &mut dyn Source, instants: usize) -> Self {
        let subjects = source.subjects();
        let instants = std::iter::from_fn(|| source.next()).take(instants).collect();
        Self::new(instants, subjects, usize::MAX)
    }

    fn new(instants: Vec<Instant>, subjects: Vec<Subject>, least: usize) -> Self {
        let (enough, begun) = Default::default();
        Self { instants: Arc::new(instants), subjects, at: 0, enough, least, begun }
    }

    /// Says whether it may be over.
    pub fn enough(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.enough)
    }

    /// Whether it is over at the instant of this number.
    pub fn is_over(&self, at: usize) -> bool {
        let least = self.least.max(self.begun.load(Ordering::Relaxed));
        at >= self.instants.len() || (at >= least && self.enough.load(Ordering::Relaxed))
    }

    /// Its instants.
    pub fn instants(&self) -> &[Instant] {
        &self.instants
    }
}

/// Adds a split or a dividend where a session opens.
fn act(instant: &mut Instant, rng: &mut ChaCha8Rng, splits: &mut BTreeMap<String, i64>) {
    let Some(place) = instant.events.iter().position(|(_, event)| match &event.body {
        Some(Body::SessionChange(change)) => change.phase() == SessionPhase::Opened,
        _ => false,
    }) else {
        return;
    };
    let symbols: Vec<_> = ingest::source::SYMBOLS.iter().take(3).map(|symbol| symbol.symbol).collect();
    for symbol in symbols {
        let taken =
            instant.events.iter().any(|(subject, _)| subject.as_str() == format!("market.action.{symbol}"));
        if taken || rng.random_range(0..100) >= 35 {
            continue;
        }
        let (kind, value_e9) = if rng.random_range(0..2) == 0 {
            splits.entry(symbol.to_owned()).and_modify(|ratio| *ratio *= 2).or_insert(2);
            (ActionKind::Split, 2_000_000_000)
        } else {
            (ActionKind::Dividend, rng.random_range(1..80) * 10_000_000)
        };
        let ex_date = chrono::DateTime::from_timestamp_nanos(instant.ns).format("%Y-%m-%d").to_string();
        let action = CorporateAction {
            symbol: symbol.to_owned(),
            kind: kind.into(),
            value_e9,
            ex_date,
            origin: Origin::Rehearsal.into(),
        };
        let id = event_id(&format!("{symbol}@{}", instant.ns), "sim/action", 0);
        let event = Event {
            correlation_id: id.clone(),
            id,
            event_time: Some(to_timestamp(instant.ns)),
            source: "sim".to_owned(),
            schema_version: 1,
            body: Some(Body::CorporateAction(action)),
            ..Event::default()
        };
        instant.events.insert(place + 1, (Subject::of(&["market", "action", symbol]), event));
    }
}

/// Takes the source's own splits out: the broker outside knows of none.
fn unsplit(instant: &mut Instant, ratios_e9: &mut BTreeMap<String, i64>) {
    instant.events.retain(|(_, event)| match &event.body {
        Some(Body::CorporateAction(action)) if action.kind() == ActionKind::Split => {
            let ratio = ratios_e9.entry(action.symbol.clone()).or_insert(E9);
            *ratio = scaled(*ratio, action.value_e9);
            false
        }
        _ => true,
    });
    for (_, event) in &mut instant.events {
        if let Some(Body::Bar(bar)) = &mut event.body
            && let Some(ratio_e9) = ratios_e9.get(&bar.symbol)
        {
            for price in [&mut bar.open_e9, &mut bar.high_e9, &mut bar.low_e9, &mut bar.close_e9] {
                *price = scaled(*price, *ratio_e9);
            }
        }
    }
}

fn scaled(value: i64, ratio_e9: i64) -> i64 {
    i64::try_from(i128::from(value) * i128::from(ratio_e9) / i128::from(E9)).unwrap_or(value)
}

/// Prices in the shares of the day.
fn restate(instant: &mut Instant, splits: &BTreeMap<String, i64>) {
    for (_, event) in &mut instant.events {
        if let Some(Body::Bar(bar)) = &mut event.body
            && let Some(ratio) = splits.get(&bar.symbol)
        {
            for price in [&mut bar.open_e9, &mut bar.high_e9, &mut bar.low_e9, &mut bar.close_e9] {
                *price /= ratio;
            }
        }
    }
}

fn number(instant: &mut Instant) {
    let size = u32::try_from(instant.events.len()).unwrap_or(u32::MAX);
    for (position, (_, event)) in (0..size).zip(&mut instant.events) {
        event.instant = Some(Frame { position, size, ..Frame::default() });
    }
}

impl Source for Market {
    fn name(&self) -> &str {
        "sim"
    }

    fn subjects(&self) -> Vec<Subject> {
        self.subjects.clone()
    }

    fn seek(&mut self, ns: i64) {
        self.at = self.instants.partition_point(|instant| instant.ns < ns);
    }

    fn next(&mut self) -> Option<Instant> {
        if self.is_over(self.at) {
            return None;
        }
        self.at += 1;
        self.begun.fetch_max(self.at, Ordering::Relaxed);
        self.instants.get(self.at - 1).cloned()
    }
}
