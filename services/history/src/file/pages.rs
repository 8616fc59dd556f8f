//! What the pages of a Parquet file say of themselves, held against the file before its decoder believes it: the
//! decoder asks for as much memory as a page names, and a program whose memory is refused ends.

use std::ops::Range;

use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{PageHeader, PageType};

/// Bytes of one page's header, with its statistics.
const HEADER_MAX: usize = 1 << 20;
/// Bytes of the smallest value that a dictionary holds.
const ENTRY_MIN: i64 = 4;

/// What is wrong with the pages of a column that has `values` values and lies at `place` in `file`.
pub(super) fn implausible(file: &[u8], place: Range<u64>, values: i64) -> Option<String> {
    let chunk = usize::try_from(place.start).ok().zip(usize::try_from(place.end).ok());
    let Some(mut rest) = chunk.and_then(|(start, end)| file.get(start..end)) else {
        return Some("a column that lies outside of the file".to_owned());
    };
    let mut left = values;
    while left > 0 {
        let header =
            PageHeader::read_from_in_protocol(&mut TCompactInputProtocol::new(&mut rest, HEADER_MAX));
        let header = match header {
            Ok(header) => header,
            Err(error) => return Some(format!("the header of a page: {error}")),
        };
        let Some(behind) =
            usize::try_from(header.compressed_page_size).ok().and_then(|size| rest.get(size..))
        else {
            return Some(format!(
                "a page of {} bytes, of which {} are there",
                header.compressed_page_size,
                rest.len()
            ));
        };
        rest = behind;
        match count(&header) {
            Ok(count) if (0..=left).contains(&count) => left -= count,
            Ok(count) => return Some(format!("a page of {count} values in a column that has {left} more")),
            Err(problem) => return Some(problem),
        }
    }
    None
}

/// Values of the column that a page holds.
fn count(header: &PageHeader) -> Result<i64, String> {
    let missing = || "a page without the header of its type".to_owned();
    match header.type_ {
        PageType::DATA_PAGE => {
            header.data_page_header.as_ref().map(|page| page.num_values.into()).ok_or_else(missing)
        }
        PageType::DATA_PAGE_V2 => {
            header.data_page_header_v2.as_ref().map(|page| page.num_values.into()).ok_or_else(missing)
        }
        PageType::DICTIONARY_PAGE => {
            let entries = i64::from(header.dictionary_page_header.as_ref().ok_or_else(missing)?.num_values);
            let most = i64::from(header.uncompressed_page_size) / ENTRY_MIN;
            if (0..=most).contains(&entries) {
                return Ok(0);
            }
            Err(format!("a dictionary of {entries} values in {} bytes", header.uncompressed_page_size))
        }
        _ => Ok(0),
    }
}
