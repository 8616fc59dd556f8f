//! One segment as an Arrow file.
//!
//! Seven columns of 64-bit integers (times in UTC nanoseconds, prices in 1e-9, volumes in 1e-3) and a record batch
//! for every symbol, timeframe and source, so that each column of a series lies in one piece. A note in the file's
//! footer, in JSON, says which batch is what, holds the corporate actions and the BLAKE3 digest of every column; the
//! hash in the file's name is that of everything but the columns. So a name vouches for every byte, and a reader
//! hashes just the columns that it uses.
//!
//! A statement of a bar that a later one of the same segment replaced stands in a batch of its own, before those of its
//! series. The note says from when a row was known where that is not its close.
//!
//! The reader takes nothing for granted: every offset is checked before it is followed.
//!
//! Deliberately absent: compression, which could not be mapped.

use std::fs::File;
use std::io::{BufWriter, Cursor, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::bar::Timeframe;
use domain::series::{BarSeries, Column};
use polars_arrow::array::{Array, PrimitiveArray};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::io::ipc::format::ipc::planus::ReadAsRoot as _;
use polars_arrow::io::ipc::format::ipc::{Block, MessageHeaderRef, MessageRef};
use polars_arrow::io::ipc::read::{FileMetadata, read_file_metadata};
use polars_arrow::io::ipc::write::{FileWriter, WriteOptions};
use polars_arrow::record_batch::RecordBatchT;
use polars_utils::mmap::MMapSemaphore;

use super::{SegmentError, SegmentFile};
use crate::hash::{self, Digests};
use crate::parts::{self, Parts};

const NOTE: &str = "tapedeck.segment";
const VERSION: u32 = 3;
const COLUMNS: [&str; 7] = ["start_ns", "close_ns", "open_e9", "high_e9", "low_e9", "close_e9", "volume_e3"];

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Content {
    /// Version of this format.
    pub version: u32,
    /// First sequence of MARKET that is covered.
    pub first: u64,
    /// Last sequence of MARKET that is covered.
    pub last: u64,
    /// Id and recorded time of the event with the last sequence, by which the stream is known again; empty when it is none.
    pub last_event: String,
    /// Bars and revisions, with those that others replaced.
    pub rows: u64,
    /// Record batches in their order.
    pub batches: Vec<BatchNote>,
    /// Corporate actions in the order of the stream.
    pub actions: Vec<ActionNote>,
    /// Messages that are no events.
    pub undecodable: u64,
}

/// A record batch of a segment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BatchNote {
    /// Source of the bars; `None` for revisions of bars in earlier segments, and for statements that were replaced.
    pub source: Option<String>,
    /// Symbol.
    pub symbol: String,
    /// Timeframe.
    pub timeframe: String,
    /// Number of bars.
    pub rows: usize,
    /// First close, UTC nanoseconds.
    pub first_close_ns: i64,
    /// Last close, UTC nanoseconds.
    pub last_close_ns: i64,
    /// Digests of the columns, in hexadecimal digits.
    pub digests: Vec<String>,
    /// Whether these are statements that later ones in the segment replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// From when the rows were known, in their order; empty where each was at its close.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownNote>,
}

/// From when some rows of a batch that follow each other were known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KnownNote {
    /// Number of rows.
    pub rows: usize,
    /// Close of the newest bar of the series that stood before them on the tape, or their own event time where that is
    /// later, UTC nanoseconds; `None` for rows that came in their turn, which were known at their closes.
    pub behind_ns: Option<i64>,
}

impl BatchNote {
    /// The instant behind which each row was known, for rows that close at `closes`.
    pub(super) fn known(&self, closes: &[i64]) -> Vec<i64> {
        let mut known = closes.to_vec();
        let mut from = 0_usize;
        for note in &self.known {
            let to = known.len().min(from.saturating_add(note.rows));
            if let Some(behind_ns) = note.behind_ns {
                known[from..to].fill(behind_ns);
            }
            from = to;
        }
        known
    }
}

