//! `tapedeck status`: how the system is, on one screen.

use std::path::PathBuf;
use std::time::Duration;

use projections::queries::{self, AccountRow, BreakerRow, Counts, HaltRow, HeartbeatRow, OrderFilter};
use runtime::SILENT_AFTER_NS;
use serde::Serialize;

use crate::addresses::Addresses;
use crate::cli::Status;
use crate::command::ingest::{BREAKER_HEADER, breaker_cells};
use crate::command::projection::{Position, positions};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Orders that are named at most.
const SHOWN_MAX: u32 = 10;
/// Events by which a projection may be behind before it counts as degraded.
const LAG_MAX: u64 = 1_000;

/// Everything on the screen.
#[derive(Debug, Serialize)]
struct Screen {
    tape: String,
    kind: crate::home::TapeKind,
    dashboard: Option<String>,
    nats: String,
    /// The file that holds the same address with user and password, as `nats_url`, while the tape's servers run.
    nats_file: Option<PathBuf>,
    /// The latest mark's event time: how far the tape clock is.
    market_time: Option<String>,
    counts: Counts,
    accounts: Vec<AccountRow>,
    halts: Vec<HaltRow>,
    brokers: Vec<AtBroker>,
    services: Vec<HeartbeatRow>,
    /// Of whatever asks a source or a broker, where the services run.
    breakers: Vec<BreakerRow>,
    projections: Vec<Position>,
    /// What is wrong; empty when all is well.
    degraded: Vec<String>,
}

/// Through which broker an account is traded, as execution stated it.
#[derive(Debug, Serialize)]
struct AtBroker {
    account: String,
    broker: String,
    mode: &'static str,
    broker_account: String,
    /// Why it takes no orders there.
    blocked: Option<String>,
}

async fn brokers(session: &Session, accounts: &[AccountRow]) -> Result<Vec<AtBroker>, Failure> {
    let mut brokers = Vec::new();
    for account in accounts {
        let Some(attached) = runtime::command::attachment(&session.tape, &account.account).await? else {
            continue;
        };
        brokers.push(AtBroker {
            mode: attached.mode().name(),
            account: attached.account,
            broker: attached.broker,
            broker_account: attached.broker_account,
            blocked: Some(attached.blocked).filter(|why| !why.is_empty()),
        });
    }
    Ok(brokers)
}

/// Shows it once, or every second.
pub async fn run(session: &Session, options: &Status, output: Output) -> Result<(), Failure> {
    loop {
        let screen = look(session).await?;
        if options.watch && output.color {
            output.clear();
        }
        print(&screen, options.watch, output)?;
        if !options.watch {
            if screen.degraded.is_empty() {
                return Ok(());
            }
            return Err(Failure::other(format!("degraded: {}", screen.degraded.join("; "))));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = session.interrupted() => return Ok(()),
        }
    }
}

/// What services and projections suffer from, in words.
pub async fn problems(session: &Session) -> Result<Vec<String>, Failure> {
    let screen = look(session).await?;
    let parked = parked(&screen.counts);
    Ok(screen.degraded.into_iter().filter(|problem| Some(problem) != parked.as_ref()).collect())
}

/// Messages that nobody has handled or dismissed, and how that is done: until then something is left open.
fn parked(counts: &queries::Counts) -> Option<String> {
    (counts.parked > 0).then(|| {
        format!(
            "{} parked messages: `tapedeck parked list` names them, `tapedeck parked replay ID` and `tapedeck parked \
             dismiss ID --reason TEXT` end one",
            counts.parked
        )
    })
}

/// Orders of which nobody knows how they stand at their broker.
async fn unknown_orders(pool: &sqlx::PgPool) -> Result<Option<String>, Failure> {
    let filter = OrderFilter { status: Some("unknown".to_owned()), ..OrderFilter::default() };
    let page = queries::orders(pool, &filter, None, SHOWN_MAX).await;
    let page = page.map_err(|error| Failure::unreachable(error.to_string()))?;
    let named: Vec<String> =
        page.rows.iter().map(|order| format!("{} {} {}", order.order_id, order.side, order.symbol)).collect();
    Ok((!named.is_empty()).then(|| format!("orders without an answer of the broker: {}", named.join(", "))))
}

/// Whether the tape's services run, and since when as far as that is known, UTC nanoseconds.
#[derive(Clone, Copy, Debug)]
enum Running {
    No,
    Since(Option<i64>),
}

/// What is wrong with a service by its last heartbeat, where the tape's services run. One that ended is `stopped`, whether
/// or not the others run. After a start of everything the last heartbeat of each is one of the run before: it is
/// `starting` for as long as a heartbeat may be missed.
fn judge(beat: &mut HeartbeatRow, running: Running, now_ns: i64) -> Option<String> {
    let silent = now_ns - beat.beat_at_ns > SILENT_AFTER_NS;
    let Running::Since(since_ns) = running else { return ended(beat) };
    if silent && beat.state == "stopping" {
        return ended(beat);
    }
    if since_ns.is_some_and(|since| beat.beat_at_ns < since && now_ns - since <= SILENT_AFTER_NS) {
        "starting".clone_into(&mut beat.state);
        beat.detail.clear();
        return None;
    }
    if silent {
        return Some(format!("{} is silent since {}", beat.service, time(beat.beat_at_ns)));
    }
    (beat.state == "degraded").then(|| format!("{}: {}", beat.service, beat.detail))
}

