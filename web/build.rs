//! Refuses a build without the built assets, and says how to get them.

fn main() {
    println!("cargo::rerun-if-changed=dist");
    println!("cargo::rerun-if-changed=templates");
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/manifest.json");
    if !manifest.is_file() {
        println!("cargo::error=web/dist is missing; build the assets first: make assets");
    }
}
