//! The end of the day of an entry that its broker works until it is cancelled.

use domain::order::decide;
use event_log::Append;

use super::{StepError, order_append};
use crate::event::{self, SERVICE};
use crate::machine::Machine;

impl Machine {
    /// The request to cancel an entry whose day is over at `event_ns`; another one for each that was refused.
    pub(super) fn decide_day_end(&self, order_id: &str, event_ns: i64) -> Result<Option<Append>, StepError> {
        let order = self.order(order_id)?;
        if !self.outlasts_its_day(order, event_ns) {
            return Ok(None);
        }
        let name = match order.cancel_refused_ns {
            Some(refused_ns) => format!("day_over/{refused_ns}"),
            None => "day_over".to_owned(),
        };
        let meta = self.meta_of(order, event::order_event_id(order, &name), event_ns, None);
        order_append(order, meta, decide::request_cancel(order, SERVICE, "its day is over")?)
    }
}