/// The last word of whoever ended: how it was then says nothing about now.
fn ended(beat: &mut HeartbeatRow) -> Option<String> {
    "stopped".clone_into(&mut beat.state);
    beat.detail.clear();
    None
}

async fn look(session: &Session) -> Result<Screen, Failure> {
    let failed = |error: queries::QueryError| Failure::unreachable(error.to_string());
    let pool = session.reader().await?;
    let counts = queries::counts(&pool).await.map_err(failed)?;
    let accounts = queries::accounts(&pool).await.map_err(failed)?;
    let halts = queries::halts(&pool).await.map_err(failed)?;
    let brokers = brokers(session, &accounts).await?;
    let mut services = queries::heartbeats(&pool).await.map_err(failed)?;
    // Of each service the newest instance; older ones ended or were replaced.
    services.dedup_by(|next, kept| next.service == kept.service);
    let projections = positions(session).await?;
    let noted = Addresses::read(&session.dir).is_some() && !session.owns_servers();
    // Who uses servers of the user's own may run on another machine: heartbeats alone tell.
    let running = noted || session.external_servers;
    let since = match running {
        true => Running::Since(Addresses::written_ns(&session.dir).filter(|_| noted)),
        false => Running::No,
    };
    let mut degraded = Vec::new();
    let now_ns = runtime::now_ns();
    degraded.extend(services.iter_mut().filter_map(|beat| judge(beat, since, now_ns)));
    let mut breakers = queries::breakers(&pool).await.map_err(failed)?;
    breakers.retain(|row| running && now_ns - row.reported_at_ns <= SILENT_AFTER_NS);
    for position in &projections {
        if let Some(fault) = &position.fault {
            degraded.push(format!("projection {}: {fault}", position.name));
        } else if running && position.lag > LAG_MAX {
            degraded.push(format!("projection {} is {} behind", position.name, position.lag));
        }
    }
    degraded.extend(parked(&counts));
    let alerts = queries::alerts(&pool, None, true, queries::LIMIT_MAX).await.map_err(failed)?;
    let refused = alerts.into_iter().filter(|alert| running && alert.kind.starts_with(queries::CONNECTIONS));
    degraded.extend(refused.map(|alert| alert.detail));
    degraded.extend(unknown_orders(&pool).await?);
    Ok(Screen {
        tape: session.dir.name.clone(),
        kind: session.manifest.kind,
        dashboard: Addresses::read(&session.dir).and_then(|addresses| addresses.dashboard),
        nats: session.addresses.nats_url.redacted(),
        nats_file: noted.then(|| Addresses::file(&session.dir)),
        market_time: accounts.iter().filter_map(|account| account.marked_ns).max().map(time),
        counts,
        accounts,
        halts,
        brokers,
        services,
        breakers,
        projections,
        degraded,
    })
}

