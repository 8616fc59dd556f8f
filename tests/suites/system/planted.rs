//! The program that is shipped holds no planted bugs.

use crate::harness::Outcome;

/// What `planted::MARKER` holds, here in two parts.
const MARKER: [&str; 2] = ["this program holds ", "planted bugs"];

#[test]
fn the_program_has_no_planted_bugs() -> Outcome {
    let path = env!("CARGO_BIN_EXE_tapedeck");
    let program = std::fs::read(path)?;
    let marker = MARKER.concat();
    let found = program.windows(marker.len()).any(|window| window == marker.as_bytes());
    assert!(!found, "{path} is built with planted bugs");
    Ok(())
}
