//! Reports that come from a view of the past.

use broker::SIMULATED;
use domain::order::{BrokerReport, OrderState};

/// Whether a simulated fill is of an order that ended on the tape: another instance of the service ended it while this one
/// was still at the bar. A broker outside may well report a fill after the end.
pub(super) fn is_stale(order: &OrderState, report: &BrokerReport) -> bool {
    let filled = matches!(report, BrokerReport::Filled(_));
    filled && order.broker == SIMULATED && order.status.is_ended()
}
