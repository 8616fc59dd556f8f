//! Questions to the vendor, page by page, and their answers on the tape.

use std::collections::BTreeMap;

use domain::calendar::Calendar;
use history::file;
use ingest::import::{Backfill as Filling, Quote};
use vendors::{Action, ActionsOfMany, Ask, BarsOfMany, Cursor, Quoted, Refusal, Unapplied, VendorError};

use super::fill::Run;
use super::plan::Task;
use crate::command::import;
use crate::exit::Failure;
use crate::output::Output;
use crate::source;

/// Why a question was not answered.
pub(super) enum Stopped {
    /// The vendor does not know the symbol.
    Unknown,
    Failed(Failure),
}

impl Run<'_> {
    /// Asks about one symbol.
    pub(super) async fn pages(&mut self, task: &mut Task, ask: &Ask) -> Result<(), Stopped> {
        let mut cursor = Some(Cursor::default());
        while let Some(at) = cursor {
            let page = self.vendor.page(ask, at, self.wanted.now_ns).await.map_err(|error| match error {
                VendorError::Refused { kind: Refusal::Unknown, .. } => Stopped::Unknown,
                other => Stopped::Failed(source::failure(other)),
            })?;
            self.report.skipped.add(page.skipped);
            let told = Told { actions: page.actions, unapplied: page.unapplied };
            actions(&mut task.filling, &ask.symbol, told, self.output).await.map_err(Stopped::Failed)?;
            bars(&mut task.filling, &page.bars, &task.place, self.output).await.map_err(Stopped::Failed)?;
            cursor = page.next;
        }
        Ok(())
    }

    /// Asks for a span of several symbols at once: of `tasks` those with the numbers `members`. One that the vendor refuses
    /// by its name is left out, so that it keeps nothing from the others.
    pub(super) async fn together(
        &mut self,
        many: &dyn BarsOfMany,
        tasks: &mut [Task],
        members: &[usize],
        span: (i64, i64),
    ) -> Result<(), Failure> {
        let mut places: BTreeMap<String, usize> =
            members.iter().map(|at| (tasks[*at].symbol.clone(), *at)).collect();
        for task in members.iter().filter_map(|at| tasks.get(*at)).filter(|task| task.left == 1) {
            self.say(task);
        }
        let date = |ns| Calendar::xnys().date_of(ns);
        let (from, to) = (date(span.0), date(span.1 - 1));
        self.output.progress(&format!("{} symbols at once: from {from} to {to}", places.len()));
        let ask = self.wanted.ask("", span.0, span.1, true);
        let mut cursor = Some(Cursor::default());
        let (mut open, mut fresh): (Option<usize>, bool) = (None, true);
        while let Some(at) = cursor.take().filter(|_| !places.is_empty()) {
            let symbols: Vec<String> = places.keys().cloned().collect();
            let page = match many.page_of(&symbols, &ask, at, self.wanted.now_ns).await {
                Ok(page) => page,
                Err(error) => {
                    let named = named(&error, &symbols).filter(|_| fresh);
                    let Some(at) = named.and_then(|symbol| places.remove(symbol)) else {
                        return Err(source::failure(error));
                    };
                    self.output.progress(&format!("{}: {error}; the others go on", tasks[at].place));
                    tasks[at].refused = Some(source::failure(error));
                    cursor = Some(Cursor::default());
                    continue;
                }
            };
            self.report.skipped.add(page.skipped);
            let told = Told::by_symbol(ActionsOfMany { actions: page.actions, unapplied: page.unapplied });
            for (symbol, told) in told {
                let Some(at) = places.get(&symbol).copied() else { continue };
                actions(&mut tasks[at].filling, &symbol, told, self.output).await?;
            }
            for (symbol, found) in page.bars {
                let Some(at) = places.get(&symbol).copied() else { continue };
                // Batches of two series on their way at once would each expect to be the next one.
                if let Some(before) = open.replace(at).filter(|before| *before != at) {
                    tasks[before].filling.finish().await.map_err(import::failure)?;
                }
                fresh = false;
                let Task { filling, place, .. } = &mut tasks[at];
                bars(filling, &found, place, self.output).await?;
            }
            cursor = page.next;
        }
        if let Some(last) = open {
            tasks[last].filling.finish().await.map_err(import::failure)?;
        }
        for at in places.into_values() {
            self.past(&mut tasks[at], true).await?;
        }
        Ok(())
    }
}

