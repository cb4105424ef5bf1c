//! The patterns of LIST and LSUB (RFC 9051 §6.3.9, RFC 3501 §6.3.8), and which names they choose.
//!
//! The reference is put before the pattern as it is; there are no names that break out of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::Listed;

/// What stands between the levels of a name.
pub(crate) const DELIMITER: char = '/';

/// A pattern of LIST: `*` for any characters, `%` for any that are not the delimiter.
///
/// Matching costs the length of the name times the length of the pattern, and no more, whatever wildcards there are.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
    /// How many of the tokens are characters: a shorter name cannot match.
    characters: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Is(char),
    Level,
    Any,
}

/// A line of LIST or LSUB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub name: String,
    pub selectable: bool,
    /// Whether there are names below it; `None` where nothing is said of that (LSUB).
    pub children: Option<bool>,
}

impl Pattern {
    pub(crate) fn new(reference: &str, pattern: &str) -> Self {
        let mut tokens = Vec::new();
        for character in reference.chars().chain(pattern.chars()) {
            match (character, tokens.last()) {
                // `*` takes in whatever wildcard stands beside it.
                ('*', Some(Token::Level)) => {
                    tokens.pop();
                    if tokens.last() != Some(&Token::Any) {
                        tokens.push(Token::Any);
                    }
                }
                ('*' | '%', Some(Token::Any)) | ('%', Some(Token::Level)) => {}
                ('*', _) => tokens.push(Token::Any),
                ('%', _) => tokens.push(Token::Level),
                (character, _) => tokens.push(Token::Is(character)),
            }
        }
        let characters = tokens.iter().filter(|token| matches!(token, Token::Is(_))).count();
        Self { tokens, characters }
    }

    /// Whether the whole name matches. All places in the pattern that can be reached are followed at once.
    pub(crate) fn matches(&self, name: &str) -> bool {
        if name.chars().count() < self.characters {
            return false;
        }
        let end = self.tokens.len();
        let mut here = vec![false; end + 1];
        here[0] = true; // there is always at least one place
        self.pass_wildcards(&mut here);
        // RFC 9051 §5.1: INBOX is the same in any case of letters; in all else case counts.
        let inbox = if name.split(DELIMITER).next() == Some("INBOX") { "INBOX".len() } else { 0 };
        for (place, character) in name.chars().enumerate() {
            let mut next = vec![false; end + 1];
            for (at, token) in self.tokens.iter().enumerate() {
                let reached = here.get(at).copied().unwrap_or_default();
                let (stays, goes) = match token {
                    Token::Is(wanted) if place < inbox => (false, wanted.eq_ignore_ascii_case(&character)),
                    Token::Is(wanted) => (false, *wanted == character),
                    Token::Level => (character != DELIMITER, false),
                    Token::Any => (true, false),
                };
                if let Some([place, after]) = next.get_mut(at..at + 2) {
                    *place |= reached && stays;
                    *after |= reached && goes;
                }
            }
            self.pass_wildcards(&mut next);
            here = next;
        }
        here.last().copied().unwrap_or_default()
    }

    /// A wildcard may match nothing.
    fn pass_wildcards(&self, places: &mut [bool]) {
        for (at, token) in self.tokens.iter().enumerate() {
            if let (Token::Level | Token::Any, Some([place, after])) = (token, places.get_mut(at..at + 2)) {
                *after |= *place;
            }
        }
    }

    fn ends_in_level(&self) -> bool {
        self.tokens.last() == Some(&Token::Level)
    }
}

/// What LIST says of these mailboxes, in their order.
pub(crate) fn list(pattern: &Pattern, names: &[Listed]) -> Vec<Line> {
    let parents: BTreeSet<&str> = names.iter().flat_map(|listed| above(&listed.name)).collect();
    names
        .iter()
        .filter(|listed| pattern.matches(&listed.name))
        .map(|listed| Line {
            name: listed.name.clone(),
            selectable: listed.selectable,
            children: Some(parents.contains(listed.name.as_str())),
        })
        .collect()
}

/// What LSUB says where these names are subscribed to.
pub(crate) fn subscribed(pattern: &Pattern, names: &BTreeSet<String>) -> Vec<Line> {
    let mut lines = BTreeMap::new();
    for name in names {
        if pattern.matches(name) {
            lines.insert(name.as_str(), true);
        } else if pattern.ends_in_level() {
            // RFC 3501 §6.3.9: 'A "%" wildcard to LSUB must return foo, not foo/bar, in the LSUB response, and it MUST be
            // flagged with the \Noselect attribute'.
            for level in above(name).filter(|level| pattern.matches(level)) {
                lines.entry(level).or_insert(names.contains(level));
            }
        }
    }
    let line = |(name, selectable): (&str, bool)| Line { name: name.to_owned(), selectable, children: None };
    lines.into_iter().map(line).collect()
}

