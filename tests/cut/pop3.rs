//! The talks of tests/talks/pop3.
