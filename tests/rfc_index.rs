//! RFC.md has a row for each RFC that the sources cite, and names only files that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[test]
fn each_cited_rfc_has_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let index = std::fs::read_to_string(root.join("RFC.md")).unwrap();
    let mut rows = BTreeSet::new();
    for line in index.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, sections, files, state, ..] = cells[..] else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        assert!(!sections.is_empty(), "RFC {number}: which sections?");
        assert!(
            ["yes", "partial", "no"].iter().any(|word| state.starts_with(word)),
            "RFC {number}: yes, partial or no?"
        );
        for file in files.split(',').map(str::trim).filter(|file| !file.is_empty() && *file != "-") {
            assert!(root.join(file).exists(), "RFC {number}: there is no {file}");
        }
        assert!(rows.insert(number), "RFC {number}: one row is enough");
    }
    let mut missing: BTreeMap<u32, PathBuf> = BTreeMap::new();
    let mut cited = BTreeSet::new();
    for file in sources(&root.join("src")) {
        for number in citations(&std::fs::read_to_string(&file).unwrap()) {
            cited.insert(number);
            if !rows.contains(&number) {
                missing.entry(number).or_insert_with(|| file.clone());
            }
        }
    }
    assert!(cited.len() >= 10, "the citations are found: {cited:?}");
    assert!(missing.is_empty(), "cited without a row in RFC.md: {missing:#?}");
}

/// The numbers in `RFC 5321`, `RFCs 5321`; `RFC822` is an item of IMAP and no citation.
fn citations(text: &str) -> BTreeSet<u32> {
    text.match_indices("RFC")
        .filter_map(|(at, _)| {
            let rest = text[at + 3..].trim_start_matches('s').trim_start_matches([' ', '\u{a0}']);
            let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok().filter(|_| !text[at..].starts_with("RFC822"))
        })
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn citations_are_found() {
    assert_eq!(citations("RFC 5321 §4, RFC9051, the RFCs 2045"), BTreeSet::from([2045, 5321, 9051]));
    assert!(citations("an RFC of old, the item RFC822.SIZE").is_empty());
}
