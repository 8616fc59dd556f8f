//! Bars on their way to Postgres, in segments within which no bar is stated twice.

use std::collections::HashMap;

use domain::bar::Timeframe;
use domain::money::{Price, Volume};

use crate::table::{Cell, decimal};

/// One bar as its event states it.
#[derive(Clone, Debug)]
pub(crate) struct BarRow {
    pub symbol: String,
    pub timeframe: Timeframe,
    pub close_ns: i64,
    pub start_ns: i64,
    /// Open, high, low, close.
    pub prices_e9: [i64; 4],
    pub volume_e3: i64,
    pub vwap_e9: Option<i64>,
    pub trade_count: Option<i64>,
    pub origin: &'static str,
    pub event_id: String,
    pub sequence: i64,
    /// Id of the bar revised; `None` for a bar.
    pub revises: Option<String>,
}

impl BarRow {
    /// The cells in the order of the columns of `bars`, then what only a restatement needs.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let [open, high, low, close] = self.prices_e9.map(|price| decimal(Price(price)));
        vec![
            (&self.symbol).into(),
            self.timeframe.name().into(),
            self.close_ns.into(),
            self.start_ns.into(),
            open,
            high,
            low,
            close,
            decimal(Volume(self.volume_e3)),
            self.vwap_e9.map_or(Cell::Null, |vwap| decimal(Price(vwap))),
            self.trade_count.into(),
            self.origin.into(),
            (&self.event_id).into(),
            self.sequence.into(),
            self.sequence.into(),
            self.revises.as_ref().map_or(Cell::Null, Cell::from),
            self.timeframe.nanos().into(),
        ]
    }

    /// Appends the row in the text form of COPY.
    pub(crate) fn copy_into(&self, buffer: &mut Vec<u8>) {
        push_text(buffer, &self.symbol);
        buffer.push(b'\t');
        buffer.extend_from_slice(self.timeframe.name().as_bytes());
        for number in [self.close_ns, self.start_ns] {
            buffer.push(b'\t');
            push_fixed(buffer, number, 0);
        }
        for price in self.prices_e9 {
            buffer.push(b'\t');
            push_fixed(buffer, price, 9);
        }
        buffer.push(b'\t');
        push_fixed(buffer, self.volume_e3, 3);
        for (optional, digits) in [(self.vwap_e9, 9), (self.trade_count, 0)] {
            buffer.push(b'\t');
            match optional {
                Some(number) => push_fixed(buffer, number, digits),
                None => buffer.extend_from_slice(b"\\N"),
            }
        }
        buffer.push(b'\t');
        buffer.extend_from_slice(self.origin.as_bytes());
        buffer.push(b'\t');
        push_text(buffer, &self.event_id);
        for _ in 0..2 {
            buffer.push(b'\t');
            push_fixed(buffer, self.sequence, 0);
        }
        buffer.push(b'\n');
    }
}

/// Appends `value` × 10^-`digits` in decimal, without trailing zeros: shorter text is parsed faster.
fn push_fixed(buffer: &mut Vec<u8>, value: i64, digits: usize) {
    let mut magnitude = value.unsigned_abs();
    let mut text = [0_u8; 24];
    let mut at = text.len();
    let mut fraction = digits;
    while fraction > 0 && magnitude.is_multiple_of(10) {
        magnitude /= 10;
        fraction -= 1;
    }
    let mut written = 0;
    while magnitude > 0 || written <= fraction {
        if written == fraction && fraction > 0 {
            at -= 1;
            text[at] = b'.';
        }
        at -= 1;
        text[at] = b'0' + u8::try_from(magnitude % 10).unwrap_or_default();
        magnitude /= 10;
        written += 1;
    }
    if value < 0 {
        at -= 1;
        text[at] = b'-';
    }
    buffer.extend_from_slice(&text[at..]);
}

fn push_text(buffer: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => buffer.extend_from_slice(b"\\\\"),
            b'\t' => buffer.extend_from_slice(b"\\t"),
            b'\n' => buffer.extend_from_slice(b"\\n"),
            b'\r' => buffer.extend_from_slice(b"\\r"),
            _ => buffer.push(byte),
        }
    }
}

/// What a segment adds to one series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub bars: i64,
    pub first_close_ns: i64,
    pub last_close_ns: i64,
    pub sequence: i64,
}

/// Rows of which none states the same bar as another: within a series each begins at or after the close
/// of the one before.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    pub rows: Vec<BarRow>,
    pub revises: bool,
    reach: HashMap<String, [Option<Reach>; Timeframe::ALL.len()]>,
}

impl Segment {
    fn accepts(&self, row: &BarRow) -> bool {
        let reach = self.reach.get(&row.symbol).and_then(|series| series[index(row.timeframe)]);
        reach.is_none_or(|reach| row.start_ns >= reach.last_close_ns)
    }

    fn push(&mut self, row: BarRow) {
        if !self.reach.contains_key(&row.symbol) {
            self.reach.insert(row.symbol.clone(), Default::default());
        }
        if let Some(series) = self.reach.get_mut(&row.symbol) {
            let slot = &mut series[index(row.timeframe)];
            let reach = slot.get_or_insert(Reach {
                bars: 0,
                first_close_ns: row.close_ns,
                last_close_ns: row.close_ns,
                sequence: row.sequence,
            });
            reach.bars += 1;
            reach.last_close_ns = row.close_ns;
            reach.sequence = row.sequence;
        }
        self.revises |= row.revises.is_some();
        self.rows.push(row);
    }

    /// What the segment adds to each series, as cells of `series`.
    pub(crate) fn series(&self) -> Vec<Vec<Cell>> {
        let mut rows = Vec::new();
        for (symbol, series) in &self.reach {
            for (timeframe, reach) in Timeframe::ALL.into_iter().zip(series) {
                let Some(reach) = reach else { continue };
                rows.push(vec![
                    symbol.into(),
                    timeframe.name().into(),
                    reach.bars.into(),
                    reach.first_close_ns.into(),
                    reach.last_close_ns.into(),
                    reach.sequence.into(),
                ]);
            }
        }
        rows
    }
}

fn index(timeframe: Timeframe) -> usize {
    Timeframe::ALL.into_iter().position(|known| known == timeframe).unwrap_or_default()
}

/// All bars of a batch, in segments to be written one after the other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub segments: Vec<Segment>,
}

impl Batch {
    pub(crate) fn push(&mut self, row: BarRow) {
        match self.segments.last_mut() {
            Some(segment) if segment.accepts(&row) => segment.push(row),
            _ => {
                let mut segment = Segment::default();
                segment.push(row);
                self.segments.push(segment);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_decimal_text() {
        for value in [0, 1, -1, 10, 123_456_789, 1_000_000_000, -1_500_000_000, i64::MAX, i64::MIN] {
            let mut buffer = Vec::new();
            push_fixed(&mut buffer, value, 9);
            assert_eq!(String::from_utf8_lossy(&buffer), Price(value).to_string());
            let mut buffer = Vec::new();
            push_fixed(&mut buffer, value, 0);
            assert_eq!(String::from_utf8_lossy(&buffer), value.to_string());
        }
    }
}
