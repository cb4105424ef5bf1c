//! What a server says it can do: the answer to EHLO (RFC 5321 §4.1.1.1), both ways.

use std::fmt::{self, Write as _};

use super::Reply;
use crate::base::Timestamp;
use crate::base::parse::{is_wsp, number, whole};

/// The extensions of a server.
///
/// ```
/// use facteur::smtp::{Extensions, Reply};
///
/// let reply = Reply::parse(b"250-mx.test\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 1000\r\n")?;
/// let extensions = Extensions::parse(&reply);
/// assert!(extensions.pipelining && !extensions.starttls);
/// assert_eq!(extensions.auth, ["PLAIN", "LOGIN"]);
/// assert_eq!(extensions.size, Some(Some(1000)));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// `PIPELINING` (RFC 2920)
    pub pipelining: bool,
    /// `SIZE` (RFC 1870): `Some(None)` where the server names no limit.
    pub size: Option<Option<u64>>,
    /// `8BITMIME` (RFC 6152)
    pub eight_bit_mime: bool,
    /// `SMTPUTF8` (RFC 6531)
    pub smtputf8: bool,
    /// `ENHANCEDSTATUSCODES` (RFC 2034)
    pub enhanced_status_codes: bool,
    /// `DSN` (RFC 3461)
    pub dsn: bool,
    /// `CHUNKING` (RFC 3030)
    pub chunking: bool,
    /// `BINARYMIME` (RFC 3030)
    pub binary_mime: bool,
    /// `STARTTLS` (RFC 3207)
    pub starttls: bool,
    /// `AUTH` (RFC 4954): the mechanisms in upper case; empty where it was not announced.
    pub auth: Vec<String>,
    /// `DELIVERBY` (RFC 2852): the shortest time in seconds after which a message may have to go back, 0 where none is named.
    pub deliver_by: Option<u32>,
    /// `FUTURERELEASE` (RFC 4865): how long a message may be held.
    pub future_release: Option<FutureRelease>,
    /// `MT-PRIORITY` (RFC 6710): by which policy, empty where none is named.
    pub priority: Option<String>,
    /// `REQUIRETLS` (RFC 8689)
    pub require_tls: bool,
    /// `RRVS` (RFC 7293)
    pub rrvs: bool,
    /// `LIMITS` (RFC 9422)
    pub limits: Option<Limits>,
    /// `NO-SOLICITING` (RFC 3865): which solicitations are not wanted, keywords with commas between them.
    pub no_soliciting: Option<String>,
    /// `CONPERM` (RFC 4141)
    pub conperm: bool,
    /// `CONNEG` (RFC 4141)
    pub conneg: bool,
    /// `SUBMITTER` (RFC 4405)
    pub submitter: bool,
    /// `BURL` (RFC 4468): what URLs, `imap`.
    pub burl: Option<String>,
    /// `ETRN` (RFC 1985)
    pub etrn: bool,
    /// `ATRN` (RFC 2645)
    pub atrn: bool,
    /// `XCLIENT` of Postfix: the attributes with spaces between them.
    pub xclient: Option<String>,
    /// `XFORWARD` of Postfix: the attributes with spaces between them.
    pub xforward: Option<String>,
    /// `VRFY` (RFC 5321)
    pub vrfy: bool,
    /// `EXPN` (RFC 5321)
    pub expn: bool,
    /// `HELP` (RFC 5321)
    pub help: bool,
    /// All others: the keyword in upper case and what follows it.
    pub other: Vec<(String, String)>,
}

/// How long a server holds a message (RFC 4865 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct FutureRelease {
    /// For so many seconds at most, 1 to 999999999.
    pub interval: u32,
    /// Until then at the latest.
    pub until: Timestamp,
}

/// What a server takes in one go (RFC 9422 §4); each from 1 to 999999.
///
/// ```
/// use facteur::smtp::{Extensions, Reply};
///
/// let reply = Reply::parse(b"250-mx.test\r\n250 LIMITS RCPTMAX=20 MAILMAX=5\r\n")?;
/// let limits = Extensions::parse(&reply).limits.unwrap();
/// assert_eq!((limits.recipients, limits.messages, limits.domains), (Some(20), Some(5), None));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// `MAILMAX`: the most MAIL commands of a session.
    pub messages: Option<u32>,
    /// `RCPTMAX`: the most RCPT commands of a message.
    pub recipients: Option<u32>,
    /// `RCPTDOMAINMAX`: the most domains of recipients in a session.
    pub domains: Option<u32>,
}

