//! What an address list consists of (RFC 5322 §3.4): mailboxes and groups.

use std::borrow::Cow;
use std::fmt;

use crate::address::{Address, Domain};
use crate::text::words;

/// One element of an address list.
///
/// ```
/// use facteur::address::{Entry, list};
///
/// let to = list::parse(b"A Group:Ed Jones <joe@where.test>,john@one.test;, =?utf-8?q?Andr=C3=A9?= <a@b.test>");
/// let [Entry::Group(group), Entry::Mailbox(andre)] = &to[..] else { panic!() };
/// assert_eq!((group.name(), group.members.len()), ("A Group".into(), 2));
/// assert_eq!(andre.name().as_deref(), Some("André"));
/// assert_eq!(andre.address().unwrap().to_string(), "a@b.test");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 5322: address = mailbox / group
pub enum Entry<'a> {
    /// `mailbox`
    Mailbox(Mailbox<'a>),
    /// `group`
    Group(Group<'a>),
}

/// `mailbox = name-addr / addr-spec`, with what may stand around it. It borrows from the list that it was read in;
/// [`into_owned`](Self::into_owned) outlives it.
///
/// ```
/// use facteur::address::list;
///
/// let ada = list::mailboxes(b"Ada Lovelace <ada@a.test> (at home)").next().unwrap();
/// assert_eq!((ada.name().as_deref(), ada.local(), ada.domain()), (Some("Ada Lovelace"), "ada", Some("a.test")));
/// assert_eq!(ada.comments(), ["at home"]);
/// ```
#[derive(Clone)]
pub struct Mailbox<'a>(Form<'a>);

#[derive(Clone)]
enum Form<'a> {
    Usual(Usual<'a>),
    Odd(Box<Odd>),
}

/// Nothing but these, as most are. The name is empty where there is none.
#[derive(Clone, Copy)]
pub(super) struct Usual<'a> {
    pub name: &'a str,
    pub local: &'a str,
    pub domain: Option<&'a str>,
}

/// All that a mailbox can have.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Odd {
    pub raw_name: Option<Vec<u8>>,
    pub route: Option<String>,
    pub local: String,
    pub domain: Option<String>,
    pub comments: Vec<String>,
    pub ambiguous: bool,
}

/// `group = display-name ":" [group-list] ";"`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group<'a> {
    /// The display name: quoting removed, encoded words as they stood.
    pub raw_name: Vec<u8>,
    /// The mailboxes in the group, none in `undisclosed-recipients:;`.
    pub members: Vec<Mailbox<'a>>,
    /// The comments around its name and between its members, brackets removed, in their order.
    pub comments: Vec<String>,
}

impl<'a> Mailbox<'a> {
    #[inline]
    pub(super) fn usual(usual: Usual<'a>) -> Self {
        Self(Form::Usual(usual))
    }

    #[inline]
    pub(super) fn odd(odd: Box<Odd>) -> Self {
        Self(Form::Odd(odd))
    }

