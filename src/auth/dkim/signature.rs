//! The DKIM-Signature field (RFC 6376 §3.5), read.

use std::ops::Range;

use super::{Algorithm, Canonicalization, Problem};
use crate::address::Domain;
use crate::auth::tags::{self, Tags, base64, number};
use crate::dns::Name;
use crate::text::transfer::hex;

/// How many names `h=` may have. Real signatures name about twenty; each is looked for in the header.
pub const MAX_FIELDS: usize = 500;

/// A signature, as its field says it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// `a=`: how the header is hashed and signed, and the body hashed.
    pub algorithm: Algorithm,
    /// `b=`: the signature.
    pub value: Vec<u8>,
    /// `bh=`: the hash of the body.
    pub body_hash: Vec<u8>,
    /// `c=`, its first half: how the header is made canonical.
    pub header: Canonicalization,
    /// `c=`, its second half: how the body is made canonical.
    pub body: Canonicalization,
    /// `d=`: the domain that answers for the message, in A-labels.
    pub domain: Name,
    /// `h=`, in lower case and without white space.
    fields: String,
    /// `i=`: for whom in the domain, as `[local-part]@domain`; `@` and the domain where the field says nothing.
    pub identity: String,
    /// `l=`: how many octets of the canonical body are signed; all where it is `None`.
    pub length: Option<u64>,
    /// `s=`: which of the domain's keys.
    pub selector: Name,
    /// `t=`: when it was signed, in seconds since 1970.
    pub signed_at: Option<u64>,
    /// `x=`: until when it is good, in seconds since 1970.
    pub expires: Option<u64>,
}

impl Signature {
    /// Reads the value of a DKIM-Signature field.
    ///
    /// # Errors
    /// What is wrong with it (RFC 6376 §6.1.1).
    pub fn parse(value: &[u8]) -> Result<Self, Problem> {
        let tags = Tags::parse(value).map_err(Problem::Syntax)?;
        // RFC 6376 §6.1.1: "Verifiers MUST return PERMFAIL (incompatible version)".
        if tags.get("v").ok_or(Problem::MissingTag("v"))? != b"1" {
            return Err(Problem::Version);
        }
        let mut signature = Self::of(&tags)?;
        // RFC 6376 §3.5: hdr-name *( ":" hdr-name ), and §6.1.1: "Implementers MUST meticulously validate the format and values".
        if tags
            .get("h")
            .is_some_and(|names| names.split(|octet| *octet == b':').any(|name| name.trim_ascii().is_empty()))
        {
            return Err(Problem::BadTag("h"));
        }
        if let Some(identity) = tags.get("i") {
            signature.identity = identity_within(identity, &signature.domain)?;
        }
        Ok(signature)
    }

    /// A signature without what the version and the identity say: that of an ARC-Message-Signature field, where `v=` does
    /// not count and `i=` is another thing (RFC 8617 §4.1.2).
    pub(in crate::auth) fn of(tags: &Tags<'_>) -> Result<Self, Problem> {
        let required = |name: &'static str| tags.get(name).ok_or(Problem::MissingTag(name));
        let algorithm = Algorithm::parse(required("a")?).ok_or(Problem::Algorithm)?;
        let decoded = |name| base64(required(name)?).filter(|octets| !octets.is_empty()).ok_or(Problem::BadTag(name));
        let (value, body_hash) = (decoded("b")?, decoded("bh")?);
        let (header, body) = canonicalizations(tags.get("c"))?;
        let domain = domain_name(required("d")?).ok_or(Problem::BadTag("d"))?;
        let selector = domain_name(required("s")?).ok_or(Problem::BadTag("s"))?;
        let fields = fields(required("h")?)?;
        // RFC 6376 §6.1.1: "If the 'h=' tag does not include the From header field, the Verifier MUST ignore".
        if !fields.split(':').any(|name| name == "from") {
            return Err(Problem::FromNotSigned);
        }
        let identity = ["@", domain.as_str()].concat();
        // RFC 6376 §3.5 "q=": unknown ones are ignored, and one must be known.
        if let Some(queries) = tags.get("q")
            && !queries.split(|octet| *octet == b':').any(|query| query.trim_ascii() == b"dns/txt")
        {
            return Err(Problem::BadTag("q"));
        }
        let digits = |name| tags.get(name).map(|value| number(value).ok_or(Problem::BadTag(name))).transpose();
        let (length, signed_at, expires) = (digits("l")?, digits("t")?, digits("x")?);
        // RFC 6376 §3.5: the value of x= "MUST be greater than the value of the 't=' tag if both are present".
        if signed_at.zip(expires).is_some_and(|(signed_at, expires)| expires <= signed_at) {
            return Err(Problem::BadTag("x"));
        }
        Ok(Self {
            algorithm,
            value,
            body_hash,
            header,
            body,
            domain,
            fields,
            identity,
            length,
            selector,
            signed_at,
            expires,
        })
    }

