//! Refuses a build without the built assets, and says how to get them.

fn main() {
    println!("cargo::rerun-if-changed=dist");
    println!("cargo::rerun-if-changed=templates");
    // Cargo runs this in the package's directory, also where another checkout compiled it.
    if !std::path::Path::new("dist/manifest.json").is_file() {
        println!("cargo::error=web/dist is missing; build the assets first: make assets");
    }
}
