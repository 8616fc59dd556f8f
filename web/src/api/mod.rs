//! `/api/v1`: what the pages show and do, as JSON for programs. One module per area.
//!
//! Answers of lists are `{rows, newer, older}`; `newer` and `older` are cursors for the fields `after` and
//! `before`. Prices, quantities and money are decimal strings, times UTC nanoseconds. Errors are problem
//! details (RFC 9457). A field that an address does not have is refused, so that a filter with a typing
//! error is never an unfiltered list.

mod problem;
pub mod system;
pub mod trading;

pub use problem::Problem;
