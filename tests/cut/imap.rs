//! The talks of tests/talks/imap.
