//! What a broker outside books by itself: dividends, interest, fees, money that comes and goes. Each is on the tape once, under
//! an id that follows from the broker's.
//!
//! A dividend that the tape has paid by its corporate action is not paid again: the broker's is an entry of what the two
//! differ by, which is nought where they agree and says that they are one. Where the broker pays first, what the tape pays at the
//! ex-date behind it is taken back. Cash in lieu of a split's fractions is treated alike. Shares of a split are the corporate
//! action's; until it comes they are not taken for found.
//!
//! Deliberately absent: what was booked before the account was traded through the broker, which is in the cash that it
//! began with; what moves cash in any other way or cannot be read, which somebody has to look at.

use std::collections::{BTreeMap, BTreeSet};

use broker::{Activity, ActivityKind, Booked};
use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, BrokerDiffered, DifferenceKind, DifferenceResolution, EntryKind};
use contracts::{MANUAL, Subject, from_timestamp, stream};
use domain::money::{Amount, Quantity};
use domain::order::CENT;
use event_log::{Recorded, events_under};

use super::{DAY_NS, Tallies};
use crate::event;
use crate::shell::{Error, Shell};
use crate::step::Step;

/// How long after its ex-date a dividend is paid at most.
const PAID_WITHIN_NS: i64 = 90 * DAY_NS;
/// How long before its ex-date one with due bills is paid at most: that is the first session after the payment.
const PAID_BEFORE_NS: i64 = 5 * DAY_NS;
/// How far a broker's word of a split and the corporate action may be apart.
const SPLIT_WITHIN_NS: i64 = 3 * DAY_NS;
/// For how long shares of a split wait for the corporate action.
const SPLIT_AWAITED_NS: i64 = 2 * DAY_NS;
/// How far back is read again, for what is booked late.
const AGAIN_NS: i64 = 7 * DAY_NS;

/// What was read of an account.
#[derive(Debug, Default)]
pub(in crate::shell) struct Activities {
    /// From when on the list is read next.
    from_ns: i64,
    /// Symbols of splits that are at the broker and not here yet.
    splits: Vec<String>,
}

/// A dividend or cash in lieu that the tape has paid, over all strategies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Paid {
    /// What it follows from: a corporate action, and of cash in lieu the bar with the price.
    action_id: String,
    /// Whether it is cash in lieu.
    in_lieu: bool,
    symbol: String,
    strategy: String,
    event_ns: i64,
    amount: Amount,
    /// Whether the broker's word of it is on the tape.
    settled: bool,
}

/// The dividends and the cash in lieu of an account on the tape.
#[derive(Debug, Default)]
struct Dividends {
    /// Those that the tape has paid, oldest first.
    paid: Vec<Paid>,
    /// Ids of the entries that took over one of the broker's that the tape had not paid.
    whole: BTreeSet<String>,
}

