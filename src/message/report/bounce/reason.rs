//! Why a message did not arrive: out of the enhanced status code first, then out of what was said.
//!
//! The codes are those of RFC 3463 and of the registry of RFC 5248, among them RFC 7372, RFC 7504, RFC 7505 and RFC 7293. Where a
//! code says no more than its subject (`5.7.1`), the words decide, then the subject. The words are those that servers of
//! many makers use; each stands once, under the reason that it gives, and the first group that fits counts.

use memchr::memmem;

use crate::message::Enhanced;

/// Why a message did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// There is no such mailbox.
    UserUnknown,
    /// The mailbox is there, and closed: disabled, suspended, inactive.
    Disabled,
    /// The mailbox is full.
    MailboxFull,
    /// The recipient has another address now.
    Moved,
    /// There is no such domain, or no host for its mail.
    HostUnknown,
    /// The domain takes no mail (RFC 7505).
    NoMail,
    /// The address of the sender was not accepted.
    SenderRefused,
    /// The sending host was not accepted: its address, its name, its reputation.
    Blocked,
    /// Too much at once; also where a server asked to come back later, and that went on for too long.
    RateLimited,
    /// The message was taken for junk.
    Spam,
    /// The message holds a virus, or was taken to.
    Virus,
    /// Something in the message was not accepted: its form, its media types, its attachments.
    Content,
    /// SPF, DKIM or DMARC: the message is not from where it says, as far as the server can tell.
    Unauthenticated,
    /// The server asks for a login or for encryption.
    Security,
    /// The server is not the one for this recipient.
    RelayDenied,
    /// The sender may not write to this recipient: a list for members, a closed group.
    NotAllowed,
    /// Another policy of the server.
    Policy,
    /// The message is too large.
    TooBig,
    /// It was tried for too long.
    Expired,
    /// The message went in circles.
    Loop,
    /// The server could not be reached, or the connection broke.
    Network,
    /// The server has no room.
    SystemFull,
    /// The server has a fault.
    SystemError,
    /// The two servers did not understand each other.
    Protocol,
    /// Nothing that was said is known.
    Unknown,
}

impl Reason {
    /// The reason that a status code and a text give. A code inside of the text, which is what the server said, counts before
    /// the status, which is what a relay made of it: `5.0.0`, or `5.1.1` for everything. What was tried for too long has
    /// expired, whatever was said the last time.
    ///
    /// ```
    /// use facteur::message::Enhanced;
    /// use facteur::message::report::Reason;
    ///
    /// assert_eq!(Reason::of(Some(Enhanced(5, 1, 1)), "550 no"), Reason::UserUnknown);
    /// assert_eq!(Reason::of(Some(Enhanced(5, 7, 1)), "554 5.7.1 Relay access denied"), Reason::RelayDenied);
    /// assert_eq!(Reason::of(None, "mailbox is full"), Reason::MailboxFull);
    /// ```
    pub fn of(status: Option<Enhanced>, text: &str) -> Self {
        let codes = || codes(text);
        let by_status = status.and_then(exact);
        if by_status == Some(Reason::Expired) {
            return Reason::Expired;
        }
        if let Some(reason) = codes().find_map(exact) {
            return reason;
        }
        // Where the server said another code, which says no more than its subject, its words come before the status.
        let other = codes().any(|code| Some(code) != status && code.1 != 0);
        if let Some(reason) = by_status.filter(|_| !other) {
            return reason;
        }
        if let Some(reason) = said(text, MOST) {
            return reason;
        }
        by_status.or_else(|| status.and_then(subject)).or_else(|| codes().find_map(subject)).unwrap_or(Self::Unknown)
    }

    /// Whether the fault lies with the address: it will not become right, and should not be written to again.
    pub fn is_of_address(self) -> bool {
        matches!(self, Self::UserUnknown | Self::Moved | Self::HostUnknown | Self::NoMail)
    }
}

