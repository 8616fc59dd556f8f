//! `tapedeck indicator`: an indicator by hand, over files or the tape.

mod list;
mod series;

use std::collections::BTreeSet;

use domain::indicator::catalogue::{self, Recorded};
use serde::ser::SerializeMap as _;

use crate::cli::{Global, Indicator};
use crate::command::import::hours;
use crate::command::market::{known_before, span};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;
use series::{Chosen, Source};

const HINT: &str = "tapedeck indicator --list";

/// One bar's figures.
struct Row<'names> {
    close_ns: i64,
    names: &'names [&'static str],
    figures: Vec<Option<f64>>,
}

impl serde::Serialize for Row<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.figures.len()))?;
        map.serialize_entry("time", &time(self.close_ns))?;
        for (name, figure) in self.names.iter().zip(&self.figures) {
            map.serialize_entry(name, figure)?;
        }
        map.end()
    }
}

/// Lists the catalogue, or reads files; nothing of it needs a tape.
pub async fn offline(global: &Global, options: &Indicator, output: Output) -> Result<(), Failure> {
    if options.list {
        return list::print(output);
    }
    // A broken configuration is an error of every command over files.
    global.configuration()?;
    run(&Source::Files, options, output).await
}

/// Refuses what is said of files where none are named, before a tape is opened.
pub fn check(options: &Indicator) -> Result<(), Failure> {
    let Some((option, value)) = options.format.of_files() else { return Ok(()) };
    let message = format!("{option} {value}: expected none without --bars");
    Err(Failure::usage(message, "tapedeck indicator --help"))
}

/// Reads the bars of a symbol from the tape's read model.
pub async fn on_tape(session: &Session, options: &Indicator, output: Output) -> Result<(), Failure> {
    run(&Source::tape(session).await?, options, output).await
}

async fn run(source: &Source, options: &Indicator, output: Output) -> Result<(), Failure> {
    let Some(request) = &options.request else { return Err(Failure::usage("no indicator is named", HINT)) };
    let refused = |error: catalogue::BuildError| Failure::usage(error.to_string(), HINT);
    let entry = catalogue::find(&request.name).map_err(refused)?;
    let mut study = request.build().map_err(refused)?;
    let hint = "tapedeck indicator rsi --symbol AAPL --from 2020-01-02 --to 2020-01-31";
    let span = span(options.from.as_deref(), options.to.as_deref(), hint)?;
    let hint = "tapedeck indicator rsi --symbol AAPL --as-of 2020-01-31";
    let known_before_ns =
        known_before(options.as_of.as_deref(), (options.from.as_deref(), span.start), hint)?;
    let calendar = hours(options.calendar.as_deref(), "tapedeck indicator --help")?.calendar();
    let own = source.own(options, known_before_ns).await?;
    let other = against(source, options, entry, known_before_ns).await?;
    // Both series may come from the same files.
    let notes: BTreeSet<&str> = std::iter::once(&own).chain(&other).filter_map(Chosen::left_out).collect();
    notes.into_iter().for_each(|note| output.note(note));
    for chosen in std::iter::once(&own).chain(&other) {
        if let Some(warning) = chosen.unstated_split(calendar, (span.start, span.end), study.settled()) {
            output.note(&warning.text);
        }
    }
    let names = study.outputs();
    let mut rows = Vec::new();
    catalogue::walk(
        study.as_mut(),
        own.recorded(),
        other.as_ref().map_or_else(Recorded::default, Chosen::recorded),
        calendar,
        |bar, figures| {
            if span.contains(&bar.close_ns) {
                rows.push(Row { close_ns: bar.close_ns, names, figures: figures.to_vec() });
            }
        },
    )
    .map_err(|error| Failure::other(format!("a split cannot be applied: {error}")))?;
    print(&rows, names, options.csv, output)
}

/// The second series, when the indicator wants one; one that it does not want is an error.
async fn against(
    source: &Source,
    options: &Indicator,
    entry: &catalogue::Entry,
    known_before_ns: Option<i64>,
) -> Result<Option<Chosen>, Failure> {
    match (&options.against, entry.against) {
        (None, false) => Ok(None),
        (Some(wanted), true) => source.other(wanted, options, known_before_ns).await.map(Some),
        (None, true) => Err(Failure::usage(
            format!("--against is missing: expected a symbol or a file, {} is over two series", entry.name),
            format!("tapedeck indicator {} --symbol AAPL --against SPY", entry.name),
        )),
        (Some(wanted), false) => Err(Failure::usage(
            format!("--against {wanted:?}: expected nothing, {} is over one series", entry.name),
            HINT,
        )),
    }
}

fn print(rows: &[Row<'_>], names: &[&str], csv: bool, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&rows);
    }
    if csv {
        let mut text = format!("time,{}", names.join(","));
        for row in rows {
            text.push('\n');
            text.push_str(&time(row.close_ns));
            for figure in &row.figures {
                text.push(',');
                text.extend(figure.map(|figure| figure.to_string()));
            }
        }
        output.line(&text);
        return Ok(());
    }
    let mut head = vec!["CLOSE OF THE BAR".to_owned()];
    head.extend(names.iter().map(|name| name.to_uppercase()));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let cells = |row: &Row<'_>| {
        let figures = row.figures.iter();
        let figures =
            figures.map(|figure| figure.map_or_else(|| "–".to_owned(), |figure| figure.to_string()));
        std::iter::once(time(row.close_ns)).chain(figures).collect()
    };
    output.table(&head, &rows.iter().map(cells).collect::<Vec<_>>());
    Ok(())
}
