//! `tapedeck tail`: events as they pass.

use contracts::stream;
use event_log::{Delivery, Moment, Recorded, Tape, first_at};
use projections::Link;

use crate::cli::Tail;
use crate::command::parked::hex;
use crate::exit::Failure;
use crate::output::{Output, one_line};
use crate::render;
use crate::session::Session;

/// Following live, a reader this far behind the head jumps there and says how many it skipped.
const LAG_MAX: u64 = 20_000;
/// Silence after which the tape is asked whether it is there.
const LOOK_AFTER: std::time::Duration = std::time::Duration::from_secs(5);

/// Prints events of one stream, or of one chain.
pub async fn run(session: &Session, options: &Tail, output: Output) -> Result<(), Failure> {
    if let Some(id) = &options.chain {
        return chain(session, id, output).await;
    }
    let (stream, filters) = streams(&options.subject)?;
    let state = session.tape.state(stream).await?;
    let explicit = options.from_seq.is_some() || options.since.is_some() || options.no_follow;
    let from = match (&options.from_seq, &options.since) {
        (Some(sequence), _) => beginning(stream, *sequence, state.last_sequence, !options.no_follow)?,
        (_, Some(since)) => first_at(&session.tape, stream, Moment::Recorded, parse_since(since)?).await?,
        _ if options.no_follow => 1,
        _ => state.last_sequence + 1,
    };
    follow(session, stream, &filters, from, explicit, options, output).await
}

/// The sequence to begin at, held against the end of the stream; whoever follows may wait for the one after it.
fn beginning(stream: &str, sequence: u64, last: u64, follows: bool) -> Result<u64, Failure> {
    let most = if follows { last.saturating_add(1) } else { last };
    // A stream that holds nothing has no end to name.
    if sequence <= most.max(1) {
        return Ok(sequence);
    }
    Err(Failure::usage(
        format!("--from-seq {sequence}: expected at most {most}, for {stream} ends at {last}"),
        "tapedeck tail --from-seq 1",
    ))
}

/// The one stream that all filters belong to.
fn streams(subjects: &[String]) -> Result<(&'static str, Vec<String>), Failure> {
    let Some(first) = subjects.first() else { return Ok((stream::TRADING, Vec::new())) };
    let of = |subject: &str| {
        contracts::stream_of(subject).filter(|_| event_log::is_well_formed(subject)).ok_or_else(|| {
            Failure::usage(
                format!("--subject {subject:?}: expected a subject or filter of one of the tape's streams"),
                "tapedeck tail --subject 'order.>'",
            )
        })
    };
    let stream = of(first)?;
    for subject in subjects {
        let other = of(subject)?;
        if other != stream {
            let message = format!("--subject {subject:?}: of {other}, expected one of {stream} as {first:?}");
            return Err(Failure::usage(message, "run one tail per stream"));
        }
    }
    Ok((stream, subjects.to_vec()))
}

async fn follow(
    session: &Session,
    stream: &'static str,
    filters: &[String],
    from: u64,
    explicit: bool,
    options: &Tail,
    output: Output,
) -> Result<(), Failure> {
    let tape = &session.tape;
    let mut left = options.limit.unwrap_or(u64::MAX);
    let end = if options.no_follow { last_under(tape, stream, filters).await? } else { u64::MAX };
    if end < from {
        return Ok(());
    }
    let mut reader = tape.read(stream, filters, from).await?;
    let mut checked = 0u64;
    loop {
        let batch = tokio::select! {
            batch = reader.batch(1_000) => batch?,
            () = session.interrupted() => return Ok(()),
            gone = silence(tape, stream) => {
                if options.no_follow {
                    return Err(gone);
                }
                // Its servers may come back, and the reader with them.
                output.note(&format!("waiting: {}", gone.message));
                reader.batch(1_000).await?
            }
        };
        let mut at = 0;
        for delivery in batch {
            at = delivery.sequence();
            if at > end || left == 0 {
                return Ok(());
            }
            print(&delivery, output)?;
            left -= 1;
        }
        if at >= end || left == 0 {
            return Ok(());
        }
        checked += 1;
        // Only a live tail may skip; someone who named a beginning wants everything from there.
        if !explicit && checked.is_multiple_of(16) {
            let head = tape.state(stream).await?.last_sequence;
            if head.saturating_sub(at) > LAG_MAX {
                output.note(&format!("skipped {} events", head - at));
                reader = tape.read(stream, filters, head + 1).await?;
            }
        }
    }
}

/// Ends when nothing has come for a while and the tape does not answer either: a reader waits for it without end.
async fn silence(tape: &Tape, stream: &str) -> Failure {
    loop {
        tokio::time::sleep(LOOK_AFTER).await;
        if let Err(error) = tape.state(stream).await {
            return Failure::unreachable(format!("the tape does not answer any more: {error}"));
        }
    }
}

