//! Symbols: one form of each, wherever it comes from.
//!
//! Whoever takes a symbol from outside (a file, an option, a request) reads it here, so that what one of them brings onto
//! the tape the others find. Spellings that vendors have of their own, such as `BRK-B` for `BRK.B`, are their adapters'.

/// Longest symbol, in bytes.
pub const SYMBOL_BYTES_MAX: usize = 32;

/// What a symbol looks like, in words.
pub const EXPECTED_SYMBOL: &str =
    "1 to 32 printable ASCII characters without a blank or a comma, such as AAPL or BRK.B";

const _: () = assert!(SYMBOL_BYTES_MAX == 32, "the words say how long it may be");

/// Text that is no symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("symbol {text:?}: expected {EXPECTED_SYMBOL}")]
pub struct MalformedSymbol {
    /// The text in question.
    pub text: String,
}

/// Reads a symbol: in capitals, as the tape writes it. A comma would end it where several are listed.
///
/// Whether there is such a symbol is another question; `^GSPC`, `ES=F` and `BTC/USD` are well-formed.
pub fn read_symbol(text: &str) -> Result<String, MalformedSymbol> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    if (1..=SYMBOL_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(text.to_ascii_uppercase())
    } else {
        Err(MalformedSymbol { text: text.to_owned() })
    }
}
