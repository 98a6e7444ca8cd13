//! Makes the library's echo example includable by `idle_server`, which runs the same code under a counting allocator.
//!
//! An example's `main` is private to its file and `include!` takes no inner attributes, so the copy differs in its first lines
//! only: `//!` comments become `//` comments.

use std::{env, error::Error, fs, path::Path};

const EXAMPLE: &str = "../crates/openline/examples/echo_server.rs";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={EXAMPLE}");
    let source = fs::read_to_string(EXAMPLE).unwrap_or_else(|_| MISSING.into());
    let includable: String = source
        .lines()
        .map(|line| line.strip_prefix("//!").map_or(format!("{line}\n"), |doc| format!("//{doc}\n")))
        .collect();
    fs::write(Path::new(&env::var("OUT_DIR")?).join("echo_server.rs"), includable)?;
    Ok(())
}

/// Whoever does not measure memory need not have the example.
const MISSING: &str = r#"fn main() { panic!("built without crates/openline/examples/echo_server.rs") }"#;
