//! The launchers: a session for parity; for a fork a moment, and the strategies' parameters and the accounts' limits
//! as they stood there, to be changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::limits;
use domain::strategy::{build, kinds, resolve};
use projections::as_of::{Moment, Past};
use projections::queries;

use super::asked_for;
use crate::action::caller_of;
use crate::api::comparisons::ask::{Changes, NewFork, NewParity, begin_fork, begin_parity};
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;
use crate::pages::timeline;
use crate::view::{Instant, market_time};

/// Sessions offered.
const SESSIONS: u32 = 60;
/// Fields of parameters and of limits begin with it.
const PARAMETER: &str = "p.";
const LIMIT: &str = "l.";

/// What the form of the Parity page offers.
#[derive(Clone, Debug)]
pub(super) struct ParityForm {
    /// Dates of sessions on the tape, newest first.
    pub sessions: Vec<String>,
    /// The newest session that is over; empty where there is none.
    pub newest: String,
}

impl ParityForm {
    pub(super) async fn of(app: &App) -> Result<Self, PageError> {
        let rows = queries::sessions(&app.config.pool, app.config.calendar.exchange(), SESSIONS).await?;
        let over = rows.iter().find(|row| row.phase == "closed").or_else(|| rows.first());
        let newest = over.map_or_else(String::new, |row| row.date.clone());
        Ok(Self { newest, sessions: rows.into_iter().map(|row| row.date).collect() })
    }
}

/// A value that may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Name of the form's field.
    pub field: String,
    pub name: String,
    /// As it stands.
    pub value: String,
    pub hint: String,
    pub choices: Vec<&'static str>,
}

/// What somebody owns: a strategy its parameters, an account its limits.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub name: String,
    /// Its kind, or account.
    pub what: String,
    pub fields: Vec<Field>,
}

/// What the form of the Fork page offers.
#[derive(Clone, Debug)]
pub(super) struct ForkForm {
    pub at: String,
    pub to: String,
    /// Market time of the state shown, in words.
    pub stands: String,
    pub sequence: u64,
    pub head: u64,
    pub strategies: Vec<Owner>,
    pub accounts: Vec<Owner>,
}

impl ForkForm {
    /// The form for the moment that the field `at` names, or for the open of the newest session.
    pub(super) async fn of(app: &App, params: &Params) -> Result<Self, PageError> {
        let at = match params.get("at") {
            Some(at) => at.to_owned(),
            None => newest_open(app).await?,
        };
        let past = state(app, &at).await?;
        let head = app.timeline.head().await.map_err(|error| PageError::Unread(error.to_string()))?;
        Ok(Self {
            at,
            to: params.get("to").unwrap_or_default().to_owned(),
            stands: past.market_ns.map_or_else(|| "before the first mark".to_owned(), market_time),
            sequence: past.sequence(),
            head,
            strategies: strategies(&past),
            accounts: accounts(&past),
        })
    }
}

/// The open of the newest session on the tape as an instant; empty where there is none.
async fn newest_open(app: &App) -> Result<String, PageError> {
    let rows = queries::sessions(&app.config.pool, app.config.calendar.exchange(), 1).await?;
    let open_ns = rows.first().and_then(|row| row.open_ns.or(Some(row.event_time_ns)));
    Ok(open_ns.map(|ns| Instant(ns).iso()).unwrap_or_default())
}

/// The state at a moment: a sequence, an instant, or now where none is named.
async fn state(app: &App, at: &str) -> Result<Arc<Past>, PageError> {
    let moment = match at {
        "" => Moment::Instant(i64::MAX),
        text => timeline::fork_moment(text)?,
    };
    timeline::state(app, moment).await
}

fn strategies(past: &Past) -> Vec<Owner> {
    let built_in = past.book.strategies().filter(|state| state.registered && !state.kind.is_empty());
    built_in
        .map(|state| {
            // Those that cannot be read are shown as they stand.
            let complete =
                resolve(&state.kind, &state.parameters).unwrap_or_else(|_| state.parameters.clone());
            let kind = kinds().iter().find(|kind| kind.name == state.kind);
            let fields = complete.into_iter().map(|parameter| {
                let spec =
                    kind.and_then(|kind| kind.parameters.iter().find(|spec| spec.name == parameter.name));
                Field {
                    field: format!("{PARAMETER}{}.{}", state.strategy, parameter.name),
                    hint: spec
                        .map_or_else(String::new, |spec| format!("{}: {}", spec.description, spec.value)),
                    choices: spec.map(|spec| spec.value.choices().to_vec()).unwrap_or_default(),
                    name: parameter.name,
                    value: parameter.value,
                }
            });
            Owner { name: state.strategy.clone(), what: state.kind.clone(), fields: fields.collect() }
        })
        .collect()
}

