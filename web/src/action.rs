//! Commands from pages. Each becomes an event with its audit, or changes nothing.
//!
//! A form carries the visitor's token and an idempotency key: asked twice with one key, a command has
//! one effect. The word for the kill switch is checked here, whatever the page did.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Redirect, Response};
use contracts::v1::{PositionsFate, StrategyMode, TradingState};
use domain::book::InName;
use event_log::AppendError;
use projections::{InNameError, left_behind};
use runtime::command::{self, Caller, Leaving, Stop};

use crate::api::risk::{check_stop, is_stopped, outlasting};
use crate::app::App;
use crate::error::PageError;

const HALT_WORD: &str = "HALT";
const RESUME_WORD: &str = "RESUME";

/// Fields of a form that commands.
#[derive(Debug, Default, serde::Deserialize)]
pub struct CommandForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    word: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    back: String,
    /// Of a strategy that is stopped: what becomes of its positions, and who takes them over.
    #[serde(default)]
    positions: String,
    #[serde(default)]
    hand_over_to: String,
    #[serde(default)]
    of: String,
    #[serde(default)]
    flatten: String,
    #[serde(default)]
    breaker: String,
    /// Of a halt that is ended or begins, and of a breaker: what it is of; empty for all.
    #[serde(default)]
    account: String,
    #[serde(default)]
    strategy: String,
    /// Of a halt: `reduce_only`, also when empty, or `halted`.
    #[serde(default)]
    state: String,
}

impl CommandForm {
    /// The reason as it was given, without spaces around it.
    pub fn stated_reason(&self) -> &str {
        self.reason.trim()
    }

    /// What a kill switch is of: `all`, `account:NAME` or `strategy:NAME`.
    pub fn of(&self) -> &str {
        &self.of
    }

    /// Whether positions are to be closed, too.
    pub fn flattens(&self) -> bool {
        !self.flatten.is_empty()
    }

    /// The breaker and the strategy that a reset names.
    pub fn breaker(&self) -> (&str, &str) {
        (&self.breaker, &self.strategy)
    }

    /// The page that a form without a script leads back to; `otherwise` where it names none.
    pub fn back_or(&self, otherwise: &'static str) -> &'static str {
        ["/strategies", "/positions"].into_iter().find(|known| *known == self.back).unwrap_or(otherwise)
    }

    /// What becomes of the positions of a strategy that goes, and who takes them over.
    pub fn fate(&self) -> (&str, &str) {
        (&self.positions, &self.hand_over_to)
    }

    /// The reason given, for the audit.
    pub fn reason(&self) -> &str {
        if self.reason.trim().is_empty() { "from the dashboard" } else { self.reason.trim() }
    }
}

/// `POST /trading/halt`: stops new exposure on all accounts, or of the account and the strategy that the form names.
pub async fn halt(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    expect_word(&form, HALT_WORD)?;
    let (state, is) = match form.state.as_str() {
        "" | "reduce_only" => (TradingState::Unspecified, "is reduce-only: no new exposure"),
        "halted" => (TradingState::Halted, "is halted: strategies send nothing"),
        other => return Err(field("state", other, "reduce_only or halted")),
    };
    let (caller, stop) = of(&app, caller, &form, "kill switch").await?;
    command::halt_scope(&app.context.tape, &caller, &stop, state).await.map_err(appended)?;
    let is = outlasting(&app, &stop, state).await.map_or_else(|| is.to_owned(), |halt| halt.stays());
    Ok(done(&headers, &format!("{} {is}.", in_words(&stop)), form.back_or("/")))
}

/// `POST /trading/resume`: ends the halt and the kill switch of all accounts, or of what the form names.
pub async fn resume(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    expect_word(&form, RESUME_WORD)?;
    let (caller, stop) = of(&app, caller, &form, "kill switch released").await?;
    let is = resume_stopped(&app, &caller, &stop).await?;
    Ok(done(&headers, &format!("{} {is}.", in_words(&stop)), form.back_or("/")))
}

/// Ends the halt and the kill switch of a scope; what came of it, as an answer says it.
pub async fn resume_stopped(app: &App, caller: &Caller, stop: &Stop) -> Result<&'static str, PageError> {
    let is = if is_stopped(app, stop).await? { "is resumed" } else { "was not stopped" };
    command::resume_scope(&app.context.tape, caller, stop).await.map_err(appended)?;
    Ok(is)
}

