//! Market data that was set aside, for who may not write any: `ingest` is asked, looks for itself what stands on the
//! tape, and publishes that again and nothing else.
//!
//! Question and answer are plain messages, and publishing twice is publishing once. So a question that nobody answers is
//! put again, and one that was answered to nobody is finished by the next.

use std::time::Duration;

use contracts::stream;
use contracts::v1::event::Body;
use event_log::{Hint, LogError, Tape};

use super::{Message, ParkedError, admitted, earlier_attempt, publish, refused, timely};
use crate::clock;
use crate::context::Context;

/// What the subject of a question begins with; the sequence of the parked event ends it.
const ASKED: &str = "ingest.replay";
/// The same of an answer.
const ANSWERED: &str = "ingest.replayed";
/// How often a question is put, and how long each time is waited for its answer.
const QUESTIONS_MAX: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(2);
/// Time in which an answer comes or nobody is there.
pub(super) const ANSWERED_WITHIN: Duration = PATIENCE.saturating_mul(QUESTIONS_MAX);
/// Pause before the questions are listened to anew.
const PAUSE: Duration = Duration::from_secs(1);

/// The words that an answer begins with.
const PUBLISHED: &str = "published";
const REFUSED: &str = "refused";
const FAILED: &str = "failed";

/// Has the message published again. Answers its new sequence.
pub(super) async fn ask(tape: &Tape, message: &Message) -> Result<u64, ParkedError> {
    let parked_at = message.parked_at;
    let mut answers = tape.hints(&format!("{ANSWERED}.{parked_at}")).await?;
    for _ in 0..QUESTIONS_MAX {
        tape.hint(&format!("{ASKED}.{parked_at}"), Vec::new()).await?;
        if let Ok(Ok(answer)) = clock::timeout(PATIENCE, answers.next()).await {
            return read(&answer.payload);
        }
    }
    Err(ParkedError::Unanswered)
}

fn read(answer: &[u8]) -> Result<u64, ParkedError> {
    let text = String::from_utf8_lossy(answer);
    let (word, rest) = text.split_once(' ').unwrap_or((&*text, ""));
    match (word, rest.parse::<u64>()) {
        (PUBLISHED, Ok(sequence)) => Ok(sequence),
        (REFUSED, _) => Err(refused(rest)),
        _ => Err(LogError::new("have `ingest` publish market data", rest).into()),
    }
}

/// Publishes the market's parked messages that are asked for, until shutdown. For `ingest`, whose user may write market
/// data.
pub async fn serve(context: Context) {
    tokio::select! {
        biased;
        () = context.shutdown.cancelled() => {}
        () = answer_all(&context.tape) => {}
    }
}

async fn answer_all(tape: &Tape) {
    loop {
        if let Err(error) = answer_some(tape).await {
            tracing::warn!("parked market data cannot be asked for now: {error}");
        }
        clock::sleep(PAUSE).await;
    }
}

/// Answers until the tape does not.
async fn answer_some(tape: &Tape) -> Result<(), LogError> {
    let mut questions = tape.hints(&format!("{ASKED}.*")).await?;
    loop {
        // Who was not heard asks again.
        let question = questions.next().await?;
        answer(tape, &question).await?;
    }
}

async fn answer(tape: &Tape, question: &Hint) -> Result<(), LogError> {
    let number = question.subject.rsplit('.').next().and_then(|number| number.parse::<u64>().ok());
    let Some(parked_at) = number else { return Ok(()) };
    let said = match published(tape, parked_at).await {
        Ok(sequence) => format!("{PUBLISHED} {sequence}"),
        Err(ParkedError::Append(error)) => format!("{FAILED} {error}"),
        Err(ParkedError::Refused(why)) => format!("{REFUSED} {why}"),
        Err(error) => format!("{REFUSED} {error}"),
    };
    tape.hint(&format!("{ANSWERED}.{parked_at}"), said.into_bytes()).await
}

/// Publishes again what the parked event at `parked_at` names. Answers its new sequence.
async fn published(tape: &Tape, parked_at: u64) -> Result<u64, ParkedError> {
    let recorded = tape.get(stream::PARKED, parked_at).await?;
    let Some(Body::Parked(parked)) = recorded.and_then(|recorded| recorded.event.body) else {
        return Err(refused(format!("{} {parked_at} is no parked message", stream::PARKED)));
    };
    if parked.stream != stream::MARKET {
        return Err(refused(format!("it stands on {}, expected {}", parked.stream, stream::MARKET)));
    }
    // What stands on the tape, whatever was said of it when it was set aside.
    let stored = tape.stored_from(stream::MARKET, &parked.subject, parked.sequence, 1).await?;
    let stored = stored.into_iter().find(|stored| stored.sequence == parked.sequence);
    let Some(stored) = stored else {
        let (sequence, subject) = (parked.sequence, parked.subject);
        return Err(refused(format!("{} {sequence} is not under {subject:?}", stream::MARKET)));
    };
    let message = Message {
        parked_at,
        stream: parked.stream,
        sequence: parked.sequence,
        subject: parked.subject,
        payload: stored.payload,
        ..Message::default()
    };
    let event = admitted(&message)?;
    match earlier_attempt(tape, &message, &event.id).await? {
        Some(sequence) => Ok(sequence),
        None => publish(tape, &message, timely(tape, &message, event).await?).await,
    }
}
