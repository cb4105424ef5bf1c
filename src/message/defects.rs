//! What is wrong with a message, and at which octet. Nothing here keeps a message from being read.

/// One fault of a message.
///
/// ```
/// use facteur::message::{DefectKind, Message};
///
/// let message = Message::parse("Subject: lunch\r\nSee you at noon.\r\n");
/// assert_eq!(message.defects()[0].kind, DefectKind::MissingBlankLine);
/// assert_eq!(message.defects()[0].at, 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// Where it was noticed: an octet of [`Message::raw`](crate::message::Message::raw), counted from 0.
    pub at: usize,
}

impl Defect {
    pub(super) fn new(kind: DefectKind, at: usize) -> Self {
        Self { kind, at }
    }
}

/// What can be wrong with the structure of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DefectKind {
    /// A line in a header is no field and continues none. It is kept as a field without a name.
    NotAField,
    /// No blank line between header and body; the body begins with the first line that is no field.
    MissingBlankLine,
    /// Two Content-Type fields in one header; the first counts.
    TwoContentTypes,
    /// Two Content-Transfer-Encoding fields in one header; the first counts.
    TwoEncodings,
    /// A multipart whose Content-Type names no boundary. It is read as text.
    NoBoundary,
    /// A multipart in which its boundary begins no part. It is read as text.
    NoParts,
    /// The boundary that ends a multipart is missing.
    MissingFinalBoundary,
    /// A line begins with a boundary and goes on with other text. It counts as a boundary (RFC 2046 §5.1.1).
    LooseBoundary,
    /// A boundary comes again after the final one. What follows is no part (RFC 2046 §5.1.1), for other readers it may be.
    PartAfterEnd,
    /// A multipart says that it is encoded, which no multipart may be (RFC 2045 §6.4). It is read as not encoded.
    EncodedMultipart,
    /// A `message/rfc822` part is in base64 or quoted-printable, which RFC 2046 §5.2.1 forbids. It is not looked into.
    EncodedMessage,
    /// Deeper than [`Limits::depth`](crate::message::Limits::depth): not looked into.
    TooDeep,
    /// More parts than [`Limits::parts`](crate::message::Limits::parts): the rest is one part, not looked into.
    TooManyParts,
    /// More fields than [`Limits::fields`](crate::message::Limits::fields): the rest of the header is one field.
    TooManyFields,
    /// Longer than 4 GiB: the body is not looked into.
    TooLong,
}

impl DefectKind {
    /// Whether readers are known to differ in what they make of it, so that a filter may see another message than the
    /// reader behind it.
    pub fn is_ambiguous(self) -> bool {
        use DefectKind::*;
        match self {
            NotAField | MissingBlankLine | TwoContentTypes | TwoEncodings | NoBoundary | NoParts | LooseBoundary
            | PartAfterEnd | EncodedMultipart | EncodedMessage => true,
            MissingFinalBoundary | TooDeep | TooManyParts | TooManyFields | TooLong => false,
        }
    }
}
