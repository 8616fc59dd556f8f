//! Output: data on stdout, messages on stderr; a broken pipe is silent.

use std::io::{IsTerminal, Write as _};

use crate::cli::{Color, Global};
use crate::exit::Failure;

/// Writes to stderr. Where nobody reads it any more, the work goes on without a word.
pub fn message(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _nobody_reads = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Whether escape codes may go to a stream: it is a terminal, and NO_COLOR does not say otherwise.
#[expect(clippy::disallowed_methods, reason = "the binary is where the environment is read")]
fn takes_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether log lines on stderr have colours. `--color always` is about the output: log lines often go to a file, which
/// never gets any.
pub fn colors_log(global: &Global) -> bool {
    global.color != Color::Never && takes_color(&std::io::stderr())
}

/// How this run prints.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON on stdout.
    pub json: bool,
    /// Escape codes are welcome.
    pub color: bool,
    /// Progress lines are welcome.
    pub progress: bool,
}

impl Output {
    /// Follows the options, NO_COLOR and whether stdout is a terminal.
    pub fn new(global: &Global) -> Self {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => takes_color(&std::io::stdout()),
        };
        Self { json: global.json, color: color && !global.json, progress: !global.no_progress }
    }

    /// One line of data. When nobody reads any more, the program ends quietly with success.
    pub fn line(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        if writeln!(stdout, "{text}").and_then(|()| stdout.flush()).is_err() {
            std::process::exit(0);
        }
    }

    /// One JSON document.
    pub fn document(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Failure::other(error.to_string()))?;
        self.line(&text);
        Ok(())
    }

    /// One JSON object on one line of a stream.
    pub fn record(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::other(error.to_string()))?;
        self.line(&text);
        Ok(())
    }

    /// A message for the person, on stderr.
    pub fn note(&self, text: &str) {
        message(&format!("{text}\n"));
    }

    /// A message about progress, on stderr, unless unwanted.
    pub fn progress(&self, text: &str) {
        if self.progress {
            self.note(text);
        }
    }

    /// A table with aligned columns; the last column is not padded.
    pub fn table(&self, header: &[&str], rows: &[Vec<String>]) {
        let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for (cell, width) in cells.zip(&widths) {
                text.push_str(cell);
                let missing = (width + 2).saturating_sub(cell.chars().count());
                text.extend(std::iter::repeat_n(' ', missing));
            }
            text.trim_end().to_owned()
        };
        let head = line(&mut header.iter().copied());
        self.line(&self.paint("1", &head));
        for row in rows {
            self.line(&line(&mut row.iter().map(String::as_str)));
        }
    }

    /// `text` in the given SGR style, where colour is welcome.
    pub fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
