//! Where the conformance suites are: `FACTEUR_CONFORMANCE`, or `../shared/conformance` beside the crate. They are no part of it,
//! and a test whose suite is not there says so and passes.

use std::path::{Path, PathBuf};

/// The file or folder of a suite, by its path among the suites; `None`, and a line that says so, where it is not there.
pub fn find(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("FACTEUR_CONFORMANCE").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance"));
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    println!("conformance {path} skipped: there is no {}", found.display());
    None
}
