//! Authentication-Results fields, read (RFC 8601 §2.2): tolerant of what hosts write, and of nothing that is to be trusted.
//!
//! A result that cannot be read is passed over, up to the next semicolon, and hides no other. Only a field of which not even
//! the name of the host can be read is an error.

use super::{Method, Property, Results};
use crate::auth::reader::Reader;
use crate::base::ParseError;
use crate::dns::Name;
use crate::message::{Field, Header};

/// How many results of one field are read; real ones have up to about fifteen. Those behind are as if they were not there.
pub const MAX_RESULTS: usize = 100;
/// How many properties of one result are read; the registry knows a dozen for the richest method.
pub const MAX_PROPERTIES: usize = 30;

impl Results {
    /// Reads the value of an Authentication-Results field.
    ///
    /// Whoever sent the message may have written the field: only those are to be believed that one's own host has written,
    /// with all others of its name removed before; [`foreign`] finds them.
    ///
    /// ```
    /// use facteur::auth::Results;
    ///
    /// let value = b" mx.example.org; dkim=fail (bad signature) header.d=example.net; spf=pass\r\n smtp.mailfrom=example.net";
    /// let results = Results::parse(value)?;
    /// assert_eq!(results.id, "mx.example.org");
    /// assert_eq!(results.methods[0].comment.as_deref(), Some("bad signature"));
    /// assert_eq!(results.methods[1].get("smtp", "mailfrom"), Some("example.net"));
    /// # Ok::<(), facteur::base::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// Where the field does not begin with the name of a host and a semicolon or the end.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(value);
        // authres-payload = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo ) [CFWS] [CRLF]
        reader.cfws();
        let start = reader.at();
        let id = reader.value(b";(").filter(|id| !id.is_empty());
        let id = id.ok_or(ParseError { expected: "the name of a host", at: start })?;
        reader.cfws();
        let version = reader.number();
        reader.cfws();
        if !matches!(reader.peek(), None | Some(b';')) {
            return Err(ParseError { expected: ";", at: reader.at() });
        }
        let mut results = Self { id, version, methods: Vec::new() };
        while reader.peek().is_some() && results.methods.len() < MAX_RESULTS {
            let _ = reader.eat(b';');
            results.methods.extend(reader.result());
            reader.skip_result();
        }
        Ok(results)
    }

    /// Reads the value of an ARC-Authentication-Results field: its instance, and the results where they can be read.
    pub(in crate::auth) fn parse_arc(value: &[u8]) -> Option<(u32, Option<Self>)> {
        let mut reader = Reader::new(value);
        // arc-info = instance [CFWS] ";" authres-payload
        // instance = [CFWS] %s"i" [CFWS] "=" [CFWS] instance-value
        reader.cfws();
        reader.eat(b'i')?;
        reader.cfws();
        reader.eat(b'=')?;
        reader.cfws();
        let instance = reader.number()?;
        reader.cfws();
        reader.eat(b';')?;
        Some((instance, Self::parse(value.get(reader.at()..)?).ok()))
    }

    /// What the host `id` has found out, out of all its fields in `header` as one (RFC 8617 §4.1.1 wants them so).
    pub fn of(header: Header<'_>, id: &str) -> Self {
        let fields = header.all("Authentication-Results").filter_map(|field| Self::parse(field.value()).ok());
        let own = fields.filter(|results| same_host(&results.id, id));
        Self::new(id, own.flat_map(|results| results.methods).take(MAX_RESULTS))
    }
}

impl Method {
    /// The value of a property, the first of that name. Case does not count in the names.
    pub fn get(&self, kind: &str, name: &str) -> Option<&str> {
        let is =
            |property: &&Property| property.kind.eq_ignore_ascii_case(kind) && property.name.eq_ignore_ascii_case(name);
        self.properties.iter().find(is).map(|property| property.value.as_str())
    }
}

