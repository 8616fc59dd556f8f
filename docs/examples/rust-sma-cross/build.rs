//! Generates the event types from the schema: the copy beside this file, else the one of the repository.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let schema = if Path::new("schema").exists() { "schema" } else { "../../../proto/schema" };
    println!("cargo:rerun-if-changed={schema}");
    let files = protox::compile(["tapedeck/v1/event.proto"], [schema])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
