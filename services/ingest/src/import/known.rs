//! What the tape already holds of the series concerned.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use contracts::stream::MARKET;
use contracts::v1::event::Body;
use contracts::v1::{self, ActionKind};
use contracts::{Subject, from_timestamp};
use domain::bar::Bar;
use event_log::{Delivery, LogError, Recorded, Tape};
use futures::future::try_join_all;
use tokio::time::error::Elapsed;

use super::patience::SILENCE_MAX;
use super::unapplied;
use crate::file::Series;
use crate::quality::ACTION_NOT_APPLIED;

/// Messages taken from a read at a time.
const READ_BATCH: usize = 4_096;
/// Lookups under way at the same time: hundreds of symbols in several timeframes have thousands of subjects.
const LOOKUPS_MAX: usize = 64;
/// Filters given to one read; beyond that the whole of MARKET is read once, which is faster.
const FILTERS_MAX: usize = 64;

/// A bar on the tape, in 16 bytes beside its close.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Hash of its values, the last revision's where there is one.
    pub(super) values: u64,
    /// Number of its revisions.
    pub(super) revisions: u32,
    /// Index of the source that wrote it, and of the one that told its values.
    source: u16,
    told: u16,
}

/// A finding: rule, timeframe, start of the bar in nanoseconds (0 for a whole series) and source. One about an action has
/// neither timeframe nor bar; its rule is followed by its words.
pub(super) type FindingKey = (String, String, i64, String);

/// Open, high, low and close of a bar.
pub(super) type Prices = [i64; 4];

/// A corporate action: symbol, ex-date and kind.
pub(super) type ActionKey = (String, String, ActionKind);

/// What an event changes in what is known.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// A bar of a close with the given values; its prices where it was read.
    Bar { close_ns: i64, values: u64, source: u16, prices: Option<Prices> },
    /// Other values of a bar.
    Revision { close_ns: i64, values: u64, source: u16, prices: Option<Prices> },
    /// A finding about a symbol.
    Finding { symbol: String, key: FindingKey },
    /// A corporate action with its value.
    Action { key: ActionKey, value_e9: i64 },
    /// Nothing that an import asks about.
    None,
}

/// A followed subject.
#[derive(Clone, Copy, Debug)]
struct Followed {
    last: u64,
    /// Index of the series, for bars and revisions.
    series: Option<usize>,
}

/// Everything of the followed subjects that matters to an import.
#[derive(Debug, Default)]
pub(super) struct Known {
    subjects: HashMap<String, Followed>,
    index: HashMap<Series, usize>,
    bars: Vec<BTreeMap<i64, Held>>,
    /// Prices of bars that were read. Those that an import wrote itself are held against nothing.
    prices: Vec<BTreeMap<i64, Prices>>,
    findings: HashMap<String, HashSet<FindingKey>>,
    /// Subjects of findings that are read from their beginning.
    read_whole: HashSet<String>,
    actions: HashMap<ActionKey, i64>,
    /// New shares for one, 1e-9, by symbol and ex-date: each bar after a pause asks for them.
    splits: HashMap<String, BTreeMap<String, i64>>,
    sources: Vec<String>,
    /// Sequence up to which nothing is read.
    floor: u64,
}

