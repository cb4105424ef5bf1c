//! The content transfer encodings of RFC 2045 §6: base64 and quoted-printable at mail line lengths.
//!
//! Reading is lenient. In base64 every octet outside the alphabet is passed over (RFC 2045 §6.8), padding may be missing,
//! and data that goes on after padding is read on. In quoted-printable a `=` that begins no escape stays as it stands
//! (RFC 2045 §6.7, "a reasonable approach"), hexadecimal digits may be in lower case, and white space at the end of a line
//! is taken away, up to [`LONGEST_BLANK`] octets of it.
//!
//! What is long is read and written in vectors where the processor has them (`vectors`); the code here is what they
//! are held against, and what does the rest.
//!
//! [`decode_base64`] and [`decode_quoted_printable`] read what is there as a whole; [`Base64Decoder`] and
//! [`QuotedPrintableDecoder`] read it in pieces, cut anywhere, to the same octets.

mod base64;
mod escape;
mod quoted_printable;
#[allow(unsafe_code)] // the one place of the crate; its head says why
mod vectors;

pub use base64::{Base64Decoder, decode_base64, encode_base64, encode_base64_into};
pub(super) use base64::{decode_base64_into, encode_base64_line};
pub(crate) use escape::{LineEnds, encode_quoted_printable_lines};
pub(crate) use quoted_printable::hex;
pub use quoted_printable::{
    LONGEST_BLANK, QuotedPrintableDecoder, decode_quoted_printable, encode_quoted_printable,
    encode_quoted_printable_binary, encode_quoted_printable_binary_into, encode_quoted_printable_into,
};
pub(crate) use vectors::{Set, escapes, plain_lines, text, unfold, unfolded_ends};
pub(super) use vectors::{decode_latin1, utf8};

/// RFC 2045 §6.8: "encoded lines must be no longer than 76 characters".
pub const LINE: usize = 76;
