//! What is stopped and by what, with the resets; the kill switch with its typed word.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::book::kill_state;
use projections::queries;
use runtime::command::{self, Caller, Stop};

use super::{PATH, STOPS};
use crate::action::{CommandForm, appended, caller, done, expect_word, in_words};
use crate::api::risk::{Stopped, breaker_kind, check_stop, outlasting, reset_tripped, stopped, strictest};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown, account_names, chosen, timeline};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::Instant;

/// The word that pulls the switch.
const KILL_WORD: &str = "KILL";
const RESET_WORD: &str = "RESET";

/// Something that is stopped.
#[derive(Clone, Debug)]
pub struct Line {
    /// Tells it from the others in the page.
    pub id: String,
    pub of: String,
    pub by: String,
    pub state: &'static str,
    pub reason: String,
    pub since: Instant,
    /// Whether it is a halt or a kill switch, which an operator can end.
    pub resumable: bool,
    pub account: String,
    /// A breaker's name, where an operator can reset it.
    pub breaker: Option<String>,
    pub strategy: String,
}

#[derive(Clone, Debug)]
struct Stops {
    account: String,
    /// `NORMAL`, `REDUCE-ONLY` or `HALTED`.
    state: &'static str,
    lines: Vec<Line>,
    strategies: Vec<String>,
    halt_url: String,
    resume_url: String,
    kill_url: String,
    reset_url: String,
    past: bool,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "positions/stops.html")]
struct StopsPanel {
    v: u64,
    body: Body<Stops>,
}

/// Breakers, stops, kill switch.
pub async fn stops(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &STOPS, Box::pin(read(scope))).await;
    StopsPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Stops>, PageError> {
    if scope.account.is_empty() {
        return Ok(None);
    }
    let past = timeline::past(scope).await?;
    let book = match &past {
        Some(past) => past.book.clone(),
        None => {
            let book = queries::load_book(&scope.app.config.pool).await;
            book.map_err(|error| PageError::ReadModel(error.to_string()))?
        }
    };
    let mine = |row: &Stopped| row.account.is_empty() || row.account == scope.account;
    let rows: Vec<Stopped> = stopped(&book).into_iter().filter(mine).collect();
    let state = strictest(rows.iter().filter(|row| row.strategy.is_empty()).map(|row| row.state));
    // What was traded by hand is killed and flattened as a strategy's, and so is what a removed one has left behind.
    let strategies = book.strategy_names().into_iter().chain([contracts::MANUAL]).map(str::to_owned);
    Ok(Some(Stops {
        account: scope.account.to_owned(),
        state,
        lines: rows.into_iter().map(Line::of).collect(),
        strategies: strategies.collect(),
        halt_url: Url::Halt.to_string(),
        resume_url: Url::Resume.to_string(),
        kill_url: Url::Kill.to_string(),
        reset_url: Url::BreakerReset(scope.account).to_string(),
        past: past.is_some(),
        keys: scope.keys.clone(),
    }))
}

impl Line {
    /// As the page shows it.
    pub fn of(row: Stopped) -> Self {
        let of = match (row.account.as_str(), row.strategy.as_str()) {
            ("", "") => "All accounts".to_owned(),
            (account, "") => account.to_owned(),
            ("", strategy) => format!("Strategy {strategy}"),
            (account, strategy) => format!("Strategy {strategy} on {account}"),
        };
        let breaker = domain::risk::breaker::of_name(&row.by).map(|_| row.by.clone());
        Self {
            id: format!("{}-{}-{}", row.by, row.account, row.strategy),
            of,
            by: row.by.replace('_', " "),
            state: row.state,
            reason: row.because(),
            since: Instant(row.since_ns),
            resumable: row.ends_by_resume(),
            account: row.account,
            breaker,
            strategy: row.strategy,
        }
    }
}

/// `POST /accounts/{account}/breakers/reset`: ends a breaker and measures anew.
pub async fn reset_breaker(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    chosen(&account_names(&app).await?, &account)?;
    expect_word(&form, RESET_WORD)?;
    let (name, strategy) = form.breaker();
    let kind = breaker_kind(Some(name))?;
    check_stop(&app, "", strategy).await?;
    let caller = Caller { key: format!("{account}/{strategy}/{name}/{}", caller.key), ..caller };
    let stop =
        Stop { account: account.clone(), strategy: strategy.to_owned(), reason: form.reason().to_owned() };
    let is_reset = reset_tripped(&app, &caller, &stop, kind).await?;
    let name = name.replace('_', " ");
    let notice = if is_reset {
        format!("{name} of {account} is reset.")
    } else {
        format!("{name} of {account} has not tripped: nothing was changed.")
    };
    Ok(done(&headers, &notice, PATH))
}

/// `POST /trading/kill`: pulls the kill switch of a strategy, an account or everything.
pub async fn kill(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    expect_word(&form, KILL_WORD)?;
    let (account, strategy) = match form.of().split_once(':') {
        None if form.of() == "all" => ("", ""),
        Some(("account", account)) if !account.is_empty() => (account, ""),
        Some(("strategy", strategy)) if !strategy.is_empty() => ("", strategy),
        _ => return Err(PageError::field("of", form.of(), "all, account:NAME or strategy:NAME")),
    };
    check_stop(&app, account, strategy).await?;
    let caller = Caller { key: format!("{}/{}", form.of(), caller.key), ..caller };
    let (account, strategy) = (account.to_owned(), strategy.to_owned());
    let stop = Stop { account, strategy, reason: form.reason().to_owned() };
    command::kill(&app.context.tape, &caller, &stop, form.flattens()).await.map_err(appended)?;
    let and = if form.flattens() { ", positions are being closed" } else { "" };
    let stays = outlasting(&app, &stop, kill_state(form.flattens())).await;
    let stays = stays.map_or_else(String::new, |halt| format!(" {} {}.", in_words(&stop), halt.stays()));
    let notice = format!("Killed: open orders are being cancelled{and}.{stays}");
    Ok(done(&headers, &notice, form.back_or(PATH)))
}
