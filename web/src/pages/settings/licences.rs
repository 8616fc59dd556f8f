//! Whose work this program carries, as the build of the assets wrote it down.

use crate::assets;

/// The notice that the chart library asks to be shown.
pub const NOTICE: &str = include_str!("../../../NOTICE");

/// One package.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct Licence {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Licence, as an SPDX expression where its author gave one.
    pub licence: String,
    /// Where it comes from.
    pub registry: String,
}

/// Every package, by name.
#[must_use]
pub fn all() -> Vec<Licence> {
    assets::embedded("licences.json").and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}
