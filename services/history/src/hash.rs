//! The hash of a selection of history.
//!
//! It covers, series by series in the order of symbol and timeframe: symbol, timeframe, number of bars and the
//! BLAKE3 digests of the seven columns (little-endian 64-bit values); then the corporate actions of these symbols. It
//! does not cover where the bars came from, so that a file and the tape that it was imported into have the same hash,
//! nor actions of symbols without bars, which change nothing.
//!
//! Deliberately absent: the segments' own hash (`segments`), which names a file.

use std::collections::HashSet;
use std::fmt::Write as _;

use domain::corporate_action::Effect;
use domain::series::{BarSeries, Column, MarketData};

/// Digest of one column.
pub(crate) type Digest = [u8; 32];
/// Digests of a series' columns: start, close time, open, high, low, close, volume.
pub(crate) type Digests = [Digest; 7];

/// Values above which columns are hashed on several threads.
const PARALLEL_FROM: usize = 1 << 16;

/// The hash of everything in `data`, as 64 hexadecimal digits.
#[must_use]
pub fn data_hash(data: &MarketData) -> String {
    let series: Vec<&BarSeries> = data.series.iter().collect();
    hash_of(data, &digests(&series))
}

/// The hash of `data` whose columns have the given digests.
pub(crate) fn hash_of(data: &MarketData, digests: &[Digests]) -> String {
    let mut order: Vec<usize> = (0..data.series.len()).collect();
    let key = |index: &usize| {
        let series = &data.series[*index];
        (series.symbol.clone(), series.timeframe)
    };
    order.sort_by_key(key);
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for index in order {
        let series = &data.series[index];
        part(series.symbol.as_bytes());
        part(series.timeframe.name().as_bytes());
        part(&(series.len() as u64).to_le_bytes());
        digests[index].iter().for_each(|digest| part(digest));
    }
    let held: HashSet<&str> = data.series.iter().map(|series| &*series.symbol).collect();
    for dated in data.actions.iter().filter(|dated| held.contains(&*dated.symbol)) {
        part(dated.symbol.as_bytes());
        part(&dated.event_ns.to_le_bytes());
        part(dated.action.ex_date.to_string().as_bytes());
        match dated.action.effect {
            Effect::Split(ratio) => part(format!("split {ratio:?}").as_bytes()),
            Effect::Dividend(price) => part(format!("dividend {price}").as_bytes()),
        }
    }
    hex(hasher.finalize().as_bytes())
}

/// The columns in the order in which they are hashed and stored.
pub(crate) fn columns(series: &BarSeries) -> [&Column; 7] {
    let BarSeries { start_ns, close_ns, open, high, low, close, volume, .. } = series;
    [start_ns, close_ns, open, high, low, close, volume]
}

/// Digests of the columns of many series, on as many threads as there are cores.
pub(crate) fn digests(series: &[&BarSeries]) -> Vec<Digests> {
    let values: Vec<&[i64]> = series.iter().flat_map(|series| columns(series)).map(Column::values).collect();
    let flat = digests_of(&values);
    flat.chunks_exact(7).map(|seven| std::array::from_fn(|column| seven[column])).collect()
}

/// Digests of columns.
pub(crate) fn digests_of(values: &[&[i64]]) -> Vec<Digest> {
    let all: usize = values.iter().map(|values| values.len()).sum();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(values.len());
    if all < PARALLEL_FROM || threads < 2 {
        return values.iter().map(|values| digest(values)).collect();
    }
    let share = values.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let parts: Vec<_> = values
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().map(|values| digest(values)).collect::<Vec<_>>()))
            .collect();
        let parts = parts.into_iter().zip(values.chunks(share));
        // A thread that could not finish leaves its part to this one.
        parts
            .flat_map(|(thread, part)| {
                thread.join().unwrap_or_else(|_| part.iter().map(|values| digest(values)).collect())
            })
            .collect()
    })
}

/// Digest of one column: its values as little-endian bytes.
pub(crate) fn digest(values: &[i64]) -> Digest {
    if cfg!(target_endian = "little") {
        return *blake3::hash(bytemuck::cast_slice(values)).as_bytes();
    }
    let mut hasher = blake3::Hasher::new();
    for value in values {
        hasher.update(&value.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Hexadecimal digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}
