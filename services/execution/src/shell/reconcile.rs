//! Holding the tape against brokers outside: orders, executions and positions, on start, after an interruption, every
//! quarter of an hour, at the end of each session, and quietly every minute.
//!
//! Each difference is settled by the events that a report would have made, and stated as an event of its own with what
//! became of it. What nobody can settle here is stated once, and once more when it is over. The comparison itself states what
//! the broker says that holdings are worth which no bar prices. A second comparison finds nothing, because what the first one
//! found is on the tape.
//!
//! Deliberately absent: comparing sums of cash, and closing or opening anything: what the broker holds is taken as it is.

mod activities;
mod differences;
mod positions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use broker::{BrokerError, ListedOrder};
use contracts::order_of_client;
use contracts::v1::event::Body;
use contracts::v1::{
    BrokerAttached, BrokerDiffered, BrokerReconciled, DifferenceKind, DifferenceResolution, HoldingPrice,
    TradingMode,
};
use domain::money::Quantity;
use domain::order::{OrderState, OrderStatus, Standing, reconcile};
use runtime::{ClockMode, clock};

use super::{Error, Shell};
use crate::step::Step;
pub(super) use activities::Activities;
pub(super) use differences::Unsettled;
use differences::of_order;

/// Time between two comparisons that are recorded.
const WHOLE_EVERY: Duration = Duration::from_secs(15 * 60);
/// How long after the close of a session it is compared.
const AFTER_CLOSE_NS: i64 = 60_000_000_000;
/// Ended orders that are looked at once more, the newest ones: a broker may bust what it filled.
const ENDED_MAX: usize = 50;
const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Why everything is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    Start,
    Reconnect,
    Schedule,
    SessionEnd,
    /// The minute's look: recorded only where it finds something.
    Poll,
}

impl Occasion {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reconnect => "reconnect",
            Self::Schedule => "schedule",
            Self::SessionEnd => "session_end",
            Self::Poll => "poll",
        }
    }
}

/// What a comparison of one account came to.
#[derive(Debug, Default)]
struct Tally {
    orders: u32,
    positions: u32,
    differences: u32,
    /// Prices of holdings that no bar prices and that are others than those stated last.
    prices: Vec<HoldingPrice>,
    /// Whether something could not be asked.
    unfinished: bool,
}

type Tallies = BTreeMap<String, Tally>;

impl Shell {
    /// Compares every order that is open here or ended a short while ago, and every position, with what brokers
    /// outside say.
    pub(super) async fn reconcile(&mut self, occasion: Occasion) -> Result<(), Error> {
        // What is not heard is asked for the more often.
        let pause = if self.deaf.is_some() { super::RETRY * 5 } else { super::ASK_AGAIN };
        self.ask_again_at = clock::now() + pause;
        self.catch_up().await?;
        self.recall_standing().await?;
        let occasion = self.due(occasion);
        let whole = occasion != Occasion::Poll;
        let accounts = self.outside();
        let mut tallies: Tallies =
            accounts.iter().map(|account| (account.clone(), Tally::default())).collect();
        self.attach(&mut tallies).await?;
        let mut compared = BTreeSet::new();
        for account in &accounts {
            compared.extend(self.find_orders(account, whole, &mut tallies).await?);
        }
        compared.extend(self.to_compare(whole));
        if whole {
            compared.extend(self.orders_at_odds().await);
        }
        for order_id in compared {
            self.true_up(&order_id, &mut tallies).await?;
        }
        self.end_days(&accounts).await?;
        for account in &accounts {
            self.find_holdings(account, whole, &mut tallies).await?;
        }
        if tallies.values().any(|tally| tally.unfinished) {
            self.ask_again_at = clock::now() + super::RETRY * 5;
        } else {
            self.answered();
        }
        for (account, tally) in tallies {
            if whole && !tally.unfinished {
                self.end_standing(&account).await?;
            }
            if (whole || tally.differences > 0 || !tally.prices.is_empty()) && !tally.unfinished {
                let body = Body::BrokerReconciled(BrokerReconciled {
                    account: account.clone(),
                    occasion: occasion.name().to_owned(),
                    orders: tally.orders,
                    positions: tally.positions,
                    differences: tally.differences,
                    prices: tally.prices,
                });
                self.note_of(&account, body, occasion.name()).await?;
            }
        }
        self.catch_up().await?;
        self.say_what_was_told();
        Ok(())
    }

