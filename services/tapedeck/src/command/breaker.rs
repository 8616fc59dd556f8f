//! `tapedeck breaker` and `tapedeck risk`: what is stopped and why, and what the monitor measured.

use std::fmt;
use std::time::Duration;

use contracts::stream;
use contracts::v1::{BreakerKind, RiskGroup, RiskMeasured, TradingState};
use domain::book::Book;
use domain::money::{Amount, Quantity};
use domain::risk::breaker;
use projections::queries;
use runtime::command::{self, Stop};
use serde::Serialize;
use sqlx::PgPool;
use tokio::time::Instant;

use super::control;
use crate::cli::{BreakerCommand, RiskOptions};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// How long the read model may take to fold what was commanded a moment ago.
const FOLD_WAIT: Duration = Duration::from_secs(2);
/// Time between two looks at it.
const LOOK: Duration = Duration::from_millis(50);

/// Does what is asked.
pub async fn run(session: &Session, asked: &BreakerCommand, output: Output) -> Result<(), Failure> {
    match asked {
        BreakerCommand::List => list(session, output).await,
        BreakerCommand::Reset { account, strategy, breaker: name, reason } => {
            let kind = match name.as_deref() {
                None => BreakerKind::Unspecified,
                Some(name) => breaker::of_name(name).ok_or_else(|| {
                    let known = breaker::KINDS.map(breaker::name).join(", ");
                    Failure::usage(format!("{name:?}: expected one of {known}"), "tapedeck breaker list")
                })?,
            };
            let stop = control::stop(session, account, strategy, reason).await?;
            command::reset_breaker(&session.tape, &control::caller(), &stop, kind).await?;
            let word = name.as_deref().unwrap_or("every breaker");
            if output.json {
                let document = serde_json::json!({
                    "account": account, "strategy": strategy, "breaker": word, "state": "reset"
                });
                return output.document(&document);
            }
            output.note(&format!("reset: {word} of {stop}"));
            Ok(())
        }
    }
}

/// Something that is stopped.
#[derive(Serialize)]
pub struct Stopped {
    #[serde(flatten)]
    stop: Stop,
    by: String,
    state: &'static str,
    since_ns: i64,
}

impl Stopped {
    /// Whether it ends when the scope of `stop` is resumed: breakers are reset instead.
    pub fn ends_with(&self, stop: &Stop) -> bool {
        matches!(self.by.as_str(), "halt" | "kill")
            && (&self.stop.account, &self.stop.strategy) == (&stop.account, &stop.strategy)
    }

    /// Whether it stops what is in the scope of `stop`, or a part of it.
    pub fn concerns(&self, stop: &Stop) -> bool {
        let meet = |one: &str, other: &str| one.is_empty() || other.is_empty() || one == other;
        meet(&self.stop.account, &stop.account) && meet(&self.stop.strategy, &stop.strategy)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stop, by, state, .. } = self;
        let why = if stop.reason.is_empty() { String::new() } else { format!(" ({})", stop.reason) };
        write!(formatter, "{by} of {stop}, {state}{why}")
    }
}

/// Everything that is stopped; `None` where the read model has not folded the last command.
pub async fn in_force(session: &Session) -> Result<Option<Vec<Stopped>>, Failure> {
    let last = session.tape.last_sequence(stream::TRADING, "control.>").await?;
    let pool = session.reader().await?;
    let book = folded(&pool, last).await;
    pool.close().await;
    Ok(book?.as_ref().map(stopped))
}

