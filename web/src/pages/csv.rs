//! Tables as files: every row that the filters let through, not only those on the page.
//!
//! Rows are read and sent part by part, so that a download of a million rows holds a few hundred. Numbers
//! are exact, times are RFC 3339 in UTC.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _};
use projections::queries::{Cursor, Turn};

/// One row.
pub type Row = Vec<String>;

/// Answers with a file: `header`, then the parts of `rows` as they come. A part that cannot be read breaks
/// the download off, so that half a file is never taken for a whole one.
pub fn response<E>(
    name: &str,
    head: &[&str],
    rows: impl Stream<Item = Result<Vec<Row>, E>> + Send + 'static,
) -> Response
where
    E: std::error::Error + Send + Sync + 'static,
{
    let head = encode(&[head.iter().map(|&cell| cell.to_owned()).collect()]);
    let parts = rows.map(|part| part.map(|rows| encode(&rows)));
    // Whoever compresses the answer asks once more after its end.
    let body = Body::from_stream(futures::stream::once(async { Ok(head) }).chain(parts).fuse());
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, body).into_response()
}

/// Answers with a file of rows that are all at hand.
pub fn whole(name: &str, head: &[&str], rows: Vec<Row>) -> Response {
    response(name, head, futures::stream::once(async move { Ok::<_, std::io::Error>(rows) }))
}

/// Reads a list from its newest row to its oldest, part by part; `read` gives the rows of a part and the
/// cursor of the next one.
pub fn parts<E, F>(read: impl Fn(Turn) -> F + Send) -> impl Stream<Item = Result<Vec<Row>, E>> + Send
where
    E: Send,
    F: Future<Output = Result<(Vec<Row>, Option<Cursor>), E>> + Send,
{
    futures::stream::unfold((read, Some(Turn::Newest)), |(read, turn)| async move {
        match read(turn?).await {
            Ok((rows, older)) => Some((Ok(rows), (read, older.map(Turn::Before)))),
            Err(error) => Some((Err(error), (read, None))),
        }
    })
}

fn encode(rows: &[Row]) -> Bytes {
    let mut text = String::new();
    for row in rows {
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            if cell.contains([',', '"', '\n', '\r']) {
                text.push('"');
                text.push_str(&cell.replace('"', "\"\""));
                text.push('"');
            } else {
                text.push_str(cell);
            }
        }
        text.push_str("\r\n");
    }
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_would_break_a_row_are_quoted() {
        let rows =
            [vec!["a".to_owned(), "b, \"c\"".to_owned()], vec!["line\nbreak".to_owned(), String::new()]];
        assert_eq!(encode(&rows), "a,\"b, \"\"c\"\"\"\r\n\"line\nbreak\",\r\n");
    }
}
