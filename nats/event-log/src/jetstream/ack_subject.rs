//! The acknowledgement subject: the server's own description of a delivery.
//!
//! Version 1: `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`;
//! version 2 has `<domain>.<account hash>` after `ACK` and may grow at its end.

/// What an acknowledgement subject says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AckSubject<'a> {
    pub consumer: &'a str,
    pub stream_sequence: u64,
    pub consumer_sequence: u64,
}

impl<'a> AckSubject<'a> {
    /// Reads either version; `None` for any other subject.
    pub fn parse(subject: &'a str) -> Option<Self> {
        let rest = subject.strip_prefix("$JS.ACK.")?;
        let version_2 = rest.bytes().filter(|byte| *byte == b'.').count() >= 8;
        let mut tokens = rest.split('.').skip(if version_2 { 3 } else { 1 });
        let consumer = tokens.next()?;
        let _deliveries = tokens.next()?;
        let stream_sequence = tokens.next()?.parse().ok()?;
        let consumer_sequence = tokens.next()?.parse().ok()?;
        Some(Self { consumer, stream_sequence, consumer_sequence })
    }
}

/// Filters that cover the acknowledgements of all consumers of a stream, of either version. No subject
/// is covered by both: the fifth token is a number in one and the stream in the other.
pub(super) fn filters(stream: &str) -> [String; 2] {
    [format!("$JS.ACK.{stream}.*.*.*.*.*.*"), format!("$JS.ACK.*.*.{stream}.*.*.*.*.>")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::covers;

    #[test]
    fn both_versions_are_read_and_covered_once() {
        let expected = AckSubject { consumer: "risk", stream_sequence: 42, consumer_sequence: 7 };
        for subject in [
            "$JS.ACK.TRADING.risk.1.42.7.1700000000000000000.3",
            "$JS.ACK._.hAsH.TRADING.risk.1.42.7.1700000000000000000.3",
            "$JS.ACK.hub.hAsH.TRADING.risk.1.42.7.1700000000000000000.3.more",
        ] {
            assert_eq!(AckSubject::parse(subject), Some(expected), "{subject}");
            let covering = filters("TRADING").iter().filter(|filter| covers(filter, subject)).count();
            assert_eq!(covering, 1, "{subject}");
        }
    }

    #[test]
    fn other_subjects_are_none() {
        for subject in ["", "$JS.ACK.TRADING", "$JS.ACK.TRADING.risk.1.x.7.1.3", "order.a.b.c.d.e.f.g.h"] {
            assert_eq!(AckSubject::parse(subject), None, "{subject}");
        }
    }
}
