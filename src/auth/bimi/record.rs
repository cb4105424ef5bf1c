//! What a domain publishes and a message asks for: the record, and the field that says which record (§§4.3, 5.1).

use bytes::Bytes;

use super::Problem;
use crate::auth::tags::Tags;
use crate::auth::{dkim, dmarc};
use crate::dns::Name;
use crate::message::Header;

/// How long a record may be; longer ones are as none. Real ones have up to about 300 octets.
pub const MAX_RECORD: usize = 4096;

/// A record (§4.3).
///
/// ```
/// use facteur::auth::bimi::Record;
///
/// let record = Record::parse(b"v=BIMI1; l=https://example.org/logo.svg; avp=personal;").unwrap()?;
/// assert_eq!(record.location.as_deref(), Some("https://example.org/logo.svg"));
/// assert!(record.prefers_avatar && record.evidence.is_none());
/// assert!(Record::parse(b"v=spf1 -all").is_none());
/// # Ok::<(), facteur::auth::bimi::Problem>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// `l`: where the picture is; `None` where it is empty.
    pub location: Option<String>,
    /// `a`: where the evidence is that it is the domain's; `None` where there is none.
    pub evidence: Option<String>,
    /// `avp=personal`: where the sender has a picture of its own that is shown instead.
    pub prefers_avatar: bool,
    /// The record as it stands in the DNS.
    pub text: Bytes,
}

impl Record {
    /// Reads a record; `None` where it does not begin with the version, and so is another kind of record.
    ///
    /// # Errors
    /// What is wrong with it: "Mail receivers MUST NOT attempt to fix syntactical or capitalization errors."
    pub fn parse(text: &[u8]) -> Option<Result<Self, Problem>> {
        // bimi-version = "v" *WSP "=" *WSP "BIMI1"
        let (first, _) = text.split_at(memchr::memchr(b';', text).unwrap_or(text.len()));
        let value = first.trim_ascii().strip_prefix(b"v")?.trim_ascii_start().strip_prefix(b"=")?;
        (value.trim_ascii() == b"BIMI1").then(|| Self::read(text))
    }

    fn read(text: &[u8]) -> Result<Self, Problem> {
        if text.len() > MAX_RECORD {
            return Err(Problem::Syntax);
        }
        let tags = Tags::parse(text).map_err(|_| Problem::Syntax)?;
        let uri = |value: &[u8], tag| match value {
            b"" => Ok(None),
            uri => https(uri).map(Some).ok_or(Problem::BadUri(tag)),
        };
        Ok(Self {
            location: uri(tags.get("l").ok_or(Problem::NoLocation)?, "l")?,
            evidence: uri(tags.get("a").unwrap_or_default(), "a")?,
            prefers_avatar: tags.get("avp") == Some(b"personal"),
            text: Bytes::copy_from_slice(text),
        })
    }

    /// §4.3.1: "If both the "l=" and "a=" tags are empty, it is an explicit refusal to participate".
    pub fn declines(&self) -> bool {
        self.location.is_none() && self.evidence.is_none()
    }
}

/// A URI of https with a name of the DNS that has at least two labels; "commas within a URI [...] MUST be encoded".
fn https(uri: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(uri).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let name = Name::parse(host).ok()?;
    let is_host = host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet));
    let is_uri = text.bytes().all(|octet| octet.is_ascii_graphic() && !b"\"<>\\^`{|},;".contains(&octet));
    let fits = scheme.eq_ignore_ascii_case("https") && is_host && is_uri && name.labels().count() > 1;
    fits.then(|| text.to_owned())
}

