//! The hosts of the URIs in the text of a message, as a browser would understand them (the URL standard of the WHATWG): with
//! odd slashes, user information, ports, percent and character references, A-labels and IPv4 addresses in any notation.
//!
//! Left out: names without a scheme that do not begin with `www.`, and `mailto:`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::What;
use crate::dns::Name;
use crate::message::Message;

/// How many octets of text are looked at; what a reader sees stands in front.
const MAX_TEXT: usize = 1024 * 1024;
/// How many hosts are collected, out of which as many as are wanted are taken.
const MAX_FOUND: usize = 1000;
/// How long what stands between the slashes of a URI may be. The name has at most 253 octets; user information may hide it.
const MAX_AUTHORITY: usize = 2000;
/// How many octets are looked at closely in all. What may be a URI begins anywhere, also within another; only text that is
/// made for it has so many beginnings with so much behind each.
const MAX_WORK: usize = 8 * MAX_TEXT;

/// The hosts of the URIs in the texts of a message, each once, in order; where there are more than `most`, as many spread
/// evenly over all, so that none is safe behind a crowd of good ones.
///
/// ```
/// use facteur::auth::dnsbl::hosts;
/// use facteur::message::Message;
///
/// let message = Message::parse("\r\nBuy at https://ada:secret@Shop.Example.ORG:8080/now or at www.example.net.\r\n");
/// let found: Vec<String> = hosts(&message, 20).iter().map(ToString::to_string).collect();
/// assert_eq!(found, ["shop.example.org", "www.example.net"]);
/// ```
pub fn hosts(message: &Message, most: usize) -> Vec<What> {
    let mut hosts = Hosts { found: Vec::new(), known: HashSet::new(), work: MAX_WORK };
    let mut left = MAX_TEXT;
    for part in message.parts() {
        if left == 0 || hosts.found.len() == MAX_FOUND {
            break;
        }
        let content_type = part.content_type();
        let Some(text) = part.text() else { continue };
        let text = start(&text, left);
        left -= text.len();
        if content_type.is("text", "html") || content_type.is("application", "xhtml+xml") {
            hosts.attributes(text);
            hosts.plain(&unescaped(text));
        } else {
            hosts.plain(text);
        }
    }
    let all = hosts.found.len();
    let is_wanted = |n: &usize| all <= most || (n * most) / all != ((n + 1) * most) / all;
    hosts.found.into_iter().enumerate().filter(|(n, _)| is_wanted(n)).map(|(_, host)| host).collect()
}

struct Hosts {
    found: Vec<What>,
    known: HashSet<What>,
    /// What is left of [`MAX_WORK`].
    work: usize,
}

impl Hosts {
    fn spend(&mut self, octets: usize) {
        self.work = self.work.saturating_sub(octets);
    }

    fn add(&mut self, authority: &str) {
        self.spend(authority.len());
        if authority.len() <= MAX_AUTHORITY
            && self.found.len() < MAX_FOUND
            && let Some(host) = host(authority)
            && self.known.insert(host.clone())
        {
            self.found.push(host);
        }
    }

    /// URIs that stand anywhere in a text.
    fn plain(&mut self, text: &str) {
        for at in memchr::memchr_iter(b':', text.as_bytes()) {
            if self.work == 0 {
                return;
            }
            let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
            if after.starts_with(['/', '\\']) && ends_with_scheme(before) {
                self.add(cut(after.trim_start_matches(['/', '\\']), |c| "<>\"'`(){}|,;!*^".contains(c)));
            }
        }
        for at in memchr::memchr2_iter(b'w', b'W', text.as_bytes()) {
            if self.work == 0 {
                return;
            }
            let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at..).unwrap_or_default());
            let begins = after.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
            if begins && !before.ends_with(|c: char| c.is_alphanumeric() || "-_.@".contains(c)) {
                self.add(cut(after, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.".contains(c)));
            }
        }
    }

