//! The flags of a message (RFC 9051 §2.3.2) and what can be done to them.

use std::fmt;

/// A flag of a message (RFC 9051 §2.3.2). `\Recent` is no flag here, but [`Entry::recent`](super::Entry::recent).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// `\Flagged`
    Flagged,
    /// `\Seen`
    Seen,
    /// A keyword such as `$Forwarded`. Keywords compare without case, so they are kept as they were first written.
    Keyword(String),
}

/// The flags of a message, each at most once, in a fixed order.
///
/// ```
/// use facteur::store::{Flag, Flags};
///
/// let mut flags = Flags::from_iter([Flag::Seen, Flag::Keyword("$Forwarded".into())]);
/// flags.insert(Flag::Keyword("$forwarded".into()));
/// assert_eq!(flags.to_string(), r"\Seen $Forwarded");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<Flag>);

/// How [`Mailbox::edit_flags`](super::Mailbox::edit_flags) changes flags: the three forms of STORE (RFC 9051 §6.4.6).
///
/// ```
/// use facteur::store::{Flag, FlagEdit, Flags};
///
/// let seen = Flags::from_iter([Flag::Seen]);
/// let flagged = Flags::from_iter([Flag::Flagged]);
/// assert_eq!(FlagEdit::Add(seen.clone()).apply(&flagged).to_string(), r"\Flagged \Seen");
/// assert_eq!(FlagEdit::Remove(flagged.clone()).apply(&flagged), Flags::new());
/// assert_eq!(FlagEdit::Replace(seen.clone()).apply(&flagged), seen);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum FlagEdit {
    /// These and no others.
    Replace(Flags),
    /// These too.
    Add(Flags),
    /// Not these.
    Remove(Flags),
}

impl FlagEdit {
    /// What becomes of `flags`.
    #[must_use]
    pub fn apply(&self, flags: &Flags) -> Flags {
        let mut out = flags.clone();
        match self {
            Self::Replace(these) => return these.clone(),
            Self::Add(these) => these.iter().cloned().for_each(|flag| out.insert(flag)),
            Self::Remove(these) => these.iter().for_each(|flag| out.remove(flag)),
        }
        out
    }
}

impl Flags {
    /// No flags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `flag` is among them.
    pub fn contains(&self, flag: &Flag) -> bool {
        self.0.iter().any(|held| held.is(flag))
    }

    /// Adds a flag, where it is not there yet.
    pub fn insert(&mut self, flag: Flag) {
        if !self.contains(&flag) {
            let place = self.0.partition_point(|held| *held < flag);
            self.0.insert(place, flag);
        }
    }

    /// Takes a flag away, where it is there.
    pub fn remove(&mut self, flag: &Flag) {
        self.0.retain(|held| !held.is(flag));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The flags in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Flag> {
        self.0.iter()
    }
}

impl Flag {
    /// Reads a flag as IMAP writes it; `\Recent` and unknown system flags give `None`, as does an empty text. Whether a
    /// keyword is an atom is for the reader of the protocol to check.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(system) = text.strip_prefix('\\') else {
            return (!text.is_empty()).then(|| Self::Keyword(text.to_owned()));
        };
        match system.to_ascii_lowercase().as_str() {
            "answered" => Some(Self::Answered),
            "deleted" => Some(Self::Deleted),
            "draft" => Some(Self::Draft),
            "flagged" => Some(Self::Flagged),
            "seen" => Some(Self::Seen),
            _ => None,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keyword(a), Self::Keyword(b)) => a.eq_ignore_ascii_case(b),
            _ => self == other,
        }
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut all = Self::new();
        flags.into_iter().for_each(|flag| all.insert(flag));
        all
    }
}

impl<'a> IntoIterator for &'a Flags {
    type Item = &'a Flag;
    type IntoIter = std::slice::Iter<'a, Flag>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// As IMAP writes it: `\Seen`, `$Forwarded`.
impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "\\Answered",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
            Self::Flagged => "\\Flagged",
            Self::Seen => "\\Seen",
            Self::Keyword(word) => word,
        })
    }
}

/// With single spaces between them.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, flag) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            flag.fmt(f)?;
        }
        Ok(())
    }
}
