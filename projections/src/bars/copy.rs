//! The binary form of COPY, as far as bars need it.
//!
//! Source: PostgreSQL manual, COPY, "Binary Format", and the wire forms of `int8`, `varchar` and `numeric`
//! (`numeric_recv`): a numeric is a list of digits to the base 10,000, the first of weight 10,000^`weight`.

/// What a binary COPY begins with: signature, no flags, no extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(super) const TRAILER: &[u8] = &[0xff, 0xff];

/// Digits behind the point of a fixed-point number, and how it is cut into digits to the base 10,000.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Decimal digits behind the point.
    digits: i16,
    /// The unit: 10^`digits`.
    unit: u64,
    /// What makes a fraction a whole number of base digits.
    pad: u64,
    /// Base digits behind the point.
    groups: usize,
}

/// Prices: nine digits, three groups of four with three zeros at the end.
pub(super) const E9: Scale = Scale { digits: 9, unit: 1_000_000_000, pad: 1_000, groups: 3 };
/// Volumes: three digits, one group of four with a zero at the end.
pub(super) const E3: Scale = Scale { digits: 3, unit: 1_000, pad: 10, groups: 1 };

const BASE: u64 = 10_000;
/// Base digits of the largest `u64`.
const WHOLE_MAX: usize = 5;
const NEGATIVE: u16 = 0x4000;

pub(super) fn begin_row(buffer: &mut Vec<u8>, columns: usize) {
    buffer.extend_from_slice(&i16::try_from(columns).unwrap_or(i16::MAX).to_be_bytes());
}

pub(super) fn null(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&(-1_i32).to_be_bytes());
}

pub(super) fn int(buffer: &mut Vec<u8>, value: i64) {
    buffer.extend_from_slice(&8_i32.to_be_bytes());
    buffer.extend_from_slice(&value.to_be_bytes());
}

/// Texts are bounded by their columns, far below what a length can say.
pub(super) fn text(buffer: &mut Vec<u8>, text: &str) {
    buffer.extend_from_slice(&i32::try_from(text.len()).unwrap_or(i32::MAX).to_be_bytes());
    buffer.extend_from_slice(text.as_bytes());
}

/// Appends `value` × 10^-`scale` as a numeric.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "counts of at most eight digits; checked conversions would cost more than the rest"
)]
pub(super) fn fixed(buffer: &mut Vec<u8>, value: i64, scale: Scale) {
    let magnitude = value.unsigned_abs();
    // Most significant first; the whole part takes what it needs, the fraction its fixed places.
    let mut digits = [0_u16; WHOLE_MAX + 3];
    let mut whole = magnitude / scale.unit;
    let mut first = WHOLE_MAX;
    while whole > 0 {
        first -= 1;
        digits[first] = base_digit(whole);
        whole /= BASE;
    }
    let mut fraction = magnitude % scale.unit * scale.pad;
    for place in (WHOLE_MAX..WHOLE_MAX + scale.groups).rev() {
        digits[place] = base_digit(fraction);
        fraction /= BASE;
    }
    // The server wants no zeros at either end.
    let mut end = WHOLE_MAX + scale.groups;
    while first < end && digits[first] == 0 {
        first += 1;
    }
    while end > first && digits[end - 1] == 0 {
        end -= 1;
    }
    let count = end - first;
    let weight = if count == 0 { 0 } else { WHOLE_MAX as i16 - 1 - first as i16 };
    buffer.extend_from_slice(&(8 + 2 * count as i32).to_be_bytes());
    buffer.extend_from_slice(&(count as i16).to_be_bytes());
    buffer.extend_from_slice(&weight.to_be_bytes());
    buffer.extend_from_slice(&(if value < 0 { NEGATIVE } else { 0 }).to_be_bytes());
    buffer.extend_from_slice(&scale.digits.to_be_bytes());
    for digit in &digits[first..end] {
        buffer.extend_from_slice(&digit.to_be_bytes());
    }
}

fn base_digit(number: u64) -> u16 {
    (number % BASE) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a numeric as the server does, in units of 10^-`scale`.
    fn read(buffer: &[u8], scale: Scale) -> i128 {
        let at = |place: usize| u16::from_be_bytes([buffer[place], buffer[place + 1]]);
        let length = i32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        assert_eq!(usize::try_from(length).unwrap(), buffer.len() - 4);
        let (count, weight, sign) = (usize::from(at(4)), i32::from(at(6).cast_signed()), at(8));
        assert_eq!(at(10).cast_signed(), scale.digits);
        assert_eq!(buffer.len(), 12 + 2 * count);
        let mut value = 0_i128;
        for index in 0..count {
            let digit = i128::from(at(12 + 2 * index));
            assert!(digit < 10_000);
            assert!(digit > 0 || (index > 0 && index + 1 < count), "zeros at an end");
            // Three places behind the point of the base are more than any scale has.
            let exponent = u32::try_from(weight - i32::try_from(index).unwrap() + 3).unwrap();
            value += digit * 10_000_i128.pow(exponent);
        }
        let unit = 10_i128.pow(12 - u32::try_from(scale.digits).unwrap());
        assert_eq!(value % unit, 0);
        let value = value / unit;
        if sign == NEGATIVE { -value } else { value }
    }

    #[test]
    fn numbers_are_written_as_the_server_reads_them() {
        let mut values =
            vec![0, 1, -1, 9, 10, 123_456_789, 1_000_000_000, -1_500_000_000, i64::MAX, i64::MIN];
        values.extend(
            (0..18).flat_map(|power| [10_i64.pow(power), 10_i64.pow(power) - 1, -7 * 10_i64.pow(power)]),
        );
        for value in values {
            for scale in [E9, E3] {
                let mut buffer = Vec::new();
                fixed(&mut buffer, value, scale);
                assert_eq!(read(&buffer, scale), i128::from(value), "{value}");
            }
        }
    }
}
