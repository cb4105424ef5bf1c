//! The suite `psl`: the organizational domains that RFC 7489 found by the list of public suffixes are those that the tree walk of
//! RFC 9989 §4.10.2 finds where the suffixes of the list say of themselves that they are (`psd=y`).

mod suites;

use std::collections::HashSet;
use std::fs;

use facteur::address::Domain;
use facteur::auth::dmarc::{Evaluation, Identifier, Mechanism};
use facteur::dns::{Data, Name, Zone};

const SUITE: &str = "psl";

/// In A-labels; `None` where it is no name.
fn ascii(text: &str) -> Option<Name> {
    if text.is_ascii() {
        return text.parse().ok();
    }
    Domain::parse(text.as_bytes()).ok()?.to_ascii()?.parse().ok()
}

/// The rules of the list: suffixes, names below which each is a suffix, and exceptions from those.
#[derive(Default)]
struct Rules {
    exact: HashSet<Name>,
    below: HashSet<Name>,
    exceptions: HashSet<Name>,
}

impl Rules {
    fn parse(list: &str) -> Self {
        let mut rules = Self::default();
        for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
            let (set, name) = match (line.strip_prefix("*."), line.strip_prefix('!')) {
                (Some(name), _) => (&mut rules.below, name),
                (_, Some(name)) => (&mut rules.exceptions, name),
                _ => (&mut rules.exact, line),
            };
            set.insert(ascii(name).expect("a name"));
        }
        rules
    }

    fn is_suffix(&self, name: &Name) -> bool {
        let parent = name.parent().unwrap_or_default();
        // "If no rules match, the prevailing rule is "*"."
        self.exact.contains(name) || self.below.contains(&parent) || parent.is_root()
    }

    /// The DNS as it were if the suffixes above `name` knew DMARC.
    fn zone(&self, name: &Name) -> Zone {
        let mut zone = Zone::new();
        for name in std::iter::successors(Some(name.clone()), Name::parent).filter(|name| !name.is_root()) {
            let record = match self.exceptions.contains(&name) {
                true => "v=DMARC1; p=none; psd=n",
                false if self.is_suffix(&name) => "v=DMARC1; p=none; psd=y",
                false => continue,
            };
            zone.insert(name.child("_dmarc").unwrap(), Data::Txt(record.into()));
        }
        zone
    }

    fn organization(&self, name: &Name) -> Option<Name> {
        // What stands below the name is asked about, so that the organization matters.
        let below = Identifier::new(Mechanism::Dkim, name.child("x").unwrap());
        let verdict = self.zone(name).ask(Evaluation::new(Ok(name.clone()), vec![below]));
        // A suffix is its own organization, and no registrable domain.
        verdict.organization.filter(|found| self.exceptions.contains(found) || !self.is_suffix(found))
    }
}

#[test]
fn the_tree_walk_finds_the_domains_of_the_list() {
    let Some(root) = suites::find(SUITE) else { return };
    let rules = Rules::parse(&fs::read_to_string(root.join("public_suffix_list.dat")).unwrap());
    let cases = fs::read_to_string(root.join("tests/test_psl.txt")).unwrap();
    let (mut total, mut failed) = (0, Vec::new());
    for line in cases.lines() {
        let Some(arguments) = line.strip_prefix("checkPublicSuffix(").and_then(|line| line.strip_suffix(");")) else {
            continue;
        };
        let (input, expected) = arguments.split_once(", ").unwrap();
        let quoted = |text: &str| Some(text.strip_prefix('\'')?.strip_suffix('\'')?.to_owned());
        // No name at all is none here either.
        let Some(input) = quoted(input) else { continue };
        total += 1;
        let found = ascii(&input).and_then(|name| rules.organization(&name));
        if found != quoted(expected).and_then(|expected| ascii(&expected)) {
            failed.push((input, format!("{found:?}, theirs {expected}")));
        }
    }
    assert!(total > 70, "the suite has cases");
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    suites::otherwise(&failed, &[]);
}
