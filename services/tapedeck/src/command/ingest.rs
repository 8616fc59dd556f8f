//! `tapedeck ingest`: what came onto the tape, by source.

use ingest::status::{Gap, SeriesStatus, status};

use crate::cli::IngestCommand;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Gaps of a series that are shown to a person; `--json` has them all.
const GAPS_SHOWN: usize = 3;

/// Lists each source's series.
pub async fn run(session: &Session, command: &IngestCommand, output: Output) -> Result<(), Failure> {
    let IngestCommand::Status { source, symbols } = command;
    let mut found = status(&session.tape).await?;
    found.retain(|series| {
        source.as_ref().is_none_or(|source| series.source == *source)
            && (symbols.is_empty()
                || symbols.iter().any(|symbol| symbol.eq_ignore_ascii_case(&series.symbol)))
    });
    if output.json {
        return output.document(&found);
    }
    let header = ["SOURCE", "SYMBOL", "TF", "BARS", "FIRST CLOSE", "LAST CLOSE", "LAST APPEND", "GAPS"];
    output.table(&header, &found.iter().map(cells).collect::<Vec<_>>());
    Ok(())
}

fn cells(series: &SeriesStatus) -> Vec<String> {
    let appended = match series.last_append_ns {
        0 => "unknown".to_owned(),
        // Nanoseconds tell nobody anything here.
        ns => time(ns / 1_000_000_000 * 1_000_000_000),
    };
    vec![
        series.source.clone(),
        series.symbol.clone(),
        series.timeframe.clone(),
        series.bars.to_string(),
        time(series.first_close_ns),
        time(series.last_close_ns),
        appended,
        gaps(&series.gaps),
    ]
}

/// How many sessions are missing, and the first gaps.
fn gaps(gaps: &[Gap]) -> String {
    let missing: u32 = gaps.iter().map(|gap| gap.sessions).sum();
    if missing == 0 {
        return "none".to_owned();
    }
    let shown = gaps.iter().take(GAPS_SHOWN).map(|gap| match gap.sessions {
        1 => gap.from.to_string(),
        _ => format!("{} to {}", gap.from, gap.to),
    });
    let more = if gaps.len() > GAPS_SHOWN { ", …" } else { "" };
    format!("{missing} sessions: {}{more}", shown.collect::<Vec<_>>().join(", "))
}
