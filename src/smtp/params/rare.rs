//! The parameters that few messages have, kept apart from those that many have: a command is given from hand to hand, and moving
//! a large one takes as long as reading it.

use std::ops::{Deref, DerefMut};

use crate::address::Address;
use crate::smtp::{DeliverBy, Hold, MailParams, ReversePath};

/// The parameters of MAIL that few messages have, as fields of [`MailParams`] to whoever reads or sets them.
///
/// ```
/// use facteur::smtp::{Envelope, ReversePath};
///
/// let mut envelope = Envelope::new(ReversePath::Null, []);
/// assert_eq!(envelope.params.priority, None);
/// envelope.params.priority = Some(4);
/// assert_eq!(envelope.params.to_string(), " MT-PRIORITY=4");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RareMailParams {
    /// `AUTH=`: who submitted it first, as a trusted client says (RFC 4954 §5): `<>` is `Some(ReversePath::Null)`.
    pub auth: Option<ReversePath>,
    /// `BY=`: by when it is to be delivered (RFC 2852 §4).
    pub by: Option<DeliverBy>,
    /// `HOLDFOR=` or `HOLDUNTIL=`: not to be sent on before that (RFC 4865 §3).
    pub hold: Option<Hold>,
    /// `MT-PRIORITY=`: from -9 to 9, the higher the more urgent (RFC 6710 §3); `None` counts as 0.
    pub priority: Option<i8>,
    /// `REQUIRETLS`: goes over no connection without TLS (RFC 8689 §2).
    pub require_tls: bool,
    /// `SOLICIT=`: what the message solicits, keywords with commas between them (RFC 3865 §2.3).
    pub solicit: Option<String>,
    /// `CONPERM`: the content may be converted where the recipient needs that (RFC 4141 §4).
    pub convert: bool,
    /// `SUBMITTER=`: who is responsible for sending it this time (RFC 4405 §4).
    pub submitter: Option<Address>,
}

/// Those of one MAIL, without memory where there are none.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Rare(Option<Box<RareMailParams>>);

static NONE: RareMailParams = RareMailParams {
    auth: None,
    by: None,
    hold: None,
    priority: None,
    require_tls: false,
    solicit: None,
    convert: false,
    submitter: None,
};

impl From<RareMailParams> for Rare {
    fn from(params: RareMailParams) -> Self {
        Self((params != NONE).then(|| Box::new(params)))
    }
}

/// What was set and taken back is as what was never set.
impl PartialEq for Rare {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Rare {}

impl Deref for Rare {
    type Target = RareMailParams;

    fn deref(&self) -> &RareMailParams {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Rare {
    fn deref_mut(&mut self) -> &mut RareMailParams {
        self.0.get_or_insert_default()
    }
}

impl Deref for MailParams {
    type Target = RareMailParams;

    fn deref(&self) -> &RareMailParams {
        &self.rare
    }
}

impl DerefMut for MailParams {
    fn deref_mut(&mut self) -> &mut RareMailParams {
        &mut self.rare
    }
}
