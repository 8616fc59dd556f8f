//! Where tapes live: `TAPEDECK_HOME/tapes/<name>`, each with its own servers, data and manifest.

use std::path::{Path, PathBuf};

use domain::calendar::{Market, UnknownMarket};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// What kind of tape it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TapeKind {
    /// The user's own: live or paper on the wall clock.
    Main,
    /// A simulated market on a tape clock.
    Demo,
    /// Recorded bars on a tape clock.
    Rehearsal,
    /// The events of one backtest, written as it ran; it has nothing left to play.
    Backtest,
}

impl TapeKind {
    /// Its name in lists and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Demo => "demo",
            Self::Rehearsal => "rehearsal",
            Self::Backtest => "backtest",
        }
    }
}

/// What a tape is, written once when it is made. Services of other processes read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Kind.
    pub kind: TapeKind,
    /// Seed of everything random.
    pub seed: u64,
    /// Market seconds per second; `None` is as fast as possible.
    pub speed: Option<u32>,
    /// Files of bars, absolute.
    #[serde(default)]
    pub bars: Vec<PathBuf>,
    /// Files of corporate actions, absolute.
    #[serde(default)]
    pub actions: Vec<PathBuf>,
    /// First and last session.
    #[serde(default)]
    pub from: Option<chrono::NaiveDate>,
    /// Last session.
    #[serde(default)]
    pub to: Option<chrono::NaiveDate>,
    /// How the files are to be read where they do not say themselves.
    #[serde(default)]
    pub format: FormatNote,
    /// Number of simulated symbols.
    #[serde(default)]
    pub symbols: usize,
    /// Name of its calendar, where that is not XNYS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
}

impl Manifest {
    /// The market in whose hours its bars lie.
    pub fn market(&self) -> Result<Market, Failure> {
        let Some(name) = &self.calendar else { return Ok(Market::default()) };
        name.parse().map_err(|error: UnknownMarket| Failure::config(format!("tape.json: {error}")))
    }

    /// Refuses what comes from the New York Stock Exchange alone, for a tape of another calendar.
    pub fn check_exchange(&self, tape: &str, what: &str) -> Result<(), Failure> {
        let market = self.market()?;
        if market == Market::Xnys {
            return Ok(());
        }
        Err(Failure::usage(
            format!("{what}: tape {tape} is of the calendar {market}, expected one of XNYS"),
            "another tape with --tape",
        ))
    }
}

/// How a manifest notes a calendar.
pub fn calendar_note(market: Market) -> Option<String> {
    (market != Market::default()).then(|| market.name().to_owned())
}

/// How files are to be read where they do not say themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FormatNote {
    /// Symbol.
    pub symbol: Option<String>,
    /// Timeframe.
    pub timeframe: Option<String>,
    /// Time zone.
    pub timezone: Option<String>,
    /// `none` or `yes`.
    pub adjusted: Option<String>,
}

/// The directory of all tapes.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

/// One tape's directory.
#[derive(Clone, Debug)]
pub struct TapeDir {
    /// Name.
    pub name: String,
    /// Directory.
    pub path: PathBuf,
}

