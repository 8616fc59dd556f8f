//! What a browser does besides: it takes the cookies of a page, brings them along, sends a form and goes where it is sent.
//!
//! Deliberately absent: a jar, and going anywhere by itself. Who asks keeps the cookies, says where they go, and no other
//! request has them.

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::{StatusCode, Url};

use super::Http;
use crate::error::VendorError;

/// A page as it was found.
pub(crate) struct Visited {
    /// The cookies that it sets, each as `name=value`.
    pub(crate) cookies: Vec<String>,
    /// What stands there.
    pub(crate) body: Vec<u8>,
    /// Where it sends the visitor.
    pub(crate) location: Option<String>,
}

impl Http {
    /// The cookies that the page at `path` sets, as they are sent back, whatever its status: one that is not found is
    /// how some hand them out. Empty where it sets none. A page that sends the visitor elsewhere is none.
    pub(crate) async fn cookies(&self, path: &str) -> Result<String, VendorError> {
        let url = format!("{}{path}", self.config.base_url);
        let taken = |status: StatusCode, headers: &HeaderMap| {
            let there = status == StatusCode::OK || status == StatusCode::NOT_FOUND;
            there || (!status.is_redirection() && !set_by(headers).is_empty())
        };
        let (headers, _) = self.repeated(path, || self.client.get(&url), taken).await?;
        Ok(set_by(&headers).join("; "))
    }

    /// As [`Http::get`], with cookies.
    pub(crate) async fn get_with(
        &self,
        cookies: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<u8>, VendorError> {
        let url = format!("{}{path}", self.config.base_url);
        let value = self.sent_back(cookies)?;
        let request = || self.client.get(&url).query(query).header(COOKIE, value.clone());
        let (_, body) = self.repeated(path, request, |status, _| status == StatusCode::OK).await?;
        Ok(body)
    }

    /// The page at `path` for who brings `cookies`, or what a form comes to that is sent there. A page that sends the
    /// visitor elsewhere is told as one; nobody goes there.
    pub(crate) async fn visit(
        &self,
        cookies: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Visited, VendorError> {
        let url = format!("{}{path}", self.config.base_url);
        let (value, form) = (self.sent_back(cookies)?, self.encoded(form)?);
        let request = || {
            let request = match &form {
                Some(form) => {
                    let kind = "application/x-www-form-urlencoded";
                    self.client.post(&url).header(CONTENT_TYPE, kind).body(form.clone())
                }
                None => self.client.get(&url),
            };
            if cookies.is_empty() { request } else { request.header(COOKIE, value.clone()) }
        };
        let taken = |status: StatusCode, _: &HeaderMap| status == StatusCode::OK || status.is_redirection();
        let (headers, body) = self.repeated(path, request, taken).await?;
        let location = headers.get(LOCATION).and_then(|place| place.to_str().ok()).map(str::to_owned);
        Ok(Visited { cookies: set_by(&headers), body, location })
    }

    /// What follows this client's address in `url`; `None` where it is another address.
    pub(crate) fn path_of(&self, url: &str) -> Option<String> {
        let rest = url.strip_prefix(&self.config.base_url)?;
        rest.starts_with('/').then(|| rest.to_owned())
    }

    fn sent_back(&self, cookies: &str) -> Result<HeaderValue, VendorError> {
        let mut value = HeaderValue::from_str(cookies)
            .map_err(|_| self.broken("cookies: characters that cannot be sent back".into()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Fields as a form sends them; `None` of none.
    fn encoded(&self, form: &[(&str, &str)]) -> Result<Option<String>, VendorError> {
        if form.is_empty() {
            return Ok(None);
        }
        let url = Url::parse_with_params(&self.config.base_url, form);
        let url = url.map_err(|error| self.broken(format!("the address of a form: {error}")))?;
        Ok(url.query().map(str::to_owned))
    }
}

/// The cookies that headers set.
fn set_by(headers: &HeaderMap) -> Vec<String> {
    let set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = set.filter_map(|cookie| cookie.split(';').next()).map(str::trim);
    pairs.filter(|pair| pair.contains('=')).map(str::to_owned).collect()
}
