//! The suite `postfix-golden`, its files of addresses and host names: what Postfix's own test programs print. (Those of MIME are
//! for the messages' tests; those of its tables and macros have no counterpart here.)

mod suites;

use std::net::IpAddr;
use std::path::Path;

use facteur::address::{Address, Domain, list};
use facteur::base::Network;

/// Cases that come out otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    ("fold/3", "IDNA keeps the final sigma, which they fold"),
    ("fold/4", "the same"),
    ("tok822/7", "a closing bracket of no comment is passed over; they take it for a part of the domain"),
    ("tok822/9", "a backslash quotes within quotation marks and comments only (RFC 5322 §3.2.1)"),
    (
        "network/10 dummy/2001:240:5c7:0:2d0:b7ff:fe88:2ca8: ERROR",
        "bits behind the prefix are passed over; they refuse them",
    ),
    ("hostname/1.2.3.4.5.", "one dot at the end is read and dropped"),
    ("hostname/*.foo.bar", "a wildcard is for certificates; no host and no mail domain is called so"),
    ("midna/xn--123456.example.com", "an ASCII name goes to the DNS as it stands; in commands such a label is refused"),
];

fn read(root: &Path, file: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(root.join("src").join(file)).unwrap()).into_owned()
}

/// The addresses of a list, as the envelope writes them.
fn addresses(text: &str) -> Vec<String> {
    let mailboxes = list::mailboxes(text.as_bytes());
    mailboxes.filter_map(|mailbox| mailbox.address().map(|address| address.to_string())).collect()
}

