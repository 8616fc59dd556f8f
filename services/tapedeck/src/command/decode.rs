//! `tapedeck decode`: an event on stdin, as JSON on stdout.

use std::io::Read as _;

use crate::exit::Failure;
use crate::output::Output;

/// Largest payload read, in bytes; the server's own default limit is 1 MiB.
const PAYLOAD_MAX: u64 = 64 * 1024 * 1024;

/// Reads stdin to its end; one payload, protobuf or JSON, becomes one line of JSON.
pub fn run(output: Output) -> Result<(), Failure> {
    let mut payload = Vec::new();
    std::io::stdin().lock().take(PAYLOAD_MAX).read_to_end(&mut payload)?;
    let event = contracts::decode(&payload).map_err(|error| Failure::other(error.to_string()))?;
    let text = contracts::to_json(&event).map_err(|error| Failure::other(error.to_string()))?;
    output.line(&text);
    Ok(())
}
