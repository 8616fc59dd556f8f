//! Cookies of sessions, and the tokens that tie a form to one. Whose session it is, `access` knows.
//!
//! A token is a keyed hash of the session, so it needs no store and outlives a restart.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, header};

/// Name of the cookie.
pub const COOKIE: &str = "tapedeck_session";

/// Makes and checks sessions, tokens and idempotency keys.
#[derive(Debug)]
pub struct Sessions {
    secret: [u8; 32],
    /// Whether browsers may send the cookie over TLS only.
    secure: bool,
    count: AtomicU64,
}

/// What a page's forms carry. Empty in fragments that all visitors share: there the page's script
/// fills both in.
#[derive(Clone, Debug, Default)]
pub struct FormKeys {
    /// Token that ties the form to the visitor's session.
    pub csrf: String,
    /// Idempotency key of this rendering.
    pub key: String,
}

impl Sessions {
    /// Uses `secret`, which must be random; `secure` when the site is served over TLS.
    #[must_use]
    pub fn new(secret: [u8; 32], secure: bool) -> Self {
        Self { secret, secure, count: AtomicU64::new(0) }
    }

    /// The visitor's session. A program has none: it gets one that names nobody and opens nothing.
    #[must_use]
    pub fn of(&self, headers: &HeaderMap) -> String {
        session_of(headers).unwrap_or_else(|| self.unguessable("session"))
    }

    /// The cookie that keeps `session` for so many seconds; none of them removes it.
    #[must_use]
    pub fn cookie(&self, session: &str, seconds: i64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{COOKIE}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
    }

    /// The token of `session`.
    #[must_use]
    pub fn token(&self, session: &str) -> String {
        self.hash(&format!("csrf/{session}"))
    }

    /// Whether `token` belongs to the session in `headers`.
    #[must_use]
    pub fn admits(&self, headers: &HeaderMap, token: &str) -> bool {
        // Hashes compare in constant time.
        session_of(headers).is_some_and(|session| {
            let expected = blake3::keyed_hash(&self.secret, format!("csrf/{session}").as_bytes());
            blake3::Hash::from_hex(token).is_ok_and(|token| token == expected)
        })
    }

    /// Keys for the forms of one rendering of a page.
    #[must_use]
    pub fn form_keys(&self, session: &str) -> FormKeys {
        FormKeys { csrf: self.token(session), key: self.unguessable("form") }
    }

    fn unguessable(&self, purpose: &str) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        self.hash(&format!("{purpose}/{}/{count}", runtime::now_ns()))
    }

    fn hash(&self, text: &str) -> String {
        blake3::keyed_hash(&self.secret, text.as_bytes()).to_hex().to_string()
    }
}

/// The session that the cookie names.
pub fn session_of(headers: &HeaderMap) -> Option<String> {
    cookie(headers, COOKIE)
        .filter(|value| value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The value of a cookie.
#[must_use]
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "))
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
}
