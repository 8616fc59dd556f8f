//! `tapedeck strategy new`: a working external strategy in a new directory.
//!
//! What is written are the examples of `docs/examples`, which the tests run, under the name that was asked for.

use std::path::{Path, PathBuf};

use crate::cli::Language;
use crate::exit::Failure;
use crate::output::Output;

macro_rules! example {
    ($file:literal) => {
        ($file, include_str!(concat!("../../../../docs/examples/python-sma-cross/", $file)))
    };
    ($file:literal, rust) => {
        ($file, include_str!(concat!("../../../../docs/examples/rust-sma-cross/", $file)))
    };
}

macro_rules! schema {
    ($name:literal) => {
        (
            concat!("schema/tapedeck/v1/", $name, ".proto"),
            include_str!(concat!("../../../../proto/schema/tapedeck/v1/", $name, ".proto")),
        )
    };
}

const PYTHON: [(&str, &str); 5] = [
    example!("strategy.py"),
    example!("deck.py"),
    example!("tape.py"),
    example!("requirements.txt"),
    example!("README.md"),
];

const RUST: [(&str, &str); 18] = [
    example!("Cargo.toml", rust),
    example!("build.rs", rust),
    example!("src/main.rs", rust),
    example!("src/deck.rs", rust),
    example!("src/sma_cross.rs", rust),
    example!("src/tape.rs", rust),
    example!("README.md", rust),
    schema!("event"),
    schema!("market"),
    schema!("trading"),
    schema!("control"),
    schema!("operations"),
    schema!("broker"),
    schema!("limits"),
    schema!("money"),
    schema!("orders"),
    schema!("research"),
    schema!("risk"),
];

/// Writes the strategy `name` to `dir`, or to a directory of its name. Existing files are never touched.
pub fn write(name: &str, lang: Language, dir: Option<&Path>, output: Output) -> Result<(), Failure> {
    let good = (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !good {
        return Err(Failure::usage(
            format!("name {name:?}: expected 1 to 40 lowercase letters, digits and _"),
            "tapedeck strategy new my_strategy --lang python",
        ));
    }
    let directory = dir.map_or_else(|| PathBuf::from(name), Path::to_owned);
    if directory.exists() {
        return Err(Failure::usage(
            format!("{} exists already", directory.display()),
            "choose another directory with --dir",
        ));
    }
    let files: &[(&str, &str)] = match lang {
        Language::Python => &PYTHON,
        Language::Rust => &RUST,
    };
    for (file, text) in files {
        let path = directory.join(file);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, named(file, text, name))?;
    }
    // Credentials and what is built have no place in a repository.
    std::fs::write(directory.join(".gitignore"), "credentials.json\n.venv/\n__pycache__/\ntarget/\n")?;
    if output.json {
        return output.document(&serde_json::json!({ "strategy": name, "directory": directory }));
    }
    let shown = directory.display();
    output.note(&format!("wrote {shown}; the next commands are in {shown}/README.md"));
    Ok(())
}

/// The file under the strategy's own name.
fn named(file: &str, text: &str, name: &str) -> String {
    match file {
        "README.md" => {
            let text = text.replace("sma_python", name).replace("sma_rust", name);
            text.replace("rust-sma-cross", name)
        }
        // A workspace of its own, wherever it is put.
        "Cargo.toml" => text.replace("rust-sma-cross", name) + "\n[workspace]\n",
        _ => text.to_owned(),
    }
}