/// Whether this is an Authentication-Results field that a host called `id` must remove from a message that comes from outside
/// (RFC 8601 §5): one that bears its name, or one of which nobody can say whose it is.
///
/// ```
/// use facteur::auth::results::foreign;
/// use facteur::message::{Message, edit::HeaderEdit};
///
/// let forged = "Authentication-Results: MX.example.org; dkim=pass header.d=bank.example\r\nSubject: Hello\r\n\r\n";
/// let mut edit = HeaderEdit::new(&Message::parse(forged));
/// edit.retain(|field| !foreign(field, "mx.example.org"));
/// assert_eq!(&edit.finish().raw()[..], b"Subject: Hello\r\n\r\n");
/// ```
pub fn foreign(field: Field<'_>, id: &str) -> bool {
    field.is("Authentication-Results")
        && match Results::parse(field.value()) {
            // A token has no slash, and some reader may end it there.
            Ok(results) => results.id.split('/').next().is_some_and(|start| same_host(start, id)),
            Err(_) => true,
        }
}

/// Names of the DNS compare without case and without the dot at the end, and U-labels are their A-labels.
fn same_host(one: &str, other: &str) -> bool {
    let name = |text: &str| {
        let text = text.trim();
        let domain = crate::address::Domain::parse(text.strip_suffix('.').unwrap_or(text).as_bytes()).ok();
        domain.and_then(|domain| domain.to_ascii()).and_then(|text| Name::parse(&text).ok())
    };
    one.trim().eq_ignore_ascii_case(other.trim()) || name(one).is_some_and(|one| Some(one) == name(other))
}

