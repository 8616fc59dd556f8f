//! The catalogue as text, in Prometheus' exposition format 0.0.4.

use std::fmt::Write as _;

use super::catalogue::AnyFamily;
use super::{Description, metrics, process};

/// All metrics of this process as text. Serve it as `text/plain; version=0.0.4`.
#[must_use]
pub fn exposition() -> String {
    let mut text = String::with_capacity(16 * 1024);
    for family in metrics().families() {
        write_family(&mut text, family);
    }
    for reading in process::readings() {
        let kind = if reading.counter { "counter" } else { "gauge" };
        head(&mut text, reading.name, reading.help, kind);
        sample(&mut text, reading.name, "", &[], &[], None, reading.value);
    }
    text
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn write_family(text: &mut String, family: AnyFamily) {
    match family {
        AnyFamily::Counter(family) => {
            let Description { name, help, labels } = family.description;
            head(text, name, help, "counter");
            for (values, counter) in family.all() {
                let _ = write!(text, "{name}");
                write_labels(text, labels, &values, None);
                let _ = writeln!(text, " {}", counter.get());
            }
        }
        AnyFamily::Gauge(family) => {
            let Description { name, help, labels } = family.description;
            head(text, name, help, "gauge");
            for (values, gauge) in family.all() {
                sample(text, name, "", labels, &values, None, gauge.get());
            }
        }
        AnyFamily::Histogram(family) => {
            let Description { name, help, labels } = family.description;
            head(text, name, help, "histogram");
            for (values, histogram) in family.all() {
                let snapshot = histogram.snapshot();
                for (bound, count) in &snapshot.below {
                    let _ = write!(text, "{name}_bucket");
                    write_labels(text, labels, &values, Some(&bound.to_string()));
                    let _ = writeln!(text, " {count}");
                }
                let _ = write!(text, "{name}_bucket");
                write_labels(text, labels, &values, Some("+Inf"));
                let _ = writeln!(text, " {}", snapshot.count);
                sample(text, name, "_sum", labels, &values, None, snapshot.sum);
                let _ = write!(text, "{name}_count");
                write_labels(text, labels, &values, None);
                let _ = writeln!(text, " {}", snapshot.count);
            }
        }
    }
}

fn sample(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &[&str],
    values: &[String],
    bound: Option<&str>,
    value: f64,
) {
    let _ = write!(text, "{name}{suffix}");
    write_labels(text, labels, values, bound);
    let _ = writeln!(text, " {value}");
}

fn write_labels(text: &mut String, labels: &[&str], values: &[String], bound: Option<&str>) {
    let pairs = labels.iter().copied().zip(values.iter().map(String::as_str));
    let mut opened = false;
    for (label, value) in pairs.chain(bound.map(|bound| ("le", bound))) {
        let _ = write!(text, "{}{label}=\"", if opened { "," } else { "{" });
        opened = true;
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    if opened {
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use super::*;

    /// A sample line as a scraper reads it: name with labels, value.
    fn parse(line: &str) -> (String, f64) {
        let (series, value) = line.rsplit_once(' ').expect("a value after the last space");
        let name: String = series.chars().take_while(|c| *c != '{').collect();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
        (series.to_owned(), value.parse().expect("a number"))
    }

    #[test]
    fn the_text_is_what_a_scraper_reads() {
        let metrics = metrics();
        metrics.risk_denials.with(&["a \"rule\" with \\ and\nlines"]).increment();
        metrics.append_latency.with(&["TEXT"]).observe(Duration::from_millis(4));
        metrics.projection_lag.with(&["bars"]).set(1.5);
        let text = exposition();
        let mut samples = BTreeMap::new();
        let mut typed = BTreeSet::new();
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => {
                    assert!(typed.insert(rest.split(' ').next().unwrap().to_owned()), "twice: {line}");
                }
                None if line.starts_with('#') => assert!(line.starts_with("# HELP "), "{line}"),
                None => {
                    let (series, value) = parse(line);
                    let base: String = series.chars().take_while(|c| *c != '{').collect();
                    let known = ["", "_bucket", "_sum", "_count"]
                        .iter()
                        .any(|suffix| base.strip_suffix(suffix).is_some_and(|name| typed.contains(name)));
                    assert!(known, "no type before {line}");
                    assert!(samples.insert(series, value).is_none(), "twice: {line}");
                }
            }
        }
        let at = |series: &str| samples[series];
        assert!((at("tapedeck_projection_lag_seconds{projection=\"bars\"}") - 1.5).abs() < 1e-9);
        assert!(
            at("tapedeck_risk_denials_total{rule=\"a \\\"rule\\\" with \\\\ and\\nlines\"}") >= 1.0,
            "{text}"
        );
        let bucket =
            |bound: &str| at(&format!("tapedeck_append_seconds_bucket{{stream=\"TEXT\",le=\"{bound}\"}}"));
        assert!((bucket("0.003") - 0.0).abs() < 0.5 && (bucket("0.005") - 1.0).abs() < 0.5);
        assert!((bucket("+Inf") - 1.0).abs() < 0.5);
        assert!((at("tapedeck_append_seconds_sum{stream=\"TEXT\"}") - 0.004).abs() < 1e-9);
        assert!(at("process_resident_memory_bytes") > 1_000_000.0);
        assert!(at("process_start_time_seconds") > 1_600_000_000.0);
    }
}
