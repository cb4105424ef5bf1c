//! Passwords that are guessed: so many wrong ones from one network, over however many connections, and it has to wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many wrong passwords are forgiven: a household of people with a new password each.
const FORGIVEN: u32 = 10;

/// One is forgotten after so long: a guesser gets sixty an hour, and a person who waits gets in.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// So many networks are remembered; beyond them those with the fewest guesses are let go. 64 octets each.
const NETWORKS: usize = 10_000;

/// Who has guessed how often of late.
#[derive(Default)]
pub struct Guesses(Mutex<HashMap<IpAddr, Wrong>>);

/// The wrong passwords of one network.
struct Wrong {
    count: u32,
    /// Up to when those that were forgotten are taken off.
    since: Instant,
}

impl Guesses {
    /// Whether a client at this address may show a password now.
    pub fn may_try(&self, client: IpAddr, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wrong) = all.get_mut(&network(client)) else { return true };
        wrong.forget(now);
        wrong.count < FORGIVEN
    }

    /// A client at this address has shown a wrong one.
    pub fn wrong(&self, client: IpAddr, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let client = network(client);
        if all.len() >= NETWORKS && !all.contains_key(&client) {
            // A tenth at once, so that a flood of addresses does not cost a look at all of them each.
            all.retain(|_, wrong| {
                wrong.forget(now);
                wrong.count > 0
            });
            if all.len() >= NETWORKS {
                let mut order: Vec<_> = all.iter().map(|(client, wrong)| (wrong.count, wrong.since, *client)).collect();
                order.sort_unstable();
                for (.., client) in order.iter().take(NETWORKS / 10) {
                    all.remove(client);
                }
            }
        }
        let wrong = all.entry(client).or_insert(Wrong { count: 0, since: now });
        wrong.forget(now);
        wrong.count = wrong.count.saturating_add(1).min(FORGIVEN);
    }
}

impl Wrong {
    fn forget(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_secs() / FORGOTTEN.as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.count = self.count.saturating_sub(passed);
        self.since = if self.count == 0 { now } else { self.since + FORGOTTEN * passed };
    }
}

/// What counts as one client: an address, or the /64 that a subscriber gets in IPv6.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_guesser_waits_and_others_do_not() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..FORGIVEN {
            assert!(guesses.may_try(client(1), at(0)));
            guesses.wrong(client(1), at(0));
        }
        assert!(!guesses.may_try(client(1), at(59)));
        assert!(guesses.may_try(client(2), at(59)));
        assert!(guesses.may_try(client(1), at(60)));
        guesses.wrong(client(1), at(60));
        assert!(!guesses.may_try(client(1), at(119)) && guesses.may_try(client(1), at(120)));
        // A subscriber has many addresses.
        for last in 0..u16::try_from(FORGIVEN).unwrap() {
            guesses.wrong(IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, last]), at(0));
        }
        assert!(!guesses.may_try("2001:db8:0:7:ffff::1".parse().unwrap(), at(1)));
        assert!(guesses.may_try("2001:db8:0:8::1".parse().unwrap(), at(1)));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory_and_does_not_free_a_guesser() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        (0..FORGIVEN).for_each(|_| guesses.wrong(client(u32::MAX), now));
        (0..50_000).for_each(|number| guesses.wrong(client(number), now));
        assert!(guesses.0.lock().unwrap().len() <= NETWORKS);
        assert!(!guesses.may_try(client(u32::MAX), now));
    }
}
