//! `tapedeck parked`: messages that could not be handled, and what becomes of them.

use projections::queries::{self, EventFilter, ParkedRow, QueryError};
use runtime::command::parked::{self, MarketWriter, Message, ParkedError};
use sqlx::PgPool;

use super::control::caller;
use super::rows::check_limit;
use crate::cli::ParkedCommand;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Lists, shows, replays or dismisses.
pub async fn run(session: &Session, command: &ParkedCommand, output: Output) -> Result<(), Failure> {
    let pool = session.reader().await?;
    match command {
        ParkedCommand::List { all, limit, before } => list(&pool, *all, *before, *limit, output).await,
        ParkedCommand::Show { id } => show(&pool, id, output).await,
        ParkedCommand::Replay { id } => replay(session, &pool, id, output).await,
        ParkedCommand::Dismiss { id, reason } => dismiss(session, &pool, id, reason, output).await,
    }
}

fn unreachable(error: QueryError) -> Failure {
    Failure::unreachable(error.to_string())
}

async fn list(
    pool: &PgPool,
    all: bool,
    before: Option<u64>,
    limit: u32,
    output: Output,
) -> Result<(), Failure> {
    check_limit(limit, "tapedeck parked list --limit 50")?;
    let page = queries::parked(pool, all, before, limit).await.map_err(unreachable)?;
    if output.json {
        return output.document(&page.rows);
    }
    let rows: Vec<Vec<String>> = page
        .rows
        .iter()
        .map(|row| {
            vec![
                row.event_id.clone(),
                crate::render::time(row.parked_at_ns),
                row.service.clone(),
                format!("{} {}", row.origin_stream, row.origin_sequence),
                row.origin_subject.clone(),
                row.resolution.clone().unwrap_or_else(|| "waits".to_owned()),
                row.reason.clone(),
            ]
        })
        .collect();
    output.table(&["ID", "PARKED", "SERVICE", "MESSAGE", "SUBJECT", "STATE", "REASON"], &rows);
    if let Some(next) = page.next {
        output.note(&format!("more: --before {next}"));
    }
    Ok(())
}

async fn find(pool: &PgPool, id: &str) -> Result<ParkedRow, Failure> {
    let found = queries::parked_message(pool, id).await.map_err(unreachable)?;
    found.ok_or_else(|| Failure::not_found(format!("no parked message {id:?}"), "tapedeck parked list"))
}

async fn show(pool: &PgPool, id: &str, output: Output) -> Result<(), Failure> {
    let row = find(pool, id).await?;
    let decoded = contracts::decode(&row.payload);
    // What stands under another subject than its own is no event, whatever is in it.
    let admitted = decoded.as_ref().map_err(ToString::to_string).and_then(|event| {
        contracts::admit(&row.origin_subject, event).map(|()| event).map_err(|error| error.to_string())
    });
    if output.json {
        let mut document = serde_json::to_value(&row).map_err(|error| Failure::other(error.to_string()))?;
        document["payload_hex"] = hex(&row.payload).into();
        document["event"] = decoded.as_ref().ok().and_then(|event| serde_json::to_value(event).ok()).into();
        return output.document(&document);
    }
    let lines = [
        ("message", format!("{} {} {}", row.origin_stream, row.origin_sequence, row.origin_subject)),
        ("parked", format!("{} by {}", crate::render::time(row.parked_at_ns), row.service)),
        ("reason", row.reason.clone()),
        ("state", state(&row)),
        ("now", admitted.map_or_else(|why| why, crate::render::summary)),
    ];
    for (name, text) in lines {
        output.line(&format!("{name:<8} {text}"));
    }
    match std::str::from_utf8(&row.payload) {
        Ok(text) if !text.contains(|character: char| character.is_control() && character != '\n') => {
            output.line(text);
        }
        _ => output.line(&hex(&row.payload)),
    }
    Ok(())
}

fn state(row: &ParkedRow) -> String {
    match &row.resolution {
        None => "waits".to_owned(),
        Some(resolution) => format!(
            "{resolution} by {}: {}",
            row.resolved_by.as_deref().unwrap_or_default(),
            row.resolved_reason.as_deref().unwrap_or_default()
        ),
    }
}

/// Bytes as two digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The message behind a parked event, with everyone who set it aside.
async fn message(pool: &PgPool, id: &str) -> Result<Message, Failure> {
    let row = find(pool, id).await?;
    if row.resolution.is_some() {
        return Err(Failure::usage(format!("{id} is {} already", state(&row)), "tapedeck parked list"));
    }
    let same =
        queries::parked_same(pool, &row.origin_stream, row.origin_sequence).await.map_err(unreachable)?;
    Ok(Message {
        ids: same.iter().map(|row| row.event_id.clone()).collect(),
        services: same.into_iter().map(|row| row.service).collect(),
        parked_at: row.first_sequence,
        stream: row.origin_stream,
        sequence: row.origin_sequence,
        subject: row.origin_subject,
        payload: row.payload,
    })
}

async fn replay(session: &Session, pool: &PgPool, id: &str, output: Output) -> Result<(), Failure> {
    let message = message(pool, id).await?;
    let answered = async move |signal: String| {
        let filter =
            EventFilter { causation_id: signal, kind: "risk_decision".to_owned(), ..EventFilter::default() };
        let decisions = queries::events(pool, &filter, None, 1).await;
        decisions
            .map(|page| !page.rows.is_empty())
            .map_err(|error| event_log::LogError::new("look for a decision", error))
    };
    let sequence = parked::replay(&session.tape, &caller(), MarketWriter::Caller, &message, answered)
        .await
        .map_err(|error| refused(error, id))?;
    if output.json {
        return output.document(&serde_json::json!({
            "ids": message.ids, "resolution": "replayed", "stream": message.stream, "sequence": sequence,
        }));
    }
    output
        .note(&format!("replayed: {} {} is published again as {sequence}", message.stream, message.sequence));
    Ok(())
}

async fn dismiss(
    session: &Session,
    pool: &PgPool,
    id: &str,
    reason: &str,
    output: Output,
) -> Result<(), Failure> {
    let message = message(pool, id).await?;
    let dismissed = parked::dismiss(&session.tape, &caller(), &message, reason).await;
    dismissed.map_err(|error| refused(error, id))?;
    if output.json {
        return output.document(&serde_json::json!({ "ids": message.ids, "resolution": "dismissed" }));
    }
    output.note(&format!("dismissed: {} {}", message.stream, message.sequence));
    Ok(())
}

fn refused(error: ParkedError, id: &str) -> Failure {
    match error {
        ParkedError::Append(error) => error.into(),
        ParkedError::Reason(_) => {
            Failure::usage(error.to_string(), format!("tapedeck parked dismiss {id} --reason TEXT"))
        }
        ParkedError::Unreadable(_) | ParkedError::Refused(_) | ParkedError::Unanswered => Failure {
            hint: format!("tapedeck parked dismiss {id} --reason TEXT"),
            ..Failure::other(error.to_string())
        },
    }
}