    /// The occasion, or one that is due by the time.
    fn due(&mut self, occasion: Occasion) -> Occasion {
        let (now, now_ns) = (clock::now(), clock::now_ns());
        let mut due = occasion;
        if self.session_end_ns != 0 && now_ns >= self.session_end_ns {
            due = Occasion::SessionEnd;
        } else if occasion == Occasion::Poll && now >= self.whole_at {
            due = Occasion::Schedule;
        }
        let session = self.machine.calendar.current_or_next(now_ns - AFTER_CLOSE_NS);
        self.session_end_ns = session.map_or(0, |session| session.close_ns.saturating_add(AFTER_CLOSE_NS));
        if due != Occasion::Poll {
            self.whole_at = now + WHOLE_EVERY;
        }
        due
    }

    /// Asks for the cancel of entries for the day that their broker works on although that is over.
    async fn end_days(&mut self, accounts: &[String]) -> Result<(), Error> {
        self.catch_up().await?;
        let mut over = Vec::new();
        for account in accounts {
            let event_ns = self.known_ns(account);
            let is_over = |order: &&OrderState| {
                order.spec.account == *account
                    && !order.cancel_requested
                    && self.machine.outlasts_its_day(order, event_ns)
            };
            let orders = self.machine.book().open_orders().filter(is_over);
            over.extend(orders.map(|order| Step::EndDay { order_id: order.id().to_owned(), event_ns }));
        }
        self.store_and_log(over).await
    }

    /// Accounts at brokers outside.
    fn outside(&self) -> Vec<String> {
        let known = self.machine.book().accounts().map(|row| row.account.clone());
        let all: BTreeSet<String> = self.machine.accounts().iter().cloned().chain(known).collect();
        all.into_iter().filter(|account| self.broker.is_remote_for(account)).collect()
    }

    /// When something became known that no instant of the tape's market tells.
    fn known_ns(&self, account: &str) -> i64 {
        match self.context.clock {
            ClockMode::Wall => clock::now_ns(),
            ClockMode::Tape => self.machine.account_ns(account).max(0),
        }
    }

    async fn note_of(&mut self, account: &str, body: Body, key: &str) -> Result<(), Error> {
        let key = format!("{account}/{key}/{}", self.machine.account_last(account));
        let event_ns = self.known_ns(account);
        let step = Step::Note { account: account.to_owned(), body: Box::new(body), key, event_ns };
        self.store_and_log(vec![step]).await
    }

    /// States through which broker each account is traded, and whether it takes orders there, where the tape does not say
    /// so yet.
    async fn attach(&mut self, tallies: &mut Tallies) -> Result<(), Error> {
        for (account, tally) in tallies.iter_mut() {
            let (number, blocked) = match self.broker.account(account).await {
                Ok(Some(found)) => (found.number, found.blocked),
                Ok(None) => (String::new(), None),
                Err(error) => {
                    tally.unfinished = true;
                    self.say_of_broker(error.to_string());
                    continue;
                }
            };
            let now = BrokerAttached {
                account: account.clone(),
                broker: self.broker.name_of(account).to_owned(),
                mode: self.broker.mode_of(account).into(),
                broker_account: number,
                blocked: blocked.clone().unwrap_or_default(),
            };
            self.restate(|shell| {
                shell.blocked.remove(account);
                shell.blocked.extend(blocked.map(|why| (account.clone(), why)));
            });
            let before = runtime::command::attachment(&self.context.tape, account).await?;
            let stays = before.is_none() && now.mode() == TradingMode::Simulated;
            if !stays && before.as_ref() != Some(&now) {
                self.note_of(account, Body::BrokerAttached(now), "attached").await?;
            }
        }
        Ok(())
    }

    /// Orders to be looked at: what is open, what ended unfilled and may have been filled before, and, where everything
    /// is compared, what ended within a day.
    fn to_compare(&self, whole: bool) -> Vec<String> {
        let book = self.machine.book();
        let sent = |order: &&OrderState| {
            order.submitted_ns.is_some() && self.broker.is_remote_for(&order.spec.account)
        };
        let open = book.open_orders().filter(sent);
        // What was refused before it was worked was never there.
        let worked =
            |order: &&OrderState| order.accepted_ns.is_some() || order.status != OrderStatus::Rejected;
        let mut ended: Vec<&OrderState> = book.ended_orders().filter(sent).filter(worked).collect();
        ended.sort_by_key(|order| std::cmp::Reverse(order.ended_ns));
        let newest = ended.first().and_then(|order| order.ended_ns).unwrap_or_default();
        let ended = ended.into_iter().enumerate().filter(|(place, order)| {
            let late = order.unfilled() > Quantity::ZERO && !self.confirmed.contains(order.id());
            let lately = order.ended_ns.is_some_and(|ended_ns| newest.saturating_sub(ended_ns) < DAY_NS);
            late || (whole && *place < ENDED_MAX && lately)
        });
        open.chain(ended.map(|(_, order)| order)).map(|order| order.id().to_owned()).collect()
    }

