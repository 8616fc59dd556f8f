//! What an item needs, given what the tape holds. Pure.

use contracts::v1::Event;
use contracts::{Subject, bar_id};
use domain::calendar::Calendar;
use domain::money::Price;
use event_log::{Append, Expect};

use super::Teller;
use super::known::{self, Effect, Known, Subjects};
use crate::event::{self, ADJUSTED_PRICES, AFTER_EARLY_CLOSE};
use crate::file::{Action, Rejected, Row, Series};

/// Events that one item can become: a bar and two findings.
pub(super) const ITEM_EVENTS_MAX: usize = 3;

/// Something to bring onto the tape.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Row(Row),
    Action(Action),
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
    pub(super) underway: Option<&'a Prepared>,
    pub(super) adjusted: bool,
    /// Who tells of the items.
    pub(super) teller: &'a Teller,
    /// Its index in what is known.
    pub(super) source: u32,
}

impl View<'_> {
    /// Adds to `prepared` what `item` needs.
    pub(super) fn decide(&self, item: &Item, prepared: &mut Prepared) {
        match item {
            Item::Row(row) => self.decide_row(row, prepared),
            Item::Action(action) => self.decide_action(action, prepared),
        }
    }

    fn decide_row(&self, row: &Row, prepared: &mut Prepared) {
        let Some(target) = self.targets.get(row.series) else { return };
        let (series, bar) = (&target.series, &row.bar);
        let values = known::hash_values(bar);
        let Teller { source: teller, origin, told } = self.teller;
        // What is longer than what the teller tells was made of it.
        let made_of = told.filter(|told| *told < series.timeframe);
        let close_ns = bar.close_ns;
        match self.known.bar(target.known, close_ns) {
            None => {
                let effect = Effect::Bar { close_ns, values, source: self.source };
                let event = event::made_of(event::bar(teller, *origin, series, bar), made_of);
                prepared.push(&target.subjects.bar, event, effect);
            }
            Some(held) if held.values == values => prepared.duplicates += 1,
            Some(held) => {
                let source = self.known.source(held);
                let revises = bar_id(source, &series.symbol, series.timeframe.name(), close_ns);
                let number = held.revisions + 1;
                let event = event::revision(teller, *origin, series, bar, &revises, number, values);
                let event = event::made_of(event, made_of);
                prepared.push(&target.subjects.revision, event, Effect::Revision { close_ns, values });
            }
        }
        if row.after_early_close {
            let detail = "the bar starts after the session's early close";
            self.find(target, row, AFTER_EARLY_CLOSE, bar.start_ns, detail, prepared);
        }
        if self.adjusted {
            let detail = "imported with prices stated to be adjusted, expected raw ones";
            self.find(target, row, ADJUSTED_PRICES, 0, detail, prepared);
        }
    }

    /// Adds a finding that is not on the tape yet; `start_ns` is 0 for one about the whole series.
    fn find(
        &self,
        target: &Target,
        row: &Row,
        rule: &'static str,
        start_ns: i64,
        detail: &str,
        prepared: &mut Prepared,
    ) {
        let series = &target.series;
        let key = (rule.to_owned(), series.timeframe.name().to_owned(), start_ns);
        let whole = start_ns == 0;
        let coming = whole
            && (prepared.has_finding(&series.symbol, &key)
                || self.underway.is_some_and(|underway| underway.has_finding(&series.symbol, &key)));
        if coming || self.known.has_finding(&series.symbol, &key) {
            return;
        }
        let bar = (!whole).then_some(&row.bar);
        let event =
            event::finding(&self.teller.source, series, bar, rule, row.bar.close_ns, detail.to_owned());
        let effect = Effect::Finding { symbol: series.symbol.clone(), key };
        prepared.push(&target.subjects.quality, event, effect);
    }

    fn decide_action(&self, action: &Action, prepared: &mut Prepared) {
        let ex_date = action.ex_date.to_string();
        let key = (action.symbol.clone(), ex_date.clone(), action.kind);
        let reject = |field, value, reason| Rejected { file: None, line: action.line, field, value, reason };
        match self.known.action(&key) {
            Some(value) if value == action.value_e9 => prepared.duplicates += 1,
            Some(held) => {
                let held = Price(held);
                let reason = format!("the tape holds this action with {held}; an action cannot be revised");
                prepared.rejected.push(reject("value", Price(action.value_e9).to_string(), reason));
            }
            None => match event::action_time(Calendar::xnys(), action.ex_date) {
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
