//! Yahoo's cookie and the crumb that goes with it, which everything but charts asks for.
//!
//! A page without content hands out the cookie, another address the crumb as plain text. Both are kept until an
//! answer says that they no longer count, then asked for once more. Where Yahoo asks for consent first, that is given only
//! if the configuration says so; else what it means is said.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::consent::{Consent, ConsentPages};
use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use crate::http::{Http, HttpConfig};

/// The longest crumb that is believed to be one.
const CRUMB_MAX: usize = 64;

/// Cookie and crumb.
#[derive(Clone, Debug)]
struct Session {
    cookies: String,
    crumb: String,
}

/// A client that brings cookie and crumb along.
#[derive(Debug)]
pub(super) struct Crumbs {
    pub(super) http: Http,
    /// Where the cookie is.
    front: Http,
    /// How consent is given, where it is.
    consent: Option<Consent>,
    session: Mutex<Option<Session>>,
}

impl Crumbs {
    /// A client; `front` is where the cookie is handed out, `consent` where it is agreed to that there is one.
    pub(super) fn new(
        config: HttpConfig,
        front: HttpConfig,
        consent: Option<ConsentPages>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VendorError> {
        Ok(Self {
            consent: consent.map(|pages| Consent::new(pages, Arc::clone(&clock))).transpose()?,
            http: Http::new(super::NAME, config, Arc::clone(&clock))?,
            front: Http::new(super::NAME, front, clock)?,
            session: Mutex::default(),
        })
    }

    /// The answer to a GET with cookie and crumb.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, VendorError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref() {
            match self.ask(session, path, query).await {
                Err(VendorError::Refused { status: 401, .. }) => *held = None,
                answer => return answer,
            }
        }
        let session = held.insert(self.begin().await?);
        self.ask(session, path, query).await
    }

    async fn ask(
        &self,
        session: &Session,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<u8>, VendorError> {
        let mut query = query.to_vec();
        query.push(("crumb", &session.crumb));
        self.http.get_with(&session.cookies, path, &query).await
    }

    async fn begin(&self) -> Result<Session, VendorError> {
        let why = match self.front.cookies("/").await {
            Err(VendorError::Refused { status: status @ 300..=399, .. }) => consent_wanted(status),
            Err(error) => return Err(error),
            Ok(cookies) if cookies.is_empty() => self.front.broken("no cookie is handed out".into()),
            Ok(cookies) => match self.crumb(&cookies).await? {
                Ok(crumb) => return Ok(Session { cookies, crumb }),
                Err(told) => no_crumb(&told),
            },
        };
        // Whichever of these it was, it is what visitors meet who have not agreed yet.
        let Some(consent) = &self.consent else { return Err(why) };
        let cookies = consent.give().await?;
        let crumb = self.crumb(&cookies).await?.map_err(|told| no_crumb(&told))?;
        Ok(Session { cookies, crumb })
    }

    /// The crumb that goes with `cookies`, or what is told in its place.
    async fn crumb(&self, cookies: &str) -> Result<Result<String, String>, VendorError> {
        let body = self.http.get_with(cookies, "/v1/test/getcrumb", &[]).await?;
        let text = String::from_utf8_lossy(&body);
        let crumb = text.trim();
        let good = (1..=CRUMB_MAX).contains(&crumb.len())
            && !crumb.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<');
        Ok(if good { Ok(crumb.to_owned()) } else { Err(crumb.to_owned()) })
    }
}

fn no_crumb(told: &str) -> VendorError {
    let told: String = told.chars().filter(|c| !c.is_control()).take(80).collect();
    VendorError::Transient {
        vendor: super::NAME,
        what: format!("no crumb is handed out, but {told:?}"),
        attempts: 1,
    }
}

/// What a redirection of the page that hands out the cookie means.
fn consent_wanted(status: u16) -> VendorError {
    VendorError::Refused {
        vendor: super::NAME,
        status,
        kind: Refusal::Request,
        message:
            "asks for consent in a browser first, as in Europe; source.yahoo.accept_consent = true agrees \
                  to it in your name, or source.yahoo.cookie_url names another page that hands out its cookie"
                .to_owned(),
    }
}
