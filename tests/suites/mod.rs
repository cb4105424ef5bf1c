//! Where the conformance suites are: `FACTEUR_CONFORMANCE`, or `../shared/conformance` beside the crate. They are no part of it,
//! and a test whose suite is not there says so and passes.

#![allow(dead_code)] // each test that includes this file uses a part of it

use std::fmt::Debug;
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

/// Holds the cases that failed to the list of those that fail on purpose, each with its reason: no other may fail, and none of
/// them may pass.
pub fn otherwise<N: AsRef<str> + Debug, W: Debug>(failed: &[(N, W)], on_purpose: &[(&str, &str)]) {
    for (name, why) in on_purpose {
        println!("  otherwise: {name}: {why}");
    }
    let known = |name: &str| on_purpose.iter().any(|(known, _)| *known == name);
    let unknown: Vec<_> = failed.iter().filter(|(name, _)| !known(name.as_ref())).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert_eq!(failed.len(), on_purpose.len(), "some pass now");
}