/// The status codes in a text, at most eight.
fn codes(text: &str) -> impl Iterator<Item = Enhanced> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && !matches!(character, '.' | '_'));
    words.filter_map(|word| word.trim_end_matches('.').parse().ok()).take(8)
}

/// What a code says that has a meaning of its own.
fn exact(Enhanced(class, subject, detail): Enhanced) -> Option<Reason> {
    Some(match (subject, detail) {
        (1, 1 | 3 | 4) => Reason::UserUnknown,
        // RFC 3463 §3.2: "Bad destination system address"
        (1, 2) => Reason::HostUnknown,
        (1, 6) | (7, 17) => Reason::Moved,
        (1, 7 | 8) | (7, 27) => Reason::SenderRefused,
        (2, 1) | (7, 13) => Reason::Disabled,
        (2, 2) => Reason::MailboxFull,
        (2, 3) | (3, 4) => Reason::TooBig,
        (2, 4) | (3, 5) => Reason::SystemError,
        (3, 1) => Reason::SystemFull,
        // "Unable to route" is for good where no server of names knows the domain.
        (4, 4) if class == 5 => Reason::HostUnknown,
        // For good, 5.4.1 is said of recipients too, so the words come first.
        (4, 1..=5) if class == 4 => Reason::Network,
        (4, 6) => Reason::Loop,
        (4, 7) => Reason::Expired,
        (5, 3) => Reason::RateLimited,
        (7, 2) => Reason::NotAllowed,
        (7, 4 | 5 | 8 | 10 | 11 | 12 | 30) => Reason::Security,
        // RFC 7372; 7.509 and 7.515 are Microsoft's.
        (7, 20..=24 | 26 | 29 | 509 | 515) => Reason::Unauthenticated,
        // RFC 7372 §3.3: no name for the address. Microsoft's 7.606 to 7.649: "banned sending IP".
        (7, 25 | 606..=649) => Reason::Blocked,
        (7, 28) => Reason::RateLimited,
        _ => return None,
    })
}

/// What a code says by its subject alone (RFC 3463 §3.2 to §3.8).
fn subject(Enhanced(_, subject, detail): Enhanced) -> Option<Reason> {
    match (subject, detail) {
        // RFC 7505 §4.2; Microsoft has it for an unknown user, so the words come first.
        (1, 10) => Some(Reason::NoMail),
        (3, _) => Some(Reason::SystemError),
        (4, _) => Some(Reason::Network),
        (5, _) => Some(Reason::Protocol),
        (6, _) => Some(Reason::Content),
        (7, _) => Some(Reason::Policy),
        _ => None,
    }
}

/// How much of what was said is looked at, in octets: what matters stands at its start, and a report may hold a thousand.
const MOST: usize = 1024;
/// How much of the words of a whole bounce is looked at, in octets.
const MOST_OF_ALL: usize = 4096;

/// What the words of a whole bounce say.
pub(super) fn of_all(text: &str) -> Reason {
    codes(text).find_map(exact).or_else(|| said(text, MOST_OF_ALL)).unwrap_or(Reason::Unknown)
}

/// What words say.
fn said(text: &str, most: usize) -> Option<Reason> {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let lower = text.get(..end).unwrap_or_default().to_lowercase();
    // Lines are folded wherever they are, and each of a reply begins with its codes.
    let mut line = String::with_capacity(lower.len());
    for word in lower.split_whitespace() {
        let code = word.bytes().take(3).all(|octet| octet.is_ascii_digit()) && word.as_bytes().get(3) == Some(&b'-');
        let word = if code { word.get(4..).unwrap_or_default() } else { word };
        if !word.is_empty() && word.parse::<Enhanced>().is_err() {
            line.push_str(word);
            line.push(' ');
        }
    }
    let line = line.replace('\u{2019}', "'");
    let holds = |phrase: &&str| memmem::find(line.as_bytes(), phrase.as_bytes()).is_some();
    let groups = SAID.iter().find(|(_, phrases)| phrases.iter().any(holds));
    groups.map(|(reason, _)| *reason)
}

