//! The timeline: a page as of a moment of the past. The field `as_of` names it, so that a state can be
//! kept and sent on; a page of the past says so, is not live and commands nothing.

use std::sync::Arc;

use projections::as_of::{AsOfError, Moment, Past};

use super::{Params, Scope};
use crate::app::App;
use crate::error::PageError;
use crate::view::{Instant, count, market_time};

/// The field of the address.
pub const FIELD: &str = "as_of";

/// The moment that an address names; `None` for the present.
pub fn moment(params: &Params) -> Result<Option<Moment>, PageError> {
    let Some(text) = params.get(FIELD) else { return Ok(None) };
    let wrong = |_| PageError::field(FIELD, text, "seq:N or an instant such as 2020-01-02T15:30:00Z");
    text.parse().map(Some).map_err(wrong)
}

/// The moment at which a fork begins: a sequence of TRADING or an instant.
pub fn fork_moment(text: &str) -> Result<Moment, PageError> {
    let expected = "a sequence of TRADING or an instant such as 2020-01-02T15:30:00Z";
    match text.parse::<u64>() {
        Ok(sequence) => Ok(Moment::Sequence(sequence)),
        Err(_) => text.parse().map_err(|_| PageError::field("at", text, expected)),
    }
}

/// The state of a moment.
pub async fn state(app: &App, moment: Moment) -> Result<Arc<Past>, PageError> {
    app.timeline.at(moment).await.map_err(|error| match error {
        AsOfError::Future { asked, head, .. } => {
            PageError::field(FIELD, &format!("seq:{asked}"), format!("at most seq:{head}, the last event"))
        }
        AsOfError::Tape(error) => PageError::Tape(error.to_string()),
    })
}

/// The state that a panel shows; `None` for the present.
pub async fn past(scope: &Scope<'_>) -> Result<Option<Arc<Past>>, PageError> {
    match moment(scope.params)? {
        Some(moment) => state(scope.app, moment).await.map(Some),
        None => Ok(None),
    }
}

/// The control: where on the timeline a page stands, and the way to elsewhere.
#[derive(Clone, Debug)]
pub struct Control {
    /// Address of the page.
    pub path: &'static str,
    /// Address of the page in the present.
    pub live: String,
    /// The field as given; empty for the present.
    pub as_of: String,
    /// Fields of the address that stay as they are: the account, the filters.
    pub kept: Vec<(String, String)>,
    /// Sequence shown.
    pub sequence: u64,
    /// Last sequence of TRADING.
    pub head: u64,
    /// What is shown, in words; `None` for the present.
    pub past: Option<String>,
}

impl Control {
    /// The control of the page at `path`. A moment that cannot be shown is an error: it would be a page
    /// that claims to be of the past.
    pub async fn of(app: &App, params: &Params, path: &'static str) -> Result<Self, PageError> {
        // Without the tape the present is still worth showing; only the slider rests.
        let head = app.timeline.head().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "head of TRADING not read: {error}");
            0
        });
        let past = match moment(params)? {
            Some(moment) => Some(state(app, moment).await?),
            None => None,
        };
        Ok(Self {
            path,
            live: params.without(&[FIELD, "before", "after"]).link(path),
            as_of: params.owned(FIELD).unwrap_or_default(),
            kept: params.without(&[FIELD, "before", "after"]).into_fields(),
            sequence: past.as_ref().map_or(head, |past| past.sequence()),
            head,
            past: past.as_ref().map(|past| words(past)),
        })
    }

    /// Whether the page is of the past.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.past.is_some()
    }
}

fn words(past: &Past) -> String {
    let after = format!("after event {} of TRADING", count(past.sequence()));
    match past.market_ns {
        Some(time) => format!("{} ({} UTC), {after}", market_time(time), Instant(time).full()),
        None => format!("before the market's first event, {after}"),
    }
}
