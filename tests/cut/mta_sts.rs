//! The talks of tests/talks/mta-sts: what a web server says when it is asked for the policy of `example.org`.
//!
//! `GIVEN MODE HOST... SECONDS` is the policy that is to come of it, `GIVEN error: TEXT` why there is none.

use std::time::Instant;

use facteur::auth::mta_sts::{Fetch, Policy};

use crate::talk::{Cut, Seen, Side, talks};

#[test]
fn mta_sts_talks() {
    let start = Instant::now();
    for talk in talks("mta-sts", Side::Client) {
        let mut expected = talk.given.clone();
        if !expected[0].starts_with("error") {
            expected.push("done".to_owned());
        }
        for cut in [Cut::Turns, Cut::Octets].into_iter().chain((1..=20).map(Cut::Random)) {
            let fetch = Fetch::new(&"example.org".parse().unwrap(), start).unwrap();
            let outcome = talk.play(cut, fetch, start, |_, policy| Seen::Event(shown(&policy)));
            assert_eq!(outcome.events, expected, "{} ({cut:?})", talk.name);
        }
    }
}

fn shown(policy: &Policy) -> String {
    let hosts = policy.hosts.iter().map(|host| format!("{host} ")).collect::<String>();
    format!("{} {hosts}{}", policy.mode.as_str(), policy.max_age)
}
