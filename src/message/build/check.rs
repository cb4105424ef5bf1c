//! What may be written: nothing that a caller passes in can end a field, a line or a header.

use super::BuildError;
use super::body::forbidden;
use crate::address::is_atext;
use crate::message::fold::Fold;

/// Names longer than this would leave no room on their line.
const LONGEST_NAME: usize = 76;

/// Fields that [`Builder`](super::Builder) writes by itself or has a method for.
const OWN: [&str; 12] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "subject",
    "mime-version",
];

/// No CR, LF or NUL.
pub(super) fn value(field: &str, value: &str) -> Result<(), BuildError> {
    match forbidden(value) {
        Some(at) => Err(BuildError::Value { field: field.to_owned(), at }),
        None => Ok(()),
    }
}

/// `field-name = 1*ftext` (RFC 5322 §3.6.8), and none of those that are written anyway.
pub(super) fn field(name: &str) -> Result<(), BuildError> {
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|octet| matches!(octet, 33..=57 | 59..=126)) {
        return Err(BuildError::FieldName);
    }
    let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
    if content || OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(BuildError::Reserved { field: name.to_owned() });
    }
    Ok(())
}

/// RFC 2045 §3: only fields that begin with `Content-` have a meaning in a part.
pub(super) fn part_field(name: &str) -> Result<(), BuildError> {
    let rest = name.get(..8).filter(|start| start.eq_ignore_ascii_case("content-")).and_then(|_| name.get(8..));
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else { return Err(BuildError::FieldName) };
    if name.len() > LONGEST_NAME || !rest.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') {
        return Err(BuildError::FieldName);
    }
    if ["type", "transfer-encoding", "disposition", "id"].iter().any(|own| own.eq_ignore_ascii_case(rest)) {
        return Err(BuildError::Reserved { field: name.to_owned() });
    }
    Ok(())
}

/// `id-left "@" id-right` (RFC 5322 §3.6.4), in the forms that may be generated.
pub(super) fn id(field: &str, id: &str, utf8: bool) -> Result<(), BuildError> {
    value(field, id)?;
    if !utf8 && !id.is_ascii() {
        return Err(BuildError::NeedsUtf8 { field: field.to_owned() });
    }
    let dot_atom = |text: &str| text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext));
    // no-fold-literal = "[" *dtext "]"
    let literal = |text: &str| {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        inner.is_some_and(|inner| inner.bytes().all(|octet| matches!(octet, 33..=90 | 94..=126)))
    };
    match id.split_once('@') {
        Some((left, right)) if dot_atom(left) && (dot_atom(right) || literal(right)) => Ok(()),
        _ => Err(BuildError::Id { field: field.to_owned() }),
    }
}

/// An identifier of somebody else, which has to be repeated as it is: no more than that it stays within its brackets.
pub(super) fn foreign_id(field: &str, id: &str, utf8: bool) -> Result<(), BuildError> {
    value(field, id)?;
    if !utf8 && !id.is_ascii() {
        return Err(BuildError::NeedsUtf8 { field: field.to_owned() });
    }
    // RFC 5322 §3.2.2: a bracket of a comment that is not closed would swallow the rest.
    let sound = |octet: u8| (octet.is_ascii_graphic() || octet >= 0x80) && !b"<>()\\\"".contains(&octet);
    if id.is_empty() || !id.bytes().all(sound) {
        return Err(BuildError::Id { field: field.to_owned() });
    }
    Ok(())
}

/// Ends a field.
pub(super) fn fits(fold: Fold<'_>, field: &str) -> Result<(), BuildError> {
    if fold.end() { Ok(()) } else { Err(BuildError::TooLong { field: field.to_owned() }) }
}
