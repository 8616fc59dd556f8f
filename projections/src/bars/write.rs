//! Writing bars: COPY for many new ones, one statement for few and for restatements.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::batch::Segment;
use super::{BARS, SERIES, bar_columns};
use crate::table::{Cell, Column, Kind, bind, column, selected, unnest};
use crate::write::{Guard, Target};

/// Fewer rows are written in one round trip; COPY takes several.
const COPY_ROWS_MIN: usize = 256;
/// Bytes handed to the server at a time, so that it works while the next ones are written down.
const COPY_CHUNK_BYTES: usize = 64 * 1024;

/// Writes segments and moves the checkpoint, both or neither. `false`: the checkpoint was not where the
/// guard expects it, and nothing was written.
pub(crate) async fn write(
    connection: &mut PgConnection,
    target: &mut Target,
    guard: &Guard,
    segments: Vec<Segment>,
) -> Result<bool, sqlx::Error> {
    if let [segment] = segments.as_slice()
        && segment.rows.len() < COPY_ROWS_MIN
        && target.keyed
    {
        return restate(connection, &target.schema, guard, segment).await;
    }
    if let Guard::Held = guard {
        write_segments(connection, target, segments).await?;
        return Ok(true);
    }
    let mut transaction = connection.begin().await?;
    if !crate::write::advance(&mut transaction, guard).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    write_segments(&mut transaction, target, segments).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn write_segments(
    connection: &mut PgConnection,
    target: &mut Target,
    segments: Vec<Segment>,
) -> Result<(), sqlx::Error> {
    for mut segment in segments {
        if !target.keyed {
            if segment.fresh {
                copy_rows(connection, &target.schema, &segment).await?;
                add_series(connection, &target.schema, &mut segment).await?;
                continue;
            }
            target.key(connection).await?;
        }
        let copied = segment.rows.len() >= COPY_ROWS_MIN
            && !segment.revises
            && copy(connection, &target.schema, &mut segment).await?;
        if !copied {
            restate(connection, &target.schema, &Guard::Held, &segment).await?;
        }
    }
    Ok(())
}

/// Copies a segment of bars that are all new. `false`: one of them is not, and nothing was written.
async fn copy(
    connection: &mut PgConnection,
    schema: &str,
    segment: &mut Segment,
) -> Result<bool, sqlx::Error> {
    let mut savepoint = connection.begin().await?;
    match copy_rows(&mut savepoint, schema, segment).await {
        Ok(()) => {}
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            savepoint.rollback().await?;
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    add_series(&mut savepoint, schema, segment).await?;
    savepoint.commit().await?;
    Ok(true)
}

/// Adds new bars to their series.
async fn add_series(
    connection: &mut PgConnection,
    schema: &str,
    segment: &mut Segment,
) -> Result<(), sqlx::Error> {
    let names: Vec<&str> = SERIES.columns.iter().map(|column| column.name).collect();
    let statement = format!(
        "INSERT INTO {schema}.series ({}) SELECT {} FROM {} {}",
        names.join(", "),
        selected(SERIES.columns),
        unnest(SERIES.columns, 1),
        series_merge("series")
    );
    let series = std::mem::take(&mut segment.series);
    bind(sqlx::query(AssertSqlSafe(statement)), SERIES.columns, series).execute(connection).await?;
    Ok(())
}

async fn copy_rows(
    connection: &mut PgConnection,
    schema: &str,
    segment: &Segment,
) -> Result<(), sqlx::Error> {
    let names: Vec<&str> = BARS.columns.iter().map(|column| column.name).collect();
    let statement = format!("COPY {schema}.bars ({}) FROM STDIN WITH (FORMAT binary)", names.join(", "));
    let mut copy = connection.copy_in_raw(&statement).await?;
    let mut chunk = Vec::with_capacity(COPY_CHUNK_BYTES + 1024);
    chunk.extend_from_slice(super::copy::HEADER);
    for row in &segment.rows {
        row.copy_into(&mut chunk);
        if chunk.len() >= COPY_CHUNK_BYTES {
            copy.send(chunk.as_slice()).await?;
            chunk.clear();
        }
    }
    chunk.extend_from_slice(super::copy::TRAILER);
    copy.send(chunk.as_slice()).await?;
    copy.finish().await?;
    Ok(())
}

fn series_merge(series: &str) -> String {
    format!(
        "ON CONFLICT (symbol, timeframe) DO UPDATE SET bars = {series}.bars + EXCLUDED.bars,
         first_close_ns = LEAST({series}.first_close_ns, EXCLUDED.first_close_ns),
         last_close_ns = GREATEST({series}.last_close_ns, EXCLUDED.last_close_ns),
         live_close_ns = GREATEST({series}.live_close_ns, EXCLUDED.live_close_ns),
         live_since_ns = LEAST({series}.live_since_ns, EXCLUDED.live_since_ns),
         sequence = EXCLUDED.sequence"
    )
}

/// Columns that only a restatement needs, after those of `bars`.
const RESTATED: [Column; 3] =
    [column("revises", Kind::Text), column("length_ns", Kind::Int), column("stated_ns", Kind::Int)];

/// Writes a segment of which some bars may be known: each is inserted, or replaces what is there and
/// leaves the old values in `revisions`. One statement, one round trip.
async fn restate(
    connection: &mut PgConnection,
    schema: &str,
    guard: &Guard,
    segment: &Segment,
) -> Result<bool, sqlx::Error> {
    let first = guard.parameters() + 1;
    let columns: Vec<Column> = bar_columns().iter().chain(&RESTATED).copied().collect();
    let cells: Vec<Vec<Cell>> = segment.rows.iter().map(super::batch::BarRow::cells).collect();
    let source = unnest(&columns, first);
    let casted = selected(bar_columns());
    let names: Vec<&str> = bar_columns().iter().map(|column| column.name).collect();
    let names = names.join(", ");
    let replaced: Vec<String> = bar_columns()
        .iter()
        .filter(|column| !column.once && !BARS.key.contains(&column.name))
        .map(|column| format!("{0} = EXCLUDED.{0}", column.name))
        .collect();
    let replaced = replaced.join(", ");
    // A revision names its bar by start; only when that bar is unknown does the close said here count. What a bar is
    // known behind is the newest of its series before it: of the rows written before, and of those of this segment.
    let statement = format!(
        "WITH guard AS ({guard}),
        stated AS MATERIALIZED (SELECT {casted}, u.revises, u.length_ns, u.stated_ns FROM guard, {source}),
        placed AS MATERIALIZED (
            SELECT s.*, COALESCE(known.close_ns, s.close_ns) AS at_ns
            FROM stated s LEFT JOIN LATERAL (
                SELECT b.close_ns FROM {schema}.bars b
                WHERE s.revises IS NOT NULL AND b.symbol = s.symbol AND b.timeframe = s.timeframe
                  AND b.close_ns > s.start_ns AND b.close_ns <= s.start_ns + s.length_ns
                  AND b.start_ns = s.start_ns
                ORDER BY b.close_ns LIMIT 1
            ) known ON true
        ),
        compared AS MATERIALIZED (
            SELECT p.*, old.sequence AS old_sequence, old.event_id AS old_event_id, old.open AS old_open,
                   old.high AS old_high, old.low AS old_low, old.close AS old_close, old.volume AS old_volume,
                   old.start_ns AS old_start_ns, old.vwap AS old_vwap, old.origin AS old_origin,
                   GREATEST(p.stated_ns, before.last_close_ns, max(p.at_ns) OVER (
                       PARTITION BY p.symbol, p.timeframe ORDER BY p.sequence
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS known_ns
            FROM placed p
            LEFT JOIN {schema}.series before ON before.symbol = p.symbol AND before.timeframe = p.timeframe
            LEFT JOIN LATERAL (
                SELECT b.* FROM {schema}.bars b
                WHERE b.symbol = p.symbol AND b.timeframe = p.timeframe AND b.close_ns = p.at_ns
            ) old ON true
        ),
        kept AS (
            INSERT INTO {schema}.revisions
            SELECT sequence, event_id, COALESCE(revises, old_event_id, ''), symbol, timeframe, at_ns, start_ns,
                   open, high, low, close, volume, old_sequence, old_event_id, old_open, old_high, old_low,
                   old_close, old_volume, old_start_ns, old_vwap, old_origin, known_ns
            FROM compared WHERE old_sequence IS NOT NULL OR revises IS NOT NULL
        ),
        put AS (
            INSERT INTO {schema}.bars AS bars ({names})
            SELECT symbol, timeframe, at_ns, start_ns, open, high, low, close, volume, vwap, trade_count, origin,
                   event_id, first_sequence, sequence FROM compared
            ON CONFLICT (symbol, timeframe, close_ns) DO UPDATE SET {replaced}
        ),
        reached AS (
            INSERT INTO {schema}.series AS series (symbol, timeframe, bars, first_close_ns, last_close_ns, sequence,
                live_close_ns, live_since_ns)
            SELECT symbol, timeframe, count(*) FILTER (WHERE old_sequence IS NULL), min(at_ns), max(at_ns),
                   max(sequence), max(at_ns) FILTER (WHERE origin IN ('live', 'rehearsal')),
                   min(at_ns) FILTER (WHERE origin IN ('live', 'rehearsal'))
            FROM compared GROUP BY symbol, timeframe {merge}
        )
        SELECT count(*) FROM guard",
        guard = guard.statement(),
        merge = series_merge("series"),
    );
    let query = guard.bind(sqlx::query(AssertSqlSafe(statement)));
    crate::write::passed(connection, bind(query, &columns, cells)).await
}
