//! What can be wrong with a message, and at which octet. Nothing here keeps a message from being read.
//!
//! Left out: a missing MIME-Version (RFC 2045 §4), which no reader in use asks for, and fields that a header should have and
//! has not (RFC 5322 §3.6): a filter that wants them looks for them.

/// So many defects of one kind are listed; a message with more has been told often enough. It is counted by kind so that a
/// harmless one, many times over, cannot hide one that matters.
pub(super) const MOST_OF_A_KIND: usize = 100;

/// One fault of a message.
///
/// ```
/// use facteur::message::{DefectKind, Message};
///
/// let message = Message::parse("Subject: lunch\r\nSee you at noon.\r\n");
/// assert_eq!(message.defects()[0].kind, DefectKind::MissingBlankLine);
/// assert_eq!(message.defects()[0].at, 16);
///
/// let message = Message::parse("From: ada@a.test\r\nFrom: eve@b.test\r\n\r\n");
/// assert!(message.defects()[0].is_ambiguous());
/// assert_eq!(message.defects()[0].at, 18);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// Where it was noticed: an octet of [`Message::raw`](crate::message::Message::raw), counted from 0. Of a field or a
    /// parameter that comes again, it is where the second begins.
    pub at: usize,
}

impl Defect {
    /// Whether readers are known to differ in what they make of it, see [`DefectKind::is_ambiguous`].
    pub fn is_ambiguous(self) -> bool {
        self.kind.is_ambiguous()
    }
}

/// The defects found so far, not too many of one kind.
#[derive(Default)]
pub(super) struct Defects {
    pub list: Vec<Defect>,
    /// How many there are of each kind.
    counts: Vec<usize>,
}

impl Defects {
    pub fn push(&mut self, kind: DefectKind, at: usize) {
        let kinds = kind as usize + 1;
        if self.counts.len() < kinds {
            self.counts.resize(kinds, 0);
        }
        let Some(count) = self.counts.get_mut(kind as usize).filter(|count| **count < MOST_OF_A_KIND) else { return };
        *count += 1;
        self.list.push(Defect { kind, at });
    }
}

