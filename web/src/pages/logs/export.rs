//! Log lines as a file: every line that the filter lets through, in the order of the stream.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _};
use projections::queries::{self, LOG_LINES_MAX, LogFilter, LogRow, LogTurn, QueryError};
use sqlx::PgPool;

use super::{fields, filter};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Params, csv as file};
use crate::view::Instant;

const COLUMNS: [&str; 9] =
    ["time", "level", "service", "target", "message", "run", "correlation_id", "fields", "sequence"];

/// `GET /logs.csv`
pub async fn csv(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Result<Response, PageError> {
    params.check()?;
    let parts = parts(app.config.pool.clone(), filter::read(&params)?);
    let rows = parts.map(|part| part.map(|rows| rows.iter().map(row).collect()));
    Ok(file::response("logs.csv", &COLUMNS, rows))
}

/// `GET /logs.ndjson`: one JSON object per line.
pub async fn ndjson(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
) -> Result<Response, PageError> {
    params.check()?;
    let parts = parts(app.config.pool.clone(), filter::read(&params)?);
    // Compression asks once more after the end, which a list read part by part does not bear.
    let body = Body::from_stream(parts.fuse().map(|part| {
        let mut text = String::new();
        for row in part? {
            text.push_str(&serde_json::to_string(&row)?);
            text.push('\n');
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Bytes::from(text))
    }));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"logs.ndjson\""),
    ];
    Ok((headers, body).into_response())
}

/// All lines, part by part: a download of a million holds a thousand.
fn parts(pool: PgPool, filter: LogFilter) -> impl Stream<Item = Result<Vec<LogRow>, QueryError>> + Send {
    futures::stream::unfold((pool, filter, Some(0)), |(pool, filter, after)| async move {
        match queries::logs(&pool, &filter, LogTurn::After(after?), LOG_LINES_MAX).await {
            Ok(rows) => {
                let next = rows.last().map(|row| row.sequence);
                (!rows.is_empty()).then(|| (Ok(rows), (pool, filter, next)))
            }
            Err(error) => Some((Err(error), (pool, filter, None))),
        }
    })
}

fn row(line: &LogRow) -> file::Row {
    vec![
        Instant(line.event_time_ns).iso(),
        line.level.to_owned(),
        line.service.clone(),
        line.target.clone(),
        line.message.clone(),
        line.run.clone(),
        line.correlation_id.clone(),
        fields(line),
        line.sequence.to_string(),
    ]
}
