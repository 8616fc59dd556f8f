//! What an item needs, given what the tape holds. Pure.

use contracts::v1::{Event, Origin};
use contracts::{Subject, bar_id};
use domain::money::Price;
use event_log::{Append, Expect};

use super::Teller;
use super::known::{self, Effect, Known, Subjects};
use super::standing::{Standing, minute, refusal};
use crate::event;
use crate::file::{Action, Rejected, Row, Series};
use crate::quality::{ADJUSTED_PRICES, AFTER_EARLY_CLOSE, Found};
use crate::standards::Standards;

/// Events that one item can become: a bar, and findings of what was found with it, of its values, of its hour and of its
/// file.
pub(super) const ITEM_EVENTS_MAX: usize = 1 + FOUND_MAX + 3;
/// Most findings that come with a row.
pub(super) const FOUND_MAX: usize = 4;

/// Something to bring onto the tape.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A bar, and what looks wrong with it if it is a new one.
    Row(Row, Vec<Found>),
    /// A bar that is played and not imported, and what looks wrong with it.
    Played(Row, Vec<Found>),
    Action(Action),
    /// What is wrong with what is no bar, or with a series; its findings are of its interval and time.
    Finding(Row, Found, i64),
}

/// A series of the present file.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) series: Series,
    pub(super) subjects: Subjects,
    /// Index of the series in what is known.
    pub(super) known: usize,
}

/// Items that were decided on, and the events they need. `subjects` and `effects` go with `appends`.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) items: Vec<Item>,
    pub(super) appends: Vec<Append>,
    pub(super) subjects: Vec<Subject>,
    pub(super) effects: Vec<Effect>,
    /// Items that the tape holds already.
    pub(super) duplicates: u64,
    /// Bars held against the authority's, those among them that differ, and bars with nothing to be held against.
    pub(super) compared: u64,
    pub(super) differing: u64,
    pub(super) withheld: u64,
    pub(super) rejected: Vec<Rejected>,
}

impl Prepared {
    fn push(&mut self, subject: &Subject, event: Event, effect: Effect) {
        self.appends.push(Append { subject: subject.clone(), event, expect: Expect::Nothing });
        self.subjects.push(subject.clone());
        self.effects.push(effect);
    }

    fn has_finding(&self, symbol: &str, key: &known::FindingKey) -> bool {
        self.effects.iter().any(|effect| {
            matches!(effect, Effect::Finding { symbol: of, key: found } if of == symbol && found == key)
        })
    }
}

/// What a decision looks at.
pub(super) struct View<'a> {
    pub(super) known: &'a Known,
    pub(super) targets: &'a [Target],
    /// What is on its way, the oldest first.
    pub(super) underway: &'a [&'a Prepared],
    pub(super) adjusted: bool,
    /// Who tells of the items.
    pub(super) teller: &'a Teller,
    /// Its index in what is known.
    pub(super) source: u16,
    /// What bars are held against.
    pub(super) standards: &'a Standards,
}

