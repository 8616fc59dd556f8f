//! `tapedeck breaker` and `tapedeck risk`: what is stopped and why, and what the monitor measured.

use std::fmt;

use contracts::v1::{BreakerKind, Money, RiskGroup, RiskMeasured};
use contracts::{Subject, stream};
use domain::book::{Book, kill_state};
use domain::money::{Amount, Quantity};
use domain::risk::breaker;
use domain::risk::monitor::drawdown;
use projections::{book_from, queries};
use runtime::command::{self, Stop};
use serde::Serialize;
use sqlx::PgPool;

use super::control;
use crate::cli::{BreakerCommand, RiskOptions};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Does what is asked.
pub async fn run(session: &Session, asked: &BreakerCommand, output: Output) -> Result<(), Failure> {
    match asked {
        BreakerCommand::List => list(session, output).await,
        BreakerCommand::Reset { account, strategy, breaker: name, reason } => {
            let stop =
                control::stop(session, account, strategy.as_deref().unwrap_or_default(), reason).await?;
            reset(session, &stop, name.as_deref(), output).await
        }
    }
}

/// Ends a breaker; what has not tripped is left as it is, with what it measures.
async fn reset(session: &Session, stop: &Stop, name: Option<&str>, output: Output) -> Result<(), Failure> {
    let kind = match name {
        None => BreakerKind::Unspecified,
        Some(name) => breaker::of_name(name).ok_or_else(|| {
            let known = breaker::KINDS.map(breaker::name).join(", ");
            Failure::usage(format!("BREAKER {name:?}: expected one of {known}"), "tapedeck breaker list")
        })?,
    };
    let book = of_now(session, &stop.account).await?;
    // Where the read model does not know, the command is what counts.
    let has_tripped = book.as_ref().is_none_or(|book| book.has_tripped(&stop.account, &stop.strategy, kind));
    if has_tripped {
        command::reset_breaker(&session.tape, &control::caller(), stop, kind).await?;
    }
    let (word, state) = (name.unwrap_or("every breaker"), if has_tripped { "reset" } else { "not tripped" });
    if output.json {
        let (account, strategy) = (&stop.account, &stop.strategy);
        let document = serde_json::json!({
            "account": account, "strategy": strategy, "breaker": word, "state": state
        });
        return output.document(&document);
    }
    output.note(&format!("{state}: {word} of {stop}"));
    let ends = |row: &Stopped| has_tripped && row.ends_by_reset(stop, kind);
    let rows = book.as_ref().map(stopped).unwrap_or_default();
    for row in rows.iter().filter(|row| row.concerns(stop) && !ends(row)) {
        output.note(&format!("still in force: {row}"));
    }
    Ok(())
}

/// Something that is stopped.
#[derive(Serialize)]
pub struct Stopped {
    #[serde(flatten)]
    stop: Stop,
    /// `halt`, `kill` or the breaker's name.
    by: String,
    /// Who stopped it; empty for a breaker, which trips by itself.
    actor: String,
    state: &'static str,
    since_ns: i64,
}

impl Stopped {
    /// Whether it ends when the scope of `stop` is resumed: breakers are reset instead.
    pub fn ends_with(&self, stop: &Stop) -> bool {
        matches!(self.by.as_str(), "halt" | "kill")
            && (&self.stop.account, &self.stop.strategy) == (&stop.account, &stop.strategy)
    }

    /// What may still be sent, in the word of the options, which people read.
    fn word(&self) -> String {
        self.state.replace('_', "-")
    }

    /// Whether it is a breaker that a reset of this scope and kind ends.
    fn ends_by_reset(&self, stop: &Stop, kind: BreakerKind) -> bool {
        let of = (&self.stop.account, &self.stop.strategy);
        breaker::of_name(&self.by).is_some_and(|own| kind == BreakerKind::Unspecified || own == kind)
            && of == (&stop.account, &stop.strategy)
    }

    /// Whether it stops what is in the scope of `stop`, or a part of it.
    pub fn concerns(&self, stop: &Stop) -> bool {
        let meet = |one: &str, other: &str| one.is_empty() || other.is_empty() || one == other;
        meet(&self.stop.account, &stop.account) && meet(&self.stop.strategy, &stop.strategy)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stop, by, actor, .. } = self;
        let why = match (actor.as_str(), stop.reason.as_str()) {
            ("", "") => String::new(),
            ("", reason) => format!(" ({reason})"),
            (actor, "") => format!(" (by {actor})"),
            (actor, reason) => format!(" (by {actor}: {reason})"),
        };
        write!(formatter, "{by} of {stop}, {}{why}", self.word())
    }
}