    /// Brings an order to what its broker says of it as a whole.
    async fn true_up(&mut self, order_id: &str, tallies: &mut Tallies) -> Result<(), Error> {
        let Some(order) = self.machine.book().order(order_id).cloned() else { return Ok(()) };
        // How an exit stands that its broker holds is said once its entry is over.
        if self.machine.is_held(&order) {
            return Ok(());
        }
        let tally = tallies.entry(order.spec.account.clone()).or_default();
        tally.orders += 1;
        let unanswered = order.accepted_ns.is_none();
        let outcome = match self.broker.truth(&order).await {
            Ok(Some(truth)) => {
                let ended = !matches!(truth.standing, Standing::Working | Standing::Suspended(_));
                Ok(Some((reconcile(&order, &truth), ended)))
            }
            Ok(None) => {
                let known = self.broker.lookup(&order.spec, &order.client_order_id).await;
                known.map(|known| {
                    known.map(|known| {
                        let ended = known.state == broker::StateAtBroker::Ended;
                        (known.reports.into_iter().map(|report| report.report).collect(), ended)
                    })
                })
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Some((reports, ended))) => {
                for report in reports {
                    let found = self.settle(order_id, report).await?;
                    tallies.entry(order.spec.account.clone()).or_default().differences += u32::from(found);
                }
                self.confirm(order_id, ended);
            }
            // Without an answer it is asked for as an order whose submission has none.
            Ok(None) if order.status.is_ended() => self.confirm(order_id, true),
            Ok(None) if unanswered => {}
            Ok(None) => {
                let differed = BrokerDiffered {
                    at_broker: "unknown".to_owned(),
                    on_tape: order.stage().name().to_owned(),
                    detail: "the broker does not know the order".to_owned(),
                    resolution: DifferenceResolution::Alert.into(),
                    ..of_order(&order, DifferenceKind::Order)
                };
                let new = self.alert(differed).await?;
                tallies.entry(order.spec.account.clone()).or_default().differences += u32::from(new);
            }
            Err(error) => self.unfinished(&order.spec.account, tallies, &error),
        }
        Ok(())
    }

    fn unfinished(&mut self, account: &str, tallies: &mut Tallies, error: &BrokerError) {
        tallies.entry(account.to_owned()).or_default().unfinished = true;
        self.say_of_broker(error.to_string());
    }

    /// Looks at every order that the broker lists. One that had ended here is taken into memory to be compared as a
    /// whole; one that is open there and not this tape's is stated.
    async fn find_orders(
        &mut self,
        account: &str,
        whole: bool,
        tallies: &mut Tallies,
    ) -> Result<BTreeSet<String>, Error> {
        let mut again = BTreeSet::new();
        let listed = match self.broker.listed_orders(account).await {
            Ok(listed) => listed.unwrap_or_default(),
            Err(error) => {
                self.unfinished(account, tallies, &error);
                return Ok(again);
            }
        };
        let mut ended = 0;
        for ListedOrder { client_order_id, broker_order_id, symbol, terms, open, .. } in listed {
            let ours = order_of_client(&client_order_id).map(|(order_id, _)| order_id.to_owned());
            if let Some(order_id) = ours {
                ended += usize::from(!open);
                if open || (whole && ended <= ENDED_MAX) {
                    self.bring(&order_id).await;
                    if self.machine.book().order(&order_id).is_some() {
                        again.insert(order_id);
                        continue;
                    }
                }
            }
            if !open {
                continue;
            }
            let differed = BrokerDiffered {
                account: account.to_owned(),
                kind: DifferenceKind::Order.into(),
                symbol,
                order_id: String::new(),
                at_broker: format!("open, {terms}"),
                on_tape: "nothing".to_owned(),
                resolution: DifferenceResolution::Alert.into(),
                detail: format!("order {broker_order_id} is open at the broker and not this tape's"),
                over: false,
            };
            let new = self.alert(differed).await?;
            tallies.entry(account.to_owned()).or_default().differences += u32::from(new);
        }
        Ok(again)
    }
}
