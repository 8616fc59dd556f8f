//! Findings as events. An id follows from what is found, so that a finding is made once.

use contracts::v1::event::Body;
use contracts::v1::{Event, QualityFinding, Severity};
use contracts::{bar_id, event_id, to_timestamp};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;

use super::desk::Desk;
use super::gauge::State;
use super::port::Status;
use super::service::LiveError;
use crate::event;

impl Desk {
    pub(super) async fn status(&mut self, status: &Status) -> Result<(), LiveError> {
        let rule = match status.halted {
            Some(true) => "halt",
            Some(false) => "resumption",
            None => "status",
        };
        let mut event = self.finding(&status.symbol, None, rule, status.at_ns, status.words.clone());
        event.id = event_id(&format!("{}/{}", status.symbol, status.at_ns), &format!("quality/{rule}"), 0);
        if let Some(Body::QualityFinding(finding)) = &mut event.body {
            finding.severity = Severity::Info.into();
        }
        self.find(vec![event]).await
    }

    pub(super) async fn find_stale(&mut self, now: i64) -> Result<(), LiveError> {
        let Some(session) = Calendar::xnys().session_at(now)? else { return Ok(()) };
        if self.gauge.state != State::Live {
            return Ok(());
        }
        let stale = self.quality.stale(&self.config.symbols, session.open_ns, now);
        let minutes = self.quality.stale_minutes();
        let events = stale.into_iter().map(|(symbol, newest_ns)| {
            let detail = format!("no minute for more than {minutes} minutes while the market is open");
            let mut event = self.finding(&symbol, None, "stale_symbol", now, detail);
            event.id = event_id(&format!("{symbol}/{newest_ns}"), "quality/stale_symbol", 0);
            event
        });
        let events = events.collect();
        self.find(events).await
    }

    pub(super) fn finding(
        &self,
        symbol: &str,
        bar: Option<&Bar>,
        rule: &str,
        time_ns: i64,
        detail: String,
    ) -> Event {
        let cause = match bar {
            Some(bar) => bar_id(&self.source, symbol, Timeframe::M1.name(), bar.close_ns),
            None => format!("{symbol}/{time_ns}"),
        };
        let id = event_id(&cause, &format!("quality/{rule}"), 0);
        let body = Body::QualityFinding(QualityFinding {
            symbol: symbol.to_owned(),
            rule: rule.to_owned(),
            severity: Severity::Warning.into(),
            timeframe: bar.map(|_| Timeframe::M1.name().to_owned()).unwrap_or_default(),
            bar_start: bar.map(|bar| to_timestamp(bar.start_ns)),
            detail,
        });
        event::first_cause(&self.source, id, time_ns, body)
    }

    pub(super) async fn find(&self, findings: Vec<Event>) -> Result<(), LiveError> {
        for event in findings {
            self.append(event).await?;
        }
        Ok(())
    }
}
