//! What a browser does besides: it takes the cookies of a page and brings them along.
//!
//! Deliberately absent: a jar. Who asks keeps the cookies, says where they go, and no other request has them.

use reqwest::StatusCode;
use reqwest::header::{COOKIE, HeaderValue, SET_COOKIE};

use super::Http;
use crate::error::VendorError;

impl Http {
    /// The cookies that the page at `path` sets, as they are sent back; also of a page that is not found, which is
    /// how some hand them out. Empty where it sets none.
    pub(crate) async fn cookies(&self, path: &str) -> Result<String, VendorError> {
        let url = format!("{}{path}", self.config.base_url);
        let taken = |status: StatusCode| status == StatusCode::OK || status == StatusCode::NOT_FOUND;
        let (headers, _) = self.repeated(path, || self.client.get(&url), taken).await?;
        let set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = set.filter_map(|cookie| cookie.split(';').next()).map(str::trim);
        Ok(pairs.filter(|pair| pair.contains('=')).collect::<Vec<_>>().join("; "))
    }

    /// As [`Http::get`], with cookies.
    pub(crate) async fn get_with(
        &self,
        cookies: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<u8>, VendorError> {
        let url = format!("{}{path}", self.config.base_url);
        let mut value = HeaderValue::from_str(cookies)
            .map_err(|_| self.broken("cookies: characters that cannot be sent back".into()))?;
        value.set_sensitive(true);
        let request = || self.client.get(&url).query(query).header(COOKIE, value.clone());
        let (_, body) = self.repeated(path, request, |status| status == StatusCode::OK).await?;
        Ok(body)
    }
}
