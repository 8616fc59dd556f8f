//! Identities and noise that follow from their names, so that two runs of one script see the same.

/// One round of SplitMix64 (Steele, Lea, Flood 2014).
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number for a text.
#[must_use]
pub fn of(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// A number from 0 inclusive to 1 exclusive.
#[must_use]
pub fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// A version-4 UUID for a name.
#[must_use]
pub fn uuid(name: &str) -> String {
    let high = of(name);
    let low = mix(high ^ 0xA5A5_A5A5_A5A5_A5A5);
    let variant = (low >> 48) & 0x3FFF | 0x8000;
    format!(
        "{:08x}-{:04x}-4{:03x}-{variant:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFF,
        low & 0xFFFF_FFFF_FFFF
    )
}

/// A ULID: a time in milliseconds and a number that only grows.
#[must_use]
pub fn ulid(at_ms: u64, number: u64) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let value = u128::from(at_ms) << 80 | u128::from(number);
    (0..26_u32)
        .rev()
        .map(|place| char::from(ALPHABET[usize::try_from((value >> (place * 5)) & 31).unwrap_or_default()]))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn identities_have_the_form_that_clients_check() {
        let uuid = super::uuid("order 1");
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!(["8", "9", "a", "b"].contains(&&uuid[19..20]), "{uuid}");
        assert_eq!(uuid, super::uuid("order 1"));
        assert_ne!(uuid, super::uuid("order 2"));
        let (first, second) = (super::ulid(1_767_600_000_000, 1), super::ulid(1_767_600_000_000, 2));
        assert_eq!(first.len(), 26);
        assert!(first < second);
    }
}
