//! Bars and corporate actions from files, merged by time.
//!
//! The whole range is held in memory, 56 bytes a bar. Sessions are those of the files' market from that
//! of the first bar to that of the last one; an action takes effect at the opening of the first session on or
//! after its ex-date, and one outside the range is left out.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use chrono::NaiveDate;
use contracts::Subject;
use domain::bar::Bar;
use domain::calendar::{Calendar, Session};
use domain::series::{BarSeries, MarketData};

use super::assemble::{self, Parts};
use super::{Instant, Source};
use crate::event;
use crate::file::{self, Action, BarFile, FileError, KnownActions, Opened, ReadOptions, Rejected, Series};

const CHUNK_ROWS: usize = 4_096;

/// Dates to take, both included, in exchange time; open ends take everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First date.
    pub from: Option<NaiveDate>,
    /// Last date.
    pub to: Option<NaiveDate>,
}

impl Range {
    /// Whether a bar that closes at `close_ns` is among those to take. A close at midnight belongs to the date that
    /// ends there.
    pub(crate) fn holds_close(&self, calendar: &Calendar, close_ns: i64) -> bool {
        let date = calendar.date_of(close_ns.saturating_sub(1));
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
    }
}

/// Which files a recorded source plays.
#[derive(Clone, Debug)]
pub struct RecordedConfig {
    /// Name of the source, part of every event's id; the same for every tape.
    pub name: String,
    /// Files, each recognised by its content.
    pub files: Vec<PathBuf>,
    /// What the files do not say themselves.
    pub read: ReadOptions,
    /// Dates to take.
    pub range: Range,
}

impl RecordedConfig {
    /// Loads the files. Blocking.
    pub fn load(&self) -> Result<Loaded, FileError> {
        RecordedSource::load(&self.name, &self.files, &self.read, self.range)
    }
}

/// What loading gave.
#[derive(Debug)]
pub struct Loaded {
    /// The source, at its first instant.
    pub source: RecordedSource,
    /// Bars within the range.
    pub bars: u64,
    /// Rows read, bars or not.
    pub read: u64,
    /// Rows that are no bars or actions, each with its file; the others are played.
    pub rejected: Vec<Rejected>,
}

#[derive(Debug)]
struct Track {
    series: Series,
    subject: Subject,
    bars: Vec<Bar>,
    at: usize,
}

/// Recorded bars as a source.
#[derive(Debug)]
pub struct RecordedSource {
    name: String,
    calendar: &'static Calendar,
    tracks: Vec<Track>,
    sessions: &'static [Session],
    session_at: usize,
    opened: bool,
    actions: BTreeMap<i64, Vec<Action>>,
}

impl RecordedSource {
    /// Loads `files` (bars and actions, each recognised by its header). Blocking.
    pub fn load(
        name: &str,
        files: &[PathBuf],
        options: &ReadOptions,
        range: Range,
    ) -> Result<Loaded, FileError> {
        let mut loader = Loader {
            calendar: options.market.calendar(),
            range,
            tracks: HashMap::new(),
            actions: Vec::new(),
            known: KnownActions::default(),
            read: 0,
            rejected: Vec::new(),
        };
        for path in files {
            let name = path.display().to_string();
            match file::open(path, options)? {
                Opened::Bars(bars) => loader.bars(&name, *bars)?,
                Opened::Actions(actions) => {
                    let read = actions.read_after(&mut loader.known)?;
                    loader.read += read.read;
                    loader.reject(&name, read.rejected);
                    loader.actions.extend(read.actions);
                }
            }
        }
        Ok(loader.finish(name))
    }

    /// All of its bars and corporate actions as columns, wherever it stands.
    #[must_use]
    pub fn data(&self) -> MarketData {
        let name = self.name.as_str();
        let series = self.tracks.iter().map(|track| {
            let Series { symbol, timeframe } = &track.series;
            BarSeries::of(name, symbol, *timeframe, &track.bars)
        });
        // The reader has checked kind and value; a ratio that the domain does not take is no action.
        let actions = self.actions.iter().flat_map(|(ns, actions)| {
            actions.iter().filter_map(move |action| event::dated_action(name, action, *ns).ok())
        });
        MarketData { series: series.collect(), actions: actions.collect() }
    }

    fn next_ns(&self) -> Option<i64> {
        let session = self.sessions.get(self.session_at);
        let boundary = session.map(|session| if self.opened { session.close_ns } else { session.open_ns });
        let bars = self.tracks.iter().filter_map(|track| track.bars.get(track.at));
        bars.map(|bar| bar.close_ns).chain(boundary).min()
    }
}

