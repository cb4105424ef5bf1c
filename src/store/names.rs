//! Names of mailboxes, as every store checks them (RFC 9051 §5.1).

use std::cmp::Ordering;

use super::StoreError;

/// The name of the mailbox that always exists.
pub(crate) const INBOX: &str = "INBOX";
/// The most octets in a name. Longer ones fit no command line of a client.
const MAX_NAME: usize = 1000;
/// The most levels in a name.
const MAX_LEVELS: usize = 64;

/// The name as it is kept: a first level of `inbox` in any case is `INBOX`.
pub(crate) fn canonical(name: &str) -> Result<String, StoreError> {
    if name.is_empty() || name.split('/').any(str::is_empty) {
        return Err(StoreError::BadName("a level of it is empty"));
    }
    // RFC 9051 §5.1: Net-Unicode, which has no control characters (RFC 5198 §2).
    if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(StoreError::BadName("it holds a control character"));
    }
    if name.len() > MAX_NAME || name.split('/').count() > MAX_LEVELS {
        return Err(StoreError::BadName("it is too long"));
    }
    let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    Ok(if first.eq_ignore_ascii_case(INBOX) { format!("{INBOX}{rest}") } else { name.to_owned() })
}

/// Whether `name` is on a level below `above`.
pub(crate) fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// The levels above a name, the nearest first.
pub(crate) fn above(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rsplit_once('/').map(|(above, _)| above)).skip(1)
}

/// `INBOX` first, then by their octets.
pub(crate) fn order(a: &str, b: &str) -> Ordering {
    (a != INBOX).cmp(&(b != INBOX)).then_with(|| a.cmp(b))
}

/// The rules of renaming that are the same for each store, on canonical names.
pub(crate) fn check_rename(from: &str, to: &str) -> Result<(), StoreError> {
    if to == INBOX || from == to {
        return Err(StoreError::Exists);
    }
    if from != INBOX && is_below(to, from) {
        return Err(StoreError::BadName("it is below the mailbox itself"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_inbox_is_one() {
        for (name, expected) in
            [("inBox", "INBOX"), ("Inbox/a", "INBOX/a"), ("inboxes", "inboxes"), ("a/inbox", "a/inbox"), ("..", "..")]
        {
            assert_eq!(canonical(name).unwrap(), expected);
        }
        let long = "x".repeat(1001);
        let deep = "x/".repeat(64) + "x";
        for bad in ["", "/", "a/", "/a", "a//b", "a\0", "a\r\nb", "\u{85}", long.as_str(), deep.as_str()] {
            assert!(matches!(canonical(bad), Err(StoreError::BadName(_))), "{bad:?}");
        }
    }

    #[test]
    fn levels_are_counted_from_the_nearest() {
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert!(is_below("a/b", "a") && !is_below("ab", "a") && !is_below("a", "a"));
    }
}
