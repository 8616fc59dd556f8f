//! What a run comes to: the tear sheet as data, JSON and a page that opens offline.
//!
//! Everything here follows from closed trades and equity rows, whoever made them: a backtest, a rehearsal, paper
//! or live trading.
//!
//! Deliberately absent: I/O, clocks, the engine.
