//! The suite spf-openspf: RFC 7208 and RFC 4408 as openspf.org tested them.

mod suites;

use std::path::PathBuf;

use facteur::auth::spf::{Evaluation, Identity, MAX_QUESTIONS};
use facteur::dns::{Data, Failure, Name, RecordType, Zone};
use yaml_rust2::parser::{Event, MarkedEventReceiver, Parser};
use yaml_rust2::scanner::Marker;

/// YAML in which every scalar is text, as the suite wants to be read.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

#[derive(Default)]
struct Builder {
    open: Vec<(bool, Vec<Value>)>,
    documents: Vec<Value>,
}

impl MarkedEventReceiver for Builder {
    fn on_event(&mut self, event: Event, _: Marker) {
        let value = match event {
            Event::Scalar(text, ..) => Value::Text(text),
            Event::SequenceStart(..) => return self.open.push((false, Vec::new())),
            Event::MappingStart(..) => return self.open.push((true, Vec::new())),
            Event::SequenceEnd => Value::List(self.open.pop().unwrap().1),
            Event::MappingEnd => {
                let items = self.open.pop().unwrap().1;
                Value::Map(items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
            }
            _ => return,
        };
        match self.open.last_mut() {
            Some((_, items)) => items.push(value),
            None => self.documents.push(value),
        }
    }
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("a text, not {other:?}"),
        }
    }

    fn map(&self) -> &[(Value, Value)] {
        match self {
            Self::Map(map) => map,
            // An empty value.
            Self::Text(text) if text.is_empty() || text == "~" => &[],
            other => panic!("a map, not {other:?}"),
        }
    }

    /// One, or several in a list.
    fn items(&self) -> Vec<&Value> {
        match self {
            Self::List(items) => items.iter().collect(),
            one => vec![one],
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.map().iter().find(|(known, _)| known.text() == key).map(|(_, value)| value)
    }
}

fn suite() -> Option<PathBuf> {
    suites::find("spf-openspf")
}

/// The characters are octets.
fn octets(text: &str) -> Vec<u8> {
    text.chars()
        .flat_map(|c| u8::try_from(c).map_or_else(|_| c.to_string().into_bytes(), |octet| vec![octet]))
        .collect()
}

fn zone(data: &Value) -> Zone {
    let mut zone = Zone::new();
    let name = |text: &str| Name::parse(if text.is_empty() { "." } else { text });
    for (owner, records) in data.map() {
        // A name that cannot be asked for need not be there.
        let Ok(owner) = name(owner.text()) else { continue };
        let has_txt =
            records.items().iter().any(|record| matches!(record, Value::Map(_)) && record.get("TXT").is_some());
        for record in records.items() {
            let Value::Map(map) = record else {
                assert_eq!(record.text(), "TIMEOUT");
                zone.fail(owner.clone(), None, Failure::Timeout);
                continue;
            };
            let (kind, value) = &map[0];
            let kind = match kind.text() {
                "A" => RecordType::A,
                "AAAA" => RecordType::Aaaa,
                "MX" => RecordType::Mx,
                "PTR" => RecordType::Ptr,
                "CNAME" => RecordType::Cname,
                "TXT" => RecordType::Txt,
                "SPF" if has_txt => continue,
                "SPF" => RecordType::Txt,
                other => panic!("no such type: {other}"),
            };
            if matches!(value, Value::Text(text) if text == "TIMEOUT") {
                zone.fail(owner.clone(), Some(kind), Failure::Timeout);
                continue;
            }
            // "TXT: NONE" says that there is none, where one would be made of SPF.
            if kind == RecordType::Txt && matches!(value, Value::Text(text) if text == "NONE") {
                continue;
            }
            let data = match kind {
                RecordType::A => Data::A(value.text().parse().unwrap()),
                RecordType::Aaaa => Data::Aaaa(value.text().parse().unwrap()),
                RecordType::Txt => {
                    Data::Txt(value.items().iter().flat_map(|part| octets(part.text())).collect::<Vec<u8>>().into())
                }
                RecordType::Mx => {
                    let items = value.items();
                    let Ok(exchange) = name(items[1].text()) else { continue };
                    Data::Mx { preference: items[0].text().parse().unwrap(), exchange }
                }
                _ => {
                    let Ok(target) = name(value.text()) else { continue };
                    if kind == RecordType::Ptr { Data::Ptr(target) } else { Data::Cname(target) }
                }
            };
            zone.insert(owner.clone(), data);
        }
    }
    zone
}

fn run(file: &str, at_least: usize) {
    let Some(suite) = suite() else {
        println!("spf-openspf: skipped, the suite is not here");
        return;
    };
    let text = std::fs::read_to_string(suite.join(file)).unwrap();
    let mut builder = Builder::default();
    Parser::new_from_str(&text).load(&mut builder, true).unwrap();
    let (mut passed, mut total, mut failed) = (0, 0, Vec::new());
    for document in &builder.documents {
        let zone = zone(document.get("zonedata").unwrap());
        for (name, case) in document.get("tests").unwrap().map() {
            total += 1;
            let text = |key| case.get(key).map(Value::text).unwrap_or_default();
            let (helo, sender) = (text("helo"), text("mailfrom"));
            let identity = if sender.is_empty() { Identity::Helo } else { Identity::MailFrom };
            let verdict = zone.ask(Evaluation::new(text("host").parse().unwrap(), helo, sender, identity));
            assert!(verdict.asked.len() <= MAX_QUESTIONS as usize);
            let expected: Vec<&str> = case.get("result").unwrap().items().into_iter().map(Value::text).collect();
            let explained = match case.get("explanation").map(Value::text) {
                Some(_) if verdict.outcome.to_string() != "fail" => true,
                Some("DEFAULT") => verdict.explanation.is_none(),
                Some(text) => verdict.explanation.as_deref() == Some(text),
                None => true,
            };
            let right = expected.contains(&verdict.outcome.to_string().as_str()) && explained;
            if right {
                passed += 1;
            } else {
                failed.push(format!("{}: expected {expected:?}, came {verdict:?}", name.text()));
            }
        }
    }
    println!("conformance spf-openspf/{file} {passed}/{total}");
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(passed >= at_least, "the suite is here whole");
}

#[test]
fn rfc7208_cases_pass() {
    run("rfc7208-tests.yml", 203);
}

#[test]
fn rfc4408_cases_pass() {
    run("rfc4408-tests.yml", 191);
}
