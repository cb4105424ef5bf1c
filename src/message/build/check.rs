//! What may be written: nothing that a caller passes in can end a field, a line or a header.

use std::borrow::Cow;

use bytes::Bytes;

use super::body::forbidden;
use super::part::{Content, NewPart};
use super::{BuildError, Extra, Value};
use crate::address::{is_atext, is_dot_string, is_plain_mailbox};
use crate::message::fold::Fold;
use crate::message::{Field, Message};
use crate::text::charset;

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
#[inline]
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
    // Nearly all look like an address.
    if is_plain_mailbox(id) && (utf8 || id.is_ascii()) {
        return Ok(());
    }
    value(field, id)?;
    if !utf8 && !id.is_ascii() {
        return Err(BuildError::NeedsUtf8 { field: field.to_owned() });
    }
    // no-fold-literal = "[" *dtext "]"
    let literal = |text: &str| {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        inner.is_some_and(|inner| inner.bytes().all(|octet| matches!(octet, 33..=90 | 94..=126)))
    };
    let at = id.bytes().position(|octet| octet == b'@');
    match at.and_then(|at| Some((id.get(..at)?, id.get(at + 1..)?))) {
        Some((left, right)) if is_dot_string(left) && (is_dot_string(right) || literal(right)) => Ok(()),
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
    let sound = |octet: u8| {
        (octet.is_ascii_graphic() || octet >= 0x80) && !matches!(octet, b'<' | b'>' | b'(' | b')' | b'\\' | b'"')
    };
    if id.is_empty() || !id.bytes().all(sound) {
        return Err(BuildError::Id { field: field.to_owned() });
    }
    Ok(())
}

/// Parameters of Content-Type that say what is not so: another charset than that of the text, and a name that is not that
/// of the file, of which readers take the one or the other.
pub(super) fn params(part: &NewPart<'_>) -> Result<(), BuildError> {
    let find =
        |name: &str| part.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    if let (Content::Text(text), Some(label)) = (&part.content, find("charset"))
        && charset::decode(label, text.as_bytes()) != *text
    {
        return Err(BuildError::Charset);
    }
    if let (Some(name), Some(filename)) = (find("name"), &part.filename)
        && name != filename
    {
        return Err(BuildError::Param { field: "Content-Type".to_owned() });
    }
    Ok(())
}

/// RFC 2369 §2: "There MUST be no more than one of each field present in any given message."
pub(super) fn list_fields(fields: &[Extra<'_>]) -> Result<(), BuildError> {
    let mut known: Vec<&str> = Vec::new();
    for Extra { name, .. } in fields {
        if !name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("list-")) {
            continue;
        }
        if known.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(BuildError::Repeated { field: name.to_string() });
        }
        known.push(name);
    }
    Ok(())
}

/// URIs that can stand in angle brackets, as RFC 2369 §2 asks for: ASCII without white space; at least one.
pub(super) fn uris(field: &str, uris: &[Cow<'_, str>]) -> Result<(), BuildError> {
    uris.iter().try_for_each(|uri| value(field, uri))?;
    if !uris.is_empty() && uris.iter().all(|uri| is_uri(uri)) {
        return Ok(());
    }
    Err(BuildError::Uri { field: field.to_owned() })
}

fn is_uri(uri: &str) -> bool {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    // RFC 3986 §3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
        && uri.bytes().all(|octet| octet.is_ascii_graphic() && !b"<>\"".contains(&octet))
}

/// RFC 8058 §3.1: with List-Unsubscribe-Post, List-Unsubscribe "MUST contain one HTTPS URI. It MAY contain other non-HTTP/S
/// URIs".
pub(super) fn one_click(fields: &[Extra<'_>]) -> Result<(), BuildError> {
    let find = |name: &str| fields.iter().find(|extra| extra.name.eq_ignore_ascii_case(name));
    if find("List-Unsubscribe-Post").is_none() {
        return Ok(());
    }
    let field = "List-Unsubscribe";
    let Some(Extra { value: Value::Uris(uris), .. }) = find(field) else { return Ok(()) };
    let scheme = |uri: &str, scheme: &str| uri.get(..scheme.len()).is_some_and(|own| own.eq_ignore_ascii_case(scheme));
    let https = uris.iter().filter(|uri| scheme(uri, "https:")).count();
    if https == 1 && !uris.iter().any(|uri| scheme(uri, "http:")) {
        return Ok(());
    }
    Err(BuildError::Uri { field: field.to_owned() })
}

/// `list-id = list-label "." list-id-namespace` (RFC 2919 §3)
pub(super) fn list_id(field: &str, id: &str) -> Result<(), BuildError> {
    value(field, id)?;
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(|octet| octet < 0x80 && is_atext(octet));
    if id.contains('.') && id.len() <= 255 && id.split('.').all(atom) {
        return Ok(());
    }
    Err(BuildError::Id { field: field.to_owned() })
}

/// A header of nothing but `Content-` fields, and the blank line that ends it.
pub(super) fn ready(octets: &Bytes) -> Result<(), BuildError> {
    let message = Message::parse(octets.clone());
    let header = message.root();
    let ended = header.raw_header().len() > message.header().raw().len();
    let content = |field: Field<'_>| field.name().get(..8).is_some_and(|name| name.eq_ignore_ascii_case("content-"));
    if ended && message.header().fields().all(content) { Ok(()) } else { Err(BuildError::Ready) }
}

/// Ends a field.
pub(super) fn fits(fold: Fold<'_>, field: &str) -> Result<(), BuildError> {
    if fold.end() { Ok(()) } else { Err(BuildError::TooLong { field: field.to_owned() }) }
}