async fn last_under(tape: &Tape, stream: &str, filters: &[String]) -> Result<u64, Failure> {
    if filters.is_empty() {
        return Ok(tape.state(stream).await?.last_sequence);
    }
    let mut end = 0;
    for filter in filters {
        // Whether or not the last one is an event.
        end = end.max(tape.last_sequence(stream, filter).await?);
    }
    Ok(end)
}

fn print(delivery: &Delivery, output: Output) -> Result<(), Failure> {
    match delivery {
        Delivery::Event(recorded) if output.json => output.record(&record(recorded)?),
        Delivery::Event(recorded) => {
            output.line(&line(recorded, output));
            Ok(())
        }
        Delivery::Undecodable { sequence, subject, payload, error } if output.json => {
            output.record(&undecodable(*sequence, subject, payload, error))
        }
        Delivery::Undecodable { sequence, subject, error, .. } => {
            output.line(&format!("{sequence:>9}  {subject}  undecodable: {error}"));
            Ok(())
        }
    }
}

pub(crate) fn line(recorded: &Recorded, output: Output) -> String {
    let ns = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp).unwrap_or_default();
    format!(
        "{:>9}  {}  {}",
        recorded.sequence,
        output.paint("2", &render::time(ns)),
        one_line(&render::summary(&recorded.event))
    )
}

pub(crate) fn record(recorded: &Recorded) -> Result<serde_json::Value, Failure> {
    let event: serde_json::Value =
        serde_json::to_value(&recorded.event).map_err(|error| Failure::other(error.to_string()))?;
    Ok(serde_json::json!({
        "sequence": recorded.sequence, "subject": recorded.subject, "event": event,
    }))
}

/// A message that is no event: why, and its payload as `parked show` has it.
fn undecodable(
    sequence: u64,
    subject: &str,
    payload: &[u8],
    why: &dyn std::fmt::Display,
) -> serde_json::Value {
    serde_json::json!({
        "sequence": sequence, "subject": subject, "undecodable": why.to_string(), "payload_hex": hex(payload),
    })
}

/// A moment (RFC 3339) or an age (`30s`, `5m`, `2h`, `1d`), as UTC nanoseconds.
pub(crate) fn parse_since(text: &str) -> Result<i64, Failure> {
    let refused = || {
        Failure::usage(
            format!("--since {text:?}: expected a time such as 2026-01-02T15:00:00Z or an age such as 5m"),
            "tapedeck tail --since 5m",
        )
    };
    if let Ok(moment) = chrono::DateTime::parse_from_rfc3339(text) {
        return moment.timestamp_nanos_opt().ok_or_else(refused);
    }
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(refused()),
    };
    let age = number
        .parse::<i64>()
        .ok()
        .filter(|number| *number >= 0)
        .and_then(|number| number.checked_mul(seconds)?.checked_mul(1_000_000_000))
        .ok_or_else(refused)?;
    Ok(runtime::now_ns().saturating_sub(age))
}

/// Prints the chain that `id` belongs to: its bar, the signal, and everything that followed.
async fn chain(session: &Session, id: &str, output: Output) -> Result<(), Failure> {
    let links = links(session, id).await?;
    if links.is_empty() {
        return Err(Failure::not_found(
            format!("no event {id} on TRADING, and nothing there followed from it"),
            "tapedeck tail --no-follow --json",
        ));
    }
    for recorded in links {
        print(&Delivery::Event(recorded), output)?;
    }
    Ok(())
}

/// The chain that `id` belongs to; empty when there is none.
pub(crate) async fn links(session: &Session, id: &str) -> Result<Vec<Recorded>, Failure> {
    let pool = session.reader().await?;
    let links = projections::trace(&pool, &session.tape, id).await;
    pool.close().await;
    let links = links.map_err(|error| Failure::unreachable(error.to_string()))?;
    let recorded =
        |Link { stored, event, .. }| Recorded { sequence: stored.sequence, subject: stored.subject, event };
    Ok(links.into_iter().map(recorded).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_beyond_the_end_of_the_stream_is_refused_before_anything_is_read() {
        let code = |sequence, last, follows| match beginning("TRADING", sequence, last, follows) {
            Ok(_) => 0,
            Err(failure) => failure.code,
        };
        assert_eq!([code(9, 9, true), code(10, 9, true), code(11, 9, true)], [0, 0, 2]);
        assert_eq!([code(9, 9, false), code(10, 9, false)], [0, 2]);
        assert_eq!([code(1, 0, true), code(1, 0, false), code(2, 0, false)], [0, 0, 2]);
        let refused = beginning("TRADING", 99, 9, true).unwrap_err();
        assert_eq!(refused.message, "--from-seq 99: expected at most 10, for TRADING ends at 9");
    }

    #[test]
    fn subjects_of_two_streams_are_refused_by_name() {
        let asked =
            |subjects: &[&str]| streams(&subjects.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
        assert_eq!(asked(&["order.>", "fill.>"]).unwrap().0, stream::TRADING);
        let refused = asked(&["order.>", "market.>"]).unwrap_err();
        assert_eq!(
            refused.message,
            "--subject \"market.>\": of MARKET, expected one of TRADING as \"order.>\""
        );
    }
}
