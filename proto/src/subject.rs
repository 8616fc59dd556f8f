//! The subject grammar: under which subject an event is stored.
//!
//! A token may hold any character of a symbol; the five that NATS reserves (`.`, `*`, `>`, space and
//! `%` itself) and control characters are written as `%XX`. The body always holds the plain text.

use std::fmt;

use crate::v1::event::Body;
use crate::v1::{
    AccountKind, ActionKind, EntryKind, Event, LimitScope, OrderSpec, ProjectionTask, StrategyMode,
    TradingMode, Verdict,
};
use crate::{ALL_ACCOUNTS, stream};

/// A subject of the tape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

/// A subject that does not follow the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subject {subject:?}: {problem}")]
pub struct MalformedSubject {
    /// The subject in question.
    pub subject: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Subject {
    /// Joins tokens, escaping each.
    #[must_use]
    pub fn of(tokens: &[&str]) -> Self {
        Self(tokens.iter().map(|token| escape(token)).collect::<Vec<_>>().join("."))
    }

    /// The subject of a bar: `market.bar.<timeframe>.<symbol>`.
    #[must_use]
    pub fn bar(timeframe: &str, symbol: &str) -> Self {
        Self::of(&["market", "bar", timeframe, symbol])
    }

    /// The filter under which a symbol's bars of every timeframe are: `market.bar.*.<symbol>`.
    #[must_use]
    pub fn bar_filter(symbol: &str) -> String {
        format!("market.bar.*.{}", escape(symbol))
    }

    /// The subject of a signal: `signal.<strategy>.<symbol>`.
    #[must_use]
    pub fn signal(strategy: &str, symbol: &str) -> Self {
        Self::of(&["signal", strategy, symbol])
    }

    /// An event of an order: `order.<account>.<strategy>.<symbol>.<order_id>.<event>`.
    #[must_use]
    pub fn order(order: &OrderSpec, event: &str) -> Self {
        Self::of(&["order", &order.account, &order.strategy, &order.symbol, &order.order_id, event])
    }

    /// The filter under which all events of an order, fills included, are one aggregate:
    /// `*.<account>.<strategy>.<symbol>.<order_id>.>`. Every writer uses exactly this string.
    #[must_use]
    pub fn order_filter(order: &OrderSpec) -> String {
        format!(
            "*.{}.{}.{}.{}.>",
            escape(&order.account),
            escape(&order.strategy),
            escape(&order.symbol),
            escape(&order.order_id)
        )
    }

    /// The subject under which `event` is stored.
    ///
    /// `order` is the order that an order event belongs to; other events do not need it. `None` when
    /// the event has no body, or is an order event and no order was given.
    #[must_use]
    pub fn for_event(event: &Event, order: Option<&OrderSpec>) -> Option<Self> {
        let of_order = |name: &str| order.map(|order| Self::order(order, name));
        Some(match event.body.as_ref()? {
            Body::Bar(bar) => Self::bar(&bar.timeframe, &bar.symbol),
            Body::BarRevision(revision) => {
                let bar = revision.bar.as_ref()?;
                Self::of(&["market", "revision", &bar.timeframe, &bar.symbol])
            }
            Body::CorporateAction(action) => Self::of(&["market", "action", &action.symbol]),
            Body::SessionChange(session) => Self::of(&["market", "session", &session.exchange]),
            Body::QualityFinding(finding) => Self::of(&["market", "quality", &finding.symbol]),
            Body::Quote(quote) => Self::of(&["quote", &quote.symbol]),
            Body::Trade(trade) => Self::of(&["trade", &trade.symbol]),
            Body::Signal(signal) => Self::signal(&signal.strategy, &signal.legs.first()?.symbol),
            Body::RiskDecision(decision) => {
                Self::of(&["risk", &decision.account, verdict_token(decision.verdict())])
            }
            Body::OrderSubmitted(submitted) => Self::order(submitted.order.as_ref()?, "submitted"),
            Body::OrderAccepted(_) => of_order("accepted")?,
            Body::OrderRejected(_) => of_order("rejected")?,
            Body::OrderCancelRequested(_) => of_order("cancel_requested")?,
            Body::OrderCancelled(_) => of_order("cancelled")?,
            Body::OrderCancelRejected(_) => of_order("cancel_rejected")?,
            Body::OrderReplaceRequested(_) => of_order("replace_requested")?,
            Body::OrderReplaced(_) => of_order("replaced")?,
            Body::OrderReplaceRejected(_) => of_order("replace_rejected")?,
            Body::OrderExpired(_) => of_order("expired")?,
            Body::OrderSuspended(_) => of_order("suspended")?,
            Body::OrderAdjusted(_) => of_order("adjusted")?,
            Body::OrderTriggered(_) => of_order("triggered")?,
            Body::OrderTrailed(_) => of_order("trailed")?,
            Body::Fill(fill) => Self::of(&[
                "fill",
                &fill.account,
                &fill.strategy,
                &fill.symbol,
                &fill.order_id,
                &fill.number.to_string(),
            ]),
            Body::AccountMarked(mark) => Self::of(&["account", &mark.account, "marked"]),
            Body::MarginCalled(call) => Self::of(&["account", &call.account, "margin_called"]),
            Body::MarginRestored(call) => Self::of(&["account", &call.account, "margin_restored"]),
            Body::AccountEntry(entry) => Self::of(&["account", &entry.account, entry_token(entry.kind())?]),
            Body::AccountConfigured(account) => {
                Self::of(&["control", "account", &account.account, "configured"])
            }
            Body::TradingHalted(halt) if !halt.strategy.is_empty() => {
                Self::strategy_control(&halt.strategy, "halted")
            }
            Body::TradingResumed(resume) if !resume.strategy.is_empty() => {
                Self::strategy_control(&resume.strategy, "resumed")
            }
            Body::TradingKilled(kill) if !kill.strategy.is_empty() => {
                Self::strategy_control(&kill.strategy, "killed")
            }
            Body::TradingKilled(kill) => Self::of(&["control", "trading", scope(&kill.account), "killed"]),
            Body::LimitsSet(limits) => Self::limits(limits.scope.as_ref()?),
            Body::BreakerTripped(event) => Self::of(&["account", &event.account, "breaker_tripped"]),
            Body::BreakerReset(event) => Self::of(&["account", &event.account, "breaker_reset"]),
            // What a service says of the sources and brokers that it asks concerns all accounts.
            Body::AlertRaised(event) if event.account.is_empty() => {
                Self::of(&["control", "source", &event.kind, "alert"])
            }
            Body::AlertRaised(event) => Self::of(&["control", "monitor", &event.account, "alert"]),
            Body::RiskMeasured(event) => Self::of(&["control", "monitor", &event.account, "measured"]),
            Body::TradingHalted(halt) => Self::of(&["control", "trading", scope(&halt.account), "halted"]),
            Body::TradingResumed(resume) => {
                Self::of(&["control", "trading", scope(&resume.account), "resumed"])
            }
            Body::StrategyRegistered(strategy) => Self::strategy_control(&strategy.strategy, "registered"),
            Body::StrategyEnabled(strategy) => Self::strategy_control(&strategy.strategy, "enabled"),
            Body::StrategyDisabled(strategy) => Self::strategy_control(&strategy.strategy, "disabled"),
            Body::StrategyWarmed(strategy) => Self::strategy_control(&strategy.strategy, "warmed"),
            Body::StrategyRemoved(strategy) => Self::strategy_control(&strategy.strategy, "removed"),
            Body::ProjectionRequested(request) => {
                Self::projection_control(&request.projection, request.task(), "requested")?
            }
            Body::ProjectionFinished(end) => {
                Self::projection_control(&end.projection, end.task(), "finished")?
            }
            Body::BacktestRequested(event) => Self::backtest(&event.run_id, "requested"),
            Body::BacktestStarted(event) => Self::backtest(&event.run_id, "started"),
            Body::BacktestCancelRequested(event) => Self::backtest(&event.run_id, "cancel_requested"),
            Body::BacktestFinished(event) => Self::backtest(&event.run_id, "finished"),
            Body::OrderUnresolved(_) => of_order("unresolved")?,
            Body::FillCorrected(_) => of_order("fill_corrected")?,
            Body::FillBusted(_) => of_order("fill_busted")?,
            Body::GroupHandled(group) => Self::of(&["control", "group", &group.group_id, "handled"]),
            Body::InvariantBroken(broken) => Self::of(&["control", "invariant", &broken.name, "broken"]),
            Body::BrokerAttached(event) => Self::of(&["account", &event.account, "attached"]),
            Body::BrokerReconciled(event) => Self::of(&["account", &event.account, "reconciled"]),
            Body::BrokerDiffered(event) => Self::of(&["account", &event.account, "differed"]),
            Body::LiveTradingConfirmed(event) => {
                Self::of(&["control", "account", &event.account, "live_confirmed"])
            }
            Body::LiveTradingRevoked(event) => {
                Self::of(&["control", "account", &event.account, "live_revoked"])
            }
            Body::PositionTransferred(moved) => Self::of(&["account", &moved.account, "transferred"]),
            Body::CompanyProfile(profile) => Self::reference("profile", &profile.symbol),
            Body::KeyStatistics(statistics) => Self::reference("statistics", &statistics.symbol),
            Body::FinancialStatement(statement) => Self::reference("statement", &statement.symbol),
            Body::InstitutionalHolders(holders) => Self::reference("holders", &holders.symbol),
            Body::AnalystOpinions(opinions) => Self::reference("analysts", &opinions.symbol),
            Body::Listing(listing) => Self::reference("listing", &listing.symbol),
            Body::NewsArticle(article) => Self::news(&article.symbol),
            Body::LogRecord(record) => {
                Self::of(&["log", &record.service, &record.level.to_ascii_lowercase()])
            }
            Body::Heartbeat(beat) => Self::of(&["log", &beat.service, "heartbeat"]),
            Body::SourceReported(report) => Self::of(&["log", &report.source, "source"]),
            Body::Audit(audit) => Self::of(&["audit", &audit.actor, &audit.action]),
            Body::Parked(parked) => Self::of(&["parked", &parked.service]),
            Body::ParkedResolved(_) => Self::of(&["parked", "resolved"]),
        })
    }

    fn projection_control(projection: &str, task: ProjectionTask, event: &str) -> Option<Self> {
        let task = task.name()?;
        Some(Self::of(&["control", "projection", projection, &format!("{task}_{event}")]))
    }

    /// An event of a backtest: `control.backtest.<run_id>.<event>`.
    #[must_use]
    pub fn backtest(run_id: &str, event: &str) -> Self {
        Self::of(&["control", "backtest", run_id, event])
    }

    /// The limits of a scope: `control.limits.<account>.<strategy>.<symbol>`, `%` for each one.
    #[must_use]
    pub fn limits(scope: &LimitScope) -> Self {
        Self::of(&["control", "limits", &scope.account, &scope.strategy, &scope.symbol])
    }

    /// A fact about a symbol: `reference.<kind>.<symbol>`.
    #[must_use]
    pub fn reference(kind: &str, symbol: &str) -> Self {
        Self::of(&["reference", kind, symbol])
    }

    /// Articles about a symbol, `%` for those about none: `news.article.<symbol>`.
    #[must_use]
    pub fn news(symbol: &str) -> Self {
        Self::of(&["news", "article", symbol])
    }

    fn strategy_control(strategy: &str, event: &str) -> Self {
        Self::of(&["control", "strategy", strategy, event])
    }

    /// Reads a subject; refuses empty tokens and wildcards.
    pub fn parse(text: &str) -> Result<Self, MalformedSubject> {
        let malformed = |problem| Err(MalformedSubject { subject: text.to_owned(), problem });
        if text.is_empty() || text.split('.').any(str::is_empty) {
            return malformed("a token is empty");
        }
        if text.split('.').any(|token| token == "*" || token == ">") {
            return malformed("a wildcard is a filter, not a subject");
        }
        if text.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return malformed("white space and control characters are not allowed");
        }
        Ok(Self(text.to_owned()))
    }