    /// That of an ARC-Seal field: of a header in its relaxed form, and of no body (RFC 8617 §4.1.3).
    pub(in crate::auth) fn of_seal(tags: &Tags<'_>) -> Result<Self, Problem> {
        let required = |name: &'static str| tags.get(name).ok_or(Problem::MissingTag(name));
        // "the DKIM "h" tag is NOT allowed and, if found, MUST result in a cv status of "fail"".
        if tags.get("h").is_some() {
            return Err(Problem::BadTag("h"));
        }
        let algorithm = Algorithm::parse(required("a")?).ok_or(Problem::Algorithm)?;
        let value = base64(required("b")?).filter(|octets| !octets.is_empty()).ok_or(Problem::BadTag("b"))?;
        let domain = domain_name(required("d")?).ok_or(Problem::BadTag("d"))?;
        let selector = domain_name(required("s")?).ok_or(Problem::BadTag("s"))?;
        let signed_at = tags.get("t").map(|value| number(value).ok_or(Problem::BadTag("t"))).transpose()?;
        Ok(Self {
            algorithm,
            value,
            body_hash: Vec::new(),
            header: Canonicalization::Relaxed,
            body: Canonicalization::Relaxed,
            identity: format!("@{domain}"),
            domain,
            fields: String::new(),
            length: None,
            selector,
            signed_at,
            expires: None,
        })
    }

    /// `h=`: the names of the fields that are signed, in lower case and in their order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.split(':').filter(|name| !name.is_empty())
    }

    /// The name under which the key is kept (RFC 6376 §3.6.2.1); `None` where it would be too long for a name.
    pub fn key_name(&self) -> Option<Name> {
        Name::parse(&[self.selector.as_str(), self.domain.as_str()].join("._domainkey.")).ok()
    }
}

/// Where in a field the value of `b=` stands, which the signature cannot sign (RFC 6376 §3.5): with the white space around
/// it. `raw` is the whole field, which has been read.
pub(in crate::auth) fn signature_span(raw: &[u8]) -> Option<Range<usize>> {
    let colon = memchr::memchr(b':', raw)?;
    let span = tags::span(raw.get(colon + 1..)?, "b")?;
    let end = colon + 1 + span.end;
    // The line end of the field belongs to the field.
    let value = raw.get(..end)?;
    let value = value.strip_suffix(b"\n").map_or(value, |value| value.strip_suffix(b"\r").unwrap_or(value));
    Some(colon + 1 + span.start..value.len().max(colon + 1 + span.start))
}

/// `sig-c-tag`: one name is of the header, and the body is simple then.
fn canonicalizations(value: Option<&[u8]>) -> Result<(Canonicalization, Canonicalization), Problem> {
    let Some(value) = value else { return Ok(Default::default()) };
    let mut names = value.splitn(2, |octet| *octet == b'/').map(Canonicalization::parse);
    match (names.next().flatten(), names.next()) {
        (Some(header), None) => Ok((header, Canonicalization::Simple)),
        (Some(header), Some(Some(body))) => Ok((header, body)),
        _ => Err(Problem::BadTag("c")),
    }
}

/// A name of the DNS, in A-labels also where the field has U-labels (RFC 8616 §3). Selectors may hold labels that no host
/// has, such as `2024_01`.
fn domain_name(value: &[u8]) -> Option<Name> {
    let text = std::str::from_utf8(value).ok()?;
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    if text.bytes().all(plain) {
        return Name::parse(text).ok().filter(|name| !name.is_root());
    }
    match Domain::parse(value).ok()? {
        domain @ Domain::Name(_) => Name::parse(&domain.to_ascii()?).ok(),
        _ => None,
    }
}

/// `sig-h-tag`. Sealers leave a colon at its end, or two in a row; a name that is none signs nothing, and is passed over.
fn fields(value: &[u8]) -> Result<String, Problem> {
    let mut fields = Vec::with_capacity(value.len());
    for (n, name) in value.split(|octet| *octet == b':').enumerate() {
        let name = name.trim_ascii();
        // Without a branch, so that names are looked at many octets at a time.
        let printable = name.iter().fold(true, |printable, octet| printable & octet.is_ascii_graphic());
        if !printable || n == MAX_FIELDS {
            return Err(Problem::BadTag("h"));
        }
        if !fields.is_empty() && !name.is_empty() {
            fields.push(b':');
        }
        fields.extend_from_slice(name);
    }
    if fields.is_empty() {
        return Err(Problem::BadTag("h"));
    }
    fields.make_ascii_lowercase();
    String::from_utf8(fields).map_err(|_| Problem::BadTag("h")) // ASCII, as just seen
}

/// `sig-i-tag`: its domain "MUST be the same as, or a subdomain of, the value of the 'd=' tag".
fn identity_within(value: &[u8], domain: &Name) -> Result<String, Problem> {
    let decoded = unquoted_printable(value).ok_or(Problem::BadTag("i"))?;
    let at = memchr::memrchr(b'@', &decoded).ok_or(Problem::BadTag("i"))?;
    let (local, host) = decoded.split_at(at);
    let host = domain_name(host.get(1..).unwrap_or_default()).ok_or(Problem::BadTag("i"))?;
    if !host.is_within(domain) {
        return Err(Problem::IdentityOutside);
    }
    let local = std::str::from_utf8(local).map_err(|_| Problem::BadTag("i"))?;
    Ok(format!("{local}@{host}"))
}

