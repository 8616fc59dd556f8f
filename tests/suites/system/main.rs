//! The whole system, as its user runs it: the built program, real servers, real bars.
//!
//! Each test has its own `TAPEDECK_HOME`. Deliberately absent: anything that reaches into a crate; what
//! is shown here is what the command line shows.

mod alpaca;
mod backfill;
mod backtest;
mod beside;
mod bracket;
mod browser;
mod chaos;
mod checker;
mod cli;
mod cluster;
mod collector;
mod contract;
mod controls;
mod external;
mod fences;
mod files;
mod folding;
mod hands;
mod harness;
mod indicator;
mod kill;
mod left_behind;
mod live;
mod new_terms;
mod news;
mod own_server;
mod planted;
mod race;
mod readme;
mod reference;
mod secrets;
mod rehearsal;
mod research;
mod revisions;
mod tapes;
mod telemetry;
mod terms;
