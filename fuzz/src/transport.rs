//! What mail hosts must prove: TLSA records and certificates, MTA-STS.

use std::time::Instant;

use facteur::auth::dane::{Records, Tlsa};
use facteur::auth::mta_sts::{Fetch, FetchError, MAX_AGE, MAX_PATTERNS, MAX_POLICY, Mode, Pattern, Policy, Record};
use facteur::base::{Machine, Step};
use facteur::dns::{Data, Name};

/// Three octets of numbers, then any octets as the data of a record, and as a certificate.
pub fn tlsa(input: &[u8]) {
    let (&[usage, selector, matching], data) = input.split_first_chunk().unwrap_or((&[3, 0, 0], input));
    let record = Tlsa::new(usage, selector, matching, data.to_vec());
    let said = Data::Tlsa { usage, selector, matching, data: data.to_vec().into() };
    assert_eq!(Tlsa::of(&said).as_ref(), Some(&record));
    assert!(record.to_string().ends_with(&data.iter().map(|octet| format!("{octet:02x}")).collect::<String>()));
    let records = Records::new([record.clone(), Tlsa::new(usage, selector, 2, vec![0; 64]), record.clone()]);
    assert_eq!(records.all().len(), 3);
    assert!(records.usable().all(Tlsa::is_usable) && records.usable().count() <= 3);
    assert!(records.usable().count() == 0 || matches!((usage, selector), (2 | 3, 0 | 1)));
    let whole = Records::new([Tlsa::new(3, 0, 0, data.to_vec())]);
    // What reads as a certificate is the one that it is, and no other.
    assert_eq!(whole.mean_server(data), !whole.are_unusable());
    assert!(!whole.mean_server(&[data, b"\0"].concat()) && !whole.mean_anchor(data));
    let hashed = Records::new([Tlsa::new(2, 1, 1, vec![0; 32])]);
    assert!(!hashed.mean_anchor(data) && hashed.name_anchors());
}

/// Any octets as a record, a policy, a pattern, and as the response of a web server, cut in two ways.
pub fn mta_sts(input: &[u8]) {
    if let Ok(record) = Record::parse(input) {
        assert!((1..=32).contains(&record.id.len()) && record.id.bytes().all(|octet| octet.is_ascii_alphanumeric()));
    }
    if let Ok(policy) = Policy::parse(input) {
        assert!(policy.max_age <= MAX_AGE && policy.hosts.len() <= MAX_PATTERNS);
        assert!(!policy.hosts.is_empty() || policy.mode == Mode::None);
        assert_eq!(Policy::parse(policy.to_string().as_bytes()), Ok(policy));
    }
    if let Some(pattern) = std::str::from_utf8(input).ok().and_then(|text| Pattern::parse(text).ok()) {
        assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
    }
    let whole = fetch(input, usize::MAX);
    assert_eq!(whole, fetch(input, 1));
    assert!(whole != Err(FetchError::Timeout));
}

fn fetch(response: &[u8], size: usize) -> Result<Policy, FetchError> {
    let domain: Name = "example.org".parse().expect("a name");
    let mut fetch = Fetch::new(&domain, Instant::now()).expect("a short name");
    let mut pieces = response.chunks(size.min(response.len()).max(1));
    let mut fed = 0;
    loop {
        match fetch.poll()? {
            Step::Event(policy) => return Ok(policy),
            Step::NeedInput => match pieces.next() {
                Some(piece) => {
                    fetch.wire().feed(piece);
                    fed += piece.len();
                }
                None => fetch.wire().close(),
            },
            step => panic!("{step:?} of {MAX_POLICY} after {fed}"),
        }
    }
}
