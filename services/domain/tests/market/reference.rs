//! Runs the Python reference scripts and finds the recorded data of the tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MEND: &str = "run `make setup-test`, or set TAPEDECK_TEST_PYTHON to an interpreter that has the \
                    packages of tests/python/requirements.txt";

fn environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests are told where their tools and data are")]
    std::env::var(name).ok()
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Standard output of `tests/python/<script>`, given `arguments` and `input`; fails when it fails.
pub fn python(script: &str, arguments: &[&str], input: &str) -> String {
    let interpreter = environment("TAPEDECK_TEST_PYTHON").unwrap_or_else(|| "python3".to_owned());
    let mut child = Command::new(&interpreter)
        .arg(project().join("tests/python").join(script))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {interpreter}: {error}; {MEND}"));
    // All input first, then all output: the answers are far shorter than a pipe holds, or need no input.
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{interpreter} {script} failed; {MEND}\n{complaint}");
    written.unwrap_or_else(|error| panic!("{script} did not read its input: {error}\n{complaint}"));
    String::from_utf8(output.stdout).unwrap()
}

/// Path of a file of recorded market data.
pub fn data(file: &str) -> PathBuf {
    let folder = environment("TAPEDECK_TEST_DATA").map_or_else(
        || project().join("../shared/data"),
        |folder| {
            // A relative folder is meant from the project's root, where `make` runs.
            project().join(folder)
        },
    );
    let path = folder.join(file);
    assert!(
        path.exists(),
        "{} is missing; set TAPEDECK_TEST_DATA to the folder of the test data",
        path.display()
    );
    path
}
