//! What a recorded run leaves on the tape: its tear sheet and, of a search, its trials and windows; as gzipped JSON
//! of bounded size.
//!
//! What does not fit is left out, the trades first, and the report says so: a run of the same request over the same
//! data makes it again.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::TearSheet;

/// Most bytes of an encoded report: an event with one stays below what a NATS server takes by default.
pub const BYTES_MAX: usize = 700_000;
/// Most bytes of a report that is read; more is no report of this program's.
const PLAIN_BYTES_MAX: u64 = 64 << 20;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The tear sheet; of a sweep that of its best run, of a walk-forward test that of the joined windows.
    pub sheet: TearSheet,
    /// Runs of a sweep, the best first; none of another kind.
    pub trials: Vec<TrialRow>,
    /// Windows of a walk-forward test, in order; none of another kind.
    pub windows: Vec<WindowRow>,
    /// What was left out, in words.
    pub left_out: Vec<String>,
}

/// One run of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialRow {
    /// Parameters that were tried: `strategy.parameter` and value.
    pub parameters: Vec<(String, String)>,
    /// What was to be highest; null where it is not defined.
    pub score: Option<f64>,
    /// Statistics by name.
    pub statistics: BTreeMap<String, Option<f64>>,
    /// Why it could not be run; empty when it could.
    pub refused: String,
    /// Signals that risk denied.
    #[serde(default)]
    pub denied: u64,
}

/// One window of a walk-forward test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowRow {
    /// First and last session on which parameters were chosen.
    pub in_sample: (String, String),
    /// First and last session on which they were tried.
    pub out_of_sample: (String, String),
    /// Parameters chosen; none where no run had a score.
    pub parameters: Vec<(String, String)>,
    /// Score in sample.
    pub in_sample_score: Option<f64>,
    /// Score out of sample.
    pub out_of_sample_score: Option<f64>,
    /// Trades out of sample.
    pub trades: usize,
    /// Runs in sample that could not be made.
    #[serde(default)]
    pub refused: usize,
}

/// A report that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It is not gzipped, or cut off.
    #[error("report: {0}")]
    Packed(#[from] std::io::Error),
    /// It is not the JSON of a report.
    #[error("report: {0}")]
    Json(#[from] serde_json::Error),
}

impl Report {
    /// The report of one run.
    #[must_use]
    pub fn of(sheet: TearSheet) -> Self {
        Self { sheet, trials: Vec::new(), windows: Vec::new(), left_out: Vec::new() }
    }

    /// At most [`BYTES_MAX`] bytes; halves the trades and then the trials until it fits.
    pub fn pack(mut self) -> Result<Vec<u8>, ReportError> {
        loop {
            let packed = gzipped(&self)?;
            if packed.len() <= BYTES_MAX {
                return Ok(packed);
            }
            self.left_out.clear();
            let (trades, trials) = (self.sheet.trades.len(), self.trials.len());
            if trades > 0 {
                self.sheet.trades.drain(..trades.div_ceil(2));
            } else if trials > 0 {
                self.trials.truncate(trials / 2);
            } else if let Some(rolling) = self.sheet.rolling.take() {
                self.left_out.push(format!("the {} points of rolling metrics", rolling.dates.len()));
            } else {
                let problem = format!("{} bytes packed, at most {BYTES_MAX} are allowed", packed.len());
                return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, problem).into());
            }
            let kept = self.sheet.trades.len();
            if kept < self.sheet.trades_total {
                self.left_out
                    .push(format!("all but the newest {kept} of {} trades", self.sheet.trades_total));
            }
            if trials > self.trials.len() {
                self.left_out.push(format!("all but the best {} runs", self.trials.len()));
            }
        }
    }

    /// Reads what [`Report::pack`] wrote.
    pub fn unpack(bytes: &[u8]) -> Result<Self, ReportError> {
        plain(bytes)
    }
}

/// A document as gzipped JSON.
pub(crate) fn gzipped(document: &impl Serialize) -> Result<Vec<u8>, ReportError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&serde_json::to_vec(document)?)?;
    Ok(encoder.finish()?)
}

/// Reads what [`gzipped`] wrote.
pub(crate) fn plain<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ReportError> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).take(PLAIN_BYTES_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
