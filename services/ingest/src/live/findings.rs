//! Findings as events. An id follows from what is found, so that a finding is made once.

use contracts::event_id;
use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::bar::{Bar, Timeframe};
use domain::book::{HALT, RESUMPTION};
use domain::calendar::{Calendar, Session};
use domain::money::Price;

use super::desk::Desk;
use super::gauge::State;
use super::port::{Amended, Status};
use super::service::LiveError;
use crate::event;
use crate::file::Series;
use crate::quality::{Found, difference};

impl Desk {
    pub(super) async fn status(&mut self, status: &Status) -> Result<(), LiveError> {
        let rule = match status.halted {
            Some(true) => HALT,
            Some(false) => RESUMPTION,
            None => "status",
        };
        let found = Found::new(rule, status.words.clone());
        let event = self.finding_at(&status.symbol, status.at_ns, status.at_ns, found);
        self.find(event.into_iter().collect()).await
    }

    pub(super) async fn amended(&mut self, amended: &Amended) -> Result<(), LiveError> {
        let rule = if amended.cancelled { "trade_cancelled" } else { "trade_corrected" };
        let found = Found::new(rule, amended.words.clone());
        let event = self.finding_at(&amended.symbol, amended.at_ns, amended.at_ns, found);
        self.find(event.into_iter().collect()).await
    }

    /// Holds the days that were made of the minutes of a session against the vendor's own.
    pub(super) async fn compare_days(&mut self, session: &Session) -> Result<(), LiveError> {
        let most = self.config.standards.day_differs();
        let mut findings = Vec::new();
        for (symbol, day) in std::mem::take(&mut self.days) {
            if Calendar::xnys().date_of(day.start_ns) != session.date {
                continue;
            }
            let made = self.rollup.made(&symbol, Timeframe::D1, session.open_ns, session.close_ns);
            let Some(made) = made else { continue };
            let prices =
                |open: Price, high: Price, low: Price, close: Price| [open.0, high.0, low.0, close.0];
            let told = prices(day.open, day.high, day.low, day.close);
            let stands = prices(made.open, made.high, made.low, made.close);
            let Some((name, at, share)) = difference(told, stands, most) else { continue };
            let (told, stands) = (Price(told[at]).to_string(), Price(stands[at]).to_string());
            let detail = format!(
                "{name} {told} by the vendor's day, {stands} by its minutes: {:.3} % apart",
                share * 100.0
            );
            let found = Found { found: told, expected: stands, ..Found::new("day_differs", detail) };
            findings.extend(self.finding_at(&symbol, session.close_ns, session.close_ns, found));
        }
        self.find(findings).await
    }

    pub(super) async fn find_stale(&mut self, now: i64) -> Result<(), LiveError> {
        let Some(session) = Calendar::xnys().session_at(now)? else { return Ok(()) };
        if self.gauge.state != State::Live {
            return Ok(());
        }
        let minutes = self.config.standards.rules.as_ref().map_or(0, |rules| rules.stale_minutes);
        let stale =
            self.stale.due(&self.config.symbols, minutes, (session.open_ns, self.gauge.since_ns), now);
        let events = stale.into_iter().filter_map(|(symbol, newest_ns)| {
            let detail = format!("no minute for more than {minutes} minutes while the market is open");
            self.finding_at(&symbol, newest_ns, now, Found::new("stale_symbol", detail))
        });
        let events = events.collect();
        self.find(events).await
    }

    /// What is wrong with a minute; `None` where the rule makes no findings.
    pub(super) fn finding(
        &self,
        symbol: &str,
        bar: Option<&Bar>,
        time_ns: i64,
        found: Found,
    ) -> Option<Event> {
        let severity = self.config.standards.severity(found.rule)?;
        let series = Series { symbol: symbol.to_owned(), timeframe: Timeframe::M1 };
        Some(event::finding(&self.source, &series, bar, found, severity, time_ns))
    }

    /// What is found about a symbol, once for each `cause_ns`.
    fn finding_at(&self, symbol: &str, cause_ns: i64, time_ns: i64, found: Found) -> Option<Event> {
        let rule = found.rule;
        let mut event = self.finding(symbol, None, time_ns, found)?;
        event.id = event_id(&format!("{symbol}/{cause_ns}"), &format!("quality/{rule}"), 0);
        event.correlation_id.clone_from(&event.id);
        if let Some(Body::QualityFinding(finding)) = &mut event.body {
            finding.timeframe.clear();
        }
        Some(event)
    }

    pub(super) async fn find(&self, findings: Vec<Event>) -> Result<(), LiveError> {
        for event in findings {
            self.append(event).await?;
        }
        Ok(())
    }
}
