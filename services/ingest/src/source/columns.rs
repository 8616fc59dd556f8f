//! A recorded source as columns, for an engine that walks them instead of publishing.

use std::sync::Arc;

use contracts::v1::{ActionKind, Origin};
use domain::corporate_action::{CorporateAction, Effect, SplitRatio};
use domain::money::Price;
use domain::series::{BarSeries, DatedAction, MarketData};

use super::recorded::RecordedSource;
use crate::event;
use crate::file::Action;

impl RecordedSource {
    /// The same market, with the ids that this source's events have.
    #[must_use]
    pub fn market_data(&self) -> MarketData {
        let series = self.tracks.iter().map(|track| {
            BarSeries::of(&self.name, &track.series.symbol, track.series.timeframe, &track.bars)
        });
        let actions = self
            .actions
            .iter()
            .flat_map(|(ns, at_once)| at_once.iter().filter_map(|action| dated(&self.name, action, *ns)));
        MarketData { series: series.collect(), actions: actions.collect() }
    }
}

/// `None` for an action of no kind, which no reader gives.
fn dated(source: &str, action: &Action, event_ns: i64) -> Option<DatedAction> {
    let effect = match action.kind {
        ActionKind::Split => Effect::Split(SplitRatio::from_e9(action.value_e9).ok()?),
        ActionKind::Dividend => Effect::Dividend(Price(action.value_e9)),
        ActionKind::Unspecified => return None,
    };
    Some(DatedAction {
        symbol: Arc::from(action.symbol.as_str()),
        event_ns,
        event_id: event::action(source, Origin::Rehearsal, action, event_ns).id,
        action: CorporateAction { ex_date: action.ex_date, effect },
    })
}
