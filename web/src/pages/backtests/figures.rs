//! Small figures as inline SVG: a histogram of returns, a line of a rolling metric. Colours are classes of the
//! site's style sheet; sizes are those of the view box.

use analytics::sheet::{Histogram, Rolling};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
const FOOT: f64 = 18.0;

/// How daily returns are spread.
pub(super) fn histogram(bins: &Histogram) -> String {
    let most = bins.counts.iter().copied().max().unwrap_or_default().max(1) as f64;
    let width = WIDTH / bins.counts.len().max(1) as f64;
    let mut bars = String::new();
    for (index, days) in bins.counts.iter().enumerate() {
        let (from, to) = edges(bins, index);
        let height = *days as f64 / most * (HEIGHT - FOOT);
        let tone = if to <= 0.0 {
            "fig-loss"
        } else if from >= 0.0 {
            "fig-gain"
        } else {
            "fig-flat"
        };
        bars.push_str(&format!(
            "<rect class=\"{tone}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{:.2} % to {:.2} %: {days} days</title></rect>",
            index as f64 * width + 0.5,
            HEIGHT - FOOT - height,
            (width - 1.0).max(0.5),
            from * 100.0,
            to * 100.0,
        ));
    }
    let (first, last) = (edges(bins, 0).0, edges(bins, bins.counts.len().saturating_sub(1)).1);
    let days: usize = bins.counts.iter().sum();
    let label =
        format!("Histogram of {days} daily returns from {:.2} % to {:.2} %", first * 100.0, last * 100.0);
    framed(
        &label,
        &format!("{bars}{}", ends(&format!("{:.2} %", first * 100.0), &format!("{:.2} %", last * 100.0))),
    )
}

/// The edges of a bin.
pub(super) fn edges(bins: &Histogram, index: usize) -> (f64, f64) {
    let from = bins.lowest + bins.width * index as f64;
    (from, from + bins.width)
}

/// The Sharpe ratio of a moving window.
pub(super) fn rolling(rolling: &Rolling) -> Option<String> {
    let values: Vec<f64> =
        rolling.sharpe.iter().copied().flatten().filter(|value| value.is_finite()).collect();
    let (first, last) = (rolling.dates.first()?, rolling.dates.last()?);
    let low = values.iter().copied().fold(0.0, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    if high <= low {
        return None;
    }
    let plot = HEIGHT - FOOT;
    let y = |value: f64| (high - value) / (high - low) * plot;
    let step = WIDTH / (rolling.sharpe.len().saturating_sub(1)).max(1) as f64;
    let mut path = String::new();
    let mut pen = 'M';
    for (index, value) in rolling.sharpe.iter().enumerate() {
        match value.filter(|value| value.is_finite()) {
            Some(value) => {
                path.push_str(&format!("{pen}{:.1} {:.1}", index as f64 * step, y(value)));
                pen = 'L';
            }
            None => pen = 'M',
        }
    }
    let zero = y(0.0);
    let body = format!(
        "<line class=\"fig-axis\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{zero:.1}\" y2=\"{zero:.1}\"/><path class=\"fig-line\" d=\"{path}\"/>{}",
        ends(&format!("{first}"), &format!("{last}"))
    );
    let label = format!(
        "Sharpe ratio over {} days from {first} to {last}, between {low:.2} and {high:.2}",
        rolling.window
    );
    Some(framed(&label, &body))
}

fn ends(first: &str, last: &str) -> String {
    format!(
        "<text class=\"fig-text\" x=\"0\" y=\"{0}\">{first}</text><text class=\"fig-text\" x=\"{WIDTH}\" y=\"{0}\" text-anchor=\"end\">{last}</text>",
        HEIGHT - 4.0
    )
}

fn framed(label: &str, body: &str) -> String {
    format!(
        "<svg class=\"figure\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">{body}</svg>"
    )
}