/// What can be wrong with a message. Where the octet is not that of what is named, it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DefectKind {
    /// A line in a header is no field and continues none (RFC 5322 §2.2). It is kept as a field without a name; so is a byte
    /// order mark before the first field.
    NotAField,
    /// No blank line between header and body (RFC 5322 §2.1); the body begins with the first line that is no field.
    MissingBlankLine,
    /// A boundary inside of the header of a part, which ends the part (RFC 2046 §5.1.1): it has no body, for other readers the
    /// boundary may be a line of the header. Two boundaries in a row are one case of it.
    CutHeader,
    /// White space before the colon of a field (RFC 5322 §4.5.8, obsolete). It is passed over; for other readers the field may
    /// have another name, or be none.
    SpaceBeforeColon,
    /// A line of white space alone in a header (RFC 5322 §4.2, obsolete). It continues the field; for other readers it may end
    /// the header.
    BlankFold,
    /// Octets in a header that are no UTF-8 (RFC 6532 §3.1). They are read as windows-1252.
    NotUtf8,
    /// A line of more than 998 octets without its end (RFC 5322 §2.1.1), in a place that is not `binary`.
    LongLine,
    /// Two Content-Type fields in one header (RFC 2045 §3); the first counts.
    TwoContentTypes,
    /// Two Content-Transfer-Encoding fields in one header (RFC 2045 §3); the first counts.
    TwoEncodings,
    /// A Content-Type field without type and subtype (RFC 2045 §5.1). It counts as `text/plain`, as §5.2 suggests.
    NoMediaType,
    /// A Content-Transfer-Encoding that is not one word of RFC 2045 §6.1: another word, none, or one with quotes, comments or
    /// parameters, which is read without them.
    OddEncoding,
    /// A multipart whose Content-Type names no boundary, or one with a line end in it (RFC 2046 §5.1.1). It is read as text. At
    /// the part.
    NoBoundary,
    /// A boundary that no multipart may have (RFC 2046 §5.1.1): longer than 70 characters, of characters that are not allowed,
    /// or with white space at its end, which is taken away. At its parameter.
    OddBoundary,
    /// A boundary in the form of RFC 2231, which many readers do not know. At its parameter.
    EncodedBoundary,
    /// A boundary that a multipart around this one has too, or of which one begins with the other (RFC 2046 §5.1.2). A line that
    /// may be either goes to the longer one, and of equal ones to the innermost that is open. At its parameter.
    SameBoundary,
    /// A multipart in which its boundary begins no part (RFC 2046 §5.1.1). It is read as text. At the part.
    NoParts,
    /// The boundary that ends a multipart is missing (RFC 2046 §5.1.1). Where it should be.
    MissingFinalBoundary,
    /// A line begins with a boundary and goes on with other text. It counts as a boundary (RFC 2046 §5.1.1).
    LooseBoundary,
    /// A boundary comes again after the final one. What follows is no part (RFC 2046 §5.1.1), for other readers it may be.
    PartAfterEnd,
    /// A multipart says that it is encoded, which no multipart may be (RFC 2045 §6.4). It is read as not encoded. At the part.
    EncodedMultipart,
    /// A `message/rfc822` part is in base64 or quoted-printable, which RFC 2046 §5.2.1 forbids. It is not looked into.
    /// A `message/global` may be encoded (RFC 6532 §3.5); [`Part::message`](crate::message::Part::message) reads it.
    /// At the part.
    EncodedMessage,
    /// Deeper than [`Limits::depth`](crate::message::Limits::depth): not looked into.
    TooDeep,
    /// More parts than [`Limits::parts`](crate::message::Limits::parts): the rest is one part, not looked into.
    TooManyParts,
    /// More fields than [`Limits::fields`](crate::message::Limits::fields): the rest of the header is one field.
    TooManyFields,
    /// Longer than 4 GiB: the body is not looked into.
    TooLong,
    /// Two Content-Disposition fields in one header (RFC 2183 §2); the first counts.
    TwoDispositions,
    /// Two From fields in the header of a message (RFC 5322 §3.6); [`Header::get`](crate::message::Header::get) gives the first.
    TwoFroms,
    /// An address in the From field of a message that other readers may take for another, as `eve@b.test ada@a.test` (see
    /// [`Mailbox::is_ambiguous`](crate::address::Mailbox::is_ambiguous)). At the field.
    OddFrom,
    /// Another field comes twice that may come once: those of RFC 5322 §3.6 (Date, Sender, Reply-To, To, Cc, Bcc,
    /// Message-ID, In-Reply-To, References, Subject), MIME-Version, and Content-ID and Content-Description of a part.
    RepeatedField,
    /// Two `boundary` parameters (RFC 2045 §5.1); the first counts, or that in the form of RFC 2231.
    TwoBoundaries,
    /// Two `charset` parameters; the first counts, or that in the form of RFC 2231.
    TwoCharsets,
    /// Another parameter of a Content-Type or Content-Disposition comes twice in the same form, or a section of one does; the first
    /// counts.
    RepeatedParam,
    /// A parameter says one thing in its plain form and another in that of RFC 2231; the latter counts. A plain form with
    /// `_` or `?` for what ASCII does not have says the same. Also `name*` beside `name*0`; the former counts.
    TwoForms,
    /// A section of a parameter is missing (RFC 2231 §3: they count from 0, without gaps). The others are joined.
    MissingSection,
    /// A section of an encoded parameter that has a charset where none stands, for it is not the first or not encoded itself, or
    /// ends within an escape (RFC 2231 §4.1). Such sections are joined as they were meant; other readers decode each by itself, or
    /// keep the charset, or take one from a section that is not encoded.
    LooseSection,
    /// A parameter that is none of RFC 2045 §5.1, so that readers differ where it ends: a value without quotes with white space,
    /// brackets or quotes in it, a quoted string that does not end, or other text between parameters.
    LooseParam,
    /// A comment in a Content-Type or Content-Disposition (RFC 5322 §3.2.2). It is passed over; readers that know no comments
    /// take it for text.
    Comment,
    /// A charset that nobody here knows, so that the text is a guess. At its parameter.
    UnknownCharset,
    /// The `filename` of Content-Disposition is another than the `name` of Content-Type; the former counts. At the later of
    /// the two parameters.
    TwoNames,
    /// A base64 body with octets outside of its alphabet, or data behind its padding (RFC 2045 §6.8). They are passed over, the
    /// data read on, unless such octets follow the padding: there it ends. Other readers stop at the first, or read all.
    OddBase64,
    /// A quoted-printable body with a `=` that begins no escape (RFC 2045 §6.7). It stands for itself.
    OddQuotedPrintable,
    /// A file in a text, uuencoded or in yEnc (see [`Part::enclosed`](crate::message::Part::enclosed)): some readers show an
    /// attachment, others text. At the body.
    FileInText,
    /// An octet 0, which no message may hold (RFC 5322 §4), in a place that is not `binary`.
    Nul,
    /// A CR without LF (RFC 5322 §2.3), in a place that is not `binary`. It is no line end.
    BareCr,
    /// A LF without CR in a message that has CRLF too, in a place that is not `binary` (RFC 5322 §2.3). It is a line end. A
    /// message that has LF alone, as files on Unix do, is none the worse for it.
    BareLf,
}

impl DefectKind {
    /// Whether readers are known to differ in what they make of it, so that a filter may see another message than the
    /// reader behind it. A filter does well to refuse, or to set aside, what has such a defect.
    pub fn is_ambiguous(self) -> bool {
        use DefectKind::*;
        match self {
            NotAField | MissingBlankLine | CutHeader | SpaceBeforeColon | BlankFold | NotUtf8 | TwoContentTypes
            | TwoEncodings | NoMediaType | OddEncoding | NoBoundary | OddBoundary | EncodedBoundary | SameBoundary
            | NoParts | LooseBoundary | PartAfterEnd | EncodedMultipart | EncodedMessage | TwoDispositions
            | TwoFroms | OddFrom | RepeatedField | TwoBoundaries | TwoCharsets | RepeatedParam | TwoForms
            | MissingSection | LooseSection | LooseParam | Comment | UnknownCharset | TwoNames | OddBase64
            | OddQuotedPrintable | FileInText | Nul | BareCr | BareLf => true,
            LongLine | MissingFinalBoundary | TooDeep | TooManyParts | TooManyFields | TooLong => false,
        }
    }
}