#[test]
fn addresses_and_names_of_postfix() {
    let Some(root) = suites::find("postfix-golden") else { return };
    let (mut total, mut failed) = (0, Vec::new());
    let mut case = |name: String, ours: String, theirs: String| {
        total += 1;
        if ours != theirs {
            failed.push((name, format!("ours {ours}, theirs {theirs}")));
        }
    };

    // 'a@b@c@d' quoted '"a@b@c"@d'
    for line in read(&root, "global/quote_822_local.ref").lines().filter(|line| !line.contains("flags=")) {
        let parts: Vec<&str> = line.split('\'').collect();
        let [_, from, how, to, _] = parts[..] else { panic!("{line}") };
        let (local, domain) = if how.contains("unquoted") { (to, from) } else { (from, to) };
        // Without a domain it is no address; nothing at all is none either.
        let (Some((local, name)), true) = (local.rsplit_once('@'), domain.contains("\"@")) else { continue };
        let address = Address::new(local, name.parse().unwrap()).unwrap();
        if how.contains("unquoted") {
            // They take several domains for one; this one is quoted in whole.
            let read = from.parse::<Address>().map(|address| format!("{}@{}", address.local(), address.domain()));
            case(
                format!("unquote/{from}"),
                read.unwrap_or_else(|_| "none".into()),
                if from.matches('@').count() > 3 { "none".into() } else { to.into() },
            );
        } else {
            case(format!("quote/{from}"), address.to_string(), to.into());
        }
    }

    // |"foo bar"@example.com| for each address of a line, where nothing is added to it.
    let crunch = read(&root, "global/mail_addr_crunch.ref");
    let external = crunch.split("==== ").find(|part| part.starts_with("external to external, without")).unwrap();
    let theirs: Vec<String> = external.lines().skip(1).map(|line| line.trim_matches('|').to_owned()).collect();
    let input = "foo@example.com, \"foo bar\"@example.com, foo+ext@example.com";
    assert!(read(&root, "global/mail_addr_crunch.in").contains(input));
    case("crunch".into(), addresses(input).join(" "), theirs.join(" "));

    // >>>input<<< and, among more, the addresses without quoting.
    let parse = read(&root, "global/tok822_parse.ref");
    for (n, block) in parse.split(">>>").skip(1).enumerate() {
        let (input, rest) = block.split_once("<<<").unwrap();
        let Some(tree) = rest.split("Externalized, no newlines inserted:\n").nth(1) else { continue };
        let external = tree.lines().next().unwrap_or_default();
        // Parts of addresses without a domain are none here, and what they do with text that is no address is their own.
        let theirs = addresses(external);
        if input.contains('@') && !input.contains('[') {
            case(format!("tok822/{}", n + 1), addresses(input).join(" "), theirs.join(" "));
        }
    }

    // "testing:" and then the warnings of three readers.
    let hosts = read(&root, "util/valid_hostname.ref");
    for block in hosts.split("testing: \"").skip(1) {
        let (name, warnings) = block.split_once("\"\n").unwrap();
        // A number alone, a wildcard, and an empty name have rules of their own there.
        let sound = !warnings.contains("valid_hostname: warning: valid_hostname:") && !warnings.contains("misplaced");
        let numeric = warnings.contains("numeric hostname");
        if numeric {
            continue;
        }
        let fits = name.len() <= 255 && name.split('.').all(|label| label.len() <= 63);
        let ours = name.parse::<Domain>().is_ok() && fits;
        case(format!("hostname/{name}"), ours.to_string(), sound.to_string());
    }

    // "name" ->ascii "name", or an error.
    let midna = read(&root, "util/midna_domain_test.ref");
    for block in midna.split("domain: > ").skip(1) {
        let Some((name, rest)) = block.split_once('\n') else { continue };
        let Some(theirs) = rest.lines().find(|line| line.contains("->ascii")).filter(|_| !name.starts_with('#')) else {
            continue;
        };
        let theirs = theirs.rsplit("->ascii ").next().unwrap().split('"').nth(1).unwrap_or_default();
        let ours = name.parse::<Domain>().ok().and_then(|domain| domain.to_ascii());
        let long = name.len() > 255 || name.split('.').any(|label| label.len() > 63);
        let ours = ours.filter(|_| !long).unwrap_or_else(|| "(error)".into());
        case(format!("midna/{name}"), ours, theirs.into());
    }

    // How a domain compares: "host A@B" makes "A@b".
    let fold = read(&root, "global/fold_addr_test.ref");
    let (mut lines, mut n) = (fold.lines().peekable(), 0);
    while let Some(line) = lines.next() {
        let Some((how, address)) = line.strip_prefix("> ").and_then(|line| line.split_once(' ')) else { continue };
        if !matches!(how, "host" | "all") || !address.contains('@') {
            continue;
        }
        let Ok(address) = address.parse::<Address>() else { continue };
        let folded = lines.peek().and_then(|line| line.split("-> ").nth(1)).unwrap_or_default().trim_matches('"');
        let theirs = folded.rsplit_once('@').map(|(_, domain)| domain.to_owned()).unwrap_or_default();
        n += 1;
        case(format!("fold/{n}"), address.domain().to_unicode().unwrap_or_default(), theirs);
    }

    // A pattern of one network, a name, an address, and whether it is in it.
    let (lists, results) = (read(&root, "global/namadr_list.in"), read(&root, "global/namadr_list.ref"));
    let said: Vec<&str> = results.lines().filter(|line| !line.starts_with("./")).collect();
    for (n, line) in lists.lines().filter(|line| line.contains("./namadr_list")).enumerate() {
        let words: Vec<&str> = line.split("./namadr_list ").nth(1).unwrap().split(' ').collect();
        let [pattern, _, address] = words[..] else { continue };
        // IPv6 without brackets is the name of a table there.
        let is_table = pattern.contains(':') && !pattern.contains('[');
        let pattern = pattern.trim_matches('\'').replace(['[', ']'], "");
        let (Ok(network), Ok(address)) = (pattern.parse::<Network>(), address.parse::<IpAddr>()) else { continue };
        let Some(said) = said.get(n).filter(|said| !is_table && said.contains(&address.to_string())) else {
            continue;
        };
        let theirs = said.ends_with("YES");
        case(format!("network/{n} {said}"), network.contains(address).to_string(), theirs.to_string());
    }

    println!("conformance postfix-golden (addresses) {}/{total}", total - failed.len());
    suites::otherwise(&failed, OTHERWISE);
}
