//! Facts about companies and listings on the tape: what a source states now, where it differs from what it stated last.
//!
//! Invariants: what has not changed appends nothing; what has is a new event, and the one before stays; two that write
//! at the same time decide one after the other. Deliberately absent: what the facts mean; whether a source is right
//! where two differ, for each is compared with itself alone.

mod state;

use std::collections::{BTreeMap, BTreeSet};

use contracts::stream::REFERENCE;
use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, AppendError, Expect, LogError, STORED_MAX, Tape};
use serde::Serialize;

pub use state::{KINDS, Stated, state};

/// Attempts while others write or the tape does not answer, and the pause between them.
const ATTEMPTS: u32 = 5;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Facts could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The tape refused an append or could not be reached.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The tape could not be read.
    #[error(transparent)]
    Tape(#[from] LogError),
    /// Something that is no fact about a symbol.
    #[error("field `body`: expected a fact about a symbol")]
    Foreign,
}

/// What became of the facts about one symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Facts that are on the tape now, by kind.
    pub appended: BTreeMap<&'static str, u64>,
    /// Facts that were there already.
    pub unchanged: u64,
}

impl Kept {
    /// Facts that were appended.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.appended.values().sum()
    }
}

/// The kind of a fact, as its subject names it, and what tells it from others of its kind: a statement's period.
#[must_use]
pub fn kind_and_part(body: &Body) -> Option<(&'static str, String)> {
    Some(match body {
        Body::CompanyProfile(_) => ("profile", String::new()),
        Body::KeyStatistics(_) => ("statistics", String::new()),
        Body::FinancialStatement(statement) => {
            let period = statement.period().as_str_name().rsplit('_').next().unwrap_or_default();
            ("statement", format!("{} {}", period.to_ascii_lowercase(), statement.period_end))
        }
        Body::InstitutionalHolders(_) => ("holders", String::new()),
        Body::AnalystOpinions(_) => ("analysts", String::new()),
        Body::Listing(_) => ("listing", String::new()),
        _ => return None,
    })
}

/// What a source stated last of one thing.
#[derive(Debug, Default)]
struct Held {
    body: Option<Body>,
    /// How often it stated something.
    times: u32,
}

/// What a subject holds.
#[derive(Debug, Default)]
struct Known {
    sequence: u64,
    by_part: BTreeMap<String, Held>,
}

/// Appends those of `facts` that differ from what `source` stated last; `now_ns` is when it was asked.
pub async fn keep(tape: &Tape, source: &str, now_ns: i64, facts: Vec<Body>) -> Result<Kept, KeepError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (appends, mut kept, kinds) = decide(tape, source, now_ns, &facts).await?;
        if appends.is_empty() {
            return Ok(kept);
        }
        match tape.append_batch(appends).await {
            Ok(places) => {
                for (kind, place) in kinds.into_iter().zip(places) {
                    if place.duplicate {
                        kept.unchanged += 1;
                    } else {
                        *kept.appended.entry(kind).or_default() += 1;
                    }
                }
                return Ok(kept);
            }
            // Another was first: what it wrote is read and compared.
            Err(AppendError::Conflict { .. }) if attempts < ATTEMPTS => {}
            Err(AppendError::Unavailable(error)) if attempts < ATTEMPTS => {
                tracing::warn!(attempts, "facts not answered, looking again: {error}");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

type Decided = (Vec<Append>, Kept, Vec<&'static str>);

async fn decide(tape: &Tape, source: &str, now_ns: i64, facts: &[Body]) -> Result<Decided, KeepError> {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut touched: BTreeSet<String> = BTreeSet::new();
    let (mut appends, mut kept, mut kinds) = (Vec::new(), Kept::default(), Vec::new());
    for body in facts {
        let (kind, part) = kind_and_part(body).ok_or(KeepError::Foreign)?;
        let event = Event { body: Some(body.clone()), ..Event::default() };
        let subject = Subject::for_event(&event, None).ok_or(KeepError::Foreign)?;
        let name = subject.as_str().to_owned();
        if !known.contains_key(&name) {
            known.insert(name.clone(), read(tape, source, &name).await?);
        }
        let under = known.entry(name.clone()).or_default();
        let held = under.by_part.entry(part.clone()).or_default();
        if held.body.as_ref() == Some(body) {
            kept.unchanged += 1;
            continue;
        }
        let expect = if touched.insert(name.clone()) {
            Expect::Last { filter: name.clone(), sequence: under.sequence }
        } else {
            Expect::Nothing
        };
        let event = stated(source, now_ns, &format!("{name}/{part}"), held.times, event);
        *held = Held { body: Some(body.clone()), times: held.times + 1 };
        appends.push(Append { subject, event, expect });
        kinds.push(kind);
    }
    Ok((appends, kept, kinds))
}

/// The event: its id follows from what is stated, by whom, and how often something was stated before.
fn stated(source: &str, now_ns: i64, about: &str, times: u32, bare: Event) -> Event {
    let content = blake3::hash(&contracts::encode(&bare)).to_hex();
    let id = event_id(&format!("reference/{source}/{about}"), &content, times);
    Event {
        correlation_id: id.clone(),
        id,
        event_time: Some(to_timestamp(now_ns)),
        source: source.to_owned(),
        schema_version: 1,
        ..bare
    }
}

/// What `source` stated under a subject; a message that is no event is passed over, as the read model does.
async fn read(tape: &Tape, source: &str, subject: &str) -> Result<Known, LogError> {
    let mut known = Known::default();
    loop {
        let messages = tape.stored_from(REFERENCE, subject, known.sequence + 1, STORED_MAX).await?;
        if messages.is_empty() {
            return Ok(known);
        }
        for stored in messages {
            known.sequence = stored.sequence;
            let Ok(event) = stored.decode() else { continue };
            let Some(body) = event.body.filter(|_| event.source == source) else { continue };
            let Some((_, part)) = kind_and_part(&body) else { continue };
            let held = known.by_part.entry(part).or_default();
            *held = Held { body: Some(body), times: held.times + 1 };
        }
    }
}
