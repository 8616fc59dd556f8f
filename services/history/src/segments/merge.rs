//! Small neighbours as one file, so that a tape that grows by the day keeps few segments and most series in one
//! piece.
//!
//! The last two segments are merged while the older one is at most twice as large as the newer one and both fit
//! into one: every bar is copied a logarithmic number of times in all.

use std::path::Path;

use super::collect::{Gathered, batches, source_number};
use super::format::{self, Content, Mapped};
use super::{ROWS_MAX, SegmentError, SegmentFile, directory};
use crate::hash;

/// Merges at the end of the chain as long as it is due. Blocking, called under the lock.
pub(super) fn merge_due(dir: &Path, chain: &mut Vec<SegmentFile>) -> Result<usize, SegmentError> {
    let mut merged = 0;
    while let [.., older, newer] = chain.as_slice() {
        let (older, newer) = (Mapped::open(older)?, Mapped::open(newer)?);
        let (old_rows, new_rows) = (older.content().rows, newer.content().rows);
        if old_rows > 2 * new_rows || old_rows + new_rows > ROWS_MAX as u64 {
            break;
        }
        let file = both(dir, &older, &newer)?;
        let replaced = chain.split_off(chain.len() - 2);
        chain.push(file);
        for old in replaced {
            directory::remove(&old.path)?;
        }
        merged += 1;
    }
    Ok(merged)
}

/// Writes one segment of two neighbours.
fn both(dir: &Path, older: &Mapped, newer: &Mapped) -> Result<SegmentFile, SegmentError> {
    let (mut gathered, mut sources): (Vec<Gathered>, _) = (Vec::new(), Vec::new());
    let mut keys: Vec<(String, String)> = Vec::new();
    for segment in [older, newer] {
        for (number, note) in segment.content().batches.iter().enumerate() {
            let (series, _) = segment.series(number)?;
            let key = (note.symbol.clone(), note.timeframe.clone());
            let index = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                gathered.push(Gathered::new(&series.symbol, series.timeframe, None));
                keys.push(key);
                keys.len() - 1
            });
            let from = source_number(&mut sources, note.source.as_deref());
            if let Some(gathered) = gathered.get_mut(index) {
                let known = note.known(series.close_ns.values());
                gathered.extend(hash::columns(&series).map(|column| column.values()), from, &known);
            }
        }
    }
    let (old, new) = (older.content(), newer.content());
    let content = Content {
        first: old.first,
        last: new.last,
        last_event: new.last_event.clone(),
        actions: old.actions.iter().chain(&new.actions).cloned().collect(),
        undecodable: old.undecodable + new.undecodable,
        ..Content::empty()
    };
    format::write(dir, content, batches(gathered, &sources))
}
