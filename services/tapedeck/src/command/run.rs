//! `tapedeck run`: some services of a tape, or all.

use std::collections::BTreeSet;

use crate::cli::{Global, Run, Service};
use crate::command::up::{announce, opening_ns};
use crate::exit::Failure;
use crate::output::Output;
use crate::seed::seed;
use crate::services;
use crate::session::Session;
use crate::terms::{Asked, Terms};

/// Runs the services on the tape's servers (another process's, the tape's own, or those of NATS_URL and
/// DATABASE_URL) until Ctrl-C.
pub async fn run(global: &Global, options: &Run, output: Output) -> Result<(), Failure> {
    let wanted: BTreeSet<Service> = if options.services.is_empty() {
        BTreeSet::from(Service::ALL)
    } else {
        options.services.iter().copied().collect()
    };
    let (_, dir, manifest) = Session::chosen(global).await?;
    let asked = Asked {
        tape: &dir.name,
        manifest: &manifest,
        services: wanted,
        bind: options.bind.as_deref(),
        live: &options.live,
        telemetry: &options.telemetry,
    };
    let terms = Terms::of(&global.configuration()?.config, &global.servers, asked)?;
    let session = Session::open(global).await?;
    let outcome = serve(&session, &terms, output).await;
    session.close().await;
    outcome
}

async fn serve(session: &Session, terms: &Terms, output: Output) -> Result<(), Failure> {
    if terms.services.contains(&Service::Ingest) {
        seed(&session.tape, &session.config, opening_ns(&session.manifest)?).await?;
    }
    let services = services::start(session, terms, None).await?;
    announce(session, &services, output)?;
    session.interrupted().await;
    services.drain().await;
    Ok(())
}
