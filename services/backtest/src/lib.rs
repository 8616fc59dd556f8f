//! Research on the tape: backtests as recorded runs, replays, parity and forks.
//!
//! Deliberately absent: the engine itself (`engine`), reports (`analytics`), pages.

pub mod measure;
pub mod plan;
pub mod tables;
pub mod terms;
mod again;
pub mod checks;
mod gaps;
mod market;
mod recording;
mod search;
mod service;
mod sessions;
mod work;
pub mod beside;

pub use again::{again, find};
pub use market::{Loaded, MarketError, check_named, closes, load, load_kept, with_calendar};
pub use plan::ACCOUNT;
pub use recording::{Recording, progress_subject, record};
pub use service::{Config, SERVICE, ServiceError, run};
pub use work::{Done, Job, Progress, WorkError, conclude, configured, perform};
pub mod replay;
