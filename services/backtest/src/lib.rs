//! Research on the tape: backtests as recorded runs, replays, parity and forks.
//!
//! Deliberately absent: the engine itself (`engine`), reports (`analytics`), pages.

pub mod measure;
pub mod plan;
pub mod tables;
mod market;
mod recording;
mod service;
mod work;

pub use market::{Loaded, MarketError, load, load_kept};
pub use recording::{Recording, progress_subject, record};
pub use service::{Config, SERVICE, ServiceError, run};
pub use work::{Job, Progress, WorkError, conclude, perform, summarize};
pub mod replay;