impl View<'_> {
    /// Adds to `prepared` what `item` needs.
    pub(super) fn decide(&self, item: &Item, prepared: &mut Prepared) {
        match item {
            Item::Row(row, found) => self.decide_row(row, found, prepared),
            Item::Played(row, found) => {
                let Some(target) = self.targets.get(row.series) else { return };
                self.find_of_place(target, row, prepared);
                self.find_of_values(target, row, found, prepared);
            }
            Item::Action(action) => self.decide_action(action, prepared),
            Item::Finding(row, found, time_ns) => {
                let Some(target) = self.targets.get(row.series) else { return };
                self.find(target, row, found.clone(), Some(*time_ns), prepared);
            }
        }
    }

    fn decide_row(&self, row: &Row, found: &[Found], prepared: &mut Prepared) {
        let Some(target) = self.targets.get(row.series) else { return };
        let held = self.known.bar(target.known, row.bar.close_ns);
        match self.standing(target, &row.bar, held) {
            Standing::Own => self.own(target, row, found, held, prepared),
            Standing::Compared { authority, stands } => {
                prepared.compared += 1;
                if let Some(found) = self.compared(&row.bar, authority, stands) {
                    prepared.differing += 1;
                    self.find(target, row, found, None, prepared);
                }
            }
            Standing::Withheld => prepared.withheld += 1,
            // A stream has nobody to read a report.
            Standing::Across { by, close_ns } if self.teller.told.is_some() => {
                let detail = format!("lies across the bar of {by} that closes at {}", minute(close_ns));
                prepared.withheld += 1;
                let found = Found { authority: by, ..Found::new("overlapping_bar", detail) };
                self.find(target, row, found, None, prepared);
            }
            Standing::Across { by, close_ns } => {
                prepared.rejected.push(refusal(row, target.series.timeframe, &by, close_ns));
            }
        }
    }

    /// A bar that is the series' own. Findings go before it: who has read a bar has read what is wrong with it.
    fn own(
        &self,
        target: &Target,
        row: &Row,
        found: &[Found],
        held: Option<known::Held>,
        prepared: &mut Prepared,
    ) {
        let (series, bar) = (&target.series, &row.bar);
        let values = known::hash_values(bar);
        let Teller { source: teller, origin, told, .. } = self.teller;
        // What is longer than what the teller tells was made of it.
        let made_of = told.filter(|told| *told < series.timeframe);
        let close_ns = bar.close_ns;
        self.find_of_place(target, row, prepared);
        match held {
            None => {
                self.find_of_values(target, row, found, prepared);
                let effect = Effect::Bar { close_ns, values, source: self.source, prices: None };
                let event = event::made_of(event::bar(teller, *origin, series, bar), made_of);
                prepared.push(&target.subjects.bar, event, effect);
            }
            Some(held) if held.values == values => prepared.duplicates += 1,
            Some(held) => {
                if *origin != Origin::Live
                    && self.known.told(held) == teller
                    && let Some(found) = self.changed(target, bar)
                {
                    self.find(target, row, found, None, prepared);
                }
                let source = self.known.source(held);
                let revises = bar_id(source, &series.symbol, series.timeframe.name(), close_ns);
                let number = held.revisions + 1;
                let event = event::revision(teller, *origin, series, bar, &revises, number, values);
                let event = event::made_of(event, made_of);
                let effect = Effect::Revision { close_ns, values, source: self.source, prices: None };
                prepared.push(&target.subjects.revision, event, effect);
            }
        }
    }

    /// Adds what is wrong with a bar's hour and with its file.
    fn find_of_place(&self, target: &Target, row: &Row, prepared: &mut Prepared) {
        if row.after_early_close {
            let found = Found::new(AFTER_EARLY_CLOSE, "the bar starts after the session's early close");
            self.find(target, row, found, None, prepared);
        }
        if self.adjusted {
            let detail = "imported with prices stated to be adjusted, expected raw ones";
            self.find_of_series(target, row, Found::new(ADJUSTED_PRICES, detail), prepared);
        }
    }

    /// Adds what looks wrong with a bar beside those before it.
    fn find_of_values(&self, target: &Target, row: &Row, found: &[Found], prepared: &mut Prepared) {
        for found in found.iter().take(FOUND_MAX) {
            self.find(target, row, found.clone(), None, prepared);
        }
    }

    /// Adds a finding about a bar that is not on the tape yet; its time is the bar's close unless it is stated.
    fn find(&self, target: &Target, row: &Row, found: Found, time_ns: Option<i64>, prepared: &mut Prepared) {
        let Some(severity) = self.standards.severity(found.rule) else { return };
        let series = &target.series;
        let key = self.key(found.rule, series, row.bar.start_ns);
        if self.known.has_finding(&series.symbol, &key) {
            return;
        }
        let time_ns = time_ns.unwrap_or(row.bar.close_ns);
        let source = &self.teller.source;
        let event = event::finding(source, series, Some(&row.bar), found, severity, time_ns);
        let effect = Effect::Finding { symbol: series.symbol.clone(), key };
        prepared.push(&target.subjects.quality, event, effect);
    }

    /// Adds a finding about a whole series that is not on the tape or on its way yet.
    fn find_of_series(&self, target: &Target, row: &Row, found: Found, prepared: &mut Prepared) {
        let Some(severity) = self.standards.severity(found.rule) else { return };
        let series = &target.series;
        let key = self.key(found.rule, series, 0);
        let coming = prepared.has_finding(&series.symbol, &key)
            || self.underway.iter().any(|underway| underway.has_finding(&series.symbol, &key));
        if coming || self.known.has_finding(&series.symbol, &key) {
            return;
        }
        let source = &self.teller.source;
        let event = event::finding(source, series, None, found, severity, row.bar.close_ns);
        let effect = Effect::Finding { symbol: series.symbol.clone(), key };
        prepared.push(&target.subjects.quality, event, effect);
    }

    fn key(&self, rule: &str, series: &Series, start_ns: i64) -> known::FindingKey {
        let (timeframe, source) = (series.timeframe.name(), &self.teller.source);
        (rule.to_owned(), timeframe.to_owned(), start_ns, source.clone())
    }

    fn decide_action(&self, action: &Action, prepared: &mut Prepared) {
        let ex_date = action.ex_date.to_string();
        let key = (action.symbol.clone(), ex_date.clone(), action.kind);
        let reject = |field, value, reason| Rejected::new(action.line, field, value, reason);
        match self.known.action(&key) {
            Some(value) if value == action.value_e9 => prepared.duplicates += 1,
            Some(held) => {
                let held = Price(held);
                let reason = format!("the tape holds this action with {held}; an action cannot be revised");
                prepared.rejected.push(reject("value", Price(action.value_e9).to_string(), reason));
            }
            None => match event::action_time(self.teller.market.calendar(), action.ex_date) {
                Ok(time_ns) => {
                    let event = event::action(&self.teller.source, self.teller.origin, action, time_ns);
                    let subject = Subject::of(&["market", "action", &action.symbol]);
                    prepared.push(&subject, event, Effect::Action { key, value_e9: action.value_e9 });
                }
                Err(error) => prepared.rejected.push(reject("ex_date", ex_date, error.to_string())),
            },
        }
    }
}