impl Shell {
    /// Books what the broker has booked and the tape has not.
    pub(super) async fn find_activities(
        &mut self,
        account: &str,
        tallies: &mut Tallies,
    ) -> Result<(), Error> {
        let Some(attached_ns) = self.attached_ns(account).await? else { return Ok(()) };
        let read_ns = self.activities.get(account).map_or(attached_ns, |read| read.from_ns);
        let booked = match self.broker.activities(account, read_ns.max(attached_ns)).await {
            Ok(Some(booked)) => booked,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.unfinished(account, tallies, &error);
                return Ok(());
            }
        };
        self.load_applied().await?;
        self.catch_up().await?;
        let Booked { activities: told, unread } = booked;
        for what in unread {
            let found = self.cannot_read(account, what).await?;
            tallies.entry(account.to_owned()).or_default().differences += u32::from(found);
        }
        let splits = self.splits_to_come(account, &told).await?;
        let is_paid_here =
            |activity: &Activity| matches!(activity.kind, ActivityKind::Dividend | ActivityKind::CashInLieu);
        let Dividends { mut paid, whole } =
            if told.iter().any(is_paid_here) { self.dividends(account).await? } else { Dividends::default() };
        for activity in &told {
            let found = if whole.contains(&event::activity_id(account, &activity.id)) && !activity.cancelled {
                self.take_back(account, activity, &mut paid).await?
            } else if let Some(key) = self.unbooked(account, activity) {
                self.take_over(account, &key, activity, &mut paid).await?
            } else {
                false
            };
            tallies.entry(account.to_owned()).or_default().differences += u32::from(found);
        }
        let from_ns = self.known_ns(account).saturating_sub(AGAIN_NS).max(attached_ns);
        self.activities.insert(account.to_owned(), Activities { from_ns, splits });
        Ok(())
    }

    /// Whether shares of a symbol may be those of a split that the tape does not have yet.
    pub(super) fn awaits_split(&self, account: &str, symbol: &str) -> bool {
        let splits = self.activities.get(account).map_or(&[][..], |read| read.splits.as_slice());
        splits.iter().any(|split| split == symbol)
            && self.machine.book().net_quantity(account, symbol) != Quantity::ZERO
    }

    /// Under what an activity is to be booked; `None` where nothing is to be.
    fn unbooked(&self, account: &str, activity: &Activity) -> Option<String> {
        let booked = |key: &str| self.machine.is_applied(&event::activity_id(account, key));
        let taken_back = format!("{}/cancelled", activity.id);
        let key = match (activity.cancelled, booked(&activity.id)) {
            (false, false) => activity.id.clone(),
            (true, true) if !booked(&taken_back) => taken_back,
            _ => return None,
        };
        (activity.amount != Amount::ZERO).then_some(key)
    }

    /// Books an activity; answers whether the tape was without it.
    async fn take_over(
        &mut self,
        account: &str,
        key: &str,
        activity: &Activity,
        paid: &mut [Paid],
    ) -> Result<bool, Error> {
        let kind = match activity.kind {
            // The fraction is gone with what the tape paid for it: what is more or less counts like a dividend.
            ActivityKind::Dividend | ActivityKind::CashInLieu => EntryKind::Dividend,
            ActivityKind::Interest => EntryKind::Interest,
            ActivityKind::Fee => EntryKind::Fee,
            ActivityKind::Transfer => EntryKind::Deposit,
            ActivityKind::Split | ActivityKind::Other => return self.cannot_book(account, activity).await,
        };
        let Activity { id, word, symbol, amount: stated, cancelled, .. } = activity;
        let amount = if *cancelled { -*stated } else { *stated };
        let mut reason = format!("{word} {id}, {stated}");
        let mut entry = AccountEntry {
            account: account.to_owned(),
            kind: kind.into(),
            symbol: symbol.clone(),
            amount: amount.to_wire(),
            actor: self.broker.name_of(account).to_owned(),
            ..AccountEntry::default()
        };
        let (mut on_tape, mut differs) = ("nothing".to_owned(), true);
        if *cancelled {
            on_tape = stated.to_string();
            reason.push_str(", taken back by the broker");
        }
        if kind == EntryKind::Dividend {
            entry.strategy = self.holder(account, symbol);
            let known = paid_here(paid, activity).filter(|_| !cancelled);
            if let Some(known) = known.and_then(|place| paid.get_mut(place)) {
                let more = Amount(amount.0 - known.amount.0);
                known.settled = true;
                differs = more.abs() >= CENT;
                on_tape = known.amount.to_string();
                reason = format!("{reason}, of which the tape had paid {on_tape} at the ex-date");
                entry.amount = more.to_wire();
                entry.strategy.clone_from(&known.strategy);
                entry.action_id.clone_from(&known.action_id);
            }
        }
        let resolution = match on_tape.as_str() {
            "nothing" => DifferenceResolution::Adopted,
            _ => DifferenceResolution::Corrected,
        };
        let differed = BrokerDiffered {
            account: account.to_owned(),
            kind: DifferenceKind::Cash.into(),
            symbol: symbol.clone(),
            at_broker: if *cancelled { "nothing".to_owned() } else { amount.to_string() },
            on_tape,
            resolution: resolution.into(),
            detail: reason.clone(),
            ..BrokerDiffered::default()
        };
        entry.reason = reason;
        let event_ns = self.known_ns(account);
        let step = Step::Book { entry, activity_id: key.to_owned(), event_ns };
        self.store_and_log(vec![step]).await?;
        self.catch_up().await?;
        if differs {
            self.note_of(account, Body::BrokerDiffered(differed), &format!("differed/{key}")).await?;
        }
        Ok(differs)
    }

    /// Takes back what the tape has paid at the ex-date of a dividend that the broker had paid before it, which was taken over
    /// whole; answers whether there was one.
    async fn take_back(
        &mut self,
        account: &str,
        activity: &Activity,
        paid: &mut [Paid],
    ) -> Result<bool, Error> {
        let key = format!("{}/paid before", activity.id);
        let is_done = self.machine.is_applied(&event::activity_id(account, &key));
        let Some(known) = paid.iter_mut().find(|one| !is_done && comes_behind(one, activity)) else {
            return Ok(false);
        };
        known.settled = true;
        let Activity { id, word, symbol, amount, .. } = activity;
        let reason =
            format!("{word} {id}, {amount}, before the ex-date, at which the tape paid {}", known.amount);
        let entry = AccountEntry {
            account: account.to_owned(),
            kind: EntryKind::Dividend.into(),
            symbol: symbol.clone(),
            strategy: known.strategy.clone(),
            amount: (-known.amount).to_wire(),
            actor: self.broker.name_of(account).to_owned(),
            action_id: known.action_id.clone(),
            reason: reason.clone(),
            ..AccountEntry::default()
        };
        let differed = BrokerDiffered {
            account: account.to_owned(),
            kind: DifferenceKind::Cash.into(),
            symbol: symbol.clone(),
            at_broker: amount.to_string(),
            on_tape: Amount(amount.0 + known.amount.0).to_string(),
            resolution: DifferenceResolution::Corrected.into(),
            detail: reason,
            ..BrokerDiffered::default()
        };
        let event_ns = self.known_ns(account);
        self.store_and_log(vec![Step::Book { entry, activity_id: key.clone(), event_ns }]).await?;
        self.catch_up().await?;
        self.note_of(account, Body::BrokerDiffered(differed), &format!("differed/{key}")).await?;
        Ok(true)
    }

    /// States that the broker has booked something that cannot be read; answers whether it is new. What else it has booked,
    /// and what it holds, is compared all the same.
    async fn cannot_read(&mut self, account: &str, what: String) -> Result<bool, Error> {
        let differed = BrokerDiffered {
            account: account.to_owned(),
            kind: DifferenceKind::Cash.into(),
            at_broker: "unreadable".to_owned(),
            on_tape: "nothing".to_owned(),
            resolution: DifferenceResolution::Alert.into(),
            detail: format!("{what}, so that it is not booked here"),
            ..BrokerDiffered::default()
        };
        self.alert(differed).await
    }

    /// States cash that moved for a reason that nothing here books; answers whether it is new.
    async fn cannot_book(&mut self, account: &str, activity: &Activity) -> Result<bool, Error> {
        let differed = BrokerDiffered {
            account: account.to_owned(),
            kind: DifferenceKind::Cash.into(),
            symbol: activity.symbol.clone(),
            at_broker: activity.amount.to_string(),
            on_tape: "nothing".to_owned(),
            resolution: DifferenceResolution::Alert.into(),
            detail: format!(
                "{} {} moved cash, and is nothing that is booked here",
                activity.word, activity.id
            ),
            ..BrokerDiffered::default()
        };
        self.alert(differed).await
    }

    /// Whose a dividend is that the tape has not paid: the one strategy's that holds the symbol.
    fn holder(&self, account: &str, symbol: &str) -> String {
        let held = self.machine.book().positions_of(account);
        let mut held = held.filter(|row| row.key.symbol == symbol && row.quantity != Quantity::ZERO);
        match (held.next(), held.next()) {
            (Some(only), None) => only.key.strategy.clone(),
            _ => MANUAL.to_owned(),
        }
    }

    /// Since when the account is traded through the broker, and the account there, that it is traded through now.
    async fn attached_ns(&self, account: &str) -> Result<Option<i64>, Error> {
        let (mut since_ns, mut before) = (None, None);
        for recorded in self.events_of(account, "attached").await? {
            let event_ns = event_ns(&recorded);
            let Some(Body::BrokerAttached(attached)) = recorded.event.body else { continue };
            let now = Some((attached.broker, attached.broker_account));
            if now != before {
                (since_ns, before) = (Some(event_ns), now);
            }
        }
        Ok(since_ns)
    }

    /// The dividends and the cash in lieu of the account on the tape.
    async fn dividends(&self, account: &str) -> Result<Dividends, Error> {
        let (mut all, mut whole) = (BTreeMap::<String, Paid>::new(), BTreeSet::new());
        // What settles cash in lieu is a dividend behind it.
        let mut entries = self.events_of(account, "cash_in_lieu").await?;
        entries.extend(self.events_of(account, "dividend").await?);
        for recorded in entries {
            let event_ns = event_ns(&recorded);
            let Some(Body::AccountEntry(entry)) = recorded.event.body else { continue };
            if entry.action_id.is_empty() {
                whole.insert(recorded.event.id);
                continue;
            }
            let amount = Amount::from_wire(entry.amount.as_ref());
            let in_lieu = entry.kind() == EntryKind::CashInLieu;
            let paid = all.entry(entry.action_id.clone()).or_insert_with(|| Paid {
                action_id: entry.action_id,
                in_lieu,
                symbol: entry.symbol,
                strategy: entry.strategy,
                event_ns,
                ..Paid::default()
            });
            if entry.actor.is_empty() {
                paid.amount = Amount(paid.amount.0 + amount.0);
            } else {
                paid.settled = true;
            }
        }
        let mut paid: Vec<Paid> = all.into_values().collect();
        paid.sort_by_key(|paid| paid.event_ns);
        Ok(Dividends { paid, whole })
    }

    /// Symbols of splits of late that the broker has and the tape has not.
    async fn splits_to_come(&self, account: &str, told: &[Activity]) -> Result<Vec<String>, Error> {
        let since_ns = self.known_ns(account).saturating_sub(SPLIT_AWAITED_NS);
        let is_late =
            |told: &&Activity| told.kind == ActivityKind::Split && !told.cancelled && told.at_ns > since_ns;
        let mut late: Vec<&Activity> = told.iter().filter(is_late).collect();
        if late.is_empty() {
            return Ok(Vec::new());
        }
        for recorded in self.events_of(account, "split").await? {
            let event_ns = event_ns(&recorded);
            let Some(Body::AccountEntry(entry)) = recorded.event.body else { continue };
            late.retain(|told| {
                told.symbol != entry.symbol || (told.at_ns - event_ns).abs() >= SPLIT_WITHIN_NS
            });
        }
        Ok(late.into_iter().map(|told| told.symbol.clone()).collect())
    }

    /// Everything under `account.<account>.<name>`, oldest first.
    async fn events_of(&self, account: &str, name: &str) -> Result<Vec<Recorded>, Error> {
        let subject = Subject::of(&["account", account, name]).as_str().to_owned();
        Ok(events_under(&self.context.tape, stream::TRADING, &[subject], 1..=u64::MAX).await?)
    }
}

