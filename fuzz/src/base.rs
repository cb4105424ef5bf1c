//! Addresses and dates.

use facteur::address::{Address, Domain};
use facteur::base::Timestamp;

/// What reads as an address or a domain is written so that it reads as the same.
pub fn address(input: &[u8]) {
    if let Ok(address) = Address::parse(input) {
        assert_eq!(Address::parse(address.to_string().as_bytes()), Ok(address));
    }
    if let Ok(domain) = Domain::parse(input) {
        assert_eq!(Domain::parse(domain.to_string().as_bytes()), Ok(domain));
    }
}

/// What reads as a date in any of the three forms is written so that it reads as the same.
pub fn date(input: &[u8]) {
    if let Ok(stamp) = Timestamp::parse(input) {
        assert_eq!(Timestamp::parse(stamp.to_string().as_bytes()), Ok(stamp));
    }
    if let Ok(stamp) = Timestamp::parse_imap(input) {
        assert_eq!(Timestamp::parse_imap(stamp.imap().to_string().as_bytes()).map(Timestamp::unix), Ok(stamp.unix()));
    }
    if let Ok(stamp) = Timestamp::parse_asctime(input) {
        assert_eq!(
            Timestamp::parse_asctime(stamp.asctime().to_string().as_bytes()).map(Timestamp::unix),
            Ok(stamp.unix())
        );
    }
}
