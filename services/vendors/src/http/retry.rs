//! Whether and when to ask again: full jitter, and never before the vendor wants.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

const ATTEMPTS_MAX: u32 = 5;
const BASE: Duration = Duration::from_millis(250);
const CAP: Duration = Duration::from_secs(30);

/// The attempts at one question.
#[derive(Debug)]
pub(super) struct Again {
    attempts: u32,
    deadline_ns: i64,
}

impl Again {
    pub(super) fn new(began_ns: i64, deadline: Duration) -> Self {
        let span_ns = i64::try_from(deadline.as_nanos()).unwrap_or(i64::MAX);
        Self { attempts: 0, deadline_ns: began_ns.saturating_add(span_ns) }
    }

    /// How long to wait before the next attempt, after one that failed; `None` when there is to be none.
    ///
    /// The most doubles with each attempt, and any wait up to it is taken, so that many clients do not come back
    /// at once; `least` is what the vendor asks for.
    pub(super) fn wait(
        &mut self,
        least: Duration,
        now_ns: i64,
        jitter: impl Fn(Duration) -> Duration,
    ) -> Option<Duration> {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS_MAX {
            return None;
        }
        let most = BASE.saturating_mul(1 << (self.attempts - 1)).min(CAP);
        // Jitter comes on top of what the vendor asks for: everybody was told the same.
        let wait = least.saturating_add(jitter(most));
        let wait_ns = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
        (now_ns.saturating_add(wait_ns) < self.deadline_ns).then_some(wait)
    }

    /// Whether a wait from now on would end after the question's time.
    pub(super) fn is_beyond(&self, wait: Duration, now_ns: i64) -> bool {
        let wait_ns = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
        now_ns.saturating_add(wait_ns) > self.deadline_ns
    }

    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// `Retry-After`, in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now_ns: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until_ns = chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp_nanos_opt()?;
    u64::try_from(until_ns.saturating_sub(now_ns)).ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_keep_what_the_vendor_asks_and_end() {
        let mut again = Again::new(0, Duration::from_secs(100));
        let most: Vec<_> = (0..5).map(|_| again.wait(Duration::ZERO, 0, |most| most)).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(most, [ms(250), ms(500), ms(1_000), ms(2_000), None]);

        let mut again = Again::new(0, Duration::from_secs(100));
        assert_eq!(again.wait(Duration::from_secs(7), 0, |_| Duration::ZERO), ms(7_000));
        assert_eq!(again.wait(Duration::from_secs(101), 0, |_| Duration::ZERO), None, "beyond the deadline");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let headers = |text: &'static str| HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(retry_after(&headers("3"), 0), Some(Duration::from_secs(3)));
        let date = headers("Thu, 01 Jan 1970 00:01:00 GMT");
        assert_eq!(retry_after(&date, 0), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(&date, 61_000_000_000), None);
        assert_eq!(retry_after(&headers("soon"), 0), None);
    }
}
