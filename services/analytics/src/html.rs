//! The exported page: one file with its styles and drawings, no script, no address of anything else.

use askama::Template;

use crate::sheet::TearSheet;
use crate::view::View;

#[derive(Template)]
#[template(path = "tear_sheet.html")]
struct Page<'a> {
    view: &'a View,
    styles: &'static str,
}

/// The whole page.
pub(crate) fn page(sheet: &TearSheet) -> Result<String, askama::Error> {
    let view = View::of(sheet);
    Page { view: &view, styles: include_str!("../templates/tear_sheet.css") }.render()
}