/// What a form that halts or resumes is of, once that is known to be there. `reason` is that of everything.
async fn of(
    app: &App,
    caller: Caller,
    form: &CommandForm,
    reason: &str,
) -> Result<(Caller, Stop), PageError> {
    let (account, strategy) = (form.account.clone(), form.strategy.clone());
    if account.is_empty() && strategy.is_empty() {
        return Ok((caller, Stop { reason: reason.to_owned(), ..Stop::default() }));
    }
    check_stop(app, &account, &strategy).await?;
    // One key used for two of them is two commands.
    let caller = Caller { key: format!("{account}/{strategy}/{}", caller.key), ..caller };
    Ok((caller, Stop { account, strategy, reason: form.reason().to_owned() }))
}

/// What is stopped, as the first words of an answer.
pub fn in_words(stop: &Stop) -> String {
    let is_all = stop.account.is_empty() && stop.strategy.is_empty();
    if is_all { "Trading".to_owned() } else { stop.to_string() }
}

/// Lets a registered strategy's signals take effect; of one that goes on in shadow mode the form says what becomes of its
/// positions.
pub async fn enable_strategy(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    let name = registered(&app, name).await?;
    // One key used for two strategies is two commands.
    let caller = Caller { key: format!("{name}/{}", caller.key), ..caller };
    let mode = command::strategy_mode(&form.mode).map_err(crate::pages::strategies::failed)?;
    let leaves = shadowing(&app, &name, mode, &form.positions, &form.hand_over_to).await?;
    let enabled = command::enable_strategy(&app.context.tape, &caller, &name, mode, &leaves).await;
    enabled.map_err(crate::pages::strategies::failed)?;
    let positions = match leaves.positions {
        PositionsFate::Unspecified => String::new(),
        PositionsFate::Keep => "; its positions stay in its name, and nobody manages them".to_owned(),
        PositionsFate::Flatten => "; its positions are closed at the market".to_owned(),
        PositionsFate::HandOver => format!("; {} takes its positions over", leaves.hand_over_to),
    };
    Ok(done(&headers, &format!("{name} starts ({}){positions}.", form.mode), form.back_or("/")))
}

/// What becomes of the positions of a strategy that is stopped, as a form or a request states it, and who takes them
/// over.
fn fate<'text>(positions: &str, to: &'text str) -> Result<(PositionsFate, &'text str), PageError> {
    if positions.is_empty() && to.is_empty() {
        return Ok((PositionsFate::Unspecified, ""));
    }
    let fate = command::positions_fate(positions)
        .ok_or_else(|| field("positions", positions, "keep, flatten or hand_over"))?;
    Ok((fate, if fate == PositionsFate::HandOver { to } else { "" }))
}

/// What a strategy that goes leaves behind, and what becomes of it as a form or a request states it; the command refuses
/// to leave anything behind without a word.
pub async fn leaving(app: &App, name: &str, positions: &str, to: &str) -> Result<Leaving, PageError> {
    let (positions, to) = fate(positions, to)?;
    let holds = left_behind(in_name(app, name).await?.as_ref());
    Ok(Leaving { holds, positions, hand_over_to: to.to_owned() })
}

/// What a strategy leaves to others when it is enabled in shadow mode; in any other mode it goes on with what it holds.
pub async fn shadowing(
    app: &App,
    name: &str,
    mode: StrategyMode,
    positions: &str,
    to: &str,
) -> Result<Leaving, PageError> {
    // A form names somebody also where there is nothing to take over.
    let to = if positions.is_empty() { "" } else { to };
    if mode == StrategyMode::Shadow {
        return leaving(app, name, positions, to).await;
    }
    let (positions, to) = fate(positions, to)?;
    Ok(Leaving { holds: String::new(), positions, hand_over_to: to.to_owned() })
}

/// What a strategy leaves behind when it is stopped. Where the read model cannot be read it has to be stated, and whoever
/// states it is not held up.
pub async fn stopping(app: &App, name: &str, positions: &str, to: &str) -> Result<Leaving, PageError> {
    let (positions, to) = fate(positions, to)?;
    let found = in_name(app, name).await.ok().flatten();
    Ok(Leaving { holds: left_behind(found.as_ref()), positions, hand_over_to: to.to_owned() })
}

