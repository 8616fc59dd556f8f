//! `tapedeck tail`: events as they pass.

use contracts::stream;
use contracts::v1::Event;
use event_log::{Delivery, Recorded, Tape};

use crate::cli::Tail;
use crate::exit::Failure;
use crate::output::Output;
use crate::render;
use crate::session::Session;

/// Following live, a reader this far behind the head jumps there and says how many it skipped.
const LAG_MAX: u64 = 20_000;

/// Prints events of one stream, or of one chain.
pub async fn run(session: &Session, options: &Tail, output: Output) -> Result<(), Failure> {
    if let Some(id) = &options.chain {
        return chain(&session.tape, id, output).await;
    }
    let (stream, filters) = streams(&options.subject)?;
    let state = session.tape.state(stream).await?;
    let explicit = options.from_seq.is_some() || options.since.is_some() || options.no_follow;
    let from = match (&options.from_seq, &options.since) {
        (Some(sequence), _) => *sequence,
        (_, Some(since)) => sequence_since(&session.tape, stream, parse_since(since)?).await?,
        _ if options.no_follow => 1,
        _ => state.last_sequence + 1,
    };
    follow(session, stream, &filters, from, explicit, options, output).await
}

/// The one stream that all filters belong to.
fn streams(subjects: &[String]) -> Result<(&'static str, Vec<String>), Failure> {
    let Some(first) = subjects.first() else { return Ok((stream::TRADING, Vec::new())) };
    let of = |subject: &str| {
        contracts::stream_of(subject).ok_or_else(|| {
            Failure::usage(
                format!("subject {subject:?} is on no stream of the tape"),
                "tapedeck tail --subject 'order.>'",
            )
        })
    };
    let stream = of(first)?;
    for subject in subjects {
        if of(subject)? != stream {
            return Err(Failure::usage("the subjects are on different streams", "run one tail per stream"));
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

async fn last_under(tape: &Tape, stream: &str, filters: &[String]) -> Result<u64, Failure> {
    if filters.is_empty() {
        return Ok(tape.state(stream).await?.last_sequence);
    }
    let mut end = 0;
    for filter in filters {
        end = end.max(tape.last(stream, filter).await?.map_or(0, |last| last.sequence));
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
        Delivery::Undecodable { sequence, subject, error, .. } => {
            output.line(&format!("{sequence:>9}  {subject}  undecodable: {error}"));
            Ok(())
        }
    }
}

fn line(recorded: &Recorded, output: Output) -> String {
    let ns = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp).unwrap_or_default();
    format!(
        "{:>9}  {}  {}",
        recorded.sequence,
        output.paint("2", &render::time(ns)),
        render::summary(&recorded.event)
    )
}

fn record(recorded: &Recorded) -> Result<serde_json::Value, Failure> {
    let event: serde_json::Value =
        serde_json::to_value(&recorded.event).map_err(|error| Failure::other(error.to_string()))?;
    Ok(serde_json::json!({
        "sequence": recorded.sequence, "subject": recorded.subject, "event": event,
    }))
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

/// The first sequence recorded at or after `ns`: a binary search by recorded time.
async fn sequence_since(tape: &Tape, stream: &str, ns: i64) -> Result<u64, Failure> {
    let state = tape.state(stream).await?;
    let (mut low, mut high) = (state.first_sequence.max(1), state.last_sequence + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let recorded = tape
            .get(stream, middle)
            .await?
            .and_then(|event| event.event.recorded_time.as_ref().and_then(contracts::from_timestamp));
        // A message without a time (removed, or not an event) counts as old: the search stays inside.
        if recorded.is_some_and(|recorded| recorded >= ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// Prints the chain that `id` belongs to: its bar, then everything that shares its correlation id.
async fn chain(tape: &Tape, id: &str, output: Output) -> Result<(), Failure> {
    let events = read_all(tape, stream::TRADING).await?;
    let correlation = events
        .iter()
        .find(|recorded| recorded.event.id == id || recorded.event.correlation_id == id)
        .map(|recorded| root_of(&recorded.event))
        .ok_or_else(|| {
            Failure::not_found(format!("no event {id} on TRADING"), "tapedeck tail --no-follow --json")
        })?;
    let members: Vec<&Recorded> =
        events.iter().filter(|recorded| root_of(&recorded.event) == correlation).collect();
    let basis = members
        .iter()
        .flat_map(|recorded| &recorded.event.basis)
        .filter(|basis| basis.stream == stream::MARKET)
        .map(|basis| basis.sequence)
        .min();
    if let Some(sequence) = basis
        && let Some(bar) = find_bar(tape, sequence, &correlation).await?
    {
        print(&Delivery::Event(bar), output)?;
    }
    for recorded in members {
        print(&Delivery::Event(recorded.clone()), output)?;
    }
    Ok(())
}

fn root_of(event: &Event) -> String {
    if event.correlation_id.is_empty() { event.id.clone() } else { event.correlation_id.clone() }
}

/// The bar `id` stands at or shortly before the MARKET sequence that its signal had read.
async fn find_bar(tape: &Tape, sequence: u64, id: &str) -> Result<Option<Recorded>, Failure> {
    const LOOK_BACK: u64 = 1_000;
    for at in (sequence.saturating_sub(LOOK_BACK).max(1)..=sequence).rev() {
        if let Some(recorded) = tape.get(stream::MARKET, at).await?
            && recorded.event.id == id
        {
            return Ok(Some(recorded));
        }
    }
    Ok(None)
}

async fn read_all(tape: &Tape, stream: &str) -> Result<Vec<Recorded>, Failure> {
    let end = tape.state(stream).await?.last_sequence;
    let mut events = Vec::new();
    if end == 0 {
        return Ok(events);
    }
    let mut reader = tape.read(stream, &[], 1).await?;
    let mut at = 0;
    while at < end {
        for delivery in reader.batch(10_000).await? {
            at = delivery.sequence();
            if let Delivery::Event(recorded) = delivery {
                events.push(recorded);
            }
        }
    }
    Ok(events)
}
