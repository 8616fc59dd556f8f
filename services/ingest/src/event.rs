//! Events of the market, as import and sources write them. Pure: equal arguments give equal events.

use contracts::v1::event::Body;
use contracts::v1::{BarRevision, Event, Instant, Origin, QualityFinding, SessionPhase, Severity};
use contracts::{Subject, bar_id, event_id, to_timestamp};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Session;
pub(crate) use history::action::{
    dated as dated_action, event as action, order as action_order, time as action_time,
};

use crate::file::Series;
use crate::quality::{ACTION_NOT_APPLIED, Found, Unapplied};

/// A bar as `source` knows it.
pub(crate) fn bar(source: &str, origin: Origin, series: &Series, bar: &Bar) -> Event {
    let id = bar_id(source, &series.symbol, series.timeframe.name(), bar.close_ns);
    let body = Body::Bar(bar.to_wire(&series.symbol, series.timeframe, origin));
    first_cause(source, id, bar.close_ns, body)
}

/// The event of a bar that was made of shorter ones, of the timeframe `of`, which are on the tape.
pub(crate) fn made_of(mut event: Event, of: Option<Timeframe>) -> Event {
    let bar = match &mut event.body {
        Some(Body::Bar(bar)) => Some(bar),
        Some(Body::BarRevision(revision)) => revision.bar.as_mut(),
        _ => None,
    };
    if let (Some(bar), Some(of)) = (bar, of) {
        of.name().clone_into(&mut bar.made_of);
    }
    event
}

/// A revision of the bar with the id `revises`; `number` counts the revisions of that bar from 1 and
/// `values` tells apart what two importers would write at the same time.
pub(crate) fn revision(
    source: &str,
    origin: Origin,
    series: &Series,
    bar: &Bar,
    revises: &str,
    number: u32,
    values: u64,
) -> Event {
    let id = event_id(revises, &format!("revision/{values:016x}"), number);
    let body = Body::BarRevision(BarRevision {
        bar: Some(bar.to_wire(&series.symbol, series.timeframe, origin)),
        revises: revises.to_owned(),
    });
    Event { causation_id: revises.to_owned(), ..first_cause(source, id, bar.close_ns, body) }
}

/// What `source` found wrong with a bar, or with a whole series when `bar` is `None`.
pub(crate) fn finding(
    source: &str,
    series: &Series,
    bar: Option<&Bar>,
    found: Found,
    severity: Severity,
    time_ns: i64,
) -> Event {
    let cause = match bar {
        Some(bar) => bar_id(source, &series.symbol, series.timeframe.name(), bar.close_ns),
        None => format!("{}/{}", series.symbol, series.timeframe),
    };
    let id = event_id(&cause, &format!("quality/{}", found.rule), 0);
    let body = Body::QualityFinding(QualityFinding {
        symbol: series.symbol.clone(),
        rule: found.rule.to_owned(),
        severity: severity.into(),
        timeframe: series.timeframe.name().to_owned(),
        bar_start: bar.map(|bar| to_timestamp(bar.start_ns)),
        detail: found.detail,
        found: found.found,
        expected: found.expected,
        authority: found.authority,
    });
    first_cause(source, id, time_ns, body)
}

/// What `source` told of a corporate action that changes nothing here.
pub(crate) fn unapplied(source: &str, told: &Unapplied, severity: Severity, time_ns: i64) -> Event {
    let id = event_id(&format!("{source}/{}", told.words), &format!("quality/{ACTION_NOT_APPLIED}"), 0);
    let body = Body::QualityFinding(QualityFinding {
        symbol: told.symbol.clone(),
        rule: ACTION_NOT_APPLIED.to_owned(),
        severity: severity.into(),
        detail: told.words.clone(),
        ..QualityFinding::default()
    });
    first_cause(source, id, time_ns, body)
}

/// A session's opening or closing.
pub(crate) fn session(source: &str, exchange: &str, session: &Session, phase: SessionPhase) -> Event {
    let (name, time_ns) = match phase {
        SessionPhase::Closed => ("closed", session.close_ns),
        SessionPhase::Opened | SessionPhase::Unspecified => ("opened", session.open_ns),
    };
    let id = event_id(&format!("session/{exchange}/{}/{name}", session.date), source, 0);
    first_cause(source, id, time_ns, Body::SessionChange(session.to_wire(exchange, phase)))
}

/// Numbers the events of one instant in their order.
pub(crate) fn number(events: &mut [(Subject, Event)]) {
    let size = u32::try_from(events.len()).unwrap_or(u32::MAX);
    for (position, (_, event)) in (0..size).zip(events) {
        event.instant = Some(Instant { position, size, ..Instant::default() });
    }
}

pub(crate) fn first_cause(source: &str, id: String, time_ns: i64, body: Body) -> Event {
    Event {
        correlation_id: id.clone(),
        id,
        event_time: Some(to_timestamp(time_ns)),
        source: source.to_owned(),
        schema_version: 1,
        body: Some(body),
        ..Event::default()
    }
}
