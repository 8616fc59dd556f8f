//! Segments as a history: mapped where a series lies in one piece, joined where it does not.

use std::collections::{BTreeMap, HashSet};

use contracts::v1;
use domain::bar::Timeframe;
use domain::corporate_action::CorporateAction;
use domain::series::{BarSeries, DatedAction, MarketData};

use super::collect::{Gathered, Rows, source_number, source_of};
use super::format::{ActionNote, Mapped};
use super::{SegmentError, Segments, directory};
use crate::action;
use crate::hash::{self, Digests};
use crate::loaded::{Loaded, Revisions, Selection};
use crate::parts;

impl Segments {
    /// Loads a selection of what the segments hold now. Blocking.
    ///
    /// Revisions are applied as the selection says. Where bars of a symbol and timeframe came from several sources, the
    /// series bears the source of its newest bar, and a note says so.
    pub fn load(&self, selection: &Selection) -> Result<Loaded, SegmentError> {
        let (chain, _) = directory::chain(directory::files(&self.dir)?);
        let segments = chain.iter().map(Mapped::open).collect::<Result<Vec<_>, _>>()?;
        let mut wanted: BTreeMap<(&str, Timeframe), Vec<(usize, usize)>> = BTreeMap::new();
        for (number, segment) in segments.iter().enumerate() {
            for (batch, note) in segment.content().batches.iter().enumerate() {
                let Ok(timeframe) = note.timeframe.parse() else { continue };
                let is_needed = !note.replaced || selection.revisions != Revisions::Latest;
                if is_needed && selection.holds(&note.symbol, timeframe) {
                    wanted.entry((&note.symbol, timeframe)).or_default().push((number, batch));
                }
            }
        }
        let closes = selection.range.closes(selection.market.calendar());
        let mut loaded = Loaded::default();
        let mut digests: Vec<Option<Digests>> = Vec::new();
        for ((symbol, timeframe), places) in wanted {
            let of = (symbol, timeframe, selection.revisions);
            let (whole, known) = series(&segments, of, &places, &mut loaded.notes)?;
            let at = whole.close_ns.values();
            let rows = at.partition_point(|close| *close < closes.start)
                ..at.partition_point(|close| *close < closes.end);
            if rows.is_empty() {
                continue;
            }
            digests.push(known.filter(|_| rows.len() == at.len()));
            loaded.bars += rows.len() as u64;
            loaded.data.series.push(parts::slice(&whole, rows));
        }
        let notes = segments.iter().flat_map(|segment| &segment.content().actions);
        loaded.data.actions = actions(notes, selection, &loaded.data);
        loaded.hash = data_hash(&loaded.data, digests);
        Ok(loaded)
    }
}

/// The hash of the data; what has been hashed to compare it is not hashed again.
fn data_hash(data: &MarketData, digests: Vec<Option<Digests>>) -> String {
    let missing: Vec<&BarSeries> =
        data.series.iter().zip(&digests).filter(|(_, known)| known.is_none()).map(|(one, _)| one).collect();
    let mut fresh = hash::digests(&missing).into_iter();
    let all: Vec<Digests> = digests.into_iter().filter_map(|known| known.or_else(|| fresh.next())).collect();
    hash::hash_of(data, &all)
}

/// One series; its digests where they are known. `places` are in the order of the tape.
fn series(
    segments: &[Mapped],
    (symbol, timeframe, revisions): (&str, Timeframe, Revisions),
    places: &[(usize, usize)],
    notes: &mut Vec<String>,
) -> Result<(BarSeries, Option<Digests>), SegmentError> {
    let is_bars =
        |(segment, batch): &(usize, usize)| segments[*segment].content().batches[*batch].source.is_some();
    if let [(segment, batch)] = places
        && is_bars(&(*segment, *batch))
    {
        let (series, digests) = segments[*segment].series(*batch)?;
        return Ok((series, Some(digests)));
    }
    let (mut gathered, mut sources) = (Gathered::new(symbol, timeframe, None), Vec::new());
    for (segment, batch) in places {
        let (series, _) = segments[*segment].series(*batch)?;
        let from = source_number(&mut sources, is_bars(&(*segment, *batch)).then_some(&*series.source));
        let known = segments[*segment].content().batches[*batch].known(series.close_ns.values());
        gathered.extend(hash::columns(&series).map(|column| column.values()), from, &known);
    }
    let Rows { parts, from, .. } = match revisions {
        Revisions::Latest => gathered.settle().0,
        Revisions::AsKnown { from_ns } => gathered.known_by(from_ns),
    };
    let newest = from.iter().rev().find_map(|number| source_of(&sources, *number)).unwrap_or_default();
    if sources.len() > 1 {
        notes.push(format!(
            "{symbol} {timeframe}: bars came from {}; their ids are made with the source of the newest, {newest}",
            sources.join(", ")
        ));
    }
    Ok((parts.into_series(newest, symbol, timeframe), None))
}

/// The actions of the selected symbols between the first and the last session of the bars, once each.
fn actions<'a>(
    notes: impl Iterator<Item = &'a ActionNote>,
    selection: &Selection,
    data: &MarketData,
) -> Vec<DatedAction> {
    let calendar = selection.market.calendar();
    let closes = |end: fn(&[i64]) -> Option<&i64>| {
        data.series.iter().filter_map(move |series| end(series.close_ns.values()).copied())
    };
    let Some((first, last)) = closes(<[i64]>::first).min().zip(closes(<[i64]>::last).max()) else {
        return Vec::new();
    };
    let sessions =
        calendar.sessions(calendar.date_of(first - 1), calendar.date_of(last - 1)).unwrap_or_default();
    let Some((start, end)) = sessions.first().zip(sessions.last()) else { return Vec::new() };
    let mut seen = HashSet::new();
    let mut wanted: Vec<&ActionNote> = notes
        .filter(|note| selection.symbols.is_empty() || selection.symbols.contains(&note.symbol))
        .filter(|note| (start.open_ns..=end.open_ns).contains(&note.event_ns))
        .filter(|note| seen.insert((&note.symbol, &note.ex_date, note.kind)))
        .collect();
    let kind = |note: &ActionNote| {
        action::kind_order(v1::ActionKind::try_from(note.kind).unwrap_or(v1::ActionKind::Unspecified))
    };
    wanted.sort_by(|a, b| {
        (a.event_ns, &a.symbol, kind(a), a.value_e9).cmp(&(b.event_ns, &b.symbol, kind(b), b.value_e9))
    });
    wanted.into_iter().filter_map(dated).collect()
}

fn dated(note: &ActionNote) -> Option<DatedAction> {
    let wire = v1::CorporateAction {
        symbol: note.symbol.clone(),
        ex_date: note.ex_date.clone(),
        kind: note.kind,
        value_e9: note.value_e9,
        ..v1::CorporateAction::default()
    };
    Some(DatedAction {
        symbol: note.symbol.as_str().into(),
        event_ns: note.event_ns,
        event_id: note.event_id.clone(),
        action: CorporateAction::from_wire(&wire).ok()?,
    })
}
