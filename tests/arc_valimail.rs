//! The suite of the authors of ARC: `arc-valimail`, chains to verify and sets to make.

mod suites;

use std::fs;
use std::process::Command;

use facteur::auth::arc::{self, Outcome};
use facteur::auth::{Results, dkim};
use facteur::base::Timestamp;
use facteur::dns::{Data, Zone};
use facteur::message::Message;
use yaml_rust2::{Yaml, YamlLoader};

/// The second in which the sets of the suite were made.
const NOW: i64 = 12_345;

/// The keys of a scenario.
fn zone(scenario: &Yaml) -> Zone {
    let mut zone = Zone::new();
    for (name, text) in scenario["txt-records"].as_hash().into_iter().flatten() {
        let (name, text) = (name.as_str().unwrap(), text.as_str().unwrap_or_default());
        zone.insert(name.parse().unwrap(), Data::Txt(text.replace(['\n', ' '], "").replace(";", "; ").into()));
    }
    zone
}

fn message(test: &Yaml) -> Message {
    Message::parse(test["message"].as_str().unwrap().replace('\n', "\r\n"))
}

fn verify(message: &Message, zone: &Zone) -> arc::Verdict {
    zone.ask(arc::verify(message, Timestamp::from_unix(NOW), &dkim::Config::default()))
}

fn tests(scenarios: &[Yaml]) -> impl Iterator<Item = (&Yaml, String, &Yaml)> {
    scenarios.iter().flat_map(|scenario| {
        let tests = scenario["tests"].as_hash().into_iter().flatten();
        tests.map(move |(name, test)| (scenario, name.as_str().unwrap().to_owned(), test))
    })
}

#[test]
fn chains_are_verified() {
    const SUITE: &str = "arc-valimail";
    let Some(root) = suites::find(SUITE) else { return };
    let scenarios =
        YamlLoader::load_from_str(&fs::read_to_string(root.join("arc-draft-validation-sample.yml")).unwrap()).unwrap();
    let (mut total, mut failed) = (0, Vec::new());
    for (scenario, name, test) in tests(&scenarios) {
        total += 1;
        let expected = match test["cv"].as_str() {
            Some("Pass") => Outcome::Pass,
            Some("Fail") => Outcome::Fail,
            _ => Outcome::None,
        };
        let verdict = verify(&message(test), &zone(scenario));
        if verdict.outcome != expected {
            failed.push((name, verdict));
        }
    }
    println!("conformance {SUITE} (verify) {}/{total}", total - failed.len());
    let ended = "RFC 8617 §5.2, step 2: a chain whose last seal says cv=fail is \"fail\", not \"none\" as in the draft";
    let simple = "RFC 6376 §3.5, \"c=\": OPTIONAL, default is \"simple/simple\", and RFC 8617 §4.1.2 has the same syntax and \
         semantics; the case is signed as relaxed/relaxed";
    suites::otherwise(
        &failed,
        &[("ams_fields_c_na", simple), ("cv_fail_i1_as_cv_fail", ended), ("cv_fail_i2_as2_fail", ended)],
    );
}

/// The tags of a field, without white space and but for the signature; of what is no list of tags, the words.
fn tags(value: &str) -> Vec<String> {
    let joined: String = value.split_whitespace().collect();
    let mut tags: Vec<String> = joined
        .split(';')
        .filter(|tag| !tag.is_empty() && !tag.starts_with("b="))
        .map(|tag| match tag.strip_prefix("h=") {
            // The names may be in any order; what is signed with them is not looked at.
            Some(names) => {
                let mut names: Vec<_> = names.split(':').collect();
                names.sort_unstable();
                format!("h={}", names.join(":"))
            }
            None => tag.to_owned(),
        })
        .collect();
    tags.sort_unstable();
    tags
}

/// The keys of the suite are RSA keys of 1024 bits, with which nothing is signed here (RFC 8301 §3.2): so all tags but `b=`
/// must be those of the suite, the suite's own sets must pass, and ours by a key of our own.
#[test]
fn sets_are_made() {
    const SUITE: &str = "arc-valimail";
    let Some(root) = suites::find(SUITE) else { return };
    let unpacked = Command::new("gzip").arg("-dc").arg(root.join("arc-draft-sign-tests.yml.gz")).output().unwrap();
    let scenarios = YamlLoader::load_from_str(&String::from_utf8(unpacked.stdout).unwrap()).unwrap();
    let key = dkim::SigningKey::generate_ed25519().unwrap();
    let (mut total, mut failed) = (0, Vec::new());
    for (scenario, name, test) in tests(&scenarios) {
        total += 1;
        let zone = zone(scenario);
        let message = message(test);
        let results = Results::of(message.header(), test["srv-id"].as_str().unwrap());
        let (domain, selector) = (scenario["domain"].as_str().unwrap(), scenario["sel"].as_str().unwrap());
        let mut signer = dkim::Signer::new(domain.parse().unwrap(), selector.parse().unwrap(), key.clone());
        signer.fields = test["sig-headers"].as_str().unwrap().split(':').map(str::to_owned).collect();
        signer.oversigned.clear();
        let at = test["t"].as_i64().unwrap();
        let set = arc::seal(&message, &verify(&message, &zone), &results, &signer, Timestamp::from_unix(at));
        let [theirs_third, theirs_second, theirs_first] =
            ["AS", "AMS", "AAR"].map(|part| test[part].as_str().unwrap_or(""));
        let Ok(set) = set else {
            // A chain that has ended takes no more sets.
            if !theirs_third.is_empty() {
                failed.push((name, format!("{set:?}")));
            }
            continue;
        };
        let sealed = Message::parse([set.as_bytes(), message.raw()].concat());
        let value = |name| sealed.header().get(name).map(|field| field.text().into_owned()).unwrap_or_default();
        for (field, theirs) in [
            ("ARC-Seal", theirs_third),
            ("ARC-Message-Signature", theirs_second),
            ("ARC-Authentication-Results", theirs_first),
        ] {
            let ours = tags(&value(field).replace("ed25519-sha256", "rsa-sha256"));
            if ours != tags(theirs) {
                failed.push((name.clone(), format!("{field}: {ours:?}, theirs {:?}", tags(theirs))));
            }
        }
        // The suite's own set on the message; its README has one space behind each semicolon of a list of tags, and no other.
        let list = |value: &str| value.split(';').map(|tag| tag.split_whitespace().collect()).collect::<Vec<String>>();
        let set = format!(
            "ARC-Seal: {}\r\nARC-Message-Signature: {}\r\nARC-Authentication-Results: {}\r\n",
            list(theirs_third).join("; "),
            list(theirs_second).join("; "),
            theirs_first.trim().replace('\n', "\r\n "),
        );
        let theirs = verify(&Message::parse([set.as_bytes(), message.raw()].concat()), &zone);
        let broken = theirs_third.contains("cv=fail");
        if (theirs.outcome != Outcome::Pass) != broken {
            failed.push((name, format!("theirs: {theirs:?}")));
        }
    }
    let cases: std::collections::BTreeSet<_> = failed.iter().map(|(name, _)| name.clone()).collect();
    println!("conformance {SUITE} (seal, all tags but b=) {}/{total}", total - cases.len());
    suites::otherwise(&failed, &[]);
}