fn event_ns(recorded: &Recorded) -> i64 {
    recorded.event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default()
}

/// Whether both are of one symbol, and both dividends or both cash in lieu.
fn is_alike(paid: &Paid, activity: &Activity) -> bool {
    paid.symbol == activity.symbol && paid.in_lieu == (activity.kind == ActivityKind::CashInLieu)
}

/// The place of the dividend that a broker's payment is of: of those that wait for one the last that came to as much, or
/// else the last one.
fn paid_here(paid: &[Paid], activity: &Activity) -> Option<usize> {
    let waits = |one: &Paid| {
        let after_ns = activity.at_ns.saturating_sub(one.event_ns);
        !one.settled && is_alike(one, activity) && (-DAY_NS..=PAID_WITHIN_NS).contains(&after_ns)
    };
    // A broker pays whole cents.
    let is_as_much = |one: &Paid| (one.amount.0 - activity.amount.0).abs() < CENT.0;
    let same = paid.iter().rposition(|one| waits(one) && is_as_much(one));
    same.or_else(|| paid.iter().rposition(waits))
}

/// Whether what the tape has paid is the dividend that a broker paid at or before its ex-date.
fn comes_behind(paid: &Paid, activity: &Activity) -> bool {
    let after_ns = activity.at_ns.saturating_sub(paid.event_ns);
    !paid.settled && is_alike(paid, activity) && (-PAID_BEFORE_NS..=DAY_NS).contains(&after_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(action_id: &str, day: i64, cents: i128, settled: bool) -> Paid {
        Paid {
            action_id: action_id.to_owned(),
            in_lieu: false,
            symbol: "A".to_owned(),
            strategy: "s".to_owned(),
            event_ns: day * DAY_NS,
            amount: Amount(cents * CENT.0),
            settled,
        }
    }

    fn of(symbol: &str, day: i64, cents: i128) -> Activity {
        Activity {
            id: "1".to_owned(),
            kind: ActivityKind::Dividend,
            word: "DIV".to_owned(),
            symbol: symbol.to_owned(),
            amount: Amount(cents * CENT.0),
            at_ns: day * DAY_NS,
            cancelled: false,
        }
    }

    #[test]
    fn a_payment_is_of_the_dividend_that_came_to_as_much_or_else_of_the_last_before_it() {
        let all = [
            paid("old", 0, 500, false),
            paid("spring", 100, 2_600, false),
            paid("special", 110, 10_000, false),
            paid("paid", 115, 2_600, true),
        ];
        let check = |activity: Activity, expected: Option<usize>| {
            assert_eq!(paid_here(&all, &activity), expected, "{activity:?}");
        };
        check(of("A", 120, 2_600), Some(1));
        check(of("A", 120, 10_000), Some(2));
        check(of("A", 120, 2_210), Some(2));
        check(of("A", 105, 2_210), Some(1));
        check(of("B", 120, 2_600), None);
        check(of("A", 210, 2_600), None);
        check(of("A", 95, 500), None);
        // Cash in lieu is no dividend, whatever it comes to.
        check(Activity { kind: ActivityKind::CashInLieu, ..of("A", 120, 2_600) }, None);
        let in_lieu = [Paid { in_lieu: true, ..paid("bar", 100, 2_600, false) }];
        assert_eq!(paid_here(&in_lieu, &of("A", 120, 2_600)), None);
    }

    #[test]
    fn a_payment_may_come_some_days_before_its_ex_date() {
        let expected = [(94, false), (95, true), (100, true), (101, true), (102, false)];
        for (day, comes) in expected {
            assert_eq!(comes_behind(&paid("due", 100, 500, false), &of("A", day, 490)), comes, "{day}");
        }
        assert!(!comes_behind(&paid("due", 100, 500, true), &of("A", 100, 500)), "the broker's is there");
        assert!(!comes_behind(&paid("due", 100, 500, false), &of("B", 100, 500)));
    }
}
