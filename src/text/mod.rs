//! Octets to text and back: charsets, transfer encodings, encoded words, parameters, the UTF-7 of IMAP.