impl Known {
    /// Knows nothing of what stands up to `floor`.
    pub(super) fn after(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    /// Follows everything that an import of `series` touches; answers each one's index.
    pub(super) async fn follow(&mut self, tape: &Tape, series: &[Series]) -> Result<Vec<usize>, LogError> {
        let mut new = Vec::new();
        let mut indexes = Vec::with_capacity(series.len());
        for series in series {
            let index = self.index_of(series);
            indexes.push(index);
            let subjects = Subjects::of(series);
            self.add(&subjects.bar, Some(index), self.floor, &mut new);
            self.add(&subjects.revision, Some(index), self.floor, &mut new);
            self.add(&subjects.quality, None, self.floor, &mut new);
        }
        self.catch_up(tape, &new).await?;
        Ok(indexes)
    }

    /// Follows the findings about series alone; answers each one's index.
    pub(super) async fn follow_findings(
        &mut self,
        tape: &Tape,
        series: &[Series],
    ) -> Result<Vec<usize>, LogError> {
        let mut new = Vec::new();
        let mut indexes = Vec::with_capacity(series.len());
        for series in series {
            indexes.push(self.index_of(series));
            self.add(&Subjects::of(series).quality, None, self.floor, &mut new);
        }
        self.catch_up(tape, &new).await?;
        Ok(indexes)
    }

    fn index_of(&mut self, series: &Series) -> usize {
        let (bars, prices) = (&mut self.bars, &mut self.prices);
        *self.index.entry(series.clone()).or_insert_with(|| {
            bars.push(BTreeMap::new());
            prices.push(BTreeMap::new());
            bars.len() - 1
        })
    }

    /// Follows the corporate actions of symbols, which are few: all of them are read.
    pub(super) async fn follow_actions(&mut self, tape: &Tape, symbols: &[String]) -> Result<(), LogError> {
        let mut new = Vec::new();
        for symbol in symbols {
            self.add(&Subject::of(&["market", "action", symbol]), None, 0, &mut new);
        }
        self.catch_up(tape, &new).await
    }

    /// Follows the findings about symbols, those before the floor too: an action is told again for as long as it is of late.
    pub(super) async fn follow_quality(&mut self, tape: &Tape, symbols: &[String]) -> Result<(), LogError> {
        let mut new = Vec::new();
        for symbol in symbols {
            let subject = Subject::of(&["market", "quality", symbol]).as_str().to_owned();
            if self.read_whole.insert(subject.clone()) {
                self.subjects.insert(subject.clone(), Followed { last: 0, series: None });
                new.push(subject);
            }
        }
        self.catch_up(tape, &new).await
    }

    fn add(&mut self, subject: &Subject, series: Option<usize>, last: u64, new: &mut Vec<String>) {
        if !self.subjects.contains_key(subject.as_str()) {
            self.subjects.insert(subject.as_str().to_owned(), Followed { last, series });
            new.push(subject.as_str().to_owned());
        }
    }

    /// Reads what came under followed `subjects` since they were read last.
    pub(super) async fn catch_up(&mut self, tape: &Tape, subjects: &[String]) -> Result<(), LogError> {
        let mut behind = Vec::new();
        let (mut from, mut to) = (u64::MAX, 0);
        for chunk in subjects.chunks(LOOKUPS_MAX) {
            let mut lookups = Vec::with_capacity(chunk.len());
            for subject in chunk {
                lookups.push(tape.last_sequence(MARKET, subject));
            }
            for (subject, last) in chunk.iter().zip(try_join_all(lookups).await?) {
                let known = self.last(subject);
                if last > known {
                    from = from.min(known + 1);
                    to = to.max(last);
                    behind.push(subject.clone());
                } else if let Some(followed) = self.subjects.get_mut(subject) {
                    // Below the floor, where nothing is read; an append has to expect what is really last.
                    followed.last = last;
                }
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        let filters = if behind.len() > FILTERS_MAX { vec!["market.>".to_owned()] } else { behind };
        let mut reader = tape.read(MARKET, &filters, from).await?;
        let mut seen = 0;
        while seen < to {
            // These are known to be there, and a read waits for its server for ever.
            let read = tokio::time::timeout(SILENCE_MAX, reader.batch(READ_BATCH)).await;
            let silent = |elapsed: Elapsed| LogError::new("read what MARKET holds of the series", elapsed);
            for delivery in read.map_err(silent)?? {
                seen = delivery.sequence();
                match delivery {
                    Delivery::Event(recorded) => self.fold(&recorded),
                    Delivery::Undecodable { sequence, subject, error, .. } => {
                        tracing::warn!(sequence, subject, "MARKET {sequence} passed over: {error}");
                    }
                }
            }
        }
        Ok(())
    }

    fn fold(&mut self, recorded: &Recorded) {
        let event = &recorded.event;
        let close_ns = event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
        let effect = match &event.body {
            Some(Body::Bar(bar)) => {
                let (source, prices) = (self.source_index(&event.source), Some(prices(bar)));
                Effect::Bar { close_ns, values: hash(bar), source, prices }
            }
            Some(Body::BarRevision(v1::BarRevision { bar: Some(bar), .. })) => {
                let (source, prices) = (self.source_index(&event.source), Some(prices(bar)));
                Effect::Revision { close_ns, values: hash(bar), source, prices }
            }
            Some(Body::QualityFinding(finding)) if finding.rule == ACTION_NOT_APPLIED => Effect::Finding {
                symbol: finding.symbol.clone(),
                key: unapplied::key(&finding.detail, &event.source),
            },
            Some(Body::QualityFinding(finding)) => {
                let start_ns = finding.bar_start.as_ref().and_then(from_timestamp).unwrap_or_default();
                let (rule, timeframe) = (finding.rule.clone(), finding.timeframe.clone());
                let key = (rule, timeframe, start_ns, event.source.clone());
                Effect::Finding { symbol: finding.symbol.clone(), key }
            }
            Some(Body::CorporateAction(action)) => Effect::Action {
                key: (action.symbol.clone(), action.ex_date.clone(), action.kind()),
                value_e9: action.value_e9,
            },
            _ => Effect::None,
        };
        self.note(&recorded.subject, recorded.sequence, effect);
    }

    /// Takes in an event of a followed subject; one that was taken in before changes nothing.
    pub(super) fn note(&mut self, subject: &str, sequence: u64, effect: Effect) {
        let Some(followed) = self.subjects.get_mut(subject) else { return };
        if sequence <= followed.last {
            return;
        }
        followed.last = sequence;
        let series = followed.series.and_then(|at| Some((self.bars.get_mut(at)?, self.prices.get_mut(at)?)));
        match (effect, series) {
            (Effect::Bar { close_ns, values, source, prices }, Some((bars, known))) => {
                // Of two bars of one close the first gives its name, the last its values.
                bars.entry(close_ns)
                    .and_modify(|held| (held.values, held.told) = (values, source))
                    .or_insert(Held { values, revisions: 0, source, told: source });
                keep(known, close_ns, prices);
            }
            (Effect::Revision { close_ns, values, source, prices }, Some((bars, known))) => {
                if let Some(held) = bars.get_mut(&close_ns) {
                    (held.values, held.told) = (values, source);
                    held.revisions += 1;
                    keep(known, close_ns, prices);
                }
            }
            (Effect::Finding { symbol, key }, _) => {
                self.findings.entry(symbol).or_default().insert(key);
            }
            (Effect::Action { key, value_e9 }, _) => {
                let (symbol, ex_date, kind) = &key;
                if *kind == ActionKind::Split {
                    self.splits.entry(symbol.clone()).or_default().insert(ex_date.clone(), value_e9);
                }
                self.actions.insert(key, value_e9);
            }
            (Effect::Bar { .. } | Effect::Revision { .. }, None) | (Effect::None, _) => {}
        }
    }

    /// Forgets the bars that closed before `close_ns`.
    pub(super) fn forget_before(&mut self, close_ns: i64) {
        for bars in &mut self.bars {
            *bars = bars.split_off(&close_ns);
        }
        for prices in &mut self.prices {
            *prices = prices.split_off(&close_ns);
        }
    }

    /// Last sequence known under a followed subject.
    pub(super) fn last(&self, subject: &str) -> u64 {
        self.subjects.get(subject).map_or(0, |followed| followed.last)
    }

    /// The bar of a close, where the tape holds it.
    pub(super) fn bar(&self, series: usize, close_ns: i64) -> Option<Held> {
        self.bars.get(series)?.get(&close_ns).copied()
    }

    /// The closes from `from_ns` to `to_ns` of a series, both counted in.
    pub(super) fn closes(
        &self,
        series: usize,
        from_ns: i64,
        to_ns: i64,
    ) -> impl DoubleEndedIterator<Item = i64> {
        let bars = self.bars.get(series).filter(|_| from_ns <= to_ns);
        bars.into_iter().flat_map(move |bars| bars.range(from_ns..=to_ns).map(|(close_ns, _)| *close_ns))
    }

    /// How many bars of a series the tape holds.
    pub(super) fn count(&self, series: usize) -> usize {
        self.bars.get(series).map_or(0, BTreeMap::len)
    }

    /// The series that are followed, in no order.
    pub(super) fn series(&self) -> impl Iterator<Item = &Series> {
        self.index.keys()
    }

    /// Prices of the bar of a close, where it was read and not written.
    pub(super) fn prices(&self, series: usize, close_ns: i64) -> Option<Prices> {
        self.prices.get(series)?.get(&close_ns).copied()
    }

    /// Name of the source that wrote a bar.
    pub(super) fn source(&self, held: Held) -> &str {
        self.name(held.source)
    }

    /// Name of the source that told a bar's values.
    pub(super) fn told(&self, held: Held) -> &str {
        self.name(held.told)
    }

    fn name(&self, source: u16) -> &str {
        self.sources.get(usize::from(source)).map_or("", String::as_str)
    }

    /// How many new shares one share of a symbol became by the splits with an ex-date after the first of `dates` up to the
    /// second, which are asked for where the symbol was ever split.
    pub(super) fn split(&self, symbol: &str, dates: impl FnOnce() -> (NaiveDate, NaiveDate)) -> f64 {
        let Some(own) = self.splits.get(symbol) else { return 1.0 };
        let (after, until) = dates();
        let (after, until) = (after.to_string(), until.to_string());
        let within = own.iter().filter(|(ex_date, _)| **ex_date > after && **ex_date <= until);
        within.map(|(_, value_e9)| *value_e9 as f64 / 1e9).filter(|ratio| *ratio > 0.0).product()
    }

    /// The index under which a source is known from now on.
    pub(super) fn source_index(&mut self, source: &str) -> u16 {
        let index = self.sources.iter().position(|known| known == source).unwrap_or_else(|| {
            self.sources.push(source.to_owned());
            self.sources.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    /// Whether the tape holds a finding.
    pub(super) fn has_finding(&self, symbol: &str, key: &FindingKey) -> bool {
        self.findings.get(symbol).is_some_and(|findings| findings.contains(key))
    }

    /// The value of a corporate action, where the tape holds it.
    pub(super) fn action(&self, key: &ActionKey) -> Option<i64> {
        self.actions.get(key).copied()
    }
}

fn keep(known: &mut BTreeMap<i64, Prices>, close_ns: i64, prices: Option<Prices>) {
    match prices {
        Some(prices) => known.insert(close_ns, prices),
        None => known.remove(&close_ns),
    };
}

fn prices(bar: &v1::Bar) -> Prices {
    [bar.open_e9, bar.high_e9, bar.low_e9, bar.close_e9]
}

/// Hash of what makes a bar equal to another of its close: start, prices and volume.
pub(super) fn hash_values(bar: &Bar) -> u64 {
    let mut bytes = [0; 48];
    let values = [bar.start_ns, bar.open.0, bar.high.0, bar.low.0, bar.close.0, bar.volume.0];
    for (place, value) in bytes.chunks_exact_mut(8).zip(values) {
        place.copy_from_slice(&value.to_le_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn hash(bar: &v1::Bar) -> u64 {
    // The close does not count: it is what bars are compared by.
    Bar::from_wire(bar, 0).map_or(0, |bar| hash_values(&bar))
}

/// The subjects that an import of one series writes to.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    pub(super) bar: Subject,
    pub(super) revision: Subject,
    pub(super) quality: Subject,
}

impl Subjects {
    pub(super) fn of(series: &Series) -> Self {
        let (timeframe, symbol) = (series.timeframe.name(), series.symbol.as_str());
        Self {
            bar: Subject::bar(timeframe, symbol),
            revision: Subject::of(&["market", "revision", timeframe, symbol]),
            quality: Subject::of(&["market", "quality", symbol]),
        }
    }
}
