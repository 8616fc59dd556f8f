//! Charts as SVG: drawn once, in the colours of the page around them, without script.
//!
//! Colours are classes (`line-1`, `line-2`, `bar`, `grid`), so that one drawing serves both colour schemes; lines
//! differ in their dashes too. Each drawing is an image with a title and a description for those who do not see
//! it; the numbers stand in a table beside it. No style attributes, so that a strict policy for content allows it.

use std::fmt::Write;

mod scale;

use scale::{Scale, thinned};

/// Size of a drawing in its own units.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Its name.
    pub name: &'a str,
    /// Values at equal distances; a gap where there is none.
    pub values: &'a [Option<f64>],
}

/// A chart of lines over time.
#[derive(Clone, Debug)]
pub struct LineChart<'a> {
    /// Id of the element, one of its kind on a page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// What can be seen in it, in words.
    pub description: &'a str,
    /// Labels at the start, the middle and the end of the time axis.
    pub labels: [String; 3],
    /// The lines, the important one first.
    pub lines: Vec<Line<'a>>,
    /// Whether the area between the first line and zero is filled.
    pub filled: bool,
    /// How a value reads at the axis.
    pub axis: fn(f64) -> String,
}

/// Text that is safe inside an element or an attribute.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn open(id: &str, title: &str, description: &str) -> String {
    let (id, title, description) = (escaped(id), escaped(title), escaped(description));
    format!(
        "<svg class=\"chart\" id=\"{id}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-description\"><title id=\"{id}-title\">{title}</title>\
         <desc id=\"{id}-description\">{description}</desc>"
    )
}

/// Lines over time. A chart without a single value is empty but for its title.
#[must_use]
pub fn lines(chart: &LineChart<'_>) -> String {
    let mut svg = open(chart.id, chart.title, chart.description);
    let values = chart.lines.iter().flat_map(|line| line.values).flatten().copied();
    let zero = chart.filled.then_some(0.0);
    if let Some(scale) = Scale::over(values.chain(zero), (HEIGHT - BOTTOM, TOP)) {
        grid(&mut svg, &scale, chart.axis);
        time_axis(&mut svg, &chart.labels);
        if let (true, Some(first)) = (chart.filled, chart.lines.first()) {
            let base = scale.at(0.0);
            let path = path(first.values, &scale, Some(base));
            _ = write!(svg, "<path class=\"area\" d=\"{path}\"/>");
        }
        // The important line is drawn last, above the others.
        for (number, line) in chart.lines.iter().enumerate().rev() {
            let (class, path) = (number + 1, path(line.values, &scale, None));
            let name = escaped(line.name);
            _ = write!(svg, "<path class=\"line line-{class}\" d=\"{path}\"><title>{name}</title></path>");
        }
    }
    svg.push_str("</svg>");
    svg
}

/// A curve through `values`, closed towards `base` when it is to be filled.
fn path(values: &[Option<f64>], scale: &Scale, base: Option<f64>) -> String {
    let last = values.len().saturating_sub(1).max(1) as f64;
    let x = |place: usize| LEFT + (WIDTH - LEFT - RIGHT) * place as f64 / last;
    let mut path = String::new();
    let mut piece: Option<(f64, f64)> = None;
    let close = |path: &mut String, piece: Option<(f64, f64)>| {
        if let (Some((from, to)), Some(base)) = (piece, base) {
            _ = write!(path, "L{to:.1} {base:.1}L{from:.1} {base:.1}Z");
        }
    };
    for (place, value) in thinned(values) {
        let Some(value) = value else {
            close(&mut path, piece.take());
            continue;
        };
        let (x, y) = (x(place), scale.at(value));
        let step = if piece.is_some() { 'L' } else { 'M' };
        _ = write!(path, "{step}{x:.1} {y:.1}");
        piece = Some((piece.map_or(x, |(from, _)| from), x));
    }
    close(&mut path, piece);
    path
}

fn grid(svg: &mut String, scale: &Scale, axis: fn(f64) -> String) {
    for tick in scale.ticks() {
        let (y, right, label) = (scale.at(tick), WIDTH - RIGHT, escaped(&axis(tick)));
        let (text, baseline) = (LEFT - 6.0, y + 4.0);
        _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{text}\" y=\"{baseline:.1}\" text-anchor=\"end\">{label}</text>"
        );
    }
}

fn time_axis(svg: &mut String, labels: &[String; 3]) {
    let places = [(LEFT, "start"), ((LEFT + WIDTH - RIGHT) / 2.0, "middle"), (WIDTH - RIGHT, "end")];
    for (label, (x, anchor)) in labels.iter().zip(places) {
        let (y, label) = (HEIGHT - 8.0, escaped(label));
        _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{label}</text>");
    }
}

/// Bars of counts over bins of equal width.
#[derive(Clone, Debug)]
pub struct BarChart<'a> {
    /// Id of the element.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// What can be seen in it, in words.
    pub description: &'a str,
    /// Lower edge of the first bin.
    pub lowest: f64,
    /// Width of a bin.
    pub width: f64,
    /// Height per bin.
    pub counts: &'a [usize],
    /// How an edge reads.
    pub axis: fn(f64) -> String,
}

/// A histogram; bins below zero, around it and above it have classes of their own.
#[must_use]
pub fn bars(chart: &BarChart<'_>) -> String {
    let mut svg = open(chart.id, chart.title, chart.description);
    let counts = chart.counts.iter().map(|count| *count as f64);
    let Some(scale) = Scale::over(counts.chain(Some(0.0)), (HEIGHT - BOTTOM, TOP)) else {
        return svg + "</svg>";
    };
    grid(&mut svg, &scale, |count| crate::format::number(count, 0));
    let step = (WIDTH - LEFT - RIGHT) / chart.counts.len() as f64;
    for (bin, count) in chart.counts.iter().enumerate() {
        let from = chart.lowest + chart.width * bin as f64;
        let to = from + chart.width;
        let (x, y, base) = (LEFT + step * bin as f64, scale.at(*count as f64), scale.at(0.0));
        let class = match (from >= 0.0, to <= 0.0) {
            (true, false) => "bar bar-gain",
            (false, true) => "bar bar-loss",
            _ => "bar bar-zero",
        };
        let label = escaped(&format!("{} to {}: {count}", (chart.axis)(from), (chart.axis)(to)));
        let (wide, high) = ((step - 1.0).max(0.5), base - y);
        _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\">\
             <title>{label}</title></rect>"
        );
    }
    let edge = |share: f64| (chart.axis)(chart.lowest + chart.width * chart.counts.len() as f64 * share);
    time_axis(&mut svg, &[edge(0.0), edge(0.5), edge(1.0)]);
    svg.push_str("</svg>");
    svg
}

/// A small line without axes, for a row of a table; `label` says what it is.
#[must_use]
pub fn sparkline(values: &[Option<f64>], label: &str) -> String {
    let label = escaped(label);
    let mut svg =
        format!("<svg class=\"sparkline\" viewBox=\"0 0 120 28\" role=\"img\" aria-label=\"{label}\">");
    if let Some(scale) = Scale::over(values.iter().flatten().copied(), (26.0, 2.0)) {
        let last = values.len().saturating_sub(1).max(1) as f64;
        let points: Vec<String> = thinned(values)
            .into_iter()
            .filter_map(|(place, value)| {
                Some(format!("{:.1},{:.1}", 2.0 + 116.0 * place as f64 / last, scale.at(value?)))
            })
            .collect();
        _ = write!(svg, "<polyline class=\"line line-1\" points=\"{}\"/>", points.join(" "));
    }
    svg.push_str("</svg>");
    svg
}
