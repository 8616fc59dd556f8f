//! The page on which visitors agree before they get their cookie, as in Europe, and its form.
//!
//! Who agrees is the user of this program: nothing here is done unless the configuration says so. What is sent is what
//! yfinance sends.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::VendorError;
use crate::http::{Http, HttpConfig};

/// Pages in a row that send the visitor on.
const STEPS_MAX: usize = 8;

/// Cookies by name.
type Jar = BTreeMap<String, String>;

/// Where Yahoo asks for consent, and where the answer goes.
#[derive(Clone, Debug)]
pub struct ConsentPages {
    /// The page, and that on which what was agreed to is written down.
    pub page: HttpConfig,
    /// Where the form is sent.
    pub collect: HttpConfig,
}

/// Agrees.
#[derive(Debug)]
pub(super) struct Consent {
    page: Http,
    collect: Http,
}

impl Consent {
    pub(super) fn new(pages: ConsentPages, clock: Arc<dyn Clock>) -> Result<Self, VendorError> {
        let page = Http::new(super::NAME, pages.page, Arc::clone(&clock))?;
        Ok(Self { page, collect: Http::new(super::NAME, pages.collect, clock)? })
    }

    /// Agrees to what is asked. Gives the cookies of who has.
    pub(super) async fn give(&self) -> Result<String, VendorError> {
        let mut jar = Jar::new();
        let page = self.follow(&mut jar, "/consent").await?;
        let html = String::from_utf8_lossy(&page);
        let (token, session) = (self.field(&html, "csrfToken")?, self.field(&html, "sessionId")?);
        let form = [
            ("agree", "agree"),
            ("agree", "agree"),
            ("consentUUID", "default"),
            ("sessionId", session.as_str()),
            ("csrfToken", token.as_str()),
            ("originalDoneUrl", "https://finance.yahoo.com/"),
            ("namespace", "yahoo"),
        ];
        let path = format!("/v2/collectConsent?sessionId={session}");
        let sent = self.collect.visit(&brought(&jar), &path, &form).await?;
        keep(&mut jar, &sent.cookies);
        self.follow(&mut jar, &format!("/copyConsent?sessionId={session}")).await?;
        Ok(brought(&jar))
    }

    /// Visits a page, and those that it sends the visitor to at the two addresses that are known.
    async fn follow(&self, jar: &mut Jar, path: &str) -> Result<Vec<u8>, VendorError> {
        let (mut at, mut path) = (&self.page, path.to_owned());
        for _ in 0..STEPS_MAX {
            let visited = at.visit(&brought(jar), &path, &[]).await?;
            keep(jar, &visited.cookies);
            match visited.location.and_then(|location| self.place(at, location)) {
                Some(next) => (at, path) = next,
                None => return Ok(visited.body),
            }
        }
        Err(self.page.broken(format!("the page that asks for consent: sends on more than {STEPS_MAX} times")))
    }

    fn place<'a>(&'a self, at: &'a Http, location: String) -> Option<(&'a Http, String)> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some((at, location));
        }
        [&self.page, &self.collect].into_iter().find_map(|http| Some((http, http.path_of(&location)?)))
    }

    /// The value of a field that the form brings along.
    fn field(&self, html: &str, name: &str) -> Result<String, VendorError> {
        let plain = |text: &&str| {
            let mut letters = text.chars();
            !text.is_empty() && letters.all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
        };
        let value = value_of(html, name).filter(plain).map(str::to_owned);
        value.ok_or_else(|| {
            let expected = "expected letters, digits, `_`, `-` and `.`";
            self.page.broken(format!(
                "the page that asks for consent: field `{name}` missing or wrong, {expected}"
            ))
        })
    }
}

/// The value of the input field `name`.
fn value_of<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let inputs = html.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
    inputs.filter(|input| attribute(input, "name") == Some(name)).find_map(|input| attribute(input, "value"))
}

/// A quoted attribute of an element.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    ['"', '\''].into_iter().find_map(|quote| {
        let rest = element.split_once(&format!(" {name}={quote}"))?.1;
        Some(rest.split_once(quote)?.0)
    })
}

fn keep(jar: &mut Jar, cookies: &[String]) {
    let pairs = cookies.iter().filter_map(|cookie| cookie.split_once('='));
    jar.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// The cookies as they are sent back.
fn brought(jar: &Jar) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_form_is_found_however_it_is_written() {
        let html = "<form><input type=\"hidden\" name=\"csrfToken\" value=\"a1\"/>\
                    <input value='b_2' name='sessionId' type='hidden'><input name=\"empty\"></form>";
        let found = ["csrfToken", "sessionId", "empty", "none"].map(|name| value_of(html, name));
        assert_eq!(found, [Some("a1"), Some("b_2"), None, None]);
    }
}
