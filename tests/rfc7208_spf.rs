//! SPF by the examples of RFC 7208, Appendix A.

use std::net::IpAddr;

use facteur::auth::spf::{Evaluation, Identity, Outcome};
use facteur::dns::Zone;

const SETUP: &str = "
example.com MX 10 mail-a.example.com
example.com MX 20 mail-b.example.com
example.com A 192.0.2.10
example.com A 192.0.2.11
amy.example.com A 192.0.2.65
bob.example.com A 192.0.2.66
mail-a.example.com A 192.0.2.129
mail-b.example.com A 192.0.2.130
www.example.com CNAME example.com
example.org MX 10 mail-c.example.org
mail-c.example.org A 192.0.2.140
10.2.0.192.in-addr.arpa PTR example.com
11.2.0.192.in-addr.arpa PTR example.com
65.2.0.192.in-addr.arpa PTR amy.example.com
66.2.0.192.in-addr.arpa PTR bob.example.com
129.2.0.192.in-addr.arpa PTR mail-a.example.com
130.2.0.192.in-addr.arpa PTR mail-b.example.com
140.2.0.192.in-addr.arpa PTR mail-c.example.org
4.0.0.10.in-addr.arpa PTR bob.example.com
";

/// Every address that the examples speak of, and their neighbours.
const HOSTS: [&str; 14] = [
    "192.0.2.10",
    "192.0.2.11",
    "192.0.2.12",
    "192.0.2.65",
    "192.0.2.66",
    "192.0.2.127",
    "192.0.2.128",
    "192.0.2.129",
    "192.0.2.130",
    "192.0.2.131",
    "192.0.2.140",
    "192.0.2.143",
    "192.0.2.144",
    "10.0.0.4",
];

fn outcome(zone: &str, host: &str, sender: &str) -> Outcome {
    let zone: Zone = format!("{SETUP}{zone}").parse().unwrap();
    let host: IpAddr = host.parse().unwrap();
    zone.ask(Evaluation::new(host, "mail.example.net", sender, Identity::MailFrom)).outcome
}

/// Whose mail passes; that of all others fails.
fn pass(zone: &str, sender: &str) -> Vec<&'static str> {
    let passes = |host: &&str| match outcome(zone, host, sender) {
        Outcome::Pass => true,
        Outcome::Fail => false,
        other => panic!("{host}: {other}"),
    };
    HOSTS.into_iter().filter(passes).collect()
}

#[test]
fn simple_examples() {
    for (record, expected) in [
        ("v=spf1 +all", &HOSTS[..]),
        ("v=spf1 a -all", &["192.0.2.10", "192.0.2.11"]),
        ("v=spf1 a:example.org -all", &[]),
        ("v=spf1 mx -all", &["192.0.2.129", "192.0.2.130"]),
        ("v=spf1 mx:example.org -all", &["192.0.2.140"]),
        ("v=spf1 mx mx:example.org -all", &["192.0.2.129", "192.0.2.130", "192.0.2.140"]),
        // 192.0.2.128/30 and 192.0.2.140/30
        (
            "v=spf1 mx/30 mx:example.org/30 -all",
            &["192.0.2.128", "192.0.2.129", "192.0.2.130", "192.0.2.131", "192.0.2.140", "192.0.2.143"],
        ),
        // Those whose name leads back to them and is in example.com.
        ("v=spf1 ptr -all", &["192.0.2.10", "192.0.2.11", "192.0.2.65", "192.0.2.66", "192.0.2.129", "192.0.2.130"]),
        (
            "v=spf1 ip4:192.0.2.128/28 -all",
            &["192.0.2.128", "192.0.2.129", "192.0.2.130", "192.0.2.131", "192.0.2.140", "192.0.2.143"],
        ),
    ] {
        assert_eq!(pass(&format!("example.com TXT \"{record}\""), "ada@example.com"), expected, "{record}");
    }
}

#[test]
fn multiple_domains() {
    let zone = "example.com TXT \"v=spf1 a -all\"\nexample.net TXT \"v=spf1 ip4:192.0.2.65 -all\"\n\
                example.org TXT \"v=spf1 include:example.com include:example.net -all\"\n\
                la.example.org TXT \"v=spf1 redirect=example.org\"";
    for sender in ["ada@example.org", "ada@la.example.org"] {
        assert_eq!(pass(zone, sender), ["192.0.2.10", "192.0.2.11", "192.0.2.65"], "{sender}");
    }
    assert_eq!(pass(zone, "ada@example.com"), ["192.0.2.10", "192.0.2.11"]);
}

#[test]
fn the_style_of_a_dns_blacklist() {
    let zone = "mary.mobile-users._spf.example.com A 127.0.0.2\nfred.mobile-users._spf.example.com A 127.0.0.2\n\
                15.15.168.192.joel.remote-users._spf.example.com A 127.0.0.2\n\
                16.15.168.192.joel.remote-users._spf.example.com A 127.0.0.2\n\
                example.com TXT \"v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all\"\n\
                mobile-users._spf.example.com TXT \"v=spf1 exists:%{l1r+}.%{d}\"\n\
                remote-users._spf.example.com TXT \"v=spf1 exists:%{ir}.%{l1r+}.%{d}\"";
    for (host, sender, expected) in [
        ("203.0.113.1", "mary@example.com", Outcome::Pass),
        ("203.0.113.1", "mary+news@example.com", Outcome::Pass),
        ("203.0.113.1", "fred@example.com", Outcome::Pass),
        ("203.0.113.1", "ada@example.com", Outcome::Fail),
        ("192.168.15.15", "joel@example.com", Outcome::Pass),
        ("192.168.15.16", "joel+list@example.com", Outcome::Pass),
        ("192.168.15.17", "joel@example.com", Outcome::Fail),
        ("192.168.15.15", "ada@example.com", Outcome::Fail),
        ("192.0.2.129", "ada@example.com", Outcome::Pass),
    ] {
        assert_eq!(outcome(zone, host, sender), expected, "{host} {sender}");
    }
}

#[test]
fn multiple_requirements() {
    let zone = |ptr: &str| {
        format!(
            "example.com TXT \"v=spf1 -include:ip4._spf.%{{d}} -include:ptr._spf.%{{d}} +all\"\n\
             ip4._spf.example.com TXT \"v=spf1 -ip4:192.0.2.0/24 +all\"\nptr._spf.example.com TXT \"v=spf1 -{ptr} +all\""
        )
    };
    // Both in the range, and with a name in example.com that leads back.
    assert_eq!(
        pass(&zone("ptr:example.com"), "ada@example.com"),
        ["192.0.2.10", "192.0.2.11", "192.0.2.65", "192.0.2.66", "192.0.2.129", "192.0.2.130"]
    );
    // As it is printed nobody passes: §5.5 asks for names in the domain whose record this is, and that is the included one.
    assert_eq!(pass(&zone("ptr"), "ada@example.com"), [""; 0]);
}
