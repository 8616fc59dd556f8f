//! What `make` says of its own arguments.

use std::path::Path;
use std::process::{Command, Output};

use crate::repository::root;

/// Whether `make up DATA=…` takes a directory, and what is said.
fn data(directory: &Path) -> (bool, String) {
    let output = script(directory, &[]);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What it comes to with a directory and, after that, a program with its options.
fn script(directory: &Path, program: &[&str]) -> Output {
    let script = root().join("deploy/setup/data.sh");
    let mut command = Command::new("sh");
    command.arg(script).arg(directory).args(program).output().expect("the script is run")
}

#[test]
fn a_directory_without_bars_is_refused_with_what_was_expected() {
    let home = tempfile::tempdir().expect("a directory can be made");
    let bars = home.path().join("bars");
    let (taken, said) = data(&bars);
    assert!(!taken && said.contains("bars: no such directory") && said.contains("bars-*.csv.gz"), "{said}");
    std::fs::create_dir(&bars).expect("a directory can be made");
    std::fs::write(bars.join("spy.csv"), "").expect("a file can be written");
    let (taken, said) = data(&bars);
    assert!(!taken && said.contains("no file of bars there but spy.csv"), "{said}");
    assert!(said.contains("mend it with: make up DATA=path/to/bars"), "{said}");
    std::fs::write(bars.join("bars-spy.csv"), "").expect("a file can be written");
    assert_eq!(data(&bars), (true, String::new()));
    assert_eq!(data(Path::new("")), (true, String::new()), "no DATA at all");
}

#[test]
fn what_is_in_the_directory_is_played_whatever_it_is_called() {
    let home = tempfile::tempdir().expect("a directory can be made");
    let played = |directory: &Path| {
        let output = script(directory, &["echo", "--stay"]);
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    };
    assert_eq!(played(Path::new("")), "up --stay", "no DATA at all");
    let bars = home.path().join("it's all here");
    std::fs::create_dir(&bars).expect("a directory can be made");
    for name in ["bars-a b.csv", "bars-c.csv.gz", "bars-d.parquet", "corporate-actions.csv", "other.csv"] {
        std::fs::write(bars.join(name), "").expect("a file can be written");
    }
    let (taken, said) = data(&bars);
    assert!(taken, "{said}");
    let at = bars.display();
    let expected = format!(
        "rehearse --bind 127.0.0.1:0 --stay --bars {at}/bars-c.csv.gz --bars {at}/bars-a b.csv --bars \
         {at}/bars-d.parquet --actions {at}/corporate-actions.csv"
    );
    assert_eq!(played(&bars), expected);
    let (taken, said) = data(&bars.join("other.csv"));
    assert!(!taken && said.contains("other.csv: a file; expected a directory"), "{said}");
}
