//! What looks wrong with files that a rehearsal plays: the findings that an import of them makes, and no bar.
//!
//! They are recorded when everything is played. Before it risk would know today what tomorrow's bar is; between the
//! instants a limit on clean data would deny what a backtest of the same files, which has no findings, allows. The files
//! are read once more for it: their rows are no longer in memory, where they would have waited for as long as was played.

use std::path::PathBuf;

use contracts::v1::Origin;
use event_log::Tape;

use super::append::Importer;
use super::known::Known;
use super::report::ImportReport;
use super::{ImportError, ImportOptions, Teller, blocking, take_in};
use crate::file;
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
    take_in(&mut importer, options, &actions_first(files).await?).await?;
    Ok(importer.report)
}

/// Files of corporate actions first. The header tells: that they can be read was seen when they were played.
async fn actions_first(files: &[PathBuf]) -> Result<Vec<PathBuf>, ImportError> {
    let (mut ordered, mut bars) = (Vec::new(), Vec::new());
    for path in files {
        let owned = path.clone();
        let of_actions = blocking(path, move || file::holds_actions(&owned)).await??;
        let list = if of_actions { &mut ordered } else { &mut bars };
        list.push(path.clone());
    }
    ordered.append(&mut bars);
    Ok(ordered)
}