/// The symbol that a refusal of a question about several names.
fn named<'a>(error: &VendorError, symbols: &'a [String]) -> Option<&'a String> {
    let VendorError::Refused { kind: Refusal::Request | Refusal::Unknown, message, .. } = error else {
        return None;
    };
    let apart = |sign: char| !(sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-'));
    let mut words = message.split(apart).map(|word| word.trim_matches('.'));
    words.find_map(|word| symbols.iter().find(|symbol| symbol.as_str() == word))
}

/// What a vendor told of a symbol's corporate actions.
#[derive(Clone, Default)]
pub(super) struct Told {
    /// Splits and dividends.
    pub(super) actions: Vec<Action>,
    /// Those that are not applied.
    pub(super) unapplied: Vec<Unapplied>,
}

impl Told {
    pub(super) fn by_symbol(told: ActionsOfMany) -> BTreeMap<String, Self> {
        let mut by_symbol = BTreeMap::<String, Self>::new();
        for (symbol, action) in told.actions {
            by_symbol.entry(symbol).or_default().actions.push(action);
        }
        for (symbol, other) in told.unapplied {
            by_symbol.entry(symbol).or_default().unapplied.push(other);
        }
        by_symbol
    }
}

/// Takes in splits and dividends of a symbol, and that there are other actions.
pub(super) async fn actions(
    filling: &mut Filling,
    symbol: &str,
    told: Told,
    output: Output,
) -> Result<(), Failure> {
    let Told { actions: told, unapplied } = told;
    for other in &unapplied {
        output.progress(&format!("{symbol}: not applied: {}", other.words));
    }
    let unapplied = unapplied.into_iter().map(|other| source::unapplied(symbol, other));
    filling.unapplied(unapplied.collect()).await.map_err(import::failure)?;
    if told.is_empty() {
        return Ok(());
    }
    let told = told.into_iter().map(|action| file::Action {
        symbol: symbol.to_owned(),
        ex_date: action.ex_date,
        kind: action.kind,
        value_e9: action.value_e9,
        line: 0,
    });
    filling.actions(told.collect()).await.map_err(import::failure)
}

/// Takes in bars, in the order of time.
pub(super) async fn bars(
    filling: &mut Filling,
    found: &[Quoted],
    place: &str,
    output: Output,
) -> Result<(), Failure> {
    let quotes: Vec<Quote> = found.iter().copied().map(source::quote).collect();
    filling.bars(&quotes).await.map_err(import::failure)?;
    if let Some(last) = quotes.last() {
        let date = Calendar::xnys().date_of(last.start_ns);
        let read = filling.report().read;
        output.progress(&format!("{place}: {read} rows, up to {date}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_a_symbol_as_a_word_of_its_own() {
        let symbols = ["BRK.B", "MSFT", "T"].map(str::to_owned);
        let check = |kind, message: &str, expected: Option<&str>| {
            let error =
                VendorError::Refused { vendor: "alpaca", status: 400, kind, message: message.to_owned() };
            assert_eq!(named(&error, &symbols).map(String::as_str), expected, "{message}");
        };
        check(Refusal::Request, "invalid symbol: BRK.B", Some("BRK.B"));
        check(Refusal::Unknown, "no asset found for MSFT.", Some("MSFT"));
        check(Refusal::Request, "Too many symbols, or not today", None);
        check(Refusal::Credentials, "MSFT is not in your plan", None);
    }
}