    /// URIs that are the value of an attribute: here they may be without a scheme, and have line ends in them.
    fn attributes(&mut self, html: &str) {
        let mut rest = html;
        while let Some((_, after)) = rest.split_once('=').filter(|_| self.work > 0) {
            rest = after.trim_start();
            let value = match rest.chars().next() {
                Some(quote @ ('"' | '\'')) => match rest.get(1..).and_then(|inside| inside.split_once(quote)) {
                    Some((value, after)) => {
                        rest = after;
                        value
                    }
                    None => continue,
                },
                // The next `=` may stand in it: no more of it is looked at than may be needed.
                _ => start(rest, 2 * MAX_AUTHORITY)
                    .split(|c: char| c.is_whitespace() || c == '>')
                    .next()
                    .unwrap_or_default(),
            };
            let value = start(value, 2 * MAX_AUTHORITY);
            self.spend(value.len());
            let value: String = unescaped(value).chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
            let value = value.trim_start_matches(|c: char| c <= ' ');
            let after = match value.split_once(':') {
                Some((scheme, after)) if is_scheme(scheme) => Some(after),
                _ if value.starts_with(['/', '\\']) && value[1..].starts_with(['/', '\\']) => Some(value), // ASCII is one octet
                _ => None,
            };
            if let Some(after) = after {
                self.add(cut(after.trim_start_matches(['/', '\\']), |_| false));
            }
        }
    }
}

/// At most so many octets of a text, and only whole characters.
fn start(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

fn is_scheme(text: &str) -> bool {
    ["http", "https", "ftp"].iter().any(|scheme| text.eq_ignore_ascii_case(scheme))
}

fn ends_with_scheme(text: &str) -> bool {
    let letters = text.bytes().rev().take(6).take_while(u8::is_ascii_alphabetic).count();
    text.get(text.len() - letters..).is_some_and(is_scheme)
}

/// Up to the end of the authority, or to what cannot be part of it; of one that is too long no more than shows it.
fn cut(text: &str, ends: impl Fn(char) -> bool) -> &str {
    let text = start(text, MAX_AUTHORITY + 4);
    let end =
        text.find(|c: char| matches!(c, '/' | '\\' | '?' | '#') || c.is_whitespace() || c.is_control() || ends(c));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The host of `[ userinfo "@" ] host [ ":" port ]`.
fn host(authority: &str) -> Option<What> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(literal) = host.strip_prefix('[') {
        let address: Ipv6Addr = literal.split_once(']')?.0.parse().ok()?;
        return Some(What::Address(address.into()));
    }
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let host = decoded(host)?;
    let host = idna::domain_to_ascii(&host).ok()?;
    let host = host.trim_end_matches('.');
    if let Some(address) = ipv4(host) {
        return Some(What::Address(address.into()));
    }
    let name = Name::parse(host).ok()?;
    let last = name.labels().next_back()?;
    let is_name = name.labels().count() > 1 && !last.bytes().all(|octet| octet.is_ascii_digit());
    let is_plain = name.as_str().bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
    (is_name && is_plain).then_some(What::Domain(name))
}

/// One to four numbers, decimal, octal or hexadecimal, the last of which fills what is left.
fn ipv4(host: &str) -> Option<Ipv4Addr> {
    let mut numbers = Vec::new();
    for part in host.split('.') {
        let (digits, radix) = match part.as_bytes() {
            [b'0', b'x' | b'X', ..] => (part.get(2..)?, 16),
            [b'0', _, ..] => (part.get(1..)?, 8),
            _ => (part, 10),
        };
        if numbers.len() == 4 || part.is_empty() || digits.starts_with(['+', '-']) {
            return None;
        }
        numbers.push(if digits.is_empty() { 0 } else { u32::from_str_radix(digits, radix).ok()? });
    }
    let last = numbers.pop()?;
    let width = 32 - 8 * numbers.len() as u32; // three at most are left
    if u64::from(last) >= 1 << width || numbers.iter().any(|number| *number > 255) {
        return None;
    }
    let high = numbers.iter().fold(0u64, |bits, number| bits << 8 | u64::from(*number));
    u32::try_from((high << width) | u64::from(last)).ok().map(Ipv4Addr::from_bits)
}

/// `%41` is `A`; `None` where that gives no text.
fn decoded(host: &str) -> Option<Cow<'_, str>> {
    if !host.contains('%') {
        return Some(host.into());
    }
    let mut octets = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        let pair = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                octets.push((high << 4 | low) as u8); // two digits
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(octets).ok().map(Cow::Owned)
}

