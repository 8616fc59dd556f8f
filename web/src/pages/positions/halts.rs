//! Halts, per account and of all, with their switches.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::v1::TradingState;
use domain::risk::breaker;
use projections::queries;
use runtime::command::{self, Caller, Stop};

use super::{HALTS, PATH};
use crate::action::{CommandForm, appended, caller, done, expect_word, resume_stopped};
use crate::api::risk::{outlasting, strictest};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown, account_names, chosen, timeline};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::Instant;

#[derive(Clone, Debug)]
struct HaltLine {
    scope: String,
    state: &'static str,
    actor: String,
    reason: String,
    since: Instant,
}

#[derive(Clone, Debug)]
struct Halts {
    account: String,
    /// `NORMAL`, `REDUCE-ONLY` or `HALTED`, as halts alone make it.
    state: &'static str,
    /// Halts in force for the account.
    halts: Vec<HaltLine>,
    /// Whether the account has a halt of its own.
    own: bool,
    halt_url: String,
    resume_url: String,
    /// Nothing is commanded from a page of the past.
    past: bool,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "positions/halts.html")]
struct HaltsPanel {
    v: u64,
    body: Body<Halts>,
}

/// Whether new exposure is stopped, and why.
pub async fn halts(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &HALTS, read(scope)).await;
    HaltsPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Halts>, PageError> {
    if scope.account.is_empty() {
        return Ok(None);
    }
    let past = timeline::past(scope).await?;
    let halts: Vec<(String, HaltLine)> = match &past {
        Some(past) => {
            let own = past.book.account(scope.account).and_then(|account| account.halt.as_ref());
            let all = past.book.halt().map(|halt| (String::new(), halt));
            let own = own.map(|halt| (scope.account.to_owned(), halt));
            let line = |account: &str, halt: &domain::book::Halt| {
                let state = breaker::state_name(halt.state);
                HaltLine::of(account, state, &halt.actor, &halt.reason, halt.since_ns)
            };
            all.into_iter()
                .chain(own)
                .map(|(account, halt)| (account.clone(), line(&account, halt)))
                .collect()
        }
        None => {
            let rows = queries::halts(&scope.app.config.pool).await;
            let rows = rows.map_err(|error| PageError::ReadModel(error.to_string()))?;
            let mine = rows.into_iter().filter(|row| row.account.is_empty() || row.account == scope.account);
            mine.map(|row| {
                let line = HaltLine::of(&row.account, row.state, &row.actor, &row.reason, row.since_ns);
                (row.account, line)
            })
            .collect()
        }
    };
    Ok(Some(Halts {
        account: scope.account.to_owned(),
        state: strictest(halts.iter().map(|(_, line)| line.state)),
        own: halts.iter().any(|(account, _)| account == scope.account),
        halts: halts.into_iter().map(|(_, line)| line).collect(),
        halt_url: Url::AccountHalt(scope.account).to_string(),
        resume_url: Url::AccountResume(scope.account).to_string(),
        past: past.is_some(),
        keys: scope.keys.clone(),
    }))
}

impl HaltLine {
    fn of(account: &str, state: &'static str, actor: &str, reason: &str, since_ns: i64) -> Self {
        Self {
            scope: if account.is_empty() { "All accounts".to_owned() } else { account.to_owned() },
            state,
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            since: Instant(since_ns),
        }
    }
}

/// `POST /accounts/{account}/halt`: stops new exposure on one account.
pub async fn halt(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = of_account(&app, &headers, &form, &account).await?;
    expect_word(&form, "HALT")?;
    let stop = Stop { account, reason: form.reason().to_owned(), ..Stop::default() };
    command::halt(&app.context.tape, &caller, &stop.account, &stop.reason).await.map_err(appended)?;
    let stays = outlasting(&app, &stop, TradingState::ReduceOnly).await;
    let is = stays.map_or_else(|| "is reduce-only: no new exposure".to_owned(), |halt| halt.stays());
    Ok(done(&headers, &format!("{} {is}.", stop.account), PATH))
}

/// `POST /accounts/{account}/resume`: ends the halt of one account.
pub async fn resume(
    State(app): State<Arc<App>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = of_account(&app, &headers, &form, &account).await?;
    expect_word(&form, "RESUME")?;
    let stop = Stop { account, reason: form.reason().to_owned(), ..Stop::default() };
    let is = resume_stopped(&app, &caller, &stop).await?;
    Ok(done(&headers, &format!("{} {is}.", stop.account), PATH))
}

/// Who commands about an account there is. One key used for two accounts is two commands.
async fn of_account(
    app: &App,
    headers: &HeaderMap,
    form: &CommandForm,
    account: &str,
) -> Result<Caller, PageError> {
    let caller = caller(app, headers, form)?;
    chosen(&account_names(app).await?, account)?;
    Ok(Caller { key: format!("{account}/{}", caller.key), ..caller })
}
