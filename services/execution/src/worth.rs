//! What an account is worth at an instant: margin calls, breakers and the mark, as steps decided against the book.
//!
//! On the tape clock an instant is complete and valued once. Live each event is an instant of its own, several have
//! one time, and each that changes what the account is worth is followed by a mark of its own.
//!
//! Deliberately absent: how a value is worked out (`domain::book`).

use contracts::chain_id;
use contracts::v1::event::Body;
use domain::book::{AccountState, MarkError, margin_change, mark, starts_session};
use domain::calendar::Calendar;
use domain::money::Amount;
use domain::risk::breaker;
use event_log::Append;

use crate::event;
use crate::machine::Machine;
use crate::step::StepError;

impl Machine {
    /// Whether nothing is to be said any more of what an account is worth at `event_ns`. Where each event is an
    /// instant of its own (`again`), several have one time, and what the account is worth may change within it.
    fn is_valued(&self, row: &AccountState, event_ns: i64, again: bool) -> bool {
        let Some(last) = row.mark.as_ref().filter(|last| last.event_ns >= event_ns) else { return false };
        if !again || last.event_ns > event_ns {
            return true;
        }
        let worth = mark(&self.book, &row.account, &self.prices, false);
        worth.is_ok_and(|worth| {
            Amount::from_wire(worth.equity.as_ref()) == last.equity
                && Amount::from_wire(worth.gross_exposure.as_ref()) == last.gross_exposure
                && worth.prices == last.prices
        })
    }

    pub(crate) fn decide_mark(
        &self,
        account: &str,
        event_ns: i64,
        cause_id: &str,
        again: bool,
    ) -> Result<Option<Append>, StepError> {
        let row = self.book.account(account).ok_or_else(|| MarkError::UnknownAccount(account.to_owned()))?;
        let last_ns = row.mark.as_ref().map(|mark| mark.event_ns);
        if self.is_valued(row, event_ns, again) {
            return Ok(None);
        }
        let session_start = starts_session(Calendar::xnys(), last_ns, event_ns);
        let body = mark(&self.book, account, &self.prices, session_start)?;
        let id = event::mark_id(account, event_ns, repeated(last_ns, event_ns, cause_id));
        self.account_append(account, id, event_ns, cause_id, Body::AccountMarked(body))
    }

    pub(crate) fn decide_margin(
        &self,
        account: &str,
        event_ns: i64,
        cause_id: &str,
        again: bool,
    ) -> Result<Option<Append>, StepError> {
        let Some(row) = self.book.account(account) else { return Ok(None) };
        if self.is_valued(row, event_ns, again) {
            return Ok(None);
        }
        let last_ns = row.mark.as_ref().map(|mark| mark.event_ns);
        // An account that cannot be valued is complained about by its mark.
        let Ok(Some(body)) = margin_change(&self.book, account, &self.prices) else { return Ok(None) };
        let id = event::margin_id(account, event_ns, repeated(last_ns, event_ns, cause_id));
        self.account_append(account, id, event_ns, cause_id, body)
    }

    /// The first that is due; once it is folded, the next one is.
    pub(crate) fn decide_breaker(
        &self,
        account: &str,
        event_ns: i64,
        cause_id: &str,
        again: bool,
    ) -> Result<Option<Append>, StepError> {
        let Some(row) = self.book.account(account) else { return Ok(None) };
        let last_ns = row.mark.as_ref().map(|mark| mark.event_ns);
        if self.is_valued(row, event_ns, again) {
            return Ok(None);
        }
        let session_start = starts_session(Calendar::xnys(), last_ns, event_ns);
        // An account that cannot be valued is complained about by its mark.
        let Ok(value) = mark(&self.book, account, &self.prices, session_start) else { return Ok(None) };
        let Some(body) = breaker::due(&self.book, &value, Calendar::xnys(), event_ns).into_iter().next()
        else {
            return Ok(None);
        };
        let id = chain_id::breaker(account, event_ns, &body);
        self.account_append(account, id, event_ns, cause_id, body)
    }
}

/// What tells an event apart from the one of the same kind and time; `None` for the first.
fn repeated(last_ns: Option<i64>, event_ns: i64, cause_id: &str) -> Option<&str> {
    (last_ns == Some(event_ns)).then_some(cause_id)
}
