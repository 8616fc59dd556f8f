//! Two events, field by field, and where a replay went apart from the tape.

use analytics::comparison::Difference;
use contracts::v1::Event;
use event_log::Recorded;
use serde::Serialize;
use serde_json::Value;

/// How a recorded event and what follows from its inputs do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Both are there and differ.
    Differs,
    /// It is recorded and follows from nothing.
    NotDerived,
    /// It follows from what is recorded and is not on the tape.
    NotRecorded,
    /// The book cannot take it, and nobody parked it.
    DoesNotFold,
    /// The read model says something else than the fold of the tape.
    ReadModel,
}

impl Problem {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Differs => "differs from what follows from its inputs",
            Self::NotDerived => "is recorded and follows from nothing",
            Self::NotRecorded => "follows from what is recorded and is not on the tape",
            Self::DoesNotFold => "cannot be folded, and nobody parked it",
            Self::ReadModel => "stands otherwise in the read model than in the fold of the tape",
        }
    }
}

/// The first place where a replay and the tape went apart.
#[derive(Clone, Debug, Serialize)]
pub struct Divergence {
    /// Kind of the event: signal, decision, fill, mark and so on.
    pub kind: String,
    /// What is wrong.
    pub problem: Problem,
    /// Sequence on TRADING at which it showed.
    pub sequence: u64,
    /// Id of the event; for one that is not recorded the derived one.
    pub event_id: String,
    /// An event on the tape whose chain leads here; empty when there is none.
    pub chain_of: String,
    /// What else is known, in words.
    pub detail: String,
    /// Fields that differ.
    pub fields: Vec<Difference>,
}

impl Divergence {
    pub(super) fn differs(recorded: &Recorded, derived: &Event, detail: String) -> Self {
        let fields = fields(&recorded.event, derived);
        Self { detail, fields, ..Self::at(recorded, Problem::Differs) }
    }

    pub(super) fn not_derived(recorded: &Recorded) -> Self {
        Self::at(recorded, Problem::NotDerived)
    }

    pub(super) fn does_not_fold(recorded: &Recorded, detail: String) -> Self {
        Self { detail, ..Self::at(recorded, Problem::DoesNotFold) }
    }

    /// `derived` should stand before `sequence`.
    pub(super) fn not_recorded(derived: &Event, sequence: u64) -> Self {
        Self {
            kind: kind(derived),
            problem: Problem::NotRecorded,
            sequence,
            event_id: derived.id.clone(),
            chain_of: derived.causation_id.clone(),
            detail: String::new(),
            fields: fields(&Event::default(), derived),
        }
    }

    fn at(recorded: &Recorded, problem: Problem) -> Self {
        Self {
            kind: kind(&recorded.event),
            problem,
            sequence: recorded.sequence,
            event_id: recorded.event.id.clone(),
            chain_of: recorded.event.id.clone(),
            detail: String::new(),
            fields: Vec::new(),
        }
    }
}

/// Whether the events are the same apart from what a replay cannot know: when it was recorded, and how far the
/// streams had been read.
pub(super) fn is_same(recorded: &Event, derived: &Event) -> bool {
    recorded.id == derived.id
        && recorded.event_time == derived.event_time
        && recorded.source == derived.source
        && recorded.causation_id == derived.causation_id
        && recorded.correlation_id == derived.correlation_id
        && recorded.body == derived.body
}

/// The kind of an event in one word, as lists of events name it.
fn kind(event: &Event) -> String {
    projections::describe(event).kind.to_owned()
}

pub(super) fn fields(recorded: &Event, derived: &Event) -> Vec<Difference> {
    let plain = |event: &Event| {
        let event = Event { recorded_time: None, basis: Vec::new(), schema_version: 0, ..event.clone() };
        serde_json::to_value(event).unwrap_or_default()
    };
    let mut found = Vec::new();
    compare(&mut String::new(), &plain(recorded), &plain(derived), &mut found);
    found
}

fn compare(path: &mut String, recorded: &Value, derived: &Value, found: &mut Vec<Difference>) {
    let length = path.len();
    match (recorded, derived) {
        (Value::Object(left), Value::Object(right)) => {
            let mut names: Vec<_> = left.keys().chain(right.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                let of =
                    |fields: &serde_json::Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                compare(path, &of(left), &of(right), found);
                path.truncate(length);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                path.push_str(&format!("[{index}]"));
                let of = |items: &[Value]| items.get(index).cloned().unwrap_or_default();
                compare(path, &of(left), &of(right), found);
                path.truncate(length);
            }
        }
        _ if recorded != derived => found.push(Difference {
            field: path.clone(),
            recorded: recorded.clone(),
            derived: derived.clone(),
        }),
        _ => {}
    }
}
