//! Generates the contract types and their proto3-JSON form from `schema/`, without a system `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "event",
        "market",
        "trading",
        "control",
        "operations",
        "research",
        "risk",
        "state",
        "orders",
        "reference",
        "broker",
        "money",
        "limits",
        "live",
    ]
    .map(|name| format!("schema/tapedeck/v1/{name}.proto"));
    println!("cargo:rerun-if-changed=schema");
    let descriptors = protox::compile(&files, ["schema"])?;

    let mut json = pbjson_build::Builder::new();
    for file in &descriptors.file {
        json.register_file_descriptor(file.clone());
    }
    json.extern_path(".google.protobuf", "crate::wkt");

    prost_build::Config::new()
        .compile_well_known_types()
        .extern_path(".google.protobuf", "crate::wkt")
        .compile_fds(descriptors)?;
    json.build(&[".tapedeck"])?;
    Ok(())
}
