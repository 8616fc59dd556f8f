//! The list of messages.

use askama::Template;

use super::{LIST, PATH};
use crate::browse::{self, Place, Row, Wanted};
use crate::error::PageError;
use crate::pages::table::{Pager, ROWS, ROWS_MAX};
use crate::pages::{Body, Params, Rendering, Scope, Shown};
use crate::url::Url;
use crate::view::Instant;

/// A message in the list.
#[derive(Clone, Debug)]
struct Line {
    seq: u64,
    url: String,
    subject: String,
    /// The same list under this subject alone.
    subject_url: String,
    kind: &'static str,
    summary: String,
    readable: bool,
    /// When it happened in market time; when it was stored, for a message that cannot be read.
    time: Instant,
    chain: Option<String>,
}

impl Line {
    fn of(row: Row) -> Self {
        let chained = row.stream == contracts::stream::TRADING && row.kind != "account_marked"
            || row.stream == contracts::stream::MARKET && row.kind == "bar";
        let id = Some(row.event_id.as_str()).filter(|id| chained && !id.is_empty());
        let own = Params::from([("stream", row.stream), ("subject", &row.subject)]);
        Self {
            seq: row.sequence,
            url: Url::Event(row.stream, row.sequence).to_string(),
            chain: id.map(|id| Url::Chain(id).to_string()),
            subject_url: own.link(PATH),
            time: Instant(row.event_time_ns.unwrap_or(row.stored_ns)),
            subject: row.subject,
            kind: row.kind,
            summary: row.summary,
            readable: row.readable,
        }
    }
}

#[derive(Clone, Debug)]
struct List {
    lines: Vec<Line>,
    pager: Pager,
    /// Where looking stopped before the page was full.
    stopped_at: Option<u64>,
}

#[derive(Template)]
#[template(path = "events/list.html")]
struct ListPanel {
    v: u64,
    body: Body<List>,
    stream: &'static str,
    filtered: bool,
    /// Whether the list follows the newest.
    tail: bool,
    command: String,
}

/// Renders the list that the fields ask for.
pub async fn list(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &LIST, read(scope)).await;
    let params = scope.params;
    let wanted = Wanted::of(params).unwrap_or_else(|_| Wanted::all(contracts::stream::TRADING));
    let fields = ["subject", "type", "correlation", "causation"];
    ListPanel {
        v: scope.version,
        body,
        stream: wanted.stream,
        filtered: fields.iter().any(|name| params.get(name).is_some()),
        tail: Place::of(params).is_ok_and(|place| place == Place::Newest),
        command: command(&scope.app.config.tape, &wanted, Place::of(params).unwrap_or_default()),
    }
    .render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<List>, PageError> {
    let params = scope.params;
    let (wanted, place) = (Wanted::of(params)?, Place::of(params)?);
    let limit = params.number("limit", ROWS, ROWS_MAX)? as usize;
    let (tape, pool) = (&scope.app.context.tape, &scope.app.config.pool);
    let listed = browse::list(tape, pool, &wanted, place, limit).await?;
    let text = |sequence: Option<u64>| sequence.map(|sequence| sequence.to_string());
    let pager = Pager::of(PATH, params, text(listed.newer), text(listed.older));
    let nothing = listed.rows.is_empty() && !pager.is_shown();
    Ok((!nothing).then(|| List {
        lines: listed.rows.into_iter().map(Line::of).collect(),
        pager,
        stopped_at: listed.stopped_at,
    }))
}

/// What shows the same in a terminal.
fn command(tape: &str, wanted: &Wanted, place: Place) -> String {
    let filter = match wanted.filter() {
        // The command names a stream by its subjects.
        ">" => crate::browse::subjects_of(wanted.stream),
        filter => filter,
    };
    let subjects: Vec<String> = filter.split(' ').map(|subject| format!(" --subject '{subject}'")).collect();
    let from = match place {
        Place::Newest => String::new(),
        Place::Before(before) => format!(" --from-seq {}", before.saturating_sub(u64::from(ROWS)).max(1)),
        Place::After(after) => format!(" --from-seq {}", after + 1),
    };
    format!("tapedeck tail --tape {tape}{}{from}", subjects.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_shows_the_same() {
        let all = Wanted::all("TRADING");
        assert!(
            command("demo", &all, Place::Newest)
                .starts_with("tapedeck tail --tape demo --subject 'control.>' --subject 'signal.>'")
        );
        let signals = Wanted::new("", "signal.*.SPY", "", "", "").unwrap();
        assert_eq!(
            command("demo", &signals, Place::After(7)),
            "tapedeck tail --tape demo --subject 'signal.*.SPY' --from-seq 8"
        );
    }
}
