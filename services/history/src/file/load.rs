//! Whole files as columns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::calendar::Calendar;
use domain::series::MarketData;

use super::{Action, BarFile, FileError, KnownActions, Opened, ReadOptions, Rejected, Series, fast};
use crate::action;
use crate::hash::data_hash;
use crate::loaded::{Loaded, Selection};
use crate::parts::Parts;

const CHUNK_ROWS: usize = 4_096;

/// Loads `files` (bars and corporate actions, each recognised by its header) as events of `source` would tell them.
///
/// The symbol of a file without a column for it is the option's, else the file's name up to its first dot.
/// Sessions and dates are those of `selection.market`; `options.market` gives way to it. Blocking.
pub fn load(
    source: &str,
    files: &[PathBuf],
    options: &ReadOptions,
    selection: &Selection,
) -> Result<Loaded, FileError> {
    let mut loader = Loader { selection: selection.clone(), ..Loader::default() };
    for path in files {
        let options = ReadOptions {
            symbol: options.symbol.clone().or_else(|| named(path)),
            market: selection.market,
            ..options.clone()
        };
        let label = (files.len() > 1).then(|| path.display().to_string());
        loader.file(path, label.as_deref(), &options)?;
    }
    Ok(loader.finish(source))
}

/// The symbol that a file's name up to its first dot is, if it can be one.
#[must_use]
pub fn named(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.split('.').next()?;
    contracts::read_symbol(stem).ok()
}

#[derive(Default)]
struct Loader {
    selection: Selection,
    series: BTreeMap<Series, Parts>,
    actions: Vec<Action>,
    known: KnownActions,
    loaded: Loaded,
}

impl Loader {
    fn file(&mut self, path: &Path, label: Option<&str>, options: &ReadOptions) -> Result<(), FileError> {
        if let Some((series, read)) = fast::read(path, options)? {
            self.loaded.read += read;
            for (series, parts) in series {
                self.take(label, series, parts, None);
            }
            return Ok(());
        }
        match super::open(path, options)? {
            Opened::Bars(bars) => self.rows(label, *bars),
            Opened::Actions(actions) => {
                self.loaded.files_of_actions.push(path.to_owned());
                let read = actions.read_after(&mut self.known)?;
                self.loaded.read += read.read;
                self.loaded.duplicates += read.duplicates;
                self.reject(label, read.rejected);
                self.actions.extend(read.actions);
                Ok(())
            }
        }
    }

    fn rows(&mut self, label: Option<&str>, mut bars: BarFile) -> Result<(), FileError> {
        let mut series: Vec<(Series, Parts, Vec<u64>)> = Vec::new();
        while let Some(chunk) = bars.chunk(CHUNK_ROWS)? {
            self.loaded.read += chunk.read;
            self.loaded.duplicates += chunk.duplicates;
            self.reject(label, chunk.rejected);
            series.extend(chunk.series.into_iter().map(|series| (series, Parts::default(), Vec::new())));
            for row in chunk.rows {
                let (_, parts, lines) = &mut series[row.series];
                parts.push(&row.bar);
                lines.push(row.line);
            }
        }
        for (series, parts, lines) in series {
            self.take(label, series, parts, Some(lines));
        }
        Ok(())
    }

    /// Takes in a series of one file. A bar that an earlier file holds with other values is rejected.
    fn take(&mut self, label: Option<&str>, series: Series, mut parts: Parts, lines: Option<Vec<u64>>) {
        if !self.selection.holds(&series.symbol, series.timeframe) {
            return;
        }
        let mut lines = lines;
        let closes = self.selection.range.closes(self.selection.market.calendar());
        let from = parts.closes().partition_point(|close| *close < closes.start);
        let to = parts.closes().partition_point(|close| *close < closes.end);
        if from > 0 || to < parts.len() {
            parts.columns.iter_mut().for_each(|column| {
                column.truncate(to);
                column.drain(..from.min(to));
            });
            lines = lines.map(|lines| lines.get(from..to).unwrap_or_default().to_vec());
        }
        let Some(known) = self.series.get_mut(&series) else {
            self.series.insert(series, parts);
            return;
        };
        if known.closes().last() < parts.closes().first() {
            known.extend(parts.slices());
            return;
        }
        let line =
            |row: usize| lines.as_ref().and_then(|lines| lines.get(row).copied()).unwrap_or(row as u64 + 1);
        let (merged, duplicates, rejected) = merge(known, &parts, line);
        *known = merged;
        self.loaded.duplicates += duplicates;
        self.reject(label, rejected);
    }