fn print(screen: &Screen, watching: bool, output: Output) -> Result<(), Failure> {
    if output.json {
        return if watching { output.record(screen) } else { output.document(screen) };
    }
    let dashboard = screen.dashboard.as_deref().unwrap_or("not running");
    let market_time = screen.market_time.as_deref().unwrap_or("–");
    output.line(&format!("tape {}  dashboard {dashboard}  market time {market_time}", screen.tape));
    let file = screen
        .nats_file
        .as_ref()
        .map(|file| format!("  (with user and password: nats_url in {})", file.display()));
    output.line(&format!("nats {}{}", screen.nats, file.unwrap_or_default()));
    let counts = &screen.counts;
    output.line(&format!(
        "bars {}  signals {}  approved {}  denied {}  orders {} ({} open)  fills {}  positions {}  parked {}",
        counts.bars,
        counts.signals,
        counts.approved,
        counts.denied,
        counts.orders,
        counts.open_orders,
        counts.fills,
        counts.positions,
        counts.parked
    ));
    let shown = |amount: &Option<domain::money::Amount>| {
        amount.map_or_else(|| "–".to_owned(), |amount| amount.to_string())
    };
    for account in &screen.accounts {
        output.line(&format!(
            "account {}  equity {}  day {}  cash {}  exposure {}",
            account.account,
            shown(&account.equity),
            shown(&account.day_pnl),
            account.cash,
            shown(&account.gross_exposure)
        ));
    }
    for broker in &screen.brokers {
        let AtBroker { account, broker, mode, broker_account, blocked } = broker;
        let line = format!("account {account}  at {broker} {broker_account}  {mode}");
        output.line(&if *mode == "live" { output.paint("31", &line) } else { line });
        if let Some(why) = blocked {
            output.line(&output.paint("31", &format!("✗ account {account} takes no orders: {why}")));
        }
    }
    for halt in &screen.halts {
        let scope = if halt.account.is_empty() { "all accounts" } else { halt.account.as_str() };
        let state = halt.state.replace('_', "-").to_uppercase();
        output.line(&output.paint("33", &format!("{state} {scope} by {}: {}", halt.actor, halt.reason)));
    }
    let services: Vec<Vec<String>> = screen
        .services
        .iter()
        .map(|beat| {
            vec![beat.service.clone(), beat.state.clone(), time(beat.beat_at_ns), beat.detail.clone()]
        })
        .collect();
    output.table(&["SERVICE", "STATE", "LAST HEARTBEAT", "DETAIL"], &services);
    if !screen.breakers.is_empty() {
        output.table(&BREAKER_HEADER, &screen.breakers.iter().map(breaker_cells).collect::<Vec<_>>());
    }
    let projections: Vec<Vec<String>> = screen
        .projections
        .iter()
        .map(|row| {
            vec![row.name.clone(), row.position.to_string(), row.head.to_string(), row.lag.to_string()]
        })
        .collect();
    output.table(&["PROJECTION", "POSITION", "HEAD", "LAG"], &projections);
    for problem in &screen.degraded {
        output.line(&output.paint("31", &format!("✗ {problem}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// State, detail and what is wrong, so long after a service's last heartbeat.
    fn judged(state: &str, running: bool, since_ns: i64) -> (String, String, Option<String>) {
        let running = if running { Running::Since(None) } else { Running::No };
        judged_while(state, running, since_ns)
    }

    /// The time of that heartbeat.
    const BEAT_NS: i64 = 1_767_727_800_000_000_000;

    fn judged_while(state: &str, running: Running, since_ns: i64) -> (String, String, Option<String>) {
        let mut beat = HeartbeatRow {
            service: "news".to_owned(),
            instance: "i1".to_owned(),
            program_version: "0.1.0".to_owned(),
            state: state.to_owned(),
            detail: "asking".to_owned(),
            started_at_ns: Some(0),
            beat_at_ns: BEAT_NS,
            sequence: 1,
        };
        let now_ns = beat.beat_at_ns + since_ns;
        let wrong = judge(&mut beat, running, now_ns);
        (beat.state, beat.detail, wrong)
    }

    fn all_is_well(state: &str, detail: &str) -> (String, String, Option<String>) {
        (state.to_owned(), detail.to_owned(), None)
    }

    #[test]
    fn a_service_that_was_turned_off_is_stopped_and_not_silent() {
        assert_eq!(judged("stopping", true, SILENT_AFTER_NS + 1), all_is_well("stopped", ""));
        // While it ends it says so itself.
        assert_eq!(judged("stopping", true, SILENT_AFTER_NS), all_is_well("stopping", "asking"));
    }

    #[test]
    fn a_service_that_went_without_a_word_is_silent() {
        for state in ["starting", "ready", "degraded"] {
            let (still, _, wrong) = judged(state, true, SILENT_AFTER_NS + 1);
            assert_eq!(still, state);
            assert_eq!(wrong, Some(format!("news is silent since {}", time(1_767_727_800_000_000_000))));
        }
        assert_eq!(judged("ready", true, SILENT_AFTER_NS), all_is_well("ready", "asking"));
        assert_eq!(judged("degraded", true, 0).2.as_deref(), Some("news: asking"));
    }

    #[test]
    fn after_a_start_of_everything_the_heartbeats_of_the_run_before_say_nothing() {
        let minute = 60_000_000_000;
        let started = Running::Since(Some(BEAT_NS + minute));
        for state in ["starting", "ready", "degraded"] {
            for after_ns in [0, SILENT_AFTER_NS] {
                let found = judged_while(state, started, minute + after_ns);
                assert_eq!(found, all_is_well("starting", ""), "{state}");
            }
            let (_, _, wrong) = judged_while(state, started, minute + SILENT_AFTER_NS + 1);
            assert!(wrong.is_some_and(|wrong| wrong.starts_with("news is silent since ")), "{state}");
        }
        // What was turned off before stays so, and a heartbeat of the present run counts.
        assert_eq!(judged_while("stopping", started, minute), all_is_well("stopped", ""));
        let running = Running::Since(Some(BEAT_NS - minute));
        assert_eq!(judged_while("degraded", running, 0).2.as_deref(), Some("news: asking"));
    }

    #[test]
    fn every_service_of_a_tape_that_does_not_run_is_stopped() {
        for state in ["starting", "ready", "degraded", "stopping"] {
            assert_eq!(judged(state, false, SILENT_AFTER_NS + 1), all_is_well("stopped", ""), "{state}");
            assert_eq!(judged(state, false, 0), all_is_well("stopped", ""), "{state}");
        }
    }
}
