//! Deterministic identity: an id is a pure function of the event's cause.

use sha2::{Digest as _, Sha256};

/// An event id: 32 lowercase hex digits.
pub type EventId = String;

/// The id of the `index`-th event that `handler` makes of the event `cause`.
///
/// A retry or a redelivery of the same cause therefore produces the same id and changes nothing.
/// For a first cause (an operator's command, a deposit) `cause` is whatever names it uniquely.
#[must_use]
pub fn event_id(cause: &str, handler: &str, index: u32) -> EventId {
    hex(&[cause.as_bytes(), handler.as_bytes(), &index.to_be_bytes()], 16)
}

/// The id of the `index`-th signal that an external strategy makes of the event `causation_id`: the first 32
/// hex digits of the SHA-256 of the text `signal/<strategy>/<causation id>/<index>`.
///
/// Every language has SHA-256 at hand. The text cannot be read in two ways, because neither the name of a
/// strategy nor an index holds a slash. `proto/ids.json` has samples.
#[must_use]
pub fn signal_id(strategy: &str, causation_id: &str, index: u32) -> EventId {
    let digest = Sha256::digest(format!("signal/{strategy}/{causation_id}/{index}").as_bytes());
    digits(&digest[..16])
}

/// The id of a bar: hash of source, symbol, timeframe and close (UTC nanoseconds).
///
/// A bar of equal identity with other values is a revision.
#[must_use]
pub fn bar_id(source: &str, symbol: &str, timeframe: &str, close_ns: i64) -> EventId {
    hex(&[source.as_bytes(), symbol.as_bytes(), timeframe.as_bytes(), &close_ns.to_be_bytes()], 16)
}

/// The id of the order that serves leg `leg` of the signal `signal_id`: 24 hex digits.
#[must_use]
pub fn order_id(signal_id: &str, leg: u32) -> String {
    hex(&[b"order", signal_id.as_bytes(), &leg.to_be_bytes()], 12)
}

/// The id of the `index`-th order that depends on the order `parent_id` (0 takes the profit, 1 stops the loss):
/// 24 hex digits.
#[must_use]
pub fn child_order_id(parent_id: &str, index: u32) -> String {
    hex(&[b"child", parent_id.as_bytes(), &index.to_be_bytes()], 12)
}

/// The client order id sent to the broker: a pure function of the order id, at most 48 characters.
#[must_use]
pub fn client_order_id(order_id: &str) -> String {
    format!("td-{order_id}")
}

/// The client order id of a revision of an order's terms: that of the order for the first, at most 60 characters.
#[must_use]
pub fn client_order_id_of(order_id: &str, revision: u32) -> String {
    let first = client_order_id(order_id);
    if revision == 0 { first } else { format!("{first}-r{revision}") }
}

/// The order and the revision that a client order id of this program names; `None` when it is no such id.
#[must_use]
pub fn order_of_client(client_order_id: &str) -> Option<(&str, u32)> {
    let id = client_order_id.strip_prefix("td-")?;
    let (order_id, revision) = match id.split_once("-r") {
        None => (id, 0),
        Some((order_id, number)) => (order_id, number.parse().ok()?),
    };
    let hex = order_id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (order_id.len() == 24 && hex).then_some((order_id, revision))
}

/// First half of the hash of an id: what tells it from all others where very many are kept.
#[must_use]
pub fn id_digest(id: &str) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

/// Longest input of an id that is gathered without allocating.
const GATHERED_MAX: usize = 256;

/// Hashes length-prefixed parts, so that no two different lists of parts collide by concatenation.
fn hashed(parts: &[&[u8]]) -> blake3::Hash {
    let mut gathered = [0; GATHERED_MAX];
    let mut filled = 0;
    let mut take = |bytes: &[u8]| {
        let place = gathered.get_mut(filled..filled + bytes.len())?;
        place.copy_from_slice(bytes);
        filled += bytes.len();
        Some(())
    };
    let fits = parts.iter().try_for_each(|part| {
        take(&(part.len() as u64).to_be_bytes())?;
        take(part)
    });
    if fits.is_some() {
        return blake3::hash(&gathered[..filled]);
    }
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

fn hex(parts: &[&[u8]], bytes: usize) -> String {
    digits(&hashed(parts).as_bytes()[..bytes])
}

/// An id of `LENGTH` digits that owns no memory: the same text as the function of the same name gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortId<const LENGTH: usize>([u8; LENGTH]);

/// An event's id without memory of its own.
pub type ShortEventId = ShortId<32>;
/// An order's id without memory of its own.
pub type ShortOrderId = ShortId<24>;

impl<const LENGTH: usize> Default for ShortId<LENGTH> {
    fn default() -> Self {
        Self([b'0'; LENGTH])
    }
}

impl<const LENGTH: usize> std::fmt::Debug for ShortId<LENGTH> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl<const LENGTH: usize> ShortId<LENGTH> {
    fn of(parts: &[&[u8]]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut id = Self::default();
        for (pair, byte) in id.0.chunks_exact_mut(2).zip(hashed(parts).as_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        id
    }

    /// Its digits, to be written: lower-case hexadecimal ones.
    pub fn bytes_mut(&mut self) -> &mut [u8; LENGTH] {
        &mut self.0
    }

    /// Its digits, as they stand in its text.
    #[must_use]
    pub fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl ShortEventId {
    /// As [`event_id`].
    #[must_use]
    pub fn event(cause: &str, handler: &str, index: u32) -> Self {
        Self::of(&[cause.as_bytes(), handler.as_bytes(), &index.to_be_bytes()])
    }

    /// As [`bar_id`].
    #[must_use]
    pub fn bar(source: &str, symbol: &str, timeframe: &str, close_ns: i64) -> Self {
        Self::of(&[source.as_bytes(), symbol.as_bytes(), timeframe.as_bytes(), &close_ns.to_be_bytes()])
    }
}

impl ShortOrderId {
    /// As [`order_id`].
    #[must_use]
    pub fn order(signal_id: &str, leg: u32) -> Self {
        Self::of(&[b"order", signal_id.as_bytes(), &leg.to_be_bytes()])
    }
}

fn digits(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_order_id_names_its_order_and_revision() {
        let id = order_id("signal", 0);
        assert_eq!(order_of_client(&client_order_id(&id)), Some((id.as_str(), 0)));
        assert_eq!(order_of_client(&client_order_id_of(&id, 12)), Some((id.as_str(), 12)));
        let longer = format!("td-{id}0");
        let odd = format!("td-{id}-rx");
        for other in ["", "td-", "td-0123", "61e69015-8549-4bfd-b9c3-01e75843f47d", &longer, &odd] {
            assert_eq!(order_of_client(other), None, "{other}");
        }
    }

    #[test]
    fn an_id_does_not_depend_on_how_its_parts_are_gathered() {
        for length in [0, 40, 200, 231, 232, 233, 1_000] {
            let cause = "c".repeat(length);
            let mut hasher = blake3::Hasher::new();
            for part in [cause.as_bytes(), b"h", &7u32.to_be_bytes()] {
                hasher.update(&(part.len() as u64).to_be_bytes());
                hasher.update(part);
            }
            assert_eq!(event_id(&cause, "h", 7), hasher.finalize().to_hex()[..32], "{length}");
            assert_eq!(ShortEventId::event(&cause, "h", 7).as_str(), event_id(&cause, "h", 7));
            assert_eq!(ShortEventId::bar(&cause, "S", "1h", 7).as_str(), bar_id(&cause, "S", "1h", 7));
            assert_eq!(ShortOrderId::order(&cause, 7).as_str(), order_id(&cause, 7));
        }
    }
}
