//! The files that a run is written to.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use analytics::TearSheet;

use crate::cli::RunOptions;
use crate::exit::Failure;

/// Refuses files that cannot be written, before a run takes its time and is put on record. A file that is there stays
/// as it is, and none is left where there was none.
pub fn check<'a>(
    files: impl IntoIterator<Item = (&'a str, Option<&'a Path>)>,
    help: &str,
) -> Result<(), Failure> {
    for (option, path) in files {
        if let Some(path) = path {
            writable(path).map_err(|why| {
                let message =
                    format!("{option} {}: {why}, expected a file that can be written", path.display());
                Failure::usage(message, help)
            })?;
        }
    }
    Ok(())
}

fn writable(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(there) if there.is_dir() => return Err("a directory".to_owned()),
        // A pipe or a device is not opened twice: whoever reads it would take the first end for the whole.
        Ok(there) if !there.is_file() => return Ok(()),
        Ok(_) | Err(_) => {}
    }
    let was_there = path.symlink_metadata().is_ok();
    match OpenOptions::new().append(true).create(true).open(path) {
        Ok(file) => drop(file),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err("its directory does not exist".to_owned());
        }
        Err(error) => return Err(error.to_string()),
    }
    if was_there { Ok(()) } else { std::fs::remove_file(path).map_err(|error| error.to_string()) }
}

/// The files that a run reads.
pub fn read(run: &RunOptions) -> impl Iterator<Item = (&str, &Path)> {
    let bars = run.bars.iter().map(|path| ("--bars", path));
    let actions = run.actions.iter().map(|path| ("--actions", path));
    let files = bars.chain(actions).map(|(option, path)| (option, path.as_path()));
    files.chain(run.limits_file().map(|path| ("--limits", path)))
}

/// Refuses a file that two options are to write, or one that is `read`: it would be lost.
pub fn apart<'a, 'r>(
    files: impl IntoIterator<Item = (&'a str, Option<&'a Path>)>,
    read: impl Iterator<Item = (&'r str, &'r Path)>,
    help: &str,
) -> Result<(), Failure> {
    let mut known: Vec<(&str, PathBuf)> =
        read.filter_map(|(option, path)| Some((option, place(path)?))).collect();
    for (option, path) in files {
        let Some((path, place)) = path.and_then(|path| Some((path, place(path)?))) else { continue };
        if let Some((other, _)) = known.iter().find(|(_, known)| *known == place) {
            let message =
                format!("{option} {}: the file of {other} too, expected another one", path.display());
            return Err(Failure::usage(message, help));
        }
        known.push((option, place));
    }
    Ok(())
}

/// Where a file is or would be, links followed; nothing of a pipe or a device, which may be named twice.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(there) = std::fs::metadata(path) {
        return there.is_file().then(|| path.canonicalize().ok())?;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(parent.canonicalize().ok()?.join(path.file_name()?))
}

/// Writes a tear sheet: its data where the name ends in `.json`, else the page.
pub fn write_sheet(path: &Path, sheet: &TearSheet) -> Result<(), String> {
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let text = if json {
        sheet.to_json().map_err(|error| error.to_string())
    } else {
        sheet.to_html().map_err(|error| error.to_string())
    };
    text.and_then(|text| std::fs::write(path, text).map_err(|error| error.to_string()))
}

/// What became of writing one of the files.
pub fn written(option: &str, path: &Path, result: Result<(), impl Display>) -> Result<(), Failure> {
    result.map_err(|error| Failure::other(format!("{option} {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_told_with_its_option_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let checked = |path: &Path| check([("--equity", None), ("--trades", Some(path))], "help");
        let refused = |path: &Path| checked(path).unwrap_err();

        checked(&place("new.csv")).unwrap();
        assert!(!place("new.csv").exists());
        std::fs::write(place("old.csv"), "kept").unwrap();
        checked(&place("old.csv")).unwrap();
        assert_eq!(std::fs::read_to_string(place("old.csv")).unwrap(), "kept");

        let (lost, itself) = (refused(&place("no/x.csv")), refused(directory.path()));
        let start = format!("--trades {}: ", place("no/x.csv").display());
        assert_eq!(lost.message, start + "its directory does not exist, expected a file that can be written");
        assert_eq!((lost.code, lost.hint.as_str()), (2, "help"));
        assert!(itself.message.ends_with(": a directory, expected a file that can be written"));
        assert!(!place("no").exists());
    }

    #[test]
    fn a_file_that_is_read_or_written_already_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        std::fs::write(place("bars.csv"), "bars").unwrap();
        std::fs::create_dir(place("below")).unwrap();
        let (bars, around, new) = (place("bars.csv"), place("below/../bars.csv"), place("new.csv"));
        let told = |trades: &Path, equity: &Path| {
            let files = [("--trades", Some(trades)), ("--equity", Some(equity)), ("--report", None)];
            apart(files, [("--bars", bars.as_path())].into_iter(), "help").map_err(|failure| failure.message)
        };
        told(&new, &place("other.csv")).unwrap();
        let refused = |option: &str, path: &Path, other: &str| -> Result<(), String> {
            Err(format!("{option} {}: the file of {other} too, expected another one", path.display()))
        };
        assert_eq!(told(&around, &new), refused("--trades", &around, "--bars"));
        assert_eq!(told(&new, &new), refused("--equity", &new, "--trades"));
        let nowhere = Path::new("/dev/null");
        told(nowhere, nowhere).unwrap();
    }
}
