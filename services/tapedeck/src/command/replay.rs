//! `tapedeck replay`: the tape refolded, and every decision held against what follows from its inputs.

use std::sync::Arc;

use backtest::replay::{self, Counts, Divergence, Options, Problem, Report};
use domain::book::Book;
use projections::as_of::{AsOfError, Moment, Timeline};
use projections::queries;
use serde_json::Value;

use crate::cli::Replay;
use crate::command::tail;
use crate::exit::Failure;
use crate::output::Output;
use crate::services::clock_mode;
use crate::session::Session;

/// What mends a read model that is not the fold of the tape.
const REBUILD: &str = "tapedeck projection rebuild trading";

/// Replays a range of TRADING and says what was proved.
pub async fn run(session: &Session, options: &Replay, output: Output) -> Result<(), Failure> {
    let timeline = Timeline::kept_in(Arc::clone(&session.tape), Some(session.dir.books()));
    let from = match &options.from {
        Some(text) => first(&timeline, "--from", text).await?,
        None => 1,
    };
    let to = match &options.to {
        Some(text) => Some(last(&timeline, "--to", text).await?),
        None => None,
    };
    if to.is_some_and(|to| to < from) {
        let (from, to) = (options.from.as_deref().unwrap_or("1"), options.to.as_deref().unwrap_or_default());
        return Err(Failure::usage(
            format!("--to {to}: expected --from {from} or later"),
            "tapedeck replay --from 1 --to 1000",
        ));
    }
    let read_model = if options.verify { Some(read_model(session, to).await?) } else { None };
    let unproved = read_model.as_ref().and_then(standing);
    let wanted = Options { from, to, read_model, ..options_of(session)? };
    let report = replay::replay(&session.tape, wanted, |at, end| {
        output.progress(&format!("{at} of {end} events"));
    });
    let report = tokio::select! {
        report = report => report.map_err(|error| Failure::other(error.to_string()))?,
        () = session.interrupted() => return Err(Failure::interrupted()),
    };
    conclude(session, &report, output).await?;
    match unproved {
        Some(at) if report.read_model_at.is_none() => Err(Failure::mismatch(
            format!(
                "--verify: the read model is at TRADING {at}, where the tape has nothing to hold against it"
            ),
            REBUILD,
        )),
        None if options.verify => {
            output.note("--verify: there is no read model yet");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Where a read model stands; nowhere when nothing was folded into it.
fn standing(book: &Book) -> Option<u64> {
    (book.sequence() > 0 || book.accounts().next().is_some()).then(|| book.sequence())
}

/// Options of the whole tape.
pub(crate) fn options_of(session: &Session) -> Result<Options, Failure> {
    Ok(Options {
        clock: clock_mode(&session.manifest),
        calendar: session.manifest.market()?,
        fallback_account: session.config.account.keys().next().cloned().unwrap_or_default(),
        from: 1,
        to: None,
        read_model: None,
    })
}

async fn conclude(session: &Session, report: &Report, output: Output) -> Result<(), Failure> {
    let Some(divergence) = &report.divergence else {
        if output.json {
            return output.document(report);
        }
        print(report, output);
        return Ok(());
    };
    // The chain is what helps to understand; that it cannot be shown hides nothing of the divergence.
    let chain = match divergence.chain_of.as_str() {
        "" => Vec::new(),
        id => tail::links(session, id).await.unwrap_or_default(),
    };
    if output.json {
        let mut document = serde_json::to_value(report).map_err(|error| Failure::other(error.to_string()))?;
        let chain: Result<Vec<Value>, Failure> = chain.iter().map(tail::record).collect();
        document["divergence"]["chain"] = Value::Array(chain?);
        output.document(&document)?;
    } else {
        explain(divergence, output);
        for recorded in &chain {
            output.line(&tail::line(recorded, output));
        }
    }
    let hint = if divergence.problem == Problem::ReadModel { REBUILD } else { "tapedeck tail --chain ID" };
    Err(Failure::diverged(headline(divergence), hint))
}

fn headline(divergence: &Divergence) -> String {
    let Divergence { kind, problem, sequence, event_id, .. } = divergence;
    let id = if event_id.is_empty() { String::new() } else { format!(" {event_id}") };
    format!("TRADING {sequence}: {kind}{id} {}", problem.words())
}

fn explain(divergence: &Divergence, output: Output) {
    output.line(&output.paint("1", &headline(divergence)));
    if !divergence.detail.is_empty() {
        output.line(&format!("  {}", divergence.detail));
    }
    let shown = |value: &Value| match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> = divergence
        .fields
        .iter()
        .map(|field| vec![field.field.clone(), shown(&field.recorded), shown(&field.derived)])
        .collect();
    if !rows.is_empty() {
        output.table(&["FIELD", "RECORDED", "DERIVED"], &rows);
    }
}

fn print(report: &Report, output: Output) {
    let Report { from, to, market_to, counts, open, .. } = report;
    let Counts { signals, warm_ups, decisions, order_events, fills, entries, marks, .. } = counts;
    output
        .line(&format!("TRADING {from} to {to}, MARKET to {market_to}: everything follows from its inputs"));
    let rows = [
        ("signals", signals, "bars, fills and registrations"),
        ("warm-ups", warm_ups, "MARKET as far as it was read"),
        ("risk decisions", decisions, "signal, book, prices and limits"),
        ("order events", order_events, "decisions, bars, actions and requests"),
        ("fills", fills, "orders and bars"),
        ("entries", entries, "corporate actions and bars"),
        ("marks", marks, "book and prices"),
    ];
    let mut cells: Vec<Vec<String>> = rows
        .iter()
        .map(|(what, count, of)| vec![(*what).to_owned(), count.to_string(), (*of).to_owned()])
        .collect();
    let inputs = [
        ("external signals", counts.external_signals),
        ("controls and deposits", counts.controls),
        ("broker answers", counts.broker_answers),
        ("parked", counts.parked),
    ];
    let taken = inputs.iter().filter(|(_, count)| *count > 0);
    cells.extend(
        taken.map(|(what, count)| vec![(*what).to_owned(), count.to_string(), "taken as it is".to_owned()]),
    );
    output.table(&["WHAT", "EVENTS", "FOLLOWS FROM"], &cells);
    if let Some(sequence) = report.read_model_at {
        output.line(&format!("the read model equals the fold at TRADING {sequence}"));
    }
    if *open > 0 {
        output.line(&format!("{open} not on the tape yet where the range ends"));
    }
    output.line(&format!(
        "{} orders, {} fills, {} events hashed",
        report.orders, report.fills, report.chain_events
    ));
    output.line(&format!("chain hash {}", report.chain_hash));
}

/// A text, or a dash where there is none.
pub(crate) fn text_or_dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

/// The read model's book, which the range must pass.
async fn read_model(session: &Session, to: Option<u64>) -> Result<Book, Failure> {
    let pool = session.reader().await?;
    let book = queries::load_book(&pool).await;
    pool.close().await;
    let book = book.map_err(|error| {
        if error.is_unreadable() {
            Failure::mismatch(error.to_string(), REBUILD)
        } else {
            Failure::unreachable(error.to_string())
        }
    })?;
    if let Some(to) = to.filter(|to| *to < book.sequence()) {
        let at = book.sequence();
        return Err(Failure::usage(
            format!("--verify: the read model is at TRADING {at}, expected at most --to, which is {to}"),
            "tapedeck replay --verify",
        ));
    }
    Ok(book)
}

/// A moment as an event's sequence or an instant.
pub(crate) fn moment(option: &str, text: &str) -> Result<Moment, Failure> {
    let parsed = match text.parse::<u64>() {
        Ok(sequence) => Ok(Moment::Sequence(sequence)),
        Err(_) => text.parse::<Moment>(),
    };
    parsed.map_err(|_| {
        Failure::usage(
            format!("{option} {text:?}: expected a sequence of TRADING or an instant (RFC 3339)"),
            "tapedeck replay --from 1200, or --from 2020-01-02T15:30:00Z",
        )
    })
}

/// The first sequence at or after a moment.
async fn first(timeline: &Timeline, option: &str, text: &str) -> Result<u64, Failure> {
    let asked = moment(option, text)?;
    let head = timeline.head().await?;
    let sequence = match asked {
        Moment::Sequence(sequence) => sequence,
        Moment::Instant(ns) => reach(timeline, Moment::Instant(ns.saturating_sub(1))).await? + 1,
    };
    // Nothing of an empty tape is nothing that could have gone apart.
    if sequence > head.max(1) {
        return Err(Failure::usage(
            format!(
                "{option} {text:?}: expected a moment of the tape, whose last event on TRADING is {head}"
            ),
            "tapedeck replay",
        ));
    }
    Ok(sequence)
}

/// The last sequence at or before a moment.
async fn last(timeline: &Timeline, option: &str, text: &str) -> Result<u64, Failure> {
    reach(timeline, moment(option, text)?).await
}

/// Last sequence of a moment.
pub(crate) async fn reach(timeline: &Timeline, moment: Moment) -> Result<u64, Failure> {
    match timeline.at(moment).await {
        Ok(past) => Ok(past.sequence()),
        Err(AsOfError::Future { asked, head, .. }) => Err(Failure::usage(
            format!("sequence {asked}: expected at most {head}, the last event on TRADING"),
            "tapedeck replay",
        )),
        Err(AsOfError::Tape(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_sequence_or_an_instant_and_anything_else_is_named() {
        assert!(matches!(moment("--from", "12"), Ok(Moment::Sequence(12))));
        assert!(matches!(moment("--from", "seq:12"), Ok(Moment::Sequence(12))));
        assert!(matches!(moment("--from", "1970-01-01T00:00:01Z"), Ok(Moment::Instant(1_000_000_000))));
        let refused = moment("--to", "yesterday").unwrap_err();
        assert_eq!((refused.code, refused.message.contains("--to \"yesterday\"")), (2, true));
    }
}
