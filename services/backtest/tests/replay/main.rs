//! Replays of small rehearsals in memory: a tape as it was written is proved, one that was changed is found out.

mod rehearsal;
mod replaying;
mod rerunning;
