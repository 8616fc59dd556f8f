//! Ids of many events at once: sixteen hashes side by side, in whatever registers the processor has.
//!
//! An id is a hash of a hundred bytes, which by itself waits for its own last step most of the time. An engine
//! that knows the causes of many events together hashes them together; each id is what `contracts::event_id`,
//! `contracts::bar_id` or `contracts::order_id` gives.
//!
//! Deliberately absent: inputs of more than two blocks. Their ids are made one by one.

#![expect(
    unexpected_cfgs,
    reason = "the attribute that picks registers names some that this compiler does not know"
)]

use contracts::{ShortEventId, ShortId};

/// Hashes side by side.
const LANES: usize = 16;
/// Bytes of a block.
const BLOCK: usize = 64;
/// Longest input.
const LONGEST: usize = 2 * BLOCK;
/// Where an event's cause stands: behind its length.
const CAUSE: usize = 8;

// BLAKE3, as in its specification: https://github.com/BLAKE3-team/BLAKE3-specs.
const IV: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 1 << 1;
const ROOT: u32 = 1 << 3;
/// Which words of the block each round mixes: every round permutes those of the one before.
const ROUNDS: [[usize; 16]; 7] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8],
    [3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1],
    [10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6],
    [12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4],
    [9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7],
    [11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13],
];

type Lanes = [u32; LANES];

/// What an id is the hash of. Made once for many ids that differ in a part of fixed length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdInput {
    bytes: [u8; LONGEST],
    length: usize,
}

impl IdInput {
    /// Length-prefixed parts; `None` when they are too long.
    fn of(parts: &[&[u8]]) -> Option<Self> {
        let mut input = Self { bytes: [0; LONGEST], length: 0 };
        for part in parts {
            input.push(&(part.len() as u64).to_be_bytes())?;
            input.push(part)?;
        }
        Some(input)
    }

    fn push(&mut self, part: &[u8]) -> Option<()> {
        let end = self.length + part.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(part);
        self.length = end;
        Some(())
    }

    /// As `contracts::event_id` of any cause that is itself an event's id.
    pub fn event(handler: &str, index: u32) -> Option<Self> {
        Self::of(&[ShortEventId::default().as_str().as_bytes(), handler.as_bytes(), &index.to_be_bytes()])
    }

    /// As `contracts::bar_id` of any close.
    pub fn bar(source: &str, symbol: &str, timeframe: &str) -> Option<Self> {
        Self::of(&[source.as_bytes(), symbol.as_bytes(), timeframe.as_bytes(), &[0; 8]])
    }

    /// As `contracts::order_id` of any signal.
    pub fn order(leg: u32) -> Option<Self> {
        Self::of(&[b"order", ShortEventId::default().as_str().as_bytes(), &leg.to_be_bytes()])
    }

    /// The input with this cause.
    pub fn caused_by(mut self, cause: &ShortEventId) -> Self {
        self.bytes[CAUSE..CAUSE + 32].copy_from_slice(cause.bytes());
        self
    }

    /// The input of an order's id with this signal.
    pub fn signalled_by(mut self, signal: &ShortEventId) -> Self {
        const SIGNAL: usize = 8 + b"order".len() + 8;
        self.bytes[SIGNAL..SIGNAL + 32].copy_from_slice(signal.bytes());
        self
    }

    /// The input with this index, its last part.
    pub fn indexed(mut self, index: u32) -> Self {
        self.bytes[self.length - 4..self.length].copy_from_slice(&index.to_be_bytes());
        self
    }

    /// The input of a bar's id with this close, its last part.
    pub fn closing_at(mut self, close_ns: i64) -> Self {
        self.bytes[self.length - 8..self.length].copy_from_slice(&close_ns.to_be_bytes());
        self
    }

    /// The input with `text` at byte `at` of the handler's name.
    pub fn handled_at(mut self, at: usize, text: &[u8]) -> Self {
        const HANDLER: usize = CAUSE + 32 + 8;
        self.bytes[HANDLER + at..HANDLER + at + text.len()].copy_from_slice(text);
        self
    }
}

