//! What the read model knows of a parked message, for whoever resolves it.

use event_log::LogError;
use projections::queries::{self, EventFilter};
use runtime::command::parked::Message;
use sqlx::PgPool;

use crate::error::PageError;

/// The message behind the parked event `id`, with everyone who set it aside.
pub async fn message_of(pool: &PgPool, id: &str) -> Result<Message, PageError> {
    let unread = |error: queries::QueryError| PageError::ReadModel(error.to_string());
    let row = queries::parked_message(pool, id).await.map_err(unread)?;
    let row = row.ok_or_else(|| PageError::Missing(format!("parked message {id:?}")))?;
    let same = queries::parked_same(pool, &row.origin_stream, row.origin_sequence).await.map_err(unread)?;
    if let Some(resolution) = row.resolution {
        let by = row.resolved_by.unwrap_or_default();
        return Err(PageError::Conflict(format!("The message is {resolution} already, by {by}.")));
    }
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

/// Whether risk has decided the signal with this event id.
pub async fn answered(pool: &PgPool, signal_id: &str) -> Result<bool, LogError> {
    let filter = EventFilter {
        causation_id: signal_id.to_owned(),
        kind: "risk_decision".to_owned(),
        ..EventFilter::default()
    };
    let page = queries::events(pool, &filter, None, 1).await;
    page.map(|page| !page.rows.is_empty()).map_err(|error| LogError::new("look for a decision", error))
}
