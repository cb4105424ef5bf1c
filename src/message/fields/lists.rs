//! What mailing lists say of themselves: List-Help, List-Unsubscribe and the like (RFC 2369), List-Id (RFC 2919), and
//! unsubscribing with one request (RFC 8058).

use crate::message::header::{Field, Header};
use crate::text::params::{comment_end, skip_cfws};
use crate::text::{charset, words};

/// The value of a List-Id field: `[phrase] "<" list-id ">"`.
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse("List-Id: Lunch \"for all\" <lunch.a.test>\n\n");
/// let id = message.header().get("list-id").unwrap().list_id().unwrap();
/// assert_eq!((id.name.as_str(), id.id.as_str()), ("Lunch for all", "lunch.a.test"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListId {
    /// The name for people, decoded; empty where there is none.
    pub name: String,
    /// The identifier, which lists compare without regard to case (RFC 2919 §6).
    pub id: String,
}

impl ListId {
    /// Reads the value of the field. Without angle brackets the whole value is the identifier; `None` where it is empty.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = |octets: &[u8]| charset::guess(octets).split_whitespace().collect::<String>();
        let open = memchr::memrchr(b'<', value);
        let (phrase, id) = open.map_or((&b""[..], value), |at| value.split_at(at));
        let id = id.strip_prefix(b"<").unwrap_or(id);
        let id = text(id.split(|octet| *octet == b'>').next().unwrap_or_default());
        let name = words::decode(&unquoted(phrase));
        (!id.is_empty()).then_some(Self { name, id })
    }
}

/// A phrase without its quotes and what stood for them; white space outside of them is one space each, as folds leave it.
fn unquoted(phrase: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(phrase.len());
    let mut quoted = false;
    let mut octets = phrase.trim_ascii().iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => quoted = !quoted,
            b'\\' if quoted => text.extend(octets.next()),
            b'\r' | b'\n' if quoted => {}
            _ if quoted || !octet.is_ascii_whitespace() => text.push(octet),
            _ if text.last() == Some(&b' ') => {}
            _ => text.push(b' '),
        }
    }
    text
}

impl Header<'_> {
    /// Where a POST with the body `List-Unsubscribe=One-Click` takes the reader off the list (RFC 8058 §3.1): the first
    /// `https` address of List-Unsubscribe, where List-Unsubscribe-Post allows it. Before it is used a DKIM signature must be
    /// verified that covers both fields (§4).
    ///
    /// ```
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse(
    ///     "List-Unsubscribe: <mailto:off@a.test>, <https://a.test/off?u=1>\n\
    ///      List-Unsubscribe-Post: List-Unsubscribe=One-Click\n\n",
    /// );
    /// assert_eq!(message.header().one_click_unsubscribe().as_deref(), Some("https://a.test/off?u=1"));
    /// ```
    pub fn one_click_unsubscribe(self) -> Option<String> {
        let post = self.get("list-unsubscribe-post")?.unfolded();
        let https = |uri: &String| uri.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let one_click = post.trim_ascii().eq_ignore_ascii_case(b"List-Unsubscribe=One-Click");
        one_click.then(|| self.get("list-unsubscribe"))??.uris().into_iter().find(https)
    }
}

impl Field<'_> {
    /// The addresses in the value of a List-Help, List-Subscribe, List-Unsubscribe, List-Post, List-Owner or List-Archive
    /// field, the one that the list prefers first (RFC 2369 §2). `List-Post: NO` has none.
    pub fn uris(self) -> Vec<String> {
        uris(self.value())
    }

    /// The value of a List-Id field.
    pub fn list_id(self) -> Option<ListId> {
        ListId::parse(self.value())
    }
}