/// Ids of `inputs`, in their order.
pub(crate) fn short_ids<const LENGTH: usize>(inputs: &[IdInput], ids: &mut Vec<ShortId<LENGTH>>) {
    ids.clear();
    ids.reserve(inputs.len());
    let (groups, rest) = inputs.as_chunks::<LANES>();
    for group in groups {
        put(&hash(group), LANES, ids);
    }
    if let Some(first) = rest.first() {
        let mut group = [*first; LANES];
        group[..rest.len()].copy_from_slice(rest);
        put(&hash(&group), rest.len(), ids);
    }
}

fn put<const LENGTH: usize>(words: &[Lanes; 8], count: usize, ids: &mut Vec<ShortId<LENGTH>>) {
    for lane in 0..count {
        let mut id = ShortId::<LENGTH>::default();
        for (digits, word) in id.bytes_mut().chunks_exact_mut(8).zip(words) {
            digits.copy_from_slice(&digits_of(word[lane]));
        }
        ids.push(id);
    }
}

/// The hexadecimal digits of four bytes, all at a time: half-bytes are spread, then made letters.
fn digits_of(word: u32) -> [u8; 8] {
    let mut spread = u64::from(word);
    spread = (spread | (spread << 16)) & 0x0000_FFFF_0000_FFFF;
    spread = (spread | (spread << 8)) & 0x00FF_00FF_00FF_00FF;
    let halves = ((spread >> 4) & 0x000F_000F_000F_000F) | ((spread & 0x000F_000F_000F_000F) << 8);
    let letters = ((halves + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (halves + 0x3030_3030_3030_3030 + letters * 39).to_le_bytes()
}

#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn hash(inputs: &[IdInput; LANES]) -> [Lanes; 8] {
    let mut state = IV.map(|word| [word; LANES]);
    let (mut lengths, mut flags) = ([0; LANES], [0; LANES]);
    let mut long = false;
    for (lane, input) in inputs.iter().enumerate() {
        let first = input.length.min(BLOCK);
        lengths[lane] = u32::try_from(first).unwrap_or_default();
        let whole = input.length <= BLOCK;
        flags[lane] = CHUNK_START | if whole { CHUNK_END | ROOT } else { 0 };
        long |= !whole;
    }
    compress(&mut state, &block(inputs, 0), &lengths, &flags);
    if !long {
        return state;
    }
    let first = state;
    for (lane, input) in inputs.iter().enumerate() {
        lengths[lane] = u32::try_from(input.length.saturating_sub(BLOCK)).unwrap_or_default();
    }
    compress(&mut state, &block(inputs, BLOCK), &lengths, &[CHUNK_END | ROOT; LANES]);
    for (words, first) in state.iter_mut().zip(&first) {
        for lane in 0..LANES {
            if lengths[lane] == 0 {
                words[lane] = first[lane];
            }
        }
    }
    state
}

/// A block of every input, word by word.
#[inline(always)]
fn block(inputs: &[IdInput; LANES], from: usize) -> [Lanes; 16] {
    let mut words = [[0; LANES]; 16];
    for (lane, input) in inputs.iter().enumerate() {
        let bytes = &input.bytes[from..from + BLOCK];
        for (word, four) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            word[lane] = u32::from_le_bytes(*four);
        }
    }
    words
}

/// One compression of every lane; none of them is beyond the first chunk.
#[inline(always)]
fn compress(state: &mut [Lanes; 8], message: &[Lanes; 16], lengths: &Lanes, flags: &Lanes) {
    let mut all = [[0; LANES]; 16];
    all[..8].copy_from_slice(state);
    for (lanes, word) in all[8..12].iter_mut().zip(IV) {
        *lanes = [word; LANES];
    }
    (all[14], all[15]) = (*lengths, *flags);
    // One by one, so that every place is known when this is compiled and all lanes stay in registers.
    round(&mut all, message, &ROUNDS[0]);
    round(&mut all, message, &ROUNDS[1]);
    round(&mut all, message, &ROUNDS[2]);
    round(&mut all, message, &ROUNDS[3]);
    round(&mut all, message, &ROUNDS[4]);
    round(&mut all, message, &ROUNDS[5]);
    round(&mut all, message, &ROUNDS[6]);
    for (word, lanes) in state.iter_mut().enumerate() {
        *lanes = xor_turned(&all[word], &all[word + 8], 0);
    }
}