/// What is said, in lower case, by reason; exact phrases come before those that they hold.
#[rustfmt::skip] // a table
const SAID: &[(Reason, &[&str])] = &[
    (Reason::MailboxFull, &[
        "mailbox full", "mailbox is full", "mailbox has exceeded", "mailbox exceeds", "mailbox size limit",
        "mailbox would exceed", "mailbox quota", "over quota", "overquota", "over the quota", "out of quota", "quota exceed",
        "quota full", "disk quota", "exceeded storage", "exceeded its storage", "exceed mailbox", "exceeded email quota",
        "exceeds allowed quota", "exceeded the quota", "exceeding receiving limits", "mailfolder is full", "folder is full",
        "inbox is full", "user has exhausted", "storage quota", "too many messages on this mailbox", "account is full",
        "exceeded the local limit", "postfach ist voll", "postfach des empfängers ist voll", "lettres est pleine",
        "boîte pleine", "buzón lleno", "buzón está lleno", "casella piena", "casella di posta piena", "está cheia",
        "postvak is vol", "skrzynka jest pełna", "ящик переполнен", "ящик полон", "邮箱已满", "收件箱已满", "空间不足",
        "메일함이 가득", "メールボックスが一杯", "容量",
    ]),
    (Reason::Loop, &["hop count", "too many hops", "routing loop", "mail loop", "loops back", "forwarding loop", "looping"]),
    (Reason::TooBig, &[
        "message too big", "message too large", "message is too large", "message is too big", "message size exceeds",
        "message length exceeds", "message exceeds", "size limit", "exceeded maximum message size", "exceeds maximum",
        "maximum message size", "max message size", "exceeds size", "too large message", "exceeds fixed limit",
        "exceeds the maximum", "mail is too large", "zu groß", "trop volumineux", "demasiado grande", "troppo grande",
        "слишком больш", "邮件过大",
    ]),
    (Reason::Virus, &["virus", "malware", "infected", "trojan"]),
    (Reason::Spam, &["blacklisted url", "blacklisted link", "blocked url"]),
    (Reason::Content, &["not rfc", "rfc 5322 compliant", "rfc 2822 compliant"]),
    (Reason::Disabled, &["account is blocked", "account has been blocked", "mailbox is blocked", "temporary locked"]),
    (Reason::UserUnknown, &["not listed in"]),
    (Reason::Unauthenticated, &[
        "dmarc", "sender policy framework", "spf check", "spf fail", "spf record", "spf validation", "spf:", "(spf", "fails spf",
        "not pass spf", "please see http://www.openspf", "not allowed to send mail from", "dkim", "unauthenticated email",
        "authentication checks", "required authentication level", "purported responsible address", "sender id ",
    ]),
    (Reason::RelayDenied, &[
        "relaying denied", "relaying not", "relaying is", "relay access denied", "relay denied", "relay not permitted",
        "relay is not", "relay prohibited", "unable to relay", "not permitted to relay", "not relay", "cannot relay",
        "relay operation rejected", "mail relay", "list of allowed rcpthosts", "not a gateway", "no relaying",
    ]),
    (Reason::NoMail, &[
        "null mx", "nullmx", "no smtp service", "not accept mail", "not accept email", "not accept any mail",
        "not accept any email", "does not receive mail", "no longer accepts",
    ]),
    (Reason::SenderRefused, &[
        "sender address rejected", "sender rejected", "sender was rejected", "sender denied", "sender verify failed",
        "sender verification failed", "invalid sender", "bad sender", "sender is invalid", "sender is blocked",
        "sender blocked", "sender not", "unauthenticated senders", "domain of sender", "sender domain", "sender's domain",
        "from: domain is invalid", "valid from:", "mail from domain", "return path", "verify sender", "backscatter",
        "empty envelope sender", "null sender", "unroutable sender", "unrouteable sender",
    ]),
    (Reason::Blocked, &[
        "blocked using", "blocked by", "is blocked", "been blocked", "blocked ip", "ip blocked", "ip address is blocked",
        "ip address has been", "banned sending ip", "blacklist", "black list", "black-list", "blocklist", "block list",
        "block-list", "is listed", "listed in", "listed at", "listed by", "listed on", "dnsbl", "spamhaus", "spamcop", "sorbs",
        "barracuda", "/rbl", "rbl ", "rbl.", "senderbase", "senderscore", "reputation", "client host rejected",
        "no ptr", "ptr record", "reverse dns", "reverse lookup", "rdns", "helo command rejected", "invalid helo",
        "find your hostname", "resolve your", "verify your hostname", "unverifyable sending", "dynamic ip", "residential",
        "host network not allowed", "not accepting mail from", "not accept mail from", "mail from your", "weren't sent",
        "connections from", "refused to talk to me", "initial connection", "you are not allowed to connect",
        "ip is not allowed", "banned",
    ]),
    (Reason::RateLimited, &[
        "rate limit", "ratelimit", "rate-limit", "unusual rate", "exceeded the rate", "throttl", "greylist", "graylist",
        "grey list", "too many connections", "too many messages", "too many recipients", "too many emails", "too many errors",
        "too many mail", "too many concurrent", "too much mail", "too fast", "too frequent", "frequency limited", "volume",
        "sending limit", "daily limit", "daily quota", "hourly", "connection limit", "connection rate", "slow down",
        "temporarily deferred", "exceeded its limit", "max defers and failures",
    ]),
    (Reason::Spam, &[
        "spam", "junk", "unsolicited", "bulk mail", "phishing", "advertis", "looks like uce", "considered uce", "fraud",
    ]),
    (Reason::NotAllowed, &[
        "not a member", "not member", "are not subscribed", "members only", "permission to post", "permission to send",
        "not permitted to", "not authorized to", "not allowed to post", "not allowed to send", "cannot post",
        "restricted", "only accepts", "may not exist, or you may not have permission", "delivery not authorized",
        "投稿する権限", "not an allowed sender", "moderat", "groups.google.com/support",
    ]),
    (Reason::Moved, &[
        "has moved", "have moved", "no longer at this address", "address has changed", "new address is", "changed his address",
        "user not local; please try",
    ]),
    (Reason::Disabled, &[
        "disabled", "suspended", "inactive", "deactivated", "not active", "no longer active", "is locked", "temporary locked",
        "temporarily locked", "been locked", "account locked", "account expired", "account has expired", "mailbox is frozen",
        "not accepting messages", "discontinued", "not activated", "account blocked", "no longer in use",
        "no longer available", "no longer valid", "terminated",
    ]),
    (Reason::Network, &["host not found, try again", "temporary lookup failure", "host name lookup failure", "lookup timeout"]),
    (Reason::HostUnknown, &[
        "host unknown", "unknown host", "host not found", "host or domain name not found", "name service error",
        "domain not found", "domain name not found", "domain does not exist", "domain doesn't exist", "no such domain",
        "unknown domain", "domain unknown", "invalid domain", "unable to resolve", "find any host", "find a mail exchanger",
        "no mx record", "mx record found", "no mx", "nxdomain", "illegal host", "find a gateway", "find domain", "bad host",
        "no dns", "dns server", "dns error", "dns-based", "dns lookup", "unrouteable mail domain", "unroutable mail domain",
        "all relevant mx records point to non-existent", "no mail server", "missing mx", "name or service not known",
        "doesn't have any mx", "no route to domain", "dns domain", "dns entries",
    ]),
    (Reason::UserUnknown, &[
        "user unknown", "unknown user", "unknown recipient", "unknown address", "unknown mailbox", "unknown account",
        "unknown local", "unknown or illegal", "unknown: ", "unknown alias", "no such user", "no such recipient",
        "no such mailbox", "no such address", "no such account", "no such person", "no such local", "no such email",
        "no mailbox", "no account", "no valid recipient", "no recipient", "user not found", "user not known",
        "user doesn't", "user does not", "not a valid", "not a known", "not a registered", "not our customer",
        "not found", "not known", "not recognized", "isn't recognized", "not recognised", "not listed in", "not exist",
        "doesn't exist", "don't exist", "no longer on", "recipientnotfound", "recipient unknown", "recipient is unknown",
        "recipient not", "recipient address must contain",
        "recipient invalid", "recipient is invalid", "recipient is not", "rejected by a remote mail server",
        "invalid recipient", "invalid address", "invalid mailbox", "invalid user", "invalid email",
        "invalid final delivery", "address unknown", "address invalid", "address is invalid", "address wasn't found",
        "address couldn't be found", "mailbox not", "mailbox unavailable", "mailbox unknown",
        "mailbox does", "mailbox invalid", "mailbox is unavailable", "mailbox is inaccessible", "unrouteable address",
        "unroutable address", "undeliverable address", "nosuchuser", "does not have an account", "have a yahoo",
        "bad destination", "bad recipient", "bad address", "possibly incorrect", "user invalid", "user reject",
        "this user doesn't have", "been deleted", "account has been removed", "account is unavailable",
        "account does", "account that you tried to reach", "couldn't be found", "could not be found", "account or domain may",
        "nicht vorhanden", "nicht gefunden", "existiert nicht", "unbekannter empfänger", "empfänger unbekannt",
        "introuvable", "n'existe pas", "destinataire inconnu", "destinataire invalide", "no se encontró", "no existe",
        "non esiste", "non trovat", "destinatario sconosciuto", "não existe", "não foi encontrad", "niet gevonden",
        "bestaat niet", "nie istnieje", "nie znaleziono", "не существует", "не найден", "не удалось найти", "不存在",
        "找不到", "존재하지 않", "見つかりません", "存在しません", "あて先不明", "宛先",
    ]),
    (Reason::Expired, &[
        "expired", "retry timeout", "retry time", "too long in", "queue too long", "in the queue", "delivery time",
        "giving up", "cannot send message for", "unable to deliver in", "timeout exceeded", "was aborted after",
        "delivery timeout", "given up", "failing for a long time", "message timed out", "maximum time", "could not be delivered for",
    ]),
    (Reason::Network, &[
        "timed out", "timeout", "connection refused", "connection reset", "connection was", "connection closed",
        "connection lost", "connection failed", "connection died", "connection error", "connection dropped",
        "lost connection", "no route to host", "unable to connect", "couldn't connect", "could not connect",
        "cannot connect", "not connect", "socket error", "network", "host not reachable", "not reachable", "unreachable",
        "requests to connect", "smtp connection", "host is down", "broken pipe", "to identified host", "end of file",
    ]),
    (Reason::SystemFull, &[
        "no space left", "disk full", "disk is full", "insufficient disk", "insufficient storage",
        "insufficient system", "file system is full", "out of disk", "low disk", "not enough disk", "not enough space",
    ]),
    (Reason::Security, &[
        "authentication required", "smtp authentication", "must authenticate", "must issue a starttls", "starttls",
        "encryption", "requires tls", "tls required", "tls-required", "advertise auth", "login", "smtp auth",
        "not authenticated", "unauthenticated",
    ]),
    (Reason::Content, &[
        "message content", "content rejected", "not rfc", "rfc 5322", "rfc 2822", "rfc5322", "rfc compliant", "bare lf",
        "bare cr", "bare newline", "attachment", "message header", "header field", "headers", "mime", "multiple addresses in from",
        "illegal character", "forbidden content", "extension", "8-bit", "8bit", "smtputf8", "conversion",
    ]),
    (Reason::SystemError, &[
        "system error", "system config", "local error", "configuration error", "config error", "config ", "internal error",
        "internal server", "server error", "service unavailable", "service currently unavailable", "service not available",
        "temporarily unavailable", "resources", "remote protocol error", "cannot create", "can't create", "can't open",
        "cannot open", "cannot append", "input/output", "command died", "command failed", "permission denied",
        "program died", "unknown mailer error", "local configuration", "mail system problem", "mail server is",
        "delivery failed", "other mail system", "temporary failure", "lock failure", "error while writing",
    ]),
    (Reason::Protocol, &[
        "syntax error", "command not", "command unrecognized", "bad sequence", "out of order", "not implemented",
        "unrecognized command", "protocol",
    ]),
    // Postfix begins many refusals so, and what follows says more as a rule.
    (Reason::UserUnknown, &["recipient address rejected", "recipient rejected", "address rejected"]),
    (Reason::Policy, &[
        "policy", "policies", "denied", "prohibited", "not allowed", "not permitted", "forbidden", "rejected", "refused",
        "refuse", "rejete", "reject", "block", "not accepted", "unacceptable", "did not like", "does not like", "filtered",
    ]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_before_words_and_words_before_subjects() {
        let code = |text: &str| text.parse().ok();
        for (status, text, expected) in [
            ("5.1.1", "mailbox full", Reason::UserUnknown),
            ("4.2.2", "", Reason::MailboxFull),
            ("5.1.1", "552 5.2.2 over quota", Reason::MailboxFull),
            ("5.1.1", "550 5.7.1 your address is on a blacklist", Reason::Blocked),
            ("5.1.1", "550 5.7.1 no", Reason::UserUnknown),
            ("4.4.7", "450 4.7.1 come back later; 452 4.2.2 full", Reason::Expired),
            ("5.0.0", "550 5.2.2 no", Reason::MailboxFull),
            ("5.0.0", "5.1.0 - unknown, 550-'5.2.2 no'", Reason::MailboxFull),
            ("5.7.1", "550 5.7.1 user unknown", Reason::UserUnknown),
            ("5.7.1", "550 5.7.1 no", Reason::Policy),
            ("5.4.4", "", Reason::HostUnknown),
            ("4.4.4", "", Reason::Network),
            ("5.1.10", "RESOLVER.ADR.RecipientNotFound", Reason::UserUnknown),
            ("5.1.10", "", Reason::NoMail),
            ("5.0.0", "", Reason::Unknown),
            ("", "550", Reason::Unknown),
            ("5.7.606", "", Reason::Blocked),
            ("5.7.26", "", Reason::Unauthenticated),
        ] {
            assert_eq!(Reason::of(code(status), text), expected, "{status} {text}");
        }
    }

    #[test]
    fn servers_say_it_in_many_words() {
        for (text, expected) in [
            ("550 sorry, no mailbox here by that name", Reason::UserUnknown),
            ("550 Requested action not taken: mailbox unavailable", Reason::UserUnknown),
            ("552 user is over\r\n quota", Reason::MailboxFull),
            ("554 Service unavailable; Client host [192.0.2.1] blocked using zen.example.org", Reason::Blocked),
            ("550 High probability of spam", Reason::Spam),
            ("Host or domain name not found. Name service error for name=a.test type=A", Reason::HostUnknown),
            ("connect to mx.a.test[192.0.2.1]:25: Connection refused", Reason::Network),
            ("552 message size exceeds fixed maximum", Reason::TooBig),
            ("554 too many hops, this message is looping", Reason::Loop),
            ("450 4.2.0 <a@b>: Recipient address rejected: Greylisted", Reason::RateLimited),
            ("550 Sender address rejected: Domain not found", Reason::SenderRefused),
            ("554 <a@b>: Relay access denied", Reason::RelayDenied),
            ("you are not a member of this list", Reason::NotAllowed),
            ("qmail will not say", Reason::Unknown),
        ] {
            assert_eq!(Reason::of(None, text), expected, "{text}");
        }
    }

    #[test]
    fn phrases_can_match() {
        for phrase in SAID.iter().flat_map(|(_, phrases)| *phrases) {
            assert_eq!(phrase.to_lowercase(), *phrase);
            assert!(!phrase.contains("  ") && !phrase.starts_with(' '), "{phrase}");
            assert!(said(&format!("x {phrase} y"), MOST).is_some());
        }
    }
}
