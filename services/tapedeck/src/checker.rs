//! The checker: what must always hold (`domain::invariant`), held against the tape and the read model while they go on.
//!
//! It folds TRADING with [`Watch`], which looks at every event, and compares the `trading` read model with that fold at
//! the read model's own checkpoint. The first difference of each invariant is an alert on the tape
//! (`control.invariant.<name>.broken`), in the log and in the service's health; it stays until somebody mended the cause
//! and started the checker again, because a broken invariant does not mend itself.
//!
//! Not checked here: the ninth invariant (`tapedeck replay --verify` does a replay), and a remote broker, which execution
//! reconciles with itself.

use std::collections::BTreeSet;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, InvariantBroken};
use contracts::{Subject, event_id, stream, to_timestamp};
use domain::book::Book;
use domain::invariant::{Invariant, Violation, Watch, compare_book};
use event_log::{Append, AppendError, Delivery, Expect, LogError, Reader};
use projections::Name;
use projections::queries::{self, ProjectionRow, QueryError};
use runtime::{Context, HealthState};
use sqlx::PgPool;

/// Its name.
pub const SERVICE: &str = "checker";
/// Messages taken at once.
const BATCH: usize = 512;
/// Time between two looks at the read model.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// Why the checker stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An alert was not stored.
    #[error("append: {0}")]
    Append(#[from] AppendError),
}

/// What was found and how far it was looked.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first violation of each invariant, in the order in which they were found.
    pub first: Vec<Violation>,
    broken: BTreeSet<Invariant>,
    /// Last TRADING sequence folded.
    pub sequence: u64,
    /// Last sequence at which the read model was compared.
    pub compared: Option<u64>,
}

impl Findings {
    /// Keeps those whose invariant was not broken before; answers them.
    fn take(&mut self, found: Vec<Violation>) -> Vec<Violation> {
        let news: Vec<_> =
            found.into_iter().filter(|violation| self.broken.insert(violation.invariant)).collect();
        self.first.extend(news.iter().cloned());
        news
    }
}

/// Runs until shutdown.
pub async fn run(context: Context, pool: PgPool) -> Result<(), Error> {
    context.health.set(SERVICE, HealthState::Starting, "folding the tape");
    let mut reader = context.tape.follow(stream::TRADING, 1).await?;
    let (mut watch, mut findings) = (Watch::default(), Findings::default());
    let mut wanted: Option<Book> = None;
    let mut tick = tokio::time::interval(COMPARE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => return Ok(()),
            _ = tick.tick(), if wanted.is_none() => {
                wanted = read_model(&pool).await.ok().flatten();
            }
            batch = reader.batch(BATCH) => {
                for delivery in batch? {
                    compare(&mut wanted, &watch, &mut findings, &context).await?;
                    let news = findings.take(take(&mut watch, &delivery));
                    tell(&context, &news).await?;
                    findings.sequence = delivery.sequence();
                }
            }
        }
        compare(&mut wanted, &watch, &mut findings, &context).await?;
        say(&context, &findings);
    }
}

/// Looks at the whole tape once, up to its present end, and at the read model.
pub async fn once(reader: &mut dyn Reader, head: u64, pool: &PgPool) -> Result<Findings, Error> {
    let (mut watch, mut findings) = (Watch::default(), Findings::default());
    let mut wanted = read_model(pool).await.ok().flatten();
    let compare = |watch: &Watch, findings: &mut Findings, wanted: &mut Option<Book>| {
        if let Some(book) = due(wanted, findings.sequence) {
            findings.compared = Some(book.sequence());
            findings.take(compare_book(&book, watch.book()).into_iter().collect());
        }
    };
    compare(&watch, &mut findings, &mut wanted);
    while findings.sequence < head {
        for delivery in reader.batch(BATCH).await? {
            let found = take(&mut watch, &delivery);
            findings.take(found);
            findings.sequence = delivery.sequence();
            compare(&watch, &mut findings, &mut wanted);
        }
    }
    Ok(findings)
}

fn take(watch: &mut Watch, delivery: &Delivery) -> Vec<Violation> {
    match delivery {
        Delivery::Event(recorded) => watch.fold(recorded.sequence, &recorded.event),
        Delivery::Undecodable { sequence, .. } => {
            watch.skip(*sequence);
            Vec::new()
        }
    }
}

/// The read model's book when the fold has come to its checkpoint; one that is behind is read again later.
fn due(wanted: &mut Option<Book>, sequence: u64) -> Option<Book> {
    if wanted.as_ref().is_some_and(|book| book.sequence() < sequence) {
        *wanted = None;
    }
    wanted.take_if(|book| book.sequence() == sequence)
}

async fn compare(
    wanted: &mut Option<Book>,
    watch: &Watch,
    findings: &mut Findings,
    context: &Context,
) -> Result<(), Error> {
    let Some(book) = due(wanted, findings.sequence) else { return Ok(()) };
    findings.compared = Some(book.sequence());
    let news = findings.take(compare_book(&book, watch.book()).into_iter().collect());
    tell(context, &news).await
}

/// The read model's book. That of an older program is none to compare: it differs where the fold has changed, and the
/// projector builds it anew.
async fn read_model(pool: &PgPool) -> Result<Option<Book>, QueryError> {
    let name = Name::Trading;
    let rows = queries::checkpoints(pool).await?;
    let is_older = |row: &ProjectionRow| row.name == name.name() && row.version < u64::from(name.version());
    if rows.iter().any(is_older) {
        return Ok(None);
    }
    queries::load_book(pool).await.map(Some)
}

/// Puts the first violation of an invariant on the tape; found again after a restart it is the same event.
async fn tell(context: &Context, news: &[Violation]) -> Result<(), Error> {
    for violation in news {
        tracing::error!(sequence = violation.sequence, "{violation}");
        let body = InvariantBroken {
            number: violation.invariant.number().into(),
            name: violation.invariant.name().to_owned(),
            sequence: violation.sequence,
            detail: violation.detail.clone(),
        };
        let subject = Subject::of(&["control", "invariant", &body.name, "broken"]);
        let cause = format!("{}@{}", body.name, body.sequence);
        let event = Event {
            id: event_id(&cause, SERVICE, 0),
            event_time: Some(to_timestamp(runtime::now_ns())),
            source: SERVICE.to_owned(),
            body: Some(Body::InvariantBroken(body)),
            ..Event::default()
        };
        context.tape.append(Append { subject, event, expect: Expect::Nothing }).await?;
    }
    Ok(())
}

fn say(context: &Context, findings: &Findings) {
    match findings.first.first() {
        Some(violation) => context.health.set(SERVICE, HealthState::Degraded, violation.to_string()),
        None => {
            let compared = findings.compared.map_or_else(|| "not yet".to_owned(), |at| format!("at {at}"));
            let detail = format!("TRADING {} holds; read model compared {compared}", findings.sequence);
            context.health.set(SERVICE, HealthState::Ready, detail);
        }
    }
}
