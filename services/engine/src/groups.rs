//! Groups of orders that are not whole: the same steps as execution takes (`domain::book::Book::group_step`).

use contracts::chain_id;
use contracts::v1::event::Body;

use crate::recorder::Recorder;
use crate::run::{Error, Run};

/// Most steps about groups in one instant.
const GROUP_STEPS_MAX: usize = 8;

impl<R: Recorder> Run<'_, R> {
    /// Does what is to be done about groups of orders that are not whole.
    pub(crate) fn groups(&mut self, event_ns: i64) -> Result<(), Error> {
        // A step may lead to the next one; each either asks for something or ends its group.
        for _ in 0..GROUP_STEPS_MAX {
            let ids: Vec<_> = self.book.active_groups().map(str::to_owned).collect();
            let steps: Vec<_> = ids.iter().filter_map(|id| self.book.group_step(id, event_ns)).collect();
            if steps.is_empty() {
                return Ok(());
            }
            for handled in steps {
                let id = chain_id::group(&handled.group_id, &self.book.group_state(&handled));
                let (cause, cancels) = (handled.group_id.clone(), handled.cancels.clone());
                let orders: Vec<_> = handled.orders.iter().map(|order| order.order_id.clone()).collect();
                let body = Body::GroupHandled(handled);
                let event = self.event(id, event_ns, "execution", &cause, &cause, body);
                self.apply(&event, event_ns)?;
                for order_id in &cancels {
                    self.cancel(order_id, event_ns)?;
                }
                for order_id in &orders {
                    self.submit(order_id, event_ns)?;
                }
            }
        }
        Ok(())
    }
}
