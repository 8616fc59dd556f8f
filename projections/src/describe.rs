//! Any event in short: its kind and one line of words, the same wherever events are listed.
//!
//! Deliberately absent: anything but the event itself; a description needs no read model.

use contracts::v1::event::Body;
use contracts::v1::{Bar, Event};
use domain::money::{Price, Volume};

use crate::trading::summary;

/// An event in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name of its body in the schema, for example `risk_decision`.
    pub kind: &'static str,
    /// The event in words.
    pub text: String,
}

fn of(kind: &'static str, text: String) -> Description {
    Description { kind, text }
}

fn bar(bar: &Bar) -> String {
    format!(
        "{} {} open {} high {} low {} close {} volume {}",
        bar.symbol,
        bar.timeframe,
        Price(bar.open_e9),
        Price(bar.high_e9),
        Price(bar.low_e9),
        Price(bar.close_e9),
        Volume(bar.volume_e3)
    )
}

/// The last word of a wire name: `SESSION_PHASE_OPENED` is `opened`.
fn word(name: &str) -> String {
    name.rsplit('_').next().unwrap_or(name).to_ascii_lowercase()
}

/// Describes an event.
#[must_use]
pub fn describe(event: &Event) -> Description {
    let Some(body) = event.body.as_ref() else { return of("unknown", String::new()) };
    match body {
        Body::Bar(body) => of("bar", bar(body)),
        Body::BarRevision(revision) => of("bar_revision", revision.bar.as_ref().map(bar).unwrap_or_default()),
        Body::CorporateAction(action) => of(
            "corporate_action",
            format!(
                "{} {} {} on {}",
                action.kind().name(),
                action.symbol,
                Price(action.value_e9),
                action.ex_date
            ),
        ),
        Body::SessionChange(session) => of(
            "session_change",
            format!("{} {} {}", session.exchange, session.date, word(session.phase().as_str_name())),
        ),
        Body::QualityFinding(finding) => {
            of("quality_finding", format!("{} {}: {}", finding.symbol, finding.rule, finding.detail))
        }
        Body::Quote(quote) => {
            of("quote", format!("{} bid {} ask {}", quote.symbol, Price(quote.bid_e9), Price(quote.ask_e9)))
        }
        Body::Trade(trade) => {
            let (size, price) = (Volume(trade.size_e3), Price(trade.price_e9));
            of("trade", format!("{} {size} at {price}", trade.symbol))
        }
        Body::CompanyProfile(profile) => {
            of("company_profile", format!("{} {}", profile.symbol, profile.name).trim_end().to_owned())
        }
        Body::KeyStatistics(statistics) => {
            let count = statistics.figures.len();
            of("key_statistics", format!("{} {count} figures", statistics.symbol))
        }
        Body::FinancialStatement(statement) => {
            let period = word(statement.period().as_str_name());
            let (symbol, end) = (&statement.symbol, &statement.period_end);
            of("financial_statement", format!("{symbol} {period} {end}, {} items", statement.items.len()))
        }
        Body::InstitutionalHolders(holders) => {
            let count = holders.holders.len();
            of("institutional_holders", format!("{} {count} institutions", holders.symbol))
        }
        Body::AnalystOpinions(opinions) => {
            let count = opinions.analysts.map(|count| format!(", {count} state a price")).unwrap_or_default();
            of("analyst_opinions", format!("{} advice {}{count}", opinions.symbol, opinions.mean_advice))
        }
        Body::Listing(listing) => {
            let state = word(listing.state().as_str_name());
            of("listing", format!("{} {state} {}", listing.symbol, listing.exchange).trim_end().to_owned())
        }
        Body::NewsArticle(article) => {
            let sentiment =
                article.sentiment.as_ref().map(|sentiment| format!(" ({:+.2})", sentiment.compound));
            let (symbol, headline) = (&article.symbol, &article.headline);
            of("news_article", format!("{symbol} {headline}{}", sentiment.unwrap_or_default()))
        }
        Body::LogRecord(record) => {
            of("log_record", format!("{} {} {}", record.level, record.target, record.message))
        }
        Body::Heartbeat(beat) => {
            of("heartbeat", format!("{} {} {}", beat.service, beat.state, beat.detail).trim_end().to_owned())
        }
        Body::SourceReported(report) => of(
            "source_reported",
            format!("{} {} {}", report.source, report.state, report.detail).trim_end().to_owned(),
        ),
        Body::Audit(audit) => of(
            "audit",
            format!("{} {} {} {}", audit.actor, audit.action, audit.target, audit.detail)
                .trim_end()
                .to_owned(),
        ),
        Body::Parked(parked) => of(
            "parked",
            format!("{} set aside {} {}: {}", parked.service, parked.stream, parked.sequence, parked.reason),
        ),
        Body::ParkedResolved(resolved) => of(
            "parked_resolved",
            format!("{} by {}: {}", resolved.resolution, resolved.actor, resolved.reason),
        ),
        _ => {
            let summary = summary::of(body);
            of(summary.kind, summary.text)
        }
    }
}