fn accounts(past: &Past) -> Vec<Owner> {
    let configured = past.book.accounts().filter_map(|account| Some((account, account.config.as_ref()?)));
    configured
        .map(|(account, config)| {
            let stated = config.limits.unwrap_or_default();
            let fields = limits::NAMES.iter().map(|name| Field {
                field: format!("{LIMIT}{}.{name}", account.account),
                name: name.replace('_', " "),
                value: limits::text(&stated, name).unwrap_or_default(),
                hint: String::new(),
                choices: if *name == "allow_short" { vec!["true", "false"] } else { Vec::new() },
            });
            Owner { name: account.account.clone(), what: "account".to_owned(), fields: fields.collect() }
        })
        .collect()
}

/// The fields of a form, its token and its key apart.
struct Sent {
    fields: BTreeMap<String, String>,
    csrf: String,
    key: String,
}

impl Sent {
    fn of(fields: Vec<(String, String)>) -> Self {
        let mut fields: BTreeMap<String, String> =
            fields.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect();
        let csrf = fields.remove("csrf").unwrap_or_default();
        let key = fields.remove("key").unwrap_or_default();
        Self { fields, csrf, key }
    }

    fn caller(&self, app: &App, headers: &HeaderMap) -> Result<runtime::command::Caller, PageError> {
        let token = headers.get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or(&self.csrf);
        caller_of(app, headers, token, &self.key)
    }

    fn take(&mut self, name: &str) -> String {
        self.fields.remove(name).unwrap_or_default()
    }

    /// The fields of `owners` that say something else than what stands.
    fn changed(&self, owners: &[Owner], prefix: &str) -> Changes {
        let mut changes = Changes::new();
        for owner in owners {
            for field in &owner.fields {
                let sent = self.fields.get(&field.field).filter(|sent| !sent.is_empty());
                if let Some(sent) = sent.filter(|sent| **sent != field.value) {
                    let name = field.field.trim_start_matches(prefix);
                    let name = name.strip_prefix(&format!("{}.", owner.name)).unwrap_or(name);
                    changes.entry(owner.name.clone()).or_default().insert(name.to_owned(), sent.clone());
                }
            }
        }
        changes
    }
}

/// `POST /parity`: asks for a session again.
pub async fn start_parity(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let mut sent = Sent::of(fields);
    let caller = sent.caller(&app, &headers)?;
    let run_id = begin_parity(&app, &caller, NewParity { session: sent.take("session") }).await?;
    Ok(asked_for(&headers, "parity", &run_id))
}

/// `POST /fork`: asks for a fork with what differs from the state at its moment.
pub async fn start_fork(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let mut sent = Sent::of(fields);
    let caller = sent.caller(&app, &headers)?;
    let (at, to) = (sent.take("at"), sent.take("to"));
    let past = state(&app, &at).await?;
    let parameters = sent.changed(&strategies(&past), PARAMETER);
    let changed_limits = sent.changed(&accounts(&past), LIMIT);
    check(&past, &parameters, &changed_limits)?;
    let asked = NewFork { at, to, parameters, limits: changed_limits };
    let run_id = begin_fork(&app, &caller, asked).await?;
    Ok(asked_for(&headers, "fork", &run_id))
}

/// Says at once what the run would refuse.
fn check(past: &Past, parameters: &Changes, changed_limits: &Changes) -> Result<(), PageError> {
    for (name, values) in parameters {
        let Some(state) = past.book.strategy(name) else { continue };
        let mut stated = resolve(&state.kind, &state.parameters).unwrap_or_else(|_| state.parameters.clone());
        for parameter in &mut stated {
            if let Some(value) = values.get(&parameter.name) {
                parameter.value.clone_from(value);
            }
        }
        if let Err(error) = build(&state.kind, &stated) {
            return Err(PageError::field("parameters", name, format!("what {} takes: {error}", state.kind)));
        }
    }
    for (name, values) in changed_limits {
        let mut scratch = contracts::v1::RiskLimits::default();
        for (limit, value) in values {
            limits::set(&mut scratch, limit, value).map_err(|expected| {
                PageError::field("limits", &format!("{name}.{limit}={value}"), expected)
            })?;
        }
    }
    Ok(())
}