/// The selector that a message names in its BIMI-Selector field (§5.1), where the field is signed by one of `dkim` that passes and
/// is of the author's organization (§5.5: "If it is not included in the DMARC-compliant DKIM signature, the header SHOULD be
/// ignored"). `None` stands for `default`.
pub fn selector(header: Header<'_>, dkim: &[dkim::Verdict], dmarc: &dmarc::Verdict) -> Option<Name> {
    let mut fields = header.all("BIMI-Selector");
    // Of several nobody knows which one is meant.
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let signs = |verdict: &dkim::Verdict| {
        let Some(signature) = verdict.signature.as_ref().filter(|_| verdict.outcome == dkim::Outcome::Pass) else {
            return false;
        };
        let aligned =
            |one: &dmarc::Identifier| one.mechanism == dmarc::Mechanism::Dkim && one.domain == signature.domain;
        !verdict.testing
            && dmarc.aligned.iter().any(aligned)
            && signature.fields().any(|name| name.eq_ignore_ascii_case("bimi-selector"))
    };
    if !dkim.iter().any(signs) {
        return None;
    }
    let tags = Tags::parse(field.value()).ok()?;
    // "It MUST be the first tag in the list."
    let is_first = tags.iter().next() == Some((&b"v"[..], &b"BIMI1"[..]));
    let selector = std::str::from_utf8(tags.get("s")?).ok().filter(|_| is_first)?;
    // selector = sub-domain *( "." sub-domain )
    let sound = |label: &str| {
        let letters = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        letters && !label.starts_with('-') && !label.ends_with('-')
    };
    Name::parse(selector).ok().filter(|name| !name.is_root() && name.labels().all(sound))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::bimi::Outcome;
    use crate::auth::{Check, Config, Session};
    use crate::base::Timestamp;
    use crate::dns::Zone;
    use crate::message::Message;
    use crate::smtp::ReversePath;

    #[test]
    fn records_are_read_to_the_letter() {
        let record = |text: &str| Record::parse(text.as_bytes());
        let good = record("v = BIMI1;l=https://x.example/a.svg;a=https://x.example/b.pem;x=y").unwrap().unwrap();
        assert_eq!(good.evidence.as_deref(), Some("https://x.example/b.pem"));
        assert!(!good.prefers_avatar && !good.declines());
        assert!(record("v=BIMI1; l=; a=;").unwrap().unwrap().declines());
        for (text, problem) in [
            ("v=BIMI1", Problem::NoLocation),
            ("v=BIMI1; L=https://x.example/", Problem::NoLocation),
            ("v=BIMI1; l=http://x.example/a.svg", Problem::BadUri("l")),
            ("v=BIMI1; l=https://x/a.svg", Problem::BadUri("l")),
            ("v=BIMI1; l=https://x.example/a,b", Problem::BadUri("l")),
            ("v=BIMI1; l=; a=ftp://x.example/", Problem::BadUri("a")),
            ("v=BIMI1; l=; l=", Problem::Syntax),
            ("v=BIMI1; l", Problem::Syntax),
        ] {
            assert_eq!(record(text), Some(Err(problem)), "{text}");
        }
        for text in ["", "v=BIMI2; l=", "v=bimi1; l=", "l=; v=BIMI1", "v=DMARC1; p=none"] {
            assert_eq!(record(text), None, "{text}");
        }
    }

    #[test]
    fn a_selector_counts_where_the_domain_signed_it() {
        let key = dkim::SigningKey::generate_ed25519().unwrap();
        let zone: Zone = format!(
            "s._domainkey.example.org TXT \"{}\"\n_dmarc.example.org TXT \"v=DMARC1; p=reject\"\n\
             brand._bimi.example.org TXT \"v=BIMI1; l=https://x.example/a\"\n",
            key.record()
        )
        .parse()
        .unwrap();
        let mut signer = dkim::Signer::new("example.org".parse().unwrap(), "s".parse().unwrap(), key);
        let now = Timestamp::from_unix(1_790_000_000);
        let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Null);
        let message = Message::parse("From: ada@example.org\r\nBIMI-Selector: v=BIMI1; s=Brand;\r\n\r\nLunch?\r\n");
        let config = Config { bimi: true, ..Config::default() };
        for (field, outcome, selector) in
            [("BIMI-Selector", Outcome::Pass, "brand"), ("Subject", Outcome::None, "default")]
        {
            signer.fields = vec!["From".to_owned(), field.to_owned()];
            let signed = dkim::sign(&message, std::slice::from_ref(&signer), now).unwrap();
            let signed = Message::parse([signed.as_bytes(), message.raw()].concat());
            let report = zone.ask(Check::with(&session, &signed, now, &config));
            let verdict = report.bimi.as_ref().unwrap();
            assert_eq!((verdict.outcome, verdict.selector.as_str()), (outcome, selector));
            let expected = match outcome {
                Outcome::Pass => {
                    "\tbimi=pass header.d=example.org header.selector=brand\r\n\t  \
                     policy.authority=none policy.indicator-uri=\"https://x.example/a\""
                }
                _ => "\tbimi=none",
            };
            let header = report.header("mx.test").to_string();
            assert!(header.ends_with(expected), "{header}");
        }
    }
}
