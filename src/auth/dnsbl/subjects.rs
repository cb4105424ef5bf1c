//! What lists are asked about: out of a session and a message.

use std::net::IpAddr;

use super::{Lists, Origin, Subject, What, hosts};
use crate::auth::{Session, dmarc};
use crate::dns::Name;
use crate::message::Message;
use crate::smtp::ReversePath;

impl Lists {
    /// What these lists can be asked about of a session, and of a message where it is there already; nothing that none of
    /// them is asked about is looked for.
    ///
    /// ```
    /// use facteur::auth::Session;
    /// use facteur::auth::dnsbl::{List, Lists};
    /// use facteur::smtp::ReversePath;
    ///
    /// let lists = Lists::new([List::addresses("bl.example.org".parse()?, 1), List::uris("ubl.example.org".parse()?, 1)]);
    /// let session = Session::new([192, 0, 2, 1].into(), Some("mail.example.net".parse()?), ReversePath::Null);
    /// let subjects = lists.subjects(&session, None);
    /// assert_eq!(subjects.len(), 1, "no list is asked about the HELO name");
    /// # Ok::<(), facteur::base::ParseError>(())
    /// ```
    pub fn subjects(&self, session: &Session, message: Option<&Message>) -> Vec<Subject> {
        let mut subjects = Vec::new();
        let mut add = |origin: Origin, found: &mut dyn Iterator<Item = What>| {
            if self.ask_about(origin) {
                subjects.extend(found.map(|what| Subject::new(origin, what)));
            }
        };
        let domain = |text: Option<String>| text.and_then(|text| Name::parse(&text).ok()).map(What::Domain);
        add(Origin::Client, &mut [What::Address(session.peer)].into_iter());
        add(Origin::Helo, &mut domain(session.hello.as_ref().and_then(|name| name.to_ascii())).into_iter());
        if let ReversePath::Address(address) = &session.mail_from {
            add(Origin::Sender, &mut domain(address.domain().to_ascii()).into_iter());
        }
        let Some(message) = message else { return subjects };
        add(Origin::Author, &mut dmarc::author(message.header()).ok().map(What::Domain).into_iter());
        let relays = message.header().all("Received").filter_map(|field| field.received().from()?.address());
        let mut relays =
            relays.filter(|ip| is_global(*ip) && *ip != session.peer).take(self.most_relays).map(What::Address);
        add(Origin::Relay, &mut relays);
        if self.ask_about(Origin::Uri) {
            // Whoever writes http://127.0.0.2/ is not to be listed for the test point of the list.
            let global = |host: &What| !matches!(host, What::Address(address) if !is_global(*address));
            add(Origin::Uri, &mut hosts(message, self.most_hosts).into_iter().filter(global));
        }
        subjects
    }
}

/// Whether an address can be that of a host on the internet; of others no list knows anything.
fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // RFC 6598 §7: 100.64.0.0/10 is for carriers.
            let shared = first == 100 && second & 0xc0 == 64;
            let local = address.is_private() || address.is_loopback() || address.is_link_local() || shared;
            !(local || first == 0 || address.is_multicast() || address.is_broadcast())
        }
        IpAddr::V6(address) => {
            let local = address.is_unique_local() || address.is_unicast_link_local();
            !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || local)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::dnsbl::List;

    #[test]
    fn each_origin_has_its_subjects() {
        let zone = || "bl.x".parse().unwrap();
        let mut addresses = List::addresses(zone(), 1);
        addresses.about.push(Origin::Relay);
        let lists = Lists::new([addresses, List::domains(zone(), 1), List::uris(zone(), 1)]);
        let sender = ReversePath::Address("ada@bücher.example".parse().unwrap());
        let session =
            Session::new("::ffff:192.0.2.1".parse().unwrap(), Some("mail.example.org".parse().unwrap()), sender);
        let message = Message::parse(
            "Received: from a (a [198.51.100.7]) by b; x\r\nReceived: from c (c [10.0.0.1]) by a; x\r\n\
             Received: from d ([100.64.1.1]) by a; x\r\nReceived: from e ([IPv6:2001:db8::5]) by a; x\r\n\
             From: Ada <ada@example.com>\r\n\r\nsee http://shop.example.net/ and http://203.0.113.5/ and\r\n\
             http://127.0.0.2/ and http://0x7f.2/ and http://[::ffff:127.0.0.2]/\r\n",
        );
        let found = lists.subjects(&session, Some(&message));
        let found: Vec<String> = found.iter().map(|one| format!("{} {}", one.origin, one.what)).collect();
        let expected = [
            "client ::ffff:192.0.2.1",
            "helo mail.example.org",
            "sender xn--bcher-kva.example",
            "author example.com",
            "relay 198.51.100.7",
            "relay 2001:db8::5",
            "uri shop.example.net",
            "uri 203.0.113.5",
        ];
        assert_eq!(found, expected);
        assert_eq!(lists.subjects(&session, None).len(), 3);
    }
}
