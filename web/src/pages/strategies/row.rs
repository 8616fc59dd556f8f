//! What the list and the page of one strategy show of it alike.

use contracts::v1::PositionsFate;
use domain::book::Stopping;
use projections::StrategyReport;
use projections::queries::TrackRecord;

use crate::api::risk::{Stopped, strictest};
use crate::url::Url;
use crate::view::{Instant, Signed, count, percent, signed_money};

/// Subjects of a strategy shown in the list.
const SUBJECTS_SHOWN: usize = 2;
/// The mode in which signals become no orders.
const SHADOW: &str = "shadow";

/// The last signal, and the chain of events that it belongs to.
#[derive(Clone, Debug)]
pub struct LastSignal {
    /// In words.
    pub text: String,
    /// Event time.
    pub time: Instant,
    /// The chain from the bar on.
    pub chain: String,
}

/// One strategy in short.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub url: String,
    pub kind: String,
    pub account: String,
    /// `removed`, `disabled`, `shadow`, `paper` or `live`.
    pub state: String,
    pub badge: &'static str,
    pub signals: String,
    /// `12 orders · 11 fills`, and ` · 3 denied` where some are.
    pub made: String,
    pub last: Option<LastSignal>,
    pub hit_rate: String,
    /// `5 of 8 round trips`
    pub trips: String,
    pub realized: Signed,
    pub unrealized: Signed,
    pub net: Signed,
    /// Messages that its consumer was not given yet, or a dash.
    pub pending: String,
    pub ack_pending: String,
    /// Its parameters in short: `fast = 10, slow = 30`.
    pub parameters: String,
    /// The first of the subjects that it reads, and how many there are more.
    pub reads: Vec<String>,
    pub reads_more: usize,
    /// The durable consumer that gives it what it reads.
    pub consumer: String,
    pub registered: bool,
    /// Whether it is registered and enabled.
    pub running: bool,
    pub enable_url: String,
    pub disable_url: String,
    /// Positions that are not flat.
    pub holds: u64,
    /// Whether shadow mode is a question: it may hold something, and would not manage it any more.
    pub asks_shadow: bool,
    /// Whether it can be enabled in mode live, once its account is confirmed.
    pub asks_live: bool,
    /// Whether its account is confirmed for trading with money.
    pub confirmed: bool,
    /// Whether it was removed and something is still in its name.
    pub left_behind: bool,
    /// `REDUCE-ONLY` or `HALTED` where a stop of its own is in force: a halt, a kill switch or a breaker.
    pub in_force: Option<&'static str>,
    /// What was said of its positions when it was stopped, and what came of it.
    pub stopped: Option<String>,
    pub seq: u64,
}

fn made(record: &TrackRecord) -> String {
    let denied = match record.denied {
        0 => String::new(),
        denied => format!(" · {} denied", count(denied)),
    };
    format!("{} orders · {} fills{denied}", count(record.orders), count(record.fills))
}

impl Row {
    /// A report in short, with the strategy's own stops in force, and whether its account is `confirmed` for trading with
    /// money.
    pub fn of(report: &StrategyReport, stops: &[Stopped], confirmed: bool) -> Self {
        let (row, record) = (&report.row, &report.record);
        let name = row.strategy.as_str();
        let lag = report.subscription.lag;
        let shown = |number: Option<u64>| number.map_or_else(|| "–".to_owned(), count);
        let running = row.enabled && row.registered;
        let subjects = &report.subscription.subjects;
        Self {
            name: name.to_owned(),
            url: Url::Strategy(name).to_string(),
            kind: if row.is_external() { "external".to_owned() } else { row.kind.clone() },
            account: row.account.clone(),
            state: report.state.clone(),
            badge: badge(&report.state),
            signals: count(row.signals),
            made: made(record),
            last: last_signal(report),
            hit_rate: percent(record.hit_rate),
            trips: trips(record.round_trips_won, record.round_trips),
            realized: signed_money(row.realized_pnl),
            unrealized: signed_money(row.unrealized_pnl),
            net: signed_money(row.net_pnl),
            pending: shown(lag.map(|lag| lag.pending)),
            ack_pending: shown(lag.map(|lag| lag.ack_pending)),
            parameters: parameters(report),
            reads: subjects.iter().take(SUBJECTS_SHOWN).cloned().collect(),
            reads_more: subjects.len().saturating_sub(SUBJECTS_SHOWN),
            consumer: report.subscription.consumer.clone(),
            registered: row.registered,
            running,
            enable_url: Url::StrategyEnable(name).to_string(),
            disable_url: Url::StrategyDisable(name).to_string(),
            holds: row.open_positions,
            asks_shadow: row.registered
                && report.state != SHADOW
                && (running || row.open_positions > 0 || record.orders > 0),
            asks_live: row.registered && report.state != "live",
            confirmed,
            left_behind: !row.registered && row.open_positions > 0,
            in_force: (!stops.is_empty()).then(|| strictest(stops.iter().map(|stop| stop.state))),
            stopped: row.stopping.as_ref().map(|stopping| stopped(stopping, row.registered)),
            seq: row.sequence,
        }
    }

    /// The modes that it can be switched to by one press.
    pub fn modes(&self) -> impl Iterator<Item = &'static str> {
        ["paper", SHADOW]
            .into_iter()
            .filter(|mode| *mode != self.state && !(*mode == SHADOW && self.asks_shadow))
    }
}

/// What the list says of a strategy's parameters.
fn parameters(report: &StrategyReport) -> String {
    if report.row.is_external() {
        return "keeps its own parameters".to_owned();
    }
    let stated = report.settings.iter().map(|setting| format!("{} = {}", setting.name, setting.value));
    let stated: Vec<String> = stated.collect();
    if stated.is_empty() { "no parameters".to_owned() } else { stated.join(", ") }
}

/// What becomes of the positions of a strategy that was stopped, in words.
fn stopped(stopping: &Stopping, is_registered: bool) -> String {
    let how = if is_registered { "stopped" } else { "removed" };
    let what = match stopping.positions() {
        PositionsFate::Keep if !is_registered => "removed; what it held stays in its name".to_owned(),
        PositionsFate::Keep => "stopped; it goes on to manage its positions".to_owned(),
        PositionsFate::Flatten => format!("{how}; its positions are to be closed"),
        PositionsFate::HandOver => format!("{how}; its positions go to {}", stopping.hand_over_to),
        PositionsFate::Unspecified => how.to_owned(),
    };
    match (stopping.done, stopping.open.is_empty(), stopping.positions()) {
        (_, _, PositionsFate::Keep | PositionsFate::Unspecified) => what,
        (true, true, _) => format!("{what}: done"),
        (true, false, _) => format!("{what}: {}", stopping.open),
        (false, ..) => format!("{what}: under way"),
    }
}

fn badge(state: &str) -> &'static str {
    match state {
        "paper" | "live" => "badge-gain",
        "shadow" => "badge-accent",
        _ => "badge-flat",
    }
}

fn trips(won: u64, closed: u64) -> String {
    if closed == 0 {
        return "no round trip ended".to_owned();
    }
    format!("{} of {} round trips", count(won), count(closed))
}

fn last_signal(report: &StrategyReport) -> Option<LastSignal> {
    let row = &report.row;
    let (id, sequence) = (row.last_signal_id.as_deref()?, row.last_signal_sequence?);
    Some(LastSignal {
        text: row.last_signal.clone(),
        time: Instant(row.last_signal_ns?),
        chain: Url::ChainAt(id, contracts::stream::TRADING, sequence).to_string(),
    })
}
