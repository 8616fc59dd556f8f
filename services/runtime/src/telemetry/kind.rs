//! Names of events for labels and spans: few, stable, without ids in them.

use contracts::v1::event::Body;

/// What kind of event it is, for example `risk_decision`.
pub(super) fn kind(body: Option<&Body>) -> &'static str {
    let Some(body) = body else { return "none" };
    match body {
        Body::Bar(_) => "bar",
        Body::BarRevision(_) => "bar_revision",
        Body::CorporateAction(_) => "corporate_action",
        Body::SessionChange(_) => "session",
        Body::QualityFinding(_) => "quality_finding",
        Body::Quote(_) => "quote",
        Body::Trade(_) => "trade",
        Body::Signal(_) => "signal",
        Body::RiskDecision(_) => "risk_decision",
        Body::OrderAdjusted(_) => "order_adjusted",
        Body::OrderTriggered(_) => "order_triggered",
        Body::OrderTrailed(_) => "order_trailed",
        Body::MarginCalled(_) => "margin_called",
        Body::MarginRestored(_) => "margin_restored",
        Body::OrderCancelRequested(_) => "order_cancel_requested",
        Body::OrderUnresolved(_) => "order_unresolved",
        Body::FillCorrected(_) => "fill_corrected",
        Body::FillBusted(_) => "fill_busted",
        Body::GroupHandled(_) => "group_handled",
        Body::InvariantBroken(_) => "invariant_broken",
        Body::PositionTransferred(_) => "position_transferred",
        Body::BrokerAttached(_) => "broker_attached",
        Body::BrokerReconciled(_) => "broker_reconciled",
        Body::BrokerDiffered(_) => "broker_differed",
        Body::OrderReplaceRequested(_) => "order_replace_requested",
        Body::Fill(_) => "fill",
        Body::AccountMarked(_) => "account_marked",
        Body::AccountEntry(_) => "account_entry",
        Body::CompanyProfile(_) => "company_profile",
        Body::KeyStatistics(_) => "key_statistics",
        Body::FinancialStatement(_) => "financial_statement",
        Body::InstitutionalHolders(_) => "institutional_holders",
        Body::AnalystOpinions(_) => "analyst_opinions",
        Body::Listing(_) => "listing",
        Body::NewsArticle(_) => "news_article",
        Body::LogRecord(_) => "log_record",
        Body::Heartbeat(_) => "heartbeat",
        Body::SourceReported(_) => "source_reported",
        Body::Audit(_) => "audit",
        Body::Parked(_) => "parked",
        Body::ParkedResolved(_) => "parked_resolved",
        other => order_status(other).map_or("control", |(kind, _)| kind),
    }
}

/// The kind of an event that brings an order into a status, and the status.
pub(super) fn order_status(body: &Body) -> Option<(&'static str, &'static str)> {
    Some(match body {
        Body::OrderSubmitted(_) => ("order_submitted", "submitted"),
        Body::OrderAccepted(_) => ("order_accepted", "accepted"),
        Body::OrderRejected(_) => ("order_rejected", "rejected"),
        Body::OrderCancelled(_) => ("order_cancelled", "cancelled"),
        Body::OrderCancelRejected(_) => ("order_cancel_rejected", "cancel_rejected"),
        Body::OrderReplaced(_) => ("order_replaced", "replaced"),
        Body::OrderReplaceRejected(_) => ("order_replace_rejected", "replace_rejected"),
        Body::OrderExpired(_) => ("order_expired", "expired"),
        Body::OrderSuspended(_) => ("order_suspended", "suspended"),
        _ => return None,
    })
}
