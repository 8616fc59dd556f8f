//! Every address of the site, so that no page links to one that does not exist.

use std::fmt;

use crate::pages::Params;

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url<'a> {
    /// The Overview.
    Overview,
    /// One panel, to load it again with the fields that it depends on.
    Panel(&'a str, &'a Params),
    /// Orders, all of the open ones.
    Orders,
    /// One order.
    Order(&'a str),
    /// Asks for an order to be cancelled.
    OrderCancel(&'a str),
    /// Asks for new terms of an order.
    OrderReplace(&'a str),
    /// Positions and risk.
    Positions,
    /// What the monitor measured of an account, with its alerts in force.
    Monitor(&'a str),
    /// Breakers and the kill switch.
    Stops,
    /// Strategies.
    Strategies,
    /// One strategy.
    Strategy(&'a str),
    /// Hand over to another strategy.
    StrategyReplace(&'a str),
    /// End a strategy's registration.
    StrategyRemove(&'a str),
    /// Backtests.
    Backtests,
    /// One backtest.
    Backtest(&'a str),
    /// Asks for the end of a backtest.
    BacktestCancel(&'a str),
    /// The lines of a chart: ids of backtests, separated by commas.
    BacktestLines(&'a str),
    /// Sessions beside the same bars, run again.
    Parity,
    /// The tape, forked.
    Fork,
    /// One parity or fork: its page (`parity` or `fork`) and id.
    Comparison(&'a str, &'a str),
    /// Asks for the end of a parity or a fork.
    ComparisonCancel(&'a str),
    /// Both sides of a parity or a fork on one timeline: its id and the account.
    ComparisonLines(&'a str, &'a str),
    /// How the system itself is.
    System,
    /// Something asked of a read model: its name and the task.
    Projection(&'a str, &'a str),
    /// Log lines.
    Logs,
    /// Settings.
    Settings,
    /// Stop new exposure of one account.
    AccountHalt(&'a str),
    /// End the halt of one account.
    AccountResume(&'a str),
    /// End a breaker of one account.
    BreakerReset(&'a str),
    /// Pull the kill switch.
    Kill,
    /// State limits of a scope.
    Limits,
    /// The chain of events behind one, from bar to fill.
    Chain(&'a str),
    /// The tape, message by message.
    Events,
    /// One message: stream and sequence.
    Event(&'a str, u64),
    /// Branches of the tree of subjects: stream and the subject so far.
    EventTree(&'a str, &'a str),
    /// The chain of an event of which it is known where it stands.
    ChainAt(&'a str, &'a str, u64),
    /// Messages set aside.
    Parked,
    /// Handles a parked message again.
    ParkedReplay(&'a str),
    /// Closes a parked message.
    ParkedDismiss(&'a str),
    /// The chart of the symbol that is most likely wanted.
    Chart,
    /// The chart of a symbol.
    Symbol(&'a str),
    /// Points of an account's equity line.
    EquityPoints(&'a str),
    /// Stop new exposure.
    Halt,
    /// End a halt.
    Resume,
    /// Let a strategy's signals take effect.
    StrategyEnable(&'a str),
    /// Stop a strategy.
    StrategyDisable(&'a str),
    /// A strategy's signals against later prices.
    StrategyScore(&'a str),
    /// Give an external strategy a new password.
    StrategyRotate(&'a str),
}

impl fmt::Display for Url<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview => formatter.write_str("/"),
            Self::Panel(panel, params) => formatter.write_str(&params.link(&format!("/panels/{panel}"))),
            Self::Orders => formatter.write_str("/orders"),
            Self::Order(id) => write!(formatter, "/orders/{}", escape(id)),
            Self::OrderCancel(id) => write!(formatter, "/orders/{}/cancel", escape(id)),
            Self::OrderReplace(id) => write!(formatter, "/orders/{}/replace", escape(id)),
            Self::Positions => formatter.write_str("/positions"),
            Self::Stops => formatter.write_str("/positions#h-stops"),
            Self::Monitor(account) => write!(formatter, "/positions?account={}#monitor", escape(account)),
            Self::Strategies => formatter.write_str("/strategies"),
            Self::Strategy(name) => write!(formatter, "/strategies/{}", escape(name)),
            Self::StrategyReplace(name) => write!(formatter, "/strategies/{}/replace", escape(name)),
            Self::StrategyScore(name) => write!(formatter, "/strategies/{}/score", escape(name)),
            Self::StrategyRotate(name) => write!(formatter, "/strategies/{}/rotate", escape(name)),
            Self::StrategyRemove(name) => write!(formatter, "/strategies/{}/remove", escape(name)),
            Self::Backtests => formatter.write_str("/backtests"),
            Self::Backtest(id) => write!(formatter, "/backtests/{}", escape(id)),
            Self::BacktestCancel(id) => write!(formatter, "/backtests/{}/cancel", escape(id)),
            Self::BacktestLines(ids) => write!(formatter, "/backtests/lines.json?compare={}", escape(ids)),
            Self::Parity => formatter.write_str("/parity"),
            Self::Fork => formatter.write_str("/fork"),
            Self::Comparison(kind, id) => write!(formatter, "/{}/{}", escape(kind), escape(id)),
            Self::ComparisonCancel(id) => write!(formatter, "/comparisons/{}/cancel", escape(id)),
            Self::ComparisonLines(id, account) => {
                write!(formatter, "/comparisons/{}/lines.json?account={}", escape(id), escape(account))
            }
            Self::System => formatter.write_str("/system"),
            Self::Projection(name, task) => {
                write!(formatter, "/projections/{}/{}", escape(name), escape(task))
            }
            Self::Logs => formatter.write_str("/logs"),
            Self::Settings => formatter.write_str("/settings"),
            Self::AccountHalt(account) => write!(formatter, "/accounts/{}/halt", escape(account)),
            Self::AccountResume(account) => write!(formatter, "/accounts/{}/resume", escape(account)),
            Self::BreakerReset(account) => write!(formatter, "/accounts/{}/breakers/reset", escape(account)),
            Self::Kill => formatter.write_str("/trading/kill"),
            Self::Limits => formatter.write_str("/limits"),
            Self::Chain(id) => write!(formatter, "/events/chain/{}", escape(id)),
            Self::Events => formatter.write_str("/events"),
            Self::Event(stream, sequence) => write!(formatter, "/events/{}/{sequence}", escape(stream)),
            Self::EventTree(stream, path) => {
                write!(formatter, "/events/tree?stream={}&path={}", escape(stream), escape(path))
            }
            Self::ChainAt(id, stream, sequence) => {
                let (id, stream) = (escape(id), escape(stream));
                write!(formatter, "/events/chain/{id}?stream={stream}&sequence={sequence}")
            }
            Self::Parked => formatter.write_str("/events/parked"),
            Self::ParkedReplay(id) => write!(formatter, "/events/parked/{}/replay", escape(id)),
            Self::ParkedDismiss(id) => write!(formatter, "/events/parked/{}/dismiss", escape(id)),
            Self::Chart => formatter.write_str("/chart"),
            Self::Symbol(symbol) => write!(formatter, "/chart/{}", escape(symbol)),
            Self::EquityPoints(account) => {
                write!(formatter, "/overview/equity.json?account={}", escape(account))
            }
            Self::Halt => formatter.write_str("/trading/halt"),
            Self::Resume => formatter.write_str("/trading/resume"),
            Self::StrategyEnable(name) => write!(formatter, "/strategies/{}/enable", escape(name)),
            Self::StrategyDisable(name) => write!(formatter, "/strategies/{}/disable", escape(name)),
        }
    }
}

/// Escapes one path segment or query value: everything but unreserved characters becomes `%XX`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(Url::StrategyEnable("a/../b?c").to_string(), "/strategies/a%2F..%2Fb%3Fc/enable");
        assert_eq!(Url::EquityPoints("a&b").to_string(), "/overview/equity.json?account=a%26b");
    }
}
