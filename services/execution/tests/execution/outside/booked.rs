//! What a broker outside books by itself: each is on the tape once, a dividend that the tape has paid is not paid again, and
//! the shares of a split are not taken for found.

use broker::{Activity, ActivityKind};
use contracts::v1::event::Body;
use contracts::v1::{
    AccountEntry, ActionKind, BrokerDiffered, DifferenceKind, DifferenceResolution, OrderSpec,
};
use domain::book::identity::check_identity;
use domain::money::{Amount, Quantity};
use domain::order::Standing;
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use runtime::ClockMode;

use super::world::{Answer, Held, Step, Told};
use super::{ACCEPTED, SHARES, Stage};
use crate::support::{E9, OPEN_NS, action, bar, book, everything};

const MINUTE_NS: i64 = 60 * E9;
const DAY_NS: i64 = 24 * 60 * MINUTE_NS;
/// A minute after the first mark.
const LATER_NS: i64 = OPEN_NS + 2 * MINUTE_NS;
/// The ex-date of what the market of these tests pays.
const EX_DATE: &str = "2024-01-08";

fn cents(cents: i64) -> Amount {
    Amount(i128::from(cents * E9 / 100))
}

fn activity(id: &str, kind: ActivityKind, symbol: &str, amount: i64, at_ns: i64) -> Activity {
    Activity {
        id: id.to_owned(),
        kind,
        word: format!("{kind:?}"),
        symbol: symbol.to_owned(),
        amount: cents(amount),
        at_ns,
        cancelled: false,
    }
}

impl Stage {
    /// With ten shares of A that the account has by hand, and a bar of it.
    async fn holding() -> Self {
        let mut stage = Self::new(ClockMode::Tape).await;
        {
            let mut world = stage.outside.0.lock().unwrap();
            world.others[0] = 10;
            world.price = Some(50);
        }
        stage.restart().await;
        stage.script.instant(OPEN_NS + MINUTE_NS, vec![bar("A", OPEN_NS + MINUTE_NS, 50, 50)]).await;
        stage
    }

    /// Something takes effect in A, of which a share is worth `price` then.
    async fn takes_effect(&self, action: Body, price: i64) {
        self.script.instant(LATER_NS, vec![action, bar("A", LATER_NS, price, price)]).await;
    }

    fn books(&self, activity: Activity) {
        let mut world = self.outside.0.lock().unwrap();
        world.booked.retain(|booked| booked.id != activity.id);
        world.booked.push(activity);
    }

    async fn entries(&self) -> Vec<(String, AccountEntry)> {
        let all = everything(&self.script.tape).await.into_iter();
        all.filter_map(|recorded| match recorded.event.body {
            Some(Body::AccountEntry(entry)) if entry.account == "paper" && entry.actor == "outside" => {
                let name = recorded.subject.rsplit('.').next().unwrap_or_default().to_owned();
                Some((name, entry))
            }
            _ => None,
        })
        .collect()
    }

    /// The names and amounts of what was booked, in cents.
    async fn booked(&self) -> Vec<(String, i128)> {
        let amount = |entry: &AccountEntry| Amount::from_wire(entry.amount.as_ref()).0 / cents(1).0;
        self.entries().await.iter().map(|(name, entry)| (name.clone(), amount(entry))).collect()
    }

    async fn differed(&self) -> Vec<BrokerDiffered> {
        let all = everything(&self.script.tape).await.into_iter();
        all.filter_map(|recorded| match recorded.event.body {
            Some(Body::BrokerDiffered(event)) if event.kind() == DifferenceKind::Cash => Some(event),
            _ => None,
        })
        .collect()
    }

    /// Of each difference of a kind whether it is over.
    async fn told(&self, kind: DifferenceKind) -> Vec<bool> {
        let all = everything(&self.script.tape).await.into_iter();
        all.filter_map(|recorded| match recorded.event.body {
            Some(Body::BrokerDiffered(event)) if event.kind() == kind => Some(event.over),
            _ => None,
        })
        .collect()
    }

    async fn cash(&self) -> Amount {
        let book = book(&self.script.tape).await;
        check_identity(&book).unwrap();
        book.account("paper").unwrap().cash
    }

    /// A second comparison, by a process that remembers nothing, adds nothing.
    async fn finds_nothing_more(&mut self) {
        let before = everything(&self.script.tape).await.len();
        self.restart().await;
        let after = everything(&self.script.tape).await;
        for recorded in &after[before..] {
            assert!(
                matches!(&recorded.event.body, Some(Body::BrokerReconciled(event)) if event.differences == 0),
                "{}",
                recorded.subject
            );
        }
    }

