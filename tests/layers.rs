//! The order of the modules in lib.rs is the direction of dependence: a module may `use crate::` only modules above it.

use std::path::{Path, PathBuf};

#[test]
fn each_module_uses_only_modules_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = std::fs::read_to_string(src.join("lib.rs")).unwrap();
    let order: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(order.len() > 5, "lib.rs lists the modules: {order:?}");
    let mut faults = Vec::new();
    let mut uses = 0;
    for (place, module) in order.iter().enumerate() {
        for file in sources(&src, module) {
            let text = std::fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                for used in crate_paths(line) {
                    uses += 1;
                    match order.iter().position(|known| *known == used) {
                        Some(other) if other <= place => {}
                        _ => faults.push(format!("{}:{}: uses crate::{used}", file.display(), number + 1)),
                    }
                }
            }
        }
    }
    assert!(uses > 5, "the uses are found");
    assert!(faults.is_empty(), "against the order of lib.rs:\n{}", faults.join("\n"));
}

#[test]
fn unsafe_code_is_in_one_place() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = std::fs::read_to_string(src.join("lib.rs")).unwrap();
    assert!(lib.contains("#![deny(unsafe_code)]"));
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let files = modules.flat_map(|module| sources(&src, module));
    let code = |file: &Path| std::fs::read_to_string(file).unwrap();
    let says = |word: &str, line: &str| line.split("//").next().unwrap_or_default().contains(word);
    let allowing: Vec<_> = files.filter(|file| code(file).lines().any(|line| says("(unsafe_code)", line))).collect();
    assert_eq!(allowing, [src.join("text/transfer/mod.rs")], "who allows it");
}

/// Every `crate::module` in a line of code; comments and the crate's own macros do not count.
fn crate_paths(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
        .map(|(at, found)| {
            let rest = &code[at + found.len()..];
            &rest[..rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len())]
        })
        .collect()
}

/// The files of a module: `module.rs`, or all of `module/`.
fn sources(src: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![src.join(module)];
    let single = src.join(module).with_extension("rs");
    if single.exists() {
        files.push(single);
    }
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no file of module {module}");
    files
}

#[test]
fn paths_are_found_in_code_only() {
    assert_eq!(crate_paths("use crate::base::{Wire, crate::smtp::Reply}; // crate::imap"), ["base", "smtp"]);
    assert!(crate_paths("//! crate::imap").is_empty());
    assert!(crate_paths("pub(crate) fn a() {}").is_empty());
}
