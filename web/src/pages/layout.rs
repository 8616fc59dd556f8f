//! What surrounds every page: header, navigation, footer.

use axum::http::HeaderMap;

use super::{Page, Panel};
use crate::access::Role;
use crate::app::App;
use crate::config::Mode;
use crate::session::{FormKeys, cookie};

/// Market time in the header of every page.
pub static CLOCK: Panel =
    Panel::pushed("clock", &["bars", "trading"], |scope| Box::pin(super::overview::clock(scope)))
        .every_ms(250);

/// A link of the navigation.
#[derive(Clone, Debug)]
pub struct Link {
    /// Title.
    pub title: &'static str,
    /// Address.
    pub url: String,
    /// Whether it is the page shown.
    pub current: bool,
    /// Goes there after `g`.
    pub key: char,
}

/// The frame of a page.
#[derive(Debug)]
pub struct Layout<'a> {
    app: &'a App,
    /// Live version that the page holds.
    pub version: u64,
    /// `light`, `dark` or `system`.
    pub theme: &'static str,
    /// Name of the tape.
    pub tape: &'a str,
    /// Mode badge.
    pub mode: &'static str,
    /// The mode in words.
    pub mode_meaning: &'static str,
    /// Market clock, rendered.
    pub clock: String,
    /// Live topics, comma-separated.
    pub topics: String,
    /// `connecting`, or `past` on a page that shows a state of long ago and stays as it is.
    pub live: &'static str,
    /// Navigation.
    pub pages: Vec<Link>,
    /// Program version.
    pub program: &'a str,
    /// Who is signed in.
    pub user: String,
    /// Whether the visitor may look and change nothing. Panels of the live stream are the same for everybody, so the
    /// style sheet hides what a viewer cannot send.
    pub viewer: bool,
    /// Keys of the page's forms.
    pub keys: FormKeys,
}

impl<'a> Layout<'a> {
    /// The frame of `page` for a visitor, under the badge of `mode`.
    #[must_use]
    pub fn new(
        app: &'a App,
        page: &Page,
        mode: Mode,
        version: u64,
        headers: &HeaderMap,
        keys: FormKeys,
    ) -> Self {
        let pages = Page::ALL.iter().map(|other| Link {
            title: other.title,
            url: other.url.to_string(),
            current: other.title == page.title,
            key: other.key,
        });
        let actor = app.actor(headers).ok();
        Self {
            app,
            version,
            theme: theme(headers),
            tape: &app.config.tape,
            mode: mode.name(),
            mode_meaning: mode.meaning(),
            clock: String::new(),
            topics: String::new(),
            live: "connecting",
            pages: pages.collect(),
            program: &app.config.version,
            viewer: actor.as_ref().is_some_and(|actor| actor.role < Role::Operator),
            user: actor.map(|actor| format!("{} ({})", actor.name, actor.role)).unwrap_or_default(),
            keys,
        }
    }

    /// Makes it the frame of a page of the past: nothing in it is live.
    pub fn set_past(&mut self) {
        self.live = "past";
        self.topics.clear();
    }

    /// Path of an asset.
    #[must_use]
    pub fn asset(&self, name: &str) -> String {
        self.app.assets.path(name)
    }
}

/// The theme that the visitor chose.
pub fn theme(headers: &HeaderMap) -> &'static str {
    match cookie(headers, "theme").as_deref() {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "system",
    }
}
