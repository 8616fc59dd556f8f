//! Indicators of a chart: what the address may ask for, and how their figures are called.
//!
//! Deliberately absent: those over two series, and those that count from the first bar of a series (the volume
//! lines, the parabolic stop): a part of a chart does not know it. `tapedeck indicator` has them all.

use domain::indicator::catalogue::{self, Entry, Request};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::PageError;

/// Most indicators of one chart.
const INDICATORS_MAX: usize = 4;
/// Most bars before a part that an indicator may have to see.
const MEMORY_MAX: usize = 20_000;

/// One line of a chart.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Figure {
    /// Indicator and figure, such as `bbands:length=20 upper`.
    pub label: String,
    /// Number of its indicator; figures of one belong together.
    pub indicator: usize,
    /// Whether it is a price, to be drawn over the bars.
    pub on_price: bool,
}

/// What the field looks like.
pub const EXPECTED: &str = "up to 4 indicators separated by semicolons, such as rsi:length=14;bbands";

/// Reads `rsi:length=14;bbands`.
pub fn read(text: &str) -> Result<Vec<Request>, PageError> {
    let refused = |expected: String| PageError::field("indicators", text, expected);
    let parts: Vec<&str> = text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > INDICATORS_MAX {
        return Err(refused(EXPECTED.to_owned()));
    }
    let one = |part: &str| {
        let request: Request =
            part.parse().map_err(|error: catalogue::BuildError| refused(error.to_string()))?;
        let study = request.build().map_err(|error| refused(error.to_string()))?;
        let fits = study.settled().is_some_and(|bars| bars <= MEMORY_MAX);
        if catalogue::find(&request.name).is_ok_and(|entry| entry.against) || !fits {
            let limit =
                format!("an indicator over one series that {MEMORY_MAX} bars determine, unlike {request}");
            return Err(refused(limit));
        }
        Ok(request)
    };
    parts.into_iter().map(one).collect()
}

/// The lines that they make, in the order of a bar's figures.
#[must_use]
pub fn figures(requests: &[Request]) -> Vec<Figure> {
    let mut all = Vec::new();
    for (indicator, request) in requests.iter().enumerate() {
        let Ok(entry) = catalogue::find(&request.name) else { continue };
        for output in entry.outputs {
            let label =
                if entry.outputs.len() == 1 { request.to_string() } else { format!("{request} {output}") };
            all.push(Figure { label, indicator, on_price: entry.on_price });
        }
    }
    all
}

/// Those that a chart can show: name and title.
#[must_use]
pub fn offered() -> Vec<(&'static str, &'static str)> {
    let charted = |entry: &&Entry| !entry.against && read(entry.name).is_ok();
    catalogue::entries().iter().filter(charted).map(|entry| (entry.name, entry.title)).collect()
}

/// A figure as the table shows it.
#[must_use]
pub fn text(figure: f64) -> String {
    format!("{figure:.4}")
}
