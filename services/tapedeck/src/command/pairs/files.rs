//! Two symbols, read from files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use analytics::warnings::Warning;
use backtest::checks;
use contracts::v1;
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::{Adjustment, CorporateAction, Restatement};
use domain::series::BarSeries;
use ingest::file::{Adjusted, KnownActions, Opened, ReadOptions, Rejected, check_stated, named, open};

use projections::queries::common_timeframe;

use super::{Closes, Range, failure};
use crate::command::import::{check_order, left_out, of_file};
use crate::exit::Failure;

/// Rows read at once.
const CHUNK_ROWS: usize = 10_000;

/// What the files hold of the two symbols.
pub(super) struct Held<'symbols> {
    symbols: &'symbols [String; 2],
    adjusted: Adjusted,
    calendar: &'static Calendar,
    bars: [BTreeMap<Timeframe, BTreeMap<i64, Bar>>; 2],
    actions: [Vec<CorporateAction>; 2],
    rejected: Vec<Rejected>,
}

/// Reads the bars of both symbols and their corporate actions.
pub(super) fn read<'symbols>(
    files: &[PathBuf],
    options: &ReadOptions,
    symbols: &'symbols [String; 2],
) -> Result<Held<'symbols>, Failure> {
    let (bars, actions) = Default::default();
    let (calendar, rejected) = (options.market.calendar(), Vec::new());
    let mut held = Held { symbols, adjusted: options.adjusted, calendar, bars, actions, rejected };
    let (mut rows, mut known) = (0, KnownActions::default());
    // A timeframe is a choice among those of the files.
    let stated = ReadOptions { timeframe: None, ..options.clone() };
    for file in files {
        if !file.exists() {
            return Err(Failure::not_found(format!("{}: no such file", file.display()), ""));
        }
        let wrong =
            |error: ingest::file::FileError| Failure::usage(error.to_string(), "tapedeck pairs --help");
        check_stated(file, &stated).map_err(wrong)?;
        // A file that does not say its symbol is named by it, as in a backtest.
        let options = ReadOptions { symbol: named(file), ..options.clone() };
        match open(file, &options).map_err(wrong)? {
            Opened::Actions(actions) => {
                let read = actions.read_after(&mut known).map_err(wrong)?;
                held.rejected.extend(of_file(file, read.rejected));
                for action in read.actions {
                    held.action(&action);
                }
            }
            Opened::Bars(mut bars) => {
                let mut series = Vec::new();
                while let Some(chunk) = bars.chunk(CHUNK_ROWS).map_err(wrong)? {
                    rows += chunk.read;
                    held.rejected.extend(of_file(file, chunk.rejected));
                    series.extend(chunk.series);
                    for row in chunk.rows {
                        let of = &series[row.series];
                        if let Some(index) = symbols.iter().position(|symbol| *symbol == of.symbol) {
                            held.bars[index]
                                .entry(of.timeframe)
                                .or_default()
                                .insert(row.bar.close_ns, row.bar);
                        }
                    }
                }
            }
        }
    }
    check_order(&held.rejected, rows, "tapedeck pairs --help")?;
    for (symbol, bars) in symbols.iter().zip(&held.bars) {
        if bars.is_empty() {
            let why = left_out(&held.rejected).map_or_else(String::new, |note| format!("; {note}"));
            return Err(Failure::not_found(format!("no bars of {symbol:?} in these files{why}"), ""));
        }
    }
    Ok(held)
}

impl Held<'_> {
    /// Rows of the files that are left out.
    pub(super) fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    fn action(&mut self, action: &ingest::file::Action) {
        let wire = v1::CorporateAction {
            symbol: action.symbol.clone(),
            ex_date: action.ex_date.to_string(),
            kind: action.kind.into(),
            value_e9: action.value_e9,
            origin: v1::Origin::Import.into(),
        };
        let index = self.symbols.iter().position(|symbol| *symbol == action.symbol);
        if let (Some(index), Ok(read)) = (index, CorporateAction::from_wire(&wire)) {
            self.actions[index].push(read);
        }
    }

    /// The timeframe asked for, else the shortest that both symbols have.
    pub(super) fn timeframe(&self, asked: Option<Timeframe>) -> Result<Timeframe, Failure> {
        let known = self.bars.each_ref().map(|bars| bars.keys().copied().collect());
        common_timeframe(self.symbols, known, asked).map_err(failure)
    }

    /// The splits that bars in the range look like and none of the files states.
    pub(super) fn unstated_splits(&self, timeframe: Timeframe, range: &Range) -> Vec<Warning> {
        let of = |index: usize| {
            let bars = self.bars[index][&timeframe].values().filter(|bar| range.holds(bar.close_ns));
            let bars: Vec<Bar> = bars.copied().collect();
            let series = BarSeries::of("", &self.symbols[index], timeframe, &bars);
            checks::of_series(&series, self.actions[index].iter(), self.calendar, None)
        };
        (0..self.bars.len()).filter_map(of).collect()
    }

    /// The closes of both symbols. Splits among the files restate them, unless their prices are stated to be adjusted.
    pub(super) fn closes(&self, timeframe: Timeframe) -> Result<[Closes; 2], Failure> {
        let mut closes = [Closes::new(), Closes::new()];
        for (index, closes) in closes.iter_mut().enumerate() {
            let bars = &self.bars[index][&timeframe];
            let last_ns = bars.keys().next_back().copied().unwrap_or_default();
            let adjustment = if self.adjusted == Adjusted::Yes { Adjustment::Raw } else { Adjustment::Split };
            let actions: Vec<_> = self.actions[index].iter().map(|action| (*action, None)).collect();
            let restatement = Restatement::new(adjustment, &actions, self.calendar, last_ns)
                .map_err(|error| Failure::other(error.to_string()))?;
            for bar in bars.values() {
                let close = restatement.price(bar.close, bar.close_ns);
                closes.insert(bar.close_ns, close.map_err(|error| Failure::other(error.to_string()))?);
            }
        }
        Ok(closes)
    }
}