impl Home {
    /// The given directory, else `$XDG_DATA_HOME/tapedeck`, else `~/.local/share/tapedeck`.
    #[expect(clippy::disallowed_methods, reason = "the binary is where the environment is read")]
    pub fn locate(given: Option<&Path>) -> Result<Self, Failure> {
        let root = match given {
            Some(path) => path.to_owned(),
            None => std::env::var_os("XDG_DATA_HOME")
                .map(PathBuf::from)
                .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))
                .map(|data| data.join("tapedeck"))
                .ok_or_else(|| Failure::usage("no home directory is known", "set TAPEDECK_HOME"))?,
        };
        std::fs::create_dir_all(&root)
            .map_err(|error| Failure::config(format!("TAPEDECK_HOME {}: {error}", root.display())))?;
        let root = std::fs::canonicalize(&root)?;
        Ok(Self { root })
    }

    /// The configuration file: the given one, else `tapedeck.toml` here if it exists.
    pub fn config_file(&self, given: Option<&Path>) -> Option<PathBuf> {
        match given {
            Some(path) => Some(path.to_owned()),
            None => Some(self.root.join("tapedeck.toml")).filter(|path| path.exists()),
        }
    }

    /// The directory of the tape `name`; it need not exist.
    pub fn tape(&self, name: &str) -> Result<TapeDir, Failure> {
        let good = (1..=60).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !good {
            return Err(Failure::usage(
                format!("tape {name:?}: expected 1 to 60 letters, digits, - and _"),
                "tapedeck up --tape NAME",
            ));
        }
        Ok(TapeDir { name: name.to_owned(), path: self.root.join("tapes").join(name) })
    }

    /// The tape used last, if it still exists.
    pub fn last(&self) -> Option<TapeDir> {
        let name = std::fs::read_to_string(self.root.join("last-tape")).ok()?;
        self.tape(name.trim()).ok().filter(|tape| tape.manifest().is_ok_and(|manifest| manifest.is_some()))
    }

    /// Remembers `tape` as the one used last.
    pub fn remember(&self, tape: &TapeDir) -> Result<(), Failure> {
        std::fs::write(self.root.join("last-tape"), format!("{}\n", tape.name))?;
        Ok(())
    }

    /// Names of all tapes, sorted.
    pub fn tapes(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.root.join("tapes"))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Why no tape is meant where none is named: there is none, or the one used last was removed.
    pub fn none_meant(&self) -> Failure {
        let is_tape =
            |name: &String| self.tape(name).is_ok_and(|tape| matches!(tape.manifest(), Ok(Some(_))));
        let there: Vec<String> = self.tapes().into_iter().filter(is_tape).collect();
        if there.is_empty() {
            return Failure::not_found("there is no tape yet", "tapedeck up, or tapedeck import FILE");
        }
        let there = there.join(", ");
        Failure::not_found(
            format!("the tape used last is gone (there are: {there})"),
            "tapedeck tape use NAME",
        )
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl TapeDir {
    /// Where books of its past are kept.
    pub fn books(&self) -> PathBuf {
        self.path.join("books")
    }

    fn manifest_path(&self) -> PathBuf {
        self.path.join("tape.json")
    }

    /// The manifest; `None` when there is no such tape.
    pub fn manifest(&self) -> Result<Option<Manifest>, Failure> {
        let path = self.manifest_path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::config(format!("{}: {error}", path.display()))),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Failure::config(format!("{}: {error}", path.display())))
    }

    /// Makes the tape with this manifest, or checks that it is the same tape.
    pub fn ensure(&self, manifest: &Manifest) -> Result<(), Failure> {
        if self.check(manifest)?.as_ref() == Some(manifest) {
            return Ok(());
        }
        std::fs::create_dir_all(&self.path)?;
        let text =
            serde_json::to_string_pretty(manifest).map_err(|error| Failure::other(error.to_string()))?;
        // Written beside and moved, so that a crash leaves the old one or the new one.
        let beside = self.path.join(format!("tape.json.{}", std::process::id()));
        std::fs::write(&beside, text + "\n")?;
        std::fs::rename(&beside, self.manifest_path())?;
        Ok(())
    }

    /// The manifest where there is one, which must be of the same tape.
    ///
    /// Speed may differ from run to run: it decides nothing.
    pub fn check(&self, manifest: &Manifest) -> Result<Option<Manifest>, Failure> {
        let present = self.manifest()?;
        let is_other =
            |present: &Manifest| Manifest { speed: manifest.speed, ..present.clone() } != *manifest;
        if present.as_ref().is_some_and(is_other) {
            return Err(Failure::usage(
                format!("tape {} holds another source or range", self.name),
                "choose another name with --tape",
            ));
        }
        Ok(present)
    }
}