/// Without character references, numeric ones and those that a URI could hide behind.
fn unescaped(html: &str) -> Cow<'_, str> {
    const NAMED: &[(&str, char)] = &[
        ("amp", '&'),
        ("colon", ':'),
        ("commat", '@'),
        ("period", '.'),
        ("sol", '/'),
        ("bsol", '\\'),
        ("quot", '"'),
        ("lt", '<'),
        ("gt", '>'),
        ("Tab", '\t'),
        ("NewLine", '\n'),
    ];
    if !html.contains('&') {
        return html.into();
    }
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let window = start(after, 12);
        let end = window.find(|c: char| !c.is_ascii_alphanumeric() && c != '#').unwrap_or(window.len());
        let word = window.get(..end).unwrap_or_default();
        let c = match word.strip_prefix('#') {
            Some(number) => {
                let value = match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                value.ok().and_then(char::from_u32)
            }
            None => NAMED.iter().find(|(name, _)| *name == word).map(|(_, c)| *c),
        };
        match c {
            Some(c) => {
                text.push(c);
                rest = after.get(end..).unwrap_or_default();
                rest = rest.strip_prefix(';').unwrap_or(rest);
            }
            None => {
                text.push('&');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kind: &str, body: &str) -> Vec<String> {
        let message = Message::parse(format!("Content-Type: text/{kind}; charset=utf-8\r\n\r\n{body}"));
        hosts(&message, 20).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn uris_in_plain_text_are_found() {
        for (text, expected) in [
            ("see http://Example.org/a, https://b.example.net.", &["example.org", "b.example.net"][..]),
            ("(http://example.org) <ftp://f.example.org>", &["example.org", "f.example.org"]),
            ("www.example.org, WWW.Example.NET/x x.www.example.com", &["www.example.org", "www.example.net"]),
            ("http://ada@b.example.org:80/ http://good.example@bad.example", &["b.example.org", "bad.example"]),
            ("http:\\\\bad.example\\x", &["bad.example"]),
            ("http://0x7f.1/ http://3221226219 http://[2001:db8::1]:80/", &["127.0.0.1", "192.0.2.235", "2001:db8::1"]),
            ("http://bücher.example/ http://a.example\u{3002}com", &["xn--bcher-kva.example", "a.example.com"]),
            ("http://%65xample.org/", &["example.org"]),
            ("http://example.org http://EXAMPLE.org.", &["example.org"]),
            ("javascript://no.example xhttp://no.example mailto:a@no.example no.example", &[]),
            ("http:// http://localhost/ http://a..b/ http://1.2.3.4.5/ http://x.123/", &[]),
            ("?u=http://a.example&v=http://b.example", &["a.example&v=http", "b.example"][1..]),
        ] {
            assert_eq!(found("plain", text), expected, "{text}");
        }
    }

    #[test]
    fn uris_in_html_are_found() {
        for (html, expected) in [
            ("<a href=\"http://a.example/x\">", &["a.example"][..]),
            ("<a href='//b.example/x'><a href=//c.example>", &["b.example", "c.example"]),
            ("<a href=\"ht\ntp:/\t/d.exa\r\nmple/\">", &["d.example"]),
            ("<a href=\"https&#58;&#x2F;/e&period;example&sol;\">", &["e.example"]),
            ("<a href=\" https:f.example\">", &["f.example"]),
            ("<a href=\"/g.example\"> <a href=\"h.example\"> <a href=\"http://open.example", &["open.example"]),
            ("a=b=\"//i.example\"", &["i.example"]),
        ] {
            assert_eq!(found("html", html), expected, "{html}");
        }
    }

    #[test]
    fn a_crowd_hides_nothing_for_certain() {
        let text: String = (0..1000).map(|n| format!("http://h{n}.example/ ")).collect();
        let found = found("plain", &text);
        assert_eq!(found.len(), 20);
        assert!(found.last().is_some_and(|last| last == "h999.example"), "{found:?}");
    }

    #[test]
    fn hostile_text_costs_little() {
        let start = std::time::Instant::now();
        for piece in
            ["http:/", "http://a@", ":www.", "=\"", "='", "&#", "= =", "www.", "http:\\\\[", "%", "=", "=h", "•www."]
        {
            let text = piece.repeat(200_000 / piece.len());
            let _ = (found("plain", &text), found("html", &text));
        }
        // What stands before does not cost what honest mail has behind it.
        let links = "<td class=x><a href=http://many.example/a?b=c>".repeat(10_000) + "<a href=//last.example/>";
        assert_eq!(found("html", &links), ["many.example", "last.example"]);
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
