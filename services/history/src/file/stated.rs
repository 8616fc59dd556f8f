//! What an option states of a file that says it itself.

use std::path::Path;

use chrono_tz::Tz;
use domain::bar::Timeframe;

use super::columns::Columns;
use super::error::FileError;
use super::table::{self, Cell};
use super::{ReadOptions, actions, infer};

/// Refuses a file of bars that says otherwise than `options`: an option says what a file leaves open and overrules
/// nothing. Whoever takes an option for a choice among what the files hold leaves it out here.
///
/// The file is read to its end where it says itself what is stated, else no further than its header.
pub fn check_stated(path: &Path, options: &ReadOptions) -> Result<(), FileError> {
    if options.symbol.is_none() && options.timeframe.is_none() && options.timezone.is_none() {
        return Ok(());
    }
    let mut table = table::open(path)?;
    // Actions say whose they are: options are about bars.
    if actions::is_header(table.header()) {
        return Ok(());
    }
    let columns = Columns::recognise(path, table.header())?;
    let symbol = options.symbol.as_deref().zip(columns.symbol);
    let timeframe = options.timeframe.zip(columns.timeframe);
    let zone = options.timezone.filter(|zone| columns.utc && *zone != Tz::UTC);
    if symbol.is_none() && timeframe.is_none() && zone.is_none() {
        return Ok(());
    }
    let otherwise = |option, stated: &str, found: String, line| {
        Err(FileError::Otherwise { path: path.to_owned(), option, stated: stated.to_owned(), found, line })
    };
    while table.advance()? {
        // A row that is none, and one that says nothing, are rejected when they are read.
        if table.width() != columns.width {
            continue;
        }
        let line = table.line();
        if let Some((stated, column)) = symbol
            && differs(&table.cell(column), stated)
        {
            let found = table.cell(column).shown();
            return otherwise("--symbol", stated, found, line);
        }
        if let Some((stated, column)) = timeframe {
            let found = table.cell(column).shown();
            if found.parse::<Timeframe>().is_ok_and(|said| said != stated) {
                return otherwise("--timeframe", stated.name(), found, line);
            }
        }
        if let Some(stated) = zone
            && infer::read_time(table.as_ref(), &columns, Some(Tz::UTC))
                != infer::read_time(table.as_ref(), &columns, Some(stated))
        {
            let found = format!("{} UTC", infer::shown_time(table.as_ref(), &columns));
            return otherwise("--timezone", stated.name(), found, line);
        }
    }
    Ok(())
}

fn differs(cell: &Cell<'_>, stated: &str) -> bool {
    match cell {
        Cell::Missing => false,
        Cell::Text(text) => !text.eq_ignore_ascii_case(stated),
        other => other.shown() != stated,
    }
}
