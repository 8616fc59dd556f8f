//! What looks wrong with files that a rehearsal plays: the findings that an import of them makes, and no bar.
//!
//! They are recorded when everything is played. Before it risk would know today what tomorrow's bar is; between the
//! instants a limit on clean data would deny what a backtest of the same files, which has no findings, allows.

use std::path::PathBuf;

use contracts::v1::Origin;
use event_log::Tape;

use super::append::Importer;
use super::known::Known;
use super::report::ImportReport;
use super::{ImportError, ImportOptions, Teller, actions_first, take_in};
use crate::source::Range;

/// Records the findings about the bars of `files` within `range`, which `source` has played on this tape with their
/// corporate actions. Those that the tape holds are not made again. The report counts the rows read, lists those that
/// are no bars, and counts the findings that are new.
pub async fn examine(
    tape: &Tape,
    source: &str,
    options: &ImportOptions,
    files: &[PathBuf],
    range: Range,
) -> Result<ImportReport, ImportError> {
    let (source, market) = (source.to_owned(), options.read.market);
    let teller = Teller { source, origin: Origin::Rehearsal, told: None, market };
    let mut importer = Importer::new(tape.clone(), teller, options.standards.clone(), Known::default());
    importer.examine(range);
    take_in(&mut importer, options, &actions_first(files, &options.read).await?).await?;
    Ok(importer.report)
}
