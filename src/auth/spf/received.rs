//! Received-SPF fields (RFC 7208 §9.1), written and read.

use std::fmt;

use super::{Identity, Outcome, Verdict};
use crate::auth::reader::Reader;
use crate::auth::results::{Comment, Value};
use crate::base::ParseError;

/// How many pairs of one field are read; the RFC knows seven keys.
pub const MAX_PAIRS: usize = 30;
/// Longer values are not written: RFC 7208 §9.1 wants no line that is "excessively long".
const MAX_VALUE: usize = 320;
/// Lines are folded where they would be longer than this (RFC 5322 §2.1.1).
const LINE: usize = 78;

/// What a host found out by SPF, for those behind it.
///
/// It is written as a whole field, folded, without the last CRLF, and stays one field whatever the values hold. Whoever sent the
/// message may have written such a field too; only the topmost, of one's own host, is to be believed.
///
/// ```
/// use facteur::auth::spf::{Outcome, ReceivedSpf};
///
/// let field = ReceivedSpf::new(Outcome::Pass).pair("client-ip", "192.0.2.1").pair("helo", "mail.example.org");
/// assert_eq!(field.to_string(), "Received-SPF: pass client-ip=192.0.2.1; helo=mail.example.org");
/// let read = ReceivedSpf::parse(b" pass client-ip=192.0.2.1; helo=mail.example.org")?;
/// assert_eq!(read, field);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedSpf {
    /// `result`
    pub outcome: Outcome,
    /// The comment behind the result, for people.
    pub comment: Option<String>,
    /// `key-value-list`: keys in lower case.
    pub pairs: Vec<(String, String)>,
}

impl ReceivedSpf {
    /// A result that says nothing more.
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, comment: None, pairs: Vec::new() }
    }

    /// The same with one more pair. Values of more than 320 octets are left out.
    #[must_use]
    pub fn pair(mut self, key: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if value.len() <= MAX_VALUE {
            self.pairs.push((key.to_ascii_lowercase(), value));
        }
        self
    }

    /// The value of a key, the first of that name.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// Reads the value of a field. A pair that cannot be read is passed over.
    ///
    /// # Errors
    /// Where it does not begin with a result.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        // header-field = "Received-SPF:" [CFWS] result FWS [comment FWS] [ key-value-list ] CRLF
        let mut reader = Reader::new(value);
        reader.cfws();
        let at = reader.at();
        let outcome = reader.keyword().and_then(|word| Outcome::parse(&word));
        let mut field = Self::new(outcome.ok_or(ParseError { expected: "a result of SPF", at })?);
        field.comment = reader.cfws();
        while reader.peek().is_some() && field.pairs.len() < MAX_PAIRS {
            let start = reader.at();
            match pair(&mut reader) {
                Some((key, value)) => field.pairs.push((key.to_ascii_lowercase(), value)),
                None => reader.skip_word(start),
            }
            reader.cfws();
            // Some hosts leave the semicolon out.
            while reader.eat(b';').is_some() {
                reader.cfws();
            }
        }
        Ok(field)
    }

    /// What `verdict` says, in the words of the RFC's examples. `sender` is whose domain was looked at.
    pub(in crate::auth) fn of(verdict: &Verdict, receiver: &str, client: &str, sender: &str) -> Self {
        let said = match verdict.outcome {
            Outcome::Pass => format!("domain of {sender} designates {client} as permitted sender"),
            Outcome::Fail => format!("domain of {sender} does not designate {client} as permitted sender"),
            Outcome::SoftFail => {
                format!("domain of transitioning {sender} does not designate {client} as permitted sender")
            }
            Outcome::Neutral => format!("{client} is neither permitted nor denied by domain of {sender}"),
            Outcome::None => format!("domain of {sender} does not designate permitted sender hosts"),
            Outcome::TempError => format!("domain of {sender} could not be asked"),
            Outcome::PermError => format!("domain of {sender} has records that are wrong"),
        };
        let mut field = Self::new(verdict.outcome);
        field.comment = Some(format!("{receiver}: {said}")).filter(|comment| comment.len() <= 2 * MAX_VALUE);
        let field = field.pair("receiver", receiver).pair("client-ip", client);
        let field = match verdict.identity {
            Identity::Helo => field.pair("identity", "helo"),
            Identity::MailFrom => field.pair("identity", "mailfrom").pair("envelope-from", sender),
        };
        let term = match (&verdict.term, verdict.outcome) {
            (Some((_, term)), _) => Some(term.as_str()),
            // "if no mechanisms matched, substitute the word "default""
            (None, Outcome::Neutral) => Some("default"),
            (None, _) => None,
        };
        let field = term.into_iter().fold(field, |field, term| field.pair("mechanism", term));
        match (verdict.outcome, verdict.problem) {
            (Outcome::TempError | Outcome::PermError, Some(problem)) => field.pair("problem", problem.to_string()),
            _ => field,
        }
    }
}

