//! What execution says of brokers, in words: which it trades through, what it found there, who may trade with money.

use contracts::v1::event::Body;
use contracts::v1::{AlertRaised, BrokerDiffered, DifferenceKind, DifferenceResolution};
use domain::money::Price;

use super::summary::{Summary, because, plain};
use crate::queries;

fn kind(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::Unspecified => "something",
        DifferenceKind::Order => "order",
        DifferenceKind::Fill => "fill",
        DifferenceKind::Position => "position",
        DifferenceKind::Cash => "cash",
    }
}

fn resolution(resolution: DifferenceResolution) -> &'static str {
    match resolution {
        DifferenceResolution::Adopted => "adopted",
        DifferenceResolution::Corrected => "corrected",
        DifferenceResolution::Alert | DifferenceResolution::Unspecified => "to be looked at",
    }
}

/// The alert that a difference with a broker is, where nobody could settle it. Each has a kind of its own, so that the end of
/// one is not the end of another.
pub(super) fn alert(event: &BrokerDiffered) -> Option<AlertRaised> {
    let BrokerDiffered { account, symbol, order_id, at_broker, on_tape, detail, over, .. } = event;
    if event.resolution() != DifferenceResolution::Alert {
        return None;
    }
    let said = [account, symbol, order_id, at_broker, on_tape, detail].map(String::as_str).join("/");
    let mut id = contracts::event_id(&said, "alert", 0);
    id.truncate(8);
    Some(AlertRaised {
        account: account.clone(),
        strategy: String::new(),
        kind: format!("{}{}_{id}", queries::DIFFERENCE, kind(event.kind())),
        detail: detail.clone(),
        cleared: *over,
    })
}

/// The summary of such a body.
pub(super) fn describe(body: &Body) -> Summary<'_> {
    match body {
        Body::BrokerAttached(event) => {
            let number = match event.broker_account.as_str() {
                "" => String::new(),
                number => format!(" account {number}"),
            };
            let blocked = match event.blocked.as_str() {
                "" => String::new(),
                why => format!("; takes no orders: {why}"),
            };
            let text = format!("traded through {}{number}, {}{blocked}", event.broker, event.mode().name());
            plain("broker_attached", &event.account, text)
        }
        Body::BrokerReconciled(event) => {
            let prices: Vec<String> = event
                .prices
                .iter()
                .map(|stated| format!("{} at {}", stated.symbol, Price(stated.price_e9)))
                .collect();
            let valued =
                if prices.is_empty() { String::new() } else { format!("; it values {}", prices.join(", ")) };
            let text = format!(
                "compared with the broker ({}): {} orders, {} positions, {} differences{valued}",
                event.occasion, event.orders, event.positions, event.differences
            );
            plain("broker_reconciled", &event.account, text)
        }
        Body::BrokerDiffered(event) => {
            let what = format!("{} {}", kind(event.kind()), event.symbol);
            let sides = format!("broker {}, tape {}", event.at_broker, event.on_tape);
            let became = if event.over { "over" } else { resolution(event.resolution()) };
            let text = format!("{what}: {sides}; {became}");
            plain("broker_differed", &event.account, because(&text, &event.detail))
        }
        Body::LiveTradingConfirmed(event) => {
            let text = because(&format!("trading with money confirmed by {}", event.actor), &event.reason);
            plain("live_trading_confirmed", &event.account, text)
        }
        Body::LiveTradingRevoked(event) => {
            let text = because(&format!("trading with money revoked by {}", event.actor), &event.reason);
            plain("live_trading_revoked", &event.account, text)
        }
        _ => plain("other", "", String::new()),
    }
}
