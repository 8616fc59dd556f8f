//! The engine's own properties, on generated bars. That it comes to what a rehearsal comes to is shown where
//! rehearsals are run (`tests/suites/system`).

mod actions;
mod displaced;
mod groups;
mod limits;
mod margin;
mod properties;
mod reversal;
mod searches;
mod setup;