#[inline(always)]
fn round(all: &mut [Lanes; 16], message: &[Lanes; 16], at: &[usize; 16]) {
    mix(all, [0, 4, 8, 12], &message[at[0]], &message[at[1]]);
    mix(all, [1, 5, 9, 13], &message[at[2]], &message[at[3]]);
    mix(all, [2, 6, 10, 14], &message[at[4]], &message[at[5]]);
    mix(all, [3, 7, 11, 15], &message[at[6]], &message[at[7]]);
    mix(all, [0, 5, 10, 15], &message[at[8]], &message[at[9]]);
    mix(all, [1, 6, 11, 12], &message[at[10]], &message[at[11]]);
    mix(all, [2, 7, 8, 13], &message[at[12]], &message[at[13]]);
    mix(all, [3, 4, 9, 14], &message[at[14]], &message[at[15]]);
}

#[inline(always)]
fn mix(all: &mut [Lanes; 16], [a, b, c, d]: [usize; 4], one: &Lanes, two: &Lanes) {
    all[a] = sum(&sum(&all[a], &all[b]), one);
    all[d] = xor_turned(&all[d], &all[a], 16);
    all[c] = sum(&all[c], &all[d]);
    all[b] = xor_turned(&all[b], &all[c], 12);
    all[a] = sum(&sum(&all[a], &all[b]), two);
    all[d] = xor_turned(&all[d], &all[a], 8);
    all[c] = sum(&all[c], &all[d]);
    all[b] = xor_turned(&all[b], &all[c], 7);
}

#[inline(always)]
fn sum(one: &Lanes, two: &Lanes) -> Lanes {
    let mut sum = [0; LANES];
    for lane in 0..LANES {
        sum[lane] = one[lane].wrapping_add(two[lane]);
    }
    sum
}

#[inline(always)]
fn xor_turned(one: &Lanes, two: &Lanes, right: u32) -> Lanes {
    let mut turned = [0; LANES];
    for lane in 0..LANES {
        turned[lane] = (one[lane] ^ two[lane]).rotate_right(right);
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::{ShortOrderId, bar_id, event_id, order_id};

    #[test]
    fn ids_made_together_are_those_made_one_by_one() {
        for count in [0, 1, 2, 15, 16, 17, 33, 100] {
            let causes: Vec<_> =
                (0..count).map(|cause| ShortEventId::event(&cause.to_string(), "test", 0)).collect();
            // From one block to two full ones, in one group.
            let handler = |cause: usize| "h".repeat(1 + cause * 7 % 68);
            let number = |cause: usize| u32::try_from(cause).expect("a small number");
            let inputs: Vec<_> = (0..count)
                .map(|cause| {
                    let input = IdInput::event(&handler(cause), 0).expect("it is short");
                    input.caused_by(&causes[cause]).indexed(number(cause))
                })
                .collect();
            let mut ids = vec![ShortEventId::default()];
            short_ids(&inputs, &mut ids);
            let expected = (0..count)
                .map(|cause| event_id(causes[cause].as_str(), &handler(cause), number(cause)))
                .collect::<Vec<_>>();
            assert_eq!(ids.iter().map(ShortEventId::as_str).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn every_kind_of_input_gives_its_id() {
        let cause = ShortEventId::event("cause", "test", 0);
        let one = |input: Option<IdInput>, change: &dyn Fn(IdInput) -> IdInput| {
            let mut ids = Vec::<ShortEventId>::new();
            short_ids(&[change(input.expect("it is short"))], &mut ids);
            ids[0].as_str().to_owned()
        };
        let closing = one(IdInput::bar("file", "BRK.B", "1h"), &|input| input.closing_at(-7));
        assert_eq!(closing, bar_id("file", "BRK.B", "1h", -7));
        let patched =
            one(IdInput::event("fill/?????/1", 3), &|input| input.caused_by(&cause).handled_at(5, b"order"));
        assert_eq!(patched, event_id(cause.as_str(), "fill/order/1", 3));
        let mut orders = Vec::<ShortOrderId>::new();
        short_ids(&[IdInput::order(2).expect("it is short").signalled_by(&cause)], &mut orders);
        assert_eq!(orders[0].as_str(), order_id(cause.as_str(), 2));
        assert!(IdInput::event(&"h".repeat(69), 0).is_none());
    }
}