/// The levels above a name, from the top.
fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(DELIMITER).filter_map(|(at, _)| name.get(..at)).filter(|level| !level.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_the_rfc_says() {
        for (reference, pattern, name, expected) in [
            ("", "foo", "foo", true),
            ("", "foo", "fo", false),
            ("", "foo", "foo/bar", false),
            ("", "*", "foo/bar", true),
            ("", "*", "", true),
            ("", "%", "foo", true),
            ("", "%", "foo/bar", false),
            ("", "%/%", "foo/bar", true),
            ("", "%/%", "foo/bar/baz", false),
            ("", "foo*", "foo/bar", true),
            ("", "foo%", "foo/bar", false),
            ("", "foo%", "foobar", true),
            ("", "*bar", "foo/bar", true),
            ("", "%bar", "foo/bar", false),
            ("", "%*", "foo/bar", true),
            ("", "*%*%", "foo/bar", true),
            ("", "f%o*r", "foo/bar", true),
            ("", "*a*a*", "abca", true),
            ("", "*a*a*", "abc", false),
            ("foo/", "%", "foo/bar", true),
            ("foo/", "%", "bar", false),
            ("foo", "/b%", "foo/bar", true),
            ("", "inbox", "INBOX", true),
            ("", "iNbOx*", "INBOX/a", true),
            ("", "inbox/%", "INBOX/a", true),
            ("", "I%", "INBOX", true),
            ("", "i%x", "INBOX", true),
            ("", "%n%/Foo", "INBOX/Foo", true),
            ("", "%n%/foo", "INBOX/Foo", false),
            ("", "inbox%", "inboxes", true),
            ("", "INBOX%", "inboxes", false),
            ("", "inboxes", "inboxes", true),
            ("", "Foo", "foo", false),
            ("", "ü%", "übung", true),
            ("", "ü%", "ubung", false),
        ] {
            assert_eq!(Pattern::new(reference, pattern).matches(name), expected, "{reference} {pattern} {name}");
        }
    }

    #[test]
    fn many_wildcards_cost_no_more_than_their_number() {
        let pattern = Pattern::new("", &"*a".repeat(200));
        assert!(pattern.matches(&"a".repeat(200)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(2000))));
        assert!(!Pattern::new("", &"%a".repeat(100)).matches(&"a/".repeat(1000)));
    }

    #[test]
    fn list_tells_children_and_levels_that_are_no_mailboxes() {
        let names = ["INBOX", "foo", "foo-x", "foo/bar", "zap", "zap/a/b"];
        let mut names: Vec<_> =
            names.iter().map(|name| Listed { name: (*name).into(), selectable: *name != "zap" }).collect();
        names.push(Listed { name: "zap/a".into(), selectable: false });
        let told = |pattern: &str| -> Vec<_> {
            list(&Pattern::new("", pattern), &names)
                .into_iter()
                .map(|line| (line.name, line.selectable, line.children.unwrap()))
                .collect()
        };
        let line = |name: &str, selectable, children| (name.to_owned(), selectable, children);
        assert_eq!(
            told("%"),
            [line("INBOX", true, false), line("foo", true, true), line("foo-x", true, false), line("zap", false, true)]
        );
        assert_eq!(told("zap/%"), [line("zap/a", false, true)]);
    }

    #[test]
    fn lsub_with_a_level_wildcard_tells_what_is_above() {
        let names: BTreeSet<String> = ["foo/bar", "foo/baz", "zap", "a/b/c"].map(String::from).into();
        let told = |pattern: &str| -> Vec<_> {
            subscribed(&Pattern::new("", pattern), &names)
                .into_iter()
                .map(|line| (line.name, line.selectable))
                .collect()
        };
        let line = |name: &str, selectable| (name.to_owned(), selectable);
        assert_eq!(told("%"), [line("a", false), line("foo", false), line("zap", true)]);
        assert_eq!(told("a/%"), [line("a/b", false)]);
        assert_eq!(told("foo/*"), [line("foo/bar", true), line("foo/baz", true)]);
        assert_eq!(told("*"), [line("a/b/c", true), line("foo/bar", true), line("foo/baz", true), line("zap", true)]);
    }
}