impl Source for RecordedSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn subjects(&self) -> Vec<Subject> {
        let symbols = self.actions.values().flatten().map(|action| assemble::action_subject(&action.symbol));
        let mut subjects: Vec<Subject> = self.tracks.iter().map(|track| track.subject.clone()).collect();
        subjects.extend(symbols);
        subjects.push(assemble::session_subject(self.calendar.exchange()));
        subjects.sort();
        subjects.dedup();
        subjects
    }

    fn seek(&mut self, ns: i64) {
        for track in &mut self.tracks {
            track.at = track.bars.partition_point(|bar| bar.close_ns < ns);
        }
        self.session_at = self.sessions.partition_point(|session| session.close_ns < ns);
        self.opened = self.sessions.get(self.session_at).is_some_and(|session| session.open_ns < ns);
    }

    fn next(&mut self) -> Option<Instant> {
        let ns = self.next_ns()?;
        let session = self.sessions.get(self.session_at);
        let closed = session.filter(|session| self.opened && session.close_ns == ns);
        // Where the market never rests, one session opens as the one before it closes: one instant.
        let next = if closed.is_some() { self.sessions.get(self.session_at + 1) } else { session };
        let rests = closed.is_some() || !self.opened;
        let opened = next.filter(|session| rests && session.open_ns == ns);
        let none = Vec::new();
        let actions = opened.and_then(|_| self.actions.get(&ns)).unwrap_or(&none);
        let bars: Vec<(&Series, &Subject, Bar)> = self
            .tracks
            .iter()
            .filter_map(|track| Some((&track.series, &track.subject, *track.bars.get(track.at)?)))
            .filter(|(_, _, bar)| bar.close_ns == ns)
            .collect();
        let parts = Parts { ns, opened, actions, bars: &bars, closed };
        let instant = assemble::instant(&self.name, self.calendar.exchange(), &parts);
        if closed.is_some() {
            self.opened = false;
            self.session_at += 1;
        }
        self.opened |= opened.is_some();
        for track in &mut self.tracks {
            if track.bars.get(track.at).is_some_and(|bar| bar.close_ns == ns) {
                track.at += 1;
            }
        }
        Some(instant)
    }
}

struct Loader {
    calendar: &'static Calendar,
    range: Range,
    tracks: HashMap<Series, Vec<Bar>>,
    actions: Vec<Action>,
    known: KnownActions,
    read: u64,
    rejected: Vec<Rejected>,
}

impl Loader {
    /// Takes in one file. A bar that an earlier file holds with other values is rejected.
    fn bars(&mut self, name: &str, mut bars: BarFile) -> Result<(), FileError> {
        let mut series = Vec::new();
        let mut fresh: Vec<Vec<Bar>> = Vec::new();
        while let Some(chunk) = bars.chunk(CHUNK_ROWS)? {
            self.read += chunk.read;
            self.reject(name, chunk.rejected);
            fresh.resize_with(fresh.len() + chunk.series.len(), Vec::new);
            series.extend(chunk.series);
            for row in chunk.rows {
                if !self.range.holds_close(self.calendar, row.bar.close_ns) {
                    continue;
                }
                let known = series.get(row.series).and_then(|series| self.tracks.get(series));
                let same_close = known.and_then(|known| {
                    let at = known.binary_search_by_key(&row.bar.close_ns, |bar| bar.close_ns).ok()?;
                    known.get(at)
                });
                match same_close {
                    None => fresh[row.series].push(row.bar),
                    Some(known) if *known == row.bar => {}
                    Some(known) => {
                        let value = chrono::DateTime::from_timestamp_nanos(known.start_ns).to_rfc3339();
                        let reason = "an earlier file holds this bar with other values".to_owned();
                        let row = Rejected::new(row.line, "time", value, reason);
                        self.reject(name, vec![row]);
                    }
                }
            }
        }
        for (series, fresh) in series.into_iter().zip(fresh) {
            let track = self.tracks.entry(series).or_default();
            track.extend(fresh);
            track.sort_unstable_by_key(|bar| bar.close_ns);
        }
        Ok(())
    }

    fn reject(&mut self, name: &str, rejected: Vec<Rejected>) {
        let file = || Some(name.to_owned());
        self.rejected.extend(rejected.into_iter().map(|row| Rejected { file: file(), ..row }));
    }

    fn finish(self, name: &str) -> Loaded {
        let calendar = self.calendar;
        let closes = |bars: &Vec<Bar>| Some((bars.first()?.close_ns, bars.last()?.close_ns));
        let first = self.tracks.values().filter_map(closes).map(|(first, _)| first).min();
        let last = self.tracks.values().filter_map(closes).map(|(_, last)| last).max();
        // Every bar was placed in the calendar, so its dates are known.
        let between = |(first, last)| calendar.sessions_of_closes(first, last).unwrap_or_default();
        let sessions = first.zip(last).map(between).unwrap_or_default();
        let mut actions: BTreeMap<i64, Vec<Action>> = BTreeMap::new();
        for action in self.actions {
            if let Ok(ns) = event::action_time(calendar, action.ex_date) {
                actions.entry(ns).or_default().push(action);
            }
        }
        let (start, end) = (
            sessions.first().map_or(i64::MAX, |session| session.open_ns),
            sessions.last().map_or(i64::MIN, |session| session.open_ns),
        );
        actions.retain(|ns, _| start <= *ns && *ns <= end);
        for at_once in actions.values_mut() {
            at_once.sort_by(|a, b| event::action_order(a).cmp(&event::action_order(b)));
        }
        let mut tracks: Vec<Track> = self
            .tracks
            .into_iter()
            .filter(|(_, bars)| !bars.is_empty())
            .map(|(series, bars)| {
                let subject = Subject::bar(series.timeframe.name(), &series.symbol);
                Track { series, subject, bars, at: 0 }
            })
            .collect();
        tracks.sort_by(|a, b| a.series.cmp(&b.series));
        let bars = tracks.iter().map(|track| track.bars.len() as u64).sum();
        let source = RecordedSource {
            name: name.to_owned(),
            calendar,
            tracks,
            sessions,
            session_at: 0,
            opened: false,
            actions,
        };
        Loaded { source, bars, read: self.read, rejected: self.rejected }
    }
}