/// The book once it has folded the sequence `last`; `None` where that takes too long.
async fn folded(pool: &PgPool, last: u64) -> Result<Option<Book>, Failure> {
    let until = Instant::now() + FOLD_WAIT;
    loop {
        let book = load(pool).await?;
        if book.sequence() >= last {
            return Ok(Some(book));
        }
        if Instant::now() > until {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn load(pool: &PgPool) -> Result<Book, Failure> {
    queries::load_book(pool).await.map_err(|error| Failure::unreachable(error.to_string()))
}

fn stopped(book: &Book) -> Vec<Stopped> {
    let mut rows = Vec::new();
    let all = book.halt().map(|halt| (String::new(), halt));
    let own = book.accounts().filter_map(|row| Some((row.account.clone(), row.halt.as_ref()?)));
    for (account, halt) in all.into_iter().chain(own) {
        let reason = format!("{} {}", halt.actor, halt.reason).trim_end().to_owned();
        let (state, since_ns) = (breaker::state_name(halt.state), halt.since_ns);
        let stop = Stop { account, reason, ..Stop::default() };
        rows.push(Stopped { stop, by: "halt".to_owned(), state, since_ns });
    }
    for tally in book.tallies() {
        let (account, strategy) = (&tally.account, &tally.strategy);
        let ns = |at: &Option<contracts::Timestamp>| at.as_ref().and_then(contracts::from_timestamp);
        let row = |by: &str, state, since_ns: Option<i64>, reason: &str| Stopped {
            stop: Stop { account: account.clone(), strategy: strategy.clone(), reason: reason.to_owned() },
            by: by.to_owned(),
            state: breaker::state_name(state),
            since_ns: since_ns.unwrap_or_default(),
        };
        if let Some(halt) = &tally.halt {
            rows.push(row("halt", halt.state(), ns(&tally.halted_since), &halt.reason));
        }
        if let Some(kill) = &tally.kill {
            let state = if kill.flatten { TradingState::Halted } else { TradingState::ReduceOnly };
            rows.push(row("kill", state, ns(&tally.killed_at), &kill.reason));
        }
        for state in &tally.breakers {
            let name = breaker::name(state.kind());
            rows.push(row(name, state.state(), ns(&state.since), &state.reason));
        }
    }
    rows
}

async fn list(session: &Session, output: Output) -> Result<(), Failure> {
    let pool = session.reader().await?;
    let book = load(&pool).await;
    pool.close().await;
    let rows = stopped(&book?);
    if output.json {
        return output.document(&rows);
    }
    if rows.is_empty() {
        output.note("normal: nothing is stopped");
        return Ok(());
    }
    let all = |name: &str| if name.is_empty() { "all".to_owned() } else { name.to_owned() };
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let (by, state) = (row.by.clone(), row.state.to_owned());
            let Stop { account, strategy, reason } = &row.stop;
            vec![all(account), all(strategy), by, state, time(row.since_ns), reason.clone()]
        })
        .collect();
    output.table(&["ACCOUNT", "STRATEGY", "BY", "STATE", "SINCE", "REASON"], &cells);
    Ok(())
}

/// Shows the last measurements and the alerts in force.
pub async fn risk(session: &Session, options: &RiskOptions, output: Output) -> Result<(), Failure> {
    let account = options.account.as_deref();
    control::check_account(session, account.unwrap_or_default()).await?;
    let pool = session.reader().await?;
    let answers = tokio::try_join!(
        queries::risk_measures(&pool),
        queries::alerts(&pool, account, true, queries::LIMIT_MAX)
    );
    pool.close().await;
    let (measures, alerts) = answers.map_err(|error| Failure::unreachable(error.to_string()))?;
    let of = |row: &queries::MeasureRow| account.is_none_or(|account| row.measure.account == account);
    let measures: Vec<_> = measures.into_iter().filter(of).collect();
    if output.json {
        let measures: Vec<_> = measures.iter().map(|row| &row.measure).collect();
        return output.document(&serde_json::json!({ "measures": measures, "alerts": alerts }));
    }
    if measures.is_empty() {
        output.note("nothing was measured yet: the monitor measures with the marks of an account");
    }
    for row in &measures {
        show(&row.measure, row.event_time_ns, output);
    }
    if !alerts.is_empty() {
        let cells: Vec<Vec<String>> = alerts
            .iter()
            .map(|row| {
                let (account, kind) = (row.account.clone(), row.kind.clone());
                vec![time(row.event_time_ns), account, row.strategy.clone(), kind, row.detail.clone()]
            })
            .collect();
        output.table(&["SINCE", "ACCOUNT", "STRATEGY", "ALERT", "DETAIL"], &cells);
    }
    Ok(())
}

fn show(measure: &RiskMeasured, at_ns: i64, output: Output) {
    let money = |money: &Option<contracts::v1::Money>| Amount::from_wire(money.as_ref()).to_string();
    let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{share:.4}"));
    let pair = if measure.correlated_first.is_empty() {
        "–".to_owned()
    } else {
        format!("{} {}/{}", share(measure.correlation), measure.correlated_first, measure.correlated_second)
    };
    let row = vec![
        measure.account.clone(),
        money(&measure.equity),
        money(&measure.gross_exposure),
        money(&measure.net_exposure),
        Quantity(measure.drawdown_e9).to_string(),
        share(measure.value_at_risk),
        share(measure.expected_shortfall),
        pair,
        time(at_ns),
    ];
    output.table(
        &["ACCOUNT", "EQUITY", "GROSS", "NET", "DRAWDOWN", "VAR 95%", "CVAR 95%", "CORRELATION", "MEASURED"],
        &[row],
    );
    let lines = |kind: &'static str, groups: &[RiskGroup]| {
        let line = move |group: &RiskGroup| {
            let (gross, net) = (money(&group.gross_exposure), money(&group.net_exposure));
            vec![kind.to_owned(), group.name.clone(), gross, net, Quantity(group.share_e9).to_string()]
        };
        groups.iter().map(line).collect::<Vec<_>>()
    };
    let mut groups = lines("strategy", &measure.strategies);
    groups.extend(lines("sector", &measure.sectors));
    groups.extend(lines("symbol", &measure.symbols));
    if !groups.is_empty() {
        output.table(&["BY", "NAME", "GROSS", "NET", "SHARE"], &groups);
    }
}