/// `dkim-quoted-printable` (RFC 6376 §2.11): white space does not count, `=XX` is an octet.
fn unquoted_printable(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut octets = value.iter().filter(|octet| !octet.is_ascii_whitespace());
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'=' => hex(*octets.next()?, *octets.next()?)?,
            octet => *octet,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ParseError;

    const GOOD: &str = "v=1; a=rsa-sha256; d=example.net; s=brisbane; h=From:To; bh=AAAA; b=BBBB";

    #[test]
    fn what_is_left_out_has_its_default() {
        let signature = Signature::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(signature.header, Canonicalization::Simple);
        assert_eq!(signature.body, Canonicalization::Simple);
        assert_eq!(signature.identity, "@example.net");
        assert_eq!(signature.fields().collect::<Vec<_>>(), ["from", "to"]);
        assert_eq!(signature.key_name().unwrap().as_str(), "brisbane._domainkey.example.net");
        assert_eq!((signature.length, signature.signed_at, signature.expires), (None, None, None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |from: &str, to: &str| Signature::parse(GOOD.replace(from, to).as_bytes()).unwrap_err();
        for (from, to, problem) in [
            ("v=1;", "", Problem::MissingTag("v")),
            ("v=1", "v=2", Problem::Version),
            ("rsa-sha256", "rsa-md5", Problem::Algorithm),
            ("d=example.net", "d=", Problem::BadTag("d")),
            ("d=example.net", "d=[192.0.2.1]", Problem::BadTag("d")),
            ("h=From:To", "h=", Problem::BadTag("h")),
            ("h=From:To", "h= : :", Problem::BadTag("h")),
            ("h=From:To", "h=From::To", Problem::BadTag("h")),
            ("h=From:To", "h=From:To: ", Problem::BadTag("h")),
            ("h=From", "h=", Problem::FromNotSigned),
            ("h=From", "h=Fro m", Problem::BadTag("h")),
            ("h=From", "h=Sender", Problem::FromNotSigned),
            ("bh=AAAA", "bh=A*AA", Problem::BadTag("bh")),
            ("b=BBBB", "b=", Problem::BadTag("b")),
            ("b=BBBB", "b=BBBB; c=relaxed/", Problem::BadTag("c")),
            ("b=BBBB", "b=BBBB; i=@example.com", Problem::IdentityOutside),
            ("b=BBBB", "b=BBBB; i=@notexample.net", Problem::IdentityOutside),
            ("b=BBBB", "b=BBBB; i=example.net", Problem::BadTag("i")),
            ("b=BBBB", "b=BBBB; l=-1", Problem::BadTag("l")),
            ("b=BBBB", "b=BBBB; t=5; x=5", Problem::BadTag("x")),
            ("b=BBBB", "b=BBBB; q=http", Problem::BadTag("q")),
            ("b=BBBB", "b=BBBB; b=BBBB", Problem::Syntax(ParseError { expected: "another tag", at: 73 })),
        ] {
            assert_eq!(with(from, to), problem, "{to}");
        }
    }

    #[test]
    fn what_may_be_odd_is_read() {
        let with = |more: &str| Signature::parse(format!("{GOOD};{more}").as_bytes()).unwrap();
        assert_eq!(with(" c = relaxed ").header, Canonicalization::Relaxed);
        assert_eq!(with("c=relaxed/relaxed").body, Canonicalization::Relaxed);
        assert_eq!(with("i=joe=3Da@Mail.example.net").identity, "joe=a@mail.example.net");
        assert_eq!(with("q=x : dns/txt").length, None);
        assert_eq!(with("l=0").length, Some(0));
        assert_eq!(with("unknown=1").expires, None);
        // In the signatures of ARC sets.
        let colons = GOOD.replace("h=From:To", "h=:From: :To:");
        let colons = Signature::of(&Tags::parse(colons.as_bytes()).unwrap()).unwrap();
        assert_eq!(colons.fields().collect::<Vec<_>>(), ["from", "to"]);
        let utf8 = Signature::parse(GOOD.replace("example.net", "bücher.example").as_bytes()).unwrap();
        assert_eq!(utf8.domain.as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn the_value_of_b_is_found() {
        for (raw, expected) in [
            ("DKIM-Signature: a=1; b=\r\n XX\r\n YY ; c=2\r\n", "\r\n XX\r\n YY "),
            ("DKIM-Signature: a=1; b=XX\r\n YY\r\n", "XX\r\n YY"),
            ("DKIM-Signature: a=1; bh=b; b=\r\n", ""),
            ("DKIM-Signature: b =x", "x"),
        ] {
            let span = signature_span(raw.as_bytes()).unwrap();
            assert_eq!(&raw[span], expected);
        }
    }
}
