//! Replays of small rehearsals in memory: a tape as it was written is proved, one that was changed is found out.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod articles;
mod by_hand;
mod limited;
mod markets;
mod moved;
mod new_terms;
mod priced;
mod recording;
mod rehearsal;
mod replaying;
mod rerunning;
mod shadow;
mod statements;
mod stretches;
