//! Sizes in bytes as text, in decimal units; the browser rewrites them into the units its reader chose.

/// `512 B`, `1.5 MB`.
#[must_use]
pub fn size(bytes: &u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = *bytes as f64;
    let mut unit = 0;
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_the_largest_unit_below_them() {
        assert_eq!([999, 1_000, 1_550_000].map(|bytes| size(&bytes)), ["999 B", "1.0 kB", "1.6 MB"]);
        assert_eq!(size(&u64::MAX), "18446744.1 TB");
    }
}
