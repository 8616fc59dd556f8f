//! What is stopped: halts, kill switches, breakers; by whom and why.

use contracts::stream::TRADING;
use contracts::v1::{RiskTally, TradingHalted, TradingState};
use domain::book::{Book, Halt, kill_state};
use domain::risk::breaker;
use projections::queries;
use runtime::command::Stop;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::PageError;

/// Something that is stopped.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stopped {
    /// Account; empty for all.
    pub account: String,
    /// Strategy; empty for all.
    pub strategy: String,
    /// `halt`, `kill` or the breaker's name.
    pub by: String,
    /// `reduce_only` or `halted`.
    pub state: &'static str,
    /// Since when, UTC nanoseconds.
    pub since_ns: i64,
    /// Who stopped it; empty for a breaker, which trips by itself.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// A stop of the same scope that stays in force although less was asked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stays {
    /// `halted`: strategies send nothing.
    state: &'static str,
    /// Since when, UTC nanoseconds.
    since_ns: i64,
    /// Who stopped it.
    actor: String,
    /// Why.
    reason: String,
}

impl From<Halt> for Stays {
    fn from(halt: Halt) -> Self {
        let Halt { actor, reason, since_ns, state } = halt;
        Self { state: breaker::state_name(state), since_ns, actor, reason }
    }
}

/// What stays in force of exactly this scope although `asked` was said of it. That was done all the same, so that a tape
/// which does not answer fails nothing.
pub async fn outlasting(app: &App, stop: &Stop, asked: TradingState) -> Option<Halt> {
    let tape = &app.context.tape;
    projections::outlasting(tape, &stop.account, &stop.strategy, asked).await.ok().flatten()
}

/// The name of the strictest of `states`, for a badge; without any nothing is stopped.
pub fn strictest<'a>(states: impl IntoIterator<Item = &'a str>) -> &'static str {
    states.into_iter().fold("NORMAL", |worst, state| match (worst, state) {
        (_, "halted") | ("HALTED", _) => "HALTED",
        _ => "REDUCE-ONLY",
    })
}

/// Whether there is a stop that ends when this scope is resumed. Where the read model has not folded the last command yet,
/// the command is what counts.
pub async fn is_stopped(app: &App, stop: &Stop) -> Result<bool, PageError> {
    let last = app.context.tape.last_sequence(TRADING, "control.>").await?;
    // Nor does anybody wait for read models that do not answer.
    let Ok(book) = queries::load_book(&app.config.pool).await else { return Ok(true) };
    let of = (&stop.account, &stop.strategy);
    let ends = |row: &Stopped| row.ends_by_resume() && (&row.account, &row.strategy) == of;
    Ok(book.sequence() < last || stopped(&book).iter().any(ends))
}

/// Everything that is stopped: halts, kill switches, breakers.
#[must_use]
pub fn stopped(book: &Book) -> Vec<Stopped> {
    let mut rows = Vec::new();
    let all = book.halt().map(|halt| (String::new(), halt));
    let own = book.accounts().filter_map(|row| Some((row.account.clone(), row.halt.as_ref()?)));
    for (account, halt) in all.into_iter().chain(own) {
        rows.push(Stopped {
            account,
            strategy: String::new(),
            by: "halt".to_owned(),
            state: breaker::state_name(halt.state),
            since_ns: halt.since_ns,
            actor: halt.actor.clone(),
            reason: halt.reason.clone(),
        });
    }
    rows.extend(book.tallies().flat_map(of_tally));
    rows
}

/// What is stopped of one account, strategy or both.
#[must_use]
pub fn of_tally(tally: &RiskTally) -> Vec<Stopped> {
    let ns = |at: &Option<contracts::Timestamp>| at.as_ref().and_then(contracts::from_timestamp);
    let row = |by: &str, state, since_ns: Option<i64>, (actor, reason): (&str, &str)| Stopped {
        account: tally.account.clone(),
        strategy: tally.strategy.clone(),
        by: by.to_owned(),
        state: breaker::state_name(state),
        since_ns: since_ns.unwrap_or_default(),
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    };
    let mut rows = Vec::new();
    // The halt that a kill switch is has its line as the switch.
    let is_of_kill = tally.kill.as_ref().is_some_and(|kill| {
        let by_it = |halt: &TradingHalted| (&halt.actor, &halt.reason) == (&kill.actor, &kill.reason);
        tally.halted_since == tally.killed_at && tally.halt.as_ref().is_some_and(by_it)
    });
    if let Some(halt) = tally.halt.as_ref().filter(|_| !is_of_kill) {
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
    rows
}

impl Stopped {
    /// Whether it ends when its scope is resumed; a breaker is reset instead.
    pub fn ends_by_resume(&self) -> bool {
        matches!(self.by.as_str(), "halt" | "kill")
    }

    /// Who stopped it and why, in words.
    pub fn because(&self) -> String {
        match (self.actor.as_str(), self.reason.as_str()) {
            ("", reason) => reason.to_owned(),
            (actor, "") => format!("by {actor}"),
            (actor, reason) => format!("by {actor}: {reason}"),
        }
    }
}
