//! Research on the tape: backtests as recorded runs, replays, parity and forks.
//!
//! Deliberately absent: the engine itself (`engine`), reports (`analytics`), pages.

pub mod replay;
