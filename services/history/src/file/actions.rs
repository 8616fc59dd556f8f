//! A file of corporate actions: `symbol,ex_date,kind,value`.

use std::collections::HashMap;
use std::fmt;

use chrono::NaiveDate;
use contracts::v1::ActionKind;

use super::bars::read_symbol;
use super::check::{self, Fault};
use super::columns::plain;
use super::error::FileError;
use super::table::{Cell, Table};
use super::{Rejected, time};

const COLUMNS: [&str; 4] = ["symbol", "exdate", "kind", "value"];

/// A checked corporate action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Action {
    /// Symbol.
    pub symbol: String,
    /// Ex-date in exchange time.
    pub ex_date: NaiveDate,
    /// Split or dividend.
    pub kind: ActionKind,
    /// New shares per old share, or cash per share, in 1e-9. Positive.
    pub value_e9: i64,
    /// Line in the file.
    pub line: u64,
}

/// What was read of corporate actions so far: of a symbol, a date and a kind there is one.
#[derive(Clone, Debug, Default)]
pub struct KnownActions(HashMap<(String, NaiveDate, i32), i64>);

/// An opened file of corporate actions.
pub struct ActionFile {
    table: Box<dyn Table>,
    columns: [usize; 4],
}

impl fmt::Debug for ActionFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ActionFile").finish_non_exhaustive()
    }
}

/// Whether a header is that of a file of actions.
pub(super) fn is_header(header: &[String]) -> bool {
    positions(header).is_some()
}

fn positions(header: &[String]) -> Option<[usize; 4]> {
    let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
    let mut found = [0; 4];
    for (place, wanted) in found.iter_mut().zip(COLUMNS) {
        *place = names.iter().position(|name| name == wanted)?;
    }
    Some(found)
}

impl ActionFile {
    pub(super) fn new(table: Box<dyn Table>) -> Self {
        let columns = positions(table.header()).unwrap_or([0, 1, 2, 3]);
        Self { table, columns }
    }

    /// Reads the whole file: actions in the order of the file, rejected rows, rows read and rows that
    /// say again what an earlier one said.
    pub fn read(self) -> Result<Actions, FileError> {
        self.read_after(&mut KnownActions::default())
    }

    /// As [`ActionFile::read`], after the files whose actions are `known`: what one of them says too is a row that says
    /// it again.
    pub fn read_after(mut self, known: &mut KnownActions) -> Result<Actions, FileError> {
        let mut all = Actions::default();
        let seen = &mut known.0;
        while self.table.advance()? {
            all.read += 1;
            let outcome = self.row().and_then(|action| {
                let key = (action.symbol.clone(), action.ex_date, i32::from(action.kind));
                match seen.insert(key.clone(), action.value_e9) {
                    None => Ok(Some(action)),
                    Some(value) if value == action.value_e9 => Ok(None),
                    Some(value) => {
                        seen.insert(key, value);
                        let shown = self.table.cell(self.columns[3]).shown();
                        Err(Fault::new(
                            "value",
                            shown,
                            "repeats an earlier action of that date with another value",
                        ))
                    }
                }
            });
            match outcome {
                Ok(Some(action)) => all.actions.push(action),
                Ok(None) => all.duplicates += 1,
                Err(fault) => all.rejected.push(fault.rejected(self.table.line())),
            }
        }
        Ok(all)
    }

    fn row(&self) -> Result<Action, Fault> {
        if let Some(fault) = self.table.unsplit() {
            return Err(fault);
        }
        let [symbol, ex_date, kind, value] = self.columns.map(|column| self.table.cell(column));
        let symbol = read_symbol(&symbol.shown())?;
        let date = match time::read(&ex_date, None) {
            Ok(time::When::Date(date)) => date,
            Ok(time::When::Instant(_)) | Err(_) => {
                return Err(Fault::new("ex_date", ex_date.shown(), "not a date, expected YYYY-MM-DD"));
            }
        };
        let kind = match &kind {
            Cell::Text(text) if text.eq_ignore_ascii_case("split") => ActionKind::Split,
            Cell::Text(text) if text.eq_ignore_ascii_case("dividend") => ActionKind::Dividend,
            other => return Err(Fault::new("kind", other.shown(), "expected `split` or `dividend`")),
        };
        let value_e9 = check::number("value", &value, 9)?;
        if value_e9 <= 0 {
            return Err(Fault::new("value", value.shown(), "expected more than 0"));
        }
        Ok(Action { symbol, ex_date: date, kind, value_e9, line: self.table.line() })
    }
}

/// What a file of actions held.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    /// Actions in the order of the file.
    pub actions: Vec<Action>,
    /// Rows that are no actions.
    pub rejected: Vec<Rejected>,
    /// Rows read.
    pub read: u64,
    /// Rows that say again what an earlier one said.
    pub duplicates: u64,
}
