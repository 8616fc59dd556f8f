//! `tapedeck history`: the columnar segments of a tape's history; `tapedeck resample`: longer bars from files.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use domain::series::BarSeries;
use history::segments::{self, Listed, SegmentError, Segments};
use history::{HistoryError, Selection};

use crate::cli::{Global, HistoryCommand, Resample};
use crate::command::backtest::outputs;
use crate::command::{import, rejected};
use crate::exit::Failure;
use crate::home::{Home, Manifest};
use crate::output::Output;
use crate::session::Session;

const RESAMPLE_HELP: &str = "tapedeck resample --help";

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
    let dir = dir.ok_or_else(|| home.none_meant())?;
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
    let message = format!("{} segments are damaged; the next backtest reads them again, too", damaged.len());
    Err(Failure::diverged(message, "tapedeck history sync"))
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
    if output.json && options.out.is_none() {
        return Err(Failure::usage(
            "--json: expected --out FILE, for what goes to stdout is CSV",
            "tapedeck resample FILE --to 1h --out bars.csv --json",
        ));
    }
    let out = [("--out", options.out.as_deref())];
    outputs::apart(out, options.files.iter().map(|path| ("FILE", path.as_path())), RESAMPLE_HELP)?;
    outputs::check(out, RESAMPLE_HELP)?;
    let read = import::read_options(&options.format)?;
    import::check_stated(&options.files, &read, RESAMPLE_HELP)?;
    let selection = Selection { market: options.calendar, ..Selection::default() };
    let loaded = history::file::load("file", &options.files, &read, &selection)
        .map_err(|error| Failure::usage(error.to_string(), RESAMPLE_HELP))?;
    if let Some(file) = loaded.files_of_actions.first() {
        let message = format!("{}: a file of corporate actions, expected bars", file.display());
        return Err(Failure::usage(message, RESAMPLE_HELP));
    }
    let calendar = options.calendar.calendar();
    let series = loaded
        .data
        .series
        .iter()
        .map(|series| history::resample(series, options.to, calendar))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::usage(format!("--to: {error}"), RESAMPLE_HELP))?;
    let bars: usize = series.iter().map(BarSeries::len).sum();
    write(options.out.as_deref(), &series, &mut std::io::stdout().lock())?;
    rejected::print(&loaded.rejected, "", output);
    if output.json {
        return output.document(&serde_json::json!({
            "file": options.out, "timeframe": options.to.name(), "bars": bars, "rows": loaded.read,
            "rejected": loaded.rejected.len(),
        }));
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

/// Writes bars to a file or, without one, to `stdout`; that nobody reads there any more is no failure.
fn write(out: Option<&Path>, series: &[BarSeries], stdout: &mut dyn Write) -> Result<(), Failure> {
    let outcome = match out {
        Some(path) => history::file::save(path, series),
        None => history::file::write_text(stdout, series),
    };
    match outcome {
        Err(error) if out.is_none() && error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|error| {
            let to = out.map_or_else(|| "stdout".to_owned(), |path| path.display().to_string());
            Failure::other(format!("{to}: {error}"))
        }),
    }
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

#[cfg(test)]
mod tests {
    use domain::bar::Timeframe;
    use domain::calendar::Market;

    use super::*;

    /// A stream that takes nothing, for this reason.
    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_is_gone_is_no_failure_and_a_full_disk_is_one() {
        assert!(write(None, &[], &mut Closed(ErrorKind::BrokenPipe)).is_ok());
        let full = write(None, &[], &mut Closed(ErrorKind::StorageFull)).unwrap_err();
        assert!(full.code == 1 && full.message.starts_with("stdout: "), "{}", full.message);
    }

    #[test]
    fn bars_on_stdout_are_no_document() {
        let options = Resample {
            files: vec!["bars.csv".into()],
            to: Timeframe::D1,
            out: None,
            calendar: Market::Xnys,
            format: crate::cli::BarFormat::default(),
        };
        let output = Output { json: true, color: false, progress: false };
        let refused = resample(&options, output).unwrap_err();
        assert_eq!((refused.code, refused.hint.contains("--out")), (2, true), "{}", refused.message);
    }

    #[test]
    fn what_is_read_is_not_written_and_actions_are_no_bars() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let (bars, actions, days) = (place("bars.csv"), place("actions.csv"), place("days.csv"));
        let content = "symbol,timeframe,start_utc,open,high,low,close,volume\n\
                       SPY,1h,2020-01-02T15:00:00Z,1,2,1,2,5\n";
        std::fs::write(&bars, content).unwrap();
        std::fs::write(&actions, "symbol,ex_date,kind,value\nSPY,2020-01-02,split,2\n").unwrap();
        let of = |file: &Path, out: &Path| {
            let options = Resample {
                files: vec![file.to_owned()],
                to: Timeframe::D1,
                out: Some(out.to_owned()),
                calendar: Market::Xnys,
                format: crate::cli::BarFormat::default(),
            };
            let output = Output { json: false, color: false, progress: false };
            resample(&options, output).map_err(|failure| (failure.code, failure.message))
        };
        let same = format!("--out {}: the file of FILE too, expected another one", bars.display());
        assert_eq!(of(&bars, &bars), Err((2, same)));
        assert_eq!(std::fs::read_to_string(&bars).unwrap(), content, "it stays as it is");
        let other = format!("{}: a file of corporate actions, expected bars", actions.display());
        assert_eq!(of(&actions, &days), Err((2, other)));
        assert!(!days.exists());
        of(&bars, &days).unwrap();
        assert!(std::fs::read_to_string(&days).unwrap().contains("SPY,1d,2020-01-02T14:30:00Z,1,2,1,2,5"));
    }
}
