//! Passwords and random values, and their hashes.

use std::io::Read as _;
use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};

use super::AccessError;

/// Shortest password.
pub(super) const PASSWORD_CHARS_MIN: usize = 10;
/// Longest password, so that nobody makes the server hash a book.
pub(super) const PASSWORD_CHARS_MAX: usize = 64;
/// What its letters take at most.
const PASSWORD_BYTES_MAX: usize = 4 * PASSWORD_CHARS_MAX;
/// Letters of a generated password: none is mistaken for another. 32 of them, so that a byte's low bits pick
/// each equally often.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789+";

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], AccessError> {
    let mut bytes = [0u8; N];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes))?;
    Ok(bytes)
}

/// 32 random bytes as hex.
pub(super) fn random_hex() -> Result<String, AccessError> {
    Ok(random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A password of 100 random bits, in groups of five.
pub fn generate() -> Result<String, AccessError> {
    let letters = random::<20>()?.map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let groups: Vec<String> = letters.chunks(5).map(|group| group.iter().collect()).collect();
    Ok(groups.join("-"))
}

/// The hash that is kept of a password.
pub(super) fn hash(password: &str) -> Result<String, AccessError> {
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&password.chars().count()) {
        return Err(AccessError::Password);
    }
    hash_of(password, &random::<16>()?)
}

fn hash_of(password: &str, salt: &[u8]) -> Result<String, AccessError> {
    let failed = |error: argon2::password_hash::Error| AccessError::Hash(error.to_string());
    let salt = SaltString::encode_b64(salt).map_err(failed)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

/// Whether `password` is the one of which `hash` was kept. Without a hash it takes as long and is false.
pub(super) fn matches(password: &str, hash: Option<&str>) -> bool {
    static NOBODY: OnceLock<String> = OnceLock::new();
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    let known = hash.is_some();
    let nobody = || NOBODY.get_or_init(|| hash_of("nobody", &[7; 16]).unwrap_or_default()).as_str();
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or_else(nobody)) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known
}

/// The hash that is kept of a random value.
pub(super) fn digest(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// Whether `secret` is the value of which `kept` is the digest, in constant time.
pub(super) fn is_digest(secret: &str, kept: &str) -> bool {
    blake3::Hash::from_hex(kept).is_ok_and(|kept| blake3::hash(secret.as_bytes()) == kept)
}
