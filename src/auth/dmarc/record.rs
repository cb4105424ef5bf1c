//! The policy record (RFC 9989 §§4.7 and 4.8; RFC 7489 §6.3).
//!
//! What is wrong in a record is passed over in favour of its default, as RFC 9989 §4.8 wants; only the version and the policies
//! are looked at closely.

use bytes::Bytes;

use super::Policy;

/// How long a record may be; longer ones are as no record. Real ones have up to about 500 octets.
pub const MAX_RECORD: usize = 16 * 1024;
/// How many addresses for reports of one kind are read; RFC 7489 §6.3 lets a reporter stop after two.
pub const MAX_URIS: usize = 20;

/// A record.
///
/// ```
/// use facteur::auth::dmarc::{Policy, Record};
///
/// let record = Record::parse(b"v=DMARC1; p=reject; sp=quarantine; rua=mailto:dmarc@example.org!10m").expect("a record");
/// assert_eq!(record.policy, Some(Policy::Reject));
/// assert_eq!(record.reports[0].limit, Some(10 * 1024 * 1024));
/// assert!(Record::parse(b"v=spf1 -all").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The record as it stands in the DNS.
    pub text: Bytes,
    /// `p`; `None` where there is none, or a policy of the record is none, and the record has no address for reports: then
    /// DMARC is not applied (RFC 9989 §4.10.1).
    pub policy: Option<Policy>,
    /// `sp`: for subdomains.
    pub subdomains: Option<Policy>,
    /// `np`: for subdomains that do not exist.
    pub nonexistent: Option<Policy>,
    /// `psd`: whether the domain is a public suffix; `false` says too that it is the organization's.
    pub suffix: Option<bool>,
    /// `t=y`: the policy is being tested, and one level less is to be applied.
    pub testing: bool,
    /// `adkim=s`: the domain of DKIM must be that of the author itself.
    pub strict_dkim: bool,
    /// `aspf=s`: the domain of SPF must be that of the author itself.
    pub strict_spf: bool,
    /// `fo`: when a failure report is wanted, as the record says it: `0`, `1`, `d`, `s`, with colons between them. Default
    /// `0`.
    pub failure_options: String,
    /// `rua`: where aggregate reports are sent.
    pub reports: Vec<Uri>,
    /// `ruf`: where failure reports are sent.
    pub failures: Vec<Uri>,
}

/// An address for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uri {
    /// `mailto:` and an address, or another URI.
    pub uri: String,
    /// How many octets a report there may have; RFC 9989 §4.8 leaves it to be ignored.
    pub limit: Option<u64>,
}

impl Record {
    /// Reads a record; `None` where the text is none.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_RECORD {
            return None;
        }
        // dmarc-record = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep]
        let mut tags = text.split(|octet| *octet == b';').map(tag);
        // dmarc-version = "v" equals %s"DMARC1"
        let (name, version) = tags.next()??;
        if !name.eq_ignore_ascii_case(b"v") || version != b"DMARC1" {
            return None;
        }
        let tags: Vec<(&[u8], &[u8])> = tags.flatten().collect();
        // Of several with a name the first counts.
        let get = |wanted: &str| {
            let (_, value) = tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))?;
            Some(*value)
        };
        let is = |name, wanted: &str| get(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted.as_bytes()));
        let policy = |name| get(name).map(Policy::parse);
        let reports = get("rua").map(uris).unwrap_or_default();
        let (domain, subdomains, nonexistent) = (policy("p"), policy("sp"), policy("np"));
        // RFC 9989 §4.10.1: without a valid "p", or with an "sp" or "np" that is not valid, the record is as "p=none" where
        // there is an address for reports, and nothing otherwise.
        let sound = matches!(domain, Some(Some(_))) && subdomains != Some(None) && nonexistent != Some(None);
        let (policy, subdomains, nonexistent) = match sound {
            true => (domain.flatten(), subdomains.flatten(), nonexistent.flatten()),
            false => ((!reports.is_empty()).then_some(Policy::None), None, None),
        };
        let options = get("fo").and_then(|value| std::str::from_utf8(value).ok());
        let options = options.filter(|value| value.split(':').all(|one| matches!(one.trim(), "0" | "1" | "d" | "s")));
        Some(Self {
            text: Bytes::copy_from_slice(text),
            policy,
            subdomains,
            nonexistent,
            suffix: if is("psd", "y") { Some(true) } else { is("psd", "n").then_some(false) },
            testing: is("t", "y"),
            strict_dkim: is("adkim", "s"),
            strict_spf: is("aspf", "s"),
            failure_options: options.unwrap_or("0").to_owned(),
            reports,
            failures: get("ruf").map(uris).unwrap_or_default(),
        })
    }
}

