//! The contract of the event log, run against the in-memory tape and against a real nats-server.
//!
//! A case knows only the port. Whatever both adapters pass, a service may rely on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod appends;
mod batches;
mod consumers;
mod fixture;
mod observing;
mod operations;
mod reads;
mod restarts;
mod watching;

/// Declares every case once per adapter.
#[macro_export]
macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case($crate::fixture::Fixture::memory()).await;
            })+
        }

        mod jetstream {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case($crate::fixture::Fixture::jetstream().await).await;
            })+
        }
    };
}
