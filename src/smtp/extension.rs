//! What a server says it can do: the answer to EHLO (RFC 5321 §4.1.1.1), both ways.

use std::fmt::{self, Write as _};

use super::Reply;
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
    /// `VRFY` (RFC 5321)
    pub vrfy: bool,
    /// `EXPN` (RFC 5321)
    pub expn: bool,
    /// `HELP` (RFC 5321)
    pub help: bool,
    /// All others: the keyword in upper case and what follows it.
    pub other: Vec<(String, String)>,
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
        for (offered, keyword) in [(self.vrfy, "VRFY"), (self.expn, "EXPN"), (self.help, "HELP")] {
            if offered {
                write!(f, "\n{keyword}")?;
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
             250 LIMITS RCPTMAX=10\r\n",
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
        assert_eq!(of("").other, []);
        assert!(!Extensions::parse(&Reply::new(250, None, "STARTTLS")).starttls, "the first line is a name");
    }
}
