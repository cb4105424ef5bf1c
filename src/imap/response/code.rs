//! Response codes (RFC 3501 §7.1, RFC 9051 §7.1, RFC 4315 §3, RFC 5530 §3).

use std::fmt;
use std::num::NonZeroU32;

use crate::imap::sequence::Ranges;
use crate::store::{Flags, Uid};

/// A response code (`resp-text-code`): what a program learns from a status response.
///
/// ```
/// use facteur::imap::Code;
///
/// assert_eq!(Code::TryCreate.to_string(), "TRYCREATE");
/// assert_eq!(Code::UidNext(facteur::store::Uid(7.try_into()?)).to_string(), "UIDNEXT 7");
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// `ALERT`: the text must be shown to the user.
    Alert,
    /// `ALREADYEXISTS` (RFC 5530)
    AlreadyExists,
    /// `APPENDUID` (RFC 4315)
    AppendUid {
        /// The UIDVALIDITY of the mailbox appended to.
        validity: NonZeroU32,
        /// The UID that the message got.
        uid: Uid,
    },
    /// `AUTHENTICATIONFAILED` (RFC 5530)
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED` (RFC 5530)
    AuthorizationFailed,
    /// `BADCHARSET`, with the charsets that are known.
    BadCharset(Vec<String>),
    /// `CANNOT` (RFC 5530)
    Cannot,
    /// `CAPABILITY`
    Capability(Vec<String>),
    /// `CLIENTBUG` (RFC 5530)
    ClientBug,
    /// `CLOSED` (RFC 9051 §7.1): what follows is about the newly selected mailbox.
    Closed,
    /// `CONTACTADMIN` (RFC 5530)
    ContactAdmin,
    /// `COPYUID` (RFC 4315): written only where there were messages to copy.
    CopyUid {
        /// The UIDVALIDITY of the mailbox copied to.
        validity: NonZeroU32,
        /// The UIDs of what was copied.
        from: Ranges,
        /// The UIDs of the copies, in the same order.
        to: Ranges,
    },
    /// `CORRUPTION` (RFC 5530)
    Corruption,
    /// `EXPIRED` (RFC 5530)
    Expired,
    /// `EXPUNGEISSUED` (RFC 5530)
    ExpungeIssued,
    /// `HASCHILDREN` (RFC 9051 §7.1)
    HasChildren,
    /// `INUSE` (RFC 5530)
    InUse,
    /// `LIMIT` (RFC 5530)
    Limit,
    /// `NONEXISTENT` (RFC 5530)
    NonExistent,
    /// `NOPERM` (RFC 5530)
    NoPerm,
    /// `OVERQUOTA` (RFC 5530)
    OverQuota,
    /// `PARSE`: a message has a header that cannot be read.
    Parse,
    /// `PERMANENTFLAGS`: the flags that a client can change for good.
    PermanentFlags {
        /// These.
        flags: Flags,
        /// `\*`: and keywords that are not used yet.
        new_keywords: bool,
    },
    /// `PRIVACYREQUIRED` (RFC 5530)
    PrivacyRequired,
    /// `READ-ONLY`
    ReadOnly,
    /// `READ-WRITE`
    ReadWrite,
    /// `SERVERBUG` (RFC 5530)
    ServerBug,
    /// `TOOBIG` (RFC 4469, RFC 7889)
    TooBig,
    /// `TRYCREATE`: the mailbox is not there, but could be created.
    TryCreate,
    /// `UIDNEXT`
    UidNext(Uid),
    /// `UIDNOTSTICKY` (RFC 4315)
    UidNotSticky,
    /// `UIDVALIDITY`
    UidValidity(NonZeroU32),
    /// `UNAVAILABLE` (RFC 5530)
    Unavailable,
    /// `UNKNOWN-CTE` (RFC 3516): literal8 is not taken here.
    UnknownCte,
    /// `UNSEEN` (RFC 3501 §7.1): the first message without `\Seen`, by sequence number.
    Unseen(NonZeroU32),
}

/// As it stands between the brackets.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppendUid { validity, uid } => return write!(f, "APPENDUID {validity} {uid}"),
            Self::BadCharset(known) if known.is_empty() => "BADCHARSET",
            Self::BadCharset(known) => return write!(f, "BADCHARSET ({})", known.join(" ")),
            Self::Capability(all) => return write!(f, "CAPABILITY {}", all.join(" ")),
            Self::CopyUid { validity, from, to } => return write!(f, "COPYUID {validity} {from} {to}"),
            Self::PermanentFlags { flags, new_keywords } => {
                let more = match (new_keywords, flags.is_empty()) {
                    (false, _) => "",
                    (true, true) => "\\*",
                    (true, false) => " \\*",
                };
                return write!(f, "PERMANENTFLAGS ({flags}{more})");
            }
            Self::UidNext(uid) => return write!(f, "UIDNEXT {uid}"),
            Self::UidValidity(validity) => return write!(f, "UIDVALIDITY {validity}"),
            Self::Unseen(number) => return write!(f, "UNSEEN {number}"),
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Corruption => "CORRUPTION",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::OverQuota => "OVERQUOTA",
            Self::Parse => "PARSE",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::UidNotSticky => "UIDNOTSTICKY",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Flag;

    fn one(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    #[test]
    fn codes_are_written() {
        let flags = Flags::from_iter([Flag::Deleted]);
        let ranges = |numbers: &[u32]| numbers.iter().copied().collect::<Ranges>();
        for (code, expected) in [
            (Code::PermanentFlags { flags: flags.clone(), new_keywords: true }, "PERMANENTFLAGS (\\Deleted \\*)"),
            (Code::PermanentFlags { flags, new_keywords: false }, "PERMANENTFLAGS (\\Deleted)"),
            (Code::PermanentFlags { flags: Flags::new(), new_keywords: true }, "PERMANENTFLAGS (\\*)"),
            (Code::PermanentFlags { flags: Flags::new(), new_keywords: false }, "PERMANENTFLAGS ()"),
            (Code::AppendUid { validity: one(38505), uid: Uid(one(3955)) }, "APPENDUID 38505 3955"),
            // RFC 4315 §3: "A003 OK [COPYUID 38505 304,319:320 3956:3958] Done"
            (
                Code::CopyUid { validity: one(38505), from: ranges(&[304, 319, 320]), to: ranges(&[3956, 3957, 3958]) },
                "COPYUID 38505 304,319:320 3956:3958",
            ),
            (Code::BadCharset(Vec::new()), "BADCHARSET"),
            (Code::BadCharset(vec!["US-ASCII".into(), "UTF-8".into()]), "BADCHARSET (US-ASCII UTF-8)"),
            (Code::Capability(vec!["IMAP4rev1".into(), "IDLE".into()]), "CAPABILITY IMAP4rev1 IDLE"),
        ] {
            assert_eq!(code.to_string(), expected);
        }
    }
}
