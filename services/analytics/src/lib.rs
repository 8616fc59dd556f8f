//! What a run comes to: the tear sheet as data, JSON and a page that opens offline.
//!
//! Everything here follows from closed trades and equity rows, whoever made them: a backtest, a rehearsal, paper
//! or live trading. Numbers are computed once, in [`TearSheet::of`]; the JSON, the page and the gate read them.
//! A number that is undefined is null, and its place on the page says so.
//!
//! Deliberately absent: I/O, clocks, the engine. Randomness (Monte Carlo) comes from a seed.
//!
//! Modules in reading order.

pub mod metrics;
pub mod sheet;
pub mod build;
mod periods;
mod rolling;
pub mod normal;
pub mod monte_carlo;
pub mod warnings;
mod no_trades;
pub mod gate;
pub mod report;
pub mod comparison;
pub mod format;
pub mod svg;
pub mod view;
mod html;

pub use build::{Benchmark, Input};
pub use comparison::Comparison;
pub use report::Report;
pub use sheet::TearSheet;
