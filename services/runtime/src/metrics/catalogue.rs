//! Every metric there is. A name, once shipped, keeps its meaning; `docs/telemetry.md` repeats this list.

use std::sync::LazyLock;

use super::histogram::Histogram;
use super::{Counter, Description, Family, Gauge};

/// Declares the catalogue: kind, field, name, labels, meaning.
macro_rules! catalogue {
    ($($kind:ident $field:ident $name:literal [$($label:literal),*] $help:literal)+) => {
        /// The metrics of this process.
        #[derive(Debug)]
        pub struct Metrics {
            $(#[doc = $help] pub $field: Family<$kind>,)+
        }

        impl Metrics {
            fn new() -> Self {
                Self {
                    $($field: Family::new(
                        Description { name: $name, help: $help, labels: &[$($label),*] },
                        Default::default(),
                    ),)+
                }
            }

            /// Every family, in the order of the catalogue.
            pub(crate) fn families(&'static self) -> Vec<AnyFamily> {
                vec![$(AnyFamily::$kind(&self.$field)),+]
            }
        }
    };
}

/// A family of some kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnyFamily {
    /// Counters.
    Counter(&'static Family<Counter>),
    /// Gauges.
    Gauge(&'static Family<Gauge>),
    /// Histograms.
    Histogram(&'static Family<Histogram>),
}

catalogue! {
    Counter events_appended "tapedeck_events_appended_total" ["stream", "kind"]
        "Events that this process put on the tape, without those that were there already."
    Counter events_read "tapedeck_events_read_total" ["stream"]
        "Messages that the tape delivered to this process."
    Histogram append_latency "tapedeck_append_seconds" ["stream"]
        "Time from handing an event to the tape until the tape has stored it, in seconds."
    Counter append_failures "tapedeck_append_failures_total" ["stream", "reason"]
        "Appends that did not take effect: conflict, refused or unavailable."
    Counter signals "tapedeck_signals_total" ["strategy"]
        "Signals that this process put on the tape."
    Counter signals_refused "tapedeck_signals_refused_total" ["strategy", "reason"]
        "Messages under a strategy's signals that were no good: unreadable (parked), invalid or too many (denied)."
    Counter risk_decisions "tapedeck_risk_decisions_total" ["account", "verdict"]
        "Risk decisions: approved, shadowed or denied."
    Counter risk_denials "tapedeck_risk_denials_total" ["rule"]
        "Denied signals, by the rule that denied them."
    Counter orders "tapedeck_orders_total" ["status"]
        "Orders that reached a status: submitted, accepted, rejected, filled, cancelled, expired and others."
    Counter fills "tapedeck_fills_total" ["account"]
        "Fills."
    Histogram broker_latency "tapedeck_broker_seconds" ["broker", "answer"]
        "Time from submitting an order to the broker until its answer, in seconds."
    Counter log_lines_dropped "tapedeck_log_lines_dropped_total" []
        "Log lines that did not get onto the tape."
    Counter clock_instants "tapedeck_clock_instants_total" []
        "Instants that the tape clock has finished."
    Counter clock_stalls "tapedeck_clock_stalls_total" []
        "Instants for which the tape clock waited longer than two seconds."
    Gauge clock_stalled "tapedeck_clock_stalled_seconds" []
        "How long the tape clock has been waiting at its present instant, in seconds; 0 while it moves."
    Gauge source_live "tapedeck_source_live" ["source"]
        "1 while the stream of a live source tells, else 0."
    Histogram source_lag "tapedeck_source_lag_seconds" ["source"]
        "Time from a minute's end until its bar was stored, in seconds; of bars that the stream told."
    Counter source_reconnects "tapedeck_source_reconnects_total" ["source"]
        "Connections of a live source after its first."
    Counter source_gaps "tapedeck_source_gaps_total" ["source"]
        "Spans that the stream of a live source left out and that its history filled."
    Counter source_gap_bars "tapedeck_source_gap_bars_total" ["source"]
        "Bars that came of filling such spans."
    Counter source_errors "tapedeck_source_errors_total" ["source"]
        "Failures of a live source: connections that ended, questions without an answer, refusals."
    Counter connections_refused "tapedeck_connections_refused_total" ["user"]
        "Connections that the server refused an external strategy because it has as many as it may."
    Gauge breaker_open "tapedeck_breaker_open" ["service", "source", "account", "client"]
        "1 while a client asks nothing of its source or broker after failures in a row, else 0."
    Gauge projection_sequence "tapedeck_projection_sequence" ["projection"]
        "Last sequence of its stream that a projection has folded."
    Gauge projection_lag_events "tapedeck_projection_lag_events" ["projection"]
        "Events between a projection's checkpoint and the end of its stream."
    Gauge projection_lag "tapedeck_projection_lag_seconds" ["projection"]
        "Age of the oldest event that a projection has not folded, in seconds; 0 when it has folded all."
    Gauge projection_faulted "tapedeck_projection_faulted" ["projection"]
        "1 while a projection cannot go on, else 0."
    Gauge parked_open "tapedeck_parked_open" []
        "Messages set aside and not yet resolved."
    Gauge orders_open "tapedeck_orders_open" []
        "Orders that have not ended."
    Gauge service_ready "tapedeck_service_ready" ["service"]
        "1 while a service of this process is ready, else 0."
    Gauge live_clients "tapedeck_live_clients" []
        "Pages that follow live data."
    Histogram http_latency "tapedeck_http_request_seconds" ["method", "route", "status"]
        "Time until a request has its response's head, in seconds; live streams end with their head."
    Counter export_failures "tapedeck_export_failures_total" ["signal"]
        "Batches of traces, metrics or logs that the collector did not take."
    Counter export_dropped "tapedeck_export_dropped_total" ["signal"]
        "Spans that found no room on their way to the collector."
    Gauge build_info "tapedeck_build_info" ["version"]
        "1, with the version of the program."
}

/// The metrics of this process.
#[must_use]
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
        let metrics = Metrics::new();
        // A count without labels is known from the start; a gauge is not before somebody has looked.
        metrics.clock_instants.with(&[]);
        metrics.clock_stalls.with(&[]);
        metrics.build_info.with(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        metrics
    });
    &METRICS
}