/// Stops a strategy; the form says what becomes of its positions. One that is removed and still holds something, too.
pub async fn disable_strategy(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    let name = reachable(&app, name).await?;
    // One key used for two strategies is two commands.
    let caller = Caller { key: format!("{name}/{}", caller.key), ..caller };
    // The form names somebody also where there is nothing to take over.
    let to = if form.positions.is_empty() { "" } else { form.hand_over_to.as_str() };
    let leaves = stopping(&app, &name, &form.positions, to).await?;
    let reason = if form.reason.trim().is_empty() { "stopped from the dashboard" } else { form.reason() };
    let stopped = command::stop_strategy(&app.context.tape, &caller, &name, reason, &leaves).await;
    stopped.map_err(crate::pages::strategies::failed)?;
    let positions = match leaves.positions {
        PositionsFate::Unspecified => "it leaves nothing behind".to_owned(),
        PositionsFate::Keep => "it goes on to manage its positions".to_owned(),
        PositionsFate::Flatten => "its positions are closed at the market".to_owned(),
        PositionsFate::HandOver => format!("{} takes its positions over", leaves.hand_over_to),
    };
    Ok(done(&headers, &format!("{name} stops; {positions}."), form.back_or("/")))
}

/// Who commands; refuses a form that is not the visitor's own or has no key.
pub fn caller(app: &App, headers: &HeaderMap, form: &CommandForm) -> Result<Caller, PageError> {
    // Fragments that all visitors share carry no token; there the page's script sends it as a header.
    let token = headers.get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or(&form.csrf);
    caller_of(app, headers, token, &form.key)
}

/// Who commands with a token and an idempotency key. A program shows its API token on purpose, where a
/// browser sends a cookie by itself: only the latter must also prove that the site's own page asks.
pub fn caller_of(app: &App, headers: &HeaderMap, token: &str, key: &str) -> Result<Caller, PageError> {
    let actor = app.actor(headers)?;
    if !actor.program && !app.sessions.admits(headers, token) {
        return Err(PageError::Token);
    }
    let good =
        (8..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !good {
        return Err(field("key", key, "an idempotency key of 8 to 64 letters, digits and -"));
    }
    Ok(Caller { actor: actor.name, key: key.to_owned() })
}

/// The word that a command needs, whatever the page did.
pub fn expect_word(form: &CommandForm, word: &str) -> Result<(), PageError> {
    if form.word.trim() == word { Ok(()) } else { Err(field("word", &form.word, word)) }
}

/// The tape is asked, not the read model: one that was registered a moment ago can be switched.
pub async fn registered(app: &App, name: String) -> Result<String, PageError> {
    let known = command::registration(&app.context.tape, &name).await.map_err(tape)?.is_some();
    if known { Ok(name) } else { Err(PageError::Missing(format!("strategy {name:?}"))) }
}

/// A strategy of which something can be commanded: it is registered, or anything is still in its name. Where the read
/// model cannot say, one that was registered counts: a kill switch waits for nobody.
pub async fn reachable(app: &App, name: String) -> Result<String, PageError> {
    let log = &app.context.tape;
    if command::registration(log, &name).await.map_err(tape)?.is_some() {
        return Ok(name);
    }
    let is_there = name != contracts::MANUAL
        && match in_name(app, &name).await {
            Ok(Some(found)) => !found.is_empty(),
            Ok(None) | Err(_) => command::was_registered(log, &name).await.map_err(tape)?,
        };
    if is_there { Ok(name) } else { Err(PageError::Missing(format!("strategy {name:?}"))) }
}

/// What is in a strategy's name; `None` where the read model has not folded it yet.
pub async fn in_name(app: &App, name: &str) -> Result<Option<InName>, PageError> {
    let found = projections::in_name(&app.config.pool, &app.context.tape, name).await;
    found.map_err(|error| match error {
        InNameError::Query(error) => error.into(),
        InNameError::Log(error) => error.into(),
    })
}

fn field(field: &'static str, value: &str, expected: &str) -> PageError {
    PageError::field(field, value, expected)
}

/// The tape did not take a command.
pub fn tape(error: impl std::fmt::Display) -> PageError {
    PageError::Tape(error.to_string())
}

/// The same of an append: what is refused is wrong as it is, and repeating it cannot help.
pub fn appended(error: AppendError) -> PageError {
    match error {
        AppendError::Refused(why) => PageError::Conflict(format!("The command was refused: {why}.")),
        error => tape(error),
    }
}

/// The page's script shows the notice; without a script the page at `back` is loaded again.
pub fn done(headers: &HeaderMap, notice: &str, back: &str) -> Response {
    if headers.contains_key("hx-request") {
        Html(notice_line(notice)).into_response()
    } else {
        Redirect::to(back).into_response()
    }
}

/// A notice as the page's script shows it.
pub fn notice_line(text: &str) -> String {
    let text = askama::filters::escape(text, askama::filters::Html);
    text.map_or_else(|_| String::new(), |text| format!("<span class=\"good\">{text}</span>"))
}
