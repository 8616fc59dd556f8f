//! The repository as the checks see it: its files and its packages.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cargo_metadata::{Metadata, MetadataCommand};

/// Directories that are built or fetched, never written by hand.
const NOT_OURS: [&str; 5] = ["target", "node_modules", "dist", "test-results", "playwright-report"];

/// The root of the repository.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        tests.parent().map_or_else(|| tests.to_owned(), Path::to_owned)
    })
}

/// Every file written by hand, relative to the root, in order. Hidden directories count, except git's own.
pub fn files() -> &'static [PathBuf] {
    static FILES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut found = Vec::new();
        walk(root(), &mut found);
        found.sort();
        found
    })
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).expect("a directory of the repository is readable");
    for entry in entries {
        let path = entry.expect("a directory of the repository is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != ".git" && !NOT_OURS.contains(&name.as_ref()) {
                walk(&path, found);
            }
        } else if let Ok(relative) = path.strip_prefix(root()) {
            found.push(relative.to_owned());
        }
    }
}

/// The files whose names end in one of `extensions`.
pub fn files_with(extensions: &[&str]) -> impl Iterator<Item = &'static Path> {
    let extensions: Vec<String> = extensions.iter().map(|extension| format!(".{extension}")).collect();
    files()
        .iter()
        .filter(move |path| extensions.iter().any(|end| path.to_string_lossy().ends_with(end.as_str())))
        .map(PathBuf::as_path)
}

/// The content of a file; `None` when it is no text.
pub fn text(relative: &Path) -> Option<String> {
    let content = std::fs::read(root().join(relative)).expect("a file of the repository is readable");
    String::from_utf8(content).ok()
}

/// The packages of the workspace and all that they stand on, for this machine's platform.
pub fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let system = match std::env::consts::OS {
            "macos" => "apple-darwin",
            _ => "unknown-linux-gnu",
        };
        let platform = format!("{}-{system}", std::env::consts::ARCH);
        let options = ["--locked".to_owned(), "--filter-platform".to_owned(), platform];
        MetadataCommand::new()
            .manifest_path(root().join("Cargo.toml"))
            .other_options(options)
            .exec()
            .expect("cargo metadata describes the workspace")
    })
}