/// `key-value-pair = key [CFWS] "=" ( dot-atom / quoted-string )`
fn pair(reader: &mut Reader<'_>) -> Option<(String, String)> {
    let key = reader.keyword()?;
    reader.cfws();
    reader.eat(b'=')?;
    reader.cfws();
    Some((key, reader.value(b";(")?))
}

/// The whole field without its last CRLF.
impl fmt::Display for ReceivedSpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = format!("Received-SPF: {}", self.outcome);
        f.write_str(&first)?;
        let mut column = first.len();
        let comment = self.comment.iter().map(|comment| Comment(comment).to_string());
        let last = self.pairs.len();
        let pairs = self.pairs.iter().zip(1..).map(|((key, value), n)| {
            let end = if n == last { "" } else { ";" };
            // dot-atom: a token has its characters, and the dots stand between them.
            let dots = value.split('.').any(str::is_empty) || value.contains("..");
            let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
            match dots {
                true => format!("{key}={}{end}", Value::quoted(value)),
                false => format!("{key}={}{end}", Value::of(value)),
            }
        });
        // The words of the comment may be on several lines.
        let words: Vec<String> =
            comment.flat_map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>()).chain(pairs).collect();
        for word in words {
            if column + 1 + word.len() > LINE && !word.is_empty() {
                f.write_str("\r\n\t")?;
                column = 8;
            } else {
                f.write_str(" ")?;
                column += 1;
            }
            f.write_str(&word)?;
            column += word.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let value =
            b" pass (mybox.example.org: domain of\r\n myname@example.com designates 192.0.2.1 as permitted sender)\r\n\
              \x20      receiver=mybox.example.org; client-ip=192.0.2.1;\r\n       mechanism=ip4:192.0.2.1; \
              envelope-from=\"myname@example.com\";\r\n       helo=foo.example.com;";
        let field = ReceivedSpf::parse(value).unwrap();
        assert_eq!(field.outcome, Outcome::Pass);
        let comment = "mybox.example.org: domain of myname@example.com designates 192.0.2.1 as permitted sender";
        assert_eq!(field.comment.as_deref(), Some(comment));
        for (key, value) in [
            ("receiver", "mybox.example.org"),
            ("client-ip", "192.0.2.1"),
            ("mechanism", "ip4:192.0.2.1"),
            ("envelope-from", "myname@example.com"),
            ("helo", "foo.example.com"),
        ] {
            assert_eq!(field.get(key), Some(value));
        }
        assert_eq!(field.pairs.len(), 5);
        let value =
            b" fail (mybox.example.org: domain of\r\n                     myname@example.com does not designate\r\n\
              \x20                    192.0.2.1 as permitted sender)\r\n                     identity=mailfrom; \
              client-ip=192.0.2.1;\r\n                     envelope-from=\"myname@example.com\";";
        let field = ReceivedSpf::parse(value).unwrap();
        assert_eq!((field.outcome, field.get("identity")), (Outcome::Fail, Some("mailfrom")));
    }

    #[test]
    fn odd_fields_are_read() {
        for (value, expected) in [
            ("PASS", "pass"),
            (" (x) none (y) ", "none (y)"),
            ("softfail a=b c=d;; ??? ; E = \"f g\"", "softfail a=b; c=d; e=\"f g\""),
            ("pass client-ip=2001:db8::1; envelope-from=<>;", "pass client-ip=\"2001:db8::1\"; envelope-from=\"<>\""),
            ("pass x=a..b", "pass x=\"a..b\""),
        ] {
            let field = ReceivedSpf::parse(value.as_bytes()).unwrap();
            assert_eq!(field.to_string(), format!("Received-SPF: {expected}"));
        }
        for value in ["", "passed", "error", "(pass", "=pass"] {
            assert!(ReceivedSpf::parse(value.as_bytes()).is_err(), "{value}");
        }
        let many = format!("pass {}", "a=b;".repeat(100_000));
        assert_eq!(ReceivedSpf::parse(many.as_bytes()).unwrap().pairs.len(), MAX_PAIRS);
    }

    #[test]
    fn whatever_comes_it_stays_one_field_of_short_lines() {
        let evil = "a\r\nBcc: x\0\"\\; (y";
        let mut field =
            ReceivedSpf::new(Outcome::Fail).pair("helo", evil).pair(evil, evil).pair("long", "x".repeat(1000));
        field.comment = Some(evil.repeat(20));
        let text = field.to_string();
        assert!(text.split("\r\n").skip(1).all(|line| line.starts_with('\t')), "{text:?}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']) && !text.contains("long"), "{text:?}");
        assert!(text.split("\r\n").all(|line| line.len() <= 998));
        let again = ReceivedSpf::parse(text.split_once(':').unwrap().1.as_bytes()).unwrap();
        assert_eq!(again.get("helo"), Some("a  Bcc: x \"\\; (y"));
    }
}