/// What a note says of rows that close at `closes`.
fn known_notes(closes: &[i64], known: &[i64]) -> Vec<KnownNote> {
    let mut notes: Vec<KnownNote> = Vec::new();
    if known == closes {
        return notes;
    }
    for (close_ns, known_ns) in closes.iter().zip(known) {
        let behind_ns = Some(*known_ns).filter(|known_ns| known_ns != close_ns);
        match notes.last_mut() {
            Some(last) if last.behind_ns == behind_ns => last.rows += 1,
            _ => notes.push(KnownNote { rows: 1, behind_ns }),
        }
    }
    notes
}

/// A corporate action of a segment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ActionNote {
    /// Symbol.
    pub symbol: String,
    /// Ex-date.
    pub ex_date: String,
    /// Kind, as in the schema of events.
    pub kind: i32,
    /// New shares per old share, or cash per share, in 1e-9.
    pub value_e9: i64,
    /// Event time, UTC nanoseconds.
    pub event_ns: i64,
    /// Event id.
    pub event_id: String,
}

/// A batch to be written.
pub(super) struct Batch {
    pub(super) source: Option<String>,
    /// Whether these are statements that later ones in the segment replaced.
    pub(super) replaced: bool,
    pub(super) symbol: String,
    pub(super) timeframe: Timeframe,
    pub(super) parts: Parts,
    /// Instant behind which each row was known, UTC nanoseconds.
    pub(super) known: Vec<i64>,
}

/// Writes a segment under its name; `content` lacks rows and batches. Blocking, called under the lock.
pub(super) fn write(
    dir: &Path,
    mut content: Content,
    batches: Vec<Batch>,
) -> Result<SegmentFile, SegmentError> {
    content.version = VERSION;
    content.rows = batches.iter().map(|batch| batch.parts.len() as u64).sum();
    let columns: Vec<&[i64]> = batches.iter().flat_map(|batch| batch.parts.slices()).collect();
    let digests = hash::digests_of(&columns);
    content.batches = batches
        .iter()
        .zip(digests.chunks_exact(7))
        .map(|(batch, digests)| BatchNote {
            source: batch.source.clone(),
            symbol: batch.symbol.clone(),
            timeframe: batch.timeframe.name().to_owned(),
            rows: batch.parts.len(),
            first_close_ns: batch.parts.closes().first().copied().unwrap_or_default(),
            last_close_ns: batch.parts.closes().last().copied().unwrap_or_default(),
            digests: digests.iter().map(|digest| hash::hex(digest)).collect(),
            replaced: batch.replaced,
            known: known_notes(batch.parts.closes(), &batch.known),
        })
        .collect();
    let temporary = dir.join(format!("{}-{}.tmp", content.first, std::process::id()));
    let refused = |problem: String| SegmentError::Write { path: temporary.clone(), problem };
    let note = serde_json::to_string(&content).map_err(|error| refused(error.to_string()))?;
    let io = |source| SegmentError::Io { path: temporary.clone(), source };
    let out = BufWriter::with_capacity(1 << 20, File::create(&temporary).map_err(io)?);
    let out = arrow(out, note, batches).map_err(|error| refused(error.to_string()))?;
    let out = out.into_inner().map_err(|error| io(error.into_error()))?;
    out.sync_all().map_err(io)?;
    let written = Mapped::parse(&temporary)?;
    let file = SegmentFile::new(dir, content.first, content.last, &written.name_hash());
    std::fs::rename(&temporary, &file.path).map_err(io)?;
    // The new name is durable when the directory is.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
    Ok(file)
}

fn arrow(
    out: BufWriter<File>,
    note: String,
    batches: Vec<Batch>,
) -> Result<BufWriter<File>, polars::error::PolarsError> {
    let schema: ArrowSchema = COLUMNS
        .into_iter()
        .map(|name| (name.into(), Field::new(name.into(), ArrowDataType::Int64, false)))
        .collect();
    let schema = Arc::new(schema);
    let mut writer = FileWriter::try_new(out, schema.clone(), None, WriteOptions { compression: None })?;
    writer.set_custom_metadata(vec![(NOTE.to_owned(), note)]);
    for batch in batches {
        let rows = batch.parts.len();
        let arrays = batch
            .parts
            .columns
            .map(|column| -> Box<dyn Array> { Box::new(PrimitiveArray::<i64>::from_vec(column)) });
        writer.write(&RecordBatchT::try_new(rows, schema.clone(), arrays.into())?, None)?;
    }
    writer.finish()?;
    let mut out = writer.into_inner();
    out.flush()?;
    Ok(out)
}

