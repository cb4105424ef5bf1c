//! The suites of Authentication-Results: `authres-lieser`, `authres-python`.

mod suites;

use std::fs;

use facteur::auth::Results;
use facteur::message::Message;
use serde_json::Value;

/// The results in the form `host: method=result(reason) ptype.property=value`, one a method.
fn summary(results: &Results) -> Vec<String> {
    results
        .methods
        .iter()
        .map(|method| {
            let mut text = format!("{}: {}={}", results.id, method.name, method.result);
            for property in &method.properties {
                text.push_str(&format!(" {}.{}={}", property.kind, property.name, property.value));
            }
            text
        })
        .collect()
}

/// What stands in a field, taken apart by hand at its semicolons and spaces: comments and reasons left out.
fn expected(value: &str) -> Vec<String> {
    let mut words = value.split(';');
    let id = words.next().unwrap().trim().to_owned();
    words
        .filter(|word| !matches!(word.trim(), "" | "none"))
        .map(|word| {
            let mut plain = String::new();
            let (mut depth, mut quoted) = (0, false);
            for c in word.chars() {
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    '"' => quoted = !quoted,
                    c if depth == 0 && !quoted => plain.push(c),
                    _ => {}
                }
            }
            let plain: Vec<_> = plain.split_whitespace().filter(|word| *word != "reason=").collect();
            format!("{id}: {}", plain.join(" "))
        })
        .collect()
}

#[test]
fn messages_of_dkim_verifier() {
    const SUITE: &str = "authres-lieser";
    let Some(root) = suites::find(SUITE) else { return };
    let mut cases: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    cases.sort();
    let mut failed = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let message = Message::parse(fs::read(case).unwrap());
        let fields: Vec<_> = message.header().all("Authentication-Results").collect();
        let same = !fields.is_empty()
            && fields.iter().all(|field| {
                let value = String::from_utf8(field.unfolded().into_owned()).unwrap();
                match Results::parse(field.value()) {
                    Ok(results) => summary(&results) == expected(&value),
                    // Old Exchange left out who it is. That is soft: the fields beside it are read.
                    Err(_) => value.trim_start().starts_with("dkim="),
                }
            });
        if !same {
            failed.push((name, fields.iter().map(|field| Results::parse(field.value())).collect::<Vec<_>>()));
        }
    }
    assert_eq!(cases.len(), 21, "the suite has cases");
    println!("conformance {SUITE} {}/{}", cases.len() - failed.len(), cases.len());
    suites::otherwise(&failed, &[]);
}

#[test]
fn fields_of_authres() {
    const SUITE: &str = "authres-python";
    let Some(root) = suites::find(SUITE) else { return };
    let suite: Value = serde_json::from_slice(&fs::read(root.join("headers.json")).unwrap()).unwrap();
    let parsed = suite["parse"].as_array().unwrap().iter().map(|case| case["header"].as_str().unwrap().to_owned());
    // The others are as Python prints strings.
    let serialized = suite["serialized"].as_array().unwrap().iter().map(|text| {
        let text = text.as_str().unwrap();
        text.get(1..text.len() - 1).unwrap().to_owned()
    });
    let (mut total, mut failed) = (0, Vec::new());
    for field in parsed.chain(serialized) {
        total += 1;
        let Ok(results) = Results::parse(field.split_once(':').unwrap().1.as_bytes()) else {
            failed.push((field, "not read"));
            continue;
        };
        let written = results.to_string();
        let again = Results::parse(written.split_once(':').unwrap().1.as_bytes()).unwrap();
        let methods = field.split(';').skip(1).filter(|part| part.split('(').next().unwrap().contains('=')).count();
        if again != results || results.methods.len() != methods {
            failed.push((field, "not written as read"));
        }
    }
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    suites::otherwise(&failed, &[]);
}