/// `"<" URI ">"` between commas, comments passed over, white space inside taken away. Where there are no brackets, the
/// words that have a scheme, as some lists write them.
fn uris(value: &[u8]) -> Vec<String> {
    let mut uris = Vec::new();
    let mut at = 0;
    let mut comments = true;
    while let Some(octet) = value.get(at) {
        at = match octet {
            b'(' if comments => comment_end(value, at).unwrap_or_else(|| {
                comments = false;
                at + 1
            }),
            b'<' => {
                let rest = value.get(at + 1..).unwrap_or_default();
                let len = memchr::memchr(b'>', rest).unwrap_or(rest.len());
                let uri: Vec<u8> =
                    rest.iter().take(len).copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
                if !uri.is_empty() {
                    uris.push(charset::guess(&uri).into_owned());
                }
                at + len + 2
            }
            _ => at + 1,
        };
    }
    if uris.is_empty() && memchr::memchr(b'<', value).is_none() {
        let mut at = 0;
        skip_cfws(value, &mut at);
        let words = value.get(at..).unwrap_or_default().split(|octet| octet.is_ascii_whitespace() || *octet == b',');
        let has_scheme = |word: &&[u8]| {
            let scheme = word.split(|octet| *octet == b':').next().unwrap_or_default();
            scheme.len() < word.len() && scheme.iter().all(u8::is_ascii_alphanumeric) && !scheme.is_empty()
        };
        uris.extend(words.filter(has_scheme).map(|word| charset::guess(word).into_owned()));
    }
    uris
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_commands_give_their_addresses_in_order() {
        for (value, expected) in [
            // RFC 2369 §3
            (" <mailto:list@host.com?subject=help> (List Instructions)", vec!["mailto:list@host.com?subject=help"]),
            (
                " (Use this command to get off the list)\r\n <mailto:m@host.com?body=unsubscribe%20list>",
                vec!["mailto:m@host.com?body=unsubscribe%20list"],
            ),
            (" <http://a.test/x>,\r\n\t<mailto:x@a.test>", vec!["http://a.test/x", "mailto:x@a.test"]),
            (" <http://a.test/\r\n very-long>", vec!["http://a.test/very-long"]),
            (" NO (posting not allowed on this list)", vec![]),
            (" mailto:x@a.test", vec!["mailto:x@a.test"]),
            (" <>", vec![]),
            (" <http://open", vec!["http://open"]),
            (" (open <http://a.test>", vec!["http://a.test"]),
            ("", vec![]),
        ] {
            assert_eq!(uris(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn list_ids_are_read() {
        for (value, expected) in [
            // RFC 2919 §3
            (
                " List Header Mailing List <list-header.nisto.com>",
                Some(("List Header Mailing List", "list-header.nisto.com")),
            ),
            (" <commonspace-users.list-id.within.com>", Some(("", "commonspace-users.list-id.within.com"))),
            (
                " \"Lena's Personal Joke List\"\r\n <lenas-jokes.localhost>",
                Some(("Lena's Personal Joke List", "lenas-jokes.localhost")),
            ),
            (" =?utf-8?q?Caf=C3=A9?= <c.a.test>", Some(("Café", "c.a.test"))),
            (" bare.a.test", Some(("", "bare.a.test"))),
            (" <>", None),
            ("", None),
        ] {
            let id = ListId::parse(value.as_bytes());
            assert_eq!(id.as_ref().map(|id| (id.name.as_str(), id.id.as_str())), expected, "{value}");
        }
    }

    #[test]
    fn one_click_needs_both_fields_and_https() {
        for (header, expected) in [
            ("List-Unsubscribe: <https://a.test>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n", true),
            ("List-Unsubscribe: <https://a.test>\n", false),
            ("List-Unsubscribe-Post: List-Unsubscribe=One-Click\n", false),
            ("List-Unsubscribe: <http://a.test>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n", false),
            ("List-Unsubscribe: <https://a.test>\nList-Unsubscribe-Post: x\n", false),
        ] {
            let message = crate::message::Message::parse(format!("{header}\n"));
            assert_eq!(message.header().one_click_unsubscribe().is_some(), expected, "{header}");
        }
    }
}
