//! Browsing the tape in memory.

use std::collections::BTreeMap;

use super::store::{State, StreamLog};
use crate::filter::{covers, is_well_formed};
use crate::observer::TRACEPARENT;
use crate::{LogError, STORED_MAX, SUBJECTS_MAX, Stored, SubjectCount, Subjects};

fn checked<'a>(state: &'a mut State, stream: &str, filter: &str) -> Result<&'a mut StreamLog, LogError> {
    if !is_well_formed(filter) {
        return Err(LogError::new(format!("browse {filter} of {stream}"), "the filter is malformed"));
    }
    state.stream_mut(stream)
}

fn stored(log: &StreamLog, sequence: u64) -> Option<Stored> {
    let stored = log.get(sequence)?;
    let mut headers = Vec::new();
    if let Some(content_type) = &stored.content_type {
        headers.push(("Content-Type".to_owned(), content_type.to_string()));
    }
    if let Some(id) = &stored.id {
        headers.push(("Nats-Msg-Id".to_owned(), id.to_string()));
    }
    if let Some(trace) = &stored.trace {
        headers.push((TRACEPARENT.to_owned(), trace.clone()));
    }
    Some(Stored {
        sequence,
        subject: stored.subject.to_string(),
        headers,
        payload: stored.payload.to_vec(),
        stored_ns: stored.stored_ns,
    })
}

fn under<'a>(log: &'a StreamLog, filter: &'a str) -> impl Fn(u64) -> Option<Stored> + 'a {
    move |sequence| {
        log.get(sequence).filter(|stored| covers(filter, &stored.subject))?;
        stored(log, sequence)
    }
}

pub(super) fn from(
    state: &mut State,
    stream: &str,
    filter: &str,
    from_sequence: u64,
    max: usize,
) -> Result<Vec<Stored>, LogError> {
    let log = checked(state, stream, filter)?;
    let sequences = from_sequence.max(1)..=log.last_sequence();
    Ok(sequences.filter_map(under(log, filter)).take(max.clamp(1, STORED_MAX)).collect())
}

pub(super) fn before(
    state: &mut State,
    stream: &str,
    filter: &str,
    before: u64,
    max: usize,
) -> Result<Vec<Stored>, LogError> {
    let log = checked(state, stream, filter)?;
    let sequences = 1..before.min(log.last_sequence() + 1);
    Ok(sequences.rev().filter_map(under(log, filter)).take(max.clamp(1, STORED_MAX)).collect())
}

pub(super) fn subjects(state: &mut State, stream: &str, filter: &str) -> Result<Subjects, LogError> {
    let log = checked(state, stream, filter)?;
    let mut counts = BTreeMap::<String, u64>::new();
    for stored in (1..=log.last_sequence()).filter_map(|sequence| log.get(sequence)) {
        if covers(filter, &stored.subject) {
            *counts.entry(stored.subject.to_string()).or_default() += 1;
        }
    }
    let total = counts.len() as u64;
    let counts = counts.into_iter().take(SUBJECTS_MAX);
    Ok(Subjects {
        counts: counts.map(|(subject, messages)| SubjectCount { subject, messages }).collect(),
        total,
    })
}