    /// Dies.
    async fn stop(&mut self) {
        let (shutdown, task) = self.running.take().unwrap();
        shutdown.cancel();
        task.await.unwrap();
    }

    pub(super) async fn end(mut self) {
        self.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_interest_and_money_that_comes_and_goes_are_on_the_tape_once() {
    let mut stage = Stage::holding().await;
    let before = stage.cash().await;
    let at_ns = LATER_NS;
    for (id, kind, amount) in [
        ("1", ActivityKind::Fee, -7),
        ("2", ActivityKind::Interest, 125),
        ("3", ActivityKind::Transfer, 500_000),
        ("4", ActivityKind::Transfer, -20_000),
    ] {
        stage.books(activity(id, kind, "", amount, at_ns));
    }
    stage.books(activity("5", ActivityKind::Dividend, "B", 300, at_ns));
    // What nothing here books is stated, and changes no cash.
    stage.books(activity("6", ActivityKind::Other, "A", 1_000, at_ns));
    stage.restart().await;
    let expected =
        [("fee", -7), ("interest", 125), ("deposit", 500_000), ("deposit", -20_000), ("dividend", 300)];
    assert_eq!(stage.booked().await, expected.map(|(name, amount)| (name.to_owned(), amount)));
    assert_eq!(stage.cash().await, Amount(before.0 + cents(480_418).0));
    let account = book(&stage.script.tape).await.account("paper").unwrap().clone();
    assert_eq!(account.fees, cents(7 - 125), "interest that is received is a fee below nought");
    let (_, dividend) = stage.entries().await.pop().unwrap();
    assert_eq!((dividend.strategy.as_str(), dividend.reason.as_str()), ("manual", "Dividend 5, 3"));
    let differed = stage.differed().await;
    let alerts: Vec<_> =
        differed.iter().filter(|one| one.resolution() == DifferenceResolution::Alert).collect();
    assert_eq!((differed.len(), alerts.len()), (6, 1));
    assert!(alerts[0].detail.contains("Other 6 moved cash"), "{}", alerts[0].detail);

    // What nobody can settle here stands, is not said again, and is over when the broker does not list it any more.
    stage.finds_nothing_more().await;
    stage.outside.0.lock().unwrap().booked.retain(|booked| booked.kind != ActivityKind::Other);
    stage.restart().await;
    let last = stage.differed().await.pop().unwrap();
    assert!(last.over && last.detail == alerts[0].detail, "{last:?}");
    stage.finds_nothing_more().await;

    // What the broker takes back is taken back here, once.
    stage.books(Activity { cancelled: true, ..activity("1", ActivityKind::Fee, "", -7, at_ns) });
    stage.restart().await;
    assert_eq!(stage.booked().await.last(), Some(&("fee".to_owned(), 7)));
    assert_eq!(stage.cash().await, Amount(before.0 + cents(480_425).0));
    stage.finds_nothing_more().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_this_tapes_stands_until_a_comparison_does_not_find_it_any_more() {
    let mut stage = Stage::holding().await;
    let theirs = Held {
        spec: OrderSpec { symbol: "A".to_owned(), ..OrderSpec::default() },
        standing: Standing::Working,
        quantity: 1,
        executions: Vec::new(),
    };
    let comes = |stage: &Stage| {
        stage.outside.0.lock().unwrap().orders.insert("theirs".to_owned(), theirs.clone());
    };
    comes(&stage);
    for _ in 0..2 {
        stage.restart().await;
        assert_eq!(stage.told(DifferenceKind::Order).await, [false], "once, whoever compares");
    }
    stage.outside.0.lock().unwrap().orders.remove("theirs");
    for _ in 0..2 {
        stage.restart().await;
        assert_eq!(stage.told(DifferenceKind::Order).await, [false, true]);
    }
    comes(&stage);
    stage.restart().await;
    assert_eq!(stage.told(DifferenceKind::Order).await, [false, true, false], "it is there again");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_of_an_order_that_ended_stands_although_nothing_lists_the_order_any_more() {
    let mut stage = Stage::new(ClockMode::Tape).await;
    stage.outside.0.lock().unwrap().price = Some(50);
    stage.order(0, Answer::Given, ACCEPTED).await;
    stage.outside.0.lock().unwrap().apply(Step::Fill { order: 0, shares: SHARES, told: Told::Once });
    stage
        .until("it is filled", async |stage| {
            book(&stage.script.tape).await.net_quantity("paper", "A") == Quantity(SHARES * E9)
        })
        .await;
    // More than was ordered: nothing here takes that over.
    stage.outside.0.lock().unwrap().held(0).unwrap().executions.push(("more".to_owned(), 10));
    stage.restart().await;
    assert_eq!(stage.told(DifferenceKind::Fill).await, [false]);
    stage.outside.0.lock().unwrap().lists_open_only = true;
    stage.restart().await;
    assert_eq!(stage.told(DifferenceKind::Fill).await, [false], "it was not settled");
    stage.outside.0.lock().unwrap().held(0).unwrap().executions.pop();
    for _ in 0..2 {
        stage.restart().await;
        assert_eq!(stage.told(DifferenceKind::Fill).await, [false, true]);
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_stated_once_and_everything_else_is_compared() {
    let mut stage = Stage::holding().await;
    stage.stop().await;
    stage.books(activity("1", ActivityKind::Fee, "", -7, LATER_NS));
    {
        let mut world = stage.outside.0.lock().unwrap();
        world.unread = vec!["activity 2: net_amount is no number".to_owned()];
        // Somebody bought another share, which the list may explain: it is read once in one comparison all the same.
        world.others[0] = 11;
        world.asked = 0;
    }
    stage.restart().await;
    assert_eq!(stage.outside.0.lock().unwrap().asked, 1);
    assert_eq!(stage.booked().await, [("fee".to_owned(), -7)]);
    assert_eq!(book(&stage.script.tape).await.net_quantity("paper", "A"), Quantity(11 * E9));
    let differed = stage.differed().await;
    let alerts: Vec<_> =
        differed.iter().filter(|one| one.resolution() == DifferenceResolution::Alert).collect();
    let [alert] = alerts[..] else { panic!("{differed:?}") };
    assert_eq!(alert.detail, "activity 2: net_amount is no number, so that it is not booked here");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dividend_that_the_tape_has_paid_is_not_paid_again() {
    // What the broker paid for ten shares of 0.26 each, and by how much that is another amount.
    for (paid, more, differs) in [(260, 0, false), (221, -39, true)] {
        let mut stage = Stage::holding().await;
        let before = stage.cash().await;
        stage.takes_effect(action("A", ActionKind::Dividend, 260_000_000, EX_DATE), 50).await;
        assert_eq!(stage.cash().await, Amount(before.0 + cents(260).0));
        stage.books(activity("div", ActivityKind::Dividend, "A", paid, LATER_NS + 14 * DAY_NS));
        stage.restart().await;
        assert_eq!(stage.booked().await, [("dividend".to_owned(), i128::from(more))]);
        assert_eq!(stage.cash().await, Amount(before.0 + cents(paid).0));
        let (_, entry) = stage.entries().await.pop().unwrap();
        assert!(!entry.action_id.is_empty(), "it names the dividend that it is of");
        let differed = stage.differed().await;
        assert_eq!(differed.len(), usize::from(differs));
        for one in differed {
            let sides = (one.at_broker.as_str(), one.on_tape.as_str());
            assert_eq!((sides, one.resolution()), (("2.21", "2.6"), DifferenceResolution::Corrected));
        }
        stage.finds_nothing_more().await;
        // The next one is another one.
        stage.books(activity("next", ActivityKind::Dividend, "A", 260, LATER_NS + 15 * DAY_NS));
        stage.restart().await;
        assert_eq!(stage.cash().await, Amount(before.0 + cents(paid + 260).0));
        stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dividend_that_the_broker_has_paid_before_the_tape_is_not_paid_again() {
    let mut stage = Stage::holding().await;
    let before = stage.cash().await;
    stage.books(activity("div", ActivityKind::Dividend, "A", 265, LATER_NS));
    stage.restart().await;
    assert_eq!(stage.cash().await, Amount(before.0 + cents(265).0), "nothing was paid here");
    stage.takes_effect(action("A", ActionKind::Dividend, 260_000_000, EX_DATE), 50).await;
    assert_eq!(stage.cash().await, Amount(before.0 + cents(525).0));
    stage.restart().await;
    assert_eq!(stage.booked().await, [265, -260].map(|amount| ("dividend".to_owned(), amount)));
    assert_eq!(stage.cash().await, Amount(before.0 + cents(265).0));
    let (_, entry) = stage.entries().await.pop().unwrap();
    assert!(!entry.action_id.is_empty(), "it names the dividend that it takes back");
    let last = stage.differed().await.pop().unwrap();
    let sides = (last.at_broker.as_str(), last.on_tape.as_str());
    assert_eq!((sides, last.resolution()), (("2.65", "5.25"), DifferenceResolution::Corrected));
    stage.finds_nothing_more().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cash_in_lieu_that_the_tape_has_paid_is_not_paid_again() {
    let mut stage = Stage::holding().await;
    let before = stage.cash().await;
    // Of ten shares two are left, and half of one, which is worth 100.
    stage.takes_effect(action("A", ActionKind::Split, E9 / 4, EX_DATE), 200).await;
    // The first bar behind the split has its price.
    let next_ns = LATER_NS + MINUTE_NS;
    stage.script.instant(next_ns, vec![bar("A", next_ns, 200, 200)]).await;
    assert_eq!(stage.cash().await, Amount(before.0 + cents(10_000).0));
    stage.outside.0.lock().unwrap().others[0] = 2;
    stage.books(activity("cil", ActivityKind::CashInLieu, "A", 9_950, LATER_NS + 3 * DAY_NS));
    stage.restart().await;
    assert_eq!(stage.booked().await, [("dividend".to_owned(), -50)]);
    assert_eq!(stage.cash().await, Amount(before.0 + cents(9_950).0));
    let sides: Vec<_> = stage.differed().await.into_iter().map(|one| (one.at_broker, one.on_tape)).collect();
    assert_eq!(sides, [("99.5".to_owned(), "100".to_owned())]);
    stage.finds_nothing_more().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_a_split_come_with_the_tapes_own_action_alone() {
    let mut stage = Stage::holding().await;
    stage.books(activity("split", ActivityKind::Split, "A", 0, LATER_NS));
    stage.outside.0.lock().unwrap().others[0] = 40;
    stage.restart().await;
    let held = async |stage: &Stage| book(&stage.script.tape).await.net_quantity("paper", "A");
    assert_eq!(held(&stage).await, Quantity(10 * E9), "they are waited for");
    stage.takes_effect(action("A", ActionKind::Split, 4 * E9, EX_DATE), 12).await;
    stage.finds_nothing_more().await;
    assert_eq!(held(&stage).await, Quantity(40 * E9));
    // More than that was traded by somebody else.
    stage.outside.0.lock().unwrap().others[0] = 41;
    stage.restart().await;
    assert_eq!(held(&stage).await, Quantity(41 * E9));
    stage.finds_nothing_more().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_booked_before_the_account_was_traded_here_is_in_the_cash_that_it_began_with() {
    let mut stage = Stage::new(ClockMode::Wall).await;
    let now_ns = runtime::now_ns();
    stage.books(activity("before", ActivityKind::Transfer, "", 10_000_000, now_ns - DAY_NS));
    stage.books(activity("after", ActivityKind::Transfer, "", 100, now_ns + MINUTE_NS));
    stage.restart().await;
    assert_eq!(stage.booked().await, [("deposit".to_owned(), 100)]);
    stage.end().await;
}

/// Whatever is booked, in whatever order it is told and however often execution dies: cash is what the broker's list comes to.
#[test]
fn cash_is_what_the_list_comes_to_however_it_is_told() {
    let executor =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let settings = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(settings, rng);
    let kind = prop_oneof![
        Just(ActivityKind::Dividend),
        Just(ActivityKind::Interest),
        Just(ActivityKind::Fee),
        Just(ActivityKind::Transfer)
    ];
    let one = (kind, -5_000..50_000_i64, 0..20_i64, any::<bool>());
    let outcome = runner.run(&(prop::collection::vec(one, 1..8), any::<bool>()), |(list, pays)| {
        executor.block_on(async {
            let mut stage = Stage::holding().await;
            let before = stage.cash().await;
            if pays {
                stage.takes_effect(action("A", ActionKind::Dividend, 260_000_000, EX_DATE), 50).await;
            }
            let mut expected = before;
            for (number, (kind, amount, day, dies)) in list.iter().enumerate() {
                let symbol = if *kind == ActivityKind::Dividend { "A" } else { "" };
                expected = Amount(expected.0 + cents(*amount).0);
                let told =
                    activity(&number.to_string(), *kind, symbol, *amount, LATER_NS + (1 + day) * DAY_NS);
                stage.books(told);
                if *dies {
                    stage.restart().await;
                }
            }
            stage.restart().await;
            // A dividend that the tape has paid stands until the broker says what it paid.
            let paid = list.iter().any(|(kind, amount, ..)| *kind == ActivityKind::Dividend && *amount != 0);
            if pays && !paid {
                expected = Amount(expected.0 + cents(260).0);
            }
            assert_eq!(stage.cash().await, expected);
            stage.finds_nothing_more().await;
            stage.end().await;
        });
        Ok(())
    });
    outcome.unwrap();
}
