//! How the market comes onto the tape: import of files, recorded and simulated sources, the tape clock, live minutes;
//! and facts about companies and news.
//!
//! Invariants: a bar is stored once per (symbol, timeframe, close), whatever was imported before and
//! whoever imports at the same time; a bad row is reported and never altered; the clock publishes the next
//! instant only when every account is marked, every strategy has acknowledged and every signal is answered;
//! waiting never decides anything.
//!
//! Deliberately absent: decisions about trading, SQL, vendors; on the tape clock the wall clock (pacing uses monotonic
//! time).
//!
//! Modules in reading order.

mod event;
pub mod authority;
pub mod quality;
pub mod standards;
pub mod import;
pub mod reference;
pub mod news;
pub mod status;
pub mod source;
pub mod clock;
pub mod live;
pub mod floor;
mod service;

/// Reading of files, which imports and backtests share.
pub use history::file;
pub use service::{IngestConfig, IngestError, SourceConfig, examine, run};
