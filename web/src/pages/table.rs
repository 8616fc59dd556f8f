//! What tables share: tabs above, the way to older and newer rows below.

use projections::queries::Turn;

use super::Params;
use crate::error::PageError;

/// Rows of one page unless the address says otherwise.
pub const ROWS: u32 = 50;
/// Most rows of one page.
pub const ROWS_MAX: u32 = 200;

/// A tab: a link to the same page with another query.
#[derive(Clone, Debug)]
pub struct Tab {
    /// Title.
    pub title: &'static str,
    /// Address.
    pub url: String,
    /// Whether it is the one shown.
    pub current: bool,
}

/// Tabs of the page at `path`, told apart by the field `tab`: (value, title). The first one is the
/// default and needs no field. Filters stay; the place in the list does not.
#[must_use]
pub fn tabs(
    path: &str,
    params: &Params,
    choices: &[(&'static str, &'static str)],
    current: &str,
) -> Vec<Tab> {
    let kept = params.without(&["tab", "before", "after"]);
    choices
        .iter()
        .enumerate()
        .map(|(index, (value, title))| Tab {
            title,
            url: if index == 0 { kept.link(path) } else { kept.with("tab", value).link(path) },
            current: *value == current,
        })
        .collect()
}

/// Links to the newest, newer and older rows of a list.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// Where the newest rows are, unless these are they.
    pub newest: Option<String>,
    /// Where newer rows are.
    pub newer: Option<String>,
    /// Where older rows are.
    pub older: Option<String>,
}

impl Pager {
    /// The links around a part of the list at `path`, given the cursors of the parts beside it.
    #[must_use]
    pub fn of(path: &str, params: &Params, newer: Option<String>, older: Option<String>) -> Self {
        let kept = params.without(&["before", "after"]);
        let at_newest = params.get("before").is_none() && params.get("after").is_none();
        Self {
            newest: (!at_newest).then(|| kept.link(path)),
            newer: newer.filter(|_| !at_newest).map(|cursor| kept.with("after", &cursor).link(path)),
            older: older.map(|cursor| kept.with("before", &cursor).link(path)),
        }
    }

    /// Whether there is anywhere to go.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.newest.is_some() || self.newer.is_some() || self.older.is_some()
    }
}

/// Which part of a list the query asks for: the fields `before` and `after` hold the cursors that an
/// earlier part named.
pub fn turn(params: &Params) -> Result<Turn, PageError> {
    let cursor = |name: &'static str| {
        params.get(name).map(|text| {
            text.parse().map_err(|_| PageError::field(name, text, "a cursor that a list of this site named"))
        })
    };
    Ok(match (cursor("before"), cursor("after")) {
        (Some(before), _) => Turn::Before(before?),
        (None, Some(after)) => Turn::After(after?),
        (None, None) => Turn::Newest,
    })
}
