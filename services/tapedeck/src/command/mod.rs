//! What each command does.

pub mod at;
pub mod chain_hash;
pub mod config;
pub mod control;
pub mod decode;
pub mod doctor;
pub mod external;
pub mod fleet;
pub mod holdings;
pub mod import;
pub mod logs;
pub mod market;
pub mod order;
pub mod parked;
pub mod projection;
pub mod rehearse;
pub mod replay;
pub mod run;
pub mod skeleton;
pub mod status;
pub mod strategy;
pub mod stream;
pub mod tail;
pub mod token;
pub mod up;
pub mod user;