/// A segment that is mapped into memory.
#[derive(Debug)]
pub(super) struct Mapped {
    path: PathBuf,
    map: Arc<MMapSemaphore>,
    content: Content,
    /// Where the columns of each batch lie, checked to be in the file.
    columns: Vec<[Range<usize>; 7]>,
}

/// A column within a mapped file.
struct MappedColumn {
    map: Arc<MMapSemaphore>,
    /// Bytes of the file, checked to lie in it and to be aligned.
    bytes: Range<usize>,
}

impl AsRef<[i64]> for MappedColumn {
    fn as_ref(&self) -> &[i64] {
        let bytes = (*self.map).as_ref().get(self.bytes.clone()).unwrap_or_default();
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }
}

impl Mapped {
    /// Maps a file and reads what it says of itself, which must be what its name vouches for.
    pub(super) fn open(file: &SegmentFile) -> Result<Self, SegmentError> {
        let segment = Self::parse(&file.path)?;
        if segment.name_hash() != file.hash {
            let problem = "header, note or footer do not have the hash in the file's name".to_owned();
            return Err(SegmentError::Damaged { path: file.path.clone(), problem });
        }
        Ok(segment)
    }

    fn parse(path: &Path) -> Result<Self, SegmentError> {
        let io = |source| SegmentError::Io { path: path.to_owned(), source };
        let damaged = |problem: String| SegmentError::Damaged { path: path.to_owned(), problem };
        let opened = File::open(path).map_err(io)?;
        if opened.metadata().map_err(io)?.len() < 32 {
            return Err(damaged("shorter than any segment".to_owned()));
        }
        let map = MMapSemaphore::new_from_file(&opened).map_err(|error| damaged(error.to_string()))?;
        let metadata = footer(map.as_ref()).map_err(damaged)?;
        let note = metadata.custom_metadata.as_ref().and_then(|notes| notes.get(NOTE));
        let note = note.ok_or_else(|| damaged("the footer has no note".to_owned()))?;
        let content: Content =
            serde_json::from_str(note.as_str()).map_err(|error| damaged(format!("note: {error}")))?;
        if content.version != VERSION {
            let why = "`tapedeck history sync` reads the tape again";
            return Err(damaged(format!("format {}, expected {VERSION}: {why}", content.version)));
        }
        if metadata.blocks.len() != content.batches.len() {
            return Err(damaged("the footer does not list every batch".to_owned()));
        }
        let blocks = metadata.blocks.iter().zip(&content.batches);
        let columns = blocks
            .map(|(block, note)| ranges(map.as_ref(), *block, note.rows))
            .collect::<Result<_, _>>()
            .map_err(|problem| damaged(format!("a batch {problem}")))?;
        Ok(Self { path: path.to_owned(), map: Arc::new(map), content, columns })
    }