impl Reader<'_> {
    /// `resinfo = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ]`, its semicolon read. `None` where it is
    /// none, or says `none`.
    fn result(&mut self) -> Option<Method> {
        self.cfws();
        let name = self.keyword()?;
        self.cfws();
        let version = match self.eat(b'/') {
            Some(()) => {
                self.cfws();
                Some(self.number()?)
            }
            None => None,
        };
        self.cfws();
        self.eat(b'=')?;
        self.cfws();
        let result = self.keyword()?;
        let comment = self.cfws();
        // RFC 8601 §2.7: case does not count in methods and results.
        let mut method = Method::new(name.to_ascii_lowercase(), result.to_ascii_lowercase());
        (method.version, method.comment) = (version, comment);
        while !matches!(self.peek(), None | Some(b';')) {
            let start = self.at();
            match self.property() {
                Some(Property { kind, name, value }) if kind.is_empty() && name.eq_ignore_ascii_case("reason") => {
                    method.reason = method.reason.or(Some(value));
                }
                Some(property) if method.properties.len() < MAX_PROPERTIES => method.properties.push(property),
                Some(_) => {}
                None => self.skip_word(start),
            }
            self.cfws();
        }
        Some(method)
    }

    /// `propspec = ptype [CFWS] "." [CFWS] property [CFWS] "=" pvalue`; and what has no `ptype`, as `reason` has none and
    /// odd hosts write properties.
    fn property(&mut self) -> Option<Property> {
        let kind = self.keyword()?;
        self.cfws();
        let (kind, name) = match self.eat(b'.') {
            Some(()) => {
                self.cfws();
                (kind, self.keyword()?)
            }
            None => (String::new(), kind),
        };
        self.cfws();
        self.eat(b'=')?;
        self.cfws();
        Some(Property { kind, name, value: self.value(b";(")? })
    }

    /// To the next semicolon that is in no comment.
    fn skip_result(&mut self) {
        loop {
            self.cfws();
            match self.peek() {
                None | Some(b';') => return,
                Some(_) => self.skip_word(self.at()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn parse(value: &str) -> String {
        match Results::parse(value.as_bytes()) {
            Ok(results) => results.payload().to_string().replace("\r\n\t", " "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn odd_fields_are_read() {
        for (value, expected) in [
            (" x.org", "x.org; none"),
            (" x.org 1; none", "x.org 1; none"),
            ("x.org;none;", "x.org; none"),
            ("\"x.org\" ; SPF=Pass", "x.org; spf=pass"),
            ("x.org;;spf=pass;", "x.org; spf=pass"),
            ("(a (b) c)x.org(d);(e)dkim(f)/(g)1(h)=(i)pass(j)(k)", "x.org; dkim/1=pass (j)"),
            (
                "x.org; dkim=fail reason=\"a \\\" b;\" header.d=y.org",
                "x.org; dkim=fail reason=\"a \\\" b;\" header.d=y.org",
            ),
            ("x.org; spf=pass smtp . mailfrom = a@b.org", "x.org; spf=pass smtp.mailfrom=a@b.org"),
            ("x.org; spf=pass smtp.mailfrom=\"a b\"@c.org(x)", "x.org; spf=pass smtp.mailfrom=\"\\\"a b\\\"@c.org\""),
            ("x.org; dkim=pass header.b=/d5r+= header.d=y.org", "x.org; dkim=pass header.b=\"/d5r+=\" header.d=y.org"),
            ("x.org; iprev=pass policy.iprev=2001:db8::1", "x.org; iprev=pass policy.iprev=\"2001:db8::1\""),
            // A result that is none hides no other.
            ("x.org; dkim=none header.d=none;y.org; spf=pass", "x.org; dkim=none header.d=none; spf=pass"),
            ("x.org; dkim pass; spf=pass", "x.org; spf=pass"),
            ("x.org; dkim=pass ??? header.d=y.org", "x.org; dkim=pass header.d=y.org"),
            ("x.org; dkim=pass header.d=\"y", "x.org; dkim=pass"),
            ("x.org; dkim=pass reason=\"y z; spf=fail a.b=c", "x.org; dkim=pass; spf=fail a.b=c"),
            ("x.org; a=b version=TLSv1.2", "x.org; a=b version=TLSv1.2"),
            ("x.org; a=b (; c=d", "x.org; a=b (; c=d)"),
            // Nothing that says whose it is.
            ("", "expected the name of a host at octet 0"),
            ("; spf=pass", "expected the name of a host at octet 0"),
            (" dkim = pass", "expected ; at octet 6"),
            ("\"x.org", "expected the name of a host at octet 0"),
        ] {
            assert_eq!(parse(value), expected, "{value}");
        }
        assert!(Results::parse(b"\xff; spf=pass").is_err());
    }

    #[test]
    fn what_is_ours_or_nobodys_is_removed() {
        for (value, removed) in [
            ("mx.x.org; spf=pass", true),
            ("MX.X.ORG.; spf=pass", true),
            ("(mx.y.org) \"mx.x.org\" 1; spf=pass", true),
            ("mx.x.org", true),
            ("", true),
            ("mx.x.org spf=pass", true),
            ("mx.x.org/1; spf=pass", true),
            ("mx.y.org; spf=pass", false),
            ("x.org; spf=pass", false),
            ("notmx.x.org; spf=pass", false),
        ] {
            let message = Message::parse(format!("Authentication-Results: {value}\r\n\r\n"));
            let field = message.header().fields().next().unwrap();
            assert_eq!(foreign(field, "mx.x.org"), removed, "{value}");
        }
        let message = Message::parse("Authentication-Results: bücher.example; none\r\nX-Other: mx.x.org\r\n\r\n");
        let found = |id| message.header().fields().map(|field| foreign(field, id)).collect::<Vec<_>>();
        assert_eq!(found("xn--bcher-kva.example"), [true, false]);
        assert_eq!(found("mx.x.org"), [false, false]);
    }

    #[test]
    fn all_fields_of_a_host_are_one() {
        let message = Message::parse(
            "Authentication-Results: x.org; arc=none;\r\n spf=pass\r\nAuthentication-Results: y.org; dkim=pass\r\n\
             Authentication-Results: X.org; dmarc=pass (p=none)\r\n\r\n",
        );
        let results = Results::of(message.header(), "x.org");
        assert_eq!(results.payload().to_string(), "x.org;\r\n\tarc=none;\r\n\tspf=pass;\r\n\tdmarc=pass (p=none)");
    }

    #[test]
    fn hostile_fields_are_read_in_bounds() {
        let results = Results::parse(&[&b"x.org"[..], &b";a=b".repeat(100_000)].concat()).unwrap();
        assert_eq!(results.methods.len(), MAX_RESULTS);
        let results = Results::parse(&[&b"x.org;a=b"[..], &b" c.d=e".repeat(100_000)].concat()).unwrap();
        assert_eq!(results.methods[0].properties.len(), MAX_PROPERTIES);
        for one in ["(", ")", "\"", "\\", ";", "=", "(;", "a=b \"", " ;a=b("] {
            let _ = Results::parse(format!("x.org;{}", one.repeat(100_000)).as_bytes());
        }
    }
}