    /// The tokens, unescaped.
    pub fn tokens(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('.').map(unescape)
    }

    /// The subject as NATS sees it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn scope(account: &str) -> &str {
    if account.is_empty() { ALL_ACCOUNTS } else { account }
}

/// The token that tells a decision's verdict.
pub(crate) fn verdict_token(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approved",
        Verdict::Shadowed => "shadowed",
        Verdict::Denied | Verdict::Unspecified => "denied",
    }
}

/// The token that tells the kind of an entry; `None` when it is not stated.
pub(crate) fn entry_token(kind: EntryKind) -> Option<&'static str> {
    Some(match kind {
        EntryKind::Deposit => "deposit",
        EntryKind::Dividend => "dividend",
        EntryKind::Split => "split",
        EntryKind::CashInLieu => "cash_in_lieu",
        EntryKind::External => "external",
        EntryKind::Fee => "fee",
        EntryKind::Interest => "interest",
        EntryKind::Unspecified => return None,
    })
}

/// The stream that holds a subject, by its first token; `None` outside the tape.
#[must_use]
pub fn stream_of(subject: &str) -> Option<&'static str> {
    Some(match subject.split('.').next()? {
        "market" => stream::MARKET,
        "control" | "signal" | "risk" | "order" | "fill" | "account" => stream::TRADING,
        "audit" => stream::AUDIT,
        "parked" => stream::PARKED,
        "log" => stream::LOGS,
        "reference" | "news" => stream::REFERENCE,
        "quote" | "trade" => stream::QUOTES,
        _ => return None,
    })
}

