//! `tapedeck parked`: messages that could not be handled.

use crate::cli::ParkedCommand;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Lists the messages that wait for someone to look at them, newest first.
pub async fn run(session: &Session, command: &ParkedCommand, output: Output) -> Result<(), Failure> {
    let ParkedCommand::List = command;
    let pool = session.reader().await?;
    let page = projections::queries::parked(&pool, false, None, projections::queries::LIMIT_MAX)
        .await
        .map_err(|error| Failure::unreachable(error.to_string()))?;
    if output.json {
        return output.document(&page.rows);
    }
    let rows: Vec<Vec<String>> = page
        .rows
        .iter()
        .map(|row| {
            vec![
                crate::render::time(row.parked_at_ns),
                row.service.clone(),
                format!("{} {}", row.origin_stream, row.origin_sequence),
                row.origin_subject.clone(),
                row.reason.clone(),
            ]
        })
        .collect();
    output.table(&["PARKED", "SERVICE", "MESSAGE", "SUBJECT", "REASON"], &rows);
    Ok(())
}
