//! Built assets, inside the binary. Their names carry their content's hash, so they never go stale.

use std::collections::HashMap;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/dist"]
struct Dist;

/// Plain names to hashed ones.
#[derive(Clone, Debug)]
pub struct Assets(HashMap<String, String>);

impl Assets {
    /// Reads the manifest that the build script checked.
    pub fn load() -> Result<Self, serde_json::Error> {
        let manifest = Dist::get("manifest.json").map(|file| file.data).unwrap_or_default();
        serde_json::from_slice(&manifest).map(Self)
    }

    /// Path of an asset by its plain name, for example `app.css`.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        format!("/assets/{}", self.0.get(name).map_or(name, String::as_str))
    }
}

/// The content of an asset by its plain name, for what pages show of it.
#[must_use]
pub fn embedded(name: &str) -> Option<Vec<u8>> {
    let assets = Assets::load().ok()?;
    let file = Dist::get(assets.0.get(name)?)?;
    Some(file.data.into_owned())
}

/// Serves one asset.
pub async fn serve(Path(name): Path<String>) -> Response {
    if name == "manifest.json" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Some(file) = Dist::get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mime = mime_guess::from_path(&name).first_or_octet_stream();
    let headers = [
        (header::CONTENT_TYPE, content_type(mime.essence_str())),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
    ];
    (headers, file.data.into_owned()).into_response()
}

fn content_type(mime: &str) -> String {
    if mime.starts_with("text/") || mime.ends_with("javascript") {
        format!("{mime}; charset=utf-8")
    } else {
        mime.to_owned()
    }
}
