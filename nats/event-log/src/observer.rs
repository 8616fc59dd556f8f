//! Watching a tape handle: the hook through which metrics and traces see appends and deliveries.
//!
//! A message carries its trace context in the header `traceparent` (W3C Trace Context), never in the event:
//! ids, bodies and the chain hash know nothing of it. Whoever observes a handle says which context an
//! append travels with and is given that of each delivery. A handle that nobody observes looks once at an
//! empty cell per call and writes no header.
//!
//! Deliberately absent: what an observer does with it; that is `runtime::telemetry`'s.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use crate::wire::Encoded;
use crate::{Append, AppendError, Appended, Delivery};

/// The header.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// A trace context as the header `traceparent` carries it, version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span of the message itself: the parent of whatever the message causes; never 0.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

/// A header that is no trace context of a known version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 00-<32 lowercase hex digits>-<16 lowercase hex digits>-<2 hex digits>, ids not 0")]
pub struct MalformedTraceParent;

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceParent {
    type Err = MalformedTraceParent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let bytes = text.as_bytes();
            let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
            let dashes = [2, 35, 52];
            // A later version may be longer; what it begins with is read as version 00.
            let length = bytes.len() == 55 || (bytes.len() > 55 && bytes[55] == b'-' && &bytes[..2] != b"00");
            let form = length
                && bytes[..55]
                    .iter()
                    .enumerate()
                    .all(|(at, byte)| if dashes.contains(&at) { *byte == b'-' } else { hex(byte) });
            if !form || &bytes[..2] == b"ff" {
                return None;
            }
            let trace_id = u128::from_str_radix(text.get(3..35)?, 16).ok().filter(|id| *id != 0)?;
            let span_id = u64::from_str_radix(text.get(36..52)?, 16).ok().filter(|id| *id != 0)?;
            let flags = u8::from_str_radix(text.get(53..55)?, 16).ok()?;
            Some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
        };
        read().ok_or(MalformedTraceParent)
    }
}

/// Whoever watches a tape handle. Called on the way of every message: it must neither block nor fail.
pub trait Observer: Send + Sync + 'static {
    /// An append begins.
    fn appending(&self, entry: &Append) -> Box<dyn Pending>;

    /// A message was delivered, with the trace context it carried.
    fn delivered(&self, stream: &str, delivery: &Delivery, trace: Option<TraceParent>);
}

/// An append under way. Dropped unanswered when its caller gave up.
pub trait Pending: Send + Sync {
    /// The trace context that the message carries.
    fn trace(&self) -> Option<TraceParent>;

    /// The append was answered. Of appends that were handed over together the last answer is told for all.
    fn answered(&self, outcome: &Result<Appended, AppendError>);
}

/// The place for one observer; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Hook(Arc<OnceLock<Arc<dyn Observer>>>);

impl fmt::Debug for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Hook").field(&self.0.get().is_some()).finish()
    }
}

/// Appends of one call under way; empty when nobody observes.
pub(crate) struct Begun(Vec<Box<dyn Pending>>);

impl Hook {
    /// Lets `observer` watch; the first one stays.
    pub fn set(&self, observer: Arc<dyn Observer>) {
        if self.0.set(observer).is_err() {
            tracing::debug!("the tape is observed already; the first observer stays");
        }
    }

    pub fn begin(&self, entries: &[Append]) -> Begun {
        match self.0.get() {
            None => Begun(Vec::new()),
            Some(observer) => Begun(entries.iter().map(|entry| observer.appending(entry)).collect()),
        }
    }

    /// Tells of a delivery; the header is looked for only when somebody wants to know.
    pub fn delivered<'header>(
        &self,
        stream: &str,
        delivery: &Delivery,
        header: impl FnOnce() -> Option<&'header str>,
    ) {
        if let Some(observer) = self.0.get() {
            observer.delivered(stream, delivery, header().and_then(|text| text.parse().ok()));
        }
    }
}

impl Begun {
    /// Gives the encoded appends, in the same order, what their messages carry.
    pub fn stamp<'encoded>(&self, encoded: impl IntoIterator<Item = Option<&'encoded mut Encoded>>) {
        for (pending, encoded) in self.0.iter().zip(encoded) {
            if let Some(encoded) = encoded {
                encoded.trace = pending.trace();
            }
        }
    }

    /// Tells each how it was answered.
    pub fn end<'outcome>(&self, outcomes: impl IntoIterator<Item = &'outcome Result<Appended, AppendError>>) {
        for (pending, outcome) in self.0.iter().zip(outcomes) {
            pending.answered(outcome);
        }
    }

    /// Tells each how the whole batch was answered.
    pub fn end_batch(&self, outcome: &Result<Vec<Appended>, AppendError>) {
        if self.0.is_empty() {
            return;
        }
        match outcome {
            Ok(stored) => {
                for (pending, stored) in self.0.iter().zip(stored) {
                    pending.answered(&Ok(*stored));
                }
            }
            Err(error) => {
                let refused = Err(AppendError::Refused(format!("batch: {error}")));
                self.0.iter().for_each(|pending| pending.answered(&refused));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TraceParent;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_reads_as_it_is_written() {
        let trace: TraceParent = TEXT.parse().unwrap();
        assert_eq!(trace.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(trace.span_id, 0x00f0_67aa_0ba9_02b7);
        assert!(trace.sampled);
        assert_eq!(trace.to_string(), TEXT);
        let unsampled = TraceParent { sampled: false, ..trace };
        assert_eq!(unsampled.to_string().parse(), Ok(unsampled));
    }

    #[test]
    fn what_is_no_trace_context_is_refused() {
        let zero_trace = TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = TEXT.replace("00f067aa0ba902b7", &"0".repeat(16));
        let upper = TEXT.to_uppercase();
        let longer = format!("{TEXT}-00");
        let forbidden = TEXT.replacen("00-", "ff-", 1);
        for text in ["", "00", &TEXT[1..], &zero_trace, &zero_span, &upper, &longer, &forbidden, "ü"] {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
        // A later version may say more at its end.
        let later = format!("{}-more", TEXT.replacen("00-", "01-", 1));
        assert!(later.parse::<TraceParent>().is_ok());
    }
}
