//! Octets to text and back: charsets, transfer encodings, encoded words, parameters, the UTF-7 of IMAP,
//! flowed text, files inside of text.
//!
//! Reading is lenient: what no rule covers is kept rather than dropped, and each module says how. What is written is
//! strict.

pub mod charset;
pub mod enclosed;
pub mod flowed;
mod legacy;
pub mod params;
pub(crate) mod places;
pub mod transfer;
pub mod utf7;
pub mod words;

pub use params::Params;
