//! Says which commit the simulator is made of, so that a failure can name it although nobody says it on the command line.

use std::path::Path;
use std::process::Command;

fn main() {
    for name in ["HEAD", "logs/HEAD"] {
        // One that is missing would count as changed at every build.
        if let Some(file) = git(&["rev-parse", "--git-path", name]).filter(|file| Path::new(file).exists()) {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=TAPEDECK_SIM_COMMIT={commit}");
}

/// What git prints in the package's directory; none when it fails.
fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
