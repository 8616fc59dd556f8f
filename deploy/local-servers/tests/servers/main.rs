//! The local servers, tried with the real programs: started, stopped, killed, orphaned, refused.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod nats;
mod parents;
mod postgres;
mod support;
mod users;
