//! The adapter against the stand-in: the port's contract, what goes wrong, and what is refused before it is sent.

mod contract;
mod exits;
mod faults;
mod refusals;
mod replace;
mod stream;
mod support;