/// Writes a token so that it is exactly one token of a subject. An empty text becomes `%`.
#[must_use]
pub fn escape(token: &str) -> String {
    if token.is_empty() {
        return "%".to_owned();
    }
    let mut escaped = String::with_capacity(token.len());
    for character in token.chars() {
        if matches!(character, '.' | '*' | '>' | '%' | '$')
            || character.is_whitespace()
            || character.is_control()
        {
            let mut bytes = [0u8; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Reads a token written by [`escape`]. Text that is not a valid escape stays as it is.
#[must_use]
pub fn unescape(token: &str) -> String {
    if token == "%" {
        return String::new();
    }
    let bytes = token.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| token.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| token.to_owned())
}

impl ProjectionTask {
    /// The task as subjects and pages write it; `None` when it is not stated.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Rebuild => Some("rebuild"),
            Self::Verify => Some("verify"),
            Self::Unspecified => None,
        }
    }
}

impl ActionKind {
    /// The kind as the files and pages write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Dividend => "dividend",
            Self::Unspecified => "unspecified",
        }
    }
}

impl StrategyMode {
    /// The mode as pages, commands and the configuration write it; paper where none is stated.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Paper | Self::Unspecified => "paper",
        }
    }
}

impl TradingMode {
    /// The mode as pages, commands and the configuration write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Paper => "paper",
            Self::Live => "live",
            Self::Unspecified => "unspecified",
        }
    }
}

impl AccountKind {
    /// The kind as pages, commands and the configuration write it; `None` where none is stated.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Cash => Some("cash"),
            Self::Margin => Some("margin"),
            Self::Unspecified => None,
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Cash, Self::Margin].into_iter().find(|kind| kind.name() == Some(name))
    }
}