/// The kinds of events and the filter that covers the subjects each is stored under, in the order of the
/// streams. A filter may cover a little more than its kind.
pub const KIND_SUBJECTS: &[(&str, &str)] = &[
    ("bar", "market.bar.>"),
    ("bar_revision", "market.revision.>"),
    ("corporate_action", "market.action.>"),
    ("session_change", "market.session.>"),
    ("quality_finding", "market.quality.>"),
    ("company_profile", "reference.profile.>"),
    ("key_statistics", "reference.statistics.>"),
    ("financial_statement", "reference.statement.>"),
    ("institutional_holders", "reference.holders.>"),
    ("analyst_opinions", "reference.analysts.>"),
    ("listing", "reference.listing.>"),
    ("news_article", "news.article.>"),
    ("signal", "signal.>"),
    ("risk_decision", "risk.>"),
    ("order_submitted", "order.*.*.*.*.submitted"),
    ("order_accepted", "order.*.*.*.*.accepted"),
    ("order_rejected", "order.*.*.*.*.rejected"),
    ("order_cancel_requested", "order.*.*.*.*.cancel_requested"),
    ("order_cancelled", "order.*.*.*.*.cancelled"),
    ("order_cancel_rejected", "order.*.*.*.*.cancel_rejected"),
    ("order_replace_requested", "order.*.*.*.*.replace_requested"),
    ("order_replaced", "order.*.*.*.*.replaced"),
    ("order_replace_rejected", "order.*.*.*.*.replace_rejected"),
    ("order_expired", "order.*.*.*.*.expired"),
    ("order_suspended", "order.*.*.*.*.suspended"),
    ("order_adjusted", "order.*.*.*.*.adjusted"),
    ("order_triggered", "order.*.*.*.*.triggered"),
    ("order_trailed", "order.*.*.*.*.trailed"),
    ("fill", "fill.>"),
    ("margin_called", "account.*.margin_called"),
    ("margin_restored", "account.*.margin_restored"),
    ("account_marked", "account.*.marked"),
    ("account_entry", "account.>"),
    ("broker_attached", "account.*.attached"),
    ("broker_reconciled", "account.*.reconciled"),
    ("broker_differed", "account.*.differed"),
    ("live_trading_confirmed", "control.account.*.live_confirmed"),
    ("live_trading_revoked", "control.account.*.live_revoked"),
    ("account_configured", "control.account.*.configured"),
    ("trading_halted", "control.trading.*.halted"),
    ("trading_resumed", "control.trading.*.resumed"),
    ("strategy_registered", "control.strategy.*.registered"),
    ("strategy_enabled", "control.strategy.*.enabled"),
    ("strategy_disabled", "control.strategy.*.disabled"),
    ("strategy_warmed", "control.strategy.*.warmed"),
    ("audit", "audit.>"),
    ("parked", "parked.*"),
    ("parked_resolved", "parked.resolved"),
    ("log_record", "log.>"),
    ("heartbeat", "log.*.heartbeat"),
    ("source_reported", "log.*.source"),
    ("quote", "quote.>"),
    ("trade", "trade.>"),
];

/// The filter that covers the subjects of a kind of events; `None` for a kind that does not exist.
#[must_use]
pub fn kind_subjects(kind: &str) -> Option<&'static str> {
    KIND_SUBJECTS.iter().find(|(name, _)| *name == kind).map(|(_, filter)| *filter)
}