/// `dmarc-tag = 1*ALPHA equals 1*dmarc-value`
fn tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = text.split_at(memchr::memchr(b'=', text)?);
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

/// `dmarc-urilist`
fn uris(value: &[u8]) -> Vec<Uri> {
    value.split(|octet| *octet == b',').filter_map(uri).take(MAX_URIS).collect()
}

/// `dmarc-uri / obs-dmarc-uri`
fn uri(text: &[u8]) -> Option<Uri> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    // obs-dmarc-report-size = "!" 1*DIGIT [ "k" / "m" / "g" / "t" ]
    let (uri, size) = match text.rsplit_once('!') {
        Some((uri, size)) => (uri, Some(size)),
        None => (text, None),
    };
    let (scheme, rest) = uri.split_once(':')?;
    let letters = |text: &str| text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet));
    let sound = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && letters(scheme) && !rest.is_empty();
    if !sound || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    // RFC 6068 §2: what is mailed to has an address.
    if scheme.eq_ignore_ascii_case("mailto") && !rest.trim_matches('@').contains('@') {
        return None;
    }
    let limit = size.and_then(|size| {
        let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match size.get(digits.len()..)?.to_ascii_lowercase().as_str() {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(1 << shift)
    });
    Some(Uri { uri: uri.to_owned(), limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_are_records() {
        for (text, expected) in [
            ("v=DMARC1", true),
            ("v=DMARC1;", true),
            ("v = DMARC1 ; p=none", true),
            ("V=DMARC1; p=none", true),
            ("v=dmarc1; p=none", false),
            ("v=DMARC2; p=none", false),
            ("v=DMARC1 p=none", false),
            ("p=none; v=DMARC1", false),
            ("", false),
            ("DMARC1", false),
        ] {
            assert_eq!(Record::parse(text.as_bytes()).is_some(), expected, "{text}");
        }
        assert!(Record::parse(&[&b"v=DMARC1; p="[..], &vec![b'x'; MAX_RECORD]].concat()).is_none());
    }

    #[test]
    fn what_is_wrong_has_its_default() {
        use Policy::{None as Nothing, Quarantine, Reject};
        for (text, policy, subdomains, nonexistent) in [
            ("p=reject", Some(Reject), None, None),
            ("p=Reject; sp=NONE; np=quarantine", Some(Reject), Some(Nothing), Some(Quarantine)),
            (" p = reject ;; sp = none ; x ; =; y=z", Some(Reject), Some(Nothing), None),
            ("p=reject; p=none", Some(Reject), None, None),
            // RFC 9989 §4.10.1
            ("", None, None, None),
            ("p=rejekt", None, None, None),
            ("p=reject; sp=rejekt", None, None, None),
            ("p=reject; np=", None, None, None),
            ("p=rejekt; sp=reject; rua=mailto:a@x.org", Some(Nothing), None, None),
            ("rua=mailto:a@x.org", Some(Nothing), None, None),
            ("p=rejekt; rua=nowhere", None, None, None),
        ] {
            let record = Record::parse(format!("v=DMARC1;{text}").as_bytes()).unwrap();
            assert_eq!(
                (record.policy, record.subdomains, record.nonexistent),
                (policy, subdomains, nonexistent),
                "{text}"
            );
        }
    }

    #[test]
    fn flags_and_addresses_are_read() {
        let text = b"v=DMARC1; p=none; psd=n; t=y; adkim=s; aspf=S; fo=1:d:s; pct=50; ri=3600; rf=afrf; \
                     rua=mailto:a@x.org!50k , https://x.org/r,nothing,mailto:; ruf=mailto:b@x.org!1x";
        let record = Record::parse(text).unwrap();
        assert_eq!(record.suffix, Some(false));
        assert!(record.testing && record.strict_dkim && record.strict_spf);
        assert_eq!(record.failure_options, "1:d:s");
        let reports: Vec<_> = record.reports.iter().map(|uri| (uri.uri.as_str(), uri.limit)).collect();
        assert_eq!(reports, [("mailto:a@x.org", Some(50 * 1024)), ("https://x.org/r", None)]);
        assert_eq!((record.failures[0].uri.as_str(), record.failures[0].limit), ("mailto:b@x.org", None));
        let record = Record::parse(b"v=DMARC1; psd=u; t=x; adkim=x; fo=9; aspf").unwrap();
        assert_eq!((record.suffix, record.testing, record.strict_dkim, record.strict_spf), (None, false, false, false));
        assert_eq!(record.failure_options, "0");
        let many = format!("v=DMARC1; rua={}", "mailto:a@x.org,".repeat(500));
        assert_eq!(Record::parse(many.as_bytes()).unwrap().reports.len(), MAX_URIS);
    }
}
