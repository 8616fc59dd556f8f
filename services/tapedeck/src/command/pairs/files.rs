//! The closes of two symbols, read from files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use contracts::v1;
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::{Adjustment, CorporateAction, Restatement};
use ingest::file::{Adjusted, Opened, ReadOptions, open};

use projections::queries::common_timeframe;

use super::{Closes, failure};
use crate::exit::Failure;

/// Rows read at once.
const CHUNK_ROWS: usize = 10_000;

/// What the files hold of the two symbols.
#[derive(Default)]
struct Held {
    bars: [BTreeMap<Timeframe, BTreeMap<i64, Bar>>; 2],
    actions: [Vec<CorporateAction>; 2],
}

/// Reads the closes of both symbols in the timeframe asked for, else in the shortest that both have. Splits among
/// the files restate them, unless their prices are stated to be adjusted.
pub(super) fn read(
    files: &[PathBuf],
    options: &ReadOptions,
    symbols: &[String; 2],
    asked: Option<Timeframe>,
) -> Result<(Timeframe, [Closes; 2]), Failure> {
    let mut held = Held::default();
    for file in files {
        if !file.exists() {
            return Err(Failure::not_found(format!("{}: no such file", file.display()), ""));
        }
        let wrong =
            |error: ingest::file::FileError| Failure::usage(error.to_string(), "tapedeck pairs --help");
        match open(file, options).map_err(wrong)? {
            Opened::Actions(file) => {
                for action in file.read().map_err(wrong)?.actions {
                    held.action(&action, symbols);
                }
            }
            Opened::Bars(mut bars) => {
                let mut series = Vec::new();
                while let Some(chunk) = bars.chunk(CHUNK_ROWS).map_err(wrong)? {
                    if let Some(row) = chunk.rejected.first() {
                        return Err(Failure::usage(
                            format!(
                                "{}, line {}: {} = {:?}: {}",
                                file.display(),
                                row.line,
                                row.field,
                                row.value,
                                row.reason
                            ),
                            "",
                        ));
                    }
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
    held.closes(symbols, asked, options.adjusted)
}

impl Held {
    fn action(&mut self, action: &ingest::file::Action, symbols: &[String; 2]) {
        let wire = v1::CorporateAction {
            symbol: action.symbol.clone(),
            ex_date: action.ex_date.to_string(),
            kind: action.kind.into(),
            value_e9: action.value_e9,
            origin: v1::Origin::Import.into(),
        };
        let index = symbols.iter().position(|symbol| *symbol == action.symbol);
        if let (Some(index), Ok(read)) = (index, CorporateAction::from_wire(&wire)) {
            self.actions[index].push(read);
        }
    }

    fn closes(
        self,
        symbols: &[String; 2],
        asked: Option<Timeframe>,
        adjusted: Adjusted,
    ) -> Result<(Timeframe, [Closes; 2]), Failure> {
        for (symbol, bars) in symbols.iter().zip(&self.bars) {
            if bars.is_empty() {
                return Err(Failure::not_found(format!("no bars of {symbol:?} in these files"), ""));
            }
        }
        let known = self.bars.each_ref().map(|bars| bars.keys().copied().collect());
        let timeframe = common_timeframe(symbols, known, asked).map_err(failure)?;
        let mut closes = [Closes::new(), Closes::new()];
        for (index, closes) in closes.iter_mut().enumerate() {
            let bars = &self.bars[index][&timeframe];
            let last_ns = bars.keys().next_back().copied().unwrap_or_default();
            let adjustment = if adjusted == Adjusted::Yes { Adjustment::Raw } else { Adjustment::Split };
            let actions: Vec<_> = self.actions[index].iter().map(|action| (*action, None)).collect();
            let restatement = Restatement::new(adjustment, &actions, Calendar::xnys(), last_ns)
                .map_err(|error| Failure::other(error.to_string()))?;
            for bar in bars.values() {
                let close = restatement.price(bar.close, bar.close_ns);
                closes.insert(bar.close_ns, close.map_err(|error| Failure::other(error.to_string()))?);
            }
        }
        Ok((timeframe, closes))
    }
}
