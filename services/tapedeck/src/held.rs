//! The tape that servers of the user's own hold. They hold one; its name and what `tape.json` has of it stand with its
//! streams, where every home and every machine finds them.

use event_log::{JetStreamLog, label};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::Global;
use crate::exit::Failure;
use crate::home::{Home, Manifest, TapeDir};
use crate::output::message;
use crate::servers::{external, uses_external};
use crate::session::{check_servers, connect};

/// What is shown of a value that differs.
const SHOWN_MAX: usize = 200;
const OTHER_SERVERS: &str = "servers of its own for each tape (docs/servers.md)";

/// A tape as servers hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    name: String,
    manifest: Manifest,
}

/// The tape that the servers of the user's own hold; `None` without such servers, and where they do not say.
async fn held(global: &Global) -> Result<Option<Held>, Failure> {
    check_servers(&global.servers)?;
    if !uses_external(&global.servers) {
        return Ok(None);
    }
    let log = Box::pin(connect(&external(&global.servers)?)).await?;
    read(&log).await
}

/// Where this home has, or would have, the tape that the servers of the user's own hold.
pub async fn tape(global: &Global, home: &Home) -> Result<Option<TapeDir>, Failure> {
    held(global).await?.map(|held| home.tape(&held.name)).transpose()
}

/// What a tape is, as its home says it, else as the servers of the user's own do; `None` when neither knows of one.
pub async fn manifest_of(global: &Global, dir: &TapeDir) -> Result<Option<Manifest>, Failure> {
    if let Some(known) = dir.manifest()? {
        return Ok(Some(known));
    }
    match held(global).await? {
        Some(held) if held.name != dir.name => Err(held.is_not(&dir.name)),
        held => Ok(held.map(|held| held.manifest)),
    }
}

/// The failure for a tape of which neither its home nor a server of the user's own says what it is.
pub fn unknown(global: &Global, home: &Home, dir: &TapeDir) -> Failure {
    if uses_external(&global.servers) {
        return Failure::not_found(
            format!(
                "tape {:?} does not exist here, and the servers of NATS_URL and DATABASE_URL do not say what they hold",
                dir.name
            ),
            "tapedeck up --tape NAME, or first a command in the home in which the tape was made",
        );
    }
    let known = home.tapes().join(", ");
    Failure::not_found(
        format!("tape {:?} does not exist (there are: {known})", dir.name),
        "tapedeck up --tape NAME",
    )
}

/// Writes down what the servers hold from now on, or checks that they hold this tape. One that nobody meant, because it is
/// merely what its home used last, on servers of its own, is written down nowhere.
pub async fn claim(
    log: &JetStreamLog,
    dir: &TapeDir,
    manifest: &Manifest,
    is_meant: bool,
) -> Result<(), Failure> {
    let this = Held { name: dir.name.clone(), manifest: manifest.clone() };
    if let Some(there) = read(log).await? {
        return this.check(&there);
    }
    if !is_meant && dir.path.join("nats").is_dir() {
        return Ok(());
    }
    // Streams of before this was written down: whoever has their tape may say what it is, no new one.
    if dir.manifest()?.is_none() && label::is_used(log).await? {
        return Err(Failure::usage(
            format!(
                "tape {}: the servers of NATS_URL and DATABASE_URL hold a tape that says no name, expected empty ones",
                dir.name
            ),
            "first `tapedeck status` in the home in which that tape was made",
        ));
    }
    let text = serde_json::to_string(&this).map_err(|error| Failure::other(error.to_string()))?;
    let written = label::write(log, &text).await;
    // Another session may have been the first one meanwhile.
    if let Some(there) = read(log).await? {
        return this.check(&there);
    }
    if let Err(error) = written {
        message(&format!("tape {}: its servers cannot be told that they hold it: {error}\n", dir.name));
    }
    Ok(())
}

async fn read(log: &JetStreamLog) -> Result<Option<Held>, Failure> {
    let Some(text) = label::read(log).await? else { return Ok(None) };
    let held = serde_json::from_str(&text);
    held.map(Some).map_err(|error| Failure::config(format!("what the servers say of their tape: {error}")))
}

impl Held {
    /// Refuses `there`, what the servers hold, where it is another tape than this one. Speed decides nothing.
    fn check(&self, there: &Self) -> Result<(), Failure> {
        if self.name != there.name {
            return Err(there.is_not(&self.name));
        }
        let there = Manifest { speed: self.manifest.speed, ..there.manifest.clone() };
        let document = |manifest: &Manifest| {
            serde_json::to_value(manifest).map_err(|error| Failure::other(error.to_string()))
        };
        let (this, there) = (document(&self.manifest)?, document(&there)?);
        let mut fields = this.as_object().into_iter().chain(there.as_object()).flatten();
        let Some((field, _)) = fields.find(|(field, _)| this[field.as_str()] != there[field.as_str()]) else {
            return Ok(());
        };
        let shown = |value: &Value| value.to_string().chars().take(SHOWN_MAX).collect::<String>();
        Err(Failure::usage(
            format!(
                "tape {}: {field} is {}, expected {} as in the tape of this name that the servers of NATS_URL and \
                 DATABASE_URL hold",
                self.name,
                shown(&this[field.as_str()]),
                shown(&there[field.as_str()])
            ),
            OTHER_SERVERS,
        ))
    }

    /// The refusal of another tape on the servers that hold this one.
    fn is_not(&self, name: &str) -> Failure {
        Failure::usage(
            format!(
                "tape {name}: the servers of NATS_URL and DATABASE_URL hold the tape {}, expected that one",
                self.name
            ),
            format!("--tape {}, or {OTHER_SERVERS}", self.name),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::up::manifest;
    use crate::home::TapeKind;

    fn tape(name: &str, manifest: Manifest) -> Held {
        Held { name: name.to_owned(), manifest }
    }

    #[test]
    fn servers_hold_one_tape_at_whatever_speed() {
        let there = tape("one", manifest(TapeKind::Demo, 7));
        let text = serde_json::to_string(&there).unwrap();
        assert_eq!(serde_json::from_str::<Held>(&text).unwrap(), there);
        let faster = tape("one", Manifest { speed: Some(60), ..there.manifest.clone() });
        assert!(faster.check(&there).is_ok());
        let refused = |this: &Held| {
            let failure = this.check(&there).unwrap_err();
            assert_eq!(failure.code, 2);
            (failure.message, failure.hint)
        };
        let (said, hint) = refused(&tape("two", there.manifest.clone()));
        assert!(said.contains("tape two: ") && said.contains("hold the tape one"), "{said}");
        assert!(hint.starts_with("--tape one, "), "{hint}");
        let (said, _) = refused(&tape("one", manifest(TapeKind::Demo, 8)));
        assert!(said.contains("seed is 8, expected 7"), "{said}");
        let other = Manifest { calendar: Some("24x7".to_owned()), ..there.manifest.clone() };
        let (said, _) = refused(&tape("one", other));
        assert!(said.contains("calendar is \"24x7\", expected null"), "{said}");
    }
}
