//! Output: data on stdout, messages on stderr; a broken pipe is silent.
//!
//! Much of what is printed was written by others: strategies, brokers, vendors. None of it speaks to the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write as _};

use crate::cli::{Color, Global};
use crate::exit::Failure;

/// Writes to stderr. Where nobody reads it any more, the work goes on without a word.
pub fn message(text: &str) {
    let text = harmless(text, false);
    let mut stderr = std::io::stderr().lock();
    let _nobody_reads = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// `text` on one line: every control character as JSON writes it.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| None)
}

/// `text` without control characters but line ends, tabs and, where they are welcome, the styles of [`Output::paint`].
fn harmless(text: &str, styles: bool) -> Cow<'_, str> {
    escaped(
        text,
        |rest| if rest.starts_with(['\n', '\t']) { Some(1) } else { style(rest).filter(|_| styles) },
    )
}

/// The length of the style that a text begins with.
fn style(text: &str) -> Option<usize> {
    let digits = text.strip_prefix("\u{1b}[")?;
    let end = digits.find(|character: char| !character.is_ascii_digit())?;
    digits[end..].starts_with('m').then_some(end + 3)
}

/// `text` with its control characters as JSON writes them; `passes` is the length of what stays of a text that begins
/// with one.
fn escaped(text: &str, passes: impl Fn(&str) -> Option<usize>) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(char::is_control) {
        let (before, behind) = rest.split_at(at);
        written.push_str(before);
        let length = passes(behind);
        let taken = length.or_else(|| behind.chars().next().map(char::len_utf8)).unwrap_or(behind.len());
        let (control, after) = behind.split_at(taken);
        match length {
            Some(_) => written.push_str(control),
            None => {
                for character in control.chars() {
                    // Writing to a text does not fail.
                    let _written = write!(written, "\\u{:04x}", u32::from(character));
                }
            }
        }
        rest = after;
    }
    written.push_str(rest);
    Cow::Owned(written)
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

    /// One line of data.
    pub fn line(&self, text: &str) {
        self.write(&harmless(text, self.color));
    }

    /// Clears the terminal and goes to its first line.
    pub fn clear(&self) {
        self.write("\u{1b}[2J\u{1b}[H");
    }

    /// When nobody reads any more, the program ends quietly with success; what cannot be written is a failure.
    fn write(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush()) else { return };
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        let _code = Failure::other(format!("stdout: {error}")).report(self.json);
        std::process::exit(1);
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
        let on_one_line = |row: &Vec<String>| row.iter().map(|cell| one_line(cell).into_owned()).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(on_one_line).collect();
        let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
        for row in &rows {
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
        for row in &rows {
            self.line(&line(&mut row.iter().map(String::as_str)));
        }
    }

    /// `text` in the given SGR style, where colour is welcome.
    pub fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_speak_to_the_terminal() {
        assert_eq!(
            harmless("a\u{1b}[2Jb\u{7f}\u{9b}\r\n\tc", false),
            "a\\u001b[2Jb\\u007f\\u009b\\u000d\n\tc"
        );
        let painted = Output { json: false, color: true, progress: true }.paint("31", "é");
        assert_eq!(harmless(&painted, true), painted);
        assert_eq!(harmless(&painted, false), "\\u001b[31mé\\u001b[0m");
        assert_eq!(harmless("\u{1b}[3;31m\u{1b}[\u{1b}", true), "\\u001b[3;31m\\u001b[\\u001b");
        assert_eq!(one_line("bought\n1  sold"), "bought\\u000a1  sold");
        assert!(matches!(harmless("plain", false), Cow::Borrowed("plain")));
    }

    #[test]
    fn a_document_stays_the_same_document() {
        let document = serde_json::json!({ "reason": "a\u{7f}\u{85}\u{1b}[31m" });
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&harmless(&text, false)).unwrap(), document);
    }
}