/// Everything that is stopped; `None` where the read model has not folded the last command.
pub async fn in_force(session: &Session) -> Result<Option<Vec<Stopped>>, Failure> {
    let last = session.tape.last_sequence(stream::TRADING, "control.>").await?;
    Ok(folded(session, last).await?.as_ref().map(stopped))
}

/// The book once it knows of the last breakers of an account that tripped or were reset; `None` where it does not.
async fn of_now(session: &Session, account: &str) -> Result<Option<Book>, Failure> {
    let mut last = 0;
    for event in ["breaker_tripped", "breaker_reset"] {
        let subject = Subject::of(&["account", account, event]);
        last = last.max(session.tape.last_sequence(stream::TRADING, subject.as_str()).await?);
    }
    folded(session, last).await
}

/// The book once it has folded the sequence `last`; `None` where that takes too long.
async fn folded(session: &Session, last: u64) -> Result<Option<Book>, Failure> {
    let pool = session.reader().await?;
    let book = book_from(&pool, last).await;
    pool.close().await;
    book.map_err(|error| Failure::unreachable(error.to_string()))
}

async fn load(pool: &PgPool) -> Result<Book, Failure> {
    queries::load_book(pool).await.map_err(|error| Failure::unreachable(error.to_string()))
}

fn stopped(book: &Book) -> Vec<Stopped> {
    let mut rows = Vec::new();
    let all = book.halt().map(|halt| (String::new(), halt));
    let own = book.accounts().filter_map(|row| Some((row.account.clone(), row.halt.as_ref()?)));
    for (account, halt) in all.into_iter().chain(own) {
        let (state, since_ns) = (breaker::state_name(halt.state), halt.since_ns);
        let stop = Stop { account, reason: halt.reason.clone(), ..Stop::default() };
        rows.push(Stopped { stop, by: "halt".to_owned(), actor: halt.actor.clone(), state, since_ns });
    }
    for tally in book.tallies() {
        let (account, strategy) = (&tally.account, &tally.strategy);
        let ns = |at: &Option<contracts::Timestamp>| at.as_ref().and_then(contracts::from_timestamp);
        let row = |by: &str, state, since_ns: Option<i64>, (actor, reason): (&str, &str)| Stopped {
            stop: Stop { account: account.clone(), strategy: strategy.clone(), reason: reason.to_owned() },
            by: by.to_owned(),
            actor: actor.to_owned(),
            state: breaker::state_name(state),
            since_ns: since_ns.unwrap_or_default(),
        };
        if let Some(halt) = &tally.halt {
            let why = (halt.actor.as_str(), halt.reason.as_str());
            rows.push(row("halt", halt.state(), ns(&tally.halted_since), why));
        }
        if let Some(kill) = &tally.kill {
            let state = kill_state(kill.flatten);
            rows.push(row("kill", state, ns(&tally.killed_at), (kill.actor.as_str(), kill.reason.as_str())));
        }
        for state in &tally.breakers {
            let name = breaker::name(state.kind());
            rows.push(row(name, state.state(), ns(&state.since), ("", state.reason.as_str())));
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
    let cells: Vec<_> = rows.iter().map(cells).collect();
    output.table(&["ACCOUNT", "STRATEGY", "BY", "STATE", "SINCE", "ACTOR", "REASON"], &cells);
    Ok(())
}

/// A line of what is stopped.
fn cells(row: &Stopped) -> Vec<String> {
    let all = |name: &str| if name.is_empty() { "all".to_owned() } else { name.to_owned() };
    let actor = if row.actor.is_empty() { "–".to_owned() } else { row.actor.clone() };
    let Stop { account, strategy, reason } = &row.stop;
    vec![all(account), all(strategy), row.by.clone(), row.word(), time(row.since_ns), actor, reason.clone()]
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
        output.note("nothing was measured yet: the monitor measures with the marks of an account, and live upon its fills and every quarter of an hour");
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
    let pair = pair(measure.correlation, &measure.correlated_first, &measure.correlated_second);
    let row = vec![
        measure.account.clone(),
        money(measure.equity.as_ref()),
        money(measure.gross_exposure.as_ref()),
        money(measure.net_exposure.as_ref()),
        largest(measure.concentration_e9, &measure.concentrated),
        drawdown(measure).map_or("–".to_owned(), |fall| fall.to_string()),
        share(measure.value_at_risk),
        share(measure.expected_shortfall),
        pair,
        time(at_ns),
    ];
    let header = [
        "ACCOUNT",
        "EQUITY",
        "GROSS",
        "NET",
        "LARGEST",
        "DRAWDOWN",
        "VAR 95%",
        "CVAR 95%",
        "CORRELATION",
        "MEASURED",
    ];
    output.table(&header, &[row]);
    let kinds =
        [("strategy", &measure.strategies), ("sector", &measure.sectors), ("symbol", &measure.symbols)];
    let lines: Vec<Vec<String>> =
        kinds.into_iter().flat_map(|(by, groups)| groups.iter().map(move |group| line(by, group))).collect();
    if !lines.is_empty() {
        let header = [
            "BY",
            "NAME",
            "GROSS",
            "NET",
            "SHARE",
            "LARGEST",
            "P&L",
            "DRAWDOWN",
            "VAR 95%",
            "CVAR 95%",
            "CORRELATION",
        ];
        output.table(&header, &lines);
    }
}

/// A line of a strategy, a sector or a symbol; what is not measured of it is a dash.
fn line(by: &str, group: &RiskGroup) -> Vec<String> {
    vec![
        by.to_owned(),
        group.name.clone(),
        money(group.gross_exposure.as_ref()),
        money(group.net_exposure.as_ref()),
        Quantity(group.share_e9).to_string(),
        largest(group.concentration_e9, &group.concentrated),
        group.pnl.as_ref().map_or("–".to_owned(), |pnl| money(Some(pnl))),
        group.drawdown_e9.map_or("–".to_owned(), |fall| Quantity(fall).to_string()),
        share(group.value_at_risk),
        share(group.expected_shortfall),
        pair(group.correlation, &group.correlated_first, &group.correlated_second),
    ]
}

fn money(money: Option<&Money>) -> String {
    Amount::from_wire(money).to_string()
}

fn share(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{share:.4}"))
}

fn largest(share_e9: i64, symbol: &str) -> String {
    if symbol.is_empty() { "–".to_owned() } else { format!("{} {symbol}", Quantity(share_e9)) }
}

fn pair(correlation: Option<f64>, first: &str, second: &str) -> String {
    if first.is_empty() { "–".to_owned() } else { format!("{} {first}/{second}", share(correlation)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_the_word_of_the_options() {
        let stop = Stop { account: "paper".to_owned(), ..Stop::default() };
        let (by, actor, state) = ("halt".to_owned(), "ann".to_owned(), "reduce_only");
        let row = Stopped { stop, by, actor, state, since_ns: 0 };
        assert_eq!(row.to_string(), "halt of paper, reduce-only (by ann)");
        assert_eq!(cells(&row)[3], "reduce-only");
        assert_eq!(serde_json::to_value(&row).unwrap()["state"], "reduce_only", "programs read another");
    }

    #[test]
    fn a_line_of_a_strategy_says_all_that_was_measured_of_it() {
        let money = |units| Some(Money { units, nanos: 0 });
        let strategy = RiskGroup {
            name: "sma_cross".to_owned(),
            gross_exposure: money(9_000),
            net_exposure: money(-1_000),
            share_e9: 900_000_000,
            pnl: money(-250),
            peak_pnl: money(750),
            drawdown_e9: Some(10_000_000),
            value_at_risk: Some(0.0125),
            expected_shortfall: Some(0.02),
            bars: 100,
            correlation: Some(-0.25),
            correlated_first: "QQQ".to_owned(),
            correlated_second: "SPY".to_owned(),
            concentration_e9: 50_000_000,
            concentrated: "SPY".to_owned(),
            sector: String::new(),
        };
        assert_eq!(
            line("strategy", &strategy).join(" | "),
            "strategy | sma_cross | 9000 | -1000 | 0.9 | 0.05 SPY | -250 | 0.01 | 0.0125 | 0.0200 | -0.2500 QQQ/SPY"
        );
        let symbol = RiskGroup { name: "SPY".to_owned(), sector: "Funds".to_owned(), ..RiskGroup::default() };
        assert_eq!(line("symbol", &symbol).join(" "), "symbol SPY 0 0 0 – – – – – –");
    }
}