    /// The hash of every byte that is no column's.
    fn name_hash(&self) -> String {
        let mut columns: Vec<&Range<usize>> = self.columns.iter().flatten().collect();
        columns.sort_by_key(|range| range.start);
        let bytes = (*self.map).as_ref();
        let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
        for range in columns {
            hasher.update(bytes.get(at..range.start).unwrap_or_default());
            at = at.max(range.end);
        }
        hasher.update(bytes.get(at..).unwrap_or_default());
        hash::hex(&hasher.finalize().as_bytes()[..16])
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// The columns of a batch as a series, and their digests, which they have been compared with.
    pub(super) fn series(&self, batch: usize) -> Result<(BarSeries, Digests), SegmentError> {
        let damaged = |problem: &str| {
            let problem = format!("batch {batch}: {problem}");
            SegmentError::Damaged { path: self.path.clone(), problem }
        };
        let (Some(note), Some(ranges)) = (self.content.batches.get(batch), self.columns.get(batch)) else {
            return Err(damaged("is not there"));
        };
        let timeframe: Timeframe = note.timeframe.parse().map_err(|_| damaged("unknown timeframe"))?;
        let columns = ranges.clone().map(|bytes| Column::new(MappedColumn { map: self.map.clone(), bytes }));
        let source = note.source.as_deref().unwrap_or_default();
        let series = parts::series(source, &note.symbol, timeframe, columns);
        if hash::columns(&series).iter().any(|column| column.values().len() != note.rows) {
            return Err(damaged("columns are not aligned"));
        }
        let digests = hash::digests(&[&series]).pop().ok_or_else(|| damaged("has no columns"))?;
        for ((digest, expected), name) in digests.iter().zip(&note.digests).zip(COLUMNS) {
            if hash::hex(digest) != *expected {
                return Err(damaged(&format!("column {name} does not have its hash")));
            }
        }
        if note.digests.len() != COLUMNS.len() {
            return Err(damaged("digests are missing"));
        }
        Ok((series, digests))
    }

    /// Compares every column with its hash.
    pub(super) fn verify_all(&self) -> Result<(), SegmentError> {
        (0..self.content.batches.len()).try_for_each(|batch| self.series(batch).map(drop))
    }
}

/// The footer of a file; the decoder may panic on one that is damaged.
fn footer(bytes: &[u8]) -> Result<FileMetadata, String> {
    let read = || read_file_metadata(&mut Cursor::new(bytes));
    match std::panic::catch_unwind(read) {
        Ok(Ok(metadata)) => Ok(metadata),
        Ok(Err(error)) => Err(format!("no footer of an Arrow file: {error}")),
        Err(_) => Err("no footer of an Arrow file".to_owned()),
    }
}

/// Where the seven columns of a block lie in the file.
fn ranges(file: &[u8], block: Block, rows: usize) -> Result<[Range<usize>; 7], &'static str> {
    let number = |value: i64| usize::try_from(value).map_err(|_| "a negative offset");
    let start = number(block.offset)?;
    let body = start.checked_add(number(block.meta_data_length.into())?).ok_or("an offset out of range")?;
    let body_end = body.checked_add(number(block.body_length)?).ok_or("a length out of range")?;
    // The prefix of a message: the mark of continuation and its length.
    let message = file.get(start..body).and_then(|bytes| bytes.get(8..)).ok_or("lies outside of the file")?;
    let message = MessageRef::read_as_root(message).map_err(|_| "no message")?;
    let Ok(Some(MessageHeaderRef::RecordBatch(batch))) = message.header() else {
        return Err("is no record batch");
    };
    if batch.length().ok() != i64::try_from(rows).ok() || !matches!(batch.compression(), Ok(None)) {
        return Err("is of another length or compressed");
    }
    let buffers: Vec<_> = batch.buffers().ok().flatten().ok_or("has no buffers")?.iter().collect();
    // Each column has two buffers: which values there are (all) and the values.
    if buffers.len() != 2 * COLUMNS.len() {
        return Err("has another number of columns");
    }
    let mut ranges: [Range<usize>; 7] = std::array::from_fn(|_| 0..0);
    for (range, values) in ranges.iter_mut().zip(buffers.chunks_exact(2).map(|pair| pair[1])) {
        let from = body.checked_add(number(values.offset())?).ok_or("an offset out of range")?;
        let bytes = rows.checked_mul(8).ok_or("a length out of range")?;
        let to = from.checked_add(bytes).ok_or("a length out of range")?;
        if to > body_end || body_end > file.len() {
            return Err("lies outside of the file");
        }
        *range = from..to;
    }
    Ok(ranges)
}

impl Content {
    /// Nothing at all.
    pub(super) fn empty() -> Self {
        Self {
            version: VERSION,
            first: 1,
            last: 0,
            last_event: String::new(),
            rows: 0,
            batches: Vec::new(),
            actions: Vec::new(),
            undecodable: 0,
        }
    }
}
