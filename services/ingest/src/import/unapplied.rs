//! Corporate actions that change nothing here: each is a finding, made once, however often it is told.

use std::collections::BTreeSet;

use contracts::Subject;

use super::ImportError;
use super::append::Importer;
use super::decide::{Item, Prepared, View};
use super::known::{Effect, FindingKey};
use crate::event;
use crate::file::Rejected;
use crate::quality::{ACTION_NOT_APPLIED, Unapplied};

/// By what such a finding is known: its rule with its words, and who made it.
pub(super) fn key(words: &str, source: &str) -> FindingKey {
    (format!("{ACTION_NOT_APPLIED}: {words}"), String::new(), 0, source.to_owned())
}

impl Importer {
    /// Takes in actions that change nothing here.
    pub(super) async fn unapplied(&mut self, told: Vec<Unapplied>) -> Result<(), ImportError> {
        if told.is_empty() {
            return Ok(());
        }
        let symbols: BTreeSet<String> = told.iter().map(|told| told.symbol.clone()).collect();
        self.known.follow_quality(&self.tape, &symbols.into_iter().collect::<Vec<_>>()).await?;
        self.queue.extend(told.into_iter().map(Item::Unapplied));
        self.finish().await
    }
}

impl View<'_> {
    /// Adds the finding that an action is not applied, unless it is on the tape or on its way.
    pub(super) fn decide_unapplied(&self, told: &Unapplied, prepared: &mut Prepared) {
        let Some(severity) = self.standards.severity(ACTION_NOT_APPLIED) else { return };
        let (symbol, source) = (&told.symbol, &self.teller.source);
        let key = key(&told.words, source);
        let coming = prepared.has_finding(symbol, &key)
            || self.underway.iter().any(|underway| underway.has_finding(symbol, &key));
        if coming || self.known.has_finding(symbol, &key) {
            return;
        }
        match event::action_time(self.teller.market.calendar(), told.date) {
            Ok(time_ns) => {
                let event = event::unapplied(source, told, severity, time_ns);
                let effect = Effect::Finding { symbol: symbol.clone(), key };
                prepared.push(&Subject::of(&["market", "quality", symbol]), event, effect);
            }
            Err(error) => {
                let date = told.date.to_string();
                prepared.rejected.push(Rejected::new(0, "date", date, format!("{}: {error}", told.words)));
            }
        }
    }
}
