//! `tapedeck decode`: an event on stdin, as JSON on stdout.

use std::io::Read as _;

use contracts::Subject;
use contracts::v1::Event;

use crate::exit::Failure;
use crate::output::Output;

/// Largest payload read, in bytes; the server's own default limit is 1 MiB.
const PAYLOAD_MAX: u64 = 64 * 1024 * 1024;

/// Reads stdin to its end; one payload, protobuf or JSON, becomes one line of JSON. What is no event under `subject` is
/// refused with the reason.
pub fn run(subject: Option<&str>, output: Output) -> Result<(), Failure> {
    let mut payload = Vec::new();
    std::io::stdin().lock().take(PAYLOAD_MAX).read_to_end(&mut payload)?;
    let refused = |error: contracts::DecodeError| Failure::other(error.to_string());
    let event = contracts::decode(&payload).map_err(refused)?;
    match subject {
        Some(subject) => contracts::admit_size(subject, payload.len())
            .and_then(|()| contracts::admit(subject, &event))
            .map_err(refused)?,
        None => tell_of_lack(&event, output),
    }
    let text = contracts::to_json(&event).map_err(|error| Failure::other(error.to_string()))?;
    output.line(&text);
    Ok(())
}

/// Tells what an event lacks under its own subject; whether it stands there takes to know the subject.
fn tell_of_lack(event: &Event, output: Output) {
    let own = Subject::for_event(event, None);
    if let Some(Err(error)) = own.map(|own| contracts::admit(own.as_str(), event)) {
        output.note(&format!("no event on a tape: {error}"));
    }
}
