//! The commands `spf` and `dnsbl` from the outside, offline.
#![cfg(all(feature = "net", unix))]

mod support;

use std::process::{Command, Output};

use support::{Folder, example};

const ZONE: &str = "
    $ORIGIN example.org.
    @     TXT \"v=spf1 include:_spf.example.org a:mail.example.org -all exp=why.example.org\"
    _spf  TXT \"v=spf1 ip4:198.51.100.0/24\"
    mail  A 192.0.2.1
    why   TXT \"%{i} is not ours\"
    2.0.0.127.bl A 127.0.0.2
    99.2.0.192.bl A 127.0.0.4
    99.2.0.192.bl TXT \"Dynamic address\"
    *.dead A 127.0.0.2
    test.dl A 127.0.0.2
    spam.example.dl A 127.0.0.2
    2.0.0.127.wl A 127.0.0.2
    99.2.0.192.wl A 127.0.9.1
";

/// What a command says, asked with the zone above.
fn run(name: &str, arguments: &str) -> Output {
    let folder = Folder::new(&format!("{name}-{}", arguments.len()));
    let zone = folder.0.join("zone");
    std::fs::write(&zone, ZONE).unwrap();
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    arguments.extend(["--zone", zone.to_str().unwrap()]);
    Command::new(example(name)).args(arguments).output().unwrap()
}

fn said(name: &str, arguments: &str) -> String {
    let output = run(name, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn spf_says_how_the_outcome_came_about() {
    let said = said("spf", "--ip 192.0.2.7 --helo mail.example.org --from ada@example.org --receiver mx.test");
    let (helo, mail_from) = said.split_once("mailfrom ").unwrap();
    assert!(helo.starts_with(
        "helo mail.example.org: none\n  since no record\n  asked mail.example.org TXT: no such record\nReceived-SPF: none "
    ));
    let (outcome, field) = mail_from.split_once("Received-SPF: ").unwrap();
    assert_eq!(
        outcome,
        "example.org: fail\n  decided by -all of example.org\n  says \"192.0.2.7 is not ours\"\n  \
         asked example.org TXT: \"v=spf1 include:_spf.example.org a:mail.example.org -all exp=why.example.org\"\n  \
         asked _spf.example.org TXT: \"v=spf1 ip4:198.51.100.0/24\"\n  \
         asked mail.example.org A: 192.0.2.1\n  \
         asked why.example.org TXT: \"%{i} is not ours\"\n"
    );
    assert!(field.starts_with("fail ") && !field.contains('\r'), "{field}");
}

#[test]
fn spf_says_it_in_json() {
    let said = said("spf", "--ip 192.0.2.1 --from ada@example.org --json");
    let value: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(value["outcome"], "pass");
    assert_eq!(value["decided_by"]["term"], "a:mail.example.org");
    assert_eq!(value["asked"][2]["found"][0], "192.0.2.1");
}

#[test]
fn dnsbl_adds_up_what_lists_say() {
    let asked = "--list bl.example.org=127.0.0.[2..11]*3 --allow wl.example.org --list dead.example.org 192.0.2.99";
    assert_eq!(
        said("dnsbl", asked),
        "test of bl.example.org (ipv4): must be listed: listed 127.0.0.2; must not: not listed; the list works\n\
         test of dead.example.org (ipv4): must be listed: listed 127.0.0.2; must not: listed 127.0.0.2; the list lists everything\n\
         test of wl.example.org (ipv4): must be listed: listed 127.0.0.2; must not: not listed; the list works\n\
         192.0.2.99 (client) at bl.example.org: 99.2.0.192.bl.example.org: listed 127.0.0.4: Dynamic address (+3)\n\
         192.0.2.99 (client) at dead.example.org: 99.2.0.192.dead.example.org: put aside: the list lists everything\n\
         192.0.2.99 (client) at wl.example.org: 99.2.0.192.wl.example.org: listed 127.0.9.1, trust low (-1)\n\
         score 2\n"
    );
    let domain = said("dnsbl", "--domain-list dl.example.org*5 www.spam.example --json");
    let value: serde_json::Value = serde_json::from_str(&domain).unwrap();
    assert_eq!(value["score"], 5);
    assert_eq!(value["entries"][0]["listed"], false);
    assert_eq!(value["entries"][1]["asked"], "spam.example.dl.example.org");
    assert_eq!(value["tests"][0]["health"], "works");
}

#[test]
fn dnsbl_asks_for_test_points_alone() {
    let tests = said("dnsbl", "--list bl.example.org --test");
    assert_eq!(tests.lines().count(), 2, "{tests}");
    assert!(tests.lines().next().unwrap().ends_with("the list works"), "{tests}");
    assert!(tests.lines().nth(1).unwrap().ends_with("the list lists nothing"), "it has no IPv6 entries: {tests}");
}

#[test]
fn what_is_wrong_is_said() {
    for (name, arguments, expected) in [
        ("dnsbl", "192.0.2.1", "no list"),
        ("dnsbl", "--list bl..org 192.0.2.1", "expected a label at octet 3"),
        ("dnsbl", "--list bl.org*x 192.0.2.1", "expected a weight at octet 7"),
        ("spf", "--ip 192.0.2.1", "--helo"),
        ("spf", "--ip 192.0.2 --from a@b.org", "invalid IP address"),
    ] {
        let output = run(name, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(expected), "{name} {arguments}: {error}");
    }
}
