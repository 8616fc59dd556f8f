//! Whether a file can be read to its end, found out before anything is done with what stands at its beginning.

use std::path::Path;

use super::FileError;
use super::table;

/// Reads a packed file to its end: gzip is unpacked, which holds its bytes against their sum, and Parquet is decoded. Of
/// plain text only the disk can fail on the way, which is no matter of the file.
///
/// That costs a few hundredths of the time in which its rows are appended, however long it is. Blocking.
pub fn check_whole(path: &Path) -> Result<(), FileError> {
    if !table::is_packed(path)? {
        return Ok(());
    }
    let mut table = table::open(path)?;
    while table.advance()? {}
    Ok(())
}
