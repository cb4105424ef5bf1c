//! ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 §7.5.2, RFC 3501 §7.4.2), written as they stand in a FETCH response.
//!
//! Parts are walked over with a list of what is still to be written, so their depth costs no stack.

use std::borrow::Cow;

use crate::address::{Entry, Mailbox};
use crate::message::{Header, Message, Part};

/// Whether extension data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `BODY`
    Basic,
    /// `BODYSTRUCTURE`
    Extended,
}

/// `envelope`
pub(crate) fn envelope(header: Header<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_envelope(header, &mut out);
    out
}

/// `body` of the whole message.
pub(crate) fn body(message: &Message, form: Form) -> Vec<u8> {
    enum Todo<'a> {
        Part(Part<'a>),
        /// What follows the parts of a multipart.
        EndOfMultipart(Part<'a>),
        /// What follows the structure of an embedded message.
        EndOfMessage(Part<'a>),
    }
    let mut out = Vec::new();
    let mut todo = vec![Todo::Part(message.root())];
    while let Some(next) = todo.pop() {
        match next {
            Todo::Part(part) if part.is_multipart() => {
                out.push(b'(');
                let first = todo.len();
                todo.push(Todo::EndOfMultipart(part));
                todo.extend(part.children().map(Todo::Part));
                // What is pushed last is written first.
                if let Some(children) = todo.get_mut(first + 1..) {
                    children.reverse();
                    if children.is_empty() {
                        // body-type-mpart = 1*body SP media-subtype: there must be one.
                        out.extend_from_slice(NOTHING);
                    }
                }
            }
            Todo::EndOfMultipart(part) => {
                let content_type = part.content_type();
                out.push(b' ');
                string(content_type.subtype().to_ascii_uppercase().as_bytes(), &mut out);
                if form == Form::Extended {
                    // body-ext-mpart = body-fld-param [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]
                    out.push(b' ');
                    parameters(content_type.params().raw(), &mut out);
                    extension(part, &mut out);
                }
                out.push(b')');
            }
            Todo::Part(part) => {
                out.push(b'(');
                let content_type = part.content_type();
                basic(part, &mut out);
                if content_type.is("message", "rfc822") || content_type.is("message", "global") {
                    out.push(b' ');
                    todo.push(Todo::EndOfMessage(part));
                    match part.embedded() {
                        Some(message) => {
                            write_envelope(message.header(), &mut out);
                            out.push(b' ');
                            todo.push(Todo::Part(message));
                        }
                        // It was not looked into: too deep, or encoded. The grammar asks for a structure all the same.
                        None => {
                            out.extend_from_slice(b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ");
                            out.extend_from_slice(NOTHING);
                        }
                    }
                    continue;
                }
                if content_type.kind() == "text" {
                    number(part.lines(), &mut out);
                }
                end_of_part(part, form, &mut out);
            }
            Todo::EndOfMessage(part) => {
                number(part.lines(), &mut out);
                end_of_part(part, form, &mut out);
            }
        }
    }
    out
}

/// The structure of an empty text, for where there must be a part and is none.
const NOTHING: &[u8] = br#"("TEXT" "PLAIN" ("charset" "us-ascii") NIL NIL "7BIT" 0 0)"#;

/// `"(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc SP
/// env-in-reply-to SP env-message-id ")"`
fn write_envelope(header: Header<'_>, out: &mut Vec<u8>) {
    let first = |name| header.get(name).map(|field| field.unfolded());
    out.push(b'(');
    nstring(first("date"), out);
    out.push(b' ');
    nstring(first("subject"), out);
    let one = |name| header.get(name).map(|field| field.addresses()).unwrap_or_default();
    // RFC 5322 §4.5.3: several fields of destination addresses are taken as one.
    let every = |name| header.all(name).flat_map(|field| field.addresses()).collect::<Vec<_>>();
    let from = one("from");
    // RFC 3501 §7.4.2: "If the Sender or Reply-To lines are absent in the [RFC-2822] header, or are present but empty, the
    // server sets the corresponding member of the envelope to be the same value as the from member".
    let or_from = |name| Some(one(name)).filter(|addresses| !addresses.is_empty()).unwrap_or_else(|| from.clone());
    for addresses in [from.clone(), or_from("sender"), or_from("reply-to"), every("to"), every("cc"), every("bcc")] {
        out.push(b' ');
        address_list(&addresses, out);
    }
    for name in ["in-reply-to", "message-id"] {
        out.push(b' ');
        // RFC 3501 §7.4.2: these "can not be the empty string".
        nstring(first(name).filter(|value| !value.is_empty()), out);
    }
    out.push(b')');
}

/// `"(" 1*address ")" / nil`
fn address_list(entries: &[Entry<'_>], out: &mut Vec<u8>) {
    if entries.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for entry in entries {
        match entry {
            Entry::Mailbox(mailbox) => address(mailbox, out),
            // RFC 3501 §7.4.2: "[RFC-2822] group syntax is indicated by a special form of address structure in which the
            // host name field is NIL. If the mailbox name field is also NIL, this is an end of group marker".
            Entry::Group(group) => {
                out.extend_from_slice(b"(NIL NIL ");
                string(&group.raw_name, out);
                out.extend_from_slice(b" NIL)");
                group.members.iter().for_each(|member| address(member, out));
                out.extend_from_slice(b"(NIL NIL NIL NIL)");
            }
        }
    }
    out.push(b')');
}

/// `"(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"`. What has no domain is written with an empty host: NIL would
/// begin a group.
fn address(mailbox: &Mailbox<'_>, out: &mut Vec<u8>) {
    out.push(b'(');
    nstring(mailbox.raw_name().filter(|name| !name.is_empty()), out);
    out.push(b' ');
    nstring(mailbox.route().filter(|route| !route.is_empty()).map(str::as_bytes), out);
    out.push(b' ');
    string(mailbox.local().as_bytes(), out);
    out.push(b' ');
    string(mailbox.domain().unwrap_or_default().as_bytes(), out);
    out.push(b')');
}

/// `media-basic SP body-fields`, where `body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP
/// body-fld-octets`
fn basic(part: Part<'_>, out: &mut Vec<u8>) {
    let content_type = part.content_type();
    string(content_type.kind().to_ascii_uppercase().as_bytes(), out);
    out.push(b' ');
    string(content_type.subtype().to_ascii_uppercase().as_bytes(), out);
    out.push(b' ');
    // RFC 2046 §4.1.2: a text that names no charset is in US-ASCII. Clients are told so outright.
    let unnamed = content_type.kind() == "text" && content_type.charset().is_none();
    let default = unnamed.then_some(("charset", &b"us-ascii"[..]));
    parameters(content_type.params().raw().chain(default), out);
    for name in ["content-id", "content-description"] {
        out.push(b' ');
        nstring(part.header().get(name).map(|field| field.unfolded()), out);
    }
    out.push(b' ');
    string(part.encoding().to_string().to_ascii_uppercase().as_bytes(), out);
    number(part.raw_body().len(), out);
}

/// `[SP body-ext-1part] ")"`, where `body-ext-1part = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]`
fn end_of_part(part: Part<'_>, form: Form, out: &mut Vec<u8>) {
    if form == Form::Extended {
        out.push(b' ');
        nstring(part.header().get("content-md5").map(|field| field.unfolded()), out);
        extension(part, out);
    }
    out.push(b')');
}

/// `SP body-fld-dsp SP body-fld-lang SP body-fld-loc`
fn extension(part: Part<'_>, out: &mut Vec<u8>) {
    out.push(b' ');
    match part.disposition() {
        Some(disposition) => {
            out.push(b'(');
            string(disposition.kind().as_bytes(), out);
            out.push(b' ');
            parameters(disposition.params().raw(), out);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    languages(part.header().get("content-language").map(|field| field.unfolded()).unwrap_or_default(), out);
    out.push(b' ');
    nstring(part.header().get("content-location").map(|field| location(&field.unfolded())), out);
}

/// `body-fld-loc`: the URI of Content-Location without comments, quotes and the white space of folds (RFC 2557 §4.4.3).
fn location(value: &[u8]) -> Vec<u8> {
    let mut uri = Vec::with_capacity(value.len());
    // How many comments are open; and whether one may begin here, for a URI may hold brackets.
    let (mut depth, mut between, mut quoted_pair) = (0_usize, true, false);
    for octet in value {
        match octet {
            _ if std::mem::take(&mut quoted_pair) => {}
            b'(' if between || depth > 0 => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => quoted_pair = true,
            _ if depth > 0 => {}
            b' ' | b'\t' => between = true,
            b'"' => {}
            _ => {
                uri.push(*octet);
                between = false;
            }
        }
    }
    // A comment without an end is none.
    if depth > 0 { value.to_vec() } else { uri }
}

/// `body-fld-param = "(" string SP string *(SP string SP string) ")" / nil`, as they stand in the field: a client undoes
/// the continuations of RFC 2231 itself.
fn parameters<'a>(all: impl Iterator<Item = (&'a str, &'a [u8])>, out: &mut Vec<u8>) {
    let start = out.len();
    for (name, value) in all {
        out.push(if out.len() == start { b'(' } else { b' ' });
        string(name.as_bytes(), out);
        out.push(b' ');
        string(value, out);
    }
    out.extend_from_slice(if out.len() == start { b"NIL" } else { b")" });
}

/// `body-fld-lang = nstring / "(" string *(SP string) ")"`, out of the list of RFC 3282 §2.
fn languages(value: Cow<'_, [u8]>, out: &mut Vec<u8>) {
    let start = out.len();
    for language in value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii).filter(|word| !word.is_empty()) {
        out.push(if out.len() == start { b'(' } else { b' ' });
        string(language, out);
    }
    out.extend_from_slice(if out.len() == start { b"NIL" } else { b")" });
}

/// `SP number`
fn number(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(" {number}").as_bytes());
}

/// `nstring = string / nil`
fn nstring(octets: Option<impl AsRef<[u8]>>, out: &mut Vec<u8>) {
    match octets {
        Some(octets) => string(octets.as_ref(), out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `string = quoted / literal`. Line ends cannot stand here where they are folds; what else cannot be quoted, 8-bit above
/// all, makes a literal. RFC 3501 §9 allows no NUL at all: it becomes 0x80, as in the contents of messages.
fn string(octets: &[u8], out: &mut Vec<u8>) {
    if octets.iter().all(|octet| matches!(octet, b'\t' | b' '..=b'~')) {
        out.push(b'"');
        for octet in octets {
            if matches!(octet, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*octet);
        }
        out.push(b'"');
        return;
    }
    out.extend_from_slice(format!("{{{}}}\r\n", octets.len()).as_bytes());
    out.extend(octets.iter().map(|octet| if *octet == 0 { 0x80 } else { *octet }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_lose_what_is_not_uri() {
        for (value, expected) in [
            ("http://a.test/b", "http://a.test/b"),
            ("(before) http://a.test/b(c) (after \\) (nested) it)", "http://a.test/b(c)"),
            ("\"ftp://a.test/very/ long/ path\"", "ftp://a.test/very/long/path"),
            ("(open", "(open"),
            ("", ""),
        ] {
            assert_eq!(location(value.as_bytes()), expected.as_bytes(), "{value}");
        }
    }

    #[test]
    fn deep_structures_are_balanced_and_cost_no_stack() {
        let mut message = String::new();
        for n in 0..5000 {
            message += &format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n");
        }
        let message = Message::parse(message);
        for form in [Form::Basic, Form::Extended] {
            let written = body(&message, form);
            let count = |wanted| written.iter().filter(|octet| **octet == wanted).count();
            assert_eq!(count(b'('), count(b')'));
            assert!(count(b'(') > 50);
        }
    }
}