    /// The display name, decoded.
    #[inline]
    pub fn name(&self) -> Option<Cow<'_, str>> {
        match &self.0 {
            Form::Usual(Usual { name: "", .. }) => None,
            Form::Usual(usual) => Some(words::decode_text(usual.name)),
            Form::Odd(odd) => odd.raw_name.as_deref().map(words::decode_borrowed),
        }
    }

    /// The display name: quoting removed, encoded words as they stood. Where there is none but a comment behind the
    /// address, the comment, as old mail has it (`ada@a.test (Ada)`).
    pub fn raw_name(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Usual(usual) => Some(usual.name.as_bytes()).filter(|name| !name.is_empty()),
            Form::Odd(odd) => odd.raw_name.as_deref(),
        }
    }

    /// `obs-route` without its colon, `@a.test,@b.test`.
    pub fn route(&self) -> Option<&str> {
        match &self.0 {
            Form::Usual(_) => None,
            Form::Odd(odd) => odd.route.as_deref(),
        }
    }

    /// The local part, quoting removed. Empty for `<>`, and where there is a name only.
    #[inline]
    pub fn local(&self) -> &str {
        match &self.0 {
            Form::Usual(usual) => usual.local,
            Form::Odd(odd) => &odd.local,
        }
    }

    /// The domain as it stood, without white space and comments; `None` where there was no `@`.
    #[inline]
    pub fn domain(&self) -> Option<&str> {
        match &self.0 {
            Form::Usual(usual) => usual.domain,
            Form::Odd(odd) => odd.domain.as_deref(),
        }
    }

    /// The comments, brackets removed, in their order.
    pub fn comments(&self) -> &[String] {
        match &self.0 {
            Form::Usual(_) => &[],
            Form::Odd(odd) => &odd.comments,
        }
    }

    /// Whether other readers may take another address for it: outside of quotes and comments there is a second `@`, in the
    /// address, behind its brackets, or anywhere where it has none, as in `eve@b.test ada@a.test`. Here the last counts, or
    /// what is in brackets.
    pub fn is_ambiguous(&self) -> bool {
        matches!(&self.0, Form::Odd(odd) if odd.ambiguous)
    }

    /// The address, where local part and domain are one that could be written in an envelope.
    pub fn address(&self) -> Option<Address> {
        let domain = Domain::parse(self.domain()?.as_bytes()).ok()?;
        Address::new(self.local(), domain).ok()
    }

    /// The same with memory of its own.
    pub fn into_owned(self) -> Mailbox<'static> {
        Mailbox(Form::Odd(self.into_odd()))
    }

    pub(super) fn add_comments(&mut self, comments: Vec<String>) {
        if !comments.is_empty() {
            let mut odd = std::mem::take(self).into_odd();
            odd.comments.extend(comments);
            self.0 = Form::Odd(odd);
        }
    }

    fn into_odd(self) -> Box<Odd> {
        match self.0 {
            Form::Odd(odd) => odd,
            Form::Usual(usual) => usual.into(),
        }
    }
}

impl From<Usual<'_>> for Box<Odd> {
    fn from(usual: Usual<'_>) -> Self {
        Box::new(Odd {
            raw_name: (!usual.name.is_empty()).then(|| usual.name.as_bytes().to_vec()),
            local: usual.local.to_owned(),
            domain: usual.domain.map(str::to_owned),
            ..Odd::default()
        })
    }
}

/// One without name and domain, as `<>` is.
impl Default for Mailbox<'_> {
    fn default() -> Self {
        Self::odd(Box::default())
    }
}

impl PartialEq for Mailbox<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw_name() == other.raw_name()
            && self.route() == other.route()
            && self.local() == other.local()
            && self.domain() == other.domain()
            && self.comments() == other.comments()
    }
}

impl Eq for Mailbox<'_> {}

impl fmt::Debug for Mailbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("name", &self.name())
            .field("route", &self.route())
            .field("local", &self.local())
            .field("domain", &self.domain())
            .field("comments", &self.comments())
            .finish()
    }
}

/// `local@domain` as a rule without quoting and route: for logs and comparisons, see [`Mailbox::address`] for writing.
impl fmt::Display for Mailbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.local())?;
        match self.domain() {
            Some(domain) => write!(f, "@{domain}"),
            None => Ok(()),
        }
    }
}

impl Group<'_> {
    /// The display name, decoded.
    pub fn name(&self) -> Cow<'_, str> {
        words::decode_borrowed(&self.raw_name)
    }

    /// The same with memory of its own.
    pub fn into_owned(self) -> Group<'static> {
        let members = self.members.into_iter().map(Mailbox::into_owned).collect();
        Group { raw_name: self.raw_name, members, comments: self.comments }
    }
}

impl<'a> Entry<'a> {
    /// The mailbox, or the mailboxes of the group.
    pub fn mailboxes(&self) -> &[Mailbox<'a>] {
        match self {
            Self::Mailbox(mailbox) => std::slice::from_ref(mailbox),
            Self::Group(group) => &group.members,
        }
    }

    /// The same with memory of its own.
    pub fn into_owned(self) -> Entry<'static> {
        match self {
            Self::Mailbox(mailbox) => Entry::Mailbox(mailbox.into_owned()),
            Self::Group(group) => Entry::Group(group.into_owned()),
        }
    }
}
