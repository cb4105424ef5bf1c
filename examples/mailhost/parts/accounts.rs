//! Who has a mailbox here: names, passwords, addresses, and where the mail is.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use facteur::address::Address;
use facteur::base::Secret;
use facteur::sasl::{Answer, Credentials, Identity, Offer, Question, Verifier};
use facteur::smtp::{ForwardPath, Recipient};
use facteur::store::{StoreError, maildir};
use tokio::sync::watch;

use super::config::{Config, User};

/// All users.
pub struct Accounts {
    by_name: HashMap<String, Arc<Account>>,
    /// By local part in lower case and domain in lower case.
    by_address: HashMap<(String, String), Arc<Account>>,
    postmaster: Option<Arc<Account>>,
    /// What all services offer a user who logs in.
    pub offer: Offer,
    decoy: Verifier,
    /// The maildrops that a POP3 session holds (RFC 1939 §4: one at a time).
    in_use: Arc<Mutex<HashSet<String>>>,
}

/// One user.
pub struct Account {
    pub name: String,
    verifier: Verifier,
    maildir: PathBuf,
    forward: Vec<Address>,
    /// Counts the deliveries; who waits in IDLE watches it.
    pub news: watch::Sender<u64>,
}

/// Holds a maildrop for one POP3 session; dropped, it is free again.
pub struct Held {
    name: String,
    in_use: Arc<Mutex<HashSet<String>>>,
}

impl Accounts {
    /// The users of the config; each Maildir is made where it is missing.
    pub fn new(config: &Config, users: &[User], data: &Path, decoys: Secret) -> Result<Self, String> {
        let mut offer = Offer::default();
        offer.decoys = decoys;
        let mut accounts = Self {
            by_name: HashMap::new(),
            by_address: HashMap::new(),
            postmaster: None,
            offer,
            decoy: Verifier::decoy(),
            in_use: Arc::default(),
        };
        for user in users {
            let fault = |what: &dyn std::fmt::Display| format!("user {}: {what}", user.name);
            let verifier = user.password.parse().map_err(|error| fault(&error))?;
            let maildir = data.join(&user.mailbox);
            let (name, forward) = (user.name.clone(), user.forward.clone());
            let account = Arc::new(Account { name, verifier, maildir, forward, news: watch::channel(0).0 });
            account.store().map_err(|error| fault(&error))?;
            let mut addresses = user.addresses.clone();
            if addresses.is_empty() {
                for domain in &config.local_domains {
                    addresses.push(Address::new(user.name.clone(), domain.clone()).map_err(|error| fault(&error))?);
                }
            }
            for address in &addresses {
                if !config.is_local(address.domain()) {
                    return Err(fault(&format!("{address} is in none of local_domains")));
                }
                if accounts.by_address.insert(key(address), Arc::clone(&account)).is_some() {
                    return Err(fault(&format!("{address} belongs to another user already")));
                }
            }
            // RFC 5321 §4.5.1: postmaster always has a mailbox; the first user's where none names it.
            accounts.postmaster.get_or_insert_with(|| Arc::clone(&account));
            accounts.by_name.insert(user.name.clone(), account);
        }
        Ok(accounts)
    }

    /// Whose mailbox mail for this recipient goes to.
    pub fn recipient(&self, to: &ForwardPath) -> Option<&Arc<Account>> {
        match to {
            ForwardPath::Postmaster => self.postmaster.as_ref(),
            ForwardPath::Address(address) => self
                .by_address
                .get(&key(address))
                .or_else(|| self.postmaster.as_ref().filter(|_| address.local().eq_ignore_ascii_case("postmaster"))),
        }
    }

    /// Whether mail for this address is this user's.
    pub fn owns(&self, user: &str, address: &Address) -> bool {
        self.by_address.get(&key(address)).is_some_and(|account| account.name == user)
    }

    /// Who else gets mail for these recipients, each once.
    pub fn forwards(&self, recipients: &[Recipient]) -> Vec<Recipient> {
        let accounts = recipients.iter().filter_map(|recipient| self.recipient(&recipient.to));
        let mut more: Vec<Recipient> = Vec::new();
        for address in accounts.flat_map(|account| &account.forward) {
            let to = ForwardPath::Address(address.clone());
            if recipients.iter().chain(&more).all(|known| known.to != to) {
                more.push(to.into());
            }
        }
        more
    }

    /// The user, where the password is right or was proved. A password takes some milliseconds of computing, for unknown
    /// users too. Nobody acts for another: the offer does not let it come so far.
    pub fn check(&self, identity: &Identity, credentials: &Credentials) -> Option<Arc<Account>> {
        let account = self.by_name.get(&identity.authcid);
        let right = match credentials {
            Credentials::Password(password) => account.map_or(&self.decoy, |account| &account.verifier).check(password),
            Credentials::Proven => true,
            _ => false,
        };
        account.filter(|_| right).cloned()
    }

    /// What a mechanism must know of a user.
    pub fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Keys { user, .. } => match self.by_name.get(user) {
                Some(account) => Answer::Keys(account.verifier.clone()),
                None => Answer::Nobody,
            },
            _ => Answer::Nobody,
        }
    }

    /// Takes hold of a maildrop for a POP3 session, where no other has it.
    pub fn hold(&self, account: &Account) -> Option<Held> {
        let mut in_use = self.in_use.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        in_use
            .insert(account.name.clone())
            .then(|| Held { name: account.name.clone(), in_use: Arc::clone(&self.in_use) })
    }
}

impl Account {
    /// The user's mailboxes.
    pub fn store(&self) -> Result<maildir::Store, StoreError> {
        maildir::Store::open(&self.maildir)
    }

    /// Wakes whoever waits for mail.
    pub fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_use.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&self.name);
    }
}

/// Local parts compare without case here: no two users should differ by it alone.
fn key(address: &Address) -> (String, String) {
    let domain = address.domain().to_ascii_or_text();
    (address.local().to_lowercase(), domain)
}