impl Limits {
    /// Reads `limits-param = limit-name-value 0*[SP limit-name-value]`. RFC 9422 §3.7: where the syntax is broken, or a limit
    /// has no sound value, it counts as not named.
    fn parse(params: &str) -> Self {
        let mut limits = Self::default();
        for limit in params.split(' ') {
            let (name, value) = limit.split_once('=').unwrap_or((limit, ""));
            // limit-value = %x31-39 0*5DIGIT
            let digits = (1..=6).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_digit());
            let value = value.parse().ok().filter(|_| digits && !value.starts_with('0'));
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => limits.messages = value,
                "RCPTMAX" => limits.recipients = value,
                "RCPTDOMAINMAX" => limits.domains = value,
                _ => {}
            }
        }
        limits
    }
}

/// The value of the keyword, without a space before it.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for (name, value) in [("MAILMAX", self.messages), ("RCPTMAX", self.recipients), ("RCPTDOMAINMAX", self.domains)]
        {
            if let Some(value) = value {
                write!(f, "{before}{name}={value}")?;
                before = " ";
            }
        }
        Ok(())
    }
}

impl Extensions {
    /// Reads the answer to EHLO; its first line is the server's name and says nothing here. What is malformed is passed
    /// over: a server that cannot spell an extension does not have it.
    pub fn parse(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines().skip(1) {
            // "AUTH=LOGIN" instead of "AUTH LOGIN" is from drafts of the extension, and still announced next to the true form.
            let at = line.find([' ', '\t', '=']).unwrap_or(line.len());
            let (keyword, params) = line.split_at(at);
            let params = params.get(1..).unwrap_or_default().trim_matches([' ', '\t']);
            extensions.add(&keyword.to_ascii_uppercase(), params);
        }
        extensions
    }

    fn add(&mut self, keyword: &str, params: &str) {
        match keyword {
            "PIPELINING" => self.pipelining = true,
            // RFC 1870 §4: 0, or no number, means no limit. A limit too large for a number is none.
            "SIZE" => self.size = Some(whole(number, params.as_bytes()).ok().filter(|size| *size > 0)),
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "DSN" => self.dsn = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary_mime = true,
            "STARTTLS" => self.starttls = true,
            "AUTH" => {
                for mechanism in params.split(|character: char| character.is_ascii() && is_wsp(character as u8)) {
                    let mechanism = mechanism.to_ascii_uppercase();
                    if !mechanism.is_empty() && !self.auth.contains(&mechanism) {
                        self.auth.push(mechanism);
                    }
                }
            }
            "DELIVERBY" => self.deliver_by = Some(whole(number, params.as_bytes()).unwrap_or(0)),
            "FUTURERELEASE" => self.future_release = future_release(params),
            "MT-PRIORITY" => self.priority = Some(params.to_owned()),
            "REQUIRETLS" => self.require_tls = true,
            "RRVS" => self.rrvs = true,
            "LIMITS" => self.limits = Some(Limits::parse(params)),
            "NO-SOLICITING" => self.no_soliciting = Some(params.to_owned()),
            "CONPERM" => self.conperm = true,
            "CONNEG" => self.conneg = true,
            "SUBMITTER" => self.submitter = true,
            "BURL" => self.burl = Some(params.to_owned()),
            "ETRN" => self.etrn = true,
            "ATRN" => self.atrn = true,
            "XCLIENT" => self.xclient = Some(params.to_owned()),
            "XFORWARD" => self.xforward = Some(params.to_owned()),
            "VRFY" => self.vrfy = true,
            "EXPN" => self.expn = true,
            "HELP" => self.help = true,
            "" => {}
            _ => self.other.push((keyword.to_owned(), params.to_owned())),
        }
    }

    /// The answer to EHLO of the server `name`.
    pub fn reply(&self, name: impl fmt::Display) -> Reply {
        let mut text = String::with_capacity(256); // room for what most servers announce
        let _ = write!(text, "{name}{self}"); // writing to a String cannot fail
        Reply::new(250, None, text)
    }
}

