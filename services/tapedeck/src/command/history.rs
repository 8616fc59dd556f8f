//! `tapedeck history`: the columnar segments of a tape's history; `tapedeck resample`: longer bars from files.

use std::path::{Path, PathBuf};
use std::time::Instant;

use history::segments::{self, Listed, SegmentError, Segments};
use history::{HistoryError, Selection};

use crate::cli::{Global, HistoryCommand, Resample};
use crate::command::import;
use crate::exit::Failure;
use crate::home::{Home, Manifest};
use crate::output::Output;
use crate::session::Session;

/// Rejected rows shown to a person.
const REJECTED_SHOWN: usize = 20;

/// Where a tape keeps its segments.
pub fn dir_of(tape: &Path) -> PathBuf {
    tape.join("segments")
}

/// The segments of the tape that is meant, found without its servers, and what the tape is.
pub fn offline_tape(global: &Global) -> Result<(PathBuf, Manifest), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    let dir = match &global.tape {
        Some(name) => Some(home.tape(name)?),
        None => home.last(),
    };
    let missing = || Failure::not_found("there is no tape yet", "tapedeck up, or tapedeck import FILE");
    let dir = dir.ok_or_else(missing)?;
    let Some(manifest) = dir.manifest()? else {
        return Err(Failure::not_found(
            format!("tape {:?} does not exist", dir.name),
            "tapedeck up --tape NAME",
        ));
    };
    Ok((dir_of(&dir.path), manifest))
}

/// What needs no server: the files alone.
pub fn offline(global: &Global, command: HistoryCommand, output: Output) -> Result<(), Failure> {
    let segments = segments::open(&offline_tape(global)?.0).map_err(failure)?;
    match command {
        HistoryCommand::Clear => clear(&segments, output),
        HistoryCommand::Verify => verify(&segments, output),
        HistoryCommand::List | HistoryCommand::Sync => list(&segments.list().map_err(failure)?, output),
    }
}

/// `history sync`.
pub async fn sync(session: &Session, output: Output) -> Result<(), Failure> {
    let segments = segments::open(&dir_of(&session.dir.path)).map_err(failure)?;
    let stats = tokio::select! {
        stats = segments.catch_up(&session.tape) => stats.map_err(history_failure)?,
        () = session.interrupted() => return Err(Failure::interrupted()),
    };
    if output.json {
        return output.document(&stats);
    }
    stats.notes.iter().for_each(|note| output.note(note));
    output.line(&format!(
        "read {} messages, {} bars, wrote {} segments ({} merged), up to MARKET {}; {:.2} s, {:.0} messages/s",
        stats.messages,
        stats.bars,
        stats.written,
        stats.merged,
        stats.last_sequence,
        stats.seconds,
        stats.messages as f64 / stats.seconds.max(f64::MIN_POSITIVE)
    ));
    Ok(())
}

fn list(listed: &[Listed], output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&listed);
    }
    let mut rows = Vec::new();
    for segment in listed {
        let range = format!("{}–{}", segment.file.first, segment.file.last);
        let size = format!("{:.1}", segment.bytes as f64 / 1e6);
        let Some(content) = &segment.content else {
            let damage = segment.damage.clone().unwrap_or_default();
            rows.push(vec![range, size, damage, String::new(), String::new(), String::new()]);
            continue;
        };
        for (number, batch) in content.batches.iter().enumerate() {
            let first = number == 0;
            let other = if batch.replaced { "(replaced)" } else { "(revisions)" };
            rows.push(vec![
                if first { range.clone() } else { String::new() },
                if first { size.clone() } else { String::new() },
                format!("{} {}", batch.symbol, batch.timeframe),
                batch.source.clone().unwrap_or_else(|| other.to_owned()),
                batch.rows.to_string(),
                format!("{} to {}", shown(batch.first_close_ns), shown(batch.last_close_ns)),
            ]);
        }
    }
    output.table(&["MARKET", "MB", "SERIES", "SOURCE", "BARS", "CLOSES (UTC)"], &rows);
    if listed.is_empty() {
        output.note("no segments yet; `tapedeck history sync` reads the tape");
    }
    Ok(())
}

fn verify(segments: &Segments, output: Output) -> Result<(), Failure> {
    let listed = segments.verify().map_err(failure)?;
    let damaged: Vec<&Listed> = listed.iter().filter(|segment| segment.damage.is_some()).collect();
    if output.json {
        output.document(&listed)?;
    } else {
        for segment in &damaged {
            output.line(segment.damage.as_deref().unwrap_or_default());
        }
        output.line(&format!("{} segments compared, {} damaged", listed.len(), damaged.len()));
    }
    if damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::other(format!(
        "{} segments are damaged; `tapedeck history sync` or the next backtest reads them again from the tape",
        damaged.len()
    )))
}

fn clear(segments: &Segments, output: Output) -> Result<(), Failure> {
    let removed = segments.clear().map_err(failure)?;
    if output.json {
        return output.document(&serde_json::json!({ "removed": removed }));
    }
    output.line(&format!("{removed} segments removed; nothing is lost, the tape holds it all"));
    Ok(())
}

/// `tapedeck resample`.
pub fn resample(options: &Resample, output: Output) -> Result<(), Failure> {
    let began = Instant::now();
    let read = import::read_options(&options.format)?;
    import::check_stated(&options.files, &read, "tapedeck resample --help")?;
    let selection = Selection { market: options.calendar, ..Selection::default() };
    let loaded = history::file::load("file", &options.files, &read, &selection)
        .map_err(|error| Failure::usage(error.to_string(), "tapedeck resample --help"))?;
    let calendar = options.calendar.calendar();
    let series = loaded
        .data
        .series
        .iter()
        .map(|series| history::resample(series, options.to, calendar))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::usage(format!("--to: {error}"), "tapedeck resample --help"))?;
    let bars: usize = series.iter().map(domain::series::BarSeries::len).sum();
    match &options.out {
        Some(path) => history::file::save(path, &series),
        None => history::file::write_text(&mut std::io::stdout().lock(), &series),
    }
    .map_err(|error| {
        let to = options.out.as_ref().map_or("stdout".into(), |path| path.display().to_string());
        Failure::other(format!("{to}: {error}"))
    })?;
    for row in loaded.rejected.iter().take(REJECTED_SHOWN) {
        let file = row.file.as_deref().map_or_else(String::new, |file| format!("{file} "));
        output.note(&format!("{file}line {}: {} = {:?}: {}", row.line, row.field, row.value, row.reason));
    }
    output.progress(&format!(
        "{} bars from {} rows, {} rejected; {:.2} s",
        bars,
        loaded.read,
        loaded.rejected.len(),
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn shown(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).format("%Y-%m-%d %H:%M").to_string()
}

fn failure(error: SegmentError) -> Failure {
    Failure::other(error.to_string())
}

pub fn history_failure(error: HistoryError) -> Failure {
    match error {
        HistoryError::Log(error) => error.into(),
        other => Failure::other(other.to_string()),
    }
}
