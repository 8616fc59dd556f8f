//! Settings: how pages look, what is configured and why, whether connections work, versions and licences.
//!
//! Secrets are shown as set or unset, never as what they are: they do not reach this service.

mod licences;
pub mod users;

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use projections::queries;
use runtime::command::{self, Caller};

use super::{Layout, Page, Params, Rendering, Visit};
use crate::action::{CommandForm, caller, done, tape};
use crate::app::App;
use crate::error::PageError;
use crate::probe::{Connection, NATS, POSTGRES, Secret, Setting};
use crate::session::FormKeys;
use crate::url::Url;

pub use licences::{Licence, all as licences};

/// The Settings page.
pub static PAGE: Page = Page { title: "Settings", url: Url::Settings, key: 't', panels: &[] };

/// A connection with what is known of its server.
#[derive(Debug)]
struct Server {
    connection: Connection,
    version: String,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage<'a> {
    layout: Layout<'a>,
    keys: FormKeys,
    tape: &'a str,
    program: &'a str,
    file: Option<String>,
    home: String,
    /// Why the configuration cannot be told; empty when it can.
    failed: String,
    values: Vec<Setting>,
    secrets: Vec<Secret>,
    servers: Vec<Server>,
    /// Users and tokens, rendered.
    users: String,
    notice: &'static str,
    licences: Vec<Licence>,
}

/// `GET /settings`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    whole(&app, &params, &headers, None).await
}

/// The page, with a secret that was made for it.
async fn whole(
    app: &App,
    params: &Params,
    headers: &HeaderMap,
    made: Option<users::Made>,
) -> Result<Response, PageError> {
    let visit = Visit::begin(app, &PAGE, params, headers).await?;
    let html = assemble(&visit, users::shown(&visit, headers, made)?).await;
    visit.respond(html)
}

async fn assemble(visit: &Visit<'_>, users: String) -> Rendering {
    let app = visit.app;
    let scope = &visit.scope();
    let layout = visit.layout(scope, &[]).await?;
    let (settings, failed) = match app.config.probe.settings() {
        Ok(settings) => (settings, String::new()),
        Err(why) => (crate::probe::Settings::default(), why),
    };
    SettingsPage {
        layout,
        keys: scope.keys.clone(),
        tape: &app.config.tape,
        program: &app.config.version,
        file: settings.file,
        home: settings.home,
        failed,
        values: settings.values,
        secrets: settings.secrets,
        servers: servers(app, settings.connections).await,
        users,
        notice: licences::NOTICE.trim(),
        licences: licences(),
    }
    .render()
}

async fn servers(app: &App, connections: Vec<Connection>) -> Vec<Server> {
    let (nats, database) = tokio::join!(app.config.probe.nats(), queries::database_health(&app.config.pool));
    let unknown = || "not reached now".to_owned();
    let with_version = |connection: Connection| {
        let version = match connection.name.as_str() {
            NATS => nats.as_ref().map_or_else(|_| unknown(), |health| health.version.clone()),
            POSTGRES => database.as_ref().map_or_else(|_| unknown(), |health| health.version.clone()),
            _ => String::new(),
        };
        Server { connection, version }
    };
    connections.into_iter().map(with_version).collect()
}

/// `POST /settings/connections/{name}/test`: connects anew and says how it went.
pub async fn test(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    let (connection, outcome) = tested(&app, &caller, &name).await?;
    match outcome {
        Ok(found) => Ok(done(&headers, &format!("{}: {found}.", connection.title), "/settings")),
        Err(why) => Err(PageError::Conflict(format!("{} cannot be reached: {why}", connection.title))),
    }
}

/// Tests a connection, with its audit; the API does it the same way.
pub async fn tested(
    app: &App,
    caller: &Caller,
    name: &str,
) -> Result<(Connection, Result<String, String>), PageError> {
    let settings = app.config.probe.settings().map_err(PageError::Conflict)?;
    let mut known = settings.connections.into_iter();
    let connection = known.find(|connection| connection.name == name);
    let connection = connection.ok_or_else(|| PageError::Missing(format!("connection {name:?}")))?;
    if !connection.unset.is_empty() {
        let unset = connection.unset.join(", ");
        return Err(PageError::Conflict(format!("{} cannot be asked: {unset} unset", connection.title)));
    }
    let outcome = app.config.probe.test(&connection.name).await;
    let said = match &outcome {
        Ok(found) => found.clone(),
        Err(why) => format!("failed: {why}"),
    };
    command::audit(&app.context.tape, caller, "connection_test", &connection.name, &said)
        .await
        .map_err(tape)?;
    Ok((connection, outcome))
}
