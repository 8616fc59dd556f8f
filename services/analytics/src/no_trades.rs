//! Why there are no trades, in the order in which a reader would look.

use crate::sheet::Counts;

/// One sentence per reason; empty when there are closed trades.
pub(crate) fn reasons(closed: usize, counts: &Counts) -> Vec<String> {
    let mut found = Vec::new();
    if closed > 0 {
        return found;
    }
    if counts.bars == 0 {
        found.push("There were no bars for the symbols, timeframe and dates asked for.".to_owned());
    } else if counts.signals == 0 {
        found.push(format!("The strategy gave no signal on {} bars.", counts.bars));
    }
    if let Some(missing) = counts.missing_bars.filter(|missing| *missing > 0) {
        found.push(format!("{missing} bars that the calendar expects are missing."));
    }
    for (rule, denied) in counts.denied.iter().filter(|(_, denied)| **denied > 0) {
        found.push(format!("{denied} of {} signals were denied by the rule {rule}.", counts.signals));
    }
    if counts.rejected > 0 {
        found.push(format!("The broker refused {} of {} orders.", counts.rejected, counts.orders));
    }
    if counts.orders > 0 && counts.fills == 0 {
        found.push(format!("None of {} orders filled; {} expired.", counts.orders, counts.expired));
    }
    if counts.open_trades > 0 {
        found.push(format!("{} trades were entered and are still open.", counts.open_trades));
    }
    if found.is_empty() {
        found.push(format!("{} signals led to no closed trade.", counts.signals));
    }
    found
}
