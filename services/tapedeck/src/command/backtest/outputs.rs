//! The files that a run is written to.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

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
}