/// Each keyword on a line of its own, after a LF.
impl fmt::Display for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pipelining {
            f.write_str("\nPIPELINING")?;
        }
        match self.size {
            Some(Some(size)) => write!(f, "\nSIZE {size}")?,
            Some(None) => f.write_str("\nSIZE")?,
            None => {}
        }
        for (offered, keyword) in [
            (self.eight_bit_mime, "8BITMIME"),
            (self.smtputf8, "SMTPUTF8"),
            (self.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
            (self.dsn, "DSN"),
            (self.chunking, "CHUNKING"),
            (self.binary_mime, "BINARYMIME"),
            (self.starttls, "STARTTLS"),
        ] {
            if offered {
                write!(f, "\n{keyword}")?;
            }
        }
        if !self.auth.is_empty() {
            write!(f, "\nAUTH {}", self.auth.join(" "))?;
        }
        match self.deliver_by {
            Some(0) => f.write_str("\nDELIVERBY")?,
            Some(least) => write!(f, "\nDELIVERBY {least}")?,
            None => {}
        }
        if let Some(FutureRelease { interval, until }) = self.future_release {
            // RFC 4865 §3: "normalized to Universal Coordinated Time".
            write!(f, "\nFUTURERELEASE {interval} {}", until.at_offset(0).rfc3339())?;
        }
        match self.limits {
            Some(limits) if limits == Limits::default() => f.write_str("\nLIMITS")?,
            Some(limits) => write!(f, "\nLIMITS {limits}")?,
            None => {}
        }
        for (keyword, params) in [
            ("MT-PRIORITY", &self.priority),
            ("NO-SOLICITING", &self.no_soliciting),
            ("BURL", &self.burl),
            ("XCLIENT", &self.xclient),
            ("XFORWARD", &self.xforward),
        ] {
            match params.as_deref() {
                Some("") => write!(f, "\n{keyword}")?,
                Some(params) => write!(f, "\n{keyword} {params}")?,
                None => {}
            }
        }
        for (offered, keyword) in [
            (self.require_tls, "REQUIRETLS"),
            (self.rrvs, "RRVS"),
            (self.conperm, "CONPERM"),
            (self.conneg, "CONNEG"),
            (self.submitter, "SUBMITTER"),
            (self.etrn, "ETRN"),
            (self.atrn, "ATRN"),
            (self.vrfy, "VRFY"),
            (self.expn, "EXPN"),
            (self.help, "HELP"),
        ] {
            if offered {
                f.write_str("\n")?;
                f.write_str(keyword)?;
            }
        }
        for (keyword, params) in &self.other {
            write!(f, "\n{keyword}")?;
            if !params.is_empty() {
                write!(f, " {params}")?;
            }
        }
        Ok(())
    }
}

/// `max-future-release-interval SP max-future-release-date-time` (RFC 4865 §3); `None` where it is broken.
fn future_release(params: &str) -> Option<FutureRelease> {
    let (interval, until) = params.split_once(' ')?;
    let interval = whole(number, interval.as_bytes()).ok().filter(|seconds| (1..=999_999_999).contains(seconds))?;
    Some(FutureRelease { interval, until: Timestamp::parse_rfc3339(until.trim().as_bytes()).ok()?.at_offset(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_round_trip() {
        for text in [
            "250 mx.test\r\n",
            "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
             250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-STARTTLS\r\n\
             250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250-VRFY\r\n250-EXPN\r\n250-HELP\r\n250-XYZ\r\n\
             250 ABC a=1 b\r\n",
            "250-mx.test\r\n250-DELIVERBY 240\r\n250-FUTURERELEASE 604800 2027-01-01T00:00:00Z\r\n\
             250-LIMITS MAILMAX=5 RCPTMAX=20 RCPTDOMAINMAX=1\r\n250-MT-PRIORITY MIXER\r\n\
             250-NO-SOLICITING net.example:ADV\r\n250-BURL imap imap://imap.test\r\n250-XCLIENT NAME ADDR\r\n\
             250-XFORWARD NAME\r\n250-REQUIRETLS\r\n250-RRVS\r\n250-CONPERM\r\n250-CONNEG\r\n250-SUBMITTER\r\n\
             250-ETRN\r\n250 ATRN\r\n",
            "250-mx.test\r\n250-DELIVERBY\r\n250-MT-PRIORITY\r\n250-NO-SOLICITING\r\n250 BURL\r\n",
            "250-mx.test\r\n250 SIZE\r\n",
        ] {
            let extensions = Extensions::parse(&Reply::parse(text.as_bytes()).unwrap());
            let mut again = String::new();
            extensions.reply("mx.test").write(&mut again).unwrap();
            assert_eq!(again, text);
        }
    }

    #[test]
    fn lenient_forms_are_read() {
        let of = |line: &'static str| Extensions::parse(&Reply::new(250, None, format!("mx.test\n{line}")));
        for line in ["SIZE 0", "SIZE", "size x", "SIZE 99999999999999999999"] {
            assert_eq!(of(line).size, Some(None), "{line}");
        }
        assert_eq!(of("AUTH=PLAIN LOGIN\nAUTH LOGIN plain CRAM-MD5").auth, ["PLAIN", "LOGIN", "CRAM-MD5"]);
        assert!(of("starttls").starttls);
        for line in ["LIMITS", "LIMITS RCPTMAX", "LIMITS RCPTMAX=0", "LIMITS RCPTMAX=1000000", "LIMITS rcptmax=x A=1"] {
            assert_eq!(of(line).limits, Some(Limits::default()), "{line}");
        }
        for line in ["FUTURERELEASE", "FUTURERELEASE 1", "FUTURERELEASE 0 2027-01-01T00:00:00Z"] {
            assert_eq!(of(line).future_release, None, "{line}");
        }
        for line in ["DELIVERBY", "DELIVERBY x", "DELIVERBY 99999999999"] {
            assert_eq!(of(line).deliver_by, Some(0), "{line}");
        }
        assert_eq!(of("").other, []);
        assert!(!Extensions::parse(&Reply::new(250, None, "STARTTLS")).starttls, "the first line is a name");
    }
}
