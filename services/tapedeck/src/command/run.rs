//! `tapedeck run`: some services of a tape, or all.

use std::collections::BTreeSet;

use crate::cli::{Global, Run, Service};
use crate::command::up::{announce, opening_ns};
use crate::exit::Failure;
use crate::output::Output;
use crate::seed::seed;
use crate::services;
use crate::session::Session;

/// Runs the services on the tape's servers (another process's, the tape's own, or those of NATS_URL and
/// DATABASE_URL) until Ctrl-C.
pub async fn run(global: &Global, options: &Run, output: Output) -> Result<(), Failure> {
    let wanted: BTreeSet<Service> = if options.services.is_empty() {
        BTreeSet::from(Service::ALL)
    } else {
        options.services.iter().copied().collect()
    };
    let mut session = Session::open(global).await?;
    session.live.clone_from(&options.live);
    let outcome = serve(&session, &wanted, options, output).await;
    session.close().await;
    outcome
}

async fn serve(
    session: &Session,
    wanted: &BTreeSet<Service>,
    options: &Run,
    output: Output,
) -> Result<(), Failure> {
    if wanted.contains(&Service::Ingest) {
        seed(&session.tape, &session.config, opening_ns(&session.manifest)).await?;
    }
    let services = services::start(session, wanted, options.bind.as_deref(), &options.telemetry).await?;
    announce(session, &services, output)?;
    session.interrupted().await;
    services.drain().await;
    Ok(())
}
