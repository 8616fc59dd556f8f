//! The form of symbols.

use contracts::{Subject, read_symbol};
use proptest::prelude::*;

#[test]
fn a_symbol_is_in_capitals_whoever_writes_it() {
    for (written, symbol) in [
        ("AAPL", "AAPL"),
        ("aapl", "AAPL"),
        ("brk.b", "BRK.B"),
        ("Brk/b", "BRK/B"),
        ("BACpK", "BACPK"),
        ("btc-usd", "BTC-USD"),
        ("^gspc", "^GSPC"),
        ("es=f", "ES=F"),
    ] {
        assert_eq!(read_symbol(written).unwrap(), symbol);
    }
    assert!(read_symbol(&"A".repeat(32)).is_ok());
    for text in ["", " ", "a b", " A", "A\t", "A,B", "Ä", "ſ", "A\u{0}", &"A".repeat(33)] {
        assert!(read_symbol(text).is_err(), "{text:?}");
    }
    assert_eq!(
        read_symbol("a b").unwrap_err().to_string(),
        "symbol \"a b\": expected 1 to 32 printable ASCII characters without a blank or a comma, such as AAPL or BRK.B"
    );
}

proptest! {
    #[test]
    fn the_form_is_kept_and_comes_back_from_a_subject(text in "[!-~]{1,32}") {
        if let Ok(symbol) = read_symbol(&text) {
            prop_assert_eq!(read_symbol(&symbol), Ok(symbol.clone()));
            prop_assert!(symbol.eq_ignore_ascii_case(&text));
            prop_assert_eq!(Subject::bar("1h", &symbol).tokens().last(), Some(symbol));
        }
    }
}