    fn reject(&mut self, label: Option<&str>, rejected: Vec<Rejected>) {
        let file = label.map(ToOwned::to_owned);
        self.loaded.rejected.extend(rejected.into_iter().map(|row| Rejected { file: file.clone(), ..row }));
    }

    fn finish(self, source: &str) -> Loaded {
        let calendar = self.selection.market.calendar();
        let series: Vec<(Series, Parts)> =
            self.series.into_iter().filter(|(_, parts)| parts.len() > 0).collect();
        let first = series.iter().filter_map(|(_, parts)| parts.closes().first().copied()).min();
        let last = series.iter().filter_map(|(_, parts)| parts.closes().last().copied()).max();
        let actions = first.zip(last).map(|(first, last)| {
            let wanted = |action: &Action| {
                self.selection.symbols.is_empty() || self.selection.symbols.contains(&action.symbol)
            };
            dated(source, self.actions.into_iter().filter(wanted).collect(), calendar, first, last)
        });
        let series = series
            .into_iter()
            .map(|(series, parts)| parts.into_series(source, &series.symbol, series.timeframe))
            .collect();
        let data = MarketData { series, actions: actions.unwrap_or_default() };
        let bars = data.series.iter().map(|series| series.len() as u64).sum();
        Loaded { hash: data_hash(&data), bars, data, ..self.loaded }
    }
}

/// Actions that take effect from the first bar's session to the last one's, in the order of their instants.
fn dated(
    source: &str,
    actions: Vec<Action>,
    calendar: &Calendar,
    first: i64,
    last: i64,
) -> Vec<domain::series::DatedAction> {
    // A close at midnight belongs to the date that ends there.
    let sessions =
        calendar.sessions(calendar.date_of(first - 1), calendar.date_of(last - 1)).unwrap_or_default();
    let Some((start, end)) = sessions.first().zip(sessions.last()) else { return Vec::new() };
    let mut timed: Vec<(i64, Action)> = actions
        .into_iter()
        .filter_map(|action| Some((action::time(calendar, action.ex_date).ok()?, action)))
        .filter(|(ns, _)| (start.open_ns..=end.open_ns).contains(ns))
        .collect();
    timed
        .sort_by(|(a_ns, a), (b_ns, b)| a_ns.cmp(b_ns).then_with(|| action::order(a).cmp(&action::order(b))));
    // The reader has checked kind and value; a ratio that the domain does not take is no action.
    timed.iter().filter_map(|(ns, action)| action::dated(source, action, *ns).ok()).collect()
}

/// Two series of the same symbol and timeframe as one.
fn merge(known: &Parts, more: &Parts, line: impl Fn(usize) -> u64) -> (Parts, u64, Vec<Rejected>) {
    let (mut merged, mut duplicates, mut rejected) = (Parts::default(), 0, Vec::new());
    merged.reserve(known.len() + more.len());
    let mut at = 0;
    for row in 0..more.len() {
        let bar = more.row(row);
        while known.closes().get(at).is_some_and(|close| *close < bar.close_ns) {
            merged.push(&known.row(at));
            at += 1;
        }
        if known.closes().get(at) != Some(&bar.close_ns) {
            merged.push(&bar);
        } else if known.row(at) == bar {
            duplicates += 1;
        } else {
            let value = chrono::DateTime::from_timestamp_nanos(bar.start_ns).to_rfc3339();
            let reason = "an earlier file holds this bar with other values".to_owned();
            rejected.push(Rejected::new(line(row), "time", value, reason));
        }
    }
    for row in at..known.len() {
        merged.push(&known.row(row));
    }
    (merged, duplicates, rejected)
}
