//! SASLprep (RFC 4013): names and passwords that look the same become the same octets.

use std::borrow::Cow;

use crate::base::Secret;

/// A name that is looked up (a "query": unassigned code points are let pass); `None` where it holds what no name may, or
/// nothing is left of it.
pub(super) fn name(text: &str) -> Option<Cow<'_, str>> {
    stringprep::saslprep(text).ok().filter(|name| !name.is_empty())
}

/// A password. One that is not UTF-8, or holds what SASLprep forbids, is taken as it is: refusing it would lock out whoever
/// has it, and both sides of an exchange still agree on its octets.
pub(super) fn password(password: &Secret) -> Secret {
    let prepared = std::str::from_utf8(password.expose()).ok().and_then(|text| stringprep::saslprep(text).ok());
    match prepared {
        Some(Cow::Owned(text)) if !text.is_empty() => Secret::from(text),
        _ => password.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_prepared() {
        // RFC 4013 §3
        for (input, expected) in [
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}\u{31}", None),
            ("\u{ad}", None),
            ("a\u{a0}b", Some("a b")),
        ] {
            assert_eq!(name(input).as_deref(), expected, "{input:?}");
            let kept = Secret::from(expected.unwrap_or(input));
            assert_eq!(password(&Secret::from(input)), kept, "{input:?}");
        }
        assert_eq!(password(&Secret::from(&b"\xff"[..])), Secret::from(&b"\xff"[..]));
    }
}
