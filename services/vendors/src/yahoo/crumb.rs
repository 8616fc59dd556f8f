//! Yahoo's cookie and the crumb that goes with it, which everything but charts asks for.
//!
//! A page without content hands out the cookie, another address the crumb as plain text. Both are kept until an
//! answer says that they no longer count, then asked for once more. Deliberately absent: the page that asks for
//! consent in some countries; what it means is said.

use std::sync::Arc;

use tokio::sync::Mutex;

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
    session: Mutex<Option<Session>>,
}

impl Crumbs {
    /// A client; `front` is where the cookie is handed out.
    pub(super) fn new(
        config: HttpConfig,
        front: HttpConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VendorError> {
        Ok(Self {
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
        let cookies = self.front.cookies("/").await.map_err(explained)?;
        if cookies.is_empty() {
            return Err(self.front.broken("no cookie is handed out".into()));
        }
        let body = self.http.get_with(&cookies, "/v1/test/getcrumb", &[]).await?;
        let text = String::from_utf8_lossy(&body);
        let crumb = text.trim();
        let good = (1..=CRUMB_MAX).contains(&crumb.len())
            && !crumb.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<');
        if !good {
            let told: String = crumb.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(VendorError::Transient {
                vendor: super::NAME,
                what: format!("no crumb is handed out, but {told:?}"),
                attempts: 1,
            });
        }
        Ok(Session { cookies, crumb: crumb.to_owned() })
    }
}

/// Says what a redirection of the page that hands out the cookie means.
fn explained(error: VendorError) -> VendorError {
    match error {
        VendorError::Refused { vendor, status: status @ 300..=399, .. } => VendorError::Refused {
            vendor,
            status,
            kind: Refusal::Request,
            message:
                "asks for consent in a browser first, as in Europe; source.yahoo.cookie_url may name another \
                      page that hands out its cookie"
                    .to_owned(),
        },
        other => other,
    }
}
