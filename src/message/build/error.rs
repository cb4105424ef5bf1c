//! Why a message cannot be built.

use crate::base::ParseError;

/// Why there is no message. Each names the field, none quotes what was passed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// CR, LF or NUL where they would end the value.
    #[error("CR, LF or NUL in the value of {field} at octet {at}")]
    Value {
        /// The field.
        field: String,
        /// The octet, counted from 0.
        at: usize,
    },
    /// What was passed in is no address.
    #[error("no address for {field}: {error}")]
    Address {
        /// The field.
        field: String,
        /// What the grammar expected.
        error: ParseError,
    },
    /// Octets beyond ASCII where only [`Builder::utf8`](super::Builder::utf8) allows them.
    #[error("{field} cannot be written in ASCII")]
    NeedsUtf8 {
        /// The field.
        field: String,
    },
    /// What was passed in is no `id-left@id-right`.
    #[error("no identifier for {field}")]
    Id {
        /// The field.
        field: String,
    },
    /// No field can have that name.
    #[error("no field name")]
    FieldName,
    /// The field is written by the builder or has a method of its own.
    #[error("field {field} is not free to choose")]
    Reserved {
        /// The field.
        field: String,
    },
    /// A field without which no message is valid (RFC 5322 §3.6).
    #[error("no {field}")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// No `type/subtype` of RFC 2045 §5.1, or a `multipart` that is not made of parts.
    #[error("no media type for Content-Type, or a multipart without parts")]
    MediaType,
    /// A content would need another Content-Transfer-Encoding than it may have: the one that was asked for, or none at all
    /// in a part that stands [`ready`](super::NewPart::ready) and in the types of `message` (RFC 2045 §6.4). RFC 6533 has
    /// types for reports in UTF-8.
    #[error("content that its Content-Transfer-Encoding does not allow")]
    Unencodable,
    /// A text that would be another one in the `charset` that was asked for: text is written in UTF-8. For others there is
    /// [`NewPart::octets`](super::NewPart::octets).
    #[error("text that is not in its charset")]
    Charset,
    /// A field that may stand once (RFC 2045 §3, RFC 2369 §2).
    #[error("{field} more than once")]
    Repeated {
        /// The field.
        field: String,
    },
    /// A part that stands [`ready`](super::NewPart::ready) has a header that is no header of a part, or was given fields.
    #[error("a ready part whose header is not made of Content- fields alone")]
    Ready,
    /// No URI that can stand in the field; or not the one that it needs: to unsubscribe with one click takes one of `https`
    /// (RFC 8058 §3.1).
    #[error("no URI for {field}")]
    Uri {
        /// The field.
        field: String,
    },
    /// A group where a mailbox has to stand.
    #[error("a group in {field}")]
    Group {
        /// The field.
        field: &'static str,
    },
    /// A message that is resent keeps its own (RFC 5322 §3.6.6).
    #[error("{field} cannot be resent")]
    Resent {
        /// The field.
        field: &'static str,
    },
    /// No parameter can have that name; or `name` of Content-Type is not the name of the file.
    #[error("no parameter of {field}")]
    Param {
        /// The field.
        field: String,
    },
    /// A word that takes more than a line of 998 octets.
    #[error("a word of {field} is too long for a line")]
    TooLong {
        /// The field.
        field: String,
    },
    /// Multiparts lie in each other more than 100 deep.
    #[error("parts nested too deep")]
    TooDeep,
}
