//! The attributes of XCLIENT and XFORWARD (Postfix, XCLIENT_README and XFORWARD_README), both ways.

use std::fmt;
use std::net::IpAddr;

use super::{Xtext, xtext};
use crate::address::{Domain, Name};
use crate::base::ParseError;

/// What a proxy or a filter says of the client before it, each attribute at most once.
///
/// ```
/// use facteur::smtp::{Attribute, AttributeValue, Attributes};
///
/// let attributes = Attributes::parse(b"ADDR=192.0.2.1 NAME=[UNAVAILABLE]")?;
/// assert_eq!(attributes.address(), Some([192, 0, 2, 1].into()));
/// assert_eq!(attributes.get(Attribute::Name), Some(&AttributeValue::Unavailable));
/// assert_eq!(attributes.to_string(), " ADDR=192.0.2.1 NAME=[UNAVAILABLE]");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(Attribute, AttributeValue)>);

/// The name of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// `NAME`: the name of the client in the DNS.
    Name,
    /// `ADDR`: its address.
    Addr,
    /// `PORT`: its port.
    Port,
    /// `PROTO`: the protocol it speaks, `SMTP` or `ESMTP`.
    Proto,
    /// `HELO`: what it calls itself.
    Helo,
    /// `LOGIN`: who it proved to be.
    Login,
    /// `DESTADDR`: to which address it connected.
    DestAddr,
    /// `DESTPORT`: to which port.
    DestPort,
    /// `IDENT`: what the message is called there.
    Ident,
    /// `SOURCE`: `LOCAL` or `REMOTE`.
    Source,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the protocol
pub enum AttributeValue {
    /// This, decoded.
    Known(Name),
    /// `[UNAVAILABLE]`: it is not known.
    Unavailable,
    /// `[TEMPUNAVAIL]`: it could not be found out just now.
    TemporarilyUnavailable,
}

impl Attribute {
    /// All, with their names in the protocol.
    const ALL: [(Self, &str); 10] = [
        (Self::Name, "NAME"),
        (Self::Addr, "ADDR"),
        (Self::Port, "PORT"),
        (Self::Proto, "PROTO"),
        (Self::Helo, "HELO"),
        (Self::Login, "LOGIN"),
        (Self::DestAddr, "DESTADDR"),
        (Self::DestPort, "DESTPORT"),
        (Self::Ident, "IDENT"),
        (Self::Source, "SOURCE"),
    ];

    /// Those of XCLIENT, as EHLO announces them.
    pub(super) const OF_XCLIENT: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";
    /// Those of XFORWARD.
    pub(super) const OF_XFORWARD: &str = "NAME ADDR PORT PROTO HELO IDENT SOURCE";

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(attribute, _)| *attribute == self).map_or("", |(_, name)| name) // all are there
    }
}

impl Attributes {
    /// Reads `1*( SP attribute-name "=" attribute-value )` without its first space.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let mut attributes = Self::default();
        let mut at = 0;
        for word in text.split(|octet| *octet == b' ') {
            let fault = |expected| ParseError { expected, at };
            if !word.is_empty() {
                let equals = word.iter().position(|octet| *octet == b'=').ok_or(fault("an attribute with a value"))?;
                let (name, value) = word.split_at(equals);
                let known = Attribute::ALL.into_iter().find(|(_, known)| name.eq_ignore_ascii_case(known.as_bytes()));
                let (attribute, _) = known.ok_or(fault("the name of an attribute"))?;
                if attributes.get(attribute).is_some() {
                    return Err(fault("an attribute that was not yet given"));
                }
                let value = value_of(attribute, value.get(1..).unwrap_or_default()).map_err(fault)?;
                attributes.0.push((attribute, value));
            }
            at += word.len() + 1;
        }
        if attributes.0.is_empty() { Err(ParseError { expected: "an attribute", at: 0 }) } else { Ok(attributes) }
    }

    /// What an attribute says; `None` where it was not given.
    pub fn get(&self, attribute: Attribute) -> Option<&AttributeValue> {
        self.0.iter().find(|(known, _)| *known == attribute).map(|(_, value)| value)
    }

    /// The text of an attribute; `None` where it was not given or is not known.
    pub fn text(&self, attribute: Attribute) -> Option<&str> {
        match self.get(attribute)? {
            AttributeValue::Known(text) => Some(text),
            _ => None,
        }
    }

    /// `ADDR`, where it is known.
    pub fn address(&self) -> Option<IpAddr> {
        address(self.text(Attribute::Addr)?)
    }

    /// Those of `other` beside or instead of these.
    pub(super) fn merge(&mut self, other: Self) {
        self.0.retain(|(attribute, _)| other.get(*attribute).is_none());
        self.0.extend(other.0);
    }
}

fn value_of(attribute: Attribute, value: &[u8]) -> Result<AttributeValue, &'static str> {
    if value.eq_ignore_ascii_case(b"[UNAVAILABLE]") {
        return Ok(AttributeValue::Unavailable);
    }
    if value.eq_ignore_ascii_case(b"[TEMPUNAVAIL]") {
        return Ok(AttributeValue::TemporarilyUnavailable);
    }
    let text = xtext(value).filter(|text| !text.is_empty() && !text.contains(|c: char| c.is_ascii_control()));
    let text = text.ok_or("xtext")?;
    let sound = match attribute {
        Attribute::Addr | Attribute::DestAddr => address(&text).is_some(),
        Attribute::Port | Attribute::DestPort => {
            text.bytes().all(|octet| octet.is_ascii_digit()) && text.parse::<u16>().is_ok()
        }
        // XCLIENT_README has a hostname there. What a client says of itself (HELO) may be anything.
        Attribute::Name => text.parse::<Domain>().is_ok(),
        Attribute::Source => text.eq_ignore_ascii_case("LOCAL") || text.eq_ignore_ascii_case("REMOTE"),
        _ => true,
    };
    if sound { Ok(AttributeValue::Known(text)) } else { Err("an address, a port, a host name, LOCAL or REMOTE") }
}

/// An IPv4 address as it stands, an IPv6 address after `IPV6:`.
fn address(text: &str) -> Option<IpAddr> {
    match text.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPV6:") => Some(IpAddr::V6(address.parse().ok()?)),
        _ => Some(IpAddr::V4(text.parse().ok()?)),
    }
}

/// As they follow the command, each with a space before it.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (attribute, value) in &self.0 {
            write!(f, " {}=", attribute.name())?;
            match value {
                AttributeValue::Known(text) => write!(f, "{}", Xtext(text))?,
                AttributeValue::Unavailable => f.write_str("[UNAVAILABLE]")?,
                AttributeValue::TemporarilyUnavailable => f.write_str("[TEMPUNAVAIL]")?,
            }
        }
        f.write_str("")
    }
}
